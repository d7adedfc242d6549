package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// A call is a method of the API.
type call struct {
	name string // as "Topics.Create"
	fn   func(ctx context.Context) error
}

// world is one of each thing that has methods.
type world struct {
	*kit
	topic, group string // that are there
	p            *samsa.Producer
	c            *samsa.Consumer // that has read a record
	g            *samsa.Consumer // likewise, as a member of a group
	auto         *samsa.Consumer // a member that commits by itself
	q            *samsa.Queue
	d            samsa.Delivery // of q
	t            *samsa.Table
}

func newWorld(k *kit) *world {
	w := &world{kit: k}
	w.topic, w.group = k.topic(1), k.freshGroup()
	k.write(w.topic, "a", "b")
	k.must(k.Groups().SetOffsets(k.ctx, w.group, offsetOf(w.topic, 1)))
	w.p = k.producer(samsa.ProducerOptions{ID: k.fresh("id")})
	w.c, w.g = k.reader(w.topic), k.consumer(manual(k.freshGroup(), w.topic))
	w.auto = k.consumer(options(k.freshGroup(), w.topic))
	k.reads(w.c, "a", "b")
	k.reads(w.g, "a", "b")
	w.q = k.queueOf(w.topic)
	w.d = k.receive(w.q, "a", "b")[0]
	w.t = k.table(samsa.TableOptions{Topic: w.topic})
	return w
}

// second drops the value of a call.
func second[T any](_ T, err error) error { return err }

// calls are those with a context that a place may have to ask others for, by type.
func (w *world) calls() []call {
	tp, at0 := at(w.topic, 0), samsa.To(samsa.Earliest())
	return slices.Concat(w.brokerCalls(tp), w.topicCalls(), w.groupCalls(tp, at0), []call{
		{"Transactions.List", func(ctx context.Context) error { return second(w.Transactions().List(ctx)) }},
		{"Transactions.Describe", func(ctx context.Context) error { return second(w.Transactions().Describe(ctx, "id")) }},
		{"Transactions.Open", func(ctx context.Context) error { return second(w.Transactions().Open(ctx, w.topic)) }},
		{"Transactions.Fence", func(ctx context.Context) error { return w.Transactions().Fence(ctx, "id") }},
		{"Transactions.Abort", func(ctx context.Context) error {
			return w.Transactions().Abort(ctx, samsa.OpenTransaction{TopicPartition: tp, ProducerID: 1 << 40})
		}},
		{"Producer.ProduceSync", func(ctx context.Context) error {
			return second(w.p.ProduceSync(ctx, samsa.Record{Topic: w.topic}))
		}},
		{"Producer.Produce", func(ctx context.Context) error {
			fate := make(chan error, 1)
			w.p.Produce(ctx, samsa.Record{Topic: w.topic}, func(_ samsa.Record, err error) { fate <- err })
			return <-fate
		}},
		{"Producer.Flush", func(ctx context.Context) error { return w.p.Flush(ctx) }},
		{"Producer.Stored", func(ctx context.Context) error { return second(w.p.Stored(ctx, tp)) }},
		{"Consumer.Poll", func(ctx context.Context) error { return second(w.c.Poll(ctx)) }},
		{"Consumer.PollRecords", func(ctx context.Context) error { return second(w.c.PollRecords(ctx, 1)) }},
		{"Consumer.Collect", func(ctx context.Context) error { return second(w.c.Collect(ctx, 1, time.Hour)) }},
		{"Consumer.Records", func(ctx context.Context) (last error) {
			for _, last = range w.c.Records(ctx) {
				continue
			}
			return last
		}},
		{"Consumer.RecordsUntil", func(ctx context.Context) (last error) {
			for _, last = range w.c.RecordsUntil(ctx) {
				continue
			}
			return last
		}},
		{"Consumer.Work", func(ctx context.Context) error {
			return w.auto.Work(ctx, 1, func(context.Context, samsa.Record) error { return nil })
		}},
		{"Consumer.Seek", func(ctx context.Context) error { return w.c.Seek(ctx, tp, 0) }},
		{"Consumer.SeekTo", func(ctx context.Context) error { return w.c.SeekTo(ctx, samsa.Earliest()) }},
		{"Consumer.SeekTime", func(ctx context.Context) error { return w.c.SeekTime(ctx, hourAgo) }},
		{"Consumer.SeekLast", func(ctx context.Context) error { return w.c.SeekLast(ctx, 1) }},
		{"Consumer.TotalLag", func(ctx context.Context) error { return second(w.c.TotalLag(ctx)) }},
		{"Consumer.Commit", func(ctx context.Context) error { return w.g.Commit(ctx) }},
		{"Consumer.CommitRecords", func(ctx context.Context) error { return w.g.CommitRecords(ctx, samsa.Record{Topic: w.topic}) }},
		{"Consumer.CommitOffsets", func(ctx context.Context) error { return w.g.CommitOffsets(ctx, offsetOf(w.topic, 1)) }},
		{"Consumer.Committed", func(ctx context.Context) error { return second(w.g.Committed(ctx)) }},
		{"Queue.Receive", func(ctx context.Context) error { return second(w.q.Receive(ctx, 1)) }},
		{"Queue.Deliveries", func(ctx context.Context) (last error) {
			for _, last = range w.q.Deliveries(ctx) {
				continue
			}
			return last
		}},
		{"Queue.Work", func(ctx context.Context) error {
			return w.q.Work(ctx, 1, func(context.Context, samsa.Delivery) error { return nil })
		}},
		{"Queue.Ack", func(ctx context.Context) error { return w.q.Ack(ctx, w.d) }},
		{"Queue.Stats", func(ctx context.Context) error { return second(w.q.Stats(ctx)) }},
		{"Table.Watch", func(ctx context.Context) (last error) {
			for _, last = range w.t.Watch(ctx) {
				continue
			}
			return last
		}},
		{"Table.WaitFor", func(ctx context.Context) error { return w.t.WaitFor(ctx) }},
		{"Table.Lag", func(ctx context.Context) error { return second(w.t.Lag(ctx)) }},
	})
}

