package samsa

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/consumer"
)

// Consumer reads partitions in the order of their offsets, all of them or, in a group, those
// that the group has assigned to it. Poll, PollRecords, Collect, Work and the loops are for one
// goroutine at a time; the other methods may be called by anybody at any time.
//
// A consumer reads ahead in the background. The position of a partition is behind the last
// record that Poll has returned or that a loop over Records has been given; what was read ahead
// does not count.
//
// A record is processed when the program comes back for more: when one of the Polls is called again, or
// when the loop over Records goes on; with Work, when the function returns nil. That is what auto-commit commits.
// A panic, a break, a returned error and Close add nothing: what was in work then comes again.
//
// A consumer of a group has no partitions before its first Poll: a Seek of one is ErrUnknownPartition, and SeekTo, SeekTime,
// SeekLast, Pause and TotalLag of all are of none. MemberOptions.OnAssigned may seek in those that come.
type Consumer struct {
	b      *Broker
	engine *consumer.Consumer
}

// NewConsumer returns a consumer, which joins its group, if it has one, with the first
// Poll. It fails with ErrUnknownTopic, ErrUnknownPartition, ErrGroupKind for a name of another kind of group (as may the first
// Poll), or ErrInvalidOption naming all that is wrong. The consumer outlives ctx, which bounds this call alone.
func (b *Broker) NewConsumer(ctx context.Context, opts ConsumerOptions) (*Consumer, error) {
	if err := opts.validate(b.on.Rules); err != nil {
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	c := &Consumer{b: b}
	err := b.check(ctx)
	if err == nil && opts.Group != "" {
		err = b.checkWrite(ctx)
	}
	if err == nil {
		c.engine, err = consumer.New(ctx, &b.consumers, opts.withDefaults().of(c))
	}
	if err != nil {
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	return c, nil
}

// Poll returns the next records, of several partitions as it comes, those of each in
// order. It sleeps until there are some or ctx ends, then with the error of ctx. Records
// and their bytes belong to the caller and stay valid. Those of the call before count as
// processed from now on.
//
// An error with a partition behind it does not end the consumer: ErrCorruptRecord is
// returned once and the next Poll goes on behind the damaged batch; a deleted topic is
// ErrUnknownTopic once, and again when nothing else is left to read;
// ErrOffsetOutOfRange comes with ResetError until a Seek; so does an *InterceptError, unless its record can be had before (see
// Hook). No records are lost by an error, and
// until it is returned the position stays before what it is about.
func (c *Consumer) Poll(ctx context.Context) ([]Record, error) { return c.engine.Poll(ctx) }

// PollRecords is Poll that returns at most max records, in the place of ConsumerOptions.MaxPollRecords. It
// returns as soon as there are any. What was read ahead besides comes with the next call, in the same order, or
// does not come if a Seek, a Pause or the group takes it away before. A max that is not positive is
// ErrInvalidOption.
func (c *Consumer) PollRecords(ctx context.Context, max int) ([]Record, error) {
	return c.engine.PollRecords(ctx, max)
}

// Collect is Poll that sleeps until there are n records or the time within has passed since the call, whichever
// is first. After that time it returns those that there are, which may be none, without an error. It returns fewer
// than n earlier only where ConsumerOptions.MaxPollBytes lets it hold no more, or where the next record cannot be
// read: then it returns those before that one, and the next call returns the error. An n that is not positive is
// ErrInvalidOption; without time it does not sleep, and returns what was read ahead already.
//
// Until it returns, no record is taken: the positions stay, and a Seek, a Pause, or the group act as they do
// between two calls of Poll. When ctx ends, or there is an error, that is returned and no record with it. None is
// lost: they come with the next call. Collect counts as one call of Poll: what was returned before it is processed
// when it begins, and what it returns with the next call. The callbacks that run inside it may take longer than
// within.
func (c *Consumer) Collect(ctx context.Context, n int, within time.Duration) ([]Record, error) {
	return c.engine.Collect(ctx, n, within)
}

// Records returns an iterator over all records to come, for use with range. It ends, after
// yielding the error, when ctx ends or the consumer is closed; other errors are yielded
// and it goes on.
//
// The position is behind the record that the loop has, and what is called in the loop acts at
// once on what the loop gets next. That a record is processed the loop says by going on: leaving
// it, by a break, an error or a panic, says nothing of the last one.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[Record, error] {
	return c.engine.Records(ctx)
}

// RecordsUntil is Records that reads until now: the loop ends by itself when it has come, in all partitions, to the
// high watermark that they had when it began, or to the last stable offset where transactions were open. It waits for no
// record, and the positions have come to there then, also where a compacted topic has no record left before it. That
// the loop ends so says that the last record is processed.
//
// A partition that is paused does not keep the loop from its end, as long as it is paused, nor does one that the
// consumer has no more. Partitions that it begins to read meanwhile have nothing for the loop, but those that come
// from its group do: they are read up to the same high watermark, if their topic was there and subscribed to. In a
// group the loop joins first, and does not end during a rebalance. A member that is given nothing has nothing to read.
//
// Errors are those of Records. One that comes until a Seek, as ErrOffsetOutOfRange with ResetError, is yielded
// again and again, and the program leaves the loop. A Seek in the loop counts: what is before the end is read again.
// Nothing behind the end is handed out while the loop runs, by Poll neither, which waits for it.
func (c *Consumer) RecordsUntil(ctx context.Context) iter.Seq2[Record, error] {
	return c.engine.RecordsUntil(ctx)
}

// Work calls fn for each record, in n calls at once, until ctx ends, the consumer is closed, or a call fails. Records of a
// partition are begun in their order, and may be done in another one; ConsumerOptions.OrderByKey keeps the order of
// each key. A record is done when fn has returned nil. What is committed, at all times, is what comes in each
// partition before the first record that is not done: every AutoCommitInterval, before partitions are revoked, by
// Commit, and when Work ends. It is for a consumer of a group. With ManualCommit n is 1, and it is fn that commits: by
// CommitRecords, or in an Update by Tx.CommitRecords.
//
// An error of fn ends Work, and so does a panic, which is logged. No call begins then, those that are under way go on to
// their end, what is done is committed, and Work returns the error, with the place of the record. That record was not
// committed: it comes again, with those behind it, also to a Poll or Work of the same consumer. So do records of which
// the call was interrupted, as the context of fn is ended: when ctx ends, when the consumer is closed, and when the
// group has given the partition to another one. A commit in fn may hear of that first: its error does not end Work.
// What fn returns nil for is done all the same. What Poll would return as
// an error ends Work too, when the records before it are done; the next call goes on as the next Poll would.
//
// The context of fn ends when its record is not the consumer's any more. Before partitions are revoked Work waits for the
// calls of their records, and OnRevoked and OnLost find none; calls of other partitions may go on meanwhile.
// MaxPollInterval does not bound fn, but while partitions are revoked the group waits for its members no longer than
// that. In fn, and elsewhere while Work runs, Poll and the like are ErrInCallback, and in fn so are Close and Shutdown.
// Close ends the contexts and waits for the calls.
func (c *Consumer) Work(ctx context.Context, n int, fn func(ctx context.Context, r Record) error) error {
	return c.engine.Work(ctx, n, fn)
}

// Close ends the consumer: a waiting Poll gets ErrClosed. It may be called more than
// once and waits until nothing of the consumer runs any more, its callbacks included: those
// that do not return for 30 s it leaves behind, with ErrCutOff.
//
// With auto-commit Close commits what is processed. That of the records that the last Poll has
// returned any are, Close cannot know: they come again, unless they were committed.
func (c *Consumer) Close() error { return c.engine.Close() }

// Shutdown is Close that waits until ctx ends, for as long or as short as the caller likes. What has not ended by
// then is left behind: the error is ErrCutOff, wraps that of ctx, and says what it is. The consumer is closed all
// the same, and what is left to be done, the last commit among it, is done when the callback returns that it
// waits for. Callbacks are given a context that ends with ctx. A group hears of the end even if one does not
// return: with the end of ctx, and not before 30 s.
//
// It may be called more than once, and beside Close. Called by a callback of the consumer it is ErrInCallback, and
// the consumer stays open.
func (c *Consumer) Shutdown(ctx context.Context) error { return c.engine.Shutdown(ctx) }

// Assigned returns the partitions that the consumer reads, by topic and partition.
func (c *Consumer) Assigned() []TopicPartition { return c.engine.Assigned() }

// Position returns the offset of the next record that Poll will return of tp. Where a consumer that begins with
// Committed has no position yet, it is ErrNoOffset. It is that too in a partition of which a Kafka client's open transaction
// commits an offset: reading begins there when it has ended; and, of a cluster, where nobody has said yet where to begin, which is asked
// again: meanwhile Poll tells why.
func (c *Consumer) Position(tp TopicPartition) (int64, error) { return c.engine.Position(tp) }

// Lag returns how many offsets the position in tp is behind the end of what the consumer can get: the last stable
// offset, where the first transaction begins that is open, or with ReadUncommitted the high watermark. Without an open
// transaction these are the same. Errors are those of Position, and
// ErrUnknownTopic once the topic is deleted.
func (c *Consumer) Lag(tp TopicPartition) (int64, error) { return c.engine.Lag(tp) }

// TotalLag returns the sum of the lags of all partitions that the consumer reads, those that are paused too: 0
// before the first Poll has joined the group. It asks for the ends as they are now. A partition without
// a lag makes it an error that names it: ErrNoOffset without a position, as Position says, and ErrUnknownTopic when
// its topic was deleted and Poll has not told yet.
func (c *Consumer) TotalLag(ctx context.Context) (int64, error) { return c.engine.TotalLag(ctx) }

// Seek makes the next Poll continue at offset in tp. Whether records are there shows
// then: see ConsumerOptions.OutOfRange. Records of a Poll that is returning meanwhile
// may still be from before.
func (c *Consumer) Seek(ctx context.Context, tp TopicPartition, offset int64) error {
	return c.engine.Seek(ctx, tp, offset)
}

// SeekTime makes the next Poll continue, in tps or without any in all partitions, at
// the first record of timestamp t or later.
func (c *Consumer) SeekTime(ctx context.Context, t time.Time, tps ...TopicPartition) error {
	return c.SeekTo(ctx, AtTime(t), tps...)
}

// SeekTo makes the next Poll continue at s, in tps or without any in all partitions. When it fails no position has moved.
//
// Committed() is where the group stands: records that were polled since come again, after an Update that has failed say. In a
// partition without a committed offset that is where the consumer begins, and ErrNoOffset if that is Committed() too, or a
// Kafka client's open transaction commits one.
func (c *Consumer) SeekTo(ctx context.Context, s Start, tps ...TopicPartition) error {
	return c.engine.SeekTo(ctx, s.at, tps...)
}

// SeekLast makes the next Poll continue, in tps or without any in all partitions, at the n-th record from the end
// of each, and at the first record where there are fewer. 0 is the end. It counts records, not offsets, which differ
// in a compacted topic. For that it reads the partition backwards, up to there. A damaged batch counts for no records:
// Poll tells of it. When it fails no position has moved.
func (c *Consumer) SeekLast(ctx context.Context, n int64, tps ...TopicPartition) error {
	return c.engine.SeekLast(ctx, n, tps...)
}

// Pause makes Poll return nothing of tps, or without any of all partitions, until Resume.
// Their positions stay.
func (c *Consumer) Pause(tps ...TopicPartition) error { return c.engine.Pause(tps...) }

// Resume undoes Pause.
func (c *Consumer) Resume(tps ...TopicPartition) error { return c.engine.Resume(tps...) }

// Paused returns the partitions that are paused.
func (c *Consumer) Paused() []TopicPartition { return c.engine.Paused() }

// CommittedOffset is where a group goes on in a partition.
type CommittedOffset struct {
	Offset   int64  // of the next record to be consumed
	Metadata string // the application's own, at most 4096 bytes
}

// Commit commits the positions of all assigned partitions: everything that Poll has
// returned, and in a loop over Records everything up to the record that the loop has. When it
// returns nil the commit is as safe as MemberOptions.CommitAcks says.
//
// A consumer that is out of its group, and does not know it yet perhaps, gets
// ErrUnknownMember or ErrIllegalGeneration, and the group's offsets stay as they are: others
// have the partitions. ErrRebalanceInProgress asks for a Poll before the next try.
func (c *Consumer) Commit(ctx context.Context) error { return c.engine.Commit(ctx) }

// CommitRecords commits that these records, and those before them in their partitions, were
// processed. Errors are those of Commit; a record of a partition that the consumer does
// not have any more, or has got anew since and not come to yet, is ErrIllegalGeneration. So is
// one of a topic that was deleted, whether or not there is a new topic of that name.
func (c *Consumer) CommitRecords(ctx context.Context, records ...Record) error {
	return c.engine.CommitOffsets(ctx, consumer.OffsetsAfter(records))
}

// CommitOffsets commits exactly these offsets, with metadata. Errors are those of
// CommitRecords.
func (c *Consumer) CommitOffsets(ctx context.Context, offsets map[TopicPartition]CommittedOffset) error {
	return c.engine.CommitOffsets(ctx, groupOffsets(offsets))
}

// Committed returns the group's committed offsets of tps, or without any of all
// partitions it has offsets for. Partitions without one are missing. One that is damaged, or whose topic is, is
// ErrCorruptValue.
func (c *Consumer) Committed(ctx context.Context, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	if c.engine.Group() == "" {
		return nil, fmt.Errorf("committed: %w", consumer.ErrNoGroup)
	}
	return c.b.Groups().Committed(ctx, c.engine.Group(), tps...)
}

// groupOffsets returns offsets as the engine takes them.
func groupOffsets(offsets map[TopicPartition]CommittedOffset) map[TopicPartition]group.Offset {
	out := make(map[TopicPartition]group.Offset, len(offsets))
	for tp, o := range offsets {
		out[tp] = group.Offset{Offset: o.Offset, Metadata: o.Metadata}
	}
	return out
}

// committedOffsets returns offsets as users see them.
func committedOffsets(offsets map[TopicPartition]group.Offset) map[TopicPartition]CommittedOffset {
	out := make(map[TopicPartition]CommittedOffset, len(offsets))
	for tp, o := range offsets {
		out[tp] = CommittedOffset{Offset: o.Offset, Metadata: o.Metadata}
	}
	return out
}

// Reset is a consumer's move from an offset that is not there (any more) to one that is: see
// ConsumerOptions.OutOfRange.
type Reset struct {
	TopicPartition TopicPartition
	From, To       int64 // positions
}

// Skipped returns how many offsets the consumer has missed: 0 after a move back.
func (r Reset) Skipped() int64 { return max(0, r.To-r.From) }

// Backward returns an iterator over the records of tp before s, from the newest to the oldest: all with Latest, those
// before an offset with AtOffset, those before a time with AtTime. It needs no consumer, moves no position, and knows
// of no group. AtOffset of the oldest record that a loop has had continues that loop.
//
// Records of transactions come if they were committed. It begins at the last stable offset where transactions are open.
//
// It reads what there is when it comes there. Records that are appended after it began it does not see, and what was
// removed by then is not there. Memory is needed for one batch at a time. Records and their bytes belong to the
// caller and stay valid.
//
// ErrCorruptRecord is yielded once for each damaged batch, and the loop goes on before that, as it does before the record of an
// *InterceptError (see Hook). Every other error is the end: that of ctx, ErrUnknownTopic, ErrUnknownPartition, or ErrOffsetOutOfRange for an offset behind the high watermark.
func (b *Broker) Backward(ctx context.Context, tp TopicPartition, s Start) iter.Seq2[Record, error] {
	return b.consumers.Backward(ctx, tp, s.at)
}
