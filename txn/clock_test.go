package txn

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// later plays the acts one after the other with the same store, each in a bubble of its own, in which time begins anew: to
// the acts that follow, an act in which much time passed was in the future.
func later(t *testing.T, acts ...func(t *testing.T, h *house)) {
	t.Helper()
	var st *floor
	for _, act := range acts {
		synctest.Test(t, func(t *testing.T) {
			h := &house{t: t, st: st, logger: zap.NewNop(), seqs: make(map[string]int32)}
			if st == nil {
				h = newHouse(t)
				st = h.st
			} else {
				h.open()
			}
			defer h.shut()
			act(t, h)
		})
	}
}

// The clock was ahead, and is put right while the broker is down. What a transaction commits from then on counts, and not
// the offset of the time before, that looks as if it came from the future; so does a commit that is of no transaction.
func TestOffsetsAfterTheClockWasAhead(t *testing.T) {
	a, b := tp("a", 0), tp("b", 0)
	var p Producer
	end := func(h *house) {
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
	}
	later(t, func(t *testing.T, h *house) {
		time.Sleep(time.Hour)
		h.must(h.groups.Commit(ctx, "g", commits(a, 1)))
		p = h.init("t")
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(b, 1)))
	}, func(t *testing.T, h *house) {
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(a, 2)))
		h.must(h.groups.Commit(ctx, "g", commits(b, 2)))
		end(h)
		h.wantOffset("g", a, 2)
		h.wantOffset("g", b, 2)
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(a, 3)))
	}, func(t *testing.T, h *house) {
		h.wantOffset("g", b, 2)
		end(h)
		h.wantOffset("g", a, 3)
	})
}

// A transaction that has begun while the clock was ahead is aborted in its time all the same.
func TestTimeOutAfterTheClockWasAhead(t *testing.T) {
	var p Producer
	later(t, func(t *testing.T, h *house) {
		time.Sleep(1000 * time.Hour)
		p = h.init("t")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
	}, func(t *testing.T, h *house) {
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if p := h.part(tp("a", 0)); p.LastStable() != p.HighWatermark() {
			t.Errorf("%d of %d are stable", p.LastStable(), p.HighWatermark())
		}
		h.wantErr("produce", h.produce("t", p, tp("a", 0), "y", true), log.ErrProducerFenced)
	})
}