func (w *world) brokerCalls(tp samsa.TopicPartition) []call {
	return []call{
		{"Broker.NewTable", func(ctx context.Context) error {
			t, err := w.NewTable(ctx, samsa.TableOptions{Topic: w.topic})
			if err == nil {
				err = t.Close()
			}
			return err
		}},
		{"Broker.Produce", func(ctx context.Context) error { return second(w.Produce(ctx, samsa.Record{Topic: w.topic})) }},
		{"Broker.ProduceWith", func(ctx context.Context) error {
			return second(w.ProduceWith(ctx, samsa.ProduceOptions{Acks: samsa.AckSynced}, samsa.Record{Topic: w.topic}))
		}},
		{"Broker.Update", func(ctx context.Context) error {
			return w.Update(ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: w.topic}) })
		}},
		{"Broker.ListOffsets", func(ctx context.Context) error { return second(w.ListOffsets(ctx, w.topic, samsa.Latest())) }},
		{"Broker.Backward", func(ctx context.Context) error { return second(w.backwards(ctx, tp, samsa.Latest())) }},
		{"Broker.NewProducer", func(ctx context.Context) error {
			return second(w.NewProducer(ctx, samsa.ProducerOptions{ID: w.fresh("id")}))
		}},
		{"Broker.NewConsumer", func(ctx context.Context) error {
			return second(w.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{w.topic}, Start: samsa.Latest()}))
		}},
		{"Broker.NewQueue", func(ctx context.Context) error {
			return second(w.NewQueue(ctx, samsa.QueueOptions{Group: w.freshGroup(), Topics: []string{w.topic}}))
		}},
		{"Broker.Stats", func(ctx context.Context) error { return second(w.Stats(ctx)) }},
		{"Broker.Metrics", func(ctx context.Context) error { return second(w.Metrics(ctx, samsa.MetricsOptions{})) }},
	}
}

// ownCalls are those that only a broker with a store of its own has.
func (w *world) ownCalls() []call {
	return []call{
		{"Broker.View", func(ctx context.Context) error { return w.View(ctx, func(*samsa.ReadTx) error { return nil }) }},
		{"Broker.Snapshot", func(ctx context.Context) error { return w.Snapshot(ctx, new(bytes.Buffer)) }},
		{"Broker.Import", func(ctx context.Context) error { return w.Import(ctx, new(bytes.Buffer), samsa.ImportOptions{}) }},
		{"Broker.Sync", func(ctx context.Context) error { return w.Sync(ctx) }},
		{"Broker.Sweep", func(ctx context.Context) error { return second(w.Sweep(ctx)) }},
		{"Broker.RetentionStats", func(ctx context.Context) error { return second(w.RetentionStats(ctx)) }},
	}
}

