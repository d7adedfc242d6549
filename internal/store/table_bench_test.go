package store

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
)

// batchItems returns items as record batches have them: every step-th offset of one partition.
func batchItems(n, first, step int) []*item {
	items := make([]*item, n)
	for k := range items {
		offset := int64(first + k*step)
		i := newItem(AppendBatchKey(nil, BatchKey{LastOffset: offset, MaxTimestamp: 1}), nil)
		i.version, i.file = uint64(k+1), uint64(k/1000)
		i.large, i.place = true, place{at: k * 2000, size: 2000, crc: rand.Uint32()}
		items[k] = i
	}
	return items
}

// nullFile takes what is written.
type nullFile struct{ vfs.File }

func (nullFile) WriteAt(int64, ...[]byte) error { return nil }
func (nullFile) Sync() error                    { return nil }
func (nullFile) Close() error                   { return nil }

func BenchmarkTableWrite(b *testing.B) {
	items := batchItems(200_000, 0, 1)
	small := someItems(200_000)
	for name, items := range map[string][]*item{"large": items, "small": small} {
		b.Run("items="+name, func(b *testing.B) {
			b.ReportAllocs()
			bytes := int64(0)
			for b.Loop() {
				bytes = 0
				w := newTableWriter(func(size int64) (uint64, vfs.File, error) {
					bytes += size
					return 1, nullFile{}, nil
				}, tableSize)
				for _, i := range items {
					if err := w.add(i); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.finish(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(items))/b.Elapsed().Seconds(), "items/s")
			b.ReportMetric(float64(bytes)/float64(len(items)), "B/item")
		})
	}
}

func BenchmarkTableOpen(b *testing.B) {
	fs := openFS(b, b.TempDir())
	r := writeRun(b, fs, ".", 1, tableSize, batchItems(90_000, 0, 1))
	b.SetBytes(r.tables[0].info.size)
	for b.Loop() {
		t := newTable(fs, ".", r.tables[0].info)
		if _, err := t.open(); err != nil {
			b.Fatal(err)
		}
		if err := t.close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunGet(b *testing.B) {
	const n = 300_000
	r := writeRun(b, openFS(b, b.TempDir()), ".", 1, tableSize, batchItems(n, 0, 2))
	var key []byte
	for _, c := range []struct {
		name string
		odd  int
	}{{"hit", 0}, {"miss", 1}} {
		b.Run("key="+c.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 1))
			cursor := r.cursor()
			b.ReportAllocs()
			for b.Loop() {
				key = AppendBatchKey(key[:0], BatchKey{LastOffset: int64(2*random.IntN(n-1) + c.odd), MaxTimestamp: 1})
				i, err := cursor.get(key)
				if err != nil || (i == nil) != (c.odd == 1) {
					b.Fatal(i, err)
				}
			}
		})
	}
}

func BenchmarkRunAscending(b *testing.B) {
	const n = 300_000
	r := writeRun(b, openFS(b, b.TempDir()), ".", 1, tableSize, batchItems(n, 0, 2))
	for _, step := range []int{1, 2, 8, 32, 256} {
		b.Run(fmt.Sprintf("step=%d", step), func(b *testing.B) {
			var key []byte
			var a *runCursor
			b.ReportAllocs()
			for k := n; b.Loop(); k += step {
				if k >= n {
					k, a = 0, r.cursor()
				}
				key = AppendBatchKey(key[:0], BatchKey{LastOffset: int64(2 * k), MaxTimestamp: 1})
				if i, err := a.get(key); err != nil || i == nil {
					b.Fatal(i, err)
				}
			}
		})
	}
}

func BenchmarkCursor(b *testing.B) {
	const n = 40_000
	for _, runs := range []int{1, 8} {
		for _, reverse := range []bool{false, true} {
			b.Run(fmt.Sprintf("runs=%d/reverse=%t", runs, reverse), func(b *testing.B) {
				fs := openFS(b, b.TempDir())
				var cursors []cursor
				for k := range runs {
					cursors = append(cursors, writeRun(b, fs, ".", uint64(1+100*k), tableSize, batchItems(n, k, runs)).cursor())
				}
				c := mergeCursors(cursors)
				b.ReportAllocs()
				for b.Loop() {
					if c.next(); c.item() == nil {
						c.seek(nil, reverse)
					}
					if c.err() != nil {
						b.Fatal(c.err())
					}
				}
			})
		}
	}
}

// A short scan, as one who reads a partition has it: ten items from a key on.
func BenchmarkShortScan(b *testing.B) {
	const n, count = 40_000, 8
	fs := openFS(b, b.TempDir())
	var runs []*run
	for k := range count {
		runs = append(runs, writeRun(b, fs, ".", uint64(1+100*k), tableSize, batchItems(n, k, count)))
	}
	merged := func() cursor {
		var cursors []cursor
		for _, r := range runs {
			cursors = append(cursors, r.cursor())
		}
		return mergeCursors(cursors)
	}
	for _, reused := range []bool{false, true} {
		for _, near := range []bool{false, true} {
			b.Run(fmt.Sprintf("runs=%d/reused=%t/near=%t", count, reused, near), func(b *testing.B) {
				random := rand.New(rand.NewPCG(1, 1))
				var key []byte
				at := 0
				c := merged()
				b.ReportAllocs()
				for b.Loop() {
					if at += 10; !near || at >= n*count {
						at = random.IntN(n * count)
					}
					key = AppendBatchKey(key[:0], BatchKey{LastOffset: int64(at)})
					if !reused {
						c = merged()
					}
					c.seek(key, false)
					for range 10 {
						c.next()
					}
					if c.err() != nil {
						b.Fatal(c.err())
					}
				}
			})
		}
	}
}

func BenchmarkTreeCursor(b *testing.B) {
	tree := newItemTree()
	for _, i := range batchItems(100_000, 0, 1) {
		tree.Set(i)
	}
	c := treeCursor(tree)
	for b.Loop() {
		if c.next(); c.item() == nil {
			c.seek(nil, false)
		}
	}
}

// What it costs to be told of faults.
func BenchmarkCaught(b *testing.B) {
	t := &table{}
	var err error
	caught := func() {
		defer t.caught(debug.SetPanicOnFault(true), &err)
	}
	for b.Loop() {
		caught()
	}
}
