package retention

import (
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// What compaction writes is of an epoch that has not ended before its last offset: else who has read it would be told that the log was
// cut.
func TestCleanKeepsEpochs(t *testing.T) {
	w := newTestWorld(t)
	raise := func() {
		var b store.Batch
		e := w.log.NextEpoch(&b)
		w.log.BeginEpoch(e)
		if err := w.Commit(&b); err != nil {
			t.Fatal(err)
		}
		w.log.SetEpochs(e)
	}
	w.tell("a1 b1 | a2 c1")
	raise()
	w.tell("a3 d1 | + b2 c2 | a4")
	raise()
	raise()
	w.tell("e1 a5 | e2")
	raise()
	w.tell("a6")
	if done := w.clean(Cleaner{}, CleanOptions{NowMs: 1 << 40}); done.Records == 0 {
		t.Fatalf("%+v", done)
	}
	batches := 0
	if _, err := w.log.Read(0, nil, func(sb log.StoredBatch) bool {
		batches++
		epoch := sb.Batch.LeaderEpoch()
		if as, end := w.log.Epochs().End(epoch, w.log.End()); sb.Err != nil || as != epoch || end <= sb.LastOffset || epoch != w.log.Epochs().At(sb.LastOffset) {
			t.Errorf("the batch up to %d is of epoch %d, which ends as %d at %d: %v", sb.LastOffset, epoch, as, end, sb.Err)
		}
		return true
	}); err != nil || batches == 7 {
		t.Errorf("%d batches, %v", batches, err)
	}
}
