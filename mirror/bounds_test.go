package mirror

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// noise is bytes that do not get fewer when they are compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// A mirror with a bound of bytes a second takes as long as its bytes do, and never sends more at once than those of a second and what the last
// batch has beyond.
func TestRate(t *testing.T) {
	const batch, batches, rate = 10_000, 60, 50_000
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.create(k.from, "t", samsa.TopicConfig{Partitions: 3})
		for i := range batches {
			k.produce(k.from, samsa.ProduceOptions{}, samsa.Record{Topic: "t", Partition: int32(i % 3), Value: noise(batch)})
		}
		m := k.mirror(Options{BytesPerSecond: rate})
		sent := &timed{Copying: m.to.Copying}
		m.to.Copying = sent
		k.ok(m.Run(k.ctx))
		for i := range int32(3) {
			k.same("t", i)
		}
		total := 0
		for i, c := range sent.calls {
			if c.bytes == 0 { // notes
				continue
			}
			if most := int(c.at.Sub(sent.calls[0].at).Seconds()*rate) + 1; total > most {
				t.Errorf("call %d: %d bytes were sent in a time for %d", i, total, most)
			}
			if total += c.bytes; c.bytes > rate+batch+1000 {
				t.Errorf("call %d: %d bytes at once", i, c.bytes)
			}
		}
		took := sent.calls[len(sent.calls)-1].at.Sub(sent.calls[0].at)
		if least := time.Duration(batches*batch/rate-2) * time.Second; took < least || took > least+2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// timed notes what is copied when.
type timed struct {
	engine.Copying
	engine.Copier
	calls []call
}

type call struct {
	at    time.Time
	bytes int
}

func (c *timed) NewCopier(ctx context.Context, name string) (engine.Copier, error) {
	var err error
	c.Copier, err = c.Copying.NewCopier(ctx, name)
	return c, err
}

func (c *timed) Copy(ctx context.Context, batches []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	bytes := 0
	for i := range batches {
		bytes += len(batches[i].Batch)
	}
	c.calls = append(c.calls, call{time.Now(), bytes})
	return c.Copier.Copy(ctx, batches, notes)
}

// Many partitions of large batches, and a target that is slow: what a mirror has in memory is two rounds, one that is stored and one that is read ahead.
func TestMemoryIsBounded(t *testing.T) {
	const partitions, size = 100, 900 << 10
	const most = 4 * roundBytes
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{Partitions: partitions})
	value := noise(size)
	for i := range int32(partitions) {
		k.produce(k.from, samsa.ProduceOptions{}, samsa.Record{Topic: "t", Partition: i, Value: value})
	}
	m := k.mirror(Options{})
	slow := &weighing{before: heap()}
	m.to.Copying = slow
	k.ok(m.Run(k.ctx))
	k.want(m.Stats().Records, int64(partitions))
	grown := int64(slow.highest) - int64(slow.before)
	t.Logf("%d MiB more on the heap, of %d MiB", grown>>20, partitions*size>>20)
	if grown > most {
		t.Errorf("want at most %d MiB", most>>20)
	}
}

// weighing is a target that gives offsets, keeps nothing, and looks how much memory is in use.
type weighing struct {
	moving
	before, highest uint64
}

func (w *weighing) NewCopier(context.Context, string) (engine.Copier, error) { return w, nil }

func (w *weighing) Copy(_ context.Context, batches []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	for i := range batches {
		batches[i].Base = w.end
		w.end += int64(batches[i].Batch.Records())
	}
	w.highest = max(w.highest, heap()) // which takes a while, in which it reads ahead
	_, err := notes()
	runtime.KeepAlive(batches)
	return err
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools kept
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A hold begins before the target was ever there, and lasts for as long as a mirror runs, or begins again within 7 days.
func TestHoldLasts(t *testing.T) {
	const day = 24 * time.Hour
	for name, wait := range map[string]func(*kit){
		"while it runs": func(k *kit) {
			m, err := New(k.from, k.to, Options{Hold: true, Refresh: time.Hour})
			k.ok(err)
			m.to.Copying = away{}
			ctx, cancel := context.WithTimeout(k.ctx, 9*day)
			defer cancel()
			k.fails(m.Run(ctx), context.DeadlineExceeded)
			k.fails(m.Stats().Trouble, samsa.ErrUnavailable)
		},
		"by programs": func(k *kit) {
			for range 3 {
				k.ok(Hold(k.ctx, k.from, Options{}))
				k.ok(pause(k.ctx, 6*day))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.ctx = context.Background()
				k.create(k.from, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed})
				reads, done := context.WithCancel(k.ctx) // somebody who reads all at once, from tomorrow on
				var reader sync.WaitGroup
				defer reader.Wait()
				defer done()
				reader.Go(func() {
					for pause(reads, day-time.Hour) == nil {
						if k.partition(k.from, "t", 0).HighWatermark() == 0 {
							k.put(k.from, "t", 0, "a", "b")
						}
						k.commit(k.from, "g", "t", 0, 2)
					}
				})
				wait(k)
				_, err := k.from.Sweep(k.ctx)
				k.ok(err)
				k.want(k.run(Options{Hold: true}).Stats().Records, int64(2))
				_, err = k.from.Sweep(k.ctx)
				k.ok(err)
				k.want(k.partition(k.from, "t", 0).LogStart(), int64(2))
			})
		})
	}
}

// away is a target that cannot be reached.
type away struct{}

func (away) NewCopier(context.Context, string) (engine.Copier, error) {
	return nil, samsa.ErrUnavailable
}
