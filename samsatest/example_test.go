package samsatest_test

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// newExample stands in for the *testing.T that a test has.
func newExample() *fakeTest { return &fakeTest{name: "example"} }

// end ends an example as the end of a test would, and prints what a test would have failed with.
func (ft *fakeTest) end() {
	ft.cleanUp()
	for _, err := range ft.errs {
		fmt.Println(err)
	}
}

// thank is the code under test: it reads all orders and writes a receipt for each.
func thank(b *samsa.Broker) (err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	orders, err := c.Poll(ctx)
	if err != nil {
		return err
	}
	for _, order := range orders {
		_, err := b.Produce(ctx, samsa.Record{Topic: "receipts", Key: order.Key, Value: []byte("thanks")})
		if err != nil {
			return err
		}
	}
	return nil
}

func Example() {
	t := newExample() // the *testing.T of a test
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("receipts", 1))
	samsatest.Produce(t, b, "orders", "7=tea", "8=milk") // key=value
	fmt.Println(thank(b))
	samsatest.Equal(t, b, "receipts", []string{"7=thanks", "8=thanks"}) // else the test fails
	fmt.Println(samsatest.Texts(samsatest.Drain(t, b, "receipts")))
	// Output:
	// <nil>
	// [7=thanks 8=thanks]
}

func ExampleFork() {
	t := newExample()
	defer t.end()
	prepared := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Produce(t, prepared, "orders", "7=tea")
	for _, order := range []string{"8=milk", "9=water"} { // each case has its own
		b := samsatest.Fork(t, prepared)
		samsatest.Produce(t, b, "orders", order)
		fmt.Println(samsatest.Texts(samsatest.Drain(t, b, "orders")))
	}
	fmt.Println(samsatest.Texts(samsatest.Drain(t, prepared, "orders")))
	// Output:
	// [7=tea 8=milk]
	// [7=tea 9=water]
	// [7=tea]
}

func ExampleTarget_Fail() {
	t := newExample()
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("receipts", 1))
	samsatest.Produce(t, b, "orders", "7=tea")
	refused := samsatest.Appends(b, "receipts").Next(1).Fail()
	lost := samsatest.Appends(b, "receipts").Stored().Next(1).Fail()
	for range 3 {
		err := thank(b)
		fmt.Println(errors.Is(err, samsa.ErrUnavailable), len(samsatest.Drain(t, b, "receipts")))
	}
	fmt.Println("hits:", refused.Hits(), lost.Hits())
	// Output:
	// true 0
	// true 1
	// false 2
	// hits: 1 1
}

// A fault that holds is a barrier: the test knows where the code under test stands, and no
// sleep is needed.
func ExampleTarget_Hold() {
	t := newExample()
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("receipts", 1))
	samsatest.Produce(t, b, "orders", "7=tea")
	held := samsatest.Appends(b, "receipts").Next(1).Hold()
	done := make(chan error)
	go func() { done <- thank(b) }()
	held.Wait(t) // now it has read the order
	fmt.Println(samsatest.Texts(samsatest.Drain(t, b, "receipts")))
	held.Remove()
	fmt.Println(<-done, samsatest.Texts(samsatest.Drain(t, b, "receipts")))
	// Output:
	// []
	// <nil> [7=thanks]
}

func ExampleCrash() {
	t := newExample()
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Produce(t, b, "orders", "7=tea") // stored: it survives the process
	samsatest.Crash(t, b)
	_, err := b.Produce(ctx, samsatest.Record("orders", "8=milk"))
	fmt.Println(errors.Is(err, samsa.ErrClosed))
	again := samsatest.Restart(t, b)
	fmt.Println(samsatest.Texts(samsatest.Drain(t, again, "orders")))
	// Output:
	// true
	// [7=tea]
}

// What AckStored acknowledged may be lost with the power, if nothing was synced since.
func ExampleCutPower() {
	t := newExample()
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Produce(t, b, "orders", "7=tea")
	fmt.Println(b.Sync(ctx))
	samsatest.Produce(t, b, "orders", "8=milk")
	samsatest.CutPower(t, b)
	fmt.Println(samsatest.Texts(samsatest.Drain(t, samsatest.Restart(t, b), "orders")))
	// Output:
	// <nil>
	// [7=tea]
}

// ExampleCluster has the leader of a partition die. Clients are given c.Addrs().
func ExampleCluster() {
	t := newExample()
	defer t.end()
	b := samsatest.New(t, samsatest.Topic("orders", 3))
	c := samsatest.Cluster(t, b, 3)
	leader, epoch, err := c.Leader("orders", 0)
	fmt.Println("node", leader, "in epoch", epoch, err)
	err = c.Kill(leader)
	now, epoch, _ := c.Leader("orders", 0)
	fmt.Println("node", now, "in epoch", epoch, err)
	// Output:
	// node 2 in epoch 1 <nil>
	// node 3 in epoch 2 <nil>
}
