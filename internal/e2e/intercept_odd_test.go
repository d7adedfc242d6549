package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// deliver is a hook that does the records one by one.
func deliver(name string, one func(r *samsa.Record) error) samsa.Hook {
	return samsa.Hook{Name: name, BeforeDeliver: func(_ context.Context, records []samsa.Record) (int, error) {
		for i := range records {
			if err := one(&records[i]); err != nil {
				return i, err
			}
		}
		return len(records), nil
	}}
}

// What an interceptor must not do is an error of the record that it has done it to.
func TestInterceptMisused(t *testing.T) {
	t.Parallel()
	const n = 3
	for name, fn := range map[string]func(r []samsa.Record) (int, error){
		"too few":          func([]samsa.Record) (int, error) { return 0, nil },
		"too many":         func([]samsa.Record) (int, error) { return n + 1, nil },
		"negative":         func([]samsa.Record) (int, error) { return -1, errLocked },
		"all and an error": func(r []samsa.Record) (int, error) { return len(r), errLocked },
		"panic":            func([]samsa.Record) (int, error) { panic("broken") },
		"another topic":    func(r []samsa.Record) (int, error) { r[0].Topic = "other"; return len(r), nil },
		"another offset":   func(r []samsa.Record) (int, error) { r[0].Offset = 5; return len(r), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := new(atomic.Bool)
			both := func(_ context.Context, r []samsa.Record) (int, error) {
				if on.Load() {
					return fn(r)
				}
				return len(r), nil
			}
			k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Name: "odd", BeforeProduce: both, BeforeDeliver: both}}})
			k.create("orders", 1)
			k.write("orders", "1", "2", "3")
			on.Store(true)
			if name != "another offset" { // which nobody looks at before there is one
				_, err := k.Produce(k.ctx, order("1"), order("2"), order("3"))
				var wrong *samsa.InterceptError
				if !errors.As(err, &wrong) || string(wrong.Record.Value) != "1" {
					t.Errorf("produce: %v", err)
				}
				want(t, "stored", values(samsatest.Drain(t, k.Broker, "orders")), "[1 2 3]")
			}
			_, err := k.consumer(samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()}).Poll(k.ctx)
			var wrong *samsa.InterceptError
			if !errors.As(err, &wrong) || string(wrong.Record.Value) != "1" {
				t.Errorf("deliver: %v", err)
			}
			on.Store(false)
		})
	}
}

// A panic is an error of its record, and of no other one.
func TestInterceptPanics(t *testing.T) {
	t.Parallel()
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{deliver("a", func(r *samsa.Record) error {
		if r.Value = append(r.Value, '!'); string(r.Value) == "2!" {
			panic("broken")
		}
		return nil
	})}})
	k.create("orders", 1)
	k.write("orders", "1", "2", "3")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()})
	want(t, "Poll", values(k.read(c, 1)), "[1!]")
	_, err := c.Poll(k.ctx)
	wrong := refusedBy(t, err, "a")
	want(t, "record", fmt.Sprint(string(wrong.Value), wrong.Offset), "21")
	k.must(c.Seek(k.ctx, samsa.TopicPartition{Topic: "orders"}, 2))
	want(t, "Poll", values(k.read(c, 1)), "[3!]")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
	k.must(err)
	ds, err := q.Receive(k.ctx, 10)
	k.must(err)
	want(t, "deliveries", len(ds), 2)
	k.must(q.Close())
	s, err := k.Stats(k.ctx)
	k.must(err)
	if s.HookPanics == 0 {
		t.Error("no panic was counted")
	}
}

