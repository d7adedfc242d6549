package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
)

// told is what a hook was told, a line each.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (s *told) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// take returns what was told since it was asked last.
func (s *told) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.lines, "\n")
	s.lines = nil
	return all
}

// drop takes a line out.
func (s *told) drop(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = slices.DeleteFunc(s.lines, func(l string) bool { return l == line })
}

type traceKey struct{}

func traced(name string) context.Context {
	return context.WithValue(context.Background(), traceKey{}, name)
}

func trace(ctx context.Context) string {
	name, _ := ctx.Value(traceKey{}).(string)
	return name
}

// hook is one that tells s everything.
func (s *told) hook() samsa.Hook {
	outcome := func(err error) string {
		if err != nil {
			return " failed"
		}
		return ""
	}
	return samsa.Hook{
		Name: "story",
		Produce: func(ctx context.Context, e samsa.ProduceEvent) {
			var all, callers []string
			for _, b := range e.Batches {
				all = append(all, fmt.Sprintf("%s at %d: %d", b.TopicPartition, b.Offset, b.Records))
			}
			for _, c := range e.Contexts {
				callers = append(callers, trace(c))
			}
			s.add("%s produces %q%s %v%s", trace(ctx), e.ClientID, outcome(e.Err), all, strings.Join(callers, "+"))
		},
		Deliver: func(ctx context.Context, e samsa.DeliverEvent) {
			var values []string
			for _, r := range e.Records {
				values = append(values, string(r.Value))
			}
			s.add("%s is given %v of %q, queue %t, after %v", trace(ctx), values, e.Group, e.Queue, e.Took)
		},
		Commit: func(ctx context.Context, e samsa.CommitEvent) {
			var acks []string
			for _, a := range e.Acks {
				acks = append(acks, fmt.Sprintf("%s %d-%d %s", a.TopicPartition, a.First, a.Last, a.Outcome))
			}
			s.add("%s commits%s for %q, auto %t: %v %v", trace(ctx), outcome(e.Err), e.Group, e.Auto, e.Offsets, acks)
		},
	}
}

func (s *told) want(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := s.take(), strings.Join(lines, "\n"); got != want {
		t.Errorf("the hook was told\n%s\nwant\n%s", got, want)
	}
}

func TestHooksObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(told)
		k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{s.hook()}})
		k.create("orders", 1)
		orders := func(values ...string) (all []samsa.Record) {
			for _, v := range values {
				all = append(all, samsa.Record{Topic: "orders", Value: []byte(v)})
			}
			return all
		}

		// A call, one that fails, a producer whose batch has records of two callers.
		if _, err := k.Produce(traced("http"), orders("tea", "milk")...); err != nil {
			t.Fatal(err)
		}
		s.want(t, `http produces "" [orders/0 at 0: 2]`)
		if _, err := k.Produce(traced("http"), samsa.Record{Topic: "nobody"}); err == nil {
			t.Fatal("there is no such topic")
		}
		s.want(t, `http produces "" failed []`)
		p := k.producer(samsa.ProducerOptions{ClientID: "shop", Linger: time.Second})
		a, b := traced("a"), traced("b")
		for _, who := range []context.Context{a, a, b} {
			p.Produce(who, orders(trace(who))[0], nil)
		}
		if err := p.Flush(k.ctx); err != nil {
			t.Fatal(err)
		}
		s.want(t, `a produces "shop" [orders/0 at 2: 3]a+b`)

		// A consumer polls, waits in a loop, commits.
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, MaxPollRecords: 2, Start: samsa.Earliest(), Member: samsa.MemberOptions{AutoCommitInterval: time.Hour}})
		if _, err := c.Poll(traced("worker")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lines := strings.Split(s.take(), "\n")
		if !strings.HasPrefix(lines[0], `worker is given [tea milk] of "g", queue false, after `) || len(lines) != 1 {
			t.Errorf("%q", lines)
		}
		if err := c.Commit(traced("worker")); err != nil {
			t.Fatal(err)
		}
		s.want(t, `worker commits for "g", auto false: map[orders/0:2] []`)
		n := 0
		for r, err := range c.Records(traced("loop")) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				go func() {
					time.Sleep(5 * time.Second)
					_, _ = k.Produce(k.ctx, orders("late")...)
				}()
			}
			if string(r.Value) == "late" {
				break
			}
		}
		synctest.Wait()
		s.drop(` produces "" [orders/0 at 5: 1]`) // before the last line or behind it
		s.want(t, `loop is given [a a b] of "g", queue false, after 0s`,
			`loop is given [late] of "g", queue false, after 5s`)
		mustClose(t, c)
		s.want(t, ` commits for "g", auto true: map[orders/0:5] []`)
	})
}

