package store

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// readSlots returns what the slots of a disk hold.
func readSlots(d vfs.FS) (*manifest, *manifests, error) {
	s := &manifests{fs: d, dir: "."}
	m, err := s.read()
	return m, s, err
}

// sameManifest compares but for the sequence.
func sameManifest(a, b *manifest) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.sequence, y.sequence = 0, 0
	return x.position == y.position && reflect.DeepEqual(x, y)
}

// brief describes a manifest in an error.
func brief(m *manifest) string {
	if m == nil {
		return "no checkpoint"
	}
	return fmt.Sprintf("manifest %d of %d files", m.sequence, len(m.files))
}

func putManifest(t *testing.T, s *manifests, m *manifest) {
	t.Helper()
	if err := s.write(m); err != nil {
		t.Fatal(err)
	}
}

// newSlots returns a disk with slots, in which the manifests were written, one after the other.
func newSlots(t *testing.T, ms ...*manifest) (*vfstest.Disk, *manifests) {
	t.Helper()
	d := vfstest.NewDisk(0)
	m, s, err := readSlots(d)
	if err := errors.Join(err, s.create(), d.Mkdir(valuesName), d.Mkdir(indexName)); err != nil || m != nil {
		t.Fatal(m, err)
	}
	for _, m := range ms {
		putManifest(t, s, m)
	}
	f, err := d.Create(valuesName+"/"+valueFileName(1), 10)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return d, s
}

func TestSlotsAreWrittenInTurn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	d, s := newSlots(t)
	if m, _, err := readSlots(d); m != nil || err != nil {
		t.Errorf("before the first checkpoint: %s, %v", brief(m), err)
	}
	for i := range 10 {
		m := newManifest(r, i)
		putManifest(t, s, m)
		got, again, err := readSlots(d)
		if err != nil || !reflect.DeepEqual(got, m) || again.flaw != nil {
			t.Fatalf("got %s, %v, flaw %v, want %s", brief(got), err, again.flaw, brief(m))
		}
		if i%3 == 0 { // the next session
			s = again
			if err := s.create(); err != nil {
				t.Fatal(err)
			}
			if got, _, err := readSlots(d); err != nil || !reflect.DeepEqual(got, m) {
				t.Fatalf("created, though it was there: got %s, %v", brief(got), err)
			}
		}
	}
	infos, err := d.List(".")
	want := []vfs.Info{{Name: "MANIFEST.0", Size: manifestSlotSize}, {Name: "MANIFEST.1", Size: manifestSlotSize}, {Name: indexName, Dir: true}, {Name: valuesName, Dir: true}}
	if err != nil || !slices.Equal(infos, want) {
		t.Errorf("there is %v, %v, want %v", infos, err, want)
	}
}

// Whatever happens to one slot, the other has the same; then both are whole again.
func TestOneSlotIsEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	old, m := newManifest(r, 3), newManifest(r, 4)
	d, _ := newSlots(t, old, m)
	length := len(m.encode())
	check := func(t *testing.T, slot int, d *vfstest.Disk) {
		t.Helper()
		got, s, err := readSlots(d)
		if err != nil || !sameManifest(got, m) || s.flaw == nil {
			t.Fatalf("got %s, %v, flaw %v", brief(got), err, s.flaw)
		}
		putManifest(t, s, got)
		if err := d.Remove(s.path(1 - slot)); err != nil {
			t.Fatal(err)
		}
		if got, _, err := readSlots(d); err != nil || !sameManifest(got, m) {
			t.Fatalf("after a repair: %s, %v", brief(got), err)
		}
	}
	for slot := range 2 {
		name := fmt.Sprintf("MANIFEST.%d", slot)
		t.Run(name, func(t *testing.T) {
			for at := range length {
				damaged := d.Clone()
				flipByte(t, damaged, name, at)
				check(t, slot, damaged)
			}
			for _, size := range []int{0, 1, manifestHeaderSize - 1, manifestHeaderSize, length - 1} {
				damaged := d.Clone()
				cutFile(t, damaged, name, size)
				check(t, slot, damaged)
			}
			damaged := d.Clone()
			if err := damaged.Remove(name); err != nil {
				t.Fatal(err)
			}
			check(t, slot, damaged)
			damaged = d.Clone() // the other in its place
			f, err := damaged.Open(name)
			if err := errors.Join(err, f.WriteAt(0, readFile(t, d, fmt.Sprintf("MANIFEST.%d", 1-slot)))); err != nil {
				t.Fatal(err)
			}
			check(t, slot, damaged)
		})
	}
}

