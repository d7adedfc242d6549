package keys_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/engine"
)

func TestMain(m *testing.M) { kit.Main(m) }

func open(t *testing.T, k *kit.Kit, topic, dir string, remembered time.Duration) *keys.Keys {
	t.Helper()
	ks, err := keys.Open(k.Ctx, k.Topics, keys.Options{Topic: topic, Dir: dir, Logger: zap.NewNop(), Remembered: remembered})
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// Of those who wait for what the topic has more than the store one reads it. When he is done transactions may be on their way, and who reads beside
// them puts an older value over theirs.
func TestOneCatchesUp(t *testing.T) {
	k := kit.Door(t)
	ks := open(t, k, k.Create("keys", 1), "", time.Hour)
	defer func() { _ = ks.Close() }()
	var settled atomic.Int64
	reads, goOn := make(chan struct{}, 100), make(chan struct{})
	ks.SettleBy(func(context.Context) error {
		settled.Add(1)
		reads <- struct{}{}
		<-goOn
		return nil
	})
	var wg sync.WaitGroup
	for range cap(reads) {
		wg.Go(func() {
			if err := ks.Ready(k.Ctx); err != nil {
				t.Error(err)
			}
		})
	}
	<-reads
	close(goOn)
	wg.Wait()
	k.Want(settled.Load(), 1)
}

// A store that is older than the deletions that the topic remembers, or by a clock that went wrong, is read anew.
func TestOldStore(t *testing.T) {
	for remembered, want := range map[time.Duration]bool{time.Hour: true, time.Nanosecond: false} {
		k := kit.Door(t)
		topic, dir := k.Create("keys", 1), t.TempDir()
		ks := open(t, k, topic, dir, time.Hour)
		k.Want(ks.Load(k.Ctx), nil)
		k.Want(ks.Close(), nil)
		b, err := samsa.Open(dir, samsa.Options{}) // what only the store has
		if err != nil {
			t.Fatal(err)
		}
		k.Want(b.Update(k.Ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("mark"), nil) }), nil)
		k.Want(b.Close(), nil)
		ks = open(t, k, topic, dir, remembered)
		k.Want(ks.Load(k.Ctx), nil)
		v, err := ks.View(k.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, err := range v.Scan(engine.ScanOptions{}) {
			found = err == nil
		}
		v.End()
		k.Want(ks.Close(), nil)
		k.Want(found, want)
	}
}
