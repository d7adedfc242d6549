package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	badgertable "github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// creator returns what a tableWriter asks for files, numbered from first on. They are longer than need be, as spare
// ones are.
func creator(fs vfs.FS, dir string, first uint64) func(int64) (uint64, vfs.File, error) {
	number := first - 1
	return func(size int64) (uint64, vfs.File, error) {
		number++
		f, err := fs.Create(dir+"/"+tableFileName(number), size+1000)
		return number, f, err
	}
}

// writeRun writes items as tables, numbered from first on.
func writeRun(t testing.TB, fs vfs.FS, dir string, first uint64, tableSize int, items []*item) *run {
	t.Helper()
	w := newTableWriter(creator(fs, dir, first), tableSize)
	defer w.abort()
	for _, i := range items {
		if err := w.add(i); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	var tables []*table
	for _, info := range infos {
		tables = append(tables, newTable(fs, dir, info))
	}
	return newRun(tables)
}

func closeRun(r *run) error {
	var errs []error
	for _, table := range r.tables {
		errs = append(errs, table.close())
	}
	return errors.Join(errs...)
}

// get looks up a key with a cursor of its own. The item is the caller's.
func (r *run) get(key []byte) (*item, error) {
	i, err := r.cursor().get(key)
	if i != nil {
		i = i.clone()
	}
	return i, err
}

func (t *table) get(key []byte) (*item, error) { return newRun([]*table{t}).get(key) }

func newItem(key, value []byte) *item { return &item{key: key, value: value} }

// someItems returns n items of all kinds with ascending keys, which are odd.
func someItems(n int) []*item {
	items := make([]*item, n)
	for k := range items {
		i := newItem(fmt.Appendf(nil, "key %06d", 2*k+1), fmt.Appendf(nil, "value %d", k))
		i.version, i.file = uint64(1000+k), uint64(1+k%300)
		switch {
		case k%7 == 3:
			i.value, i.deleted = nil, true
		case k%5 == 2:
			i.value, i.large, i.place = nil, true, place{at: k * 1000, size: inlineThreshold + k, crc: uint32(k) << 20}
		}
		items[k] = i
	}
	return items
}

func sameItem(a, b *item) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.key, b.key) && bytes.Equal(a.value, b.value) && a.version == b.version && a.file == b.file &&
		a.deleted == b.deleted && a.large == b.large && a.place == b.place
}

// storages are where tables are tested.
func storages(t *testing.T, fn func(t *testing.T, fs vfs.FS, dir string)) {
	t.Run("simulated disk", func(t *testing.T) { fn(t, vfstest.NewDisk(0), ".") })
	t.Run("disk", func(t *testing.T) { fn(t, openFS(t, t.TempDir()), ".") })
}

// openFS returns the file system in dir for the length of a test.
func openFS(t testing.TB, dir string) *vfs.OS {
	t.Helper()
	fs, err := vfs.OpenOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Close(); err != nil {
			t.Error(err)
		}
	})
	return fs
}

