package writer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// foldable is appends whose batches may be stored together with others.
func foldable(p *partition.Partition, envs ...log.Batch) *Tx {
	tx := appends(p, envs...)
	for i := range tx.Appends {
		tx.Appends[i].Foldable = true
	}
	return tx
}

// bases are the base offsets that the appends were given.
func bases(txs ...*Tx) string {
	var words []string
	for _, tx := range txs {
		for _, a := range tx.Appends {
			words = append(words, fmt.Sprint(a.BaseOffset))
		}
	}
	return strings.Join(words, " ")
}

// What waits together and may be folded becomes one batch; everybody gets his own offsets.
func TestSmallAppendsShareABatch(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q := s.partition(0), s.partition(1)
		txs := []*Tx{
			foldable(p, batch(t, "a", "b")), foldable(q, batch(t, "x")), foldable(p, batch(t, "c")),
			foldable(p, batch(t, "d"), batch(t, "e")), foldable(q, batch(t, "y")),
		}
		s.busy(func() {
			for i, tx := range txs {
				s.submitOnly(fmt.Sprint(i), tx)
			}
		})
		s.hears("0", "1", "2", "3", "4")
		if got := content(t, p) + " | " + content(t, q); got != "0:a 1:b 2:c 3:d 4:e | 0:x 1:y" {
			t.Errorf("stored: %s", got)
		}
		if got := bases(txs...); got != "0 0 2 3 4 1" {
			t.Errorf("base offsets: %s", got)
		}
		if st := s.Stats(); st.Batches != 2 || st.Records != 7 || st.Txs != 5 {
			t.Errorf("%+v", st)
		}
	})
}

// A batch that is not to be folded keeps its place between those that are.
func TestFoldingKeepsTheOrder(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		txs := []*Tx{
			foldable(p, batch(t, "a")), foldable(p, batch(t, "b")), appends(p, batch(t, "c")),
			foldable(p, batch(t, "d")), foldable(p, batch(t, "e")),
		}
		s.busy(func() {
			for i, tx := range txs {
				s.submitOnly(fmt.Sprint(i), tx)
			}
		})
		if got := content(t, p); got != "0:a 1:b 2:c 3:d 4:e" {
			t.Errorf("stored: %s", got)
		}
		if got := bases(txs...); got != "0 1 2 3 4" {
			t.Errorf("base offsets: %s", got)
		}
		if n := s.Stats().Batches; n != 3 {
			t.Errorf("%d batches, want 3", n)
		}
	})
}

// Folded batches obey max.message.bytes.
func TestFoldingStopsAtTheLargestBatch(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		p.SetRules(partition.Rules{MaxMessageBytes: 1000})
		s.busy(func() {
			for i := range 10 {
				s.submitOnly(fmt.Sprint(i), foldable(p, sized(t, 300)))
			}
		})
		largest := 0
		_, err := p.Read(0, nil, func(sb log.StoredBatch) bool {
			largest = max(largest, len(sb.Batch))
			return sb.Err == nil
		})
		if err != nil || largest > 1000 || largest < 600 {
			t.Errorf("the largest batch has %d bytes, %v", largest, err)
		}
		if p.HighWatermark() != 10 {
			t.Errorf("high watermark %d", p.HighWatermark())
		}
	})
}

