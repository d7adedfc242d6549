package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// faulty is a store in memory that fails as one on a disk does.
type faulty struct {
	store.Store
	reads, writes, room atomic.Bool // what fails
}

var (
	errDisk  = errors.New("input/output error")
	errRead  = fmt.Errorf("store /data: read value: %w: %w", store.ErrIO, errDisk)
	errWrite = fmt.Errorf("store /data: commit: %w: %w", store.ErrFailed, errDisk)
	errFull  = fmt.Errorf("store /data: %w: 3 bytes free", store.ErrDiskFull)
)

func (f *faulty) Commit(b *store.Batch) error {
	if f.writes.Load() {
		return errWrite
	}
	return f.Store.Commit(b)
}

func (f *faulty) Sync() error {
	if f.writes.Load() {
		return errWrite
	}
	return f.Store.Sync()
}

func (f *faulty) Room(n int, essential bool) error {
	if f.room.Load() {
		return errFull
	}
	return f.Store.Room(n, essential)
}

func (f *faulty) Get(key []byte) ([]byte, error) {
	if f.reads.Load() {
		return nil, errRead
	}
	return f.Store.Get(key)
}

func (f *faulty) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	if f.reads.Load() {
		return errRead
	}
	return f.Store.Scan(r, fn)
}

func (f *faulty) Size() (int64, error) {
	if f.reads.Load() {
		return 0, errRead
	}
	return f.Store.Size()
}

func (f *faulty) Snapshot() (store.Snapshot, error) {
	if f.reads.Load() {
		return nil, errRead
	}
	return f.Store.Snapshot()
}

func (f *faulty) Close() error {
	if err := f.Store.Close(); err != nil || !f.writes.Load() {
		return err
	}
	return errWrite
}

// world is a broker and its clients, and what the calls are about.
type world struct {
	b     *samsa.Broker
	st    *faulty
	p     *samsa.Producer // with an id
	c     *samsa.Consumer // of the topic
	g     *samsa.Consumer // of the group
	q     *samsa.Queue    // of a group of its own
	t     *samsa.Table    // of the topic, kept
	d     samsa.Delivery  // of the queue
	topic string
	group string
	key   string
	tp    samsa.TopicPartition
	own   samsa.TopicConfig
}

