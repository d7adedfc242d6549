package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/mirror"
)

// mirrors is a broker of this process beside a cluster, and the steps of mirrors between them.
type mirrors struct {
	*kit.Kit
	local, far *samsa.Broker
	name       string // of mirrors, and before topics and groups
}

func newMirrors(t *testing.T, k *kit.Kit) *mirrors {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return &mirrors{Kit: k, local: b, far: open(t, k), name: k.Name("m")}
}

func (m *mirrors) ok(err error) {
	m.T.Helper()
	if err != nil {
		m.T.Fatal(err)
	}
}

// mirror returns a mirror of the topics that belong to the test, until now.
func (m *mirrors) mirror(from, to *samsa.Broker, what string, opts mirror.Options) *mirror.Mirror {
	m.T.Helper()
	opts.Name, opts.UntilNow, opts.Groups = m.name+what, true, []string{m.name + "*"}
	if opts.Topics == nil {
		opts.Topics = []string{m.name + "*"}
	}
	r, err := mirror.New(from, to, opts)
	m.ok(err)
	return r
}

// read returns the records of what is committed in a partition.
func (m *mirrors) read(b *samsa.Broker, topic string, partition int32) (all []samsa.Record) {
	m.T.Helper()
	m.walk(b, topic, partition, func(r *samsa.Record) {
		c := *r
		c.Key, c.Value = slices.Clone(r.Key), slices.Clone(r.Value)
		all = append(all, c)
	})
	return all
}

// walk calls fn for the records of what is committed in a partition.
func (m *mirrors) walk(b *samsa.Broker, topic string, partition int32, fn func(*samsa.Record)) {
	m.T.Helper()
	t, err := inside.Of(b).Parts.Topics.Find(m.Ctx, topic, false)
	m.ok(err)
	p, err := t.Partition(partition)
	m.ok(err)
	if far, ok := p.(engine.Remote); ok {
		m.ok(far.Ask(m.Ctx))
	}
	end := p.LastStable()
	var buf []byte
	for from := p.LogStart(); from < end; {
		before := from
		buf, err = p.Fetch(m.Ctx, "", log.ReadCommitted, from, buf, func(sb log.StoredBatch) bool {
			from = sb.LastOffset + 1
			m.ok(sb.Err)
			if !sb.Aborted && !sb.Batch.Control() {
				m.each(sb.Batch, fn)
			}
			return true
		})
		m.ok(err)
		if from == before {
			return
		}
	}
}

func (m *mirrors) each(b log.Batch, fn func(*samsa.Record)) {
	m.T.Helper()
	plain, err := b.AppendRecords(nil)
	m.ok(err)
	r := log.NewRecordReader(b, plain)
	for {
		var rec samsa.Record
		more, err := r.Next(&rec)
		m.ok(err)
		if !more {
			return
		}
		fn(&rec)
	}
}

// same checks that a partition has the same records, but for their offsets.
func (m *mirrors) same(topic string, partition int32) {
	m.T.Helper()
	text := func(b *samsa.Broker) (all []string) {
		for _, r := range m.read(b, topic, partition) {
			all = append(all, fmt.Sprintf("%q=%q %v at %d", r.Key, r.Value, r.Headers, r.Timestamp.UnixMilli()))
		}
		return all
	}
	m.Want(text(m.far), text(m.local))
}

func (m *mirrors) put(b *samsa.Broker, topic string, partition int32, values ...string) {
	m.T.Helper()
	for _, v := range values {
		_, err := b.ProduceWith(m.Ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, samsa.Record{
			Topic: topic, Partition: partition, Key: []byte("k" + v), Value: []byte(v), Headers: []samsa.Header{{Key: "h", Value: []byte(v)}},
		})
		m.ok(err)
	}
}

func (m *mirrors) commit(b *samsa.Broker, group, topic string, offset int64) {
	m.T.Helper()
	tp := samsa.TopicPartition{Topic: topic}
	m.ok(b.Groups().SetOffsets(m.Ctx, group, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: offset}}))
}

