package topic

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func (h *house) purge() Purged {
	h.t.Helper()
	done, err := h.Purge(ctx)
	if err != nil {
		h.t.Fatalf("Purge: %v", err)
	}
	return done
}

func TestPurge(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		doomed := h.create("doomed", 2)
		h.create("kept", 2)
		for i := range int32(2) {
			h.write("doomed", i, 20)
			h.write("kept", i, 5)
		}
		h.raw(store.LogStartKey(store.PartitionID{Topic: doomed.number, Partition: 1}), store.OffsetValue(3))
		if got := h.purge(); got != (Purged{}) {
			t.Errorf("nothing is doomed: got %+v", got)
		}
		if err := h.Delete(ctx, "doomed"); err != nil {
			t.Fatal(err)
		}
		h.create("doomed", 1)
		h.write("doomed", 0, 4)
		if got := h.purge(); got != (Purged{1, writer.Erased{Batches: 40, Bytes: 2790}}) {
			t.Errorf("got %+v", got)
		}
		if n := h.keys(doomed.number); n != 0 || h.doomed() != 0 {
			t.Errorf("%d keys are left, %d are doomed", n, h.doomed())
		}
		if got := h.purge(); got != (Purged{}) {
			t.Errorf("once more: got %+v", got)
		}
		h.reopen()
		if h.names() != "doomed:1 kept:2" || h.keys(h.get("kept").number) != 10 || h.keys(h.get("doomed").number) != 4 {
			t.Errorf("there is %s", h.names())
		}
	})
}

func TestPurgeAfterReopen(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		number := h.create("doomed", 1).number
		h.write("doomed", 0, 7)
		if err := h.Delete(ctx, "doomed"); err != nil {
			t.Fatal(err)
		}
		h.reopen()
		if got := h.purge(); got != (Purged{1, writer.Erased{Batches: 7, Bytes: 483}}) || h.keys(number) != 0 {
			t.Errorf("got %+v, %d keys are left", got, h.keys(number))
		}
	})
}

// Interrupted in the middle, Purge goes on where it was, the same broker or the next.
func TestPurgeIsInterrupted(t *testing.T) {
	const batches = 20_000 // more than can be on their way at once
	for name, reopen := range map[string]bool{"and goes on": false, "and goes on after reopen": true} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, h *house) {
				number := h.create("doomed", 1).number
				h.write("doomed", 0, batches)
				if err := h.Delete(ctx, "doomed"); err != nil {
					t.Fatal(err)
				}
				interrupted, cancel := context.WithCancel(ctx)
				defer cancel()
				first := h.st.commits + 1
				h.st.commit = func(nth int) error {
					if nth == first {
						cancel()
					}
					return nil
				}
				before, err := h.Purge(interrupted)
				if !errors.Is(err, context.Canceled) || before.Topics != 0 || before.Batches == 0 || before.Batches == batches {
					t.Errorf("got %+v, error %v", before, err)
				}
				if n := h.keys(number); int64(n) != batches-before.Batches || h.doomed() != 1 {
					t.Errorf("%d keys are left, %d are doomed", n, h.doomed())
				}
				if reopen {
					h.reopen()
				}
				after := h.purge()
				if after.Topics != 1 || before.Batches+after.Batches != batches || h.keys(number) != 0 || h.doomed() != 0 {
					t.Errorf("got %+v, then %+v", before, after)
				}
			})
		})
	}
}

func TestPurgeMeetsTrouble(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("kept", 1)
		h.write("kept", 0, 3)
		kept := h.get("kept").number
		for name, value := range map[string][]byte{
			"no number":     []byte("x"),
			"another topic": store.OffsetValue(int64(kept)),
			"beyond":        store.OffsetValue(99 + 1<<32),
		} {
			h.raw(doomedTopicKey(99), value)
			if _, err := h.Purge(ctx); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "deleted topic") {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		h.create("doomed", 1)
		h.write("doomed", 0, 3)
		if err := h.Delete(ctx, "doomed"); err != nil {
			t.Fatal(err)
		}
		h.st.full = true
		if _, err := h.Purge(ctx); !errors.Is(err, log.ErrDiskFull) {
			t.Errorf("disk full: got error %v", err)
		}
		h.st.full = false
		got, err := h.Purge(ctx) // the damaged entry is in nobody's way
		if !errors.Is(err, log.ErrCorruptValue) || got != (Purged{1, writer.Erased{Batches: 3, Bytes: 207}}) || h.keys(kept) != 3 {
			t.Errorf("got %+v, error %v, %d keys of the other topic", got, err, h.keys(kept))
		}
	})
}