// newWorld has the topic a with two records, the group g with an offset in it, and the key k. What is
// damaged is by the time it is opened.
func newWorld(t *testing.T, damaged map[string]string) *world {
	t.Helper()
	ctx := context.Background()
	first := store.OpenMemory()
	b, err := inside.Open[*samsa.Broker](first, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tp := samsa.TopicPartition{Topic: "a"}
	mustCreate(t, b, "a", 1)
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "named"})
	if err == nil {
		_, err = p.ProduceSync(ctx, samsa.Record{Topic: "a", Value: []byte("1")}, samsa.Record{Topic: "a", Value: []byte("2")})
	}
	if err == nil {
		err = b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Earliest()), tp)
	}
	if err == nil {
		err = b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("k"), []byte("v")) })
	}
	if err != nil {
		t.Fatal(err)
	}
	fork, err := first.(store.Forker).Fork()
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	w := &world{st: &faulty{Store: fork}, topic: "a", group: "g", key: "k", tp: tp}
	var batch store.Batch
	for key, value := range damaged {
		batch.Set([]byte(key), []byte(value))
	}
	err = fork.Commit(&batch)
	if err == nil {
		w.b, err = inside.Open[*samsa.Broker](w.st, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// clients opens them; errors are for the table.
func (w *world) clients(t *testing.T, what string) {
	t.Helper()
	var err error
	if w.p, err = w.b.NewProducer(t.Context(), samsa.ProducerOptions{ID: "named"}); err != nil {
		checkError(t, what+": new producer", err)
	}
	if w.c, err = w.b.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"a"}, OutOfRange: samsa.ResetError}); err != nil {
		checkError(t, what+": new consumer", err)
	}
	if w.t, err = w.b.NewTable(t.Context(), samsa.TableOptions{Topic: "a", Name: "t"}); err != nil {
		checkError(t, what+": new table", err)
	}
	if w.g, err = w.b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "g", Topics: []string{"a"}, Member: samsa.MemberOptions{ManualCommit: true}}); err != nil {
		checkError(t, what+": new group consumer", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := w.g.Poll(ctx); err != nil {
		checkError(t, what+": first poll", err)
	}
	if w.q, err = w.b.NewQueue(t.Context(), samsa.QueueOptions{Group: "q", Topics: []string{"a"}}); err != nil {
		checkError(t, what+": new queue", err)
		return
	}
	if ds, err := w.q.Receive(ctx, 1); err != nil {
		checkError(t, what+": first delivery", err)
	} else {
		w.d = ds[0]
	}
}

// step is one call; those behind the others end things.
type step struct {
	name string
	call call
}

func noCtx(f func() error) call { return func(context.Context) error { return f() } }

func lastOf[T any](all iter.Seq2[T, error]) (last error) {
	for _, err := range all {
		if last = err; err != nil {
			break
		}
	}
	return last
}

// steps are all methods that return an error, at least once.
func (w *world) steps() []step {
	var steps []step
	if w.p != nil {
		steps = w.producerSteps()
	}
	steps = append(steps, w.brokerSteps()...)
	steps = append(steps, w.adminSteps()...)
	steps = append(steps, w.txSteps()...)
	for name, c := range map[string]*samsa.Consumer{"": w.c, " of a group": w.g} {
		if c != nil {
			steps = append(steps, w.consumerSteps(name, c)...)
		}
	}
	if w.q != nil {
		steps = append(steps, w.queueSteps()...)
	}
	if w.t != nil {
		steps = append(steps, w.tableSteps()...)
	}
	topics, groups := w.b.Topics(), w.b.Groups()
	return append(steps,
		step{"Topics.DeleteRecords", func(ctx context.Context) error {
			return topics.DeleteRecords(ctx, w.topic, map[int32]int64{w.tp.Partition: -1})
		}},
		step{"Groups.DeleteOffsets", func(ctx context.Context) error { return groups.DeleteOffsets(ctx, w.group, w.tp) }},
		step{"Groups.Delete", func(ctx context.Context) error { return groups.Delete(ctx, w.group) }},
		step{"Topics.Delete", func(ctx context.Context) error { return topics.Delete(ctx, w.topic) }},
		step{"Broker.Close", noCtx(w.b.Close)},
		step{"Broker.Shutdown", w.b.Shutdown},
	)
}

func (w *world) record() samsa.Record { return samsa.Record{Topic: w.topic, Value: []byte("x")} }

func (w *world) brokerSteps() []step {
	b := w.b
	return []step{
		{"Broker.Produce", func(ctx context.Context) error { _, err := b.Produce(ctx, w.record()); return err }},
		{"Broker.ProduceWith", func(ctx context.Context) error {
			_, err := b.ProduceWith(ctx, samsa.ProduceOptions{Acks: samsa.AckSynced}, w.record())
			return err
		}},
		{"Broker.Sync", b.Sync},
		{"Broker.Stats", func(ctx context.Context) error { _, err := b.Stats(ctx); return err }},
		{"Broker.Metrics", func(ctx context.Context) error { _, err := b.Metrics(ctx, samsa.MetricsOptions{}); return err }},
		{"Broker.RetentionStats", func(ctx context.Context) error { _, err := b.RetentionStats(ctx); return err }},
		{"Broker.Sweep", func(ctx context.Context) error { _, err := b.Sweep(ctx); return err }},
		{"Broker.ListOffsets", func(ctx context.Context) error {
			_, err := b.ListOffsets(ctx, w.topic, samsa.AtTime(time.Unix(1, 0)))
			return err
		}},
		{"Broker.Backward", func(ctx context.Context) error { return lastOf(b.Backward(ctx, w.tp, samsa.Latest())) }},
		{"Broker.Backward beyond", func(ctx context.Context) error { return lastOf(b.Backward(ctx, w.tp, samsa.AtOffset(99))) }},
		{"Broker.Snapshot", func(ctx context.Context) error { return b.Snapshot(ctx, io.Discard) }},
		{"Broker.Import", func(ctx context.Context) error {
			return b.Import(ctx, bytes.NewReader(nil), samsa.ImportOptions{})
		}},
		{"Broker.View", func(ctx context.Context) error {
			return b.View(ctx, func(tx *samsa.ReadTx) error { _, err := tx.Get([]byte(w.key)); return err })
		}},
		{"Broker.Update", func(ctx context.Context) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("other"), nil) })
		}},
		{"Broker.NewProducer", func(ctx context.Context) error {
			p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "another"})
			if err == nil {
				err = p.Close()
			}
			return err
		}},
		{"Broker.NewConsumer", func(ctx context.Context) error {
			c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{w.topic}})
			if err == nil {
				err = c.Close()
			}
			return err
		}},
		{"Broker.NewTable", func(ctx context.Context) error {
			t, err := b.NewTable(ctx, samsa.TableOptions{Topic: w.topic, Name: "another"})
			if err == nil {
				err = t.Close()
			}
			return err
		}},
	}
}

