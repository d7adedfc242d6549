package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// seal is a hook that puts a name around values: "tea" is stored as "a(tea)". It opens nothing that is not its own, nor what locked names.
func seal(name string, locked *atomic.Value) samsa.Hook {
	each := func(records []samsa.Record, fn func(v string) (string, error)) (int, error) {
		for i := range records {
			if records[i].Value == nil {
				continue
			}
			v, err := fn(string(records[i].Value))
			if err != nil {
				return i, err
			}
			records[i].Value = []byte(v)
			records[i].Headers = append(records[i].Headers, samsa.Header{Key: name})
		}
		return len(records), nil
	}
	return samsa.Hook{
		Name: name,
		BeforeProduce: func(_ context.Context, records []samsa.Record) (int, error) {
			return each(records, func(v string) (string, error) {
				if v == "secret" {
					return "", errLocked
				}
				return name + "(" + v + ")", nil
			})
		},
		BeforeDeliver: func(_ context.Context, records []samsa.Record) (int, error) {
			return each(records, func(v string) (string, error) {
				inner, ours := strings.CutPrefix(v, name+"(")
				inner, whole := strings.CutSuffix(inner, ")")
				if !ours || !whole || locked != nil && inner == locked.Load() {
					return "", errLocked
				}
				return inner, nil
			})
		},
	}
}

var errLocked = errors.New("it is locked")

func sealed(t *testing.T, locked ...string) (*kit, *atomic.Value) {
	l := new(atomic.Value)
	l.Store(strings.Join(locked, ""))
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{seal("a", l), seal("b", nil)}})
	k.create("orders", 1)
	return k, l
}

// refusedBy returns the record of an InterceptError.
func refusedBy(t *testing.T, err error, hook string) samsa.Record {
	t.Helper()
	var wrong *samsa.InterceptError
	if !errors.As(err, &wrong) || wrong.Hook != hook {
		t.Fatalf("the error is %v, want one of the interceptor %q", err, hook)
	}
	return wrong.Record
}

func (k *kit) stored(want string) {
	k.t.Helper()
	if got := strings.Join(values(samsatest.Drain(k.t, k.Broker, "orders")), " "); got != want {
		k.t.Errorf("stored is %s, want %s", got, want)
	}
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func order(v string) samsa.Record {
	return samsa.Record{Topic: "orders", Key: []byte(v), Value: []byte(v)}
}

// Whatever a program produces by is changed, in the order of the hooks, before it is stored. The program's own records are not.
func TestInterceptProduce(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t)
	given := []samsa.Record{order("1"), order("2")}
	spare := append(make([]samsa.Header, 0, 4), samsa.Header{Key: "own"})
	given[0].Headers = spare
	out, err := k.Produce(k.ctx, given...)
	k.must(err)
	want(t, "returned", values(out), "[1 2]")
	want(t, "offsets", []int64{out[0].Offset, out[1].Offset}, "[0 1]")
	if out[0].Timestamp.IsZero() || len(out[0].Headers) != 1 || spare[:2][1].Key != "" || string(given[0].Value) != "1" || !given[0].Timestamp.IsZero() {
		t.Errorf("returned %v, of %v", out, given)
	}
	p := k.producer(samsa.ProducerOptions{})
	p.Produce(k.ctx, order("3"), func(r samsa.Record, err error) {
		want(t, "promise", fmt.Sprint(string(r.Value), r.Offset, len(r.Headers), err), "32 0 <nil>")
	})
	k.must(p.Flush(k.ctx))
	p.Produce(k.ctx, order("4"), nil)
	out, err = p.ProduceSync(k.ctx, order("5"), order("6"))
	k.must(err)
	want(t, "ProduceSync", fmt.Sprint(values(out), out[1].Offset), "[5 6] 5")
	table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders"})
	k.must(err)
	calls := 0
	k.must(k.Update(k.ctx, func(tx *samsa.Tx) error {
		if calls++; calls == 1 { // which is a conflict
			_, err := tx.Get([]byte("n"))
			want(t, "get", errors.Is(err, samsa.ErrKeyNotFound), true)
			k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("n"), []byte("1")) }))
		}
		return errors.Join(tx.Set([]byte("n"), nil), tx.Produce(order("7")), tx.Put(table, []byte("8"), []byte("8"), samsa.NoRow))
	}))
	want(t, "calls", calls, 2)
	k.stored("b(a(1)) b(a(2)) b(a(3)) b(a(4)) b(a(5)) b(a(6)) b(a(7)) b(a(8))")
}