// An interceptor may use the broker, but for what waits for itself.
func TestInterceptCallsBack(t *testing.T) {
	t.Parallel()
	var k *kit
	var c *samsa.Consumer
	var q *samsa.Queue
	ready := make(chan struct{})
	k = inMemory(t, samsa.Options{Hooks: []samsa.Hook{{
		BeforeProduce: func(ctx context.Context, records []samsa.Record) (int, error) {
			if records[0].Topic == "orders" {
				if _, err := k.Produce(ctx, samsa.Record{Topic: "audit", Value: []byte("produce")}); err != nil {
					return 0, err
				}
			}
			return len(records), nil
		},
		BeforeDeliver: func(ctx context.Context, records []samsa.Record) (int, error) {
			<-ready
			if records[0].Topic != "orders" {
				return len(records), nil
			}
			if err := k.Update(ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: "audit", Value: []byte("deliver")}) }); err != nil {
				return 0, err
			}
			closes := map[string]func() error{"Close of the broker": k.Close}
			if q == nil {
				closes["Close"], closes["Poll"] = c.Close, func() error { _, err := c.Poll(ctx); return err }
				closes["Work"] = func() error { return c.Work(ctx, 1, func(context.Context, samsa.Record) error { return nil }) }
				closes["Records"] = func() error {
					for _, err := range c.Records(ctx) {
						return err
					}
					return nil
				}
			} else {
				closes["Close of the queue"] = q.Close
			}
			for what, call := range closes {
				if err := call(); !errors.Is(err, samsa.ErrInCallback) {
					return 0, errors.New(what + ": " + fmt.Sprint(err))
				}
			}
			return len(records), nil
		},
	}}})
	k.create("audit", 1)
	k.create("orders", 1)
	k.write("orders", "1")
	c = k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, Start: samsa.Earliest()})
	close(ready)
	want(t, "Poll", values(k.read(c, 1)), "[1]")
	k.must(c.Close())
	got, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
	k.must(err)
	q = got
	ctx, stop := context.WithCancel(k.ctx)
	err = q.Work(ctx, 1, func(context.Context, samsa.Delivery) error { stop(); return nil })
	want(t, "Work", err, context.Canceled)
	want(t, "audit", values(samsatest.Drain(t, k.Broker, "audit")), "[produce deliver deliver]")
}

// An interceptor that ends its goroutine, as FailNow of a test does, is an error of the read, which is tried again. Work of a queue goes on with
// others, and the record comes again as if its function had failed.
func TestInterceptLeaves(t *testing.T) {
	t.Parallel()
	calls := new(atomic.Int64)
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{deliver("a", func(*samsa.Record) error {
		if calls.Add(1) < 3 {
			runtime.Goexit()
		}
		return nil
	})}})
	k.create("orders", 1)
	k.write("orders", "1")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()})
	for range 2 {
		if _, err := c.Poll(k.ctx); err == nil || !strings.Contains(err.Error(), "orders/0: offset 0: BeforeDeliver of a hook did not return") {
			t.Errorf("got the error %v", err)
		}
	}
	want(t, "Poll", values(k.read(c, 1)), "[1]")
	k.must(c.Close())
	k.write("orders", "2")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
	k.must(err)
	calls.Store(1) // so the next one leaves
	ctx, stop := context.WithCancel(k.ctx)
	var worked []string
	err = q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error {
		worked = append(worked, string(d.Record.Value))
		stop()
		return nil
	})
	k.wantError("Work", err, context.Canceled)
	want(t, "worked on", worked, "[2]")
	k.must(q.Close())
	q, err = k.NewQueue(k.ctx, samsa.QueueOptions{Group: "r", Topics: []string{"orders"}, Start: samsa.Earliest(), Lock: time.Hour, Retry: samsa.Retry{Min: samsa.NoWait}})
	k.must(err)
	calls.Store(1)
	var gone sync.WaitGroup
	gone.Go(func() { _, _ = q.Receive(k.ctx, 1) })
	gone.Wait()
	ds, err := q.Receive(k.ctx, 1)
	k.must(err)
	want(t, "received again", fmt.Sprintf("%s, delivered %d times", ds[0].Record.Value, ds[0].Deliveries), "1, delivered 2 times")
	k.must(q.Close())
}

// One that does not return keeps nobody but the consumer's Poll, and a Close leaves it behind.
func TestInterceptHangs(t *testing.T) {
	t.Parallel()
	begun, free := make(chan struct{}), make(chan struct{})
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{BeforeDeliver: func(ctx context.Context, records []samsa.Record) (int, error) {
		close(begun)
		<-ctx.Done() // which the end of the consumer ends
		<-free
		return 0, ctx.Err()
	}}}})
	k.create("orders", 1)
	k.write("orders", "1")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()})
	<-begun
	k.write("orders", "2")
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	if err := c.Shutdown(ctx); !errors.Is(err, samsa.ErrCutOff) {
		t.Errorf("Shutdown: %v", err)
	}
	close(free)
	k.must(c.Close())
}

