package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// crowd is a store on a small disk, a neighbour who takes what is free of it, and what the store
// must have.
type crowd struct {
	t     *testing.T
	r     *rand.Rand
	opts  Options
	disk  *vfstest.Disk
	store *diskStore
	has   map[string]string
}

const crowdDisk = 2 << 20

func newCrowd(t *testing.T, seed uint64) *crowd {
	r := rand.New(rand.NewPCG(seed, 2))
	c := &crowd{t: t, r: r, disk: vfstest.NewDisk(crowdDisk), has: map[string]string{}}
	c.opts = Options{fileSize: int64(30_000 + r.IntN(30_000)), treeEntries: 10 + r.IntN(50), tableSize: 64 << 10, MinFreeBytes: []int64{1, 10_000}[r.IntN(2)]}
	if r.IntN(2) == 0 {
		c.opts.boot = [16]byte{1}
	}
	return c
}

func (c *crowd) open() {
	c.t.Helper()
	s, err := openDisk(c.disk, ".", c.opts)
	if err != nil {
		c.t.Fatalf("open: %v", err)
	}
	c.store = s
	c.check()
}

// grabAt has the neighbour take everything before the n-th call from now on.
func (c *crowd) grabAt(n int) {
	n += c.disk.Calls()
	c.disk.Before(func(call vfstest.Call) error {
		if call.N == n {
			c.disk.Take(crowdDisk)
		}
		return nil
	})
}

// try commits b if there is room, and reports whether there was.
func (c *crowd) try(b *Batch, essential bool) bool {
	c.t.Helper()
	if err := c.store.Room(b.Bytes(), essential); err != nil {
		if !errors.Is(err, ErrDiskFull) {
			c.t.Fatalf("room: %v", err)
		}
		return false
	}
	if err := c.store.Commit(b); err != nil {
		c.t.Fatalf("commit, for which there was room: %v", err)
	}
	c.note(b)
	return true
}

// note takes over what was committed.
func (c *crowd) note(b *Batch) {
	for _, o := range b.ops {
		if o.remove {
			delete(c.has, string(o.key))
		} else {
			c.has[string(o.key)] = string(o.value)
		}
	}
}

func (c *crowd) key() []byte { return fmt.Appendf(nil, "key %03d", c.r.IntN(300)) }

// write sets some keys, if there is room.
func (c *crowd) write() bool {
	c.t.Helper()
	var b Batch
	for range 1 + c.r.IntN(4) {
		b.Set(c.key(), bytes.Repeat([]byte{byte(c.r.IntN(256))}, 1+c.r.IntN([]int{10, 1500, 6000}[c.r.IntN(3)])))
	}
	return c.try(&b, false)
}

// remove deletes a few of the keys that there are, or of others.
func (c *crowd) remove() bool {
	c.t.Helper()
	var b Batch
	for k := range c.has {
		if b.Delete([]byte(k)); b.Len() > c.r.IntN(5) {
			break
		}
	}
	b.Delete(c.key())
	return c.try(&b, true)
}

// act does one thing.
func (c *crowd) act() {
	c.t.Helper()
	switch n := c.r.IntN(20); n {
	case 0:
		c.must("sync", c.store.Sync())
	case 1:
		c.must("close", c.store.Close())
		c.open()
	case 2:
		quiet(c.store)
		c.disk = c.disk.Clone() // a kill
		c.open()
	case 3:
		if err := c.store.Reclaim(context.Background()); !errors.Is(err, ErrDiskFull) {
			c.must("reclaim", err)
		}
	case 4, 5:
		c.remove()
	case 6:
		c.check()
	default:
		c.write()
	}
}

func (c *crowd) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// check reads everything.
func (c *crowd) check() {
	c.t.Helper()
	found, err := contentOf(c.store)
	c.must("scan", err)
	if !maps.Equal(found, c.has) {
		c.t.Fatalf("found %d keys, want %d, or their values", len(found), len(c.has))
	}
}

// fullSeeds is how many seeds the tests of the full disk have: FULL_DISKS has more.
func fullSeeds() int { return long("FULL_DISKS", 4) }

// Whenever the disk fills, the store lives, has what it had, and goes on when there is room, which
// can be made from inside.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for seed := range fullSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCrowd(t, uint64(seed))
			c.open()
			for range 20 + c.r.IntN(200) {
				c.act()
			}
			c.grabAt(1 + c.r.IntN(400))
			for range 100 {
				c.act()
			}
			c.disk.Take(crowdDisk)
			for range 30 {
				c.act()
			}
			c.makeRoom()
			c.disk.Take(-crowdDisk / 2)
			if !c.write() {
				t.Fatal("the neighbour has gone, and there is no room")
			}
			for range 30 {
				c.act()
			}
			c.must("close", c.store.Close())
			c.open()
			c.must("close", c.store.Close())
		})
	}
}

