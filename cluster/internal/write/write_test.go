package write_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/internal/write"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
)

func TestMain(m *testing.M) { kit.Main(m) }

// open returns a broker on the kit's cluster, whose transactional id is id.
func open(t testing.TB, k *kit.Kit, id string, hooks ...samsa.Hook) *samsa.Broker {
	t.Helper()
	b, err := inside.OpenEngine[*samsa.Broker](samsa.Options{Hooks: hooks}, func(h inside.Host) (engine.Parts, error) {
		w := write.New(k.Link, k.Topics, write.Options{ID: id, Where: "here", Host: h, Offsets: k.Groups})
		return engine.Parts{
			Where: "here", Topics: k.Topics, Coordinator: k.Groups, Offsets: k.Groups, Groups: groups.Admin{Groups: k.Groups}, Producing: w,
			Transactor: write.Transactor{Writes: w}, Stored: w.Stored, Close: func() error { w.Close(); return nil },
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// values reads n records of a topic, those of committed transactions, and returns their values, sorted.
func values(t *testing.T, k *kit.Kit, b *samsa.Broker, topic string, n int) (got []string) {
	t.Helper()
	c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for len(got) < n {
		records, err := c.Poll(k.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			got = append(got, string(r.Value))
		}
	}
	slices.Sort(got)
	return got
}

// What Produce has returned is visible, one record or several, in one partition or more, and at the offsets that it says.
func TestProduce(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("produce", 2), open(t, k, k.Name("id"))
		manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
		for i := range 3 {
			one := samsa.Record{Topic: topic, Value: fmt.Appendf(nil, "one %d", i), Headers: []samsa.Header{{Key: "h", Value: []byte("v")}}}
			stored, err := b.ProduceWith(k.Ctx, manual, one)
			if err != nil {
				t.Fatal(err)
			}
			several, err := b.ProduceWith(k.Ctx, manual,
				samsa.Record{Topic: topic, Value: fmt.Appendf(nil, "two %d", i)}, samsa.Record{Topic: topic, Partition: 1, Value: fmt.Appendf(nil, "two %d", i)},
				samsa.Record{Topic: topic, Value: fmt.Appendf(nil, "two %d", i)})
			if err != nil {
				t.Fatal(err)
			}
			if several[0].Offset != stored[0].Offset+1 || several[2].Offset != several[0].Offset+1 || several[1].Partition != 1 || several[1].Timestamp.IsZero() {
				t.Errorf("%v, then %v", stored, several)
			}
			if p := k.Partition(topic, 0); p.LastStable() <= several[2].Offset {
				t.Errorf("the last stable offset is %d, records were stored up to %d", p.LastStable(), several[2].Offset)
			}
		}
		k.Want(values(t, k, b, topic, 12), "[one 0 one 1 one 2 two 0 two 0 two 0 two 1 two 1 two 1 two 2 two 2 two 2]")
		_, err := b.ProduceWith(k.Ctx, samsa.ProduceOptions{Compression: samsa.CompressionNone}, samsa.Record{Topic: topic, Value: make([]byte, 2<<20)}, samsa.Record{Topic: topic})
		if !errors.Is(err, samsa.ErrRecordTooLarge) || errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("too large: %v", err)
		}
		if _, err := b.Produce(k.Ctx, samsa.Record{Topic: topic}, samsa.Record{Topic: "no such topic!"}); !errors.Is(err, samsa.ErrInvalidTopic) && !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("no topic: %v", err)
		}
	})
}

