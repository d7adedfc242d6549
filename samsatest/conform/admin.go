package conform

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

var transactions = []promise{
	{"unknown", "A transactional id that nobody has is ErrUnknownTransactionalID, and one that nobody can have ErrInvalidTransactionalID.", func(k *kit) {
		id := k.fresh("id")
		_, err := k.Transactions().Describe(k.ctx, id)
		k.is(err, samsa.ErrUnknownTransactionalID)
		k.is(k.Transactions().Fence(k.ctx, id), samsa.ErrUnknownTransactionalID)
		_, err = k.Transactions().Describe(k.ctx, "")
		k.is(err, samsa.ErrInvalidTransactionalID, samsa.ErrInvalid)
		names, err := k.Transactions().List(k.ctx)
		k.must(err)
		k.equal("sorted", slices.IsSorted(names), true)
		k.equal("listed", slices.Contains(names, id), false)
	}},
	{"open", "Open tells no transaction of Produce or Update: none is open when they have returned.", func(k *kit) {
		name := k.topic(2)
		k.produce(samsa.Record{Topic: name}, samsa.Record{Topic: name})
		k.updates(func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name}) })
		open, err := k.Transactions().Open(k.ctx, name)
		k.must(err)
		k.equal("open", len(open), 0)
		_, err = k.Transactions().Open(k.ctx, k.fresh("t"))
		k.is(err, samsa.ErrUnknownTopic)
		for _, p := range k.describe(name).Partitions {
			k.equal("last stable", p.LastStable, p.HighWatermark)
		}
	}},
	{"abort", "Abort of a transaction that is not open any more is refused.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		err := k.Transactions().Abort(k.ctx, samsa.OpenTransaction{TopicPartition: at(name, 0), ProducerID: 1 << 40, ID: k.fresh("id")})
		if !errors.Is(err, samsa.ErrInvalidTxnState) && !errors.Is(err, samsa.ErrProducerFenced) && !errors.Is(err, samsa.ErrUnknownTransactionalID) {
			k.Errorf("got %v", err)
		}
		k.has([]string{"a"}, name)
	}},
}

// full has a topic with records, and an offset of a group, and returns the topic and the group.
func (k *kit) full() (name, group string) {
	name, group = k.topicWith(samsa.TopicConfig{Partitions: 2, Retention: 3 * time.Hour}), k.freshGroup()
	k.put(name, 0, "a", "b")
	k.put(name, 1, "c")
	k.must(k.Groups().SetOffsets(k.ctx, group, offsetOf(name, 1)))
	return name, group
}

// isFull has b hold what full has made.
func (k *kit) isFull(b *samsa.Broker, name, group string) {
	own := k.Broker
	k.Broker = b
	defer func() { k.Broker = own }()
	k.has([]string{"a", "b", "c"}, name)
	k.equal("retention", k.describe(name).Config.Retention, 3*time.Hour)
	k.equal("committed", k.committed(group), offsetOf(name, 1))
}

// restored opens what a snapshot holds, in memory.
func (k *kit) restored(snapshot []byte) *samsa.Broker {
	b, err := samsa.Restore(k.ctx, "", bytes.NewReader(snapshot), samsa.Options{InMemory: true})
	k.must(err)
	k.atEnd(func() { k.closes(b) })
	return b
}

