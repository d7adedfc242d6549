package write

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/share"
)

// Transactor is engine.Transactor over what writes.
type Transactor struct{ Writes *Writes }

// Begin implements engine.Transactor. Nothing of a transaction is on the cluster before it is committed.
func (t Transactor) Begin(ctx context.Context) (engine.Tx, error) {
	x := &tx{view: t.view(ctx), job: t.Writes.newJob()}
	if k := t.Writes.opts.Keys; k != nil {
		own, err := k.Begin(ctx)
		if err != nil {
			return nil, err
		}
		x.own, x.keys = own, own
	}
	return x, nil
}

// View implements engine.Transactor. The offsets are those of when they are asked for.
func (t Transactor) View(ctx context.Context) (engine.View, error) {
	v := t.view(ctx)
	if k := t.Writes.opts.Keys; k != nil {
		var err error
		if v.keys, err = k.View(ctx); err != nil {
			return nil, err
		}
	}
	return &v, nil
}

func (t Transactor) view(ctx context.Context) view {
	return view{absent: engine.AbsentKeys{Absent: engine.Absent{Where: t.Writes.opts.Where}}, t: t, ctx: ctx}
}

type view struct {
	absent engine.AbsentKeys
	t      Transactor
	ctx    context.Context // of the transaction
	keys   engine.View     // the application's keys; nil where there are none
	over   bool
}

// errNoKeys says what is to be done.
var errNoKeys = errors.New("it takes cluster.Options.Keys")

// Get implements engine.View.
func (v *view) Get(key []byte) ([]byte, error) {
	if v.keys != nil {
		return v.keys.Get(key)
	}
	_, err := v.absent.Get(key)
	return nil, fmt.Errorf("%w: %w", err, errNoKeys)
}

// Scan implements engine.View.
func (v *view) Scan(opts engine.ScanOptions) iter.Seq2[engine.KeyValue, error] {
	if v.keys != nil {
		return v.keys.Scan(opts)
	}
	return func(yield func(engine.KeyValue, error) bool) {
		for kv, err := range v.absent.Scan(opts) {
			yield(kv, fmt.Errorf("%w: %w", err, errNoKeys))
			return
		}
	}
}

var errOver = fmt.Errorf("%w: the transaction is over", log.ErrClosed)

// Err implements engine.Tx.
func (v *view) Err() error {
	if v.over {
		return errOver
	}
	return nil
}

// End implements engine.View.
func (v *view) End() {
	v.over = true
	if v.keys != nil {
		v.keys.End()
	}
}

// Committed implements engine.View.
func (v *view) Committed(name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	found, err := map[log.TopicPartition]group.Offset(nil), v.Err()
	if err == nil {
		found, err = v.t.Writes.opts.Offsets.Committed(v.ctx, name, tps...)
	}
	if err != nil {
		return nil, fmt.Errorf("committed: %w", err)
	}
	return found, nil
}

// tx is a transaction while it is collected.
type tx struct {
	view
	job     *job
	own     keys.Tx           // of the application's keys; nil where there are none
	writes  map[string][]byte // of those; nil for a deletion
	commits map[engine.Member]map[log.TopicPartition]group.Offset
	later   []later // records of topics that are to be made, which a transaction does that is committed
	err     error   // the first
}

// later is what a call has produced to topics that are not there yet.
type later struct {
	opts    engine.ProduceOptions
	records []log.Record
}

// Get implements engine.View.
func (x *tx) Get(key []byte) ([]byte, error) {
	value, err := x.view.Get(key)
	if !errors.Is(err, log.ErrKeyNotFound) {
		_ = x.Fail(err)
	}
	return value, err
}

// Scan implements engine.View.
func (x *tx) Scan(opts engine.ScanOptions) iter.Seq2[engine.KeyValue, error] {
	return func(yield func(engine.KeyValue, error) bool) {
		for kv, err := range x.view.Scan(opts) {
			if !yield(kv, x.Fail(err)) {
				return
			}
		}
	}
}

// Set implements engine.Tx.
func (x *tx) Set(key string, value []byte) error {
	if x.own == nil {
		return x.Fail(fmt.Errorf("%w: %w", x.absent.Set(key, value), errNoKeys))
	}
	if value == nil {
		value = []byte{}
	}
	return x.write(key, value, x.own.Set(key, value))
}

// Delete implements engine.Tx.
func (x *tx) Delete(key string) error {
	if x.own == nil {
		return x.Fail(fmt.Errorf("%w: %w", x.absent.Delete(key), errNoKeys))
	}
	return x.write(key, nil, x.own.Delete(key))
}

// write notes what was written, if that has not failed.
func (x *tx) write(key string, value []byte, err error) error {
	if err != nil {
		return x.Fail(err)
	}
	if x.writes == nil {
		x.writes = make(map[string][]byte)
	}
	x.writes[key] = value
	return nil
}

// enter adds the records of the keys, and has the job go to the cluster when it is in nobody's way.
func (x *tx) enter() (err error) {
	if x.own == nil {
		return nil
	}
	k := x.t.Writes.opts.Keys
	if x.job.entry, err = k.Enter(x.ctx, x.own, x.writes); err != nil || len(x.writes) == 0 {
		return err
	}
	now := time.UnixMilli(time.Now().UnixMilli())
	records := make([]log.Record, 0, len(x.writes))
	for key, value := range x.writes {
		records = append(records, log.Record{Topic: k.Topic(), Key: []byte(key), Value: value, Timestamp: now})
	}
	err = x.job.add(x.ctx, engine.ProduceOptions{Partitioner: choose.Manual()}, records)
	if err == nil {
		err = x.t.Writes.compacted(k.Topic())
	}
	if err != nil {
		x.job.entry.Leave()
	}
	return err
}

