package writer

import (
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// An epoch begins behind what was submitted before it, in one step for all partitions, and leaves those alone whose topic
// is gone.
func TestRaiseEpochs(t *testing.T) {
	t.Parallel()
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	defer func() { c.Close(); _ = st.Close() }()
	var ps []*partition.Partition
	for i := range uint32(3) {
		tp := log.TopicPartition{Topic: "orders", Partition: int32(i)}
		ps = append(ps, partition.Open(log.NewLog(st, store.PartitionID{Topic: 1, Partition: i}, tp), partition.Rules{MaxMessageBytes: 1 << 20}))
	}
	append1 := func() {
		var builder log.Builder
		builder.Append(1, nil, []byte("v"), nil)
		batch, err := builder.Seal(nil, log.CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Do(&Tx{Appends: []Append{{Partition: ps[0], Batch: batch, Foldable: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	append1()
	ps[2].End(log.ErrUnknownTopic)
	for range 2 {
		if err := RaiseEpochs(t.Context(), c, ps); err != nil {
			t.Fatal(err)
		}
	}
	append1()
	for i, want := range []int32{2, 2, 0} {
		if got := ps[i].Log().LeaderEpoch(); got != want {
			t.Errorf("partition %d is in epoch %d, want %d", i, got, want)
		}
	}
	if e := ps[0].Log().Epochs(); e.At(0) != 0 || e.At(1) != 2 {
		t.Errorf("epochs %v", e)
	}
	if _, err := st.Get(store.EpochsKey(ps[2].ID())); err == nil {
		t.Error("a topic that is gone has epochs in the store")
	}
	c.Close()
	if err := RaiseEpochs(t.Context(), c, ps[:1]); err == nil {
		t.Error("a committer that is closed has raised an epoch")
	}
}
