package txn

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// The process dies at any moment: what is found has each transaction whole or not at all, in both partitions and in
// the group, and the open ones can be ended.
func TestWholeWhereverItEnds(t *testing.T) {
	h := newHouse(t)
	defer h.shut()
	left, forked := tp("a", 0), make(chan store.Store, 64)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			id, mine := fmt.Sprint("t", i), &house{t: t, st: h.st, Coordinator: h.Coordinator, seqs: make(map[string]int32)}
			p := mine.init(id)
			for n := range int64(40) {
				value := fmt.Sprint(id, "-", n)
				mine.must(mine.produce(id, p, left, value, true))
				mine.must(mine.CommitOffsets(ctx, id, p, true, id, commits(tp("c", 0), n)))
				mine.must(mine.produce(id, p, tp("b", 1), value, true))
				if i == 0 { // between whatever the others do
					st, err := h.st.Store.(store.Forker).Fork()
					mine.must(err)
					forked <- st
				}
				var err error
				if p, err = mine.End(ctx, id, p, EndOptions{Commit: n%4 != 0, Bump: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(forked)
	for st := range forked {
		after := &house{t: t, st: &floor{Store: st}, logger: zap.NewNop()}
		after.open()
		for i := range 4 {
			if _, err := after.Init(ctx, fmt.Sprint("t", i), time.Minute, nil); err != nil {
				t.Error(err)
			}
		}
		sums := make(map[log.TopicPartition]map[string]int64) // how often each id has committed, and what last
		for _, of := range []log.TopicPartition{left, tp("b", 1)} {
			if p := after.part(of); p.LastStable() != p.HighWatermark() {
				t.Errorf("%s: %d of %d are stable", of, p.LastStable(), p.HighWatermark())
			}
			sums[of] = after.sums(of)
		}
		if got, want := fmt.Sprint(sums[left]), fmt.Sprint(sums[tp("b", 1)]); got != want {
			t.Errorf("one partition has %s, the other %s", got, want)
		}
		for i := range 4 {
			id := fmt.Sprint("t", i)
			last, ok := sums[left]["last of "+id]
			if got := after.offset(id, tp("c", 0)); ok && got != last || !ok && got != -1 {
				t.Errorf("%s has committed %d, %t, and its group %d", id, last, ok, got)
			}
		}
		after.shut()
	}
}

// sums counts the values of each id in a partition, and tells the last.
func (h *house) sums(of log.TopicPartition) map[string]int64 {
	sums := make(map[string]int64)
	for _, value := range strings.Fields(h.committed(of)) {
		var id string
		var n int64
		if _, err := fmt.Sscanf(value, "%2s-%d", &id, &n); err != nil {
			h.t.Fatal(value, err)
		}
		sums[id]++
		sums["last of "+id] = n
	}
	return sums
}