// An Update stores records and offsets of a member together, or neither. Those that wait are one transaction, and one that cannot be stored
// fails alone.
func TestUpdate(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		in, out, b := k.Create("in", 1), k.Create("out", 1), open(t, k, k.Name("id"))
		k.Put(in, 0, "a", "b", "c")
		c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Group: k.Name("g"), Topics: []string{in}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		for n := 0; n < 3; {
			records, err := c.Poll(k.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			n += len(records)
			failed := errors.New("failed")
			err = b.Update(k.Ctx, func(tx *samsa.Tx) error {
				if err := tx.Produce(samsa.Record{Topic: out, Value: []byte("never")}); err != nil {
					return err
				}
				return failed
			})
			if !errors.Is(err, failed) {
				t.Fatal(err)
			}
			err = b.Update(k.Ctx, func(tx *samsa.Tx) error {
				for _, r := range records {
					if err := tx.Produce(samsa.Record{Topic: out, Value: r.Value}); err != nil {
						return err
					}
				}
				return tx.CommitRecords(c, records...)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// Offsets alone are a transaction too.
		records := []samsa.Record{{Topic: in, Offset: 2}}
		if err := b.Update(k.Ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(c, records...) }); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				size := 1
				if i == 7 {
					size = 2 << 20
				}
				err := b.Update(k.Ctx, func(tx *samsa.Tx) error {
					return tx.ProduceWith(samsa.ProduceOptions{Compression: samsa.CompressionNone}, samsa.Record{Topic: out, Value: slices.Repeat([]byte("x"), size)})
				})
				if (i == 7) != errors.Is(err, samsa.ErrRecordTooLarge) || i != 7 && err != nil {
					t.Errorf("update %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		k.Want(values(t, k, b, out, 18), "[a b c x x x x x x x x x x x x x x x]")
		deadline := time.Now().Add(30 * time.Second)
		for {
			committed, err := c.Committed(k.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			if committed[kit.TP(in, 0)].Offset == 3 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("committed %v", committed)
			}
		}
	})
}

// Updates that wait while a transaction is under way are one, or a few.
func TestUpdatesFold(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		c := &cutter{hold: make(chan struct{}), timeout: time.Minute}
		out, b := k.Create("out", 1), openBy(t, k, c, "")
		const updates = 64
		var wg sync.WaitGroup
		var called atomic.Int64
		for range updates {
			wg.Go(func() {
				err := b.Update(k.Ctx, func(tx *samsa.Tx) error {
					called.Add(1)
					return tx.Produce(samsa.Record{Topic: out, Value: []byte("v")})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for called.Load() < updates && k.Ctx.Err() == nil {
			runtime.Gosched()
		}
		close(c.hold)
		wg.Wait()
		if n := -c.left.Load(); n < 1 || n > updates/2 {
			t.Errorf("%d Updates were %d transactions", updates, n)
		}
		k.Want(len(values(t, k, b, out, updates)), updates)
	})
}

// Who begins with a transactional id fences who had it: it stores nothing more.
func TestFenced(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, id := k.Create("fenced", 1), k.Name("id")
		older, newer := open(t, k, id), open(t, k, id)
		two := func(value string) []samsa.Record {
			return []samsa.Record{{Topic: topic, Value: []byte(value)}, {Topic: topic, Value: []byte(value)}}
		}
		for _, b := range []*samsa.Broker{older, newer} {
			if _, err := b.Produce(k.Ctx, two("a")...); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := older.Produce(k.Ctx, two("b")...); !errors.Is(err, samsa.ErrProducerFenced) || errors.Is(err, samsa.ErrOutcomeUnknown) {
				t.Errorf("the older one: %v", err)
			}
			if _, err := newer.Produce(k.Ctx, two("a")...); err != nil {
				t.Fatal(err)
			}
		}
		k.Want(values(t, k, newer, topic, 8), "[a a a a a a a a]")
	})
}

// Keys, and acknowledgements in a transaction, there are none: the transaction fails before anything is stored.
func TestUnsupported(t *testing.T) {
	k := kit.Door(t)
	topic, b := k.Create("keys", 1), open(t, k, k.Name("id"))
	for name, fn := range map[string]func(tx *samsa.Tx) error{
		"get":    func(tx *samsa.Tx) error { _, err := tx.Get([]byte("k")); return err },
		"set":    func(tx *samsa.Tx) error { return tx.Set([]byte("k"), nil) },
		"delete": func(tx *samsa.Tx) error { return tx.Delete([]byte("k")) },
		"scan": func(tx *samsa.Tx) error {
			for _, err := range tx.Scan(nil) {
				return err
			}
			return nil
		},
	} {
		err := b.Update(k.Ctx, func(tx *samsa.Tx) error {
			if err := tx.Produce(samsa.Record{Topic: topic}); err != nil {
				return err
			}
			_ = fn(tx) // it fails all the same
			return nil
		})
		if !errors.Is(err, samsa.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p := k.Partition(topic, 0); p.HighWatermark() != 0 {
		t.Errorf("%d records were stored", p.HighWatermark())
	}
}

// A producer stores in the order of Produce, calls its promises in that order, waits while its buffer is full, and Close sends
// what it holds.
func TestProducer(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("producer", 1), open(t, k, k.Name("id"))
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{BufferedBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		var next int64
		for i := range 1000 {
			p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: fmt.Append(nil, i)}, func(r samsa.Record, err error) {
				if err != nil || r.Offset != next || string(r.Value) != fmt.Sprint(next) {
					t.Errorf("promise %d: %v, %v", next, r, err)
				}
				next++
				if err := p.Flush(k.Ctx); !errors.Is(err, samsa.ErrInCallback) {
					t.Errorf("flush by a promise: %v", err)
				}
			})
			if n := p.Buffered(); n > 4<<10 {
				t.Fatalf("%d bytes are buffered", n)
			}
		}
		if err := p.Flush(k.Ctx); err != nil || p.Buffered() != 0 {
			t.Fatalf("%v, %d bytes are buffered", err, p.Buffered())
		}
		got, err := p.ProduceSync(k.Ctx, samsa.Record{Topic: topic, Value: []byte("last")}, samsa.Record{Topic: "no such topic!"})
		if !errors.Is(err, samsa.ErrUnknownTopic) && !errors.Is(err, samsa.ErrInvalidTopic) || got[0].Offset != 1000 {
			t.Errorf("%v, %v", got, err)
		}
		stored := false
		p.Produce(k.Ctx, samsa.Record{Topic: topic}, func(_ samsa.Record, err error) { stored = err == nil })
		if err := p.Close(); err != nil || !stored {
			t.Errorf("%v, stored: %v", err, stored)
		}
		p.Produce(k.Ctx, samsa.Record{Topic: topic}, func(_ samsa.Record, err error) {
			if !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
		if next != 1000 {
			t.Errorf("%d promises", next)
		}
	})
}

// When the cluster is away a call ends with its context, and nothing was stored.
func TestAway(t *testing.T) {
	k := kit.Door(t)
	topic, b := k.Create("away", 1), open(t, k, k.Name("id"))
	if _, err := b.Produce(k.Ctx, samsa.Record{Topic: topic}, samsa.Record{Topic: topic}); err != nil {
		t.Fatal(err)
	}
	if err := k.Server.Close(); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		ctx, cancel := context.WithTimeout(k.Ctx, 100*time.Millisecond)
		_, err := b.Produce(ctx, slices.Repeat([]samsa.Record{{Topic: topic}}, n)...)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("%d records: %v", n, err)
		}
		cancel()
	}
}

// Who produces to a topic that others have made again, or have given partitions, goes on: with the new one, or its new partitions.
func TestTopicsChange(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("change", 1), open(t, k, k.Name("id"))
		manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{Partitioner: manual.Partitioner})
		if err != nil {
			t.Fatal(err)
		}
		produce := func(partition int32, offset int64) {
			t.Helper()
			r := samsa.Record{Topic: topic, Partition: partition}
			stored, err := b.ProduceWith(k.Ctx, manual, r)
			if err != nil || stored[0].Offset != offset {
				t.Fatal(stored, err)
			}
			for { // of a record that was on its way to the other one a producer tells the error
				stored, err = p.ProduceSync(k.Ctx, r)
				if !errors.Is(err, samsa.ErrUnknownTopic) {
					break
				}
			}
			if err != nil || stored[0].Offset != offset+1 {
				t.Fatal(stored, err)
			}
		}
		produce(0, 0)
		k.Drop(topic)
		k.CreateAs(topic, 1)
		produce(0, 0)
		k.Grow(topic, 3)
		if err := k.Topics.Await(k.Ctx, topic, 3); err != nil {
			t.Fatal(err)
		}
		produce(2, 0)
	})
}

// A call waits for room, and what lingers does not let it wait: it is sent.
func TestFullBuffer(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("full", 1), open(t, k, k.Name("id"))
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{BufferedBytes: 2000, Linger: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		const each, goroutines = 50, 8
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: make([]byte, 400)}, func(_ samsa.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
		wg.Wait()
		if err := p.Flush(k.Ctx); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Partition(topic, 0).HighWatermark(), each*goroutines)
	})
}
