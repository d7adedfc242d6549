package share

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// The headers of a dead letter, as Kafka's (KIP-1191).
const (
	HeaderTopic      = "__dlq.errors.topic"
	HeaderPartition  = "__dlq.errors.partition"
	HeaderOffset     = "__dlq.errors.offset"
	HeaderGroup      = "__dlq.errors.group"
	HeaderDeliveries = "__dlq.errors.delivery.count"
	HeaderMessage    = "__dlq.errors.message"
)

// MessageRejected is what a dead letter says that was rejected without a reason.
const MessageRejected = "Offset rejected by client."

const (
	messageTooOften = "Offset delivery count exceeded the threshold."
	messageTooLarge = " The record is too large for this topic."

	maxReason     = 8 << 10 // bytes of a reason that are left, at most, where not all goes in
	lettersAtOnce = 100
	lettersPause  = time.Second // after what could not be stored
)

// job is a dead letter to be stored.
type job struct {
	Letter
	op *op // who waits for it, nil for nobody
}

// buryAll stores the dead letters of an entry until there are none. What cannot be stored is tried again and again.
func (en *entry) buryAll() {
	for {
		en.mu.Lock()
		n := min(len(en.jobs), lettersAtOnce)
		jobs := append([]job{}, en.jobs[:n]...)
		en.jobs = en.jobs[n:]
		lease := en.lease
		jobs, settled := en.stillLocked(jobs)
		if err := en.overLocked(); err != nil || n == 0 {
			left := append(append(jobs, settled...), en.jobs...)
			en.jobs, en.burying = nil, false
			en.mu.Unlock()
			tell(left, err)
			return
		}
		en.mu.Unlock()
		tell(settled, nil)
		if len(jobs) == 0 {
			continue
		}
		err := en.bury(jobs, lease)
		if en.c.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = log.ErrClosed
		}
		tell(jobs, err)
		if err == nil {
			continue
		}
		en.c.opts.Logger.Warn("dead letters cannot be stored, it is tried again", zap.Error(en.wrap(err)))
		en.mu.Lock()
		if en.lease == lease && !en.closed {
			for i := range jobs {
				jobs[i].op = nil
			}
			en.jobs = append(jobs, en.jobs...)
		}
		en.mu.Unlock()
		pause := time.NewTimer(lettersPause)
		select {
		case <-pause.C:
		case <-en.c.ctx.Done():
			pause.Stop()
		}
	}
}

// overLocked returns why no dead letter can be stored any more, nil as long as one can.
func (en *entry) overLocked() error {
	if en.c.ctx.Err() != nil {
		return log.ErrClosed
	}
	if en.gone() {
		return en.part.Err()
	}
	return nil
}

// stillLocked tells the dead letters from those whose records are done by now, as the log has begun behind them.
func (en *entry) stillLocked(all []job) (jobs, settled []job) {
	for _, j := range all {
		if en.states != nil && en.states.IsArchiving(j.Offset) {
			jobs = append(jobs, j)
		} else {
			settled = append(settled, j)
		}
	}
	return jobs, settled
}

func tell(jobs []job, err error) {
	if err != nil {
		err = fmt.Errorf("dead letter: %w", err)
	}
	for _, j := range jobs {
		if j.op != nil {
			j.op.tell(err)
		}
	}
}

// bury stores dead letters, and that their records are done: one commit.
func (en *entry) bury(jobs []job, lease uint64) error {
	s := en.c.settings(en.key.Group)
	tx := &writer.Tx{Reserve: en.reserve(2 + len(jobs))}
	if s.DeadLetter != "" {
		if err := en.write(tx, s, jobs); err != nil {
			return err
		}
	} else {
		tx.Essential = true // there is nowhere to go any more
	}
	tx.Check = func() error {
		en.mu.Lock()
		defer en.mu.Unlock()
		if err := en.refuses(); err != nil {
			return err
		}
		if en.lease != lease {
			return errExpired
		}
		acks := make([]Ack, len(jobs))
		for i, j := range jobs {
			if !en.states.IsArchiving(j.Offset) {
				return fmt.Errorf("%w: offset %d", errSettled, j.Offset) // the log has begun behind it meanwhile
			}
			acks[i] = Ack{First: j.Offset, Last: j.Offset}
		}
		for _, j := range jobs {
			en.states.Bury(j.Offset)
		}
		en.store(tx, en.states.ChangesOf(acks, nil))
		return nil
	}
	if err := en.c.committer.DoUntil(en.c.ctx, tx); err != nil {
		return err
	}
	en.tend()
	return nil
}

