package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/inspect"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// TestEpochsStay moves leaders under a producer that knows nothing of them. Each batch is of the epoch that its partition says, those rise with
// the offsets, and the directory is whole; so it is when it is opened again, when its index is made anew, when it is restored, and when its
// topic is imported into another.
func TestEpochsStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Topics().Create(ctx, "orders", samsa.TopicConfig{Partitions: 2}))
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("before there were epochs")})
	must(err)
	c, err := kafka.ListenCluster(b, 3, "127.0.0.1:0", kafka.ClusterOptions{})
	must(err)
	enough, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for enough.Err() == nil {
				if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("v")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range int32(40) {
		must(c.MoveLeader("orders", i%2, i/2%3+1))
	}
	stop()
	wg.Wait()
	_, told, err := c.Leader("orders", 1)
	must(err)
	var snapshot bytes.Buffer
	must(b.Snapshot(ctx, &snapshot))
	want := epochsOf(t, b, "orders")
	mustClose(t, b)
	if told < 10 {
		t.Errorf("the epoch is %d", told)
	}
	whole := func(when string) {
		t.Helper()
		if found, sum := verify(t, dir); len(found) != sum.Notes {
			t.Errorf("%s: %v", when, found)
		}
		again := mustOpen(t, dir, samsa.Options{})
		if got := epochsOf(t, again, "orders"); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
		mustClose(t, again)
	}
	whole("opened again")
	tables, err := filepath.Glob(filepath.Join(dir, "index", "*.sst"))
	must(err)
	for _, name := range tables {
		must(os.Remove(name))
	}
	_, err = inspect.Repair(ctx, dir, func(int64, int64) {})
	must(err)
	whole("repaired")

	restored, err := samsa.Restore(ctx, t.TempDir(), bytes.NewReader(snapshot.Bytes()), samsa.Options{})
	must(err)
	if got := epochsOf(t, restored, "orders"); got != want {
		t.Errorf("restored: %s, want %s", got, want)
	}
	must(restored.Import(ctx, bytes.NewReader(snapshot.Bytes()), samsa.ImportOptions{As: map[string]string{"orders": "more"}}))
	if got := epochsOf(t, restored, "more"); got != want {
		t.Errorf("imported: %s, want %s", got, want)
	}
	mustClose(t, restored)
}

// epochsOf returns the leader epochs of a topic's partitions, and looks at those of its batches.
func epochsOf(t *testing.T, b *samsa.Broker, name string) string {
	t.Helper()
	topic, err := inside.Of(b).Catalogue.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []log.Epochs
	for _, p := range topic.Partitions() {
		epochs := p.Log().Epochs()
		all = append(all, epochs)
		if _, err := p.Log().Read(0, nil, func(sb log.StoredBatch) bool {
			b := sb.Batch
			if sb.Err != nil || b.LeaderEpoch() != epochs.At(b.BaseOffset()) || b.LeaderEpoch() != epochs.At(sb.LastOffset) || !b.CRCHolds() {
				t.Errorf("%s: the batch up to %d is of epoch %d, the log says %v: %v", p.TopicPartition(), sb.LastOffset, b.LeaderEpoch(), epochs, sb.Err)
			}
			return !t.Failed()
		}); err != nil {
			t.Error(err)
		}
	}
	return fmt.Sprint(all)
}
