package samsa

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/topic"
)

// Tx is a transaction: records, consumed offsets and the application's own keys, of which
// all are stored or none. It is valid during the function it was given to, for one
// goroutine.
//
// Once a method has failed, for another reason than ErrKeyNotFound, the transaction cannot
// be committed: Update returns that error if the function does not return another.
type Tx struct {
	ReadTx
	ctx     context.Context // of Update
	read    readSet
	writes  map[string][]byte       // nil for a deletion
	bytes   int                     // of writes
	call    *batcher.Call           // the records
	drafts  map[string]*topic.Topic // that are created with the transaction
	commits map[*consumer.Consumer]map[TopicPartition]group.Offset
	err     error // the first
}

// Update calls fn with a transaction, and commits it when fn returns nil. Everything in it
// becomes durable together, as safe as Options.Produce.Acks says, and the CommitAcks of the
// consumers in it, and no consumer sees a record of it before it is stored. When Update returns an error nothing is stored, except
// for ErrOutcomeUnknown, which leaves that open until the broker is opened again.
//
// A topic that does not exist yet, with Options.AutoCreateTopics, is created with the rest: it
// is there when Update has succeeded, and not when it has failed.
//
// Transactions are serialisable as to the application's keys: fn sees them as of its
// beginning, and when another Update has since written one that fn has read, fn is called
// again, with a new transaction, up to Options.MaxUpdateRetries times with growing pauses;
// then Update returns ErrConflict. So fn may run several times, and should have no effects
// but those through tx. It should not call Update: what that writes conflicts with what fn has read.
//
// A transaction with offsets of a consumer whose partitions have gone to others fails with
// ErrIllegalGeneration or ErrUnknownMember. All of it fits into one store transaction, 32 MiB
// and 4096 keys, offsets and batches, else it is ErrTxTooLarge.
func (b *Broker) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if fn == nil {
		return fmt.Errorf("update: %w", errNoFunction)
	}
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	wait := newBackoff()
	for try := 0; ; try++ {
		err := b.update(ctx, fn)
		var again *tryAgain
		if !errors.As(err, &again) {
			return err
		}
		if try == b.opts.MaxUpdateRetries {
			return fmt.Errorf("%w (after %d tries)", again.err, try+1)
		}
		if err := wait.pause(ctx, again.when); err != nil {
			return fmt.Errorf("%w (before another try: %w)", again.err, err)
		}
	}
}

// tryAgain says that a transaction failed for a reason that another try may not meet.
type tryAgain struct {
	err  error
	when <-chan struct{} // not before; nil for a pause
}

func (e *tryAgain) Error() string { return e.err.Error() }
func (e *tryAgain) Unwrap() error { return e.err }

// update is one try.
func (b *Broker) update(ctx context.Context, fn func(*Tx) error) error {
	start := b.conflicts.begin()
	snap, err := b.st.Snapshot()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	defer snap.Close()
	tx := &Tx{ReadTx: ReadTx{b: b, snap: snap}, ctx: ctx, drafts: make(map[string]*topic.Topic)}
	tx.call = b.batcher.Begin(tx.topic)
	defer tx.call.End()
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err != nil {
		return tx.err
	}
	return tx.commit(start)
}

// end is the end of the transaction, and of the topics that it has not created.
func (tx *Tx) end() {
	tx.over = true
	for _, t := range tx.drafts {
		t.Discard()
	}
}

// Get returns a copy of the value under key as this transaction has left it, or
// ErrKeyNotFound.
func (tx *Tx) Get(key []byte) ([]byte, error) {
	if value, ok := tx.writes[string(key)]; ok && !tx.over {
		if value == nil {
			return nil, fmt.Errorf("get: %w: %q", ErrKeyNotFound, key)
		}
		return slices.Clone(value), nil
	}
	value, err := tx.ReadTx.Get(key)
	if err != nil && !errors.Is(err, ErrKeyNotFound) {
		return nil, tx.fail(err)
	}
	tx.read.add(key)
	return value, err
}

// Scan iterates over the keys that begin with prefix, as this transaction has left them
// when it begins, in bytewise order. The bytes are the caller's. An error ends it.
func (tx *Tx) Scan(prefix []byte) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		tx.read.prefixes = append(tx.read.prefixes, slices.Clone(prefix))
		own := tx.ownKeys(prefix)
		values := maps.Clone(tx.writes)
		flush := func(before string, all bool) bool { // yields own keys
			for len(own) > 0 && (all || own[0] < before) {
				key := own[0]
				own = own[1:]
				if v := values[key]; v != nil && !yield(KeyValue{[]byte(key), slices.Clone(v)}, nil) {
					return false
				}
			}
			return true
		}
		for kv, err := range tx.ReadTx.Scan(prefix) {
			if err != nil {
				yield(kv, tx.fail(err))
				return
			}
			if !flush(string(kv.Key), false) {
				return
			}
			if _, ok := values[string(kv.Key)]; !ok && !yield(kv, nil) {
				return
			}
		}
		flush("", true)
	}
}