// What is behind the manifest in a slot does not matter, and a slot that is too short is replaced.
func TestSlotEnds(t *testing.T) {
	m := newManifest(rand.New(rand.NewPCG(1, 2)), 3)
	d, _ := newSlots(t, m)
	flipByte(t, d, "MANIFEST.0", manifestSlotSize-1)
	cutFile(t, d, "MANIFEST.1", len(m.encode()))
	got, s, err := readSlots(d)
	if err != nil || !sameManifest(got, m) || s.flaw != nil {
		t.Fatalf("got %s, %v, flaw %v", brief(got), err, s.flaw)
	}
	putManifest(t, s, m)
	if n := len(readFile(t, d, "MANIFEST.1")); n != manifestSlotSize {
		t.Errorf("a slot of %d bytes", n)
	}
}

// With no slot left it is damage, unless there is nothing that a manifest would name.
func TestNoSlotIsWhole(t *testing.T) {
	d, _ := newSlots(t, newManifest(rand.New(rand.NewPCG(1, 2)), 3))
	lose := map[string]func(d *vfstest.Disk, name string){
		"flipped": func(d *vfstest.Disk, name string) { flipByte(t, d, name, 30) },
		"zero":    func(d *vfstest.Disk, name string) { cutFile(t, d, name, 0) },
		"gone":    func(d *vfstest.Disk, name string) { _ = d.Remove(name) },
	}
	for a, loseOne := range lose {
		for b, loseOther := range lose {
			d := d.Clone()
			loseOne(d, "MANIFEST.0")
			loseOther(d, "MANIFEST.1")
			if m, _, err := readSlots(d); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s: %s, %v", a, b, brief(m), err)
			}
			f, err := d.Create(indexName+"/1", 1)
			if err := errors.Join(err, f.Close(), d.Remove(valuesName+"/"+valueFileName(1))); err != nil {
				t.Fatal(err)
			}
			if m, _, err := readSlots(d); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s, and a table: %s, %v", a, b, brief(m), err)
			}
			if err := d.Remove(indexName + "/1"); err != nil {
				t.Fatal(err)
			}
			m, s, err := readSlots(d)
			if err := errors.Join(err, s.create()); err != nil || m != nil || s.flaw != nil {
				t.Errorf("%s, %s, and nothing there: %s, %v, flaw %v", a, b, brief(m), err, s.flaw)
			}
		}
	}
}

func TestSlotOfANewerVersion(t *testing.T) {
	m := newManifest(rand.New(rand.NewPCG(1, 2)), 3)
	d, _ := newSlots(t, m)
	b := m.encode()
	b[11]++
	f, err := d.Open("MANIFEST.1")
	if err := errors.Join(err, f.WriteAt(0, sealed(b)), f.Close()); err != nil {
		t.Fatal(err)
	}
	if m, _, err := readSlots(d); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("%s, %v", brief(m), err)
	}
}

// largeManifest returns one that does not fit a slot of the least size.
func largeManifest(r *rand.Rand) *manifest { return newManifest(r, 600+r.IntN(800)) }

