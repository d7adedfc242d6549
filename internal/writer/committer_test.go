package writer

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func TestWhatWaitsIsFolded(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.desk.hold = true
		s.submit("a", appends(p, batch(t, "a")))
		s.flying(1)
		s.submit("b", appends(p, batch(t, "b1", "b2")))
		s.submit("c", writes("c"))
		s.submit("d", appends(p, batch(t, "d")))
		s.flying(1) // little waits, and one commit is on its way
		s.hears()

		s.desk.land(0, nil)
		s.hears("a")
		s.flying(1)
		s.desk.land(0, nil)
		s.hears("b", "c", "d")
		if got := content(t, p); got != "0:a 1:b1 2:b2 3:d" || !s.has("c") {
			t.Errorf("stored: %s", got)
		}
		want := Stats{Commits: 2, Txs: 4, Batches: 3, Records: 4}
		got := s.Stats()
		got.Bytes = 0
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestGroupHoldsAtMost512Transactions(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.busy(func() {
			s.desk.hold = true
			for i := range 1100 {
				s.submitOnly("", writes(strconv.Itoa(i)))
			}
		})
		for _, want := range []int64{512, 512, 76} {
			before := s.Stats().Txs
			s.flying(1)
			s.desk.land(0, nil)
			if got := s.Stats().Txs - before; got != want {
				t.Errorf("a group of %d, want %d", got, want)
			}
		}
		s.told = nil
	})
}

func TestGroupHoldsAtMost4MiB(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.desk.hold = true
			for i, n := range []int{1 << 20, 1 << 20, 1 << 20, 1 << 20, 5 << 20, 100, 1 << 20} {
				s.submitOnly(strconv.Itoa(i), appends(p, sized(t, n)))
			}
		})
		for i, want := range []int{3, 1, 5, 1} { // three of 1 MiB; the fourth; the large one alone; the rest
			s.flying(1)
			if got := s.desk.held[0].bytes >> 20; got != want {
				t.Errorf("group %d has %d MiB, want %d", i, got, want)
			}
			s.desk.land(0, nil)
		}
		s.hears("0", "1", "2", "3", "4", "5", "6")
	})
}

func woken(w *partition.Waiter) bool {
	select {
	case <-w.C():
		return true
	default:
		return false
	}
}

// Producers and readers at full speed: a reader finds every record below the high
// watermark, which only rises, and whoever is told finds his own records.
func TestHighWatermarkNeverRunsAhead(t *testing.T) {
	const producers, each = 4, 150
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	p := partition.Open(log.NewLog(st, store.PartitionID{Topic: 1}, log.TopicPartition{Topic: "t"}), partition.Rules{MaxMessageBytes: 1 << 20})

	var wg sync.WaitGroup
	for i := range producers {
		wg.Go(func() {
			for j := range each {
				tx := appends(p, sized(t, 100+j%3*20_000))
				tx.Synced = i == 0 && j%10 == 0
				if err := c.Do(tx); err != nil {
					t.Errorf("append: %v", err)
				}
				if end := p.HighWatermark(); end <= tx.Appends[0].BaseOffset {
					t.Errorf("told of offset %d, the high watermark is %d", tx.Appends[0].BaseOffset, end)
				}
			}
		})
	}
	w := partition.NewWaiter()
	p.Watch(w)
	wg.Go(func() {
		next := int64(0)
		for next < producers*each {
			end := p.HighWatermark()
			if end < next {
				t.Errorf("the high watermark fell from %d to %d", next, end)
			}
			if _, err := p.Read(next, nil, func(sb log.StoredBatch) bool {
				if sb.Err != nil || sb.Batch.BaseOffset() != next {
					t.Errorf("at %d: got %d, error %v", next, sb.LastOffset, sb.Err)
				}
				next = sb.LastOffset + 1
				return true
			}); err != nil {
				t.Errorf("Read(%d): %v", next, err)
			}
			if next < end {
				t.Errorf("read up to %d, the high watermark was %d", next, end)
				return
			}
			if next < producers*each {
				<-w.C()
			}
		}
	})
	wg.Wait()
	c.Close()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	over := func(t *testing.T, p, q *partition.Partition) *Tx {
		tx := writes("k")
		tx.Appends = []Append{
			{Partition: p, Batch: batch(t, "p")},
			{Partition: q, Batch: batch(t, "q1", "q2")},
			{Partition: p, Batch: batch(t, "p2")},
		}
		return tx
	}
	t.Run("all", func(t *testing.T) {
		play(t, func(t *testing.T, s *scene) {
			p, q := s.partition(0), s.partition(1)
			s.submit("before", appends(q, batch(t, "q0")))
			tx := over(t, p, q)
			s.submit("tx", tx)
			s.hears("before", "tx")
			if content(t, p) != "0:p 1:p2" || content(t, q) != "0:q0 1:q1 2:q2" || !s.has("k") {
				t.Errorf("got %s, %s", content(t, p), content(t, q))
			}
			for i, want := range []int64{0, 1, 1} {
				if a := tx.Appends[i]; a.BaseOffset != want || a.AppendTime != -1 {
					t.Errorf("append %d: offset %d, time %d", i, a.BaseOffset, a.AppendTime)
				}
			}
		})
	})
	for name, change := range map[string]func(s *scene, p, q *partition.Partition){
		"one partition has ended":         func(_ *scene, _, q *partition.Partition) { q.End(log.ErrUnknownTopic) },
		"one batch is too large":          func(_ *scene, _, q *partition.Partition) { q.SetRules(partition.Rules{MaxMessageBytes: 70}) },
		"the disk is full":                func(s *scene, _, _ *partition.Partition) { s.desk.room = full },
		"the commit fails":                func(s *scene, _, _ *partition.Partition) { s.desk.commit = func(int) error { return errBroken } },
		"the committer failed beforehand": func(s *scene, _, _ *partition.Partition) { _ = s.fail(errBroken) },
	} {
		t.Run("nothing when "+name, func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				p, q := s.partition(0), s.partition(1)
				change(s, p, q)
				if err := s.Do(over(t, p, q)); err == nil {
					t.Error("no error")
				}
				if p.HighWatermark() != 0 || q.HighWatermark() != 0 || s.has("k") {
					t.Errorf("high watermarks %d, %d", p.HighWatermark(), q.HighWatermark())
				}
			})
		})
	}
}