// ownKeys returns the keys with prefix that the transaction has written, in order.
func (tx *Tx) ownKeys(prefix []byte) []string {
	var own []string
	for key := range tx.writes {
		if strings.HasPrefix(key, string(prefix)) {
			own = append(own, key)
		}
	}
	slices.Sort(own)
	return own
}

// Set stores a copy of value under key, which has 1 to 1023 bytes. A nil value is an empty one.
func (tx *Tx) Set(key, value []byte) error {
	return tx.write(key, append(make([]byte, 0, len(value)), value...))
}

// Delete removes the value under key, if there is one.
func (tx *Tx) Delete(key []byte) error { return tx.write(key, nil) }

func (tx *Tx) write(key, value []byte) error {
	if err := tx.checkKey(key); err != nil {
		return tx.fail(fmt.Errorf("set: %w", err))
	}
	if tx.writes == nil {
		tx.writes = make(map[string][]byte)
	}
	if old, ok := tx.writes[string(key)]; ok {
		tx.bytes -= len(key) + len(old)
	}
	tx.writes[string(key)] = value
	tx.bytes += len(key) + len(value)
	return tx.checkSize()
}

// checkSize refuses what will not fit.
func (tx *Tx) checkSize() error {
	entries, bytes := tx.call.Size()
	entries, bytes = entries+len(tx.writes), bytes+tx.bytes
	for _, offsets := range tx.commits {
		entries += len(offsets)
	}
	if l := tx.b.st.Limits(); entries > l.Entries || bytes > l.Bytes {
		return tx.fail(fmt.Errorf("%w: %d entries and %d bytes, at most %d and %d fit into one", ErrTxTooLarge, entries, bytes, l.Entries, l.Bytes))
	}
	return nil
}

// Produce adds records, for any topics. Their bytes may be reused when it returns. Their
// offsets are not known before the transaction is committed.
func (tx *Tx) Produce(records ...Record) error {
	if tx.over {
		return fmt.Errorf("produce: %w", errTxOver)
	}
	if err := tx.call.Add(tx.ctx, records...); err != nil {
		return tx.fail(fmt.Errorf("produce: %w", err))
	}
	return tx.checkSize()
}

// topic returns the topic of that name, of which it may have to make a draft.
func (tx *Tx) topic(ctx context.Context, name string) (*topic.Topic, error) {
	if t := tx.drafts[name]; t != nil {
		return t, nil
	}
	t, err := tx.b.catalogue.Get(name)
	if !errors.Is(err, ErrUnknownTopic) || !tx.b.opts.AutoCreateTopics {
		return t, err
	}
	t, err = tx.b.catalogue.Draft(ctx, name, tx.b.opts.TopicDefaults)
	if errors.Is(err, ErrTopicExists) { // by somebody else, just now
		return tx.b.catalogue.Get(name)
	}
	if err == nil {
		tx.drafts[name] = t
	}
	return t, err
}

// CommitRecords commits, with the transaction, that these records of c, and those before
// them in their partitions, were processed.
func (tx *Tx) CommitRecords(c *Consumer, records ...Record) error {
	return tx.commitOffsets(c, consumer.OffsetsAfter(records))
}

// CommitOffsets commits exactly these offsets of c's group with the transaction. c must have
// MemberOptions.ManualCommit: else records whose transaction failed would be committed
// behind its back.
func (tx *Tx) CommitOffsets(c *Consumer, offsets map[TopicPartition]CommittedOffset) error {
	return tx.commitOffsets(c, groupOffsets(offsets))
}

