package writer

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
)

func TestWithdraw(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.desk.hold = true
		first, b, c := appends(p, batch(t, "a")), appends(p, batch(t, "b")), appends(p, batch(t, "c"))
		s.submit("a", first)
		s.submit("b", b)
		s.submit("c", c)
		if first.Withdraw() {
			t.Error("withdrawn although it is on its way")
		}
		if !b.Withdraw() {
			t.Error("not withdrawn although it waits")
		}
		if b.Withdraw() {
			t.Error("withdrawn twice")
		}
		s.desk.land(0, nil)
		s.desk.land(0, nil)
		s.hears("a", "c")
		if c.Withdraw() {
			t.Error("withdrawn although it is stored")
		}
		if got := content(t, p); got != "0:a 1:c" {
			t.Errorf("got %s", got)
		}
	})
}

// What was withdrawn does not count for the size of a commit group, nor keep it from ending.
func TestEverythingWithdrawn(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			for range 600 {
				tx := appends(p, batch(t, "x"))
				s.submitOnly("x", tx)
				if !tx.Withdraw() {
					t.Error("not withdrawn")
				}
			}
		})
		s.hears()
		s.submit("y", appends(p, batch(t, "y")))
		s.hears("y")
		if got := s.Stats(); got.Commits != 1 || content(t, p) != "0:y" {
			t.Errorf("got %+v, %s", got, content(t, p))
		}
	})
}

func TestWithdrawnBeforeItIsSubmitted(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		tx := writes("k")
		if !tx.Withdraw() {
			t.Error("not withdrawn")
		}
		s.submit("tx", tx)
		s.Close()
		s.submit("tx again", tx) // refused, and it does not want to know
		s.hears()
	})
}

// Whoever withdraws is told exactly one thing: taken back, or done.
func TestWithdrawRaces(t *testing.T) {
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	var done, withdrawn atomic.Int64
	var wg sync.WaitGroup
	const workers, each = 4, 500
	for range workers {
		wg.Go(func() {
			for i := range each {
				tx := writes("k")
				told := make(chan struct{})
				tx.Done = func(error) {
					done.Add(1)
					close(told)
				}
				c.Submit(tx)
				if i%2 == 0 {
					runtime.Gosched()
				}
				if tx.Withdraw() {
					withdrawn.Add(1)
					continue
				}
				<-told
			}
		})
	}
	wg.Wait()
	c.Close()
	if n := done.Load() + withdrawn.Load(); n != workers*each {
		t.Errorf("%d done and %d withdrawn of %d", done.Load(), withdrawn.Load(), workers*each)
	}
	if got := c.Stats().Txs; got != done.Load() {
		t.Errorf("%d were stored, %d were told so", got, done.Load())
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
