package e2e

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// leaving is a hook whose functions do something once, when it is armed.
func leaving(armed *atomic.Bool, do func()) samsa.Hook {
	var produced, delivered, committed atomic.Bool
	once := func(done *atomic.Bool) {
		if armed.Load() && !done.Swap(true) {
			do()
		}
	}
	return samsa.Hook{
		Name:    "leaves",
		Produce: func(context.Context, samsa.ProduceEvent) { once(&produced) },
		Deliver: func(context.Context, samsa.DeliverEvent) { once(&delivered) },
		Commit:  func(context.Context, samsa.CommitEvent) { once(&committed) },
	}
}

// aside calls fn on a goroutine, which may end in the middle, and waits for that.
func aside(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}

// A hook that ends the goroutine on which it is called, as FailNow of a test does, or that panics, ends nothing else: whoever is there
// goes on, and the broker closes.
func TestHooksThatLeave(t *testing.T) {
	for name, do := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("a fault") }} {
		for what, use := range map[string]func(k *kit) func(){
			"Produce": func(k *kit) func() {
				return func() { _, _ = k.Produce(k.ctx, samsa.Record{Topic: "orders", Value: []byte("tea")}) }
			},
			"Update": func(k *kit) func() {
				return func() {
					_ = k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: "orders"}) })
				}
			},
			"a Producer": func(k *kit) func() {
				p := k.producer(samsa.ProducerOptions{})
				return func() { _, _ = p.ProduceSync(k.ctx, samsa.Record{Topic: "orders"}) }
			},
			"a Poll and a commit": func(k *kit) func() {
				k.write("orders", "milk", "tea", "coffee", "water")
				c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, MaxPollRecords: 1, Start: samsa.Earliest()})
				return func() {
					if _, err := c.Poll(k.ctx); err == nil {
						_ = c.Commit(k.ctx)
					}
				}
			},
			"commits by itself": func(k *kit) func() {
				k.write("orders", "milk", "tea", "coffee", "water")
				c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, MaxPollRecords: 1, Start: samsa.Earliest(), Member: samsa.MemberOptions{AutoCommitInterval: time.Millisecond}})
				return func() { _, _ = c.Poll(k.ctx) }
			},
			"a loop": func(k *kit) func() {
				k.write("orders", "milk", "tea", "coffee", "water")
				c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, MaxPollRecords: 1, Start: samsa.Earliest()})
				return func() {
					for _, err := range c.Records(k.ctx) {
						if err != nil {
							return
						}
						break
					}
				}
			},
			"Receive and Ack": func(k *kit) func() {
				k.write("orders", "milk", "tea", "coffee", "water")
				q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
				if err != nil {
					k.t.Fatal(err)
				}
				return func() {
					ds, _ := q.Receive(k.ctx, 1)
					for _, d := range ds {
						_ = d.Ack()
					}
				}
			},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				var armed atomic.Bool
				k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{leaving(&armed, do)}})
				k.create("orders", 1)
				act := use(k)
				armed.Store(true)
				for range 3 {
					aside(act)
				}
				aside(func() { k.write("orders", "afterwards") })
				ctx, cancel := context.WithTimeout(k.ctx, 20*time.Second)
				defer cancel()
				if err := k.Shutdown(ctx); err != nil {
					t.Errorf("the end: %v", err)
				}
			})
		}
	}
}