func TestTables(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	storages(t, func(t *testing.T, fs vfs.FS, dir string) {
		items := someItems(20_000)
		r := writeRun(t, fs, dir, 7, 128<<10, items)
		if len(r.tables) < 3 || r.entries != len(items) {
			t.Fatalf("%d tables, %d entries", len(r.tables), r.entries)
		}
		for k, table := range r.tables {
			if info := table.info; info.size > 128<<10 || info.number != uint64(7+k) || bytes.Compare(info.first, info.last) >= 0 {
				t.Errorf("table %d: %+v", k, info)
			}
		}
		checkSorted(t, r.cursor(), items, 500)
		one := r.tables[1]
		checkSorted(t, newRun(r.tables[1:2]).cursor(), items[r.tables[0].info.entries:][:one.info.entries], 100)
		checkLookups(t, r, items, 1)
		if err := closeRun(r); err != nil {
			t.Error(err)
		}
		if _, err := r.get(items[0].key); !errors.Is(err, ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// checkLookups asks for the items, whose keys are odd, and for what is between them.
func checkLookups(t *testing.T, r *run, items []*item, stride int) {
	t.Helper()
	a := r.cursor()
	for k := 0; k < len(items); k += stride {
		want := items[k]
		for _, look := range []func([]byte) (*item, error){r.get, a.get} {
			absent := fmt.Appendf(nil, "key %06d", 2*k)
			if got, err := look(absent); got != nil || err != nil {
				t.Fatalf("%s: %+v, %v", absent, got, err)
			}
			if got, err := look(want.key); err != nil || !sameItem(got, want) {
				t.Fatalf("%s: %+v, %v; want %+v", want.key, got, err, want)
			}
		}
	}
	for _, look := range []func([]byte) (*item, error){r.get, a.get} {
		if got, err := look([]byte("key 999999")); got != nil || err != nil {
			t.Fatalf("behind the last key: %+v, %v", got, err)
		}
	}
}

func TestAscendingLookupsSkip(t *testing.T) {
	items := someItems(20_000)
	r := writeRun(t, vfstest.NewDisk(0), ".", 1, 64<<10, items)
	for _, stride := range []int{2, 5, 11, 300, 7000} {
		checkLookups(t, r, items, stride)
	}
}

// The item of a get belongs to its caller: nothing that follows changes it.
func TestItemsOfGetStay(t *testing.T) {
	items := someItems(1000)
	r := writeRun(t, vfstest.NewDisk(0), ".", 1, 1<<20, items)
	var got []*item
	for _, i := range items {
		found, err := r.get(i.key)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, found)
	}
	if err := closeRun(r); err != nil { // spoils what was mapped
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, items, sameItem) {
		t.Error("items have changed")
	}
}

func TestTablesOfExtremeItems(t *testing.T) {
	long := bytes.Repeat([]byte("k"), maxKeySize-2)
	for _, c := range []struct {
		name  string
		items func(k int) *item
	}{
		{"long keys, long values", func(k int) *item {
			return newItem(append(bytes.Clone(long), byte(k>>8), byte(k)), bytes.Repeat([]byte{byte(k)}, inlineThreshold-1))
		}},
		{"long keys, tombstones", func(k int) *item {
			i := newItem(append([]byte{byte(k >> 8), byte(k)}, long...), nil)
			i.deleted = true
			return i
		}},
		{"short keys", func(k int) *item { return newItem([]byte{byte(k >> 8), byte(k)}, []byte{1}) }},
		{"zeros", func(k int) *item { return newItem(bytes.Repeat([]byte{0}, 1+k%1000), []byte{1}) }},
		{"all ones", func(k int) *item { return newItem(bytes.Repeat([]byte{0xff}, 1+k%1000), []byte{1}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 1000} {
				items := make([]*item, n)
				for k := range items {
					items[k] = c.items(k)
					items[k].version = ^uint64(k) // the largest first
				}
				r := writeRun(t, vfstest.NewDisk(0), ".", 1, 64<<10, items)
				for _, table := range r.tables {
					if table.info.size > 64<<10 {
						t.Errorf("a table of %d bytes", table.info.size)
					}
				}
				checkSorted(t, r.cursor(), items, 50)
				for _, want := range items {
					if got, err := r.get(want.key); err != nil || !sameItem(got, want) {
						t.Fatalf("%.10q: %+v, %v", want.key, got, err)
					}
				}
			}
		})
	}
}

// The first calls come at once.
func TestTableIsOpenedOnce(t *testing.T) {
	disk := vfstest.NewDisk(0)
	items := someItems(5000)
	r := writeRun(t, disk, ".", 1, 1<<20, items)
	opened := 0
	disk.Before(func(c vfstest.Call) error {
		if c.Op == "open" {
			opened++ // one at a time
		}
		return nil
	})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for range 1000 {
				want := items[random.IntN(len(items))]
				if got, err := r.get(want.key); err != nil || !sameItem(got, want) {
					t.Errorf("%s: %+v, %v", want.key, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}
	if got, err := r.get([]byte("j")); got != nil || err != nil {
		t.Errorf("before the first key: %+v, %v", got, err)
	}
}

// What a key's place excludes needs no file.
func TestTableIsNotOpenedForOtherKeys(t *testing.T) {
	disk := vfstest.NewDisk(0)
	r := writeRun(t, disk, ".", 1, 1<<20, someItems(10))
	disk.Before(func(c vfstest.Call) error { return fmt.Errorf("%s", c) })
	for _, key := range []string{"a", "key 000000", "key 000020", "z"} {
		if _, err := r.get([]byte(key)); err != nil {
			t.Error(err)
		}
	}
	c := newRun(r.tables[:1]).cursor()
	if c.seek([]byte("z"), false); c.item() != nil || c.err() != nil {
		t.Error(c.item(), c.err())
	}
	for _, key := range []string{"a", "key 000001"} {
		if c.seek([]byte(key), true); c.item() != nil || c.err() != nil {
			t.Error(c.item(), c.err())
		}
	}
}

func TestTableWriterWithoutItems(t *testing.T) {
	w := newTableWriter(nil, 1<<20)
	if infos, err := w.finish(); len(infos) > 0 || err != nil {
		t.Errorf("%v, %v", infos, err)
	}
	w.abort()
}

func TestTableWriterRefusesDisorder(t *testing.T) {
	for _, second := range []string{"b", "a", ""} {
		w := newTableWriter(nil, 1<<20)
		if err := w.add(newItem([]byte("b"), []byte("1"))); err != nil {
			t.Fatal(err)
		}
		if err := w.add(newItem([]byte(second), []byte("1"))); !errors.Is(err, errItemOrder) {
			t.Errorf("%q after b: %v", second, err)
		}
		w.abort()
	}
}

// Each call of the disk fails once. The error is told, and every file that was created is closed.
func TestTableWriterFails(t *testing.T) {
	items := someItems(10_000)
	injected := errors.New("injected")
	failures := 0
	for n := 1; ; n++ {
		disk := vfstest.NewDisk(0)
		disk.Before(func(c vfstest.Call) error {
			if c.N == n {
				return injected
			}
			return nil
		})
		open := 0
		create := creator(disk, ".", 1)
		w := newTableWriter(func(size int64) (uint64, vfs.File, error) {
			number, f, err := create(size)
			if err == nil {
				open++
				f = closeCounter{f, &open}
			}
			return number, f, err
		}, 100<<10)
		var err error
		for _, i := range items {
			if err = w.add(i); err != nil {
				break
			}
		}
		if err == nil {
			_, err = w.finish()
		}
		w.abort()
		if open != 0 {
			t.Errorf("call %d: %d files are open", n, open)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, injected) {
			t.Errorf("call %d: %v", n, err)
		}
		failures++
	}
	if failures < 9 {
		t.Errorf("%d calls have failed", failures)
	}
}

type closeCounter struct {
	vfs.File
	open *int
}

func (f closeCounter) Close() error {
	*f.open--
	return f.File.Close()
}

// A table gives its map back once, and one that is damaged does not keep it.
func TestTableIsUnmapped(t *testing.T) {
	disk := mapCounter{FS: vfstest.NewDisk(0), mapped: new(int)}
	r := writeRun(t, disk, ".", 1, 64<<10, someItems(5000))
	flip(t, disk, r.tables[1].name, 100)
	for k, table := range r.tables {
		if _, err := table.get(table.info.first); (err != nil) != (k == 1) {
			t.Error(err)
		}
	}
	if want := len(r.tables) - 1; *disk.mapped != want {
		t.Errorf("%d maps, want %d", *disk.mapped, want)
	}
	for range 2 {
		if err := closeRun(r); err != nil || *disk.mapped != 0 {
			t.Errorf("%d maps after close, %v", *disk.mapped, err)
		}
	}
}

// mapCounter counts what is mapped of its files.
type mapCounter struct {
	vfs.FS
	mapped *int
}

func (fs mapCounter) Open(name string) (vfs.File, error) {
	f, err := fs.FS.Open(name)
	return mapCounterFile{f, fs.mapped}, err
}

type mapCounterFile struct {
	vfs.File
	mapped *int
}

func (f mapCounterFile) Map(size int64) ([]byte, func() error, error) {
	data, unmap, err := f.File.Map(size)
	if err != nil {
		return nil, nil, err
	}
	*f.mapped++
	return data, func() error {
		*f.mapped--
		return unmap()
	}, nil
}

// Badger's own reader finds the same in a table.
func TestBadgerReadsTables(t *testing.T) {
	disk := vfstest.NewDisk(0)
	items := someItems(5000)
	r := writeRun(t, disk, ".", 1, 1<<20, items)
	content, err := r.tables[0].open()
	if err != nil {
		t.Fatal(err)
	}
	options := tableOptions(1 << 20)
	theirs, err := badgertable.OpenInMemoryTable(content.data, 1, &options)
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.VerifyChecksum(); err != nil {
		t.Error(err)
	}
	c := r.cursor()
	c.seek(nil, false)
	it := theirs.NewIterator(0)
	defer func() { _ = it.Close() }()
	for it.Rewind(); it.Valid(); it.Next() {
		i, v := c.item(), it.Value()
		if !bytes.Equal(it.Key(), y.KeyWithTs(i.key, i.version)) || v.Meta != i.kind() || !bytes.Equal(v.Value, i.appendEncoded(nil)) {
			t.Fatalf("%x, %d %x; want %+v", it.Key(), v.Meta, v.Value, i)
		}
		c.next()
	}
	if c.item() != nil || c.err() != nil {
		t.Error(c.item(), c.err())
	}
}

// What finish has returned survives a power cut.
func TestTablesAreDurable(t *testing.T) {
	disk := vfstest.NewDisk(0)
	items := someItems(3000)
	r := writeRun(t, disk, ".", 1, 64<<10, items)
	if err := disk.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	cut := disk.Cut(1)
	for _, table := range r.tables {
		table.fs = cut
	}
	checkLookups(t, r, items, 1)
}

func TestWrongItemsAreRefused(t *testing.T) {
	large := func(at, size uint64, more ...byte) []byte {
		b := binary.AppendUvarint([]byte{1}, at)
		return append(append(binary.AppendUvarint(b, size), make([]byte, 4)...), more...)
	}
	for name, c := range map[string]struct {
		meta  byte
		value []byte
	}{
		"no meta":             {0, []byte{1, 1}},
		"another meta":        {opBegin, []byte{1, 1}},
		"no file":             {opSet, nil},
		"a cut file":          {opSet, []byte{0x80}},
		"a file too large":    {opDelete, bytes.Repeat([]byte{0xff}, 11)},
		"no value":            {opSet, []byte{1}},
		"a value too large":   {opSet, make([]byte, 1+inlineThreshold)},
		"a tombstone's value": {opDelete, []byte{1, 1}},
		"no place":            {opLarge, []byte{1}},
		"a small large one":   {opLarge, large(1, inlineThreshold-1)},
		"one beyond limits":   {opLarge, large(1, limitBytes+1)},
		"a negative offset":   {opLarge, large(1<<63, inlineThreshold)},
		"a cut CRC":           {opLarge, large(1, inlineThreshold)[:6]},
		"more than a CRC":     {opLarge, large(1, inlineThreshold, 0)},
	} {
		if i := new(item); i.decode(c.meta, c.value) {
			t.Errorf("%s: %+v", name, i)
		}
	}
	for _, b := range [][]byte{large(1, inlineThreshold), large(1<<30, limitBytes)} {
		if i := new(item); !i.decode(opLarge, b) {
			t.Errorf("%x is refused", b)
		}
	}
}

func FuzzTableItem(f *testing.F) {
	for _, i := range someItems(8) {
		f.Add(i.kind(), i.appendEncoded(nil))
	}
	f.Add(byte(opSet), []byte{0x81, 0x00, 1}) // a number is written in one way only
	f.Fuzz(func(t *testing.T, meta byte, b []byte) {
		var i item
		if !i.decode(meta, b) {
			return
		}
		if again := i.appendEncoded(nil); i.kind() != meta || !bytes.Equal(again, b) {
			t.Errorf("%d %x is %+v, and that is %d %x", meta, b, i, i.kind(), again)
		}
	})
}
