package txn

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Who aborts in one partition what a transactional id has open aborts all of it, offsets too, and no commit comes after.
func TestAbortOfAPartAbortsTheWhole(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := tp("a", 0), tp("b", 0)
		p := h.init("t")
		h.must(h.produce("t", p, a, "x", true))
		h.must(h.produce("t", p, b, "y", true))
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("c", 0), 1)))
		_, err := h.Abort(ctx, a, p, 7)
		h.wantErr("another one", err, log.ErrInvalidTxnState)
		before := h.committer.Stats().Commits
		ended, err := h.Abort(ctx, a, p, 0)
		h.must(err)
		if n := h.committer.Stats().Commits - before; n != 1 {
			t.Errorf("%d commits", n)
		}
		if want := []log.TopicPartition{a, b}; !slices.Equal(ended, want) {
			t.Errorf("ended in %v, want %v", ended, want)
		}
		_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
		h.wantErr("commit", err, log.ErrProducerFenced)
		h.wantErr("produce", h.produce("t", p, b, "late", true), log.ErrProducerFenced)
		for _, tp := range ended {
			h.wantCommitted(tp, "")
			if p := h.part(tp); p.LastStable() != p.HighWatermark() {
				t.Errorf("%s: %d of %d are stable", tp, p.LastStable(), p.HighWatermark())
			}
		}
		h.wantOffset("g", tp("c", 0), -1)
		if d, err := h.Describe("t"); err != nil || d.State != CompleteAbort || d.Producer.Epoch != p.Epoch+1 {
			t.Errorf("%+v, error %v", d, err)
		}
		_, err = h.Abort(ctx, a, p, 0)
		h.wantErr("again", err, log.ErrInvalidTxnState)
	})
}

// What no transactional id knows is aborted where it hangs, and nowhere else.
func TestAbortOfWhatHangs(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := tp("a", 0), tp("b", 0)
		lost := Producer{ID: 4000, Epoch: 3}
		for _, to := range []log.TopicPartition{a, b} {
			h.must(h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: h.part(to), Batch: h.batch(lost, 0, "x")}}}))
		}
		p := h.init("t")
		h.must(h.produce("t", p, a, "y", true))
		open := h.OpenIn(h.part(a))
		for i := range open {
			if open[i].Written.IsZero() {
				t.Errorf("%+v", open[i])
			}
			open[i].Written = time.Time{}
		}
		if want := []OpenIn{{TopicPartition: a, Producer: lost}, {TopicPartition: a, Producer: p, Since: 1, ID: "t"}}; !slices.Equal(open, want) {
			t.Errorf("open are %+v, want %+v", open, want)
		}
		_, err := h.Abort(ctx, a, lost, 1)
		h.wantErr("another one", err, log.ErrInvalidTxnState)
		ended, err := h.Abort(ctx, a, lost, 0)
		h.must(err)
		if !slices.Equal(ended, []log.TopicPartition{a}) || len(h.OpenIn(h.part(b))) != 1 {
			t.Errorf("ended in %v", ended)
		}
		_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(a, "y ")
	})
}

// A commit and an abort of a part meet: one of them has all of it.
func TestAbortOfAPartBesideACommit(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := tp("a", 0), tp("b", 0)
		p, sent := h.init("t"), 0
		for range 50 {
			h.must(h.produce("t", p, a, "x", true))
			h.must(h.produce("t", p, b, "x", true))
			sent++
			var wg sync.WaitGroup
			wg.Go(func() { _ = h.abort(b, p) })
			_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
			wg.Wait()
			if inA, inB := h.committed(a), h.committed(b); inA != inB || len(inA) > 2*sent {
				t.Fatalf("of %d sent a has %q, and b %q, error %v", sent, inA, inB, err)
			}
			p = h.init("t")
		}
	})
}

// TimeOut is the time-out without the wait.
func TestTimeOutNow(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.wantErr("unknown", h.TimeOut(ctx, "t"), log.ErrUnknownTransactionalID)
		p := h.init("t")
		h.wantErr("nothing is open", h.TimeOut(ctx, "t"), log.ErrInvalidTxnState)
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		h.must(h.TimeOut(ctx, "t"))
		h.wantErr("fenced", h.produce("t", p, tp("a", 0), "y", true), log.ErrProducerFenced)
		h.wantCommitted(tp("a", 0), "")
	})
}
