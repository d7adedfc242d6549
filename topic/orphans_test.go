package topic

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// Power loss may take the creation of a topic and leave its records. The topic that gets
// the same number must not begin with them.
func TestLostCreation(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("before", 1)
		h.write("before", 0, 2)
		lost := h.create("lost", 2).number
		h.write("lost", 0, 3)
		h.write("lost", 1, 1)
		h.raw(store.LogStartKey(store.PartitionID{Topic: lost, Partition: 1}), store.OffsetValue(1))
		h.close(false)
		h.raw(store.CatalogueKey(topicKey+"lost"), nil)
		h.raw(store.CatalogueKey(nextNumberKey), store.OffsetValue(int64(lost)))

		h.st.unclean = true
		h.open()
		if h.st.early.Load() {
			t.Error("fsynced before all was looked at")
		}
		if h.keys(lost) != 0 || h.st.syncs != 1 {
			t.Errorf("%d keys are left, %d fsyncs", h.keys(lost), h.st.syncs)
		}
		again := h.create("again", 2)
		if again.number != lost {
			t.Fatalf("the story expects number %d again, got %d", lost, again.number)
		}
		h.write("again", 0, 1)
		h.reopen()
		if ps := h.get("again").Partitions(); ps[0].HighWatermark() != 1 || ps[1].HighWatermark() != 0 {
			t.Errorf("it ends at %d and %d, want 1 and 0", ps[0].HighWatermark(), ps[1].HighWatermark())
		}
		if got := h.get("before").Partitions()[0].HighWatermark(); got != 2 {
			t.Errorf("the topic that survived ends at %d, want 2", got)
		}
	})
}

func TestLostGrowth(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		grow := func(c *Config) error { c.Partitions = 300; return nil }
		topic := h.create("orders", 2)
		h.create("zebra", 1)
		small := topic.encode(topic.Config())
		if err := h.Change(ctx, "orders", grow); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int32{0, 1, 2, 255, 256, 299} {
			h.write("orders", i, 1)
		}
		h.write("zebra", 0, 1)
		h.close(false)
		h.raw(store.CatalogueKey(topicKey+"orders"), small)

		h.st.unclean = true
		h.open()
		if n := h.keys(topic.number); n != 2 || h.keys(h.get("zebra").number) != 1 {
			t.Errorf("%d batches are left, want those of two partitions", n)
		}
		if err := h.Change(ctx, "orders", grow); err != nil {
			t.Fatal(err)
		}
		h.reopen()
		for i, p := range h.get("orders").Partitions() {
			if want := int64(1 - min(1, i/2)); p.HighWatermark() != want {
				t.Errorf("partition %d ends at %d, want %d", i, p.HighWatermark(), want)
			}
		}
	})
}

// The data of a deleted topic has an owner, Purge; a clean store has no orphans to look for.
func TestWhatIsNoOrphan(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		number := h.create("doomed", 2).number
		h.write("doomed", 1, 3)
		if err := h.Delete(ctx, "doomed"); err != nil {
			t.Fatal(err)
		}
		h.st.unclean = true
		h.reopen()
		if h.keys(number) != 3 {
			t.Errorf("%d keys are left", h.keys(number))
		}
		h.purge()

		stray := store.LogStartKey(store.PartitionID{Topic: 77})
		h.raw(stray, store.OffsetValue(5))
		h.st.unclean, h.st.syncs = false, 0
		h.reopen()
		if h.keys(77) != 1 || h.st.syncs != 0 {
			t.Error("a clean store was searched, or fsynced")
		}
	})
}

// A damaged partition is cut, and what was cut is told, beside a topic that cannot be used.
func TestCutsAreTold(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		id := h.create("a", 1).Partitions()[0].ID()
		h.write("a", 0, 2)
		h.close(false)
		bad := store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: 2, MaxTimestamp: 1000})
		h.raw(bad, []byte("damaged"))
		h.raw(store.CatalogueKey(topicKey+"b"), []byte("{"))
		h.open()
		if len(h.cuts) != 1 || len(h.damage) != 1 {
			t.Fatalf("cuts %v, damage %v", h.cuts, h.damage)
		}
		cut := h.cuts[0]
		if cut.Topic != "a" || cut.From != 2 || cut.To != 3 || !errors.Is(cut.Cause, log.ErrCorruptRecord) {
			t.Errorf("got %+v", cut)
		}
		h.reopen()
		if got := h.get("a").Partitions()[0].HighWatermark(); got != 2 || len(h.cuts) != 0 {
			t.Errorf("then it ends at %d, cuts %v", got, h.cuts)
		}
	})
}

// The fsync that keeps the cut batches away comes when every log was checked, because
// it makes the next owner trust them all.
func TestCutsAreFsyncedLast(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		id := h.create("a", 1).Partitions()[0].ID()
		h.create("b", 3)
		bad := store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: 2, MaxTimestamp: 1000})
		h.raw(bad, []byte("damaged"))
		h.st.fsync = errBroken
		h.close(false)
		if err := h.tryOpen(); !errors.Is(err, errBroken) || len(h.cuts) != 1 {
			t.Errorf("the fsync fails: cuts %v, error %v", h.cuts, err)
		}
		h.st.fsync, h.st.syncs, h.st.unclean = nil, 0, true
		h.open() // nothing is left to cut, but nobody knows whether that is on the disk
		if h.st.syncs != 1 || h.st.early.Load() || len(h.cuts) != 0 {
			t.Errorf("%d fsyncs, too early: %t, cuts %v", h.st.syncs, h.st.early.Load(), h.cuts)
		}
	})
}
