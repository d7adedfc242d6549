package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

var errMine = errors.New("mine")

// A cluster whose transactions are of an older version has Updates all the same: records and offsets together, or neither.
func TestOlderTransactions(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Features: map[string]int{"transaction.version": 0}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b, err := cluster.Open(ctx, cluster.Options{Seeds: c.Seeds(), Name: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for _, topic := range []string{"orders", "bills"} {
		if err := b.Topics().Create(ctx, topic, samsa.TopicConfig{Partitions: 3}); err != nil {
			t.Fatal(err)
		}
	}
	const n = 30
	var orders []samsa.Record
	for i := range n {
		orders = append(orders, samsa.Record{Topic: "orders", Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)})
	}
	if _, err := b.Produce(ctx, orders...); err != nil {
		t.Fatal(err)
	}
	in, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: "clerks", Topics: []string{"orders"}, MaxPollRecords: 7, Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	for done := 0; done < n; {
		records, err := in.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, fail := range []bool{true, false} {
			err := b.Update(ctx, func(tx *samsa.Tx) error {
				for _, r := range records {
					if err := tx.Produce(samsa.Record{Topic: "bills", Key: r.Key, Value: r.Value}); err != nil {
						return err
					}
				}
				if err := tx.CommitRecords(in, records...); err != nil || !fail {
					return err
				}
				return errMine
			})
			if fail != errors.Is(err, errMine) || !fail && err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Update(ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(in, records...) }); err != nil { // offsets alone
			t.Fatal(err)
		}
		done += len(records)
	}
	out, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"bills"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	seen := make(map[string]int)
	for got := 0; got < n; {
		records, err := out.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			seen[string(r.Value)]++
		}
		got += len(records)
	}
	if len(seen) != n {
		t.Errorf("%d of %d orders have bills: %v", len(seen), n, seen)
	}
	committed, err := b.Groups().Committed(ctx, "clerks")
	if err != nil || len(committed) != 3 {
		t.Error(committed, err)
	}
	for _, want := range []int64{n, 2 * n} { // of a producer with an ID, and of the next one, whose records those are too
		p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "import"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.ProduceSync(ctx, orders...); err != nil {
			t.Fatal(err)
		}
		var stored int64
		for i := range int32(3) {
			got, err := p.Stored(ctx, samsa.TopicPartition{Topic: "orders", Partition: i})
			if err != nil {
				t.Fatal(err)
			}
			stored += got
		}
		if stored != want {
			t.Errorf("%d are stored, want %d", stored, want)
		}
		defer func() {
			if _, err := p.ProduceSync(ctx, orders...); want == n && !errors.Is(err, samsa.ErrProducerFenced) {
				t.Errorf("the older one: %v", err)
			}
		}()
	}
}