// makeRoom deletes everything, bit by bit, and finds room.
func (c *crowd) makeRoom() {
	c.t.Helper()
	size := int64(0)
	for _, k := range slices.Sorted(maps.Keys(c.has)) {
		size += int64(len(c.has[k]))
		var b Batch
		b.Delete([]byte(k))
		if !c.try(&b, true) {
			c.t.Fatalf("no room to delete, %d keys are left", len(c.has))
		}
	}
	if err := c.store.Reclaim(context.Background()); err != nil {
		c.t.Fatalf("reclaim: %v", err)
	}
	quiet(c.store)
	c.check()
	var b Batch
	b.Set([]byte("there is room"), []byte("again"))
	if least := c.opts.MinFreeBytes + 5*c.opts.fileSize; !c.try(&b, false) && size > least {
		c.t.Fatalf("everything is deleted, and there is no room")
	}
}

// A store that is opened on a full disk serves what it has, can be emptied, and takes writes as soon as there is
// room.
func TestOpenOnFullDisk(t *testing.T) {
	t.Parallel()
	for seed := range fullSeeds() / 2 {
		for _, free := range []int64{0, 4 << 10, 64 << 10} {
			for _, clean := range []bool{true, false} {
				t.Run(fmt.Sprintf("seed %d/%d bytes free/clean %t", seed, free, clean), func(t *testing.T) {
					c := newCrowd(t, uint64(seed))
					c.open()
					for range 20 + c.r.IntN(200) {
						c.act()
					}
					quiet(c.store)
					if clean {
						c.must("close", c.store.Close())
					}
					c.disk = c.disk.Clone()
					c.disk.Take(crowdDisk)
					c.disk.Take(-free)
					for range 3 { // each may use some of what there is
						c.open()
						c.must("sync", c.store.Sync())
						if clean {
							c.must("close", c.store.Close())
						} else {
							quiet(c.store)
							c.disk = c.disk.Clone()
						}
					}
					c.open()
					if c.r.IntN(2) == 0 {
						c.makeRoom()
					}
					c.disk.Take(-crowdDisk / 2)
					if !c.write() {
						t.Fatal("there is space, and no room")
					}
					c.must("close", c.store.Close())
					c.open()
					c.must("close", c.store.Close())
				})
			}
		}
	}
}

// Where a write takes new space, as with copy on write, it may find none although its file was allocated. Then it fails,
// or the store does, and nothing that was acknowledged is lost.
func TestWritesFindNoSpace(t *testing.T) {
	t.Parallel()
	for seed := range fullSeeds() / 2 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCrowd(t, uint64(seed))
			c.disk = vfstest.NewDisk(0)
			for range 8 {
				c.open()
				from := c.disk.Calls() + c.r.IntN(300)
				to := from + 1 + c.r.IntN(50)
				c.disk.Before(func(call vfstest.Call) error {
					if call.Op == "write" && from <= call.N && call.N < to {
						return fmt.Errorf("%s: %w", call, vfs.ErrNoSpace)
					}
					return nil
				})
				for c.tryMore() {
				}
				kill := c.disk.Clone()
				if err := c.store.Close(); err != nil && !errors.Is(err, ErrFailed) {
					t.Fatal(err)
				}
				if c.disk.Before(nil); c.r.IntN(2) == 0 {
					c.disk = kill
				}
			}
		})
	}
}

// tryMore uses the store, and returns false when it has failed, or now and then.
func (c *crowd) tryMore() bool {
	c.t.Helper()
	var b Batch
	for range 1 + c.r.IntN(4) {
		b.Set(c.key(), bytes.Repeat([]byte{byte(c.r.IntN(256))}, 1+c.r.IntN([]int{10, 1500, 6000}[c.r.IntN(3)])))
	}
	err := c.store.Room(b.Bytes(), false)
	if err == nil {
		if err = c.store.Commit(&b); err == nil {
			c.note(&b)
		}
	}
	if err == nil && c.r.IntN(10) == 0 {
		err = c.store.Sync()
	}
	if err == nil && c.r.IntN(20) == 0 {
		err = c.store.Reclaim(context.Background())
	}
	if err != nil && !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrFailed) {
		c.t.Fatal(err)
	}
	return !errors.Is(err, ErrFailed) && c.r.IntN(100) > 0
}

// A directory that cannot be made for want of space is made by the next open.
func TestFirstOpenOnFullDisk(t *testing.T) {
	for free := int64(0); free < 400<<10; free += 7_001 {
		c := newCrowd(t, uint64(free))
		c.disk.Take(crowdDisk)
		c.disk.Take(-free)
		s, err := openDisk(c.disk, ".", c.opts)
		if err == nil {
			c.store = s
			c.write()
			c.must("close", s.Close())
		} else if !errors.Is(dirError(err), ErrDiskFull) {
			t.Fatalf("%d bytes free: %v", free, err)
		}
		c.disk.Take(-crowdDisk / 2)
		c.open()
		if !c.write() {
			t.Fatalf("%d bytes free: no room afterwards", free)
		}
		c.must("close", c.store.Close())
	}
}
