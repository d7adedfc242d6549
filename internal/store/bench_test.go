package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// benchBatch holds ops values of the given size under fresh keys of the shape that
// record batches have. Its bytes are reused by every iteration.
type benchBatch struct {
	batch Batch
	keys  []byte
	value []byte
	ops   int
}

func newBenchBatch(ops, size int) *benchBatch {
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i * 7)
	}
	return &benchBatch{value: value, ops: ops}
}

// fill makes the next batch in b, with offsets from first on.
func (b *benchBatch) fill(first int64) *Batch {
	b.batch.Reset()
	b.keys = b.keys[:0]
	for i := range b.ops {
		n := len(b.keys)
		b.keys = AppendBatchKey(b.keys, BatchKey{LastOffset: first + int64(i), MaxTimestamp: first})
		b.batch.Set(b.keys[n:len(b.keys):len(b.keys)], b.value)
	}
	return &b.batch
}

func BenchmarkCommit(b *testing.B) {
	for _, c := range constructors {
		for _, load := range []struct{ ops, size int }{{1, 180}, {64, 180}, {1, 4 << 10}, {1, 64 << 10}, {1, 256 << 10}} {
			for _, flights := range []int{1, 8} {
				name := fmt.Sprintf("store=%s/value=%dB/ops=%d/inflight=%d", c.name, load.size, load.ops, flights)
				b.Run(name, func(b *testing.B) {
					s := c.open(b)
					defer closeStore(b, s)
					benchmarkCommit(b, s, load.ops, load.size, flights)
				})
			}
		}
	}
}

func benchmarkCommit(b *testing.B, s Store, ops, size, flights int) {
	idle := make(chan *benchBatch, flights)
	for range flights {
		idle <- newBenchBatch(ops, size)
	}
	b.SetBytes(int64(ops * size))
	b.ReportAllocs()
	var offset int64
	for b.Loop() {
		free := <-idle
		offset += int64(ops)
		s.Commit(free.fill(offset%(8<<30/int64(size))), func(err error) {
			if err != nil {
				b.Error(err)
			}
			idle <- free
		})
	}
	for range flights {
		<-idle
	}
}

