package retention

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// sparse is a batch that covers the offsets from base to last and has those records.
func sparse(t fataler, base, last int64, records ...log.Record) log.Batch {
	t.Helper()
	var b log.SparseBuilder
	b.Reset(base)
	for i := range records {
		if err := b.Append(&records[i]); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	batch, err := b.Seal(log.CodecNone, log.Cover{LastOffset: last, MaxTimestamp: log.NoTimestamp})
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return batch
}

// at is a record with an offset.
func at(offset int64, r log.Record) log.Record {
	r.Offset = offset
	return r
}

// refuser is a Committer that refuses.
type refuser struct{ err error }

func (r refuser) Commit(*store.Batch) error { return r.err }

// A round that is refused has changed nothing, and the rewriter can do the next. What it writes is as young as the
// youngest that it replaces.
func TestRewriteRefused(t *testing.T) {
	w := newTestWorld(t)
	for ms := range int64(4) {
		w.nowMs = ms
		w.append(plain, log.CodecNone, rec(log.NoTimestamp, "k", "a"), rec(log.NoTimestamp, "k", "b"))
	}
	before := dump(t, w.st)
	full := errors.New("the disk is full")
	r := newRewriter(w.log, refuser{full})
	r.add([]source{{1, 0}}, sparse(t, 0, 1))
	if err := r.flush(); !errors.Is(err, full) || !maps.Equal(dump(t, w.st), before) {
		t.Fatalf("flush: %v; records %s", err, story(t, w.log))
	}
	r.w = w
	if own := r.add([]source{{3, 1}, {5, 2}}, sparse(t, 2, 5, at(3, rec(log.NoTimestamp, "k", "b")))); own != (source{5, 2}) {
		t.Errorf("rewritten as %+v", own)
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if got := story(t, w.log); got != "0:ka 1:kb 3:kb 6:ka 7:kb" {
		t.Errorf("records %s", got)
	}
	if got := shape(t, w.log); got != "0-1(2) 2-5(1) 6-7(2)" {
		t.Errorf("batches %s", got)
	}
}

// A round keeps to the limits of the store, whatever it is made of.
func TestRewriterFits(t *testing.T) {
	w := newTestWorld(t)
	for _, unit := range []struct{ sources, size int }{{1, 100}, {1, 900}, {1, 64 << 10}, {500, 100}, {1, 1100}, {-1, 100}} {
		r := newRewriter(w.log, w)
		if unit.sources < 0 {
			unit.sources = r.maxSources()
		}
		value := strings.Repeat("x", unit.size)
		n := 0
		for ; r.fits(unit.sources, unit.size+200); n++ {
			var sources []source
			for i := range unit.sources {
				sources = append(sources, source{lastOffset: int64(n*unit.sources + i)})
			}
			last := sources[len(sources)-1].lastOffset
			r.add(sources, sparse(t, last, last, at(last, rec(0, nil, value))))
		}
		if !w.log.Limits().Admits(&r.round) || n == 0 {
			t.Errorf("%+v: %d in a round: %d entries, %d bytes", unit, n, r.round.Len(), r.round.Bytes())
		}
	}
}
