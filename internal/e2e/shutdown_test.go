package e2e

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// ending is what a program ends, and something that keeps it from ending until release.
type ending struct {
	k        *kit
	close    func() error
	shutdown func(ctx context.Context) error
	use      func() error // is ErrClosed once it is closed
	inside   func() error // what the function that keeps it was told by Shutdown
	release  func()
	others   func(t *testing.T) // what is right once all has ended
}

// endings are a producer with a promise that is stuck, and consumers with a callback that is, inside Poll and
// inside Close.
var endings = map[string]func(t *testing.T) *ending{
	"producer":          stuckProducer,
	"consumer in Poll":  func(t *testing.T) *ending { return stuckConsumer(t, "OnAssigned") },
	"consumer in Close": func(t *testing.T) *ending { return stuckConsumer(t, "OnRevoked") },
}

func stuckProducer(t *testing.T) *ending {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	p := k.producer(samsa.ProducerOptions{Linger: time.Minute, BatchBytes: 1000})
	e := &ending{k: k, close: p.Close, shutdown: p.Shutdown}
	stuck, heard := make(chan struct{}), make(chan error, 1)
	const records = 50
	var mu sync.Mutex
	var kept []int64 // offsets
	for i := range records {
		p.Produce(k.ctx, samsa.Record{Topic: "a", Value: make([]byte, 100)}, func(r samsa.Record, err error) {
			if i == 0 {
				heard <- e.shutdown(k.ctx)
				<-stuck
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
			kept = append(kept, r.Offset)
		})
	}
	e.use = func() (err error) {
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(_ samsa.Record, refused error) { err = refused })
		return err
	}
	e.inside = func() error { return <-heard }
	e.release = func() { close(stuck) }
	e.others = func(t *testing.T) {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(kept)
		if kept = slices.Compact(kept); len(kept) != records || kept[records-1] != records-1 {
			t.Errorf("promises were kept for the offsets %v, want each of %d once", kept, records)
		}
	}
	return e
}

func stuckConsumer(t *testing.T, where string) *ending {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	k.write("a", "1")
	e := &ending{k: k}
	stuck, heard, polled := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	c := k.member(where, func(*samsa.Consumer) {
		heard <- e.shutdown(k.ctx)
		<-stuck
	})
	e.close, e.shutdown, e.release = c.Close, c.Shutdown, func() { close(stuck) }
	e.use = func() error { _, err := c.Poll(k.ctx); return err }
	e.inside = func() error { return <-heard }
	if where == "OnRevoked" {
		k.read(c, 1)
		polled <- samsa.ErrClosed
	} else {
		go func() { polled <- e.use() }()
	}
	e.others = func(t *testing.T) {
		if err := <-polled; !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("Poll: %v", err)
		}
		k.write("a", "2")
		k.poll(k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})) // it has the partition now
	}
	return e
}

// Shutdown waits as long as its context lasts, and neither it nor Close cares how many wait beside them. It says
// that something was left behind, as long as it is, and what, and that ends by itself.
func TestShutdown(t *testing.T) {
	for name, make := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := make(t)
				timeout := func(d time.Duration) error {
					ctx, cancel := context.WithTimeout(context.Background(), d)
					defer cancel()
					return e.shutdown(ctx)
				}
				cutOff := func(what string, after time.Duration, cause error, end func() error) {
					t.Helper()
					began := time.Now()
					err := end()
					if !errors.Is(err, samsa.ErrCutOff) || !errors.Is(err, cause) || !strings.Contains(err.Error(), strings.Fields(name)[0]) {
						t.Errorf("%s: %v", what, err)
					}
					if took := time.Since(began); took != after {
						t.Errorf("%s took %s, want %s", what, took, after)
					}
				}
				synctest.Wait() // where it is stuck before the end
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				cutOff("with a context that has ended", 0, context.Canceled, func() error { return e.shutdown(ended) })
				if err := e.use(); !errors.Is(err, samsa.ErrClosed) {
					t.Errorf("after that: %v", err)
				}
				if err := e.inside(); !errors.Is(err, samsa.ErrInCallback) {
					t.Errorf("inside: %v", err)
				}
				cutOff("short", time.Second, context.DeadlineExceeded, func() error { return timeout(time.Second) })
				beside := []error{nil, errors.New("not yet")}
				var wg sync.WaitGroup
				wg.Go(func() { cutOff("Close", 30*time.Second, context.DeadlineExceeded, e.close) })
				wg.Go(func() {
					cutOff("long", time.Minute, context.DeadlineExceeded, func() error { return timeout(time.Minute) })
				})
				for i := range beside {
					wg.Go(func() { beside[i] = timeout(time.Hour) })
				}
				time.Sleep(2 * time.Minute)
				e.release()
				wg.Wait()
				if err := errors.Join(beside...); err != nil {
					t.Errorf("those who waited longer: %v", err)
				}
				for what, err := range map[string]error{"again": timeout(time.Hour), "with a context that has ended": e.shutdown(ended), "Close": e.close()} {
					if err != nil {
						t.Errorf("%s, when all has ended: %v", what, err)
					}
				}
				e.others(t)
			})
		})
	}
}