// The power is cut at a call of a write: the manifest is the one that was written, or the one before. What
// is found can be written again, and then any slot may go.
func TestSlotsSurvivePowerCuts(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		old, m := newManifest(r, r.IntN(40)), newManifest(r, r.IntN(40))
		if seed%30 == 15 {
			m = largeManifest(r)
		}
		d, s := newSlots(t, newManifest(r, 2), old)
		if seed%3 == 0 { // one slot was damaged meanwhile
			flipByte(t, d, fmt.Sprintf("MANIFEST.%d", r.IntN(2)), r.IntN(30))
			var err error
			if _, s, err = readSlots(d); err != nil {
				t.Fatal(err)
			}
		}
		var cuts []*vfstest.Disk
		d.Before(func(c vfstest.Call) error {
			cuts = append(cuts, d.Cut(seed+uint64(c.N)), d.Clone())
			return nil
		})
		putManifest(t, s, m)
		d.Before(nil)
		for _, c := range append(cuts, d.Cut(seed)) {
			got, s, err := readSlots(c)
			switch {
			case err != nil:
				t.Fatalf("seed %d: %v", seed, err)
			case sameManifest(got, m):
				outcomes["new"]++
			case sameManifest(got, old):
				outcomes["old"]++
			default:
				t.Fatalf("seed %d: %s was not the last", seed, brief(got))
			}
			if s.flaw != nil {
				outcomes["torn"]++
			}
			putManifest(t, s, got)
			c = c.Cut(seed)
			flipByte(t, c, fmt.Sprintf("MANIFEST.%d", r.IntN(2)), r.IntN(30))
			if again, _, err := readSlots(c); err != nil || !sameManifest(again, got) {
				t.Fatalf("seed %d: written again, and one slot damaged: %s, %v", seed, brief(again), err)
			}
		}
		if got, _, err := readSlots(d.Cut(seed)); err != nil || !sameManifest(got, m) {
			t.Fatalf("seed %d: what was written is gone: %s, %v", seed, brief(got), err)
		}
	}
	for _, o := range []string{"new", "old", "torn"} {
		if outcomes[o] < 20 {
			t.Errorf("outcomes %v", outcomes)
		}
	}
}

// A slot got its new name in a process that ended then: the next one makes that durable before it
// writes to it.
func TestSlotIsNamedDurably(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := newManifest(r, 3)
	d, s := newSlots(t, newManifest(r, 2))
	broken := errors.New("broken")
	d.Before(func(c vfstest.Call) error {
		if c.Op == "syncdir" {
			return broken
		}
		return nil
	})
	if err := s.write(largeManifest(r)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	d = d.Clone()
	_, s, err := readSlots(d)
	if err != nil {
		t.Fatal(err)
	}
	putManifest(t, s, m)
	for seed := range uint64(40) {
		c := d.Cut(seed)
		flipByte(t, c, fmt.Sprintf("MANIFEST.%d", seed%2), 20)
		if got, _, err := readSlots(c); err != nil || !sameManifest(got, m) {
			t.Fatalf("seed %d: %s, %v", seed, brief(got), err)
		}
	}
}

// A directory that loses its power while the slots are made is a fresh one.
func TestSlotsAreCreatedAtOnce(t *testing.T) {
	for seed := range uint64(200) {
		d := vfstest.NewDisk(0)
		_, s, err := readSlots(d)
		var cuts []*vfstest.Disk
		d.Before(func(c vfstest.Call) error {
			cuts = append(cuts, d.Cut(seed+uint64(c.N)))
			return nil
		})
		if err := errors.Join(err, s.create()); err != nil {
			t.Fatal(err)
		}
		for _, c := range cuts {
			m, s, err := readSlots(c)
			if err := errors.Join(err, s.create(), s.create()); err != nil || m != nil {
				t.Fatalf("seed %d: %s, %v", seed, brief(m), err)
			}
		}
	}
}

// Each call fails once, of all that a session makes: the error is told, and what was there is there.
func TestSlotsFailAtEveryCall(t *testing.T) {
	broken := errors.New("broken")
	r := rand.New(rand.NewPCG(1, 2))
	old, m, large := newManifest(r, 3), newManifest(r, 4), largeManifest(r)
	before, _ := newSlots(t, old)
	for n := 1; ; n++ {
		d := before.Clone()
		d.Before(func(c vfstest.Call) error {
			if c.N == n {
				return broken
			}
			return nil
		})
		may := []*manifest{old}
		_, s, err := readSlots(d)
		for _, m := range []*manifest{m, large, m} {
			if err == nil {
				may = []*manifest{may[len(may)-1], m}
				err = s.write(m)
			}
			if err == nil {
				may = may[1:]
			}
		}
		failed := d.Calls() >= n
		if failed != errors.Is(err, broken) {
			t.Fatalf("call %d: %v", n, err)
		}
		d.Before(nil)
		for _, d := range []*vfstest.Disk{d.Clone(), d.Cut(uint64(n))} {
			got, s, err := readSlots(d)
			if err != nil || !slices.ContainsFunc(may, func(m *manifest) bool { return sameManifest(m, got) }) {
				t.Fatalf("call %d: %s, %v", n, brief(got), err)
			}
			putManifest(t, s, large)
		}
		if !failed {
			return
		}
	}
}

// What does not fit grows both slots, or nothing: on a full disk what was there goes on.
func TestSlotsGrow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	small, large := newManifest(r, 4), largeManifest(r)
	n := len(large.encode())
	grown := int64(1) << bits.Len(uint(n+n/4))
	for _, space := range []int64{0, 1000, grown, 2*grown - 1, 2 * grown} {
		d := vfstest.NewDisk(2*manifestSlotSize + space)
		_, s, err := readSlots(d)
		if err := errors.Join(err, s.create(), s.write(small)); err != nil {
			t.Fatal(err)
		}
		err = s.write(large)
		if space == 2*grown {
			if err != nil {
				t.Fatalf("with %d bytes: %v", space, err)
			}
			for i := range 2 {
				if n := len(readFile(t, d, s.path(i))); int64(n) != grown {
					t.Errorf("a slot of %d bytes, want %d", n, grown)
				}
			}
			continue
		}
		if free, _, spaceErr := d.Space("."); !errors.Is(err, ErrDiskFull) || spaceErr != nil || free != space {
			t.Errorf("with %d bytes: %v, and %d bytes free", space, err, free)
		}
		if m, _, err := readSlots(d); err != nil || !sameManifest(m, small) {
			t.Errorf("with %d bytes: %s, %v", space, brief(m), err)
		}
		putManifest(t, s, small)
		d.Take(-2 * grown)
		putManifest(t, s, large)
	}
}