var snapshots = []promise{
	{"restore", "Restore makes a broker of a Snapshot: topics, records, offsets and keys as of one moment.", func(k *kit) {
		name, g := k.full()
		k.sets("key", "value")
		var w bytes.Buffer
		k.must(k.Snapshot(k.ctx, &w))
		k.write(name, "later")
		k.sets("key", "later")
		b := k.restored(w.Bytes())
		k.isFull(b, name, g)
		k.must(b.View(k.ctx, func(tx *samsa.ReadTx) error {
			k.equal("keys", k.told(tx.Scan(k.key(""))), "key=value")
			return nil
		}))
	}},
	{"topics", "A Snapshot of topics has these alone, with the offsets in them; ErrUnknownTopic says that one is not there.", func(k *kit) {
		name, g := k.full()
		k.topic(1)
		var w bytes.Buffer
		k.must(k.Snapshot(k.ctx, &w, name))
		b := k.restored(w.Bytes())
		k.isFull(b, name, g)
		names, err := b.Topics().List(k.ctx)
		k.must(err)
		k.equal("topics", names, []string{name})
		k.is(k.Snapshot(k.ctx, &w, k.fresh("t")), samsa.ErrUnknownTopic)
	}},
	{"import", "Import takes a topic of a snapshot, at its offsets, under another name; one that is there is ErrTopicExists.", func(k *kit) {
		name, g := k.full()
		k.must(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 1}))
		var w bytes.Buffer
		k.must(k.Snapshot(k.ctx, &w, name))
		again := k.freshTopic()
		o := samsa.ImportOptions{Topics: []string{name}, As: map[string]string{name: again}, Offsets: true}
		k.must(k.Import(k.ctx, bytes.NewReader(w.Bytes()), o))
		k.equal("earliest", k.offsets(again, samsa.Earliest()), []int64{1, 0})
		k.has([]string{"b", "c"}, again)
		k.equal("committed", k.committed(g)[at(again, 0)], samsa.CommittedOffset{Offset: 1})
		k.is(k.Import(k.ctx, bytes.NewReader(w.Bytes()), o), samsa.ErrTopicExists)
		k.is(k.Import(k.ctx, bytes.NewReader(w.Bytes()), samsa.ImportOptions{Topics: []string{k.fresh("t")}}), samsa.ErrUnknownTopic)
	}},
	{"damaged", "What is damaged or cut off is ErrInvalidSnapshot, and nothing comes of it.", func(k *kit) {
		name, _ := k.full()
		var w bytes.Buffer
		k.must(k.Snapshot(k.ctx, &w, name))
		again := k.freshTopic()
		for _, bad := range [][]byte{nil, []byte("no snapshot"), w.Bytes()[:w.Len()-1], w.Bytes()[:w.Len()/2]} {
			k.is(k.Import(k.ctx, bytes.NewReader(bad), samsa.ImportOptions{As: map[string]string{name: again}}), samsa.ErrInvalidSnapshot, samsa.ErrInvalid)
		}
		_, err := k.Topics().Describe(k.ctx, again)
		k.is(err, samsa.ErrUnknownTopic)
	}},
}

// sweep has all go that may.
func (k *kit) sweep() samsa.Swept {
	s, err := k.Sweep(k.ctx)
	k.must(err)
	return s
}

var retention = []promise{
	{"time", "Sweep removes what is older than Retention.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Retention: time.Hour})
		k.stamped(name, time.Now().Add(-3*time.Hour), time.Now().Add(-2*time.Hour), time.Now())
		k.equal("removed", k.sweep().Records >= 2, true)
		k.has([]string{"2"}, name)
		k.equal("earliest", k.offsets(name, samsa.Earliest()), []int64{2})
		stats, err := k.RetentionStats(k.ctx)
		k.must(err)
		k.equal("counted", stats.Removed.Records >= 2, true)
	}},
	{"size", "Sweep removes what is more than RetentionBytes, the oldest first.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{RetentionBytes: 50_000})
		for i := range 10 {
			k.produce(samsa.Record{Topic: name, Key: fmt.Append(nil, i), Value: noise(10_000)})
		}
		k.sweep()
		first := k.offsets(name, samsa.Earliest())[0]
		k.equal("some went, and some stay", first > 0 && first < 10, true)
		k.equal("the first that stays", k.read(k.reader(name), 10-int(first))[0].Offset, first)
	}},
	{"compact", "Of a compacted topic the latest record of each key stays, at its offset.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
		for _, text := range []string{"a=1", "b=1", "a=2", "c=1", "b=2", "z=1", "z=2"} {
			key, value, _ := strings.Cut(text, "=")
			k.produce(samsa.Record{Topic: name, Key: []byte(key), Value: []byte(value)})
		}
		k.sweep()
		last := make(map[string]string)
		for r, err := range k.reader(name).RecordsUntil(k.ctx) {
			k.must(err)
			k.equal("comes before", last[string(r.Key)] > string(r.Value), false)
			last[string(r.Key)] = fmt.Sprint(string(r.Value), "@", r.Offset)
		}
		k.equal("records", last, map[string]string{"a": "2@2", "b": "2@4", "c": "1@3", "z": "2@6"})
		k.equal("earliest", k.offsets(name, samsa.Earliest()), []int64{0})
	}},
	{"consumed", "With CleanupConsumed what all groups have passed goes, and nothing before there is one.", func(k *kit) {
		name, a, b := k.topicWith(samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed}), k.freshGroup(), k.freshGroup()
		k.write(name, numbers(4)...)
		k.sweep()
		k.has(numbers(4), name)
		k.must(k.Groups().SetOffsets(k.ctx, a, offsetOf(name, 3)))
		k.must(k.Groups().SetOffsets(k.ctx, b, offsetOf(name, 2)))
		k.sweep()
		k.has([]string{"2", "3"}, name)
	}},
	{"synced", "Sync returns when what was acknowledged is durable.", func(k *kit) {
		k.write(k.topic(1), "a")
		k.must(k.Sync(k.ctx))
	}},
}

