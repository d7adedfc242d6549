package transact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/topic"
)

// Tx is a transaction: see samsa.Tx. It is valid during the function it was given to, for one
// goroutine.
type Tx struct {
	View
	conflicts *conflicts
	start     *link           // of the conflicts
	ctx       context.Context // of Update
	read      readSet
	writes    map[string][]byte       // nil for a deletion
	bytes     int                     // of writes
	call      *batcher.Call           // the records
	drafts    map[string]*topic.Topic // that are created with the transaction
	commits   map[engine.Member]map[log.TopicPartition]group.Offset
	settles   []share.Settlement
	decided   map[decided]share.AckType // what they say, one for each record
	synced    bool                      // it waits for fsync, whatever else is in it
	guards    []Guard
	err       error // the first
}

// End is the end of the transaction, and of the topics that it has not created.
func (tx *Tx) End() {
	tx.View.End()
	tx.call.End()
	for _, t := range tx.drafts {
		t.Discard()
	}
}

// Get is samsa.Tx.Get.
func (tx *Tx) Get(key []byte) ([]byte, error) {
	if value, ok := tx.writes[string(key)]; ok && !tx.over {
		if value == nil {
			return nil, fmt.Errorf("get: %w: %q", log.ErrKeyNotFound, key)
		}
		return slices.Clone(value), nil
	}
	value, err := tx.View.Get(key)
	if err != nil && !errors.Is(err, log.ErrKeyNotFound) {
		return nil, tx.Fail(err)
	}
	tx.read.add(key)
	return value, err
}

// Scan is samsa.Tx.ScanWith.
func (tx *Tx) Scan(opts engine.ScanOptions) iter.Seq2[engine.KeyValue, error] {
	return func(yield func(engine.KeyValue, error) bool) {
		keys := keysOf(opts)
		own, noted := tx.own(keys), tx.read.scan(keys)
		give := func(kv engine.KeyValue) bool {
			noted.reached(kv.Key)
			return yield(kv, nil)
		}
		whole := true
		tx.scan(keys, func(kv engine.KeyValue, err error) bool {
			if whole = err == nil; !whole {
				return yield(kv, tx.Fail(err))
			}
			var hidden bool
			own, hidden, whole = giveOwn(own, kv.Key, opts.Reverse, give)
			whole = whole && (hidden || give(kv))
			return whole
		})
		if whole {
			_, _, whole = giveOwn(own, nil, opts.Reverse, give)
		}
		if whole {
			noted.ended()
		}
	}
}

// giveOwn gives the keys of a transaction that come no later than key, or all if that is nil, and returns the others.
// hidden tells that key is one of them.
func giveOwn(own []engine.KeyValue, key []byte, reverse bool, give func(engine.KeyValue) bool) (rest []engine.KeyValue, hidden, more bool) {
	for ; len(own) > 0; own = own[1:] {
		order := bytes.Compare(own[0].Key, key)
		if key != nil && (order > 0 && !reverse || order < 0 && reverse) {
			break
		}
		hidden = key != nil && order == 0
		if v := own[0].Value; v != nil && !give(engine.KeyValue{Key: own[0].Key, Value: slices.Clone(v)}) {
			return own, hidden, false
		}
	}
	return own, hidden, true
}

