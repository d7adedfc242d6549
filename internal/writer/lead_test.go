package writer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// do has a goroutine of its own do tx until ctx ends; its outcome is noted under name.
func (s *scene) do(ctx context.Context, name string, tx *Tx) {
	go func() { s.note(name)(s.DoUntil(ctx, tx)) }()
	synctest.Wait()
}

// onOwn makes tx tell whether it was begun on the goroutine that called.
func onOwn(tx *Tx) (own func() bool) {
	var by string
	tx.Begun = func() { by = stack() }
	return func() bool { return strings.Contains(by, "DoUntil") }
}

func stack() string {
	buf := make([]byte, 1<<14)
	return string(buf[:runtime.Stack(buf, false)])
}

// Who waits commits on his own goroutine, and the first of those who wait is the next.
func TestLeadIsHandedOver(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		var own []func() bool
		for _, name := range []string{"a", "b", "c"} {
			tx := writes(name)
			own = append(own, onOwn(tx))
			s.do(t.Context(), name, tx)
		}
		s.flying(1)
		s.desk.land(0, nil)
		s.hears("a")
		s.flying(1)
		if got := s.desk.held[0].b.Len(); got != 2 {
			t.Errorf("the second group has %d writes", got)
		}
		s.desk.land(0, nil)
		s.mu.Lock()
		if len(s.told) != 2 {
			t.Errorf("told %q", s.told)
		}
		s.told = nil
		s.mu.Unlock()
		for i, own := range own {
			if !own() {
				t.Errorf("%d was not begun by who waits", i)
			}
		}
	})
}

// What nobody waits for is committed by who does; alone, by a goroutine that ends.
func TestWhatNobodyWaitsForIsLedToo(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		tx := writes("first")
		own := onOwn(tx)
		s.submit("first", tx)
		s.flying(1)
		if own() {
			t.Error("Submit has committed")
		}
		s.submit("second", writes("second"))
		waits := writes("waits")
		own = onOwn(waits)
		s.do(t.Context(), "waits", waits)
		s.submit("third", writes("third"))
		s.desk.land(0, nil)
		s.hears("first")
		if !own() || s.desk.held[0].b.Len() != 3 {
			t.Errorf("led by who waits: %v, %d writes", own(), s.desk.held[0].b.Len())
		}
		s.desk.land(0, nil)
		s.hears("second", "third", "waits")
		if s.mutex(func() { own = func() bool { return s.leading } }); own() {
			t.Error("somebody leads for ever")
		}
	})
}

// A leader whose own transaction does not fit commits what is before it first.
func TestLeaderBehindMoreThanAGroup(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		s.submit("first", writes("first"))
		for i := range 700 {
			s.submitOnly("", writes(fmt.Sprint(i)))
		}
		s.do(t.Context(), "waits", writes("waits"))
		for _, want := range []int{1, 512, 189} {
			s.flying(1)
			if got := s.desk.held[0].b.Len(); got != want {
				t.Errorf("a group of %d, want %d", got, want)
			}
			s.desk.land(0, nil)
		}
		if got := s.told[len(s.told)-1]; got != "waits" {
			t.Errorf("told last: %s", got)
		}
		s.told = nil
	})
}

func TestWithdrawnWaiterDoesNotLead(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		ctx, cancel := context.WithCancel(t.Context())
		s.do(ctx, "a", writes("a"))
		b := writes("b")
		s.do(ctx, "b", b)
		s.do(t.Context(), "c", writes("c"))
		cancel()
		s.hears("b: context canceled")
		if !b.Withdrawn() {
			t.Error("not withdrawn")
		}
		s.desk.land(0, nil)
		s.hears("a") // it had begun
		s.desk.land(0, nil)
		s.hears("c")
		if s.has("b") || !s.has("c") {
			t.Errorf("stored: b %v, c %v", s.has("b"), s.has("c"))
		}
	})
}

// Who is given the lead at the moment that he gives up passes it on.
func TestHeirIsWithdrawn(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		withdrawn := 0
		for range 200 {
			heir := writes("heir")
			heir.waits, heir.word = true, make(chan word, 1)
			s.busy(func() {
				if s.enter(heir) {
					t.Error("leads at once")
				}
				go func() { s.note("next")(s.Do(writes("next"))) }()
				synctest.Wait()
			})
			switch w := s.await(gone, heir); w {
			case wordWithdrawn:
				withdrawn++
				s.hears("next")
			case wordLead:
				if w := s.lead(heir); w != wordDone || heir.err != nil {
					t.Errorf("heard %d, error %v", w, heir.err)
				}
				s.hears("next")
			default:
				t.Fatalf("heard %d", w)
			}
		}
		if withdrawn == 0 || withdrawn == 200 {
			t.Errorf("%d of 200 withdrawn", withdrawn)
		}
	})
}

