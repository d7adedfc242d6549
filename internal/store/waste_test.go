package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// overwriter sets keys at random, all of them with small values, again and again.
type overwriter struct {
	s *diskStore
	r *rand.Rand
}

const (
	overwrittenKeys = 2500
	overwrittenSize = 800
)

func newOverwriter(t *testing.T) *overwriter {
	s, err := openDisk(vfstest.NewDisk(0), ".", Options{fileSize: 4 << 20, treeEntries: 200, tableSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return &overwriter{s, rand.New(rand.NewPCG(1, 2))}
}

// set sets as many keys as call for a checkpoint.
func (w *overwriter) set() error {
	var b Batch
	for range w.s.opts.treeEntries {
		b.Set(childKey(w.r.IntN(overwrittenKeys)), bytes.Repeat([]byte{byte(w.r.IntN(256))}, overwrittenSize))
	}
	return w.s.Commit(&b)
}

// indexSize returns how many bytes the tables have that the store reads.
func (w *overwriter) indexSize() (n int64) {
	v, _ := w.s.now()
	defer w.s.let(v)
	for _, r := range v.runs {
		for _, t := range r.tables {
			n += t.info.size
		}
	}
	return n
}

// The tables have at most half as much again as what counts of them, what 8 tables of the usual size have, and what came
// since the last merge began. Reclaim leaves nothing of that.
func TestIndexOfOverwrittenKeys(t *testing.T) {
	w := newOverwriter(t)
	defer closeStore(t, w.s)
	most := int64(0)
	for i := range 125 {
		if err := w.set(); err != nil {
			t.Fatal(err)
		}
		quiet(w.s)
		if i > 75 { // nearly every key is there
			most = max(most, w.indexSize())
		}
	}
	if err := w.s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	quiet(w.s)
	alive := w.indexSize()
	t.Logf("at most %d bytes, %d after Reclaim", most, alive)
	if limit := alive*3/2 + 10*w.s.space.tableSize; most > limit {
		t.Errorf("the tables had %d bytes, want at most %d", most, limit)
	}
	if least := int64(overwrittenKeys * overwrittenSize); alive < least || alive > least*3/2 {
		t.Errorf("the tables have %d bytes after Reclaim, of %d", alive, least)
	}
}

// While merges do not keep up the writer waits, and the tables do not grow.
func TestWriterWaitsForMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOverwriter(t)
		quiet(w.s)
		begin := make(chan struct{})
		w.s.merging.mu.Lock()
		w.s.merging.do = func() {
			<-begin
			w.s.mergeDue()
		}
		w.s.merging.mu.Unlock()
		written := make(chan error, 1)
		go func() {
			for i := range 125 {
				if err := w.set(); err != nil {
					written <- fmt.Errorf("commit %d: %w", i, err)
					return
				}
			}
			written <- nil
		}()
		synctest.Wait()
		select {
		case err := <-written:
			t.Errorf("the writer did not wait: %v", err)
			written <- err
		default:
		}
		// Waste is allowed as much as there is alive and what 16 tables have. Then come the tree that was being written
		// when that was passed, and the one that filled meanwhile: of three batches each, then the writer waits.
		alive := int64(overwrittenKeys * (overwrittenSize + 50))
		trees := int64(2 * 3 * w.s.opts.treeEntries * (overwrittenSize + 50))
		if n, limit := w.indexSize(), 2*alive+16*w.s.space.tableSize+trees; n > limit {
			t.Errorf("the tables have %d bytes, want at most %d", n, limit)
		}
		close(begin)
		if err := <-written; err != nil {
			t.Error(err)
		}
		closeStore(t, w.s)
	})
}
