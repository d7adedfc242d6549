package writer

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// kept is appends of batches that keep their offsets, the first of which is at.
func kept(p *partition.Partition, at int64, batches ...log.Batch) *Tx {
	tx := appends(p, batches...)
	for i := range tx.Appends {
		a := &tx.Appends[i]
		a.Kept, a.BaseOffset = true, at
		at += a.Batch.LastOffset() - a.Batch.BaseOffset() + 1
	}
	return tx
}

// A batch that keeps its offsets is stored where it belongs, or not at all, whatever is folded beside it.
func TestKeptOffsets(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.submitOnly("0", foldable(p, batch(t, "a")))
			s.submitOnly("1", foldable(p, batch(t, "b")))
			s.submitOnly("2", kept(p, 2, batch(t, "c", "d"), batch(t, "e")))
			s.submitOnly("3", foldable(p, batch(t, "f")))
			s.submitOnly("4", kept(p, 5, batch(t, "g")))
			s.submitOnly("5", kept(p, 6, batch(t, "h")))
		})
		if got := content(t, p); got != "0:a 1:b 2:c 3:d 4:e 5:f 6:h" {
			t.Errorf("stored: %s", got)
		}
	})
}

// The rules of the topic do not concern it: not the size, not the time.
func TestKeptKeepsTimeAndSize(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		p.SetRules(partition.Rules{MaxMessageBytes: 1, LogAppendTime: true})
		b := batch(t, "a")
		if err := s.Do(kept(p, 0, b)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Read(0, nil, func(sb log.StoredBatch) bool {
			if sb.Batch.LogAppendTime() {
				t.Error("it was stamped")
			}
			return true
		}); err != nil {
			t.Error(err)
		}
		if err := s.Do(kept(p, 0, batch(t, "b"))); !errors.Is(err, log.ErrOffsetOutOfRange) {
			t.Errorf("a place that is taken: %v", err)
		}
	})
}