// What is closed has nothing to wait for, however it was closed, and nor has what is not in use.
func TestShutdownOfWhatIsAtRest(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	p, c := k.producer(samsa.ProducerOptions{}), k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})
	first := k.producer(samsa.ProducerOptions{})
	if err := errors.Join(first.Shutdown(k.ctx), first.Shutdown(k.ctx), first.Close()); err != nil {
		t.Error(err)
	}
	if err := k.Shutdown(k.ctx); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(k.ctx)
	cancel()
	for what, shutdown := range map[string]func(context.Context) error{"producer": p.Shutdown, "consumer": c.Shutdown, "broker": k.Shutdown} {
		for name, ctx := range map[string]context.Context{"": k.ctx, " with a context that has ended": ended} {
			if err := shutdown(ctx); err != nil {
				t.Errorf("%s, closed by the broker%s: %v", what, name, err)
			}
		}
	}
}

// A producer has its records stored even when nobody waits, and the broker waits for it.
func TestShutdownGivesUpNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
		kept := make(map[int]error)
		for i := range 100 {
			p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(_ samsa.Record, err error) {
				if _, twice := kept[i]; twice || err != nil {
					t.Errorf("record %d, called before: %t, %v", i, twice, err)
				}
				kept[i] = err
			})
		}
		ended, cancel := context.WithCancel(k.ctx)
		cancel()
		if err := p.Shutdown(ended); !errors.Is(err, samsa.ErrCutOff) {
			t.Error(err)
		}
		if err := k.Close(); err != nil || len(kept) != 100 {
			t.Errorf("%d promises were kept, %v", len(kept), err)
		}
	})
}

// The context of a callback ends with that of Shutdown, and the partitions go to others once that has ended: after
// the 30 s of Close, if it is shorter.
func TestShutdownAndTheGroup(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{time.Second: 30 * time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			k := inMemory(t, samsa.Options{})
			k.create("a", 1)
			k.write("a", "1")
			stuck := make(chan struct{})
			began := time.Now()
			var told time.Duration
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g", Member: samsa.MemberOptions{
				SessionTimeout: 10 * time.Minute, // which is not what ends it
				OnRevoked: func(ctx context.Context, _ *samsa.Consumer, _ []samsa.TopicPartition) {
					<-ctx.Done()
					told = time.Since(began)
					<-stuck
				}}})
			k.read(c, 1)
			ctx, cancel := context.WithTimeout(k.ctx, limit)
			defer cancel()
			if err := c.Shutdown(ctx); !errors.Is(err, samsa.ErrCutOff) {
				t.Error(err)
			}
			synctest.Wait()
			if told != limit {
				t.Errorf("the callback is told after %s, want %s", told, limit)
			}
			k.poll(k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"}))
			if took := time.Since(began); took != want {
				t.Errorf("after %s others have the partition after %s, want %s", limit, took, want)
			}
			close(stuck)
		})
	}
}

// Whoever ends the broker first says how long it waits; what it could not wait for, all are told.
func TestShutdownOfTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := stuckProducer(t)
		synctest.Wait()
		go func() { _ = e.shutdown(context.Background()) }()
		synctest.Wait()
		if err := e.inside(); !errors.Is(err, samsa.ErrInCallback) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		var first error
		var wg sync.WaitGroup
		wg.Go(func() { first = e.k.Shutdown(ctx) })
		synctest.Wait()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		for what, err := range map[string]error{"Shutdown": e.k.Shutdown(ended), "Close": e.k.Close()} {
			if !errors.Is(err, samsa.ErrCutOff) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s beside it: %v", what, err)
			}
		}
		wg.Wait()
		if took := time.Since(began); took != time.Second || !errors.Is(first, context.DeadlineExceeded) {
			t.Errorf("took %s: %v", took, first)
		}
		e.release()
		if err := e.close(); err != nil {
			t.Error(err)
		}
		e.others(t)
		e.k.Broker = inMemory(t, samsa.Options{}).Broker // the cleanup may close it without an error
	})
}