// own returns the keys that the transaction has written, in the order of a scan, with their values: nil for a deletion.
func (tx *Tx) own(keys store.Range) []engine.KeyValue {
	var own []engine.KeyValue
	for key, value := range tx.writes {
		if keys.Contains(store.AppendAppKey(nil, []byte(key))) {
			own = append(own, engine.KeyValue{Key: []byte(key), Value: value})
		}
	}
	slices.SortFunc(own, func(a, b engine.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	if keys.Reverse {
		slices.Reverse(own)
	}
	return own
}

// Set is samsa.Tx.Set. The value belongs to the transaction.
func (tx *Tx) Set(key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return tx.write(key, value)
}

// Delete is samsa.Tx.Delete.
func (tx *Tx) Delete(key string) error { return tx.write(key, nil) }

func (tx *Tx) write(key string, value []byte) error {
	if err := tx.checkKey(len(key)); err != nil {
		return tx.Fail(fmt.Errorf("set: %w", err))
	}
	if tx.writes == nil {
		tx.writes = make(map[string][]byte)
	}
	if old, ok := tx.writes[key]; ok {
		tx.bytes -= len(key) + len(old)
	}
	tx.writes[key] = value
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
	for i := range tx.settles {
		entries += share.Extent(tx.settles[i].Acks)
	}
	if l := tx.broker.Store.Limits(); entries > l.Entries || bytes > l.Bytes {
		return tx.Fail(fmt.Errorf("%w: %d entries and %d bytes, at most %d and %d fit into one", log.ErrTxTooLarge, entries, bytes, l.Entries, l.Bytes))
	}
	return nil
}

// Produce is samsa.Tx.ProduceWith.
func (tx *Tx) Produce(opts engine.ProduceOptions, records []log.Record) error {
	if err := tx.Err(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := tx.call.Add(tx.ctx, opts, records); err != nil {
		return tx.Fail(fmt.Errorf("produce: %w", err))
	}
	return tx.checkSize()
}

// topic returns the topic of that name, of which it may have to make a draft.
func (tx *Tx) topic(ctx context.Context, name string) (*topic.Topic, error) {
	if t := tx.drafts[name]; t != nil {
		return t, nil
	}
	t, err := tx.broker.Catalogue.Get(name)
	if !errors.Is(err, log.ErrUnknownTopic) || !tx.broker.AutoCreateTopics {
		return t, err
	}
	t, err = tx.broker.Catalogue.Draft(ctx, name, tx.broker.TopicDefaults)
	if errors.Is(err, log.ErrTopicExists) { // by somebody else, just now
		return tx.broker.Catalogue.Get(name)
	}
	if err == nil {
		tx.drafts[name] = t
	}
	return t, err
}

// CommitOffsets commits these offsets of m with the transaction, which is not over.
func (tx *Tx) CommitOffsets(m engine.Member, offsets map[log.TopicPartition]group.Offset) error {
	if tx.commits == nil {
		tx.commits = make(map[engine.Member]map[log.TopicPartition]group.Offset)
	}
	if before := tx.commits[m]; before != nil {
		maps.Copy(before, offsets)
	} else {
		tx.commits[m] = offsets
	}
	return tx.checkSize()
}

// Settle has deliveries become with the transaction, which is not over, what all say. Synced has it wait for fsync. For what
// is to become something else already it is ErrInvalidRecordState, and the transaction fails.
func (tx *Tx) Settle(all []share.Settlement, synced bool) error {
	for i := range all {
		if err := tx.decide(&all[i]); err != nil {
			return tx.Fail(err)
		}
	}
	tx.settles = append(tx.settles, all...)
	tx.synced = tx.synced || synced
	return tx.checkSize()
}

// Guard is what a transaction has read that is no key of the application.
type Guard interface {
	// Partitions are those whose batches it is about.
	Partitions() []*partition.Partition
	// Check returns ErrConflict if what was read was written since. It is called on the committer's time, when all that is before
	// the transaction in these partitions has its offsets.
	Check() error
}

// Guard has the transaction be stored only if g does not object then.
func (tx *Tx) Guard(g Guard) { tx.guards = append(tx.guards, g) }

// guard has the committer ask the guards, and then place.
func (tx *Tx) guard(ptx *writer.Tx, place func() error) {
	for _, g := range tx.guards {
		ptx.Settled = append(ptx.Settled, g.Partitions()...)
	}
	ptx.Check = func() error {
		for _, g := range tx.guards {
			if err := g.Check(); err != nil {
				return err
			}
		}
		return place()
	}
}

// decided is a record with a share group.
type decided struct {
	share.Key
	offset int64
}

// decide notes what becomes of records.
func (tx *Tx) decide(s *share.Settlement) error {
	if tx.decided == nil {
		tx.decided = make(map[decided]share.AckType)
	}
	for _, a := range s.Acks {
		for offset := a.First; offset <= a.Last; offset++ {
			d := decided{s.Key, offset}
			if before, ok := tx.decided[d]; ok && before != a.Types[0] {
				return fmt.Errorf("%w: offset %d of %s: the transaction has it already, as %s", log.ErrInvalidRecordState, offset, s.Key, before)
			}
			tx.decided[d] = a.Types[0]
		}
	}
	return nil
}

// Partitions returns how many partitions a topic has, which the transaction may create.
func (tx *Tx) Partitions(name string) (int32, error) {
	t, err := tx.topic(tx.ctx, name)
	if err != nil {
		return 0, err
	}
	return int32(len(t.Partitions())), nil
}

// Fail keeps the transaction from being committed. It returns err.
func (tx *Tx) Fail(err error) error {
	if tx.err == nil && !tx.over {
		tx.err = err
	}
	return err
}

// Check returns ErrConflict if another transaction has written since what this one has read.
func (tx *Tx) Check() error {
	_, err := tx.start.check(&tx.read)
	return err
}

// Read reports whether it has read a key, found or not, or gone over it in a scan.
func (tx *Tx) Read(key string) bool { return tx.read.has(key) }

// Commit stores what there is.
func (tx *Tx) Commit() error {
	if tx.err != nil {
		return tx.err
	}
	var began time.Time
	if tx.broker.Hooks != nil {
		began = time.Now()
	}
	if err := tx.call.Seal(); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if batches, _ := tx.call.Size(); len(tx.writes)+batches+len(tx.commits)+len(tx.settles) == 0 {
		return nil
	}
	requests, err := tx.requests()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	checked, err := tx.start.check(&tx.read) // what there is so far: not on the committer's time
	if err != nil {
		return tx.judge(fmt.Errorf("update: %w", err), requests)
	}
	ptx := tx.call.Take()
	ptx.Essential = len(tx.writes)+len(ptx.Appends) == 0
	keys := tx.writeTo(&ptx.Writes)
	var placed *link
	tx.guard(ptx, func() (err error) {
		placed, err = tx.conflicts.place(checked, &tx.read, keys)
		return err
	})
	ptx.Synced = ptx.Synced || tx.synced
	if len(tx.settles) > 0 {
		err := tx.broker.Shares.Admit(tx.ctx, tx.settles)
		if err == nil {
			err = tx.broker.Shares.With(ptx, tx.settles)
		}
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		defer tx.broker.Shares.Decided(tx.settles)
	}
	stored := false
	ptx.Done = func(err error) {
		stored = err == nil
		if stored && placed != nil {
			tx.conflicts.show(placed)
		}
	}
	created, err := tx.broker.Catalogue.CreateWith(tx.ctx, ptx, slices.Collect(maps.Values(tx.drafts)))
	if err != nil {
		return tx.judge(fmt.Errorf("update: %w", err), requests)
	}
	for _, req := range requests {
		ptx.Synced = ptx.Synced || req.Synced
	}
	err = tx.broker.Groups.CommitWith(tx.ctx, ptx, requests)
	created(stored)
	if len(tx.settles) > 0 {
		err = tx.broker.Shares.Answered(tx.ctx, tx.settles, err)
	}
	if stored {
		clear(tx.drafts)
	}
	if err == nil {
		for m := range tx.commits {
			m.Saved(requests[m.Group()])
		}
		tx.tell(began, ptx, requests)
		return nil
	}
	return tx.judge(fmt.Errorf("update: %w", err), requests)
}

// writeTo writes the keys of the application, and returns them in order.
func (tx *Tx) writeTo(b *store.Batch) []string {
	keys := slices.Sorted(maps.Keys(tx.writes))
	for _, key := range keys {
		if value := tx.writes[key]; value != nil {
			b.Set(store.AppendAppKey(nil, []byte(key)), append([]byte{valueVersion}, value...))
		} else {
			b.Delete(store.AppendAppKey(nil, []byte(key)))
		}
	}
	return keys
}

// requests are the commits of offsets by group.
func (tx *Tx) requests() (map[string]group.CommitRequest, error) {
	requests := make(map[string]group.CommitRequest, len(tx.commits))
	for m, offsets := range tx.commits {
		if _, ok := requests[m.Group()]; ok {
			return nil, fmt.Errorf("%w: two consumers of group %s in one transaction", log.ErrInvalidOption, m.Group())
		}
		req, err := m.Request(offsets)
		if err != nil {
			return nil, err
		}
		requests[m.Group()] = req
	}
	return requests, nil
}

// judge says whether another try may succeed where this one has failed: after a conflict,
// and when the group was only ahead of what its member has heard.
func (tx *Tx) judge(err error, requests map[string]group.CommitRequest) error {
	if errors.Is(err, log.ErrConflict) || errors.Is(err, log.ErrTopicExists) || len(tx.commits) > 0 && errors.Is(err, log.ErrUnknownTopic) {
		return &engine.TryAgain{Err: err} // a topic that is gone the next try hears of in time
	}
	for m := range tx.commits {
		if again, after := m.Refused(requests[m.Group()], err); again {
			return &engine.TryAgain{Err: err, When: after}
		}
	}
	return err
}
