package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// life is the lives of a store whose power is cut or whose process is killed, again and again, and what
// it must remember.
type life struct {
	t      *testing.T
	r      *rand.Rand
	opts   Options
	disk   *vfstest.Disk
	store  *diskStore
	states []map[string]string // by number of commits; the key "n" has the number
	done   int                 // commits that were acknowledged
	synced int                 // of those, commits that a Sync has covered

	keys  int            // it has
	first byte           // letter of a key; 'a' and 'b' are those of keys that applications and batches have
	sizes []int          // of values, at most; one of them is drawn
	held  []heldSnapshot // closed with the store, or later
}

func newLife(t *testing.T, seed uint64) *life {
	r := rand.New(rand.NewPCG(seed, 1))
	l := &life{t: t, r: r, disk: vfstest.NewDisk(0), states: []map[string]string{{}}, keys: 24, first: 'c', sizes: []int{10, 1500, 6000}}
	l.opts = Options{fileSize: int64(2000 + r.IntN(20_000)), treeEntries: 2 + r.IntN(30), tableSize: 64 << 10}
	if r.IntN(2) == 0 {
		l.opts.boot = [16]byte{1}
	}
	return l
}

func (l *life) open() {
	l.t.Helper()
	s, err := openDisk(l.disk, ".", l.opts)
	if err != nil {
		l.t.Fatal(err)
	}
	l.store = s
}

// act does one thing.
func (l *life) act() {
	l.t.Helper()
	switch l.r.IntN(10 + l.more()) {
	case 0, 1:
		at := l.done
		if err := l.store.Sync(); err != nil {
			l.t.Fatal(err)
		}
		l.synced = at
	case 2:
		if err := l.store.Close(); err != nil {
			l.t.Fatal(err)
		}
		l.forget()
		l.synced = l.done
		l.open()
	case 3:
		if err := l.store.Reclaim(context.Background()); err != nil {
			l.t.Fatal(err)
		}
	case 10:
		l.hold()
	case 11:
		l.letGo()
	case 12:
		l.quiet()
	case 13:
		l.removeRange()
	default:
		l.commit()
	}
}

func (l *life) key() string {
	n := l.r.IntN(l.keys)
	return string(rune(int(l.first)+n%24)) + strings.Repeat("x", n/24)
}

func (l *life) commit() {
	l.t.Helper()
	state := maps.Clone(l.states[l.done])
	var b Batch
	for range l.r.IntN(4 + l.keys/100) {
		key := l.key()
		if l.r.IntN(4) == 0 {
			b.Delete([]byte(key))
			delete(state, key)
			continue
		}
		value := bytes.Repeat([]byte{byte(l.r.IntN(256))}, 1+l.r.IntN(l.sizes[l.r.IntN(len(l.sizes))]))
		b.Set([]byte(key), value)
		state[key] = string(value)
	}
	l.apply(&b, state)
}

// apply commits what leads to state.
func (l *life) apply(b *Batch, state map[string]string) {
	l.t.Helper()
	state["n"] = strconv.Itoa(l.done + 1)
	b.Set([]byte("n"), []byte(state["n"]))
	l.states = append(l.states[:l.done+1], state)
	if err := tryCommit(l.store, b); err != nil {
		l.t.Fatal(err)
	}
	l.done++
}

// contentOf reads everything.
func contentOf(s interface {
	Scan(r Range, fn func(e Entry) (bool, error)) error
}) (map[string]string, error) {
	found := map[string]string{}
	err := s.Scan(Range{}, func(e Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		found[string(e.Key)] = string(value)
		return true, err
	})
	return found, err
}

// check compares what is found with one state that the store has had, of at least that many commits.
func (l *life) check(least int) {
	l.t.Helper()
	found, err := contentOf(l.store)
	if err != nil {
		l.t.Fatal(err)
	}
	n, _ := strconv.Atoi(found["n"])
	if n < least || n >= len(l.states) || !maps.Equal(found, l.states[n]) {
		l.t.Fatalf("found a state of %d commits, of %d of which %d are to be there", n, len(l.states)-1, least)
	}
	l.done, l.synced = n, min(l.synced, n)
}

