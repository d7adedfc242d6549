package writer

import (
	"runtime"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// A log that is cut while others append goes on where it was cut: its offsets follow one another, and each record is of the epoch that
// the log says.
func TestCutUnderAppends(t *testing.T) {
	t.Parallel()
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	defer func() { c.Close(); _ = st.Close() }()
	p := partition.Open(log.NewLog(st, store.PartitionID{Topic: 1}, log.TopicPartition{Topic: "orders"}), partition.Rules{MaxMessageBytes: 1 << 20})
	add := func() {
		var builder log.Builder
		builder.Append(1, nil, []byte("v"), nil)
		batch, err := builder.Seal(nil, log.CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		c.Submit(&Tx{Appends: []Append{{Partition: p, Batch: batch, Foldable: true}}, Done: func(err error) {
			if err != nil {
				t.Error(err)
			}
		}})
	}
	queued := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.queue) + len(c.ahead)
	}
	for range 3 {
		add()
		hold, held := make(chan struct{}), make(chan struct{})
		c.Submit(&Tx{Check: func() error { close(held); <-hold; return nil }})
		<-held
		add()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := CutAndRaise(t.Context(), c, p, 0); err != nil {
				t.Error(err)
			}
		})
		for queued() < 2 {
			runtime.Gosched()
		}
		add()
		close(hold)
		wg.Wait()
	}
	if err := c.Do(&Tx{}); err != nil {
		t.Error(err)
	}
	next := int64(0)
	if _, err := p.Log().Read(0, nil, func(sb log.StoredBatch) bool {
		switch b := sb.Batch; {
		case sb.Err != nil:
			t.Error(sb.Err)
		case b.BaseOffset() != next || b.LeaderEpoch() != p.Log().Epochs().At(next):
			t.Errorf("offset %d of epoch %d, want %d of %d", b.BaseOffset(), b.LeaderEpoch(), next, p.Log().Epochs().At(next))
		}
		next = sb.LastOffset + 1
		return !t.Failed()
	}); err != nil {
		t.Error(err)
	}
	if next != p.HighWatermark() || next != p.Log().Next() {
		t.Errorf("the records end at %d, the log at %d, and goes on at %d", next, p.HighWatermark(), p.Log().Next())
	}
}
