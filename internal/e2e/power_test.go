package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// recorder is a store that knows all states it has had: for each number of commits the sum of the hashes of
// all keys with their values.
type recorder struct {
	store.Store

	mu      sync.Mutex // guards what follows
	now     map[string]uint64
	sums    []uint64
	done    int // commits that were acknowledged
	durable int // of those, commits that are
}

func entryHash(key, value []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(key) // never fails
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(value)
	return d.Sum64()
}

// Commit implements store.Store.
func (r *recorder) Commit(b *store.Batch) error {
	r.mu.Lock()
	sum := r.sums[r.done]
	b.Each(func(key, value []byte) {
		sum -= r.now[string(key)]
		delete(r.now, string(key))
		if value != nil {
			r.now[string(key)] = entryHash(key, value)
			sum += r.now[string(key)]
		}
	})
	r.sums = append(r.sums, sum)
	r.mu.Unlock()
	err := r.Store.Commit(b)
	if err == nil {
		r.mu.Lock()
		r.done++
		r.mu.Unlock()
	}
	return err
}

// Sync implements store.Store.
func (r *recorder) Sync() error {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	err := r.Store.Sync()
	if err == nil {
		r.mu.Lock()
		r.durable = max(r.durable, done)
		r.mu.Unlock()
	}
	return err
}

// opened compares what a store holds with the states that it has had since the commits that are to be there, and goes
// on from it.
func (r *recorder) opened(t *testing.T, st store.Store) {
	t.Helper()
	now, sum := map[string]uint64{}, uint64(0)
	err := st.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		h := entryHash(e.Key, value)
		now[string(e.Key)] = h
		sum += h
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sums) - 1
	for n >= r.done && r.sums[n] != sum {
		n--
	}
	if n < r.done {
		for older, s := range r.sums {
			if s == sum {
				t.Errorf("it is the state of %d commits", older)
			}
		}
		t.Fatalf("what is found is no state of %d to %d commits", r.done, len(r.sums)-1)
	}
	r.Store, r.now, r.sums, r.done, r.durable = st, now, slices.Clone(r.sums[:n+1]), n, n
}

// blackout is a disk on which brokers work until the power is cut, or the process is killed.
type blackout struct {
	t     *testing.T
	rng   *rand.Rand
	seed  uint64
	disk  *vfstest.Disk
	small store.Small
	rec   *recorder
	power bool
	lives int
	found *drillFound

	mu   sync.Mutex // guards what follows
	told []string   // since found
	sure int        // lines of told that were told before the last death; -1 for all
	died *death
}

// death is what one has left.
type death struct {
	disk  *vfstest.Disk
	power bool
	call  vfstest.Call
	told  []string // until the copy was made, as others go on meanwhile
	sure  int      // of these, lines before that

	sums          []uint64 // of the recorder
	done, durable int      // commits that must be there, and those that must be there after a loss of power
}

func newBlackout(t *testing.T, seed uint64) *blackout {
	o := &blackout{t: t, rng: rand.New(rand.NewPCG(seed, 7)), seed: seed, disk: vfstest.NewDisk(0)}
	o.rec = &recorder{now: map[string]uint64{}, sums: []uint64{0}}
	o.small = store.Small{FileBytes: 16<<10 + o.rng.Int64N(100<<10), TreeEntries: 20 + o.rng.IntN(200), TableBytes: 4<<10 + o.rng.Int64N(32<<10)}
	if o.rng.IntN(2) == 0 {
		o.small.Boot = [16]byte{1}
	}
	return o
}

func (o *blackout) tell(format string, args ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		o.told = append(o.told, strings.TrimSuffix(line, "\n"))
	}
	return nil
}

// arm has the disk die at one of the next calls; dead is called then.
func (o *blackout) arm(calls int, dead func()) {
	at := o.disk.Calls() + 1 + o.rng.IntN(calls)
	power, seed := o.rng.IntN(3) > 0, o.rng.Uint64()
	disk := o.disk
	disk.Before(func(c vfstest.Call) error {
		if c.N != at {
			return nil
		}
		d := &death{power: power, call: c}
		o.mu.Lock()
		if d.sure = o.sure; d.sure < 0 {
			d.sure = len(o.told)
		}
		o.mu.Unlock()
		o.rec.mu.Lock()
		d.done, d.durable = o.rec.done, o.rec.durable
		if power {
			d.done = d.durable
		}
		o.rec.mu.Unlock()
		if power {
			d.disk = disk.Cut(seed)
		} else {
			d.disk = disk.Clone()
		}
		o.rec.mu.Lock()
		d.sums = slices.Clone(o.rec.sums) // after the copy was made, as others go on meanwhile
		o.rec.mu.Unlock()
		o.mu.Lock()
		d.told = o.told[:len(o.told):len(o.told)]
		o.died = d
		o.mu.Unlock()
		dead()
		return nil
	})
}

func (o *blackout) dead() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.died != nil
}

// bury goes on with what the death has left.
func (o *blackout) bury() {
	d := o.died
	o.disk, o.told, o.sure, o.died = d.disk, d.told, d.sure, nil
	o.power = o.power || d.power
	o.rec.sums, o.rec.done, o.rec.durable = d.sums, d.done, d.durable
	if d.power && o.small.Boot != [16]byte{} {
		o.small.Boot[1]++
	}
}

// live opens the broker, looks at it, and works until the end.
func (o *blackout) live() {
	t := o.t
	t.Helper()
	o.lives++
	if o.rng.IntN(4) == 0 {
		o.arm(80, func() {}) // while it opens
	}
	opts := store.Options{}
	st, err := store.OpenOn(o.disk, ".", o.small.Options(opts))
	if err != nil {
		t.Fatal(err)
	}
	o.rec.opened(t, st)
	b, err := inside.Open[*samsa.Broker](o.rec, drillOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	o.disk.Before(nil)
	if o.dead() {
		return
	}
	found := lookAt(t, b, o.seed)
	all, _ := promised(t, o.told, o.power)
	_, kept := promised(t, o.told[:o.sure], o.power)
	if o.power && o.found != nil { // a sweep may have moved starts before it was looked, and nobody has synced that
		for tp, was := range o.found.logs {
			if l := found.logs[tp]; l != nil {
				was.start = min(was.start, l.start)
			}
		}
	}
	found.check(t, o.found, all, kept)
	o.found, o.told, o.sure, o.power = found, nil, -1, false
	if t.Failed() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.arm(1+o.rng.IntN(1500), cancel)
	d := &drill{b: b, seed: o.seed, name: fmt.Sprint(o.lives), tell: o.tell}
	err = d.run(ctx)
	o.disk.Before(nil)
	if err != nil || !o.dead() {
		t.Fatalf("the work has ended: %v", err)
	}
}

const cutsOfADisk = 5

// Whenever the power is cut or the process killed, what a broker finds is one state that it has had, with all that
// was acknowledged as promised: transactions whole, no offset committed beyond its log.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	for i := range long(t, "POWER_CUTS", 10) / cutsOfADisk {
		seed := uint64(i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newBlackout(t, seed)
			var last *death
			defer func() {
				if t.Failed() && last != nil {
					t.Logf("life %d; the last died at %v, power %t, %d lines told", o.lives, last.call, last.power, len(last.told))
				}
			}()
			for range cutsOfADisk {
				o.live()
				if t.Failed() {
					return
				}
				last = o.died
				o.bury()
			}
		})
	}
}
