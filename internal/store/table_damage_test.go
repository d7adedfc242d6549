package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// checkDamaged looks at a table, new each time, in all ways. Each must tell, and name the file.
func checkDamaged(t *testing.T, fs vfs.FS, dir string, info tableInfo, what string) {
	t.Helper()
	told := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tableFileName(info.number)) || !strings.Contains(err.Error(), "RebuildIndex") {
			t.Errorf("%s: %v", what, err)
		}
	}
	one := newTable(fs, dir, info)
	_, err := one.get(info.first)
	told(err)
	_, again := one.get(info.last)
	told(again)
	r := newRun([]*table{newTable(fs, dir, info)})
	_, err = r.cursor().get(info.last)
	told(err)
	c := mergeCursors([]cursor{treeCursor(newItemTree()), newRun([]*table{newTable(fs, dir, info)}).cursor()})
	for _, reverse := range []bool{false, true} {
		if c.seek(nil, reverse); c.item() != nil {
			t.Errorf("%s: a cursor stands on %s", what, c.item().key)
		}
		told(c.err())
		c.next()
		told(c.err())
	}
	if err := errors.Join(one.close(), closeRun(r)); err != nil {
		t.Error(err)
	}
}

// flip changes a byte of a file.
func flip(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1 << (at % 8)
	if err = errors.Join(err, f.WriteAt(at, b), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedTableIsTold(t *testing.T) {
	storages(t, func(t *testing.T, fs vfs.FS, dir string) {
		items := someItems(2000)
		r := writeRun(t, fs, dir, 1, 1<<20, items)
		info, name := r.tables[0].info, r.tables[0].name
		places := []int64{0, info.size - 1}
		for at := int64(1); at < info.size; at += 991 {
			places = append(places, at)
		}
		for _, at := range places {
			flip(t, fs, name, at)
			checkDamaged(t, fs, dir, info, "flipped")
			flip(t, fs, name, at)
		}
		flip(t, fs, name, info.size) // behind what is used
		checkLookups(t, newRun([]*table{newTable(fs, dir, info)}), items, 1)

		longer := info
		longer.size += 1 << 20
		checkDamaged(t, fs, dir, longer, "too short")
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		checkDamaged(t, fs, dir, info, "missing")
	})
}

// The error of a damaged table stays, even if the file is mended: who was told must not see it otherwise.
func TestDamageIsToldForEver(t *testing.T) {
	disk := vfstest.NewDisk(0)
	r := writeRun(t, disk, ".", 1, 1<<20, someItems(100))
	one := r.tables[0]
	flip(t, disk, one.name, 50)
	for range 2 {
		if _, err := one.get(one.info.first); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v", err)
		}
		flip(t, disk, one.name, 50)
	}
}

// An error of the file system says nothing about the table: the next call tries again.
func TestTableIsOpenedAgain(t *testing.T) {
	disk := vfstest.NewDisk(0)
	items := someItems(100)
	r := writeRun(t, disk, ".", 1, 1<<20, items)
	injected := errors.New("injected")
	for _, op := range []string{"open", "map"} {
		disk.Before(func(c vfstest.Call) error {
			if c.Op == op {
				return injected
			}
			return nil
		})
		if _, err := r.get(items[0].key); !errors.Is(err, injected) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", op, err)
		}
	}
	disk.Before(nil)
	checkLookups(t, r, items, 1)
}

// What Badger's builder writes, and ours never asks it for, is refused.
func TestOtherTablesAreRefused(t *testing.T) {
	for name, v := range map[string]y.ValueStruct{
		"user meta": {Meta: opSet, UserMeta: 1, Value: []byte{1, 1}},
		"expires":   {Meta: opSet, ExpiresAt: 1, Value: []byte{1, 1}},
		"no value":  {Meta: opSet},
	} {
		b := newTableBuilder(1 << 20)
		b.Add(y.KeyWithTs([]byte("a"), 1), v, 0)
		data := b.Finish()
		b.Close()
		disk := vfstest.NewDisk(0)
		f, err := disk.Create(tableFileName(1), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.WriteAt(0, data), f.Close()); err != nil {
			t.Fatal(err)
		}
		info := tableInfo{1, int64(len(data)), xxhash.Sum64(data), 1, []byte("a"), []byte("a")}
		checkDamaged(t, disk, ".", info, name)
	}
}

// A byte of a table changes between two opens: whoever looks for what it had is told. Where its hash is made that of the
// damaged bytes, some places go unseen: so it is the hash that tells.
func TestFlippedTableIsTold(t *testing.T) {
	l := newLife(t, 1)
	l.opts.treeEntries = 1000
	l.open()
	l.keys = 500
	for l.done < 200 {
		l.commit()
	}
	if err := errors.Join(l.store.checkpoint(), l.store.Close()); err != nil {
		t.Fatal(err)
	}
	want := l.states[l.done]
	slots := &manifests{fs: l.disk.Clone(), dir: "."}
	m, err := slots.read()
	if err != nil || len(m.runs) == 0 {
		t.Fatal(m, err)
	}
	// wrong looks for all keys on a disk, and says how many are not found as they were, and whether that was told.
	wrong := func(disk *vfstest.Disk) (unseen int, told error) {
		s, err := openDisk(disk, ".", l.opts)
		if err != nil {
			return 0, err
		}
		defer func() { _ = s.Close() }()
		for key, value := range want {
			found, err := s.Get([]byte(key))
			switch {
			case errors.Is(err, ErrCorrupt):
				told = err
			case string(found) != value:
				unseen++
			}
		}
		return unseen, told
	}
	unchecked := 0
	for _, info := range m.runs[0] {
		for at := int64(0); at < info.size; at += max(1, info.size/100) {
			disk := l.disk.Clone()
			flip(t, disk, indexName+"/"+tableFileName(info.number), at)
			if unseen, told := wrong(disk.Clone()); unseen > 0 || !errors.Is(told, ErrIndex) {
				t.Errorf("byte %d of %s: %d keys are wrong, told %v", at, tableFileName(info.number), unseen, told)
			}
			trust(t, disk, info)
			if unseen, told := wrong(disk); unseen > 0 || told == nil {
				unchecked++
			}
		}
	}
	if unchecked == 0 {
		t.Error("without the hash all would be told as well")
	}
}

// trust has the manifest say that a table is to be as it is.
func trust(t *testing.T, disk *vfstest.Disk, info tableInfo) {
	t.Helper()
	f, err := disk.Open(indexName + "/" + tableFileName(info.number))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.size)
	_, err = f.ReadAt(b, 0)
	slots := &manifests{fs: disk, dir: "."}
	m, readErr := slots.read()
	if err := errors.Join(err, f.Close(), readErr); err != nil {
		t.Fatal(err)
	}
	for _, run := range m.runs {
		for i := range run {
			if run[i].number == info.number {
				run[i].hash = xxhash.Sum64(b)
			}
		}
	}
	if err := slots.write(m); err != nil {
		t.Fatal(err)
	}
}