// end ends a life in the middle of one of its calls, by a kill or a power cut, and begins the next.
func (l *life) end() {
	l.t.Helper()
	type death struct {
		disk  *vfstest.Disk
		least int
	}
	var died atomic.Pointer[death]
	var done, synced atomic.Int64 // for what runs in the background
	kill, seed, at := l.r.IntN(3) == 0, l.r.Uint64(), l.disk.Calls()+1+l.r.IntN(60*(1+l.more()/2))
	l.disk.Before(func(c vfstest.Call) error {
		switch {
		case c.N < at, died.Load() != nil: // others call, too: the one may come before this is set
		case kill:
			least := int(done.Load()) // before the copy is made
			died.Store(&death{l.disk.Clone(), least})
		default:
			least := int(synced.Load())
			died.Store(&death{l.disk.Cut(seed), least})
		}
		return nil
	})
	for died.Load() == nil {
		done.Store(int64(l.done))
		synced.Store(int64(l.synced))
		l.act()
	}
	l.disk.Before(nil)
	if err := l.store.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.forget()
	next := died.Load()
	l.disk = next.disk
	if !kill && l.opts.boot != [16]byte{} {
		l.opts.boot[1]++
	}
	left := l.disk.Clone()
	defer func() {
		if l.t.Failed() {
			l.show(left)
		}
	}()
	l.open()
	l.check(next.least)
}

// Whenever the process is killed or the power is cut, what is found is a state that the store has had: of
// all commits that were acknowledged, or of all that were synced. Snapshots stay what they were. Whenever it is quiet
// the store knows what its files hold, and those that hold nothing are gone. POWER_CUTS has more lives, for an hour of it.
func TestDiskStoreSurvives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(long("POWER_CUTS", 12)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLife(t, seed)
			if seed%2 == 1 {
				l.grow()
			}
			l.open()
			for range 5 {
				l.end()
			}
			l.wither()
			if err := l.store.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Whatever byte of the value files is damaged, the store does not open, or what it finds is a state
// that it has had, with all that was synced.
func TestDiskStoreFindsDamage(t *testing.T) {
	t.Parallel()
	outcomes := map[string]int{}
	const lives = 20
	flips := long("FLIPS", 75)
	for seed := range uint64(lives) {
		l := newLife(t, seed)
		l.opts.fileSize = 4000
		l.open()
		for range 12 {
			l.act()
		}
		kill := seed%2 == 0
		var left *vfstest.Disk
		if kill {
			left = l.disk.Clone()
		}
		if err := l.store.Close(); err != nil {
			t.Fatal(err)
		}
		if !kill {
			left, l.synced = l.disk, l.done
		}
		for range flips {
			outcomes[l.damage(left.Clone())]++
		}
	}
	if all := lives * flips; outcomes["refused"]+outcomes["told"] < all/2 || outcomes["told"] < all/20 || outcomes["right"] < all/40 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// damage does something to a file, and says how that is met.
func (l *life) damage(disk *vfstest.Disk) string {
	t := l.t
	t.Helper()
	infos, err := disk.List(valuesName)
	if err != nil {
		t.Fatal(err)
	}
	i := l.r.IntN(len(infos))
	f, b, used := l.read(disk, infos[i].Name)
	newest := true // of those with frames
	for _, later := range infos[i+1:] {
		if _, _, n := l.read(disk, later.Name); n > fileHeaderSize {
			newest = false
		}
	}
	name, size := valuesName+"/"+infos[i].Name, int64(len(b))
	at := int64(l.r.IntN(used))
	switch what := l.r.IntN(8); {
	case what == 0:
		err = disk.Remove(name)
	case what == 1 && !newest:
		err = f.WriteAt(at/512*512, make([]byte, min(512, size-at/512*512)))
	default:
		err = f.WriteAt(at, []byte{b[at] ^ byte(1<<l.r.IntN(8))})
	}
	if err != nil {
		t.Fatal(err)
	}
	left := disk.Clone()
	s, err := openDisk(disk, ".", l.opts)
	defer func() {
		if t.Failed() {
			t.Logf("%s at %d", name, at)
			l.show(left)
		}
	}()
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s at %d: %v", name, at, err)
		}
		return "refused"
	}
	defer func() { _ = s.Close() }()
	before := *l
	l.store = s
	defer func() { l.done, l.synced, l.store = before.done, before.synced, before.store }()
	if _, told := contentOf(l.store); errors.Is(told, ErrCorrupt) {
		return "told"
	} else if told != nil {
		t.Fatalf("%s at %d: %v", name, at, told)
	}
	l.check(l.synced)
	return "right"
}