var stats = []promise{
	{"broker", "Stats counts what was stored since the broker was opened, and what there is.", func(k *kit) {
		before, err := k.Stats(k.ctx)
		k.must(err)
		name := k.topic(2)
		k.write(name, "a", "b")
		k.reader(name)
		after, err := k.Stats(k.ctx)
		k.must(err)
		k.equal("records", after.Records >= before.Records+2, true)
		k.equal("topics and partitions", after.Topics > before.Topics && after.Partitions >= before.Partitions+2, true)
		k.equal("clients", after.Clients > before.Clients, true)
	}},
	{"metrics", "Metrics tells it by topic, by group and by client.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		p := k.producer(samsa.ProducerOptions{ClientID: g})
		_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name}, samsa.Record{Topic: name})
		k.must(err)
		k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 1)))
		m, err := k.Metrics(k.ctx, samsa.MetricsOptions{Topics: []string{name}, Groups: []string{g}})
		k.must(err)
		if len(m.Topics) != 1 || len(m.Groups) != 1 {
			k.Fatalf("%d topics, %d groups", len(m.Topics), len(m.Groups))
		}
		k.equal("topic", []any{m.Topics[0].Topic, m.Topics[0].Offsets, m.Topics[0].Partitions[0].HighWatermark}, []any{name, int64(2), int64(2)})
		k.equal("group", []any{m.Groups[0].Group, m.Groups[0].Lag}, []any{g, int64(1)})
		i := slices.IndexFunc(m.Producers, func(p samsa.ProducerMetrics) bool { return p.ClientID == g })
		k.equal("producer", i >= 0 && m.Producers[i].Records == 2, true)
	}},
}

var reopens = []promise{
	{"records", "Topics with their ids and configs, and records at their offsets, are there when the broker is opened again.", func(k *kit) {
		name, g := k.full()
		before, id := k.describe(name), k.ClusterID()
		k.closes(k.Broker)
		k.again()
		k.isFull(k.Broker, name, g)
		k.equal("topic", k.describe(name), before)
		k.equal("cluster id", k.ClusterID(), id)
		k.equal("offset", k.put(name, 0, "new")[0].Offset, int64(2))
	}},
	{"offsets", "So is where groups stand: their consumers go on there.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		c := k.consumer(manual(g, name))
		k.must(c.CommitRecords(k.ctx, k.reads(c, numbers(4)...)[1]))
		k.closes(k.Broker)
		k.again()
		k.reads(k.consumer(manual(g, name)), "2", "3")
	}},
	{"keys", "So are keys of the application.", func(k *kit) {
		k.sets("a", "1", "b", "2")
		k.updates(func(tx *samsa.Tx) error { return tx.Delete(k.key("b")) })
		k.closes(k.Broker)
		k.again()
		k.holds("a=1")
	}},
	{"producers", "So is what producers of an ID have stored: with Replay nothing is stored twice.", func(k *kit) {
		name, id := k.topic(1), k.fresh("id")
		load := func(n int) {
			p := k.producer(samsa.ProducerOptions{ID: id, Replay: true})
			for i := range n {
				_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: fmt.Append(nil, i)})
				k.must(err)
			}
			k.closes(p)
		}
		load(2)
		k.closes(k.Broker)
		k.again()
		load(3)
		k.has(numbers(3), name)
	}},
	{"queues", "So is what a queue has done: the rest comes again, and how often it came is known.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b", "c")
		o := samsa.QueueOptions{Group: g, Topics: []string{name}}
		q := k.queue(o)
		ds := k.receive(q, "a", "b", "c")
		k.must(ds[1].Ack())
		k.closes(q)
		k.closes(k.Broker)
		k.again()
		q = k.queue(o)
		ds, err := q.Receive(k.ctx, 1)
		k.must(err)
		k.equal("is the first again", fmt.Sprint(string(ds[0].Record.Value), ds[0].Deliveries > 1), "atrue")
		ds, err = q.Receive(k.ctx, 2)
		k.must(err)
		k.equal("next", string(ds[0].Record.Value), "c")
	}},
	{"processed", "Close of the broker has committed what its consumers have processed.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b")
		o := options(g, name)
		o.MaxPollRecords = 1
		c := k.consumer(o)
		k.reads(c, "a", "b") // a is processed when b is asked for
		k.closes(k.Broker)
		k.again()
		k.hasCommitted(g, name, 1)
	}},
}