// The HTTP API and the console show and take what is stored.
func TestInterceptDoors(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t)
	k.write("orders", "tea")
	h := console.Handler(k.Broker, console.Options{Write: true})
	ask := func(method, path, body string) string {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Samsa-Request", "1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code/100 != 2 {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	ask(http.MethodPost, "/api/v1/topics/orders/records", `{"records":[{"value":"plain"}]}`)
	for _, path := range []string{
		"/api/v1/topics/orders/records", "/api/v1/topics/orders/records?backward=true", "/record?topic=orders&partition=0&offset=0", "/records?topic=orders&partition=0",
	} {
		if text := ask(http.MethodGet, path, ""); !strings.Contains(text, "b(a(tea))") {
			t.Errorf("%s: %s", path, text)
		}
	}
	k.stored("b(a(tea)) plain")
}

// Whatever an interceptor refuses for a while, and whoever seeks, a consumer gets all records in their order.
func TestInterceptNothingIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 7))
			var turn atomic.Uint64
			flaky := deliver("flaky", func(r *samsa.Record) error {
				switch turn.Add(1) * (seed + 0x9e3779b97f4a7c15) >> 60 {
				case 0:
					return errLocked
				case 1:
					panic(errLocked)
				}
				r.Value = append(r.Value, '!')
				return nil
			})
			k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{flaky, flaky}})
			k.create("orders", 3)
			const n = 200
			for i := 0; i < n; {
				var some []samsa.Record
				for range min(1+rnd.IntN(20), n-i) {
					some = append(some, samsa.Record{Topic: "orders", Value: fmt.Append(nil, i)})
					i++
				}
				k.produce(some...)
			}
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest(), MaxPollRecords: 7, MaxPollBytes: 100})
			next, got := make([]int64, 3), 0
			take := func(r samsa.Record, err error) {
				if err != nil {
					tp, at := refusedBy(t, err, "flaky"), int64(0)
					at, err = c.Position(samsa.TopicPartition{Topic: "orders", Partition: tp.Partition})
					k.must(err)
					want(t, "position", at, tp.Offset)
					return
				}
				if r.Offset != next[r.Partition] || !strings.HasSuffix(string(r.Value), "!!") {
					t.Fatalf("got %s at offset %d of partition %d, want %d", r.Value, r.Offset, r.Partition, next[r.Partition])
				}
				next[r.Partition]++
				got++
			}
			for got < n {
				switch rnd.IntN(6) {
				case 0, 1:
					records, err := c.Poll(k.ctx)
					if err != nil {
						take(samsa.Record{}, err)
					}
					for _, r := range records {
						take(r, nil)
					}
				case 2, 3, 4:
					for r, err := range c.Records(k.ctx) {
						if take(r, err); got == n || rnd.IntN(10) == 0 {
							break
						}
					}
				default:
					p := int32(rnd.IntN(3))
					back := max(0, next[p]-rnd.Int64N(5))
					got -= int(next[p] - back)
					next[p] = back
					k.seek(c, samsa.TopicPartition{Topic: "orders", Partition: p}, back)
				}
			}
		})
	}
}

// Who gives up while an interceptor opens a record gives it back, and that is nobody else's error.
func TestInterceptGivenUp(t *testing.T) {
	t.Parallel()
	first := true
	ctx, cancel := context.WithCancel(context.Background())
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{BeforeDeliver: func(c context.Context, records []samsa.Record) (int, error) {
		if first {
			first = false
			cancel()
			return 0, c.Err()
		}
		return len(records), nil
	}}}})
	k.create("orders", 1)
	k.write("orders", "1", "2")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
	k.must(err)
	_, err = q.Receive(ctx, 1)
	k.wantError("the first Receive", err, context.Canceled)
	ds, err := q.Receive(k.ctx, 2)
	k.must(err)
	want(t, "deliveries", fmt.Sprint(len(ds), ds[0].Deliveries), "2 2")
	k.must(q.Close())
}