// show logs what a disk holds.
func (l *life) show(disk *vfstest.Disk) {
	l.t.Logf("boot %x", l.opts.boot[:2])
	infos, err := disk.List(valuesName)
	if err != nil {
		l.t.Log(err)
	}
	for _, i := range infos {
		file, b, used := l.read(disk, i.Name)
		h, ok := parseFileHeader(b)
		l.t.Logf("%s: %d of %d bytes, header %t, first commit %d", i.Name, used, len(b), ok, h.first)
		f := &replayedFile{logFile: &logFile{file: file, size: i.Size}, limit: math.MaxUint64}
		for h, err := range wholeFrames([]*replayedFile{f}, 0, 0) {
			if err != nil {
				l.t.Log(err)
				break
			}
			l.t.Logf("  commit %d, durable %d, %d bytes, %x behind %x", h.commit, h.synced, h.length, h.hash>>48, h.before>>48)
		}
	}
}

// read returns the content of a file, of which used bytes are in use.
func (l *life) read(disk *vfstest.Disk, name string) (f vfs.File, b []byte, used int) {
	f, err := disk.Open(valuesName + "/" + name)
	if err != nil {
		l.t.Fatal(err)
	}
	size, _ := f.Size()
	b = make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		l.t.Fatal(err)
	}
	for used = len(b); used > 1 && b[used-1] == 0; {
		used--
	}
	return f, b, used
}

// Short sessions go on in the same file. One that was killed begins another, and checkpoints put an end to
// those before.
func TestDiskStoreSessions(t *testing.T) {
	l := newLife(t, 0)
	l.opts = Options{}
	files := func() int {
		infos, err := l.disk.List(valuesName)
		if err != nil {
			t.Fatal(err)
		}
		return len(infos)
	}
	sessions := long("SESSIONS", 40)
	for range sessions {
		l.open()
		l.commit()
		if err := l.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := files(); n != 2 {
		t.Errorf("%d files after %d sessions, want one and the reserve", n, sessions)
	}
	most := 0
	for i := range sessions {
		l.open()
		l.commit()
		if i%10 == 0 {
			quiet(l.store)
		}
		l.disk = l.disk.Clone() // a kill
		most = max(most, files())
	}
	l.open()
	l.check(2 * sessions)
	if most > 25 {
		t.Errorf("%d files after kills, want no more than 25", most)
	}
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that fails at any of its calls says so, goes on with none, and leaves what it had.
func TestDiskStoreFails(t *testing.T) {
	for n := 1; ; n++ {
		l := newLife(t, 1)
		errDisk := errors.New("the disk is broken")
		var hit atomic.Bool
		l.disk.Before(func(c vfstest.Call) error {
			if c.N >= n && (c.Op == "write" || c.Op == "sync" || c.Op == "create" || c.Op == "syncdir") {
				hit.Store(true)
				return fmt.Errorf("%s: %w", c, errDisk)
			}
			return nil
		})
		s, err := openDisk(l.disk, ".", l.opts)
		if err == nil {
			l.store = s
			for i := range 30 {
				var b Batch
				b.Set([]byte("n"), fmt.Appendf(nil, "%-2000d", i+1))
				if err = tryCommit(s, &b); err == nil && i%5 == 0 {
					err = s.Sync()
				}
				if err != nil {
					if again := tryCommit(s, &b); !errors.Is(again, errDisk) {
						t.Fatalf("call %d: after a failure a commit got %v", n, again)
					}
					break
				}
				l.done = i + 1
			}
			if end := s.Close(); hit.Load() && (!errors.Is(end, errDisk) || strings.Contains(end.Error(), "\n")) {
				t.Fatalf("call %d: Close got %q", n, end)
			}
		}
		if !hit.Load() {
			if n < 30 {
				t.Fatalf("only %d calls", n)
			}
			return
		}
		if err != nil && (!errors.Is(err, errDisk) || strings.Contains(err.Error(), "\n")) {
			t.Fatalf("call %d: %q", n, err)
		}
		l.disk.Before(nil)
		s, err = openDisk(l.disk, ".", l.opts)
		if err != nil {
			t.Fatalf("call %d: opened again: %v", n, err)
		}
		v, err := s.Get([]byte("n"))
		if found, _ := strconv.Atoi(string(bytes.TrimSpace(v))); found < l.done || err != nil && l.done > 0 {
			t.Fatalf("call %d: found %d, %v, want %d", n, found, err, l.done)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

var _ vfs.FS = (*vfstest.Disk)(nil)