func BenchmarkSync(b *testing.B) {
	for _, size := range []int{180, 64 << 10} {
		b.Run(fmt.Sprintf("store=badger/value=%dB", size), func(b *testing.B) {
			s := openTemp(b, b.TempDir(), Options{})
			defer closeStore(b, s)
			load, offset := newBenchBatch(1, size), int64(0)
			for b.Loop() {
				offset++
				commit(b, s, load.fill(offset))
				if err := s.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// What one fsync costs on this disk, to compare: a write of a page to a file that
	// has its size already.
	b.Run("store=none/bare", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "f"))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if err := f.Truncate(16 << 20); err != nil {
			b.Fatal(err)
		}
		record := make([]byte, 250)
		var pos int64
		for b.Loop() {
			pos += int64(len(record))
			if _, err := f.WriteAt(record, pos%(15<<20)); err != nil {
				b.Fatal(err)
			}
			if err := syncFile(f.Name()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, batches := range []int{0, 2000, 20000} {
		b.Run(fmt.Sprintf("store=badger/batches=%d/end=clean", batches), func(b *testing.B) {
			dir := b.TempDir()
			s := openTemp(b, dir, Options{})
			fillStore(b, s, batches, 40<<10)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			benchmarkOpen(b, func() string { return dir })
		})
	}
	b.Run("store=badger/batches=2000/end=killed", func(b *testing.B) {
		s := openTemp(b, b.TempDir(), Options{})
		defer closeStore(b, s)
		fillStore(b, s, 2000, 40<<10)
		benchmarkOpen(b, func() string { return copyStore(b, s.dir) })
	})
}

func benchmarkOpen(b *testing.B, dir func() string) {
	for b.Loop() {
		b.StopTimer()
		at := dir()
		b.StartTimer()
		s := openTemp(b, at, Options{})
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func fillStore(t testing.TB, s Store, batches, size int) {
	t.Helper()
	var wg sync.WaitGroup
	idle := make(chan *benchBatch, 8)
	for range cap(idle) {
		idle <- newBenchBatch(1, size)
	}
	for i := range batches {
		wg.Add(1)
		free := <-idle
		s.Commit(free.fill(int64(i)), func(err error) {
			if err != nil {
				t.Error(err)
			}
			idle <- free
			wg.Done()
		})
	}
	wg.Wait()
}

func BenchmarkScan(b *testing.B) {
	for _, c := range constructors {
		for _, size := range []int{180, 64 << 10} {
			b.Run(fmt.Sprintf("store=%s/value=%dB", c.name, size), func(b *testing.B) {
				s := c.open(b)
				defer closeStore(b, s)
				fillStore(b, s, 1000, size)
				b.SetBytes(int64(1000 * size))
				var buf []byte
				for b.Loop() {
					err := s.Scan(Range{}, func(e Entry) (bool, error) {
						var err error
						buf, err = e.AppendValue(buf[:0])
						return true, err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, c := range constructors {
		for _, size := range []int{180, 64 << 10} {
			b.Run(fmt.Sprintf("store=%s/value=%dB", c.name, size), func(b *testing.B) {
				s := c.open(b)
				defer closeStore(b, s)
				fillStore(b, s, 1000, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				key := AppendBatchKey(nil, BatchKey{LastOffset: 500, MaxTimestamp: 500})
				for b.Loop() {
					if _, err := s.Get(key); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCommitDuringReclaim measures commits, one at a time, with and without a
// Reclaim beside them that has about 1 GB to work on.
func BenchmarkCommitDuringReclaim(b *testing.B) {
	for _, old := range []int{4 << 10, 64 << 10} {
		for _, garbage := range []int{60, 90} {
			for _, size := range []int{180, 64 << 10} {
				for _, reclaim := range []bool{false, true} {
					name := fmt.Sprintf("stored=%dKB/garbage=%d%%/value=%dB/reclaim=%v", old>>10, garbage, size, reclaim)
					b.Run(name, func(b *testing.B) {
						s := openTemp(b, b.TempDir(), Options{})
						defer closeStore(b, s)
						fillGarbage(b, s, 1<<30/old, old, garbage)
						benchmarkCommitDuringReclaim(b, s, size, reclaim)
					})
				}
			}
		}
	}
}

// fillGarbage stores values and deletes a percentage of them, evenly.
func fillGarbage(b *testing.B, s *badgerStore, values, size, percentage int) {
	fillStore(b, s, values, size)
	for i := 0; i < values; {
		var batch Batch
		for ; i < values && batch.Len() < 1000; i++ {
			if i*37%100 < percentage {
				batch.Delete(offsetKey(i))
			}
		}
		commit(b, s, &batch)
	}
}

func benchmarkCommitDuringReclaim(b *testing.B, s *badgerStore, size int, reclaim bool) {
	w := newWriter(s)
	reclaimed := make(chan error, 1)
	before, err := s.Size()
	if err != nil {
		b.Fatal(err)
	}
	if reclaim {
		go func() { reclaimed <- s.Reclaim(context.Background(), ReclaimOptions{Pause: w.pause}) }()
	}
	load := newBenchBatch(1, size)
	var latencies []time.Duration
	offset := int64(1 << 40)
	one := func() {
		offset++
		done := make(chan struct{})
		began := time.Now()
		w.commit(load.fill(offset%500+1<<40), func(err error) {
			if err != nil {
				b.Error(err)
			}
			close(done)
		})
		<-done
		latencies = append(latencies, time.Since(began))
	}
	began := time.Now()
	for b.Loop() {
		one()
	}
	for reclaim {
		select {
		case err := <-reclaimed:
			if err != nil {
				b.Error(err)
			}
			reclaim = false
			after, err := s.Size()
			if err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(before-after)/(1<<20), "freed-MB")
			b.ReportMetric(time.Since(began).Seconds(), "reclaim-s")
		default:
			one()
		}
	}
	slices.Sort(latencies)
	for _, q := range []struct {
		at   float64
		name string
	}{{0.5, "p50-µs"}, {0.99, "p99-µs"}, {0.999, "p99.9-µs"}, {1, "max-µs"}} {
		i := min(len(latencies)-1, int(q.at*float64(len(latencies))))
		b.ReportMetric(float64(latencies[i].Microseconds()), q.name)
	}
	b.ReportMetric(float64(len(latencies))/time.Since(began).Seconds(), "commits/s")
	b.ReportMetric(0, "ns/op")
}
