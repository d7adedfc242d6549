package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// deliveries are what a hook of Deliver was told.
type deliveries struct {
	mu      sync.Mutex
	told    []string // of each event, the values
	records int
	sizes   []int
	last    samsa.DeliverEvent
}

func (d *deliveries) hook() samsa.Hook {
	return samsa.Hook{Deliver: func(_ context.Context, e samsa.DeliverEvent) {
		var values []string
		for _, r := range e.Records {
			values = append(values, string(r.Value[:min(len(r.Value), 8)]))
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.told, d.sizes, d.records, d.last = append(d.told, strings.Join(values, " ")), append(d.sizes, len(values)), d.records+len(values), e
	}}
}

func (d *deliveries) want(t *testing.T, when string, told ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if fmt.Sprintf("%q", d.told) != fmt.Sprintf("%q", told) {
		t.Errorf("%s: the hook was told of %q, want %q", when, d.told, told)
	}
	d.reset()
}

func (d *deliveries) reset() { d.told, d.sizes, d.records = nil, nil, 0 }

// written is a broker with that hook and n records "0", "1" and so on.
func (d *deliveries) written(t *testing.T, n int) *kit {
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{d.hook()}})
	k.create("t", 1)
	records := make([]samsa.Record, n)
	for i := range records {
		records[i] = samsa.Record{Topic: "t", Value: fmt.Append(nil, i)}
	}
	if _, err := k.Produce(k.ctx, records...); err != nil {
		t.Fatal(err)
	}
	return k
}

func fromTheFirst() samsa.ConsumerOptions {
	return samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.Earliest()}
}

// A loop that is left in the middle has told of the records that it was given, however it was left, and of no others: these
// the program has not seen.
func TestHooksHearWhatALoopWasGiven(t *testing.T) {
	ways := map[string]func(c *samsa.Consumer){
		"break": func(c *samsa.Consumer) {
			for r, err := range c.Records(context.Background()) {
				if err != nil || string(r.Value) == "1" {
					break
				}
			}
		},
		"panic": func(c *samsa.Consumer) {
			defer func() { _ = recover() }()
			for r, err := range c.Records(context.Background()) {
				if err != nil || string(r.Value) == "1" {
					panic("bad day")
				}
			}
		},
		"the end of its context": func(c *samsa.Consumer) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for r, err := range c.Records(ctx) {
				if err == nil && string(r.Value) == "1" {
					cancel()
				}
			}
		},
	}
	for way, leave := range ways {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(deliveries)
				k := d.written(t, 5)
				c := k.consumer(fromTheFirst())
				synctest.Wait() // all five were read ahead
				leave(c)
				d.want(t, "in the middle", "0 1")
				if _, err := c.Poll(k.ctx); err != nil {
					t.Fatal(err)
				}
				d.want(t, "a Poll", "2 3 4")
				if err := c.Seek(k.ctx, samsa.TopicPartition{Topic: "t"}, 3); err != nil {
					t.Fatal(err)
				}
				for _, err := range c.RecordsUntil(k.ctx) {
					if d.want(t, "in a loop"); err != nil { // it hears when that goes on
						t.Fatal(err)
					}
				}
				d.want(t, "until now", "3 4")
			})
		})
	}
}

// A loop tells of 128 records, or about a megabyte, at once, and of less when it has to wait or takes its time.
func TestHooksHearALoopInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(deliveries)
		k := d.written(t, 300)
		c := k.consumer(fromTheFirst())
		synctest.Wait()
		next := 0
		go func() {
			time.Sleep(5 * time.Second)
			_, _ = k.Produce(k.ctx, samsa.Record{Topic: "t", Value: []byte("late")})
		}()
		for r, err := range c.Records(k.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if next++; string(r.Value) == "late" {
				if fmt.Sprint(d.sizes) != "[128 128 44]" || d.last.Took != 0 {
					t.Errorf("told of %v records, the last after %v", d.sizes, d.last.Took)
				}
				break
			}
		}
		if fmt.Sprint(d.sizes) != "[128 128 44 1]" || d.last.Took != 5*time.Second {
			t.Errorf("told of %v records, the last after %v", d.sizes, d.last.Took)
		}
		d.reset()

		// The program takes 400 ms over each.
		if err := c.Seek(k.ctx, samsa.TopicPartition{Topic: "t"}, 0); err != nil {
			t.Fatal(err)
		}
		given := 0
		for _, err := range c.Records(k.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if given-d.records > 4 {
				t.Errorf("told of %d records, given %d", d.records, given)
			}
			if given++; given == 20 {
				break
			}
			time.Sleep(400 * time.Millisecond)
		}
		if d.records != 20 {
			t.Errorf("told of %d records", d.records)
		}

		// Large records are not held for long.
		large := bytes.Repeat([]byte("x"), 400<<10)
		for range 20 {
			if _, err := k.Produce(k.ctx, samsa.Record{Topic: "t", Value: large}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Seek(k.ctx, samsa.TopicPartition{Topic: "t"}, 301); err != nil {
			t.Fatal(err)
		}
		d.reset()
		for _, err := range c.RecordsUntil(k.ctx) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if d.records != 20 || len(d.sizes) < 2 {
			t.Errorf("told of %v large records", d.sizes)
		}
	})
}

// Work tells of the records whose calls have begun, while these are under way too, and of no others.
func TestHooksHearWhatWorkHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(deliveries)
		k := d.written(t, 40)
		opts := fromTheFirst()
		opts.Group = "g"
		c := k.consumer(opts)
		boom := errors.New("boom")
		err := c.Work(k.ctx, 1, func(_ context.Context, r samsa.Record) error {
			if string(r.Value) == "2" {
				return boom
			}
			return nil
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if all := strings.Join(d.told, " "); all != "0 1 2" {
			t.Errorf("told of %s until a call has failed", all)
		}
		d.reset()

		// Two calls that last for an hour are told meanwhile, and those that wait behind them are not.
		ctx, cancel := context.WithTimeout(k.ctx, time.Hour)
		defer cancel()
		go func() {
			time.Sleep(time.Minute)
			d.want(t, "after a minute", "2 3")
		}()
		var called atomic.Int64
		err = c.Work(ctx, 2, func(ctx context.Context, _ samsa.Record) error {
			called.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
		if n := int(called.Load()) - 2; !errors.Is(err, context.DeadlineExceeded) || d.records != n || n == 38-2 {
			t.Errorf("told of %d records, and called with %d, after these: %v", d.records, n, err)
		}
	})
}

// notComparable is a context that must not be compared.
type notComparable struct {
	context.Context
	_ []int
}

// A program may have contexts that cannot be compared: each counts.
func TestHooksWithContextsThatCannotBeCompared(t *testing.T) {
	var contexts int
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Produce: func(_ context.Context, e samsa.ProduceEvent) { contexts = len(e.Contexts) }}}})
	k.create("t", 1)
	p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
	for range 3 {
		p.Produce(notComparable{Context: k.ctx}, samsa.Record{Topic: "t"}, nil)
	}
	mustClose(t, p)
	if contexts != 3 {
		t.Errorf("%d contexts", contexts)
	}
}