// A hook may use the broker, and also what it is told of: the next commit need not wait for it.
func TestHookOfCommitCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *samsa.Consumer
		times := 0
		k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Commit: func(ctx context.Context, e samsa.CommitEvent) {
			if times++; times > 1 {
				return
			}
			if err := c.Commit(ctx); err != nil {
				t.Error(err)
			}
		}}}})
		k.create("orders", 1)
		k.write("orders", "tea")
		c = k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, Start: samsa.Earliest(), Member: samsa.MemberOptions{ManualCommit: true}})
		if _, err := c.Poll(k.ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		if times != 2 {
			t.Errorf("the hook was told of %d commits, want 2", times)
		}
		mustClose(t, c)
	})
}

func TestHooksObserveQueuesAndUpdates(t *testing.T) {
	s := new(told)
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{s.hook()}})
	k.create("jobs", 1)
	k.create("done", 1)
	k.write("jobs", "a", "b", "c")
	s.take()
	q := k.queue(samsa.QueueOptions{Group: "workers", Topics: []string{"jobs"}})
	ds, err := q.Receive(traced("worker"), 3)
	if err != nil || len(ds) != 3 {
		t.Fatal(ds, err)
	}
	if all := s.take(); !strings.HasPrefix(all, `worker is given [a b c] of "workers", queue true, after `) {
		t.Error(all)
	}
	if err := errors.Join(ds[0].Ack(), ds[1].Release(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.want(t, ` commits for "workers", auto false: map[] [jobs/0 0-0 accept]`, ` commits for "workers", auto false: map[] [jobs/0 1-1 release]`)
	if err := ds[0].Ack(); err == nil {
		t.Fatal("a record was acknowledged twice")
	}
	s.want(t, ` commits failed for "workers", auto false: map[] [jobs/0 0-0 accept]`)
	err = k.Update(traced("update"), func(tx *samsa.Tx) error {
		return errors.Join(tx.Ack(ds[2]), tx.Produce(samsa.Record{Topic: "done", Value: []byte("c")}), tx.Set([]byte("k"), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.want(t, `update produces "" [done/0 at 0: 1]`, `update commits for "workers", auto false: map[] [jobs/0 2-2 accept]`)
	if err := k.Update(traced("update"), func(tx *samsa.Tx) error { return tx.Set([]byte("k"), []byte("v")) }); err != nil {
		t.Fatal(err)
	}
	s.want(t, "")
}

// A hook that panics is told to the logger, and keeps nobody from anything, other hooks neither.
func TestHooksThatPanic(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s := new(told)
	k := inMemory(t, samsa.Options{Logger: zap.New(core), Hooks: []samsa.Hook{
		{Name: "bad", Produce: func(context.Context, samsa.ProduceEvent) { panic("bad day") }}, s.hook(),
	}})
	k.create("orders", 1)
	k.write("orders", "tea")
	p := k.producer(samsa.ProducerOptions{})
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "orders"}); err != nil {
		t.Fatal(err)
	}
	stats, err := k.Stats(k.ctx)
	if all := s.take(); err != nil || strings.Count(all, "produces") != 2 || stats.HookPanics != 2 {
		t.Errorf("%d panics, %v; told %s", stats.HookPanics, err, all)
	}
	lines := logs.All()
	if len(lines) != 2 || lines[0].ContextMap()["hook"] != "bad" || lines[0].ContextMap()["panic"] != "bad day" {
		t.Errorf("the log has %v", lines)
	}
}

func TestHooksWithoutFunctions(t *testing.T) {
	_, err := samsa.Open("", samsa.Options{InMemory: true, Hooks: []samsa.Hook{{Name: "none"}}})
	if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "Options.Hooks[0]") {
		t.Error(err)
	}
}

// A batch keeps a bounded number of contexts.
func TestHooksKeepFewContexts(t *testing.T) {
	var most int
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Produce: func(_ context.Context, e samsa.ProduceEvent) { most = max(most, len(e.Contexts)) }}}})
	k.create("orders", 1)
	p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
	for i := range 300 {
		p.Produce(traced(fmt.Sprint(i)), samsa.Record{Topic: "orders"}, nil)
	}
	mustClose(t, p)
	if most != 128 {
		t.Errorf("%d contexts", most)
	}
}