func TestFoldingStampsAppendTime(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		p.SetRules(partition.Rules{MaxMessageBytes: 1 << 20, LogAppendTime: true})
		txs := []*Tx{foldable(p, batch(t, "a")), foldable(p, batch(t, "b"))}
		now := time.Now().UnixMilli()
		s.busy(func() {
			s.submitOnly("a", txs[0])
			s.submitOnly("b", txs[1])
		})
		for _, tx := range txs {
			if tx.Appends[0].AppendTime != now {
				t.Errorf("told %d, want %d", tx.Appends[0].AppendTime, now)
			}
		}
		_, err := p.Read(0, nil, func(sb log.StoredBatch) bool {
			b := sb.Batch
			if _, err := log.ParseBatch(b); err != nil || !b.LogAppendTime() || b.MaxTimestamp() != now || b.Records() != 2 {
				t.Errorf("stored batch of %d records, time %d, %v", b.Records(), b.MaxTimestamp(), err)
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Whatever is folded with whatever: records, offsets and order are those of the calls.
func TestFoldingChangesNothingThatShows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewCommitter(&desk{Store: store.OpenMemory()}, zap.NewNop())
		defer c.Close()
		var ps []*partition.Partition
		for i := range 3 {
			id := store.PartitionID{Topic: 1, Partition: uint32(i)}
			ps = append(ps, partition.Open(log.NewLog(c.st, id, log.TopicPartition{Partition: int32(i)}), partition.Rules{MaxMessageBytes: 1 << 20}))
		}
		want := make([]string, len(ps))
		next := make([]int, len(ps))
		var txs []*Tx
		for range rapid.IntRange(1, 30).Draw(rt, "transactions") {
			tx := &Tx{}
			for range rapid.IntRange(1, 4).Draw(rt, "appends") {
				i := rapid.IntRange(0, len(ps)-1).Draw(rt, "partition")
				var values []string
				for range rapid.IntRange(1, 3).Draw(rt, "records") {
					v := fmt.Sprintf("%d.%d", i, next[i])
					values = append(values, v)
					want[i] += fmt.Sprintf("%d:%s ", next[i], v)
					next[i]++
				}
				tx.Appends = append(tx.Appends, Append{
					Partition: ps[i], Batch: batch(t, values...), Foldable: rapid.Bool().Draw(rt, "foldable"),
				})
			}
			txs = append(txs, tx)
		}
		done := make(chan error, len(txs))
		for _, tx := range txs {
			tx.Done = func(err error) { done <- err }
			c.Submit(tx)
		}
		for range txs {
			if err := <-done; err != nil {
				rt.Fatal(err)
			}
		}
		for i, p := range ps {
			if got := content(t, p); got != strings.TrimSpace(want[i]) {
				rt.Fatalf("partition %d holds %s, want %s", i, got, want[i])
			}
		}
	})
}

// Those who were served by one fsync are waited for, so that the next serves them all.
func TestSyncWaitsForCompanions(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		const took = 4 * time.Millisecond
		s.desk.set(func(d *desk) { d.sync = func(int) error { time.Sleep(took); return nil } })
		p := s.partition(0)
		synced := func(name string) *Tx {
			tx := foldable(p, batch(t, name))
			tx.Synced = true
			return tx
		}
		s.busy(func() {
			for i := range 4 {
				s.submitOnly(fmt.Sprint(i), synced("first"))
			}
		})
		time.Sleep(took)
		s.hears("0", "1", "2", "3")

		s.submit("a", synced("a")) // alone, it waits for the three others
		s.submit("b", synced("b"))
		s.hears()
		s.submit("c", synced("c"))
		s.submit("d", synced("d"))
		time.Sleep(took)
		s.hears("a", "b", "c", "d")
		if n := s.Stats().Syncs; n != 2 {
			t.Errorf("%d fsyncs, want 2", n)
		}

		s.submit("lonely", synced("lonely")) // the others do not come: it waits half an fsync for them
		time.Sleep(took/2 + took - 1)
		s.hears()
		time.Sleep(time.Nanosecond)
		s.hears("lonely")
		s.submit("again", synced("again")) // and not the next time
		time.Sleep(took)
		s.hears("again")
		synctest.Wait()
	})
}

// Appended counts the bytes that are stored, as who limits them by what is in the log does:
// small batches take much less together than each alone.
func TestAppendedIsWhatIsStored(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		check := func(asked int64) {
			t.Helper()
			var stored int64
			if err := p.Log().Batches(func(b log.BatchInfo) bool {
				stored += int64(b.Bytes)
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if got := p.Appended(); got != stored || stored > asked {
				t.Errorf("%d bytes appended, %d stored, %d asked for", got, stored, asked)
			}
		}
		size := int64(len(batch(t, "a")))
		txs := make([]*Tx, 10)
		for i := range txs {
			txs[i] = foldable(p, batch(t, "a"))
		}
		s.busy(func() {
			for i, tx := range txs {
				s.submitOnly(fmt.Sprint(i), tx)
			}
		})
		check(5 * size)
		// Used again, alone and not to be folded.
		for _, tx := range txs[:3] {
			tx.Reset()
			tx.Appends = []Append{{Partition: p, Batch: batch(t, "a"), Foldable: tx == txs[0]}}
			if err := s.Do(tx); err != nil {
				t.Fatal(err)
			}
		}
		check(8 * size)
		s.told = nil
	})
}
