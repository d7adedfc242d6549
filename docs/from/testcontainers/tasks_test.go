// Samsa's side of each task of the page does what the page says.
package from

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// What the other side does with a client of franz-go works with a broker of Samsa too.
func TestStartAndFill(t *testing.T) {
	b, seed := samsaStart(t)
	if err := b.Topics().Create(t.Context(), "orders", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := containerFill(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	samsatest.SameRecords(t, b, "orders", []string{"7=tea", "8=milk"})
}

func TestOptions(t *testing.T) {
	b := samsaOptions(t)
	if err := b.Topics().Create(t.Context(), "orders", samsa.TopicConfig{Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 3)
	for range 3 {
		c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := c.Poll(ctx)
			ended <- errors.Join(err, c.Close())
		}()
	}
	if err := <-ended; !errors.Is(err, samsa.ErrGroupFull) {
		t.Error("the first to end:", err)
	}
	stop()
	<-ended
	<-ended
}

func TestTopic(t *testing.T) {
	info, err := samsaTopic(t).Topics().Describe(t.Context(), "orders")
	if err != nil || info.Config.Partitions != 3 {
		t.Error(info, err)
	}
}

func TestFillAndLook(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("receipts", 1))
	samsaFill(t, b)
	for _, r := range samsatest.Drain(t, b, "orders") {
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "receipts", Key: r.Key, Value: []byte("thanks")}); err != nil {
			t.Fatal(err)
		}
	}
	samsaLook(t, b)
}

func TestCases(t *testing.T) {
	prepared := samsatest.New(t, samsatest.Topic("orders", 1))
	samsaFill(t, prepared)
	ran := 0
	samsaCases(t, prepared, []string{"soap", "rope"}, func(t *testing.T, b *samsa.Broker) {
		ran++
		samsatest.Produce(t, b, "orders", "9=more")
		samsatest.Equal(t, b, "orders", []string{"7=tea", "8=milk", "9=more"})
	})
	if ran != 2 {
		t.Error("cases:", ran)
	}
}

func TestRefuse(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	if err := samsaRefuse(t, b); err != nil {
		t.Error(err)
	}
	samsatest.Equal(t, b, "orders", nil)
}

func TestDie(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsaFill(t, b)
	samsatest.Equal(t, samsaDie(t, b), "orders", []string{"7=tea", "8=milk"})
}

func TestWait(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsaFill(t, b)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
		for err == nil {
			var rs []samsa.Record
			if rs, err = c.Poll(ctx); err == nil {
				err = c.CommitRecords(ctx, rs...)
			}
		}
		ended <- errors.Join(err, c.Close())
	}()
	samsaWait(t, b)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRetention(t *testing.T) { samsaRetention(t) }