func (w *world) tableSteps() []step {
	return []step{
		{"Tx.Table", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error {
				t, err := tx.Table(w.t)
				if err == nil {
					_, err = t.Get([]byte(w.key))
				}
				return err
			})
		}},
		{"Tx.Tables", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { _, err := tx.Tables(w.t, w.t); return err })
		}},
		{"ReadTx.Tables", func(ctx context.Context) error {
			return w.b.View(ctx, func(tx *samsa.ReadTx) error {
				all, err := tx.Tables(w.t)
				if err == nil {
					_, err = all[0].Get([]byte(w.key))
				}
				return err
			})
		}},
		{"Tx.Put", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Put(w.t, []byte(w.key), []byte("v"), samsa.NoRow) })
		}},
		{"Tx.PutRecord", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error {
				return tx.PutRecord(w.t, samsa.Record{Key: []byte(w.key), Value: []byte("v")}, samsa.NoRow)
			})
		}},
		{"Tx.Put stale", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Put(w.t, []byte(w.key), []byte("v"), 99) })
		}},
		{"Table.Get", noCtx(func() error { _, err := w.t.Get([]byte(w.key)); return err })},
		{"Table.Get nothing", noCtx(func() error { _, err := w.t.Get([]byte("nothing")); return err })},
		{"Table.Range", noCtx(func() error { return lastOf(w.t.Range(samsa.TableRange{})) })},
		{"Table.Lag", func(ctx context.Context) error { _, err := w.t.Lag(ctx); return err }},
		{"Table.WaitFor", func(ctx context.Context) error { return w.t.WaitFor(ctx) }},
		{"Table.Watch", func(ctx context.Context) error { return lastOf(w.t.Watch(ctx)) }},
		{"Table.Drop", noCtx(w.t.Drop)},
		{"Table.Close", noCtx(w.t.Close)},
	}
}