func (w *world) topicCalls() []call {
	return []call{
		{"Topics.Create", func(ctx context.Context) error { return w.Topics().Create(ctx, w.freshTopic(), samsa.TopicConfig{}) }},
		{"Topics.Ensure", func(ctx context.Context) error {
			return second(w.Topics().Ensure(ctx, w.freshTopic(), samsa.TopicConfig{}))
		}},
		{"Topics.List", func(ctx context.Context) error { return second(w.Topics().List(ctx)) }},
		{"Topics.Describe", func(ctx context.Context) error { return second(w.Topics().Describe(ctx, w.topic)) }},
		{"Topics.Alter", func(ctx context.Context) error {
			return w.Topics().Alter(ctx, w.topic, func(c *samsa.TopicConfig) error { c.Retention = time.Hour; return nil })
		}},
		{"Topics.AddPartitions", func(ctx context.Context) error { return w.Topics().AddPartitions(ctx, w.topic, 3) }},
		{"Topics.DeleteRecords", func(ctx context.Context) error {
			return w.Topics().DeleteRecords(ctx, w.topic, map[int32]int64{0: 1})
		}},
		{"Topics.Delete", func(ctx context.Context) error { return w.Topics().Delete(ctx, w.topic) }},
	}
}

func (w *world) groupCalls(tp samsa.TopicPartition, to samsa.GroupOffset) []call {
	return []call{
		{"Groups.List", func(ctx context.Context) error { return second(w.Groups().List(ctx)) }},
		{"Groups.Describe", func(ctx context.Context) error { return second(w.Groups().Describe(ctx, w.group)) }},
		{"Groups.Committed", func(ctx context.Context) error { return second(w.Groups().Committed(ctx, w.group)) }},
		{"Groups.PlanOffsets", func(ctx context.Context) error { return second(w.Groups().PlanOffsets(ctx, w.group, to)) }},
		{"Groups.AlterOffsets", func(ctx context.Context) error { return w.Groups().AlterOffsets(ctx, w.group, to) }},
		{"Groups.SetOffsets", func(ctx context.Context) error { return w.Groups().SetOffsets(ctx, w.group, offsetOf(w.topic, 0)) }},
		{"Groups.DeleteOffsets", func(ctx context.Context) error { return w.Groups().DeleteOffsets(ctx, w.group, tp) }},
		{"Groups.Configs", func(ctx context.Context) error { return second(w.Groups().Configs(ctx, w.group)) }},
		{"Groups.SetConfigs", func(ctx context.Context) error {
			return w.Groups().SetConfigs(ctx, w.group, map[string]string{"share.auto.offset.reset": "earliest"})
		}},
		{"Groups.Delete", func(ctx context.Context) error { return w.Groups().Delete(ctx, w.group) }},
	}
}

// looks describes all that calls could have changed.
func (w *world) looks() string {
	group := w.groupInfo(w.group)
	configs, err := w.Groups().Configs(w.ctx, w.group)
	w.must(err)
	stored, err := w.p.Stored(w.ctx, at(w.topic, 0))
	w.must(err)
	position, err := w.c.Position(at(w.topic, 0))
	w.must(err)
	return fmt.Sprint(w.describe(w.topic), w.committed(w.group), group.State, configs, stored, position, w.stats(w.q))
}

// afterEnd has calls be made with a context that has ended.
func afterEnd(calls func(w *world) []call) func(k *kit) {
	return func(k *kit) {
		w := newWorld(k)
		before := w.looks()
		for _, c := range calls(w) {
			if err := c.fn(ended()); !errors.Is(err, context.Canceled) {
				k.Errorf("%s: %v", c.name, err)
			}
			if after := w.looks(); after != before {
				k.Fatalf("%s has changed\n%s\nto\n%s", c.name, before, after)
			}
		}
	}
}

