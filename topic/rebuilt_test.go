package topic

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// rebuild opens everything again, with an index that is made anew.
func (h *house) rebuild() {
	h.t.Helper()
	h.close(false)
	h.store.Rebuild = true
	h.open()
	h.store.Rebuild = false
}

// comeBack puts a batch into the store that is dead.
func (h *house) comeBack(topic, partition uint32, last int64) {
	h.t.Helper()
	id := store.PartitionID{Topic: topic, Partition: partition}
	h.raw(store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: last}), []byte("batch"))
}

// noted reports whether batches may be there that were gone.
func (h *house) noted() bool {
	h.t.Helper()
	_, err := h.st.Get(store.RebuiltKey())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		h.t.Fatal(err)
	}
	return err == nil
}

// With an index that was made anew nothing comes back: not what was trimmed, nor the data of topics that
// are deleted.
func TestRebuiltIndexHasNothingDead(t *testing.T) {
	inHouse(t, t.TempDir(), func(t *testing.T, h *house) {
		kept, gone := h.create("kept", 2), h.create("gone", 1)
		doomed := h.create("doomed", 1)
		for _, name := range []string{"kept", "gone", "doomed"} {
			h.write(name, 0, 3)
		}
		h.write("kept", 1, 3)
		if _, err := writer.Trim(ctx, h.committer, []writer.Move{{Partition: kept.Partitions()[1], Start: 2}}); err != nil {
			t.Fatal(err)
		}
		if err := h.Delete(ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		if err := h.Delete(ctx, "doomed"); err != nil {
			t.Fatal(err)
		}
		h.write("kept", 0, 1)
		want := h.keys(kept.number)
		h.comeBack(kept.number, 1, 1)
		h.comeBack(kept.number, 2, 1)
		h.comeBack(gone.number, 0, 1)
		h.comeBack(doomed.number, 0, 1)
		h.rebuild()
		if h.keys(kept.number) != want || h.keys(gone.number) != 0 || h.keys(doomed.number) != 0 || h.doomed() != 1 || h.noted() {
			t.Errorf("%d keys are there, want %d; %d and %d of deleted topics; noted: %v",
				h.keys(kept.number), want, h.keys(gone.number), h.keys(doomed.number), h.noted())
		}
		if got := h.get("kept").Partitions()[1].LogStart(); got != 2 {
			t.Errorf("the log begins at %d, want 2", got)
		}
		h.write("kept", 1, 1)
	})
}

// As long as nobody knows whose batches are they stay, and are looked at again.
func TestRebuiltIndexWithDamagedTopics(t *testing.T) {
	for _, entry := range []string{"junk", `{"version":1,"number":1,"partitions":0}`} {
		inHouse(t, t.TempDir(), func(t *testing.T, h *house) {
			lost, gone := h.create("lost", 1), h.create("gone", 1)
			h.write("lost", 0, 2)
			h.write("gone", 0, 3)
			if err := h.Delete(ctx, "gone"); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Purge(ctx); err != nil {
				t.Fatal(err)
			}
			h.comeBack(gone.number, 0, 2)
			h.raw(store.CatalogueKey(topicKey+"lost"), []byte(entry))
			h.rebuild()
			known, back := entry != "junk", h.keys(gone.number)
			if h.keys(lost.number) != 2 || back != 0 && known || back != 1 && !known || !h.noted() {
				t.Errorf("%s: %d and %d keys are there, noted: %v", entry, h.keys(lost.number), back, h.noted())
			}
			h.reopen()
			if err := h.Delete(ctx, "lost"); err != nil {
				t.Fatal(err)
			}
			h.reopen()
			if h.keys(lost.number)+h.keys(gone.number) != 0 || h.noted() {
				t.Errorf("%s: %d and %d keys are left, noted: %v", entry, h.keys(lost.number), h.keys(gone.number), h.noted())
			}
		})
	}
}