// Many wait, and many of them give up; everybody is told one thing, which is true.
func TestManyGiveUp(t *testing.T) {
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	p := partition.Open(log.NewLog(st, store.PartitionID{Topic: 1}, log.TopicPartition{Topic: "t"}), partition.Rules{MaxMessageBytes: 1 << 20})
	const workers, each = 64, 100
	var stored, withdrawn atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for j := range each {
				ctx, cancel := context.WithCancel(context.Background())
				tx := foldable(p, batch(t, "x"))
				tx.Synced = j%7 == 0
				tx.Ahead = j%11 == 0
				if (i+j)%3 == 0 {
					go cancel()
				}
				err := c.DoUntil(ctx, tx)
				switch {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, context.Canceled) && tx.Withdrawn():
					withdrawn.Add(1)
				default:
					t.Errorf("error %v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	c.Close()
	if p.HighWatermark() != stored.Load() || stored.Load()+withdrawn.Load() != workers*each {
		t.Errorf("%d stored, %d withdrawn, the high watermark is %d", stored.Load(), withdrawn.Load(), p.HighWatermark())
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWhileSomebodyLeads(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		gate := gated(s)
		a, b := writes("a"), writes("b")
		a.Synced = true
		s.do(t.Context(), "a", a)
		s.do(t.Context(), "b", b)
		closed := false
		go func() {
			s.Close()
			closed = true
		}()
		synctest.Wait()
		s.do(t.Context(), "late", writes("late"))
		s.hears("late: closed")
		s.desk.land(0, nil)
		s.hears()
		s.desk.land(0, nil)
		if s.hears("b"); closed {
			t.Error("closed while somebody waits for fsync")
		}
		gate <- nil
		if s.hears("a"); !closed {
			t.Error("not closed")
		}
	})
}

// One of those who wait for fsync does it, and the first who came meanwhile is the next.
func TestFsyncIsHandedOver(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		var by []string
		gate := make(chan error)
		s.desk.sync = func(int) error {
			by = append(by, stack())
			return <-gate
		}
		for _, name := range []string{"a", "b", "c"} {
			tx := writes(name)
			tx.Synced = true
			s.do(t.Context(), name, tx)
		}
		s.hears()
		gate <- nil
		s.hears("a")
		gate <- nil
		synctest.Wait()
		s.mu.Lock()
		if len(s.told) != 2 {
			t.Errorf("told %q", s.told)
		}
		s.told = nil
		s.mu.Unlock()
		for i, by := range by {
			if !strings.Contains(by, "DoUntil") {
				t.Errorf("fsync %d was not done by who waits", i)
			}
		}
	})
}

// faulty is a probe that does as it is told at some points.
type faulty struct {
	probe.Probe
	at map[probe.Op]func()
}

func (f *faulty) Ask(w probe.Work) probe.Verdict {
	if do := f.at[w.Op]; do != nil {
		do()
	}
	return probe.Verdict{}
}

func (f *faulty) Release()                {}
func (f *faulty) Appended(probe.Appended) {}

