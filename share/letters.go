package share

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// ErrDeadLetter is in errors of acknowledgements whose dead letters cannot be stored. It is tried again.
var ErrDeadLetter = errors.New("dead letter")

// MessageRejected is what a dead letter says that was rejected without a reason.
const MessageRejected = "Offset rejected by client."

const (
	messageTooOften = "Offset delivery count exceeded the threshold."
	messageTooLarge = " The record is too large for this topic."

	maxReason     = 8 << 10 // bytes of a reason that are left, at most, where not all goes in
	lettersAtOnce = 100
	lettersBytes  = 4 << 20 // of a commit, or one letter

	// How long it is waited after what could not be stored: twice as long each time, as long as nothing can.
	minLettersPause = time.Second
	maxLettersPause = 30 * time.Second
)

// job is a dead letter to be stored.
type job struct {
	Letter
	op *op // who waits for it, nil for nobody
}

// buryAll stores the dead letters of an entry until there are none. What cannot be stored is tried again and again.
func (en *entry) buryAll() {
	pause := minLettersPause
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
		n, err := en.bury(jobs, lease)
		if en.c.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = log.ErrClosed
		}
		tell(jobs[:n], err)
		if err == nil {
			en.putBack(jobs[n:], lease, nil)
			pause = minLettersPause
			continue
		}
		en.c.opts.Logger.Warn("dead letters cannot be stored, it is tried again", zap.Duration("after", pause), zap.Error(en.wrap(err)))
		for i := range jobs[:n] {
			jobs[i].op = nil
		}
		en.putBack(jobs, lease, fmt.Errorf("%w: %w", ErrDeadLetter, err))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-en.c.ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, maxLettersPause)
		en.putBack(nil, lease, nil)
	}
}

// putBack has dead letters be the next ones, if they are still those of the group, and notes why they could not be stored.
func (en *entry) putBack(jobs []job, lease uint64, failing error) {
	en.mu.Lock()
	en.failing = failing
	if en.lease == lease && !en.closed {
		en.jobs = append(jobs, en.jobs...)
		jobs = nil
	}
	en.mu.Unlock()
	tell(jobs, errAnew)
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
		err = fmt.Errorf("%w: %w", ErrDeadLetter, err)
	}
	for _, j := range jobs {
		if j.op != nil {
			j.op.tell(err)
		}
	}
}

// bury stores dead letters, and that their records are done: one commit, of the first n or of all. With an error n are
// those that it is about.
func (en *entry) bury(jobs []job, lease uint64) (n int, err error) {
	s := en.c.settings(en.key.Group)
	tx := &writer.Tx{Reserve: en.reserve(spareEntries + 2 + len(jobs))}
	if s.DeadLetter != "" {
		if n, err = en.write(tx, s, jobs); err != nil {
			return len(jobs), err
		}
		jobs = jobs[:n]
	} else {
		tx.Essential = true // there is nowhere to go any more
		n = len(jobs)
	}
	for _, j := range jobs {
		tx.Synced = tx.Synced || j.op != nil && j.op.synced
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
		en.store(tx, en.states.Changes(spareEntries))
		return nil
	}
	if err := en.c.committer.DoUntil(en.c.ctx, tx); err != nil {
		return n, err
	}
	en.follow()
	return n, nil
}

// acknowledgeWith carries out an op with the dead letters that come of it, in one commit. What keeps these from being stored
// does not keep the rest: then they are stored on their own.
func (en *entry) acknowledgeWith(o *op, letters []Letter, s Settings, commit func(*writer.Tx) error) {
	jobs := make([]job, len(letters))
	for i := range letters {
		jobs[i].Letter = letters[i]
	}
	alone := func() {
		o.plain = true
		en.acknowledge(o, en.c.submit)
	}
	tx := &writer.Tx{Synced: o.synced, Reserve: en.reserve(spareEntries + o.extent)}
	if n, err := en.write(tx, s, jobs); err != nil || n < len(jobs) {
		alone()
		return
	}
	var wrong error
	decided := false
	tx.Check = func() error {
		r := en.c.settings(en.key.Group).rules()
		en.mu.Lock()
		defer en.mu.Unlock()
		en.expireLocked(nowMs(), r)
		if wrong = en.checkLocked(o.member, o.acks); wrong != nil {
			return wrong
		}
		if !slices.Equal(letters, en.states.LettersOf(o.acks, r)) {
			return errExpired // the settings, or the log, are others by now
		}
		decided = true
		en.counts.add(en.states.Settle(soonMs(), o.acks, r))
		for _, l := range en.states.Letters() {
			en.states.Bury(l.Offset)
		}
		en.store(tx, en.states.ChangesOf(o.acks, nil))
		en.store(tx, en.states.Changes(spareEntries))
		return nil
	}
	tx.Stored = en.follow
	tx.Done = func(err error) {
		if err == nil || decided || wrong != nil {
			o.tell(err)
			return
		}
		alone()
	}
	_ = commit(tx)
}

// write adds dead letters to tx: the first n, where all are too many bytes for a commit.
func (en *entry) write(tx *writer.Tx, s Settings, jobs []job) (n int, err error) {
	t, err := en.c.opts.Topic(en.c.ctx, s.DeadLetter, s.AnyDeadLetter)
	if err != nil {
		return 0, err
	}
	to, err := t.Partition(en.key.Partition % int32(len(t.Partitions())))
	if err != nil {
		return 0, err
	}
	var b log.Builder
	bytes, limit := 0, to.Rules().MaxMessageBytes
	for _, j := range jobs {
		var rec log.Record
		if s.CopyRecord {
			if rec, err = en.read(j.Offset); err != nil {
				return 0, err
			}
		}
		rec.Headers = append(rec.Headers[:len(rec.Headers):len(rec.Headers)], en.headers(j, "")...)
		if rec.Key == nil && to.Rules().KeyRequired {
			rec.Key = en.ownKey(j)
		}
		rec = en.fitting(j, rec, to.Rules().KeyRequired, limit)
		var empty log.Builder
		size := empty.SizeWith(rec.Key, rec.Value, rec.Headers)
		if n > 0 && bytes+size > lettersBytes {
			break
		}
		if b.Records() > 0 && b.SizeWith(rec.Key, rec.Value, rec.Headers) > limit {
			if err := add(tx, to, &b); err != nil {
				return 0, err
			}
		}
		b.Append(nowMs(), rec.Key, rec.Value, rec.Headers)
		n, bytes = n+1, bytes+size
	}
	return n, add(tx, to, &b)
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
