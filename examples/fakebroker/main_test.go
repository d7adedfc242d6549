package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func newBroker(t *testing.T) *samsa.Broker {
	b := samsatest.New(t, samsatest.Topic(orders, 2), samsatest.Topic(receipts, 1))
	samsatest.Trace(t, b) // says what happened when the test fails
	return b
}

// start runs a service until stop is called, or the test ends. It counts what it bills.
func start(t *testing.T, b *samsa.Broker, name string) (billed func() int, stop func()) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	s, err := newService(t.Context(), b, name, func(order samsa.Record) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("%s, paid", order.Value), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.run(ctx); err != nil && !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return func() int { mu.Lock(); defer mu.Unlock(); return n }, stop
}

func TestHappyPath(t *testing.T) {
	b := newBroker(t)
	start(t, b, "one")
	samsatest.Produce(t, b, orders, "7=tea", "8=coffee")
	samsatest.WaitCommitted(t, b, group, orders, 2)
	samsatest.SameRecords(t, b, receipts, []string{"7=tea, paid", "8=coffee, paid"})
}

// Each case has a broker of its own, with the same orders in it, in a bubble of its own, where
// the pauses of the service cost nothing. Whatever goes wrong, in the end every order has one
// receipt.
func TestBrokerErrors(t *testing.T) {
	prepared := samsatest.New(t, samsatest.Topic(orders, 2), samsatest.Topic(receipts, 1))
	samsatest.Produce(t, prepared, orders, "7=tea", "8=coffee", "9=milk")
	for name, disturb := range map[string]func(b *samsa.Broker) *samsatest.Fault{
		"the receipts are refused": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, receipts).Next(2).Fail()
		},
		"the receipts take long": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, receipts).Next(1).Delay(10 * time.Second)
		},
		"the offsets are refused": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Commits(b, group).Next(2).Fail()
		},
		"the orders cannot be read": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Fetches(b, orders).Next(2).Fail()
		},
		"the group does not answer": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Joins(b, group).Next(2).Fail()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := samsatest.Fork(t, prepared)
				samsatest.Trace(t, b)
				fault := disturb(b)
				start(t, b, "one")
				fault.Wait(t)
				samsatest.WaitCommitted(t, b, group, orders, 3)
				samsatest.SameRecords(t, b, receipts, []string{"7=tea, paid", "8=coffee, paid", "9=milk, paid"})
			})
		})
	}
}

func TestTheDiskIsFullForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		samsatest.Produce(t, b, orders, "7=tea")
		full := samsatest.FillDisk(b)
		start(t, b, "one")
		time.Sleep(time.Hour)
		samsatest.Equal(t, b, receipts, nil)
		full.Remove()
		samsatest.WaitCommitted(t, b, group, orders, 1)
		samsatest.Equal(t, b, receipts, []string{"7=tea, paid"})
	})
}

// The first service is about to write receipts when it loses its orders to a second one. It
// is held there, with no sleep, until the second one has them. No order has two receipts.
func TestRebalanceInTheMiddle(t *testing.T) {
	b := newBroker(t)
	samsatest.Produce(t, b, orders, "7=tea", "8=coffee", "9=milk")
	held := samsatest.Appends(b, receipts).Next(1).Hold()
	one, _ := start(t, b, "one")
	held.Wait(t)
	samsatest.Expire(t, b, group, "one") // as if it had stopped for longer than its session
	two, _ := start(t, b, "two")
	samsatest.WaitCommitted(t, b, group, orders, 3)
	held.Remove()
	samsatest.WaitStable(t, b, group, 2) // one is back
	samsatest.SameRecords(t, b, receipts, []string{"7=tea, paid", "8=coffee, paid", "9=milk, paid"})
	if one() == 0 || two() == 0 {
		t.Errorf("one has billed %d orders and two %d: the test tests nothing", one(), two())
	}
}

// The process dies between the work and its commit. After the restart the orders come again,
// and every order has one receipt.
func TestCrashAndReplay(t *testing.T) {
	b := newBroker(t)
	samsatest.Produce(t, b, orders, "7=tea", "8=coffee")
	held := samsatest.Appends(b, receipts).Next(1).Hold()
	before, stop := start(t, b, "one")
	held.Wait(t)
	samsatest.Crash(t, b)
	stop()
	again := samsatest.Restart(t, b)
	samsatest.Equal(t, again, receipts, nil)
	after, _ := start(t, again, "one")
	samsatest.WaitCommitted(t, again, group, orders, 2)
	samsatest.SameRecords(t, again, receipts, []string{"7=tea, paid", "8=coffee, paid"})
	if before() == 0 || after() != 2 {
		t.Errorf("%d orders were billed before the crash and %d after it, want some and 2", before(), after())
	}
}

// A week costs nothing in a bubble. The service was away for longer than orders are kept, and
// goes on with those that are left.
func TestRetentionAfterAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		samsatest.Produce(t, b, orders, "7=tea", "8=coffee")
		_, stop := start(t, b, "one")
		samsatest.WaitCommitted(t, b, group, orders, 2)
		stop()
		samsatest.Produce(t, b, orders, "9=milk that nobody bills in time")
		time.Sleep(7*24*time.Hour + 10*time.Minute)
		samsatest.Equal(t, b, orders, nil)
		samsatest.Equal(t, b, receipts, nil)

		samsatest.Produce(t, b, orders, "10=water")
		start(t, b, "one")
		samsatest.WaitRecords(t, b, receipts, 1)
		samsatest.Equal(t, b, receipts, []string{"10=water, paid"})
	})
}

func TestMainProgram(t *testing.T) {
	var w bytes.Buffer
	if err := run(context.Background(), &w); err != nil {
		t.Fatal(err)
	}
	if got := w.String(); got != "receipt 7: one tea, paid\nreceipt 8: two coffees, paid\n" {
		t.Errorf("it says\n%s", got)
	}
}