// A function that does not return stops everything, and nobody waits for ever.
func TestLeaderDoesNotReturn(t *testing.T) {
	for how, leave := range map[string]func(){"panics": func() { panic("a fault") }, "ends its goroutine": runtime.Goexit} {
		for name, at := range map[string]probe.Op{"before the commit": probe.Space, "behind it": probe.AppendAnswer, "behind fsync": 0} {
			t.Run(how+" "+name, func(t *testing.T) {
				play(t, func(t *testing.T, s *scene) {
					p := s.partition(0)
					faults := &faulty{at: map[probe.Op]func(){}}
					s.Probes().Attach(faults)
					leader := appends(p, batch(t, "leader"))
					if at == 0 {
						leader.Synced = true
						faults.at[probe.AppendAnswer] = leave
					} else {
						faults.at[at] = leave
					}
					caught := make(chan any, 1)
					s.busy(func() {
						go func() {
							defer func() { caught <- recover() }()
							_ = s.Do(leader)
							t.Error("the leader goes on")
						}()
						synctest.Wait()
						s.do(t.Context(), "waits", writes("waits"))
						s.submitOnly("submitted", writes("submitted"))
						s.do(t.Context(), "another", writes("another"))
					})
					if got := <-caught; got != "a fault" && how == "panics" {
						t.Errorf("caught %v", got)
					}
					s.mu.Lock()
					for i := range s.told {
						s.told[i], _, _ = strings.Cut(s.told[i], ":")
					}
					slices.Sort(s.told)
					s.mu.Unlock()
					s.hears("another", "submitted", "waits")
					err := s.Do(writes("later"))
					if !errors.Is(err, log.ErrFailed) || !errors.Is(s.Failed(), log.ErrFailed) {
						t.Errorf("later: %v", err)
					}
					s.Sync(s.note("sync"))
					s.hears("sync: in doubt")
				})
			})
		}
	}
}

// Room was promised; a commit that finds none all the same cannot be taken back.
func TestCommitFindsNoRoom(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.commit = func(int) error { return full(0, false) }
		err := s.Do(appends(s.partition(0), batch(t, "lost")))
		if !errors.Is(err, log.ErrFailed) || errors.Is(err, log.ErrDiskFull) {
			t.Errorf("got error %v", err)
		}
	})
}

// Do has Done called, too, and a transaction can be done again.
func TestDoTwice(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		tx := &Tx{}
		for i := range 3 {
			tx.Writes.Set([]byte("ak"), []byte{byte(i + 1)})
			tx.Synced = i == 1
			done := 0
			tx.Done = func(err error) { done++ }
			if err := s.Do(tx); err != nil || done != 1 {
				t.Errorf("error %v, done %d times", err, done)
			}
			tx.Reset()
		}
	})
}

// A leader lets others run first as long as that brings companions, and else more and more rarely.
func TestLeaderYieldsWhileThatHelps(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		y := &s.yields
		calls := 0
		for _, pause := range []int{16, 32, 64} {
			for range y.rest + 1 {
				calls++
				if err := s.Do(writes("k")); err != nil {
					t.Fatal(err)
				}
			}
			if y.pause != pause || y.rest != pause {
				t.Errorf("after %d calls it pauses for %d, %d are left; want %d", calls, y.pause, y.rest, pause)
			}
		}
		for y.pause < maxYieldPause {
			y.rest = 0
			y.before(s.Committer)
		}
		y.rest = 0
		if y.before(s.Committer); y.pause != maxYieldPause {
			t.Errorf("it pauses for %d", y.pause)
		}
		s.busy(func() {
			s.submitOnly("a", writes("a"))
			s.submitOnly("b", writes("b"))
			y.rest = 0
			y.before(s.Committer)
		})
		if s.hears("a", "b"); y.pause != 0 || y.rest != 0 {
			t.Errorf("companions came, and it pauses for %d", y.pause)
		}
	})
}

// Beyond the bound those that append wait, and others pass them, whoever leads. A higher bound, a failure
// and Close end that.
func TestBound(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.Bound(1000)
		s.submit("first", appends(p, sized(t, 1000)))
		s.hears("first")
		s.submit("held", appends(p, batch(t, "a")))
		s.do(t.Context(), "held too", appends(p, batch(t, "b")))
		s.do(t.Context(), "plain", writes("x"))
		s.submit("plain too", writes("y"))
		s.hears("plain", "plain too")
		ctx, cancel := context.WithCancel(t.Context())
		s.do(ctx, "withdrawn", appends(p, batch(t, "c")))
		cancel()
		s.hears("withdrawn: context canceled")
		s.Bound(1001) // is below what is stored
		s.hears()
		s.Bound(10_000)
		s.hears("held", "held too")
		s.Bound(1)
		s.submit("closing", appends(p, batch(t, "d")))
		s.hears()
		s.Close()
		s.hears("closing")
	})
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("first", appends(p, batch(t, "a")))
		s.Bound(1)
		s.submit("held", appends(p, batch(t, "b")))
		s.desk.set(func(d *desk) { d.commit = func(int) error { return errBroken } })
		s.submit("plain", writes("x"))
		s.hears("first", "plain: in doubt", "held: failed")
	})
}