// afterClose has calls be made of a broker that is closed.
func afterClose(calls func(w *world) []call) func(k *kit) {
	return func(k *kit) {
		w := newWorld(k)
		k.closes(k.Broker)
		for _, c := range calls(w) {
			err := c.fn(k.ctx)
			if flushed := c.name == "Producer.Flush" && err == nil; !flushed && !errors.Is(err, samsa.ErrClosed) { // nothing is buffered then
				k.Errorf("%s: %v", c.name, err)
			}
		}
		k.again()
	}
}

var ends = []promise{
	{"context", "Every call whose context has ended returns its error, and has changed nothing.", afterEnd((*world).calls)},
	{"context-own", "So does every call that only a broker with a store of its own has.", afterEnd((*world).ownCalls)},
	{"closed", "Every call of a broker that is closed is ErrClosed, and Flush has nothing to wait for.", afterClose((*world).calls)},
	{"closed-own", "So is every call that only a broker with a store of its own has.", afterClose((*world).ownCalls)},
	{"close", "Close may be called more than once, and by many.", func(k *kit) {
		b := k.Broker
		for range 3 {
			k.goes(func() { k.must(b.Close()) })
		}
		k.group.Wait()
		k.must(b.Close())
		k.must(b.Shutdown(k.ctx))
	}},
	{"wakes", "Close of the broker ends what waits, with ErrClosed.", func(k *kit) {
		w := newWorld(k)
		waiting := make(chan error, 2)
		k.goes(func() { waiting <- second(w.c.Poll(k.ctx)) })
		k.goes(func() { waiting <- second(w.q.Receive(k.ctx, 1)) })
		k.closes(k.Broker)
		for range 2 {
			k.is(<-waiting, samsa.ErrClosed)
		}
		k.again()
	}},
}

var together = []promise{
	{"clients", "Producers, consumers, groups, Updates and queues work on one broker at once, and each gets what it is promised.", func(k *kit) {
		in, out, g := k.topic(3), k.topic(1), k.freshGroup()
		const many, each = 3, 30
		var mu sync.Mutex
		queued := make(map[string]bool)
		q := k.queueOf(in)
		for range 2 {
			k.goes(func() {
				k.is(q.Work(k.ctx, 2, func(_ context.Context, d samsa.Delivery) error {
					mu.Lock()
					defer mu.Unlock()
					queued[string(d.Record.Value)] = true
					if len(queued) == many*each {
						go func() { k.closes(q) }()
					}
					return nil
				}), samsa.ErrClosed)
			})
		}
		p := k.producer(samsa.ProducerOptions{})
		for i := range many {
			k.goes(func() {
				for j := range each {
					r := samsa.Record{Topic: in, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "%d-%02d", i, j)}
					switch i {
					case 0:
						_, err := k.Produce(k.ctx, r)
						k.must(err)
					case 1:
						_, err := p.ProduceSync(k.ctx, r)
						k.must(err)
					default:
						k.updates(func(tx *samsa.Tx) error {
							return errors.Join(tx.Produce(r), tx.Produce(samsa.Record{Topic: out, Value: r.Value}))
						})
					}
				}
			})
		}
		members := []*member{k.joins(options(g, in)), k.joins(options(g, in))}
		k.inOrder(k.read(k.reader(in), many*each), many, each)
		k.equal("of the group", len(slices.Compact(k.got(many*each, members...))), many*each)
		k.equal("of Updates", len(k.read(k.reader(out), each)), each)
		k.group.Go(func() {})
		members[0].stop()
		members[1].stop()
		k.group.Wait()
		k.equal("of the queue", len(queued), many*each)
	}},
	{"topics", "Topics may be made and deleted by many at once, while others are read.", func(k *kit) {
		stays := k.topic(1)
		c := k.reader(stays)
		for range 4 {
			k.goes(func() {
				for range 3 {
					mine := samsa.TopicConfig{Partitions: 2}
					k.waiting.Lock()
					name := k.fresh("t")
					k.waiting.Unlock()
					k.must(k.Topics().Create(k.ctx, name, mine))
					k.write(name, "a")
					k.must(k.Topics().Delete(k.ctx, name))
				}
			})
		}
		k.write(stays, numbers(5)...)
		k.reads(c, numbers(5)...)
		k.group.Wait()
	}},
}