func (w *world) adminSteps() []step {
	topics, groups, txns := w.b.Topics(), w.b.Groups(), w.b.Transactions()
	return []step{
		{"Topics.List", func(ctx context.Context) error { _, err := topics.List(ctx); return err }},
		{"Topics.Describe", func(ctx context.Context) error { _, err := topics.Describe(ctx, w.topic); return err }},
		{"Topics.Create", func(ctx context.Context) error { return topics.Create(ctx, "new", w.own) }},
		{"Topics.Create again", func(ctx context.Context) error { return topics.Create(ctx, "a", w.own) }},
		{"Topics.Ensure", func(ctx context.Context) error { _, err := topics.Ensure(ctx, "ensured", w.own); return err }},
		{"Topics.Ensure again", func(ctx context.Context) error {
			_, err := topics.Ensure(ctx, "a", samsa.TopicConfig{Partitions: 9})
			return err
		}},
		{"Topics.AddPartitions", func(ctx context.Context) error { return topics.AddPartitions(ctx, w.topic, 3) }},
		{"Topics.AddPartitions fewer", func(ctx context.Context) error { return topics.AddPartitions(ctx, w.topic, 0) }},
		{"Topics.Alter", func(ctx context.Context) error {
			return topics.Alter(ctx, w.topic, func(c *samsa.TopicConfig) error { c.RetentionBytes = 1 << 30; return nil })
		}},
		{"Topics.Alter badly", func(ctx context.Context) error {
			return topics.Alter(ctx, w.topic, func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "x") })
		}},
		{"Transactions.List", func(ctx context.Context) error { _, err := txns.List(ctx); return err }},
		{"Transactions.Describe", func(ctx context.Context) error { _, err := txns.Describe(ctx, "orders"); return err }},
		{"Transactions.Describe none", func(ctx context.Context) error { _, err := txns.Describe(ctx, ""); return err }},
		{"Transactions.Open", func(ctx context.Context) error { _, err := txns.Open(ctx, w.topic); return err }},
		{"Transactions.Abort", func(ctx context.Context) error {
			return txns.Abort(ctx, samsa.OpenTransaction{TopicPartition: w.tp, Since: 1})
		}},
		{"Transactions.Fence", func(ctx context.Context) error { return txns.Fence(ctx, "orders") }},
		{"Groups.List", func(ctx context.Context) error { _, err := groups.List(ctx); return err }},
		{"Groups.Describe", func(ctx context.Context) error { _, err := groups.Describe(ctx, w.group); return err }},
		{"Groups.Committed", func(ctx context.Context) error { _, err := groups.Committed(ctx, w.group, w.tp); return err }},
		{"Groups.Configs", func(ctx context.Context) error { _, err := groups.Configs(ctx, w.group); return err }},
		{"Groups.SetConfigs", func(ctx context.Context) error {
			return groups.SetConfigs(ctx, w.group, map[string]string{"share.delivery.count.limit": "3"})
		}},
		{"Groups.PlanOffsets", func(ctx context.Context) error {
			_, err := groups.PlanOffsets(ctx, w.group, samsa.Shift(1), w.tp)
			return err
		}},
		{"Groups.SetOffsets", func(ctx context.Context) error {
			return groups.SetOffsets(ctx, w.group, map[samsa.TopicPartition]samsa.CommittedOffset{w.tp: {}})
		}},
		{"Groups.AlterOffsets", func(ctx context.Context) error { return groups.AlterOffsets(ctx, w.group, samsa.Shift(1), w.tp) }},
	}
}