// Put compares with the row that it replaces, where an interceptor changes keys too.
func TestInterceptKeysOfPut(t *testing.T) {
	t.Parallel()
	k := inMemory(t, samsa.Options{AutoCreateTopics: true, Hooks: []samsa.Hook{{
		BeforeProduce: func(_ context.Context, records []samsa.Record) (int, error) {
			for i := range records {
				records[i].Key = slices.Concat([]byte("sealed "), records[i].Key)
			}
			return len(records), nil
		},
	}}})
	k.produce(samsa.Record{Topic: "orders", Key: []byte("1"), Value: []byte("tea")})
	table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders"})
	k.must(err)
	put := func(revision int64) error {
		return k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Put(table, []byte("1"), []byte("milk"), revision) })
	}
	want(t, "no row", errors.Is(put(samsa.NoRow), samsa.ErrConflict), true)
	k.must(put(0))
	want(t, "the row of before", errors.Is(put(0), samsa.ErrConflict), true)
	k.must(table.WaitFor(k.ctx))
	row, err := table.Get([]byte("sealed 1"))
	k.must(err)
	want(t, "row", string(row.Value), "milk")
}

// An interceptor that ends the goroutine of who produces leaves nothing behind: nothing is stored, and others go on, and Close returns.
func TestInterceptLeavesProduce(t *testing.T) {
	t.Parallel()
	leave := new(atomic.Bool)
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{BeforeProduce: func(_ context.Context, records []samsa.Record) (int, error) {
		if leave.Load() {
			runtime.Goexit()
		}
		return len(records), nil
	}}}})
	k.create("orders", 1)
	k.write("orders", "1")
	table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders"})
	k.must(err)
	p, err := k.NewProducer(k.ctx, samsa.ProducerOptions{ID: "p"})
	k.must(err)
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest(), Lock: time.Hour, Retry: samsa.Retry{Min: samsa.NoWait}})
	k.must(err)
	two := samsa.Record{Topic: "orders", Key: []byte("2"), Value: []byte("2")}
	update := func(fn func(tx *samsa.Tx) error) func() error {
		return func() error { return k.Update(k.ctx, fn) }
	}
	doors := map[string]func() error{
		"Produce":          func() error { _, err := k.Produce(k.ctx, two); return err },
		"ProduceSync":      func() error { _, err := p.ProduceSync(k.ctx, two); return err },
		"Producer.Produce": func() error { p.Produce(k.ctx, two, nil); return p.Flush(k.ctx) },
		"Tx.Produce":       update(func(tx *samsa.Tx) error { return tx.Produce(two) }),
		"Tx.Put":           update(func(tx *samsa.Tx) error { return tx.Put(table, two.Key, two.Value, samsa.NoRow) }),
		"Tx.Put behind a read": update(func(tx *samsa.Tx) error {
			in, err := tx.Table(table)
			if err != nil {
				return err
			}
			if _, err := in.Get(two.Key); !errors.Is(err, samsa.ErrKeyNotFound) {
				return err
			}
			return tx.Put(table, two.Key, two.Value, samsa.NoRow)
		}),
	}
	for what, door := range doors {
		leave.Store(true)
		var gone sync.WaitGroup
		returned := false
		gone.Go(func() {
			_ = door()
			returned = true
		})
		gone.Wait()
		leave.Store(false)
		want(t, what+" returned", returned, false)
		k.stored("1")
	}
	for what, door := range doors {
		if err := door(); err != nil && !errors.Is(err, samsa.ErrConflict) { // Put finds the row of another door
			t.Errorf("%s: %v", what, err)
		}
	}
	ds, err := q.Receive(k.ctx, 1)
	k.must(err)
	want(t, "received", string(ds[0].Record.Value), "1")
	k.must(errors.Join(q.Close(), p.Close(), table.Close()))
	k.must(k.Close())
}