// next returns the value of the record at which a group goes on.
func (m *mirrors) next(b *samsa.Broker, group, topic string) string {
	m.T.Helper()
	tp := samsa.TopicPartition{Topic: topic}
	found, err := b.Groups().Committed(m.Ctx, group, tp)
	m.ok(err)
	o, ok := found[tp]
	if !ok {
		return "nowhere"
	}
	for _, r := range m.read(b, topic, 0) {
		if r.Offset >= o.Offset {
			return string(r.Value)
		}
	}
	return "the end"
}

// Samsa to Kafka: records are as they were but for their offsets, and groups go on where they were.
func TestMirrorToCluster(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		m := newMirrors(t, k)
		topic, group := m.name+"t", m.name+"g"
		stamped := m.name + "stamped"
		m.ok(m.local.Topics().Create(m.Ctx, topic, samsa.TopicConfig{Partitions: 2, Retention: samsa.Unlimited}))
		m.ok(m.local.Topics().Create(m.Ctx, stamped, samsa.TopicConfig{LogAppendTime: true}))
		old := samsa.Record{Topic: topic, Partition: 1, Value: []byte("old"), Timestamp: time.UnixMilli(12345)}
		_, err := m.local.ProduceWith(m.Ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, old,
			samsa.Record{Topic: topic, Partition: 1, Key: []byte("tombstone")}, samsa.Record{Topic: topic, Partition: 1, Value: []byte{}})
		m.ok(err)
		m.put(m.local, stamped, 0, "x", "y")
		there := m.mirror(m.local, m.far, "there", mirror.Options{})
		for i := range 5 {
			m.put(m.local, topic, 0, fmt.Sprint(i), fmt.Sprint(i, "b"))
			m.ok(there.Run(m.Ctx))
		}
		m.same(topic, 0)
		m.same(topic, 1)
		m.same(stamped, 0)
		for offset := range int64(11) {
			m.commit(m.local, group, topic, offset)
			m.ok(there.Run(m.Ctx))
			m.Want(m.next(m.far, group, topic), m.next(m.local, group, topic))
		}
		lag, err := there.Lag(m.Ctx)
		m.ok(err)
		m.Want(lag.Records, int64(0))
		info, err := m.far.Topics().Describe(m.Ctx, topic)
		m.ok(err)
		m.Want(info.Config.Retention, time.Duration(samsa.Unlimited))
	})
}

// Kafka to Samsa: offsets are kept, with what transactions leave between them.
func TestMirrorFromCluster(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		m := newMirrors(t, k)
		topic, group := m.name+"t", m.name+"g"
		k.CreateAs(topic, 2)
		here := m.mirror(m.far, m.local, "here", mirror.Options{})
		offsets := func(b *samsa.Broker, p int32) (all []string) {
			for _, r := range m.read(b, topic, p) {
				all = append(all, fmt.Sprintf("%d:%s", r.Offset, r.Value))
			}
			return all
		}
		txn := k.Producer(kgo.TransactionalID(m.name + "id"))
		for i := range 4 {
			k.Put(topic, 1, fmt.Sprint(i))
			k.Transact(txn, topic, 0, true, fmt.Sprint("c", i), fmt.Sprint("d", i))
			k.Transact(txn, topic, 0, false, fmt.Sprint("aborted", i))
			k.Put(topic, 0, fmt.Sprint(i))
			m.ok(here.Run(m.Ctx))
		}
		for p := range int32(2) {
			m.Want(offsets(m.local, p), offsets(m.far, p))
			far, err := m.far.Topics().Describe(m.Ctx, topic)
			m.ok(err)
			local, err := m.local.Topics().Describe(m.Ctx, topic)
			m.ok(err)
			m.Want(local.Partitions[p].HighWatermark, far.Partitions[p].HighWatermark)
		}
		m.commit(m.far, group, topic, 7)
		m.ok(here.Run(m.Ctx))
		m.Want(m.next(m.local, group, topic), m.next(m.far, group, topic))
		m.ok(here.Run(m.Ctx))
	})
}

