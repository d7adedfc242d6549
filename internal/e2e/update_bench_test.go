package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// updateBench is a broker on disk, and the work of a transaction: 100 records, an offset, and
// 10 keys read and written.
type updateBench struct {
	*samsa.Broker
	c       *samsa.Consumer
	in, out []samsa.Record
	value   []byte
	n       int
}

func newUpdateBench(b *testing.B) *updateBench {
	b.Helper()
	ctx := context.Background()
	broker, err := samsa.Open(b.TempDir(), samsa.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	for _, topic := range []string{"in", "out"} {
		if err := broker.Topics().Create(ctx, topic, samsa.TopicConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	u := &updateBench{Broker: broker, value: make([]byte, 100)}
	u.c, err = broker.NewConsumer(ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"in"}, Member: samsa.MemberOptions{ManualCommit: true}})
	if err == nil {
		u.in, err = broker.Produce(ctx, samsa.Record{Topic: "in"})
	}
	if err == nil {
		_, err = u.c.Poll(ctx)
	}
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		u.out = append(u.out, samsa.Record{Topic: "out", Value: fmt.Appendf(nil, `{"transfer":%d,"from":"alice","to":"bob","amount":%d}`, i, i*7)})
	}
	return u
}

func (u *updateBench) produce() error {
	_, err := u.Produce(context.Background(), u.out...)
	return err
}

// update is the transaction, of which parts can be left out.
func (u *updateBench) update(gets, sets, offsets bool) error {
	u.n++
	return u.Update(context.Background(), func(tx *samsa.Tx) error {
		for i := range 10 {
			key := fmt.Appendf(nil, "balance/%d", (u.n+i*7919)%1000)
			if gets {
				if _, err := tx.Get(key); err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
					return err
				}
			}
			if sets {
				if err := tx.Set(key, u.value); err != nil {
					return err
				}
			}
		}
		if err := tx.Produce(u.out...); err != nil {
			return err
		}
		if !offsets {
			return nil
		}
		return tx.CommitRecords(u.c, u.in...)
	})
}

// BenchmarkUpdate is what the parts of a transaction cost.
func BenchmarkUpdate(b *testing.B) {
	u := newUpdateBench(b)
	for _, c := range []struct {
		name string
		work func() error
	}{
		{"work=Produce", u.produce},
		{"work=records", func() error { return u.update(false, false, false) }},
		{"work=records+offset", func() error { return u.update(false, false, true) }},
		{"work=records+sets", func() error { return u.update(false, true, false) }},
		{"work=records+gets", func() error { return u.update(true, false, false) }},
		{"work=all", func() error { return u.update(true, true, true) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdateRatio takes the whole transaction and Produce of the same records in turns.
func BenchmarkUpdateRatio(b *testing.B) {
	u := newUpdateBench(b)
	const turn = 200
	var update, produce time.Duration
	run := func(work func() error) time.Duration {
		start := time.Now()
		for range turn {
			if err := work(); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	for b.Loop() {
		produce += run(u.produce)
		update += run(func() error { return u.update(true, true, true) })
	}
	b.ReportMetric(float64(update)/float64(produce), "update/produce")
	b.ReportMetric(float64(update.Microseconds())/float64(b.N*turn), "µs/update")
}

// BenchmarkUpdateBeside is an Update of one key beside one that is open, which began before so
// many others.
func BenchmarkUpdateBeside(b *testing.B) {
	for _, recent := range []int{1_000, 150_000} {
		b.Run(fmt.Sprintf("recent=%d", recent), func(b *testing.B) {
			broker := openBench(b, "", samsa.Options{InMemory: true})
			defer closeBench(b, broker)
			set := func() {
				if err := broker.Update(context.Background(), func(tx *samsa.Tx) error { return tx.Set([]byte("key"), nil) }); err != nil {
					b.Fatal(err)
				}
			}
			end := openUpdate(b, broker, func(*samsa.Tx) error { return nil })
			for range recent {
				set()
			}
			for b.Loop() {
				set()
			}
			if err := end(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// openUpdate begins an Update of fn, which stays open until end is called. End returns what
// Update does.
func openUpdate(t testing.TB, b *samsa.Broker, fn func(tx *samsa.Tx) error) (end func() error) {
	t.Helper()
	begun, ending, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := true
	go func() {
		done <- b.Update(context.Background(), func(tx *samsa.Tx) error {
			err := fn(tx)
			if first {
				first = false
				close(begun)
				<-ending
			}
			return err
		})
	}()
	<-begun
	return func() error {
		close(ending)
		return <-done
	}
}