// txSteps do one thing in a transaction each.
func (w *world) txSteps() []step {
	view := func(name string, fn func(tx *samsa.ReadTx) error) step {
		return step{"ReadTx." + name, func(ctx context.Context) error { return w.b.View(ctx, fn) }}
	}
	update := func(name string, fn func(tx *samsa.Tx) error) step {
		return step{"Tx." + name, func(ctx context.Context) error { return w.b.Update(ctx, fn) }}
	}
	offsets := map[samsa.TopicPartition]samsa.CommittedOffset{w.tp: {Offset: 1}}
	steps := []step{
		view("Get", func(tx *samsa.ReadTx) error { _, err := tx.Get([]byte(w.key)); return err }),
		view("Scan", func(tx *samsa.ReadTx) error { return lastOf(tx.Scan(nil)) }),
		view("ScanWith", func(tx *samsa.ReadTx) error { return lastOf(tx.ScanWith(samsa.ScanOptions{Reverse: true})) }),
		view("Committed", func(tx *samsa.ReadTx) error { _, err := tx.Committed(w.group, w.tp); return err }),
		update("Get", func(tx *samsa.Tx) error { _, err := tx.Get([]byte(w.key)); return err }),
		update("Scan", func(tx *samsa.Tx) error { return lastOf(tx.Scan(nil)) }),
		update("ScanWith", func(tx *samsa.Tx) error { return lastOf(tx.ScanWith(samsa.ScanOptions{Reverse: true})) }),
		update("Committed", func(tx *samsa.Tx) error { _, err := tx.Committed(w.group); return err }),
		update("Set", func(tx *samsa.Tx) error { return tx.Set([]byte("s"), nil) }),
		update("Set nothing", func(tx *samsa.Tx) error { return tx.Set(nil, nil) }),
		update("Set much", func(tx *samsa.Tx) error { return tx.Set([]byte("s"), make([]byte, 33<<20)) }),
		update("Delete", func(tx *samsa.Tx) error { return tx.Delete([]byte("s")) }),
		update("Produce", func(tx *samsa.Tx) error { return tx.Produce(w.record()) }),
		update("ProduceWith", func(tx *samsa.Tx) error {
			return tx.ProduceWith(samsa.ProduceOptions{Compression: samsa.CompressionGzip}, w.record())
		}),
		{"Tx.Get over", func(ctx context.Context) error {
			var kept *samsa.Tx
			err := w.b.Update(ctx, func(tx *samsa.Tx) error { kept = tx; return nil })
			if err == nil {
				_, err = kept.Get([]byte(w.key))
			}
			return err
		}},
	}
	if w.g != nil {
		steps = append(steps,
			update("CommitOffsets", func(tx *samsa.Tx) error { return tx.CommitOffsets(w.g, offsets) }),
			update("CommitRecords", func(tx *samsa.Tx) error { return tx.CommitRecords(w.g, w.record()) }))
	}
	return steps
}

func (w *world) producerSteps() []step {
	p := w.p
	return []step{
		{"Producer.ProduceSync", func(ctx context.Context) error { _, err := p.ProduceSync(ctx, w.record()); return err }},
		{"Producer.ProduceSync large", func(ctx context.Context) error {
			_, err := p.ProduceSync(ctx, samsa.Record{Topic: w.topic, Value: bytes.Repeat([]byte{1}, 2<<20)})
			return err
		}},
		{"Producer.Flush", p.Flush},
		{"Producer.Stored", func(ctx context.Context) error { _, err := p.Stored(ctx, w.tp); return err }},
		{"Producer.Close", noCtx(p.Close)},
		{"Producer.Shutdown", p.Shutdown},
		{"Producer.ProduceSync closed", func(ctx context.Context) error { _, err := p.ProduceSync(ctx, w.record()); return err }},
	}
}

func (w *world) queueSteps() []step {
	fail := func(context.Context, samsa.Delivery) error { return errors.New("in vain") }
	return []step{
		{"Delivery.Extend", noCtx(w.d.Extend)},
		{"Tx.Release", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Release(w.d, 0) })
		}},
		{"Tx.Reject", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Reject(w.d, "") })
		}},
		{"Tx.Ack", func(ctx context.Context) error {
			return w.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Ack(w.d) })
		}},
		{"Delivery.Ack", noCtx(w.d.Ack)},
		{"Delivery.Release", noCtx(func() error { return w.d.Release(time.Second) })},
		{"Delivery.Retry", noCtx(w.d.Retry)},
		{"Delivery.Reject", noCtx(func() error { return w.d.Reject("nobody can do it") })},
		{"Delivery.Ack none", noCtx(samsa.Delivery{}.Ack)},
		{"Queue.Ack", func(ctx context.Context) error { return w.q.Ack(ctx, w.d) }},
		{"Queue.Receive", func(ctx context.Context) error { _, err := w.q.Receive(ctx, 1); return err }},
		{"Queue.Receive none", func(ctx context.Context) error { _, err := w.q.Receive(ctx, 0); return err }},
		{"Queue.Deliveries", func(ctx context.Context) error { return lastOf(w.q.Deliveries(ctx)) }},
		{"Queue.Work", func(ctx context.Context) error { return w.q.Work(ctx, 2, fail) }},
		{"Queue.Work none", func(ctx context.Context) error { return w.q.Work(ctx, 0, fail) }},
		{"Queue.Stats", func(ctx context.Context) error { _, err := w.q.Stats(ctx); return err }},
		{"Broker.NewQueue", func(ctx context.Context) error {
			q, err := w.b.NewQueue(ctx, samsa.QueueOptions{Group: "another", Topics: []string{w.topic}})
			if err == nil {
				err = q.Close()
			}
			return err
		}},
		{"Broker.NewQueue of a group", func(ctx context.Context) error {
			_, err := w.b.NewQueue(ctx, samsa.QueueOptions{Group: w.group, Topics: []string{w.topic}})
			return err
		}},
		{"Queue.Shutdown", w.q.Shutdown},
		{"Queue.Close", noCtx(w.q.Close)},
		{"Queue.Receive closed", func(ctx context.Context) error { _, err := w.q.Receive(ctx, 1); return err }},
	}
}