// What an interceptor refuses is not stored, nor what is produced with it.
func TestInterceptRefuses(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t)
	_, err := k.Produce(k.ctx, order("1"), order("secret"))
	want(t, "record", string(refusedBy(t, err, "a").Value), "secret")
	want(t, "error", err, `produce: record 1: hook "a": it is locked`)
	want(t, "cause", errors.Is(err, errLocked), true)
	err = k.Update(k.ctx, func(tx *samsa.Tx) error {
		_ = tx.Produce(order("secret")) // the transaction has failed all the same
		return tx.Produce(order("1"))
	})
	refusedBy(t, err, "a")
	p := k.producer(samsa.ProducerOptions{})
	out, err := p.ProduceSync(k.ctx, order("1"), order("secret"))
	refusedBy(t, err, "a")
	want(t, "returned", values(out), "[1 secret]")
	told := error(nil)
	p.Produce(k.ctx, order("secret"), func(r samsa.Record, err error) { told = errors.Join(err, p.Flush(k.ctx)) })
	want(t, "promise", string(refusedBy(t, told, "a").Value), "secret")
	p.Produce(k.ctx, order("secret"), nil)
	k.must(p.Close())
	k.stored("")
}

// The partition is chosen, and the size looked at, of what is stored.
func TestInterceptBeforePartitioner(t *testing.T) {
	t.Parallel()
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{BeforeProduce: func(_ context.Context, records []samsa.Record) (int, error) {
		for i := range records {
			records[i].Partition, records[i].Timestamp = 3, time.UnixMilli(7)
			records[i].Value = make([]byte, 2*len(records[i].Value))
		}
		return len(records), nil
	}}}})
	k.create("orders", 4)
	k.must(k.Topics().Alter(k.ctx, "orders", func(c *samsa.TopicConfig) error { c.MaxMessageBytes = 1000; return nil }))
	manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
	out, err := k.ProduceWith(k.ctx, manual, order("1"))
	k.must(err)
	want(t, "place", fmt.Sprint(out[0].Partition, out[0].Timestamp.UnixMilli(), len(out[0].Value)), "3 7 1")
	_, err = k.ProduceWith(k.ctx, manual, samsa.Record{Topic: "orders", Value: make([]byte, 600)})
	k.wantError("produce", err, samsa.ErrRecordTooLarge)
}

// Whatever a program reads by gives it what it has produced.
func TestInterceptDeliver(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t)
	k.write("orders", "1", "2")
	k.write("orders", "3")
	opts := samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()}
	want(t, "Poll", values(k.read(k.consumer(opts), 3)), "[1 2 3]")
	some, err := k.consumer(opts).Collect(k.ctx, 2, time.Hour)
	k.must(err)
	want(t, "Collect", values(some), "[1 2]")
	some, err = k.consumer(opts).PollRecords(k.ctx, 1)
	k.must(err)
	want(t, "PollRecords", values(some), "[1]")
	opts.MaxPollBytes = 1
	some = nil
	for r, err := range k.consumer(opts).RecordsUntil(k.ctx) {
		k.must(err)
		want(t, "headers", len(r.Headers), 4)
		some = append(some, r)
	}
	want(t, "RecordsUntil", values(some), "[1 2 3]")
	some = nil
	for r, err := range k.Backward(k.ctx, samsa.TopicPartition{Topic: "orders"}, samsa.Latest()) {
		k.must(err)
		some = append(some, r)
	}
	want(t, "Backward", values(some), "[3 2 1]")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest()})
	k.must(err)
	ds, err := q.Receive(k.ctx, 2)
	k.must(err)
	k.must(q.Ack(k.ctx, ds...))
	ctx, stop := context.WithCancel(k.ctx)
	_ = q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error {
		ds = append(ds, d)
		stop()
		return nil
	})
	want(t, "Queue", values([]samsa.Record{ds[0].Record, ds[1].Record, ds[2].Record}), "[1 2 3]")
	k.must(q.Close())
	k.stored("b(a(1)) b(a(2)) b(a(3))")
}