// A producer with Replay does not store again what is stored, however it is sealed now, nor what was refused before it, and a table of the topic opens each once.
func TestInterceptReplay(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t)
	table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders", Name: "kept"})
	k.must(err)
	replay := func(all ...string) (fates []string) {
		p, err := k.NewProducer(k.ctx, samsa.ProducerOptions{ID: "p", Replay: true})
		k.must(err)
		for _, v := range all {
			out, err := p.ProduceSync(k.ctx, order(v))
			if err != nil {
				refusedBy(t, err, "a")
				fates = append(fates, "refused")
				break
			}
			fates = append(fates, fmt.Sprint(string(out[0].Value), " ", out[0].Offset))
		}
		k.must(p.Close())
		return fates
	}
	want(t, "first", replay("1", "2", "secret", "3"), "[1 0 2 1 refused]")
	want(t, "once more", replay("1", "2", "3", "4"), "[1 -1 2 -1 3 2 4 3]")
	want(t, "at last", replay("1", "2", "3", "4"), "[1 -1 2 -1 3 -1 4 -1]")
	k.stored("b(a(1)) b(a(2)) b(a(3)) b(a(4))")
	k.must(table.WaitFor(k.ctx))
	k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
		in, err := tx.Tables(table)
		if err != nil {
			return err
		}
		var rows []string
		for r, err := range in[0].Range(samsa.TableRange{}) {
			if err != nil {
				return err
			}
			rows = append(rows, string(r.Value))
		}
		want(t, "rows", rows, "[1 2 3 4]")
		return nil
	}))
}

// One that ends the goroutine of who reads a table, or hangs there, leaves nothing behind: others read and write, and Close returns.
func TestInterceptLeavesTable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "kept"} {
		t.Run("name="+name, func(t *testing.T) {
			t.Parallel()
			k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{BeforeDeliver: func(ctx context.Context, records []samsa.Record) (int, error) {
				switch string(records[0].Value) {
				case "leave":
					runtime.Goexit()
				case "hang":
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return len(records), nil
			}}}})
			k.create("orders", 1)
			put := func(v string) {
				k.produce(samsa.Record{Topic: "orders", Key: []byte("1"), Value: []byte(v)})
			}
			put("leave")
			table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders", Name: name})
			k.must(err)
			in := func(tables func(*samsa.Table) (*samsa.TableTx, error)) error {
				x, err := tables(table)
				if err == nil {
					_, err = x.Get([]byte("1"))
				}
				return err
			}
			doors := map[string]func() error{
				"Get": func() error { _, err := table.Get([]byte("1")); return err },
				"Range": func() error {
					for _, err := range table.Range(samsa.TableRange{}) {
						return err
					}
					return nil
				},
				"Watch": func() error {
					for _, err := range table.Watch(k.ctx) {
						return err
					}
					return nil
				},
				"Tx": func() error { return k.Update(k.ctx, func(tx *samsa.Tx) error { return in(tx.Table) }) },
				"View": func() error {
					return k.View(k.ctx, func(tx *samsa.ReadTx) error {
						return in(func(t *samsa.Table) (*samsa.TableTx, error) {
							all, err := tx.Tables(t)
							if err != nil {
								return nil, err
							}
							return all[0], nil
						})
					})
				},
			}
			var gone sync.WaitGroup
			for what, door := range doors {
				gone.Go(func() {
					_ = door()
					t.Errorf("%s returns", what)
				})
			}
			gone.Wait()
			put("tea")
			k.must(table.WaitFor(k.ctx))
			for what, door := range doors {
				if err := door(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			put("hang")
			k.must(table.WaitFor(k.ctx))
			var hung sync.WaitGroup
			for what, door := range doors {
				hung.Go(func() {
					if err := door(); !errors.Is(err, context.Canceled) && !errors.Is(err, samsa.ErrClosed) {
						t.Errorf("%s of a table that is closed: %v", what, err)
					}
				})
			}
			k.produce(samsa.Record{Topic: "orders", Key: []byte("2"), Value: []byte("milk")})
			k.must(table.WaitFor(k.ctx))
			row, err := table.Get([]byte("2"))
			k.must(err)
			want(t, "row", string(row.Value), "milk")
			k.must(table.Close())
			hung.Wait()
			k.must(k.Close())
		})
	}
}