// A transaction that is refused leaves no trace in the offsets of its neighbours.
func TestRefusedTransactionTakesNoOffsets(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q := s.partition(0), s.partition(1)
		q.End(log.ErrUnknownTopic)
		s.busy(func() {
			s.submitOnly("a", appends(p, batch(t, "a")))
			tx := appends(p, batch(t, "lost"))
			tx.Appends = append(tx.Appends, Append{Partition: q, Batch: batch(t, "lost")})
			s.submitOnly("b", tx)
			s.submitOnly("c", appends(p, batch(t, "c")))
		})
		s.hears("b: gone", "a", "c")
		if got := content(t, p); got != "0:a 1:c" {
			t.Errorf("got %s", got)
		}
		if got := s.Stats(); got.Failures != 1 || got.Txs != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTransactionsBeyondTheLimits(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		limits := s.desk.Limits()
		many := &Tx{}
		for i := range limits.Entries + 1 {
			many.Writes.Set([]byte("a"+strconv.Itoa(i)), []byte("1"))
		}
		heavy := appends(p)
		for range limits.Bytes/(8<<20) + 1 {
			heavy.Appends = append(heavy.Appends, Append{Partition: p, Batch: sized(t, 8<<20)})
		}
		for name, tx := range map[string]*Tx{"entries": many, "bytes": heavy} {
			s.submit(name, tx)
			s.hears(name + ": too large")
			if tx.Withdraw() {
				t.Errorf("%s: withdrawn after it was told", name)
			}
		}
		last := &Tx{}
		for i := range limits.Entries {
			last.Writes.Set([]byte("a"+strconv.Itoa(i)), []byte("1"))
		}
		s.submit("just fits", last)
		s.hears("just fits")
		if got := s.Stats(); got.Failures != 2 || got.Commits != 1 || s.Failed() != nil {
			t.Errorf("got %+v, failed: %v", got, s.Failed())
		}
	})
}

func TestBegunComesInOrder(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.submitOnly("before", appends(p, batch(t, "before")))
			tx := writes("k")
			tx.Begun = func() { p.End(log.ErrUnknownTopic) }
			s.submitOnly("end", tx)
			s.submitOnly("behind", appends(p, batch(t, "behind")))
		})
		s.hears("behind: gone", "before", "end")
		if got := content(t, p); got != "0:before" {
			t.Errorf("got %s", got)
		}

		s.desk.set(func(d *desk) { d.room = full })
		tx := writes("l")
		tx.Begun = func() { t.Error("begun, and then refused") }
		s.submit("refused", tx)
		s.hears("refused: full")
		tx.Reset()
		if tx.Begun != nil || tx.Done != nil || tx.Writes.Len() != 0 {
			t.Error("Reset forgot something")
		}
	})
}

// A transaction may be used again from its own Done on.
func TestTransactionIsReusable(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		tx := &Tx{}
		done := make(chan error, 1)
		for i := range 100 {
			tx.Appends = append(tx.Appends, Append{Partition: p, Batch: batch(t, strconv.Itoa(i))})
			tx.Synced = i%2 == 0
			tx.Done = func(err error) { done <- err }
			s.Submit(tx)
			if err := <-done; err != nil || tx.Appends[0].BaseOffset != int64(i) {
				t.Fatalf("%d: offset %d, error %v", i, tx.Appends[0].BaseOffset, err)
			}
			tx.Reset()
		}
	})
}

func TestCloseFinishesWhatWasSubmitted(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.desk.hold = true
		s.submit("a", appends(p, batch(t, "a")))
		s.submit("b", appends(p, batch(t, "b")))
		synced := appends(p, batch(t, "c"))
		synced.Synced = true
		s.submit("c", synced)
		closed := make(chan struct{})
		go func() {
			s.Close()
			close(closed)
		}()
		synctest.Wait()

		late := appends(p, batch(t, "late"))
		s.submit("late", late)
		s.hears("late: closed")
		if late.Withdraw() {
			t.Error("withdrawn after it was told")
		}
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		default:
		}
		s.desk.land(0, nil)
		s.desk.land(0, nil)
		<-closed
		s.hears("a", "b", "c")
		if got := content(t, p); got != "0:a 1:b 2:c" || s.desk.syncs != 1 {
			t.Errorf("got %s, %d fsyncs", got, s.desk.syncs)
		}

		s.Close() // once more is fine
		if err := s.Do(writes("k")); !errors.Is(err, log.ErrClosed) {
			t.Errorf("Do: got error %v", err)
		}
		s.Sync(s.note("sync"))
		s.hears("sync: closed")
	})
}
