package mirror

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// A partition that is damaged is copied up to there; the others, and other topics, are copied whole. Who is to end says what is damaged.
func TestSourceIsDamaged(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{Partitions: 2})
	k.create(k.from, "u", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c", "d")
	k.put(k.from, "t", 1, "a", "b")
	k.put(k.from, "u", 0, "x")
	k.commit(k.from, "g", "u", 0, 1)
	samsatest.Corrupt(t, k.from, "t", 0, 2)
	for _, opts := range []Options{{}, {Topics: []string{"t", "u"}}} {
		m := k.mirror(opts)
		k.fails(m.Run(k.ctx), samsa.ErrCorruptRecord)
		k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b"})
		k.want(k.records(k.to, "t", 1), []string{"0:a", "1:b"})
		k.want(k.records(k.to, "u", 0), []string{"0:x"})
		k.want(k.committed(k.to, "g", "u", 0), int64(1))
		s := m.Stats()
		k.want(len(s.Damaged), 1)
		k.fails(s.Damaged[samsa.TopicPartition{Topic: "t"}], samsa.ErrCorruptRecord)
		k.fails(m.Finish(k.ctx), ErrBehind)
	}
	m, err := New(k.from, k.to, Options{Refresh: 10 * time.Millisecond})
	k.ok(err)
	ended := make(chan error)
	go func() { ended <- m.Run(k.ctx) }()
	k.until(func() bool { return len(m.Stats().Damaged) == 1 })
	k.put(k.from, "u", 0, "y") // it goes on
	k.until(func() bool { return k.end("u", 0) == 2 })
	k.ok(k.from.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 3})) // what is damaged is given up
	k.until(func() bool { return k.end("t", 0) == 4 })
	k.until(func() bool { return len(m.Stats().Damaged) == 0 })
	k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b", "3:d"})
	k.want(m.Stats().Lost, int64(1))
	k.ok(k.from.Close())
	k.fails(<-ended, samsa.ErrClosed)
}

// A topic of which nothing can be known keeps a move from ending.
func TestTopicIsDamaged(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.create(k.from, "u", samsa.TopicConfig{})
	k.put(k.from, "u", 0, "a")
	m := k.mirror(Options{})
	m.from.Topics = &unreadable{Topics: m.from.Topics, name: "t"}
	k.fails(m.Run(k.ctx), samsa.ErrCorruptValue)
	k.same("u", 0)
	k.fails(m.Stats().Refused["t"], samsa.ErrCorruptValue)
	k.fails(m.Finish(k.ctx), samsa.ErrCorruptValue)
}

// unreadable are topics of which one is damaged.
type unreadable struct {
	engine.Topics
	name string
}

func (u *unreadable) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	if name == u.name {
		return nil, samsa.ErrCorruptValue
	}
	return u.Topics.Find(ctx, name, create)
}

// Batches are taken apart for a target that gives offsets. What cannot be, with a right checksum, is damaged too.
func TestBatchCannotBeTakenApart(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c", "d")
	m := k.mirror(Options{})
	moved := &moving{}
	m.to.Copying = moved
	m.from.Topics = &spoiled{Topics: m.from.Topics, at: 2}
	k.fails(m.Run(k.ctx), samsa.ErrCorruptRecord)
	k.want(moved.values, []string{"a", "b"})
	k.fails(m.Stats().Damaged[samsa.TopicPartition{Topic: "t"}], samsa.ErrCorruptRecord)
}

// spoiled are topics of which the batch at some offset is one whose records cannot be read, with a right checksum.
type spoiled struct {
	engine.Topics
	at   int64
	made map[engine.Topic]*spoiledTopic
}

type spoiledTopic struct {
	engine.Topic
	at int64
}

type spoiledPartition struct {
	engine.Partition
	at int64
}

func (s *spoiled) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	t, err := s.Topics.Find(ctx, name, create)
	return s.wrap(t, err)
}

func (s *spoiled) Get(name string) (engine.Topic, error) { return s.wrap(s.Topics.Get(name)) }

func (s *spoiled) wrap(t engine.Topic, err error) (engine.Topic, error) {
	if err != nil || strings.HasPrefix(t.Name(), notesPrefix) {
		return t, err
	}
	if s.made == nil {
		s.made = map[engine.Topic]*spoiledTopic{}
	}
	if s.made[t] == nil {
		s.made[t] = &spoiledTopic{t, s.at}
	}
	return s.made[t], nil
}

func (t *spoiledTopic) Partition(i int32) (engine.Partition, error) {
	p, err := t.Topic.Partition(i)
	return &spoiledPartition{p, t.at}, err
}

func (p *spoiledPartition) Fetch(ctx context.Context, client string, iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	return p.Partition.Fetch(ctx, client, iso, from, buf, func(sb log.StoredBatch) bool {
		if sb.LastOffset == p.at {
			raw := bytes.Clone(sb.Batch)
			raw[len(raw)-1] = 0x7f // headers that there are not
			sb.Batch = raw
			sb.Batch.SetProducer(-1, -1, -1) // and sums it up
		}
		return fn(sb)
	})
}

// moving is a target that gives offsets, which it counts, and has values.
type moving struct {
	end    int64
	values []string
}

func (m *moving) NewCopier(context.Context, string) (engine.Copier, error) { return m, nil }
func (m *moving) Keeps() bool                                              { return false }
func (m *moving) Resume(context.Context) error                             { return nil }
func (m *moving) Close()                                                   {}

func (m *moving) Copy(_ context.Context, batches []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	for i := range batches {
		batches[i].Base = m.end
		_, err := eachRecord(batches[i].Batch, nil, func(r *log.Record) error {
			m.end++
			m.values = append(m.values, string(r.Value))
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err := notes()
	return err
}
