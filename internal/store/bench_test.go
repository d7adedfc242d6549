package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
			b.Run(fmt.Sprintf("store=%s/value=%dB/ops=%d", c.name, load.size, load.ops), func(b *testing.B) {
				s := c.open(b)
				defer closeStore(b, s)
				benchmarkCommit(b, s, load.ops, load.size)
			})
		}
	}
}

func benchmarkCommit(b *testing.B, s Store, ops, size int) {
	load := newBenchBatch(ops, size)
	b.SetBytes(int64(ops * size))
	b.ReportAllocs()
	var offset int64
	for b.Loop() {
		offset += int64(ops)
		commit(b, s, load.fill(offset%(8<<30/int64(size))))
	}
}

func BenchmarkSync(b *testing.B) {
	for _, size := range []int{180, 64 << 10} {
		b.Run(fmt.Sprintf("store=disk/value=%dB", size), func(b *testing.B) {
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
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, batches := range []int{0, 2000, 20000} {
		b.Run(fmt.Sprintf("store=disk/batches=%d/end=clean", batches), func(b *testing.B) {
			dir := b.TempDir()
			s := openTemp(b, dir, Options{})
			fillStore(b, s, batches, 40<<10)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			benchmarkOpen(b, func() string { return dir })
		})
	}
	b.Run("store=disk/batches=2000/end=killed", func(b *testing.B) {
		s := openTemp(b, b.TempDir(), Options{})
		defer closeStore(b, s)
		fillStore(b, s, 2000, 40<<10)
		benchmarkOpen(b, func() string { return killedStore(b, s) })
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
	load := newBenchBatch(1, size)
	for i := range batches {
		commit(t, s, load.fill(int64(i)))
	}
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
