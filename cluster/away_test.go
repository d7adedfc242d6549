package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// A cluster that does not answer keeps no call longer than its context, what it may have done is said to be unknown, and when it is
// back all go on, whether it was halted or died.
func TestAway(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b, err := cluster.Open(ctx, cluster.Options{Seeds: c.Seeds(), Name: "billing", Keys: "prices"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := b.Topics().Create(ctx, "orders", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	record := samsa.Record{Topic: "orders", Value: []byte("a")}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	named, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "import"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = named.Close() }()
	reader, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "crew", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	seen := int64(-1)
	saw := func(r samsa.Record) {
		if r.Offset <= seen {
			t.Errorf("offset %d behind %d", r.Offset, seen)
		}
		seen = r.Offset
	}
	poll := func(ctx context.Context) error {
		records, err := reader.Poll(ctx)
		for _, r := range records {
			saw(r)
		}
		return err
	}
	const reads, changes, may = 0, 1, 2 // whether a call changes something, which it sends at once
	calls := []struct {
		name string
		kind int
		do   func(ctx context.Context) error
	}{
		{"produce", changes, func(ctx context.Context) error { _, err := b.Produce(ctx, record); return err }},
		{"produce several", may, func(ctx context.Context) error { _, err := b.Produce(ctx, record, record); return err }},
		{"producer", changes, func(ctx context.Context) error { _, err := p.ProduceSync(ctx, record); return err }},
		{"update", may, func(ctx context.Context) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Produce(record) })
		}},
		{"keys", may, func(ctx context.Context) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("price"), []byte("1")) })
		}},
		{"named", changes, func(ctx context.Context) error { _, err := named.ProduceSync(ctx, record); return err }},
		{"stored", reads, func(ctx context.Context) error {
			_, err := named.Stored(ctx, samsa.TopicPartition{Topic: "orders"})
			return err
		}},
		{"poll", reads, poll},
		{"commit", may, reader.Commit},
		{"topics", reads, func(ctx context.Context) error { _, err := b.Topics().List(ctx); return err }},
		{"describe", reads, func(ctx context.Context) error { _, err := b.Topics().Describe(ctx, "orders"); return err }},
		{"ends", reads, func(ctx context.Context) error { _, err := b.ListOffsets(ctx, "orders", samsa.Latest()); return err }},
		{"group", reads, func(ctx context.Context) error { _, err := b.Groups().Describe(ctx, "crew"); return err }},
		{"groups", reads, func(ctx context.Context) error { _, err := b.Groups().List(ctx); return err }},
		{"ensure", reads, func(ctx context.Context) error {
			_, err := b.Topics().Ensure(ctx, "orders", samsa.TopicConfig{})
			return err
		}},
	}
	allWell := func() {
		t.Helper()
		for _, call := range calls {
			if err := call.do(ctx); err != nil {
				t.Fatalf("%s: %v", call.name, err)
			}
		}
	}
	allWell()
	for _, day := range []struct {
		name       string
		away, back func() error
		listens    bool // what is sent is taken, but not answered
	}{
		{"halted", func() error { return c.Pause(1) }, func() error { return c.Resume(1) }, true},
		{"died", func() error { c.Kill(1); return nil }, func() error { return c.Restart(1) }, false},
		{"shut", func() error { return c.Shut(1) }, func() error { return c.Restart(1) }, false},
	} {
		t.Run(day.name, func(t *testing.T) {
			for r, err := range reader.RecordsUntil(ctx) { // what was there is read
				if err != nil {
					t.Fatal(err)
				}
				saw(r)
			}
			if err := day.away(); err != nil {
				t.Fatal(err)
			}
			for _, call := range calls {
				if call.name == "commit" { // there is nothing to commit
					continue
				}
				for sent := false; !sent; { // a slow machine may not come to that in time: nothing is stored then
					short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
					done := make(chan error, 1)
					go func() { done <- call.do(short) }()
					select {
					case err := <-done:
						if short.Err() == nil && !errors.Is(err, samsa.ErrUnavailable) || short.Err() != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, samsa.ErrUnavailable) {
							t.Errorf("%s: %v", call.name, err)
						}
						unknown := errors.Is(err, samsa.ErrOutcomeUnknown)
						if unknown && call.kind == reads || !unknown && ctx.Err() != nil {
							t.Errorf("%s: unknown %v: %v", call.name, unknown, err)
						}
						sent = unknown || call.kind != changes || !day.listens || ctx.Err() != nil
					case <-time.After(time.Minute):
						t.Fatalf("%s does not end with its context", call.name)
					}
					cancel()
				}
			}
			if err := day.back(); err != nil {
				t.Fatal(err)
			}
			allWell()
		})
	}
}
