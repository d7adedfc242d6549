package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

var errDevice = errors.New("the device is broken")

// session uses a store in all ways, until an error or its end. It returns the errors of calls that write, in the
// order in which they came, and those of reads.
func (c *crowd) session() (writes, reads []error) {
	failed := false
	wrote := func(err error) bool {
		if err != nil {
			writes = append(writes, err)
		} else if failed {
			c.t.Fatal("a store that had failed went on")
		}
		failed = failed || errors.Is(err, ErrFailed)
		return err == nil
	}
	s, err := openDisk(c.disk, ".", c.opts)
	if !wrote(err) {
		return writes, nil
	}
	for i := range 120 {
		var b Batch
		for j := range 3 {
			k := fmt.Appendf(nil, "key %03d", (i*7+j*31)%60)
			if (i+j)%5 == 0 {
				b.Delete(k)
				continue
			}
			b.Set(k, bytes.Repeat([]byte{byte(i), byte(j)}, 1+[]int{5, 300, 2000}[(i+j)%3]))
		}
		if wrote(s.Room(b.Bytes(), false)) && wrote(s.Commit(&b)) {
			c.note(&b)
		}
		switch {
		case i%20 == 7:
			wrote(s.Sync())
		case i%40 == 30:
			wrote(s.Reclaim(context.Background()))
		case i%10 == 3:
			quiet(s) // so that the calls are the same in every run, nearly
		}
		if i%15 == 4 {
			found, err := contentOf(s)
			if err != nil {
				reads = append(reads, err)
			} else if !maps.Equal(found, c.has) {
				c.t.Fatalf("step %d: found %d keys, want %d, or their values", i, len(found), len(c.has))
			}
		}
	}
	wrote(s.Close())
	return writes, reads
}

// failEvery is which of the calls fail in TestCallsFail: each n-th of an operation. FAIL_EVERY=1 has them all.
func failEvery() int { return long("FAIL_EVERY", 121) }

// Whatever call fails, once or for ever, the store says so, returns from all calls, and the next open finds all that was
// acknowledged.
func TestCallsFail(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"create", "open", "remove", "rename", "mkdir", "list", "syncdir", "space", "read", "write", "sync", "map"} {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/once %t", op, once), func(t *testing.T) {
				hits := 0
				for n := 1; ; n += failEvery() {
					if !failAt(t, op, n, once) {
						break
					}
					hits++
				}
				if hits == 0 {
					t.Error("no such call")
				}
			})
		}
	}
}

// failAt has the n-th call of an operation fail, and with it those behind it unless it is once. It returns whether
// there were so many.
func failAt(t *testing.T, op string, n int, once bool) bool {
	c := newCrowd(t, 7)
	c.disk = vfstest.NewDisk(0)
	c.opts.treeEntries, c.opts.fileSize = 20, 30_000
	var seen atomic.Int64
	var hit atomic.Bool
	c.disk.Before(func(call vfstest.Call) error {
		if call.Op != op {
			return nil
		}
		at := int(seen.Add(1))
		if at == n || at > n && !once {
			hit.Store(true)
			return fmt.Errorf("%s: %w", call, errDevice)
		}
		return nil
	})
	writes, reads := c.session()
	for _, err := range append(writes, reads...) {
		if !errors.Is(err, errDevice) {
			t.Fatalf("%s %d: a call got %v", op, n, err)
		}
	}
	told := len(writes)+len(reads) > 0
	if hit.Load() && !once && !told && op != "size" && op != "space" {
		t.Fatalf("%s %d: nobody was told", op, n)
	}
	c.disk.Before(nil)
	for range 2 { // what the first leaves is sound, too
		c.open()
		c.must("close", c.store.Close())
	}
	return hit.Load()
}
