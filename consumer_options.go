package samsa

import (
	"context"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
)

// Start is where a consumer begins to read: Earliest, Latest, AtOffset or AtTime.
type Start struct{ at engine.Start }

// Earliest starts at the first record that is still there. It is the zero Start.
func Earliest() Start { return Start{} }

// Latest starts behind the last record.
func Latest() Start { return Start{engine.Start{Kind: engine.Latest}} }

// Committed is for consumers of a group that must not begin anywhere but at the group's
// committed offset: without one Poll returns ErrNoOffset until a Seek.
func Committed() Start { return Start{engine.Start{Kind: engine.Committed}} }

// AtOffset starts at that offset of every partition.
func AtOffset(offset int64) Start {
	return Start{engine.Start{Kind: engine.AtOffset, Offset: offset}}
}

// AtTime starts at the first record whose timestamp is t or later, or behind the last
// record where there is none. Like the timestamps of the log t counts in whole milliseconds,
// the rest is dropped: a record that was produced with the timestamp t is found.
func AtTime(t time.Time) Start { return Start{engine.Start{Kind: engine.AtTime, Time: t}} }

// String returns the start in words.
func (s Start) String() string { return s.at.String() }

// ResetPolicy says what happens to a consumer that stands where no records can be: before
// the log start offset because they were removed, or behind the log end.
//
//	const (
//		// ResetEarliest goes on at the first record there is. The default.
//		ResetEarliest ResetPolicy = iota
//		// ResetLatest goes on behind the last record.
//		ResetLatest
//		// ResetError makes Poll return ErrOffsetOutOfRange until the consumer seeks.
//		ResetError
//	)
type ResetPolicy = consumer.ResetPolicy

// What happens to a consumer that stands where no records can be.
const (
	// ResetEarliest goes on at the first record there is. The default.
	ResetEarliest = consumer.ResetEarliest
	// ResetLatest goes on behind the last record.
	ResetLatest = consumer.ResetLatest
	// ResetError makes Poll return ErrOffsetOutOfRange until the consumer seeks.
	ResetError = consumer.ResetError
)

// Isolation says which records of transactions a reader gets, by Kafka's names. Its numbers are not Kafka's: the zero
// value is the one that is right for most.
//
//	const (
//		// ReadCommitted gets the records of committed transactions, and those of none, in the order of their offsets. It
//		// waits at a transaction that is open: for its end, or for its time-out. The default.
//		ReadCommitted Isolation = iota
//		// ReadUncommitted gets all records, those of transactions too that are open or were aborted. Kafka's default.
//		ReadUncommitted
//	)
type Isolation = log.Isolation

// Which records of transactions a consumer gets.
const (
	// ReadCommitted gets the records of committed transactions, and those of none, in the order of their offsets. It
	// waits at a transaction that is open: for its end, or for its time-out. The default.
	ReadCommitted = log.ReadCommitted
	// ReadUncommitted gets all records, those of transactions too that are open or were aborted. Kafka's default.
	ReadUncommitted = log.ReadUncommitted
)

// ConsumerOptions says what a consumer reads and how. Topics, TopicPattern or Partitions is
// needed.
type ConsumerOptions struct {
	// Group shares the topics with the other consumers of that name: each partition is
	// read by one of them. "" for a consumer that reads everything itself.
	Group string
	// Member says how the consumer takes part in its group.
	Member MemberOptions
	// ClientID names the program for people: in descriptions of its group, in errors of Close, and in the test kit.
	ClientID string
	// Topics to read, all partitions of each, those added later too.
	Topics []string
	// TopicPattern selects topics by their names, those created later too.
	TopicPattern *regexp.Regexp
	// Partitions to read, by topic, for those who want to choose.
	Partitions map[string][]int32
	// Start is where to begin in each partition, in a group where it has no committed
	// offset; Earliest by default. Partitions that are added later are read from their
	// first record.
	Start Start
	// Isolation says which records of transactions the consumer gets: with ReadCommitted, the default, those that
	// were committed. Only Kafka clients have transactions that are open for a while. What Broker.Update
	// and Broker.Produce write is committed when it is there.
	Isolation Isolation
	// OutOfRange says what happens when an offset is not there (any more). A reset is logged as
	// a warning and counted in Stats.
	OutOfRange ResetPolicy
	// OnReset, if set, is told of each reset, inside Poll or the loop over Records, before any
	// record from behind it. It may use the consumer, say to Seek or Close it, but not Poll.
	OnReset func(ctx context.Context, c *Consumer, r Reset)
	// MaxPollRecords bounds the records of one Poll. 0 means 4096.
	MaxPollRecords int
	// MaxPollBytes bounds the keys, values and headers of one Poll, in bytes; the first
	// record comes even if it is larger. 0 means 4 MiB. A consumer holds about twice as
	// much in memory.
	MaxPollBytes int
	// OrderByKey has Work do the records of one key of a partition one after the other, in their order. Records without
	// a key have none. It is for Work alone.
	OrderByKey bool
}

