package txn

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// The power goes, and with it the last ends of transactions, which were not synced: the epoch is behind the one that the
// producer has been told. Who takes the id over then gets nothing that the producer, which lives on elsewhere, has too.
func TestProducerOutlivesThePower(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		h := newHouse(t)
		defer h.shut()
		p := h.init("t")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		p, err := h.End(ctx, "t", p, EndOptions{Commit: true, Bump: true})
		h.must(err)
		disk, err := h.st.Store.(store.Forker).Fork() // all that was synced
		h.must(err)
		h.must(h.produce("t", p, tp("a", 0), "y", true))
		p, err = h.End(ctx, "t", p, EndOptions{Commit: true, Bump: true})
		h.must(err)

		after := &house{t: t, st: &floor{Store: disk}, logger: zap.NewNop(), seqs: make(map[string]int32)}
		after.open()
		defer after.shut()
		if fenced {
			h.must(after.Fence(ctx, "t"))
		} else if q := after.init("t"); q == p {
			t.Errorf("two producers are %s", q)
		}
		if err := after.produce("t", p, tp("a", 0), "z", true); err == nil {
			t.Errorf("%s writes on, fenced: %t", p, fenced)
		}
		_, err = after.Init(ctx, "t", time.Minute, &p)
		after.wantErr("go on", err, log.ErrProducerFenced)
	}
}