func (tx *Tx) commitOffsets(c *Consumer, offsets map[TopicPartition]group.Offset) error {
	switch {
	case tx.over:
		return fmt.Errorf("commit: %w", errTxOver)
	case c == nil:
		return tx.fail(fmt.Errorf("commit: %w: the consumer is nil", ErrInvalidOption))
	case c.engine.Group() == "":
		return tx.fail(fmt.Errorf("commit: %w", consumer.ErrNoGroup))
	case c.b != tx.b:
		return tx.fail(fmt.Errorf("commit: %w: the consumer is of another broker", ErrInvalidOption))
	case !c.engine.ManualCommit():
		return tx.fail(fmt.Errorf("commit: %w: MemberOptions.ManualCommit is required of a consumer whose offsets are committed in transactions", ErrInvalidOption))
	}
	if tx.commits == nil {
		tx.commits = make(map[*consumer.Consumer]map[TopicPartition]group.Offset)
	}
	if tx.commits[c.engine] == nil {
		tx.commits[c.engine] = make(map[TopicPartition]group.Offset)
	}
	maps.Copy(tx.commits[c.engine], offsets)
	return tx.checkSize()
}

// fail keeps the transaction from being committed.
func (tx *Tx) fail(err error) error {
	if tx.err == nil && !tx.over {
		tx.err = err
	}
	return err
}

// commit stores what there is.
func (tx *Tx) commit(start *link) error {
	if err := tx.call.Seal(); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if batches, _ := tx.call.Size(); len(tx.writes)+batches+len(tx.commits) == 0 {
		return nil
	}
	requests, err := tx.requests()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	checked, err := start.check(&tx.read) // what there is so far: not on the committer's time
	if err != nil {
		return tx.judge(fmt.Errorf("update: %w", err), requests)
	}
	ptx := tx.call.Take()
	ptx.Essential = len(tx.writes)+len(ptx.Appends) == 0
	keys := slices.Sorted(maps.Keys(tx.writes))
	for _, key := range keys {
		if value := tx.writes[key]; value != nil {
			ptx.Writes.Set(store.AppendAppKey(nil, []byte(key)), append([]byte{appValueVersion}, value...))
		} else {
			ptx.Writes.Delete(store.AppendAppKey(nil, []byte(key)))
		}
	}
	var placed *link
	ptx.Check = func() (err error) {
		placed, err = tx.b.conflicts.place(checked, &tx.read, keys)
		return err
	}
	stored := false
	ptx.Done = func(err error) {
		stored = err == nil
		if stored && placed != nil {
			tx.b.conflicts.show(placed)
		}
	}
	created, err := tx.b.catalogue.CreateWith(tx.ctx, ptx, slices.Collect(maps.Values(tx.drafts)))
	if err != nil {
		return tx.judge(fmt.Errorf("update: %w", err), requests)
	}
	synced := tx.b.opts.Produce.Acks == AckSynced
	for _, req := range requests {
		synced = synced || req.Synced
	}
	err = tx.b.groups.CommitWith(tx.ctx, ptx, synced, requests)
	created(stored)
	if stored {
		clear(tx.drafts)
	}
	if err == nil {
		for c := range tx.commits {
			c.Saved(requests[c.Group()])
		}
		return nil
	}
	return tx.judge(fmt.Errorf("update: %w", err), requests)
}

// requests are the commits of offsets by group.
func (tx *Tx) requests() (map[string]group.CommitRequest, error) {
	requests := make(map[string]group.CommitRequest, len(tx.commits))
	for c, offsets := range tx.commits {
		if _, ok := requests[c.Group()]; ok {
			return nil, fmt.Errorf("%w: two consumers of group %s in one transaction", ErrInvalidOption, c.Group())
		}
		req, err := c.Request(offsets)
		if err != nil {
			return nil, err
		}
		requests[c.Group()] = req
	}
	return requests, nil
}

// judge says whether another try may succeed where this one has failed: after a conflict,
// and when the group was only ahead of what its member has heard.
func (tx *Tx) judge(err error, requests map[string]group.CommitRequest) error {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrTopicExists) || len(tx.commits) > 0 && errors.Is(err, ErrUnknownTopic) {
		return &tryAgain{err: err} // a topic that is gone the next try hears of in time
	}
	for c := range tx.commits {
		if again, after := c.Refused(requests[c.Group()], err); again {
			return &tryAgain{err: err, when: after}
		}
	}
	return err
}

// backoff makes pauses that double, of which a random half is taken.
type backoff struct{ next time.Duration }

const (
	firstBackoff = time.Millisecond
	maxBackoff   = 128 * time.Millisecond
)

func newBackoff() *backoff { return &backoff{next: firstBackoff} }

// pause waits for when, or if that is nil for a while.
func (b *backoff) pause(ctx context.Context, when <-chan struct{}) error {
	var after <-chan time.Time
	if when == nil {
		timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
		defer timer.Stop()
		after = timer.C
		b.next = min(maxBackoff, 2*b.next)
	}
	select {
	case <-after:
		return nil
	case <-when:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
