package write_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/log"
)

// A call that has ended with its context, while its record was on its way, is stored before what later calls of the broker store in that partition, by
// whatever way those go: they wait for it.
func TestCallsWaitForStrays(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	k := kit.At(t, c.ListenAddrs())
	topic, b := k.Create("strays", 1), open(t, k, k.Name("id"))
	var lost atomic.Bool
	lost.Store(true)
	seen := make(chan struct{})
	var once sync.Once
	c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if !lost.Load() || r.(*kmsg.ProduceRequest).TransactionID != nil {
			return nil, nil, false
		}
		once.Do(func() { close(seen) })
		return nil, errors.New("lost"), true
	})
	ctx, cancel := context.WithCancel(k.Ctx)
	go func() {
		<-seen
		cancel()
	}()
	r := func(value string) samsa.Record { return samsa.Record{Topic: topic, Value: []byte(value)} }
	if _, err := b.Produce(ctx, r("stray")); !errors.Is(err, samsa.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	for what, later := range map[string]func(context.Context) error{
		"one": func(ctx context.Context) error {
			_, err := b.ProduceWith(ctx, samsa.ProduceOptions{Compression: log.CompressionZstd}, r("late"))
			return err
		},
		"two": func(ctx context.Context) error {
			_, err := b.Produce(ctx, r("late"), r("later"))
			return err
		},
		"an Update": func(ctx context.Context) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Produce(r("late")) })
		},
	} {
		ctx, cancel := context.WithTimeout(k.Ctx, 50*time.Millisecond)
		if err := later(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
	lost.Store(false)
	if _, err := b.Produce(k.Ctx, r("then"), r("then")); err != nil {
		t.Fatal(err)
	}
	consumer, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	var got []string
	for len(got) < 3 {
		records, err := consumer.Poll(k.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			got = append(got, string(r.Value))
		}
	}
	k.Want(got, []string{"stray", "then", "then"})
}