// A move to Kafka and the way back, step by step: nothing is lost or repeated, and groups go on where they were.
func TestMoveToClusterAndBack(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		m := newMirrors(t, k)
		topic, group := m.name+"t", m.name+"g"
		m.ok(m.local.Topics().Create(m.Ctx, topic, samsa.TopicConfig{LogAppendTime: true}))
		there := m.mirror(m.local, m.far, "there", mirror.Options{Topics: []string{topic}})
		back := m.mirror(m.far, m.local, "back", mirror.Options{Topics: []string{topic}})
		m.put(m.local, topic, 0, "a", "b", "c")
		m.commit(m.local, group, topic, 1)
		m.ok(there.Run(m.Ctx))
		m.put(m.local, topic, 0, "d")
		k.WantError(there.Finish(m.Ctx), mirror.ErrBehind)
		k.WantError(back.Run(m.Ctx), mirror.ErrLoop)
		m.ok(there.Run(m.Ctx))
		m.ok(there.Finish(m.Ctx))
		m.Want(m.next(m.far, group, topic), "b")
		info, err := m.far.Topics().Describe(m.Ctx, topic)
		m.ok(err)
		m.Want(info.Config.LogAppendTime, true)

		m.put(m.far, topic, 0, "e", "f") // the program is there now
		m.ok(back.Run(m.Ctx))
		m.Want(m.next(m.local, group, topic), "b")
		far := m.read(m.far, topic, 0)
		m.commit(m.far, group, topic, far[2].Offset) // it has come to where copies are
		m.ok(back.Run(m.Ctx))
		m.Want(m.next(m.local, group, topic), "c")
		m.commit(m.far, group, topic, far[5].Offset)
		m.ok(back.Run(m.Ctx))
		m.ok(back.Finish(m.Ctx))
		m.Want(m.next(m.local, group, topic), "f")
		m.same(topic, 0)

		m.put(m.local, topic, 0, "g") // and back again
		m.ok(there.Run(m.Ctx))
		m.ok(there.Finish(m.Ctx))
		m.same(topic, 0)
		var values []string
		for _, r := range m.read(m.far, topic, 0) {
			values = append(values, string(r.Value))
		}
		m.Want(values, []string{"a", "b", "c", "d", "e", "f", "g"})
	})
}

// Two mirrors of a name: the newer one goes on.
func TestMirrorToClusterIsFenced(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		m := newMirrors(t, k)
		topic := m.name + "t"
		m.ok(m.local.Topics().Create(m.Ctx, topic, samsa.TopicConfig{}))
		first, err := mirror.New(m.local, m.far, mirror.Options{Name: m.name, Topics: []string{topic}})
		m.ok(err)
		ended := make(chan error)
		go func() { ended <- first.Run(m.Ctx) }()
		m.put(m.local, topic, 0, "a")
		for first.Stats().Records == 0 {
			time.Sleep(time.Millisecond)
		}
		second, err := mirror.New(m.local, m.far, mirror.Options{Name: m.name, Topics: []string{topic}, UntilNow: true})
		m.ok(err)
		m.ok(second.Run(m.Ctx))
		m.put(m.local, topic, 0, "b")
		k.WantError(<-ended, samsa.ErrProducerFenced)
		m.ok(second.Run(m.Ctx))
		m.same(topic, 0)
	})
}

// Keys of the application move to a cluster that has keys, and back.
func TestMirrorKeys(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		m := newMirrors(t, k)
		set := func(b *samsa.Broker, key, value string) {
			m.ok(b.Update(m.Ctx, func(tx *samsa.Tx) error { return tx.Set([]byte(key), []byte(value)) }))
		}
		_, err := mirror.CopyKeys(m.Ctx, m.local, m.far, mirror.KeysOptions{})
		k.WantError(err, samsa.ErrUnsupported)
		far, err := cluster.Open(m.Ctx, cluster.Options{Seeds: k.Seeds, Keys: m.name + "keys"})
		m.ok(err)
		defer func() { m.ok(far.Close()) }()
		set(m.local, "a", "1")
		set(m.local, "b", "2")
		copied := func(from, to *samsa.Broker, opts mirror.KeysOptions, want int64) {
			n, err := mirror.CopyKeys(m.Ctx, from, to, opts)
			m.ok(err)
			m.Want(n, want)
		}
		copied(m.local, far, mirror.KeysOptions{}, 2)
		copied(m.local, far, mirror.KeysOptions{}, 0)
		set(far, "b", "3")
		set(far, "c", "4")
		copied(far, m.local, mirror.KeysOptions{Replace: true}, 2)
		copied(m.local, far, mirror.KeysOptions{}, 0)
	})
}