func (w *world) consumerSteps(of string, c *samsa.Consumer) []step {
	steps := []step{
		{"Consumer.Poll", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
		{"Consumer.PollRecords", func(ctx context.Context) error { _, err := c.PollRecords(ctx, 1); return err }},
		{"Consumer.PollRecords of none", func(ctx context.Context) error { _, err := c.PollRecords(ctx, 0); return err }},
		{"Consumer.Collect", func(ctx context.Context) error { _, err := c.Collect(ctx, 2, time.Second); return err }},
		{"Consumer.Records", func(ctx context.Context) error { return lastOf(c.Records(ctx)) }},
		{"Consumer.RecordsUntil", func(ctx context.Context) error { return lastOf(c.RecordsUntil(ctx)) }},
		{"Consumer.Work", func(ctx context.Context) error {
			return c.Work(ctx, 2, func(context.Context, samsa.Record) error { return nil })
		}},
		{"Consumer.Position", noCtx(func() error { _, err := c.Position(w.tp); return err })},
		{"Consumer.Lag", noCtx(func() error { _, err := c.Lag(w.tp); return err })},
		{"Consumer.TotalLag", func(ctx context.Context) error { _, err := c.TotalLag(ctx); return err }},
		{"Consumer.SeekTo", func(ctx context.Context) error { return c.SeekTo(ctx, samsa.Latest(), w.tp) }},
		{"Consumer.SeekTime", func(ctx context.Context) error { return c.SeekTime(ctx, time.Unix(1, 0), w.tp) }},
		{"Consumer.SeekLast", func(ctx context.Context) error { return c.SeekLast(ctx, 1, w.tp) }},
		{"Consumer.SeekLast negative", func(ctx context.Context) error { return c.SeekLast(ctx, -1) }},
		{"Consumer.Seek", func(ctx context.Context) error { return c.Seek(ctx, w.tp, 99) }},
		{"Consumer.Poll elsewhere", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
		{"Consumer.Pause", noCtx(func() error { return c.Pause(w.tp) })},
		{"Consumer.Resume", noCtx(func() error { return c.Resume(w.tp) })},
		{"Consumer.Commit", c.Commit},
		{"Consumer.CommitRecords", func(ctx context.Context) error { return c.CommitRecords(ctx, w.record()) }},
		{"Consumer.CommitOffsets", func(ctx context.Context) error {
			return c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{w.tp: {Offset: 1, Metadata: strings.Repeat("m", 5000)}})
		}},
		{"Consumer.Committed", func(ctx context.Context) error { _, err := c.Committed(ctx, w.tp); return err }},
		{"Consumer.Shutdown", c.Shutdown},
		{"Consumer.Close", noCtx(c.Close)},
		{"Consumer.Poll closed", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
	}
	for i := range steps {
		steps[i].name += of
	}
	return steps
}