const (
	defaultMaxPollRecords = 4096
	defaultMaxPollBytes   = 4 << 20
)

func (o ConsumerOptions) withDefaults() ConsumerOptions {
	if o.MaxPollRecords == 0 {
		o.MaxPollRecords = defaultMaxPollRecords
	}
	if o.MaxPollBytes == 0 {
		o.MaxPollBytes = defaultMaxPollBytes
	}
	o.Member = o.Member.withDefaults()
	return o
}

// of returns o as the engine of c has it, which calls c's callbacks.
func (o ConsumerOptions) of(c *Consumer) consumer.Options {
	e := consumer.Options{
		Group: o.Group, Topics: o.Topics, TopicPattern: o.TopicPattern, Partitions: o.Partitions,
		Start: o.Start.at, Isolation: o.Isolation, OutOfRange: o.OutOfRange,
		MaxPollRecords: o.MaxPollRecords, MaxPollBytes: o.MaxPollBytes, OrderByKey: o.OrderByKey,
		Member: o.Member.asMember(o.ClientID), SyncedCommits: o.Member.CommitAcks == AckSynced,
		OnAssigned: c.called(o.Member.OnAssigned), OnRevoked: c.called(o.Member.OnRevoked), OnLost: c.called(o.Member.OnLost),
	}
	if o.OnReset != nil {
		e.OnReset = func(ctx context.Context, r consumer.Reset) { o.OnReset(ctx, c, Reset(r)) }
	}
	return e
}

// called returns fn as the engine of c calls it.
func (c *Consumer) called(fn func(context.Context, *Consumer, []TopicPartition)) func(context.Context, []TopicPartition) {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, tps []TopicPartition) { fn(ctx, c, tps) }
}

func (o ConsumerOptions) validate(rules group.Rules) error {
	var w option.Mistakes
	w.Check(len(o.Topics) > 0 || len(o.Partitions) > 0 || o.TopicPattern != nil,
		"ConsumerOptions.Topics", "empty", "a topic, or ConsumerOptions.TopicPattern or Partitions")
	w.Check(o.Group == "" || len(o.Partitions) == 0, "ConsumerOptions.Partitions", o.Partitions, "none with ConsumerOptions.Group, which assigns them")
	w.Check(o.Group != "" || o.Start != Committed(), "ConsumerOptions.Start", o.Start, "another one without ConsumerOptions.Group")
	if o.Group != "" {
		w.Check(group.CheckName(o.Group) == nil, "ConsumerOptions.Group", fmt.Sprintf("%.20q... of %d bytes", o.Group, len(o.Group)), "at most 512 bytes")
	}
	w.Check(utf8.ValidString(o.ClientID), "ConsumerOptions.ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	o.Member.check(&w, o.Group, rules)
	for _, name := range o.Topics {
		_, both := o.Partitions[name]
		w.Check(!both, "ConsumerOptions.Partitions", fmt.Sprintf("%q", name), "no topic that is in ConsumerOptions.Topics too")
	}
	for name, ps := range o.Partitions {
		w.Check(len(ps) > 0, fmt.Sprintf("ConsumerOptions.Partitions[%q]", name), "empty", "at least one partition")
	}
	w.Check(o.Start.at.Kind != engine.AtOffset || o.Start.at.Offset >= 0, "ConsumerOptions.Start", o.Start, "an offset of 0 or more")
	w.Check(log.KnownIsolation(o.Isolation), "ConsumerOptions.Isolation", o.Isolation, "one of the Read constants")
	w.Check(consumer.KnownReset(o.OutOfRange), "ConsumerOptions.OutOfRange", o.OutOfRange, "one of the Reset constants")
	w.Check(o.MaxPollRecords >= 0, "ConsumerOptions.MaxPollRecords", o.MaxPollRecords, "0 or more")
	w.Check(o.MaxPollBytes >= 0, "ConsumerOptions.MaxPollBytes", o.MaxPollBytes, "0 or more")
	return w.Err()
}