// compacted returns an error when the cluster has said that a topic is not compacted any more, so that it would lose keys in time.
func (w *Writes) compacted(name string) error {
	t, err := w.topics.Get(name)
	if err != nil {
		return err
	}
	if a := w.rulesOf(t).known.Load(); a != nil && a.rules != nil && !a.rules.KeyRequired {
		return fmt.Errorf("keys of the application: %w: topic %s is not compacted any more", log.ErrInvalidConfig, name)
	}
	return nil
}

// Fail implements engine.Tx.
func (x *tx) Fail(err error) error {
	if x.err == nil && !x.over {
		x.err = err
	}
	return err
}

// Produce implements engine.Tx.
func (x *tx) Produce(opts engine.ProduceOptions, records []log.Record) error {
	err := x.Err()
	if err == nil && slices.ContainsFunc(records, func(r log.Record) bool { return x.waits(r.Topic) }) {
		x.later = append(x.later, later{opts, keep(slices.Clone(records))})
		return nil
	}
	if err == nil {
		n := len(x.job.records)
		err = x.job.add(x.ctx, opts, records)
		x.job.keep(n)
	}
	if err != nil {
		return x.Fail(fmt.Errorf("produce: %w", err))
	}
	return nil
}

// waits reports whether records of a topic wait for the commit: it is not there, or others of it wait.
func (x *tx) waits(topic string) bool {
	for _, l := range x.later {
		if slices.ContainsFunc(l.records, func(r log.Record) bool { return r.Topic == topic }) {
			return true
		}
	}
	return x.t.Writes.topics.Lacks(x.ctx, topic)
}

// Partitions implements engine.Tx.
func (x *tx) Partitions(topic string) (int32, error) {
	return x.t.Writes.topics.Count(x.ctx, topic)
}

// CommitOffsets implements engine.Tx.
func (x *tx) CommitOffsets(m engine.Member, offsets map[log.TopicPartition]group.Offset) error {
	if len(offsets) == 0 {
		return nil // what commits nothing is in no transaction, and the cluster ends none that nothing is in
	}
	if x.commits == nil {
		x.commits = make(map[engine.Member]map[log.TopicPartition]group.Offset)
	}
	if before := x.commits[m]; before != nil {
		maps.Copy(before, offsets)
	} else {
		x.commits[m] = offsets
	}
	return nil
}

// Settle implements engine.Tx: share groups know no transactions.
func (x *tx) Settle([]share.Settlement, bool) error {
	return x.Fail(x.absent.Unsupported("acknowledgements of a queue in a transaction"))
}

// Commit implements engine.Tx.
func (x *tx) Commit() error {
	if x.err != nil {
		return x.err
	}
	for _, l := range x.later {
		if err := x.job.add(x.ctx, l.opts, l.records); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	if len(x.job.records)+len(x.commits)+len(x.writes) == 0 {
		return nil
	}
	began := time.Now()
	requests := make(map[engine.Member]group.CommitRequest, len(x.commits))
	for m, offsets := range x.commits {
		req, err := m.Request(offsets)
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		for other := range requests {
			if other.Group() == m.Group() {
				return fmt.Errorf("update: %w: two consumers of group %s in one transaction", log.ErrInvalidOption, m.Group())
			}
		}
		requests[m] = req
		x.job.offsets = append(x.job.offsets, groupOffsets{m.Group(), req})
	}
	w := x.t.Writes
	err := x.enter()
	if err == nil {
		err = w.lane.commit(x.ctx, x.job)
	}
	if err == nil {
		for m, req := range requests {
			m.Saved(req)
		}
		for m, req := range requests {
			x.awaitCommitted(m.Group(), req.Offsets)
		}
		w.tell(x.ctx, began, x.job, nil)
		x.tellCommits(began, requests)
		return nil
	}
	err = fmt.Errorf("update: %w", err)
	if errors.Is(err, log.ErrOutcomeUnknown) {
		return err
	}
	if errors.Is(err, log.ErrConflict) {
		return &engine.TryAgain{Err: err}
	}
	for m, req := range requests {
		if again, after := m.Refused(req, err); again {
			return &engine.TryAgain{Err: err, When: after}
		}
	}
	return err
}

// awaitCommitted waits until who asks for the offsets of a group is told those that were committed: a coordinator has asked for the end of a
// transaction before it has seen that itself.
func (x *tx) awaitCommitted(name string, offsets map[log.TopicPartition]group.Offset) {
	tps := slices.Collect(maps.Keys(offsets))
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		found, err := x.t.Writes.opts.Offsets.Committed(x.ctx, name, tps...)
		if err != nil || !slices.ContainsFunc(tps, func(tp log.TopicPartition) bool { return found[tp].Offset != offsets[tp].Offset }) {
			return
		}
		if _, open, err := x.t.Writes.opts.Offsets.Stable(x.ctx, name, tps...); err != nil || len(open) == 0 {
			return // it is there, and others have come behind
		}
		select {
		case <-time.After(wait):
		case <-x.ctx.Done():
			return
		}
	}
}

func (x *tx) tellCommits(began time.Time, requests map[engine.Member]group.CommitRequest) {
	hooks := x.t.Writes.opts.Host.Hooks
	if !hooks.Commits() {
		return
	}
	for m, req := range requests {
		offsets := make(map[log.TopicPartition]int64, len(req.Offsets))
		for tp, o := range req.Offsets {
			offsets[tp] = o.Offset
		}
		hooks.Committed(x.ctx, &hook.CommitEvent{Group: m.Group(), Offsets: offsets, Began: began, Took: time.Since(began)})
	}
}
