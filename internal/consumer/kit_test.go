package consumer

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/local"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// TestMain fails the package when goroutines are left after its tests. Most tests of consumers are in internal/e2e;
// those here look inside.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is what consumers stand on, in memory, and the steps that tests are made of. What goes wrong in a step ends
// the test.
type kit struct {
	t         *testing.T
	ctx       context.Context
	committer *writer.Committer
	catalogue *topic.Catalogue
	Broker
}

// inMemory opens a kit that is closed with the test.
func inMemory(t *testing.T) *kit {
	t.Helper()
	st := store.OpenMemory()
	k := &kit{t: t, ctx: context.Background(), committer: writer.NewCommitter(st, zap.NewNop())}
	var err error
	if k.catalogue, _, err = topic.Open(st, k.committer, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	coordinator, err := group.Open(st, k.committer, k.catalogue, group.Options{Rules: group.Rules{MaxSessionTimeout: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		coordinator.Close()
		k.catalogue.Close(log.ErrClosed)
		k.committer.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	groups := local.Groups{Coordinator: coordinator}
	k.Broker = Broker{
		Topics: &local.Topics{Catalogue: k.catalogue}, Coordinator: groups, Offsets: groups,
		Logger: zap.NewNop(), Clients: new(callback.Clients), Resets: new(ResetStats), Passed: new(atomic.Int64),
	}
	return k
}

func (k *kit) create(name string, partitions int) {
	k.t.Helper()
	if _, err := k.catalogue.Create(k.ctx, name, topic.Config{Partitions: partitions}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) drop(name string) {
	k.t.Helper()
	if err := k.catalogue.Delete(k.ctx, name); err != nil {
		k.t.Fatal(err)
	}
}

// put stores each value in that partition, a batch each.
func (k *kit) put(name string, i int32, values ...string) {
	k.t.Helper()
	t, err := k.catalogue.Get(name)
	if err != nil {
		k.t.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, v := range values {
		if err := k.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: p, Batch: sealed(k.t, v)}}}); err != nil {
			k.t.Fatal(err)
		}
	}
}

// sealed returns a batch of one record.
func sealed(t *testing.T, value string) log.Batch {
	t.Helper()
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// consumer returns one that is closed with the test. Options that are zero are the root's defaults.
func (k *kit) consumer(opts Options) *Consumer {
	k.t.Helper()
	if opts.MaxPollRecords == 0 {
		opts.MaxPollRecords, opts.MaxPollBytes = 4096, 4<<20
	}
	opts.Member = member.Options{
		Assignors: []group.Assignor{group.CooperativeSticky()}, SessionTimeout: 45 * time.Second,
		HeartbeatInterval: 3 * time.Second, MaxPollInterval: 5 * time.Minute,
	}
	c, err := New(k.ctx, &k.Broker, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = c.Close() })
	return c
}

// read polls until n records came.
func (k *kit) read(c *Consumer, n int) []log.Record {
	k.t.Helper()
	var records []log.Record
	for len(records) < n {
		more, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatal(err)
		}
		records = append(records, more...)
	}
	if len(records) > n {
		k.t.Fatalf("%d records came, want %d", len(records), n)
	}
	return records
}