// A record that cannot be had is an error where it stands, with the record as it is stored, as often as it is asked for. Nothing is lost: it comes
// when it can be had, or does not if it is passed.
func TestInterceptDeliverRefuses(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"poll", "loop"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			k, locked := sealed(t, "2")
			k.write("orders", "1", "2", "3")
			k.write("orders", "4")
			tp := samsa.TopicPartition{Topic: "orders"}
			c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, Start: samsa.Earliest()})
			next := func() (samsa.Record, error) {
				if by == "poll" {
					some, err := c.PollRecords(k.ctx, 1)
					return append(some, samsa.Record{})[0], err
				}
				for r, err := range c.Records(k.ctx) {
					return r, err
				}
				panic("a loop without end")
			}
			expect := func(v string) {
				t.Helper()
				r, err := next()
				k.must(err)
				want(t, "record", string(r.Value), v)
			}
			expect("1")
			for range 3 {
				_, err := next()
				wrong := refusedBy(t, err, "a")
				want(t, "error", err, `poll: orders/0: offset 1: hook "a": it is locked`)
				at, err := c.Position(tp)
				k.must(err)
				want(t, "record", fmt.Sprint(string(wrong.Value), wrong.Offset, at), "b(a(2))1 1")
				k.must(c.Commit(k.ctx))
				k.wantCommitted("g", "orders/0@1")
			}
			locked.Store("3")
			for { // it may have been read before
				r, err := next()
				if err == nil {
					want(t, "record", string(r.Value), "2")
					break
				}
			}
			_, err := next()
			wrong := refusedBy(t, err, "a")
			want(t, "record", string(wrong.Value), "b(a(3))")
			k.must(c.Seek(k.ctx, tp, wrong.Offset+1))
			expect("4")
		})
	}
}

// Work does what comes before the record, and ends with its error.
func TestInterceptEndsWork(t *testing.T) {
	t.Parallel()
	k, _ := sealed(t, "2")
	k.write("orders", "1", "2")
	c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"orders"}, Start: samsa.Earliest()})
	for _, does := range []string{"1", ""} {
		var done []samsa.Record
		err := c.Work(k.ctx, 1, func(_ context.Context, r samsa.Record) error {
			done = append(done, r)
			return nil
		})
		refusedBy(t, err, "a")
		want(t, "done", strings.Join(values(done), " "), does)
		k.wantCommitted("g", "orders/0@1")
	}
}

