package e2e

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/topic"
)

// keysOf returns all keys of a store with their values.
func keysOf(st store.Store) (map[string]string, error) {
	all := map[string]string{}
	err := st.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		all[string(e.Key)] = string(value)
		return true, err
	})
	return all, err
}

// seen leaves of what is in a store what a user can see: the batches of topics that are there, from the log start on.
func seen(all map[string]string) map[string]string {
	there := map[uint32]bool{}
	for key, value := range all {
		var entry struct{ Number uint32 }
		if strings.HasPrefix(key, "ct") && json.Unmarshal([]byte(value), &entry) == nil {
			there[entry.Number] = true
		}
	}
	left := maps.Clone(all)
	maps.DeleteFunc(left, func(key, _ string) bool {
		batch, err := store.ParseBatchKey([]byte(key))
		if err != nil {
			return false
		}
		start, err := store.ParseOffset([]byte(all[string(store.LogStartKey(batch.PartitionID))]))
		return !there[batch.Topic] || err == nil && batch.LastOffset < start
	})
	return left
}

// toldOfIndex reports whether an error tells what to do about an index that is not whole.
func toldOfIndex(err error) bool {
	return errors.Is(err, samsa.ErrCorruptValue) && strings.Contains(err.Error(), "RebuildIndex")
}

// spoil takes files of the index away, or changes some of their bytes.
func spoil(t *testing.T, rng *rand.Rand, disk *vfstest.Disk) {
	t.Helper()
	tables, err := disk.List("index")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"MANIFEST.0", "MANIFEST.1"}
	if rng.IntN(2) == 0 {
		names = names[:rng.IntN(2)]
	}
	one := rng.IntN(len(tables) + 1)
	for i, info := range tables {
		if i == one || rng.IntN(3) == 0 {
			names = append(names, "index/"+info.Name)
		}
	}
	for _, name := range names {
		err := error(nil)
		if rng.IntN(2) == 0 {
			err = disk.Remove(name)
		} else if f, openErr := disk.Open(name); openErr != nil {
			err = openErr
		} else {
			size, sizeErr := f.Size()
			junk := make([]byte, 1+rng.IntN(100))
			for i := range junk {
				junk[i] = byte(rng.Uint32())
			}
			at := rng.Int64N(max(1, min(size, 4<<10)-int64(len(junk))))
			err = errors.Join(sizeErr, f.WriteAt(at, junk), f.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the power may have come first
			t.Fatal(err)
		}
	}
}

// wholeSlots returns how many slots of the manifest are whole: the power may have torn one, and spoil another.
func wholeSlots(t *testing.T, disk *vfstest.Disk) (n int) {
	t.Helper()
	for _, name := range []string{"MANIFEST.0", "MANIFEST.1"} {
		b := bytesOf(t, disk, name, 1<<20)
		if len(b) < 24 || uint64(len(b)) < 24+uint64(binary.BigEndian.Uint32(b[12:])) {
			continue
		}
		body := b[24:][:binary.BigEndian.Uint32(b[12:])]
		if xxhash.Sum64(slices.Concat(b[:16], body)) == binary.BigEndian.Uint64(b[16:]) {
			n++
		}
	}
	return n
}

// bytesOf returns what a file begins with, nothing if it is not there.
func bytesOf(t *testing.T, disk *vfstest.Disk, name string, most int64) []byte {
	t.Helper()
	f, err := disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	b := make([]byte, min(size, most))
	if err == nil {
		_, err = f.ReadAt(b, 0)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// remains says what there is on a disk to make an index of.
func remains(t *testing.T, disk *vfstest.Disk) string {
	t.Helper()
	infos, err := disk.List("values")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d whole slots of the manifest", wholeSlots(t, disk))
	for _, info := range infos {
		if b := bytesOf(t, disk, "values/"+info.Name, 40); len(b) == 40 && b[0] != 0 {
			text += fmt.Sprintf("\n%s: rank %d, first commit %d", info.Name, binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]))
		}
	}
	return text
}

// open opens the store on a disk.
func (o *blackout) open(disk *vfstest.Disk, rebuild bool) (store.Store, error) {
	return store.OpenOn(disk, ".", o.small.Options(store.Options{Rebuild: rebuild}))
}