// upTo returns m with as many of its files as a manifest of n bytes has, nearly.
func upTo(m *manifest, n int) *manifest {
	cut := *m
	for cut.runs = m.runs[:1]; len(cut.encode()) > n; {
		cut.files = cut.files[len(cut.files)/100+1:]
	}
	return &cut
}

// Slots grow while there is space: on a disk that is full then, the manifest still does, by a fifth.
func TestSlotsGrowAhead(t *testing.T) {
	large := newManifest(rand.New(rand.NewPCG(1, 2)), 1200)
	d := vfstest.NewDisk(1 << 20)
	_, s, err := readSlots(d)
	if err := errors.Join(err, s.create(), s.write(upTo(large, 63<<10))); err != nil {
		t.Fatal(err)
	}
	d.Take(1 << 20)
	if n := len(upTo(large, 75<<10).encode()); n <= manifestSlotSize {
		t.Fatalf("%d bytes fit anyway", n)
	}
	for n := 64; n <= 75; n++ {
		putManifest(t, s, upTo(large, n<<10))
	}
}

func readFile(t *testing.T, d vfs.FS, name string) []byte {
	t.Helper()
	f, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	b := make([]byte, size)
	_, readErr := f.ReadAt(b, 0)
	if err := errors.Join(err, readErr, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func flipByte(t *testing.T, d vfs.FS, name string, at int) {
	t.Helper()
	b := readFile(t, d, name)
	f, err := d.Open(name)
	if err := errors.Join(err, f.WriteAt(int64(at), []byte{b[at] ^ 1<<(at%8)}), f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func cutFile(t *testing.T, d vfs.FS, name string, size int) {
	t.Helper()
	b := readFile(t, d, name)
	err := d.Remove(name)
	f, createErr := d.Create(name, int64(size))
	if err := errors.Join(err, createErr, f.WriteAt(0, b[:size]), f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