// Backward and a queue go on with the others. The record comes again, until it is a dead letter, as it is stored.
func TestInterceptGoesOn(t *testing.T) {
	t.Parallel()
	k, locked := sealed(t, "2")
	k.create("dead", 1)
	k.write("orders", "1", "2", "3")
	var got []string
	for r, err := range k.Backward(k.ctx, samsa.TopicPartition{Topic: "orders"}, samsa.Latest()) {
		if err != nil {
			r = refusedBy(t, err, "a")
		}
		got = append(got, string(r.Value))
	}
	want(t, "Backward", got, "[3 b(a(2)) 1]")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{
		Group: "q", Topics: []string{"orders"}, Start: samsa.Earliest(), MaxDeliveries: 2, DeadLetter: "dead", Retry: samsa.Retry{Min: samsa.NoWait},
	})
	k.must(err)
	ds, err := q.Receive(k.ctx, 10)
	k.must(err)
	want(t, "deliveries", values([]samsa.Record{ds[0].Record, ds[1].Record}), "[1 3]")
	k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Reject(ds[0], "not wanted") }))
	k.must(ds[1].Reject("not wanted"))
	for range 2 {
		_, err = q.Receive(k.ctx, 10)
		want(t, "record", string(refusedBy(t, err, "a").Value), "b(a(2))")
	}
	k.must(q.Close())
	letters := samsatest.Drain(t, k.Broker, "dead")
	for len(letters) < 3 {
		runtime.Gosched()
		letters = samsatest.Drain(t, k.Broker, "dead")
	}
	all := values(letters)
	slices.Sort(all)
	want(t, "dead letters", all, "[b(a(1)) b(a(2)) b(a(3))]")
	why := letters[slices.IndexFunc(letters, func(r samsa.Record) bool { return string(r.Value) == "b(a(2))" })].Headers
	want(t, "reason", string(why[len(why)-1].Value), `orders/0: offset 1: hook "a": it is locked`)
	locked.Store("")
	want(t, "a letter that is read", len(k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"dead"}, Start: samsa.Earliest()}), 3)), 3)
}

// A table keeps what is stored, and gives what was produced. A row that cannot be had is an error for who reads it, and can be replaced.
func TestInterceptTable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "kept"} {
		t.Run("name="+name, func(t *testing.T) {
			t.Parallel()
			k, _ := sealed(t, "2")
			k.must(k.Topics().Alter(k.ctx, "orders", func(c *samsa.TopicConfig) error { c.MaxMessageBytes = 16 << 20; return nil }))
			large := order("4")
			if large.Value = bytes.Repeat([]byte("4"), 9<<20); name != "" { // of which a table has the place alone
				large.Value = large.Value[:9]
			}
			k.produce(order("1"), order("2"), order("3"))
			k.produce(large)
			table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "orders", Name: name})
			k.must(err)
			r, err := table.Get([]byte("1"))
			k.must(err)
			want(t, "Get", string(r.Value), "1")
			r, err = table.Get([]byte("4"))
			k.must(err)
			want(t, "a large row", string(r.Value) == string(large.Value), true)
			_, err = table.Get([]byte("2"))
			want(t, "record", string(refusedBy(t, err, "a").Value), "b(a(2))")
			want(t, "error", err, `table of orders: orders/0: offset 1: hook "a": it is locked`)
			var ranged, watched []string
			for r, err := range table.Range(samsa.TableRange{To: []byte("4")}) {
				if err != nil {
					r = refusedBy(t, err, "a")
				}
				ranged = append(ranged, string(r.Value))
			}
			want(t, "Range", ranged, "[1 b(a(2)) 3]")
			for c, err := range table.Watch(k.ctx) {
				if err != nil {
					c.Record = refusedBy(t, err, "a")
				}
				if c.Mark {
					break
				}
				watched = append(watched, string(c.Record.Value[:min(9, len(c.Record.Value))]))
			}
			want(t, "Watch", watched, "[1 b(a(2)) 3 444444444]")
			k.must(k.Update(k.ctx, func(tx *samsa.Tx) error {
				in, err := tx.Table(table)
				if err != nil {
					return err
				}
				r, err := in.Get([]byte("3"))
				want(t, "Tx.Get", string(r.Value), "3")
				_, wrong := in.Get([]byte("2"))
				return errors.Join(err, tx.Put(table, []byte("2"), []byte("new"), refusedBy(t, wrong, "a").Offset))
			}))
			k.must(table.WaitFor(k.ctx))
			r, err = table.Get([]byte("2"))
			k.must(err)
			want(t, "replaced", string(r.Value), "new")
		})
	}
}