// truth returns what is on a disk.
func (o *blackout) truth(disk *vfstest.Disk) map[string]string {
	o.t.Helper()
	st, err := o.open(disk.Clone(), false)
	if err != nil {
		o.t.Fatal(err)
	}
	defer mustClose(o.t, st)
	all, err := keysOf(st)
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// touch looks for everything on a disk whose index was spoilt, and for what is not there.
func (o *blackout) touch(disk *vfstest.Disk, want map[string]string) {
	t := o.t
	t.Helper()
	st, err := o.open(disk, false)
	if err != nil {
		if !toldOfIndex(err) {
			t.Errorf("open: %v", err)
		}
		return
	}
	defer func() { _ = st.Close() }()
	if all, err := keysOf(st); err == nil && !maps.Equal(all, want) || err != nil && !toldOfIndex(err) {
		t.Errorf("all: %d keys of %d, error %v", len(all), len(want), err)
	}
	for key, value := range want {
		got, err := st.Get([]byte(key))
		if err == nil && string(got) != value || err != nil && !toldOfIndex(err) {
			t.Errorf("key %q: a value of %d bytes, want %d; %v", key, len(got), len(value), err)
		}
		if _, err := st.Get([]byte(key + "+")); !errors.Is(err, store.ErrNotFound) && !toldOfIndex(err) {
			t.Errorf("key %q+: %v", key, err)
		}
	}
}

// clean opens the catalogue over st, which removes what came back, and closes all.
func (o *blackout) clean(st store.Store, want map[string]string, look func(store.Store)) {
	t := o.t
	t.Helper()
	committer := writer.NewCommitter(st, zap.NewNop())
	_, found, err := topic.Open(st, committer, zap.NewNop())
	if err != nil || len(found.Damaged) > 0 {
		t.Errorf("open the catalogue: %v, damaged: %v", err, found.Damaged)
	}
	committer.Close()
	all, err := keysOf(st)
	if err != nil {
		t.Error(err)
	}
	dead := maps.Clone(all)
	all, want = seen(all), seen(want)
	maps.DeleteFunc(dead, func(key, _ string) bool { _, ok := all[key]; return ok })
	if len(dead) > 0 {
		t.Errorf("%d dead batches are left", len(dead))
	}
	if len(want) > 0 && !maps.Equal(all, want) {
		for key := range want {
			if _, ok := all[key]; !ok {
				t.Errorf("key %x is missing", key)
			}
		}
		for key := range all {
			if _, ok := want[key]; !ok {
				t.Errorf("key %x came back", key)
			}
		}
		t.Errorf("found are %d keys, want %d", len(all), len(want))
	}
	if look != nil {
		look(st)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// rebuild makes the index anew. It returns false where the power has left too little for that.
func (o *blackout) rebuild(want map[string]string, blind bool) bool {
	t := o.t
	t.Helper()
	st, err := o.open(o.disk, true)
	if blind && errors.Is(err, store.ErrCorrupt) {
		return false // what was given up and what the power has taken look alike
	}
	if err != nil {
		t.Fatal(err)
	}
	o.clean(st, want, func(st store.Store) {
		all, err := keysOf(st)
		sum := uint64(0)
		for key, value := range all {
			sum += entryHash([]byte(key), []byte(value))
		}
		if err != nil {
			t.Error(err)
		}
		o.rec.sums, o.rec.done = []uint64{sum}, 0
	})
	return true
}

// Whenever the process is killed or the power cut, an index that is missing or damaged then is told, and
// made anew it holds what the old one held: not a key more or less.
func TestRebuildIndexAnyTime(t *testing.T) {
	t.Parallel()
	for i := range long(t, "POWER_CUTS", 10) / cutsOfADisk {
		seed := uint64(1000 + i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newBlackout(t, seed)
			var last *death
			var spoilt *vfstest.Disk
			defer func() {
				if t.Failed() && spoilt != nil {
					t.Logf("life %d; the last died at %v, power %t, and left, when spoilt, %s", o.lives, last.call, last.power, remains(t, spoilt))
				}
			}()
			for range cutsOfADisk {
				o.live()
				if t.Failed() {
					return
				}
				last = o.died
				o.bury()
				want := o.truth(o.disk)
				spoil(t, o.rng, o.disk)
				spoilt = o.disk.Clone()
				o.touch(o.disk.Clone(), want)
				if !o.rebuild(want, wholeSlots(t, spoilt) == 0) || t.Failed() {
					return
				}
			}
		})
	}
}

// A table that is damaged where partitions begin costs their topic. The offsets that groups have committed in it are an
// error then, and not missing.
func TestDamagedTableIsToldWithOffsets(t *testing.T) {
	const partitions = 500
	ctx := t.Context()
	disk := vfstest.NewDisk(0)
	open := func(disk *vfstest.Disk) (*samsa.Broker, error) {
		st, err := store.OpenOn(disk, ".", store.Small{TableBytes: 4 << 10, TreeEntries: 3 * partitions}.Options(store.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		return inside.Open[*samsa.Broker](st, drillOptions)
	}
	b, err := open(disk)
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, b, "a", partitions)
	want, before := map[samsa.TopicPartition]int64{}, map[int32]int64{}
	for i := range int32(partitions) {
		p := samsa.TopicPartition{Topic: "a", Partition: i}
		want[p], before[i] = 1, 1
	}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		if _, err := p.ProduceSync(ctx, samsa.Record{Topic: "a", Partition: i, Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, p)
	err = errors.Join(b.Topics().DeleteRecords(ctx, "a", before), b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Latest()), slices.Collect(maps.Keys(want))...))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	tables, err := disk.List("index")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, table := range tables {
		if !strings.HasSuffix(table.Name, ".sst") {
			continue
		}
		damaged := disk.Clone()
		f, err := damaged.Open("index/" + table.Name)
		if err == nil {
			err = errors.Join(f.WriteAt(100, []byte("spoilt")), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(damaged)
		if err != nil {
			if !toldOfIndex(err) {
				t.Errorf("%s: open: %v", table.Name, err)
			}
			continue
		}
		all, err := b.Groups().Committed(ctx, "g")
		_, one := b.Groups().Committed(ctx, "g", samsa.TopicPartition{Topic: "a"})
		_, described := b.Groups().Describe(ctx, "g")
		viewed := b.View(ctx, func(tx *samsa.ReadTx) error {
			_, err := tx.Committed("g")
			return err
		})
		for _, err := range []error{err, one, described, viewed} {
			if toldOfIndex(err) {
				told++
			} else if err != nil || len(all) != partitions {
				t.Errorf("%s: %d offsets, error %v", table.Name, len(all), err)
			}
		}
		_ = b.Close() // some cannot make a checkpoint
	}
	if told == 0 {
		t.Errorf("no topic was damaged by itself, with %d tables", len(tables))
	}
}
