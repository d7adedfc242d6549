package store

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// fataler is a test, or a check of one.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkVisit compares what a cursor visits from key on with what it should, at most limit items.
func checkVisit(t fataler, c cursor, items []*item, key []byte, reverse bool, limit int) {
	t.Helper()
	i, _ := slices.BinarySearchFunc(items, key, func(i *item, key []byte) int { return bytes.Compare(i.key, key) })
	want := items[i:]
	if reverse {
		if len(key) == 0 {
			i = len(items)
		}
		want = slices.Clone(items[:i])
		slices.Reverse(want)
	}
	c.seek(key, reverse)
	for n, w := range want {
		if n == limit {
			return
		}
		if got := c.item(); !sameItem(got, w) || c.err() != nil {
			t.Fatalf("item %d from %.20q, reverse %t: %+v, %v; want %+v", n, key, reverse, got, c.err(), w)
		}
		c.next()
	}
	for range 2 {
		if c.item() != nil || c.err() != nil {
			t.Fatalf("behind the end of %d, from %.20q, reverse %t: %+v, %v", len(want), key, reverse, c.item(), c.err())
		}
		c.next()
	}
}

// checkSorted seeks everywhere: at keys, before and behind them, every so many.
func checkSorted(t fataler, c cursor, items []*item, stride int) {
	t.Helper()
	for _, reverse := range []bool{false, true} {
		for _, key := range [][]byte{nil, {}, {0}, {0xff, 0xff}} {
			checkVisit(t, c, items, key, reverse, len(items)+1)
		}
		for k := 0; k < len(items); k += stride {
			key := items[k].key
			before := bytes.Clone(key)
			before[len(before)-1]--
			for _, key := range [][]byte{key, append(bytes.Clone(key), 0), key[:len(key)-1], before} {
				checkVisit(t, c, items, key, reverse, 10)
			}
		}
	}
}

// Few keys, so that they meet; some are prefixes of others, some are long.
var itemKeys = rapid.OneOf(keys, rapid.StringMatching(`[a-c\x00\xff]{1,4}`), rapid.Map(keys, func(key string) string {
	return key + string(bytes.Repeat([]byte("x"), maxKeySize-len(key)))
}))

// drawItems draws items by key.
func drawItems(t *rapid.T, version uint64) map[string]*item {
	items := map[string]*item{}
	for range rapid.IntRange(0, 60).Draw(t, "items") {
		key := itemKeys.Draw(t, "key")
		i := newItem([]byte(key), nil)
		i.version, i.file = version, rapid.Uint64().Draw(t, "file")
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			i.deleted = true
		case 1:
			i.large = true
			i.place = place{at: rapid.IntRange(0, 1<<30).Draw(t, "at"), size: rapid.IntRange(inlineThreshold, limitBytes).Draw(t, "size"), crc: rapid.Uint32().Draw(t, "crc")}
		default:
			i.value = bytes.Repeat([]byte{byte(version)}, rapid.SampledFrom([]int{1, 20, inlineThreshold - 1}).Draw(t, "length"))
		}
		items[key] = i
		version++
	}
	return items
}

func sorted(items map[string]*item) []*item {
	var s []*item
	for _, i := range items {
		s = append(s, i)
	}
	slices.SortFunc(s, func(a, b *item) int { return bytes.Compare(a.key, b.key) })
	return s
}

// TestTableModel compares trees, runs and what is merged of them with maps.
func TestTableModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		disk := vfstest.NewDisk(0)
		tableSize := rapid.SampledFrom([]int{100, 3000, 20_000, 1 << 20}).Draw(rt, "table size")
		all := map[string]*item{}
		var newestFirst []cursor
		sources := rapid.IntRange(0, 6).Draw(rt, "sources")
		for n := range sources {
			items := drawItems(rt, uint64(n)*100+1)
			for key, i := range items {
				all[key] = i
			}
			want := sorted(items)
			var c cursor
			if rapid.Bool().Draw(rt, "tree") {
				tree := newItemTree()
				for _, i := range want {
					tree.Set(i)
				}
				c = treeCursor(tree)
			} else {
				r := writeRun(t, disk, ".", uint64(1000*n+1), tableSize, want)
				c = r.cursor()
				checkRun(rt, r, items)
			}
			checkSorted(rt, c, want, 1)
			newestFirst = append([]cursor{c}, newestFirst...)
		}
		checkSorted(rt, mergeCursors(newestFirst), sorted(all), 1)
	})
}

// checkRun asks for keys in any order, and in ascending order.
func checkRun(t *rapid.T, r *run, items map[string]*item) {
	asked := rapid.SliceOf(itemKeys).Draw(t, "asked for")
	for key := range items {
		asked = append(asked, key)
	}
	for _, key := range asked {
		if got, err := r.get([]byte(key)); err != nil || !sameItem(got, items[key]) {
			t.Fatalf("get %.20q: %+v, %v; want %+v", key, got, err, items[key])
		}
	}
	slices.Sort(asked)
	a := r.cursor()
	for _, key := range asked {
		if got, err := a.get([]byte(key)); err != nil || !sameItem(got, items[key]) {
			t.Fatalf("ascending to %.20q: %+v, %v; want %+v", key, got, err, items[key])
		}
	}
}

// Many sources, of which each has every key.
func TestMergeOfEqualKeys(t *testing.T) {
	disk := vfstest.NewDisk(0)
	var newestFirst []cursor
	var want []*item
	for n := range 9 {
		items := someItems(300)
		for _, i := range items {
			i.version = uint64(n)
		}
		newestFirst = append([]cursor{writeRun(t, disk, ".", uint64(100*n+1), 4000, items).cursor()}, newestFirst...)
		want = items
	}
	checkSorted(t, mergeCursors(newestFirst), want, 1)
}

// A cursor that fails in the middle ends the merge, wherever it stands.
func TestMergeEndsWithAnError(t *testing.T) {
	for damaged := range 3 {
		disk := vfstest.NewDisk(0)
		var cursors []cursor
		for n := range 3 {
			r := writeRun(t, disk, ".", uint64(100*n+1), 4000, someItems(1000)[n:])
			if n == damaged {
				flip(t, disk, r.tables[2].name, 10)
			}
			cursors = append(cursors, r.cursor())
		}
		m := mergeCursors(cursors)
		for _, reverse := range []bool{false, true} {
			visited := 0
			for m.seek(nil, reverse); m.item() != nil; m.next() {
				visited++
			}
			if m.err() == nil || visited == 0 || visited > 998 {
				t.Errorf("damaged %d: %d items, %v", damaged, visited, m.err())
			}
		}
	}
}