// write adds dead letters to tx.
func (en *entry) write(tx *writer.Tx, s Settings, jobs []job) error {
	t, err := en.c.opts.Topic(en.c.ctx, s.DeadLetter, s.AnyDeadLetter)
	if err != nil {
		return err
	}
	to, err := t.Partition(en.key.Partition % int32(len(t.Partitions())))
	if err != nil {
		return err
	}
	var b log.Builder
	limit := to.Rules().MaxMessageBytes
	for _, j := range jobs {
		var rec log.Record
		if s.CopyRecord {
			if rec, err = en.read(j.Offset); err != nil {
				return err
			}
		}
		rec.Headers = append(rec.Headers[:len(rec.Headers):len(rec.Headers)], en.headers(j, "")...)
		if rec.Key == nil && to.Rules().KeyRequired {
			rec.Key = en.ownKey(j)
		}
		rec = en.fitting(j, rec, to.Rules().KeyRequired, limit)
		if b.Records() > 0 && b.SizeWith(rec.Key, rec.Value, rec.Headers) > limit {
			if err := add(tx, to, &b); err != nil {
				return err
			}
		}
		b.Append(nowMs(), rec.Key, rec.Value, rec.Headers)
	}
	return add(tx, to, &b)
}

// fitting returns a dead letter of which no more is left than goes into a batch of so many bytes: first the value and the
// headers of its record go, then the key, unless the topic wants one, and the end of the reason.
func (en *entry) fitting(j job, rec log.Record, keyRequired bool, limit int) log.Record {
	fits := func() bool {
		var empty log.Builder
		return empty.SizeWith(rec.Key, rec.Value, rec.Headers) <= limit
	}
	if fits() {
		return rec
	}
	rec = log.Record{Key: rec.Key, Headers: en.headers(j, messageTooLarge)}
	if fits() {
		return rec
	}
	rec.Key = nil
	if keyRequired {
		rec.Key = en.ownKey(j)
	}
	for length := maxReason; !fits() && length > 0; length /= 2 {
		if len(j.Reason) > length {
			j.Reason = strings.ToValidUTF8(j.Reason[:length], "") + "..."
			rec.Headers = en.headers(j, messageTooLarge)
		}
	}
	return rec
}

// ownKey returns a key for the dead letter of a record that has none.
func (en *entry) ownKey(j job) []byte {
	return []byte(en.key.TopicPartition.String() + "@" + strconv.FormatInt(j.Offset, 10))
}

// add adds what b holds to tx, and empties it.
func add(tx *writer.Tx, to *partition.Partition, b *log.Builder) error {
	batch, err := b.Seal(nil, log.TopicCodec(to.Rules().Compression, log.CodecNone))
	if err != nil {
		return err
	}
	tx.Appends = append(tx.Appends, writer.Append{Partition: to, Batch: batch})
	b.Reset()
	return nil
}

// headers says where a dead letter is from, and why.
func (en *entry) headers(j job, more string) []log.Header {
	return DeadLetterHeaders(en.key, j.Offset, j.Deliveries, j.Reason, more)
}

// DeadLetterHeaders returns the headers of a dead letter. A reason that is "" is that it was delivered too often.
func DeadLetterHeaders(k Key, offset int64, deliveries int, reason, more string) []log.Header {
	if reason == "" {
		reason = messageTooOften
	}
	return []log.Header{
		{Key: HeaderTopic, Value: []byte(k.Topic)},
		{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(k.Partition), 10)},
		{Key: HeaderOffset, Value: strconv.AppendInt(nil, offset, 10)},
		{Key: HeaderGroup, Value: []byte(k.Group)},
		{Key: HeaderDeliveries, Value: strconv.AppendInt(nil, int64(deliveries), 10)},
		{Key: HeaderMessage, Value: []byte(reason + more)},
	}
}

// read returns the record of an offset; one that is not there any more, or damaged, is empty.
func (en *entry) read(offset int64) (rec log.Record, err error) {
	err = en.part.FetchInto(context.Background(), "", log.ReadUncommitted, offset, func(int) ([]byte, bool) { return nil, true }, func(sb log.StoredBatch) bool {
		b := look(sb, false, true)
		for _, r := range b.records {
			if r.Offset == offset {
				rec = r
			}
		}
		return false
	})
	return rec, err
}
