package sweep

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is a sweeper that sweeps when asked, and all it stands on, in memory.
type kit struct {
	*Sweeper
	t      testing.TB
	ctx    context.Context
	st     *scales
	topics *topic.Catalogue
	groups *group.Coordinator
}

// scales is a store that counts how often it was reclaimed.
type scales struct {
	store.Store
	err      error // of Reclaim
	reclaims int
	bad      *store.Range // cannot be read
}

func (s *scales) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	return s.Store.Scan(r, func(e store.Entry) (bool, error) {
		if s.bad != nil && s.bad.Contains(e.Key) {
			return false, store.ErrIO
		}
		return fn(e)
	})
}

func (s *scales) Reclaim(context.Context) error {
	s.reclaims++
	return s.err
}

// begin returns a kit that ends with the test.
func begin(t testing.TB) *kit {
	t.Helper()
	st := &scales{Store: store.OpenMemory()}
	committer := writer.NewCommitter(st, zap.NewNop())
	topics, _, err := topic.Open(st, committer, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := group.Open(st, committer, topics, group.Options{})
	if err != nil {
		t.Fatal(err)
	}
	registry, _, err := producers.Open(st, committer, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	targets := Targets{Topics: topics, Groups: groups, Producers: registry, Store: st, Committer: committer}
	k := &kit{Start(targets, 1000*time.Hour, zap.NewNop()), t, context.Background(), st, topics, groups}
	t.Cleanup(func() {
		k.Close()
		groups.Close()
		committer.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func (k *kit) create(name string, config topic.Config) {
	k.t.Helper()
	if _, err := k.topics.Create(k.ctx, name, config); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) partition(name string, i int32) *partition.Partition {
	k.t.Helper()
	t, err := k.topics.Get(name)
	if err != nil {
		k.t.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// put stores each value in that partition, a batch each, with the same key.
func (k *kit) put(name string, i int32, values ...string) {
	k.t.Helper()
	for _, v := range values {
		var b log.Builder
		b.Append(time.Now().UnixMilli(), []byte("k"), []byte(v), nil)
		batch, err := b.Seal(nil, log.CodecNone)
		if err == nil {
			err = k.targets.Committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: k.partition(name, i), Batch: batch}}})
		}
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

// read has a group read up to, and without, these offsets.
func (k *kit) read(name string, offsets map[log.TopicPartition]group.Offset) {
	k.t.Helper()
	if err := k.groups.Commit(k.ctx, name, group.CommitRequest{Generation: -1, Offsets: offsets}); err != nil {
		k.t.Fatal(err)
	}
}

// sweep sweeps as the sweeper does, which must be asleep.
func (k *kit) sweep(full bool) {
	k.t.Helper()
	if _, err := k.Sweeper.sweep(k.ctx, full); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) stats() Stats {
	k.t.Helper()
	stats, err := k.Stats(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return stats
}
