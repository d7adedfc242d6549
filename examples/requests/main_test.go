package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"a=3", "b=1", "a=4", "a=x"}, &out); err != nil {
		t.Fatal(err)
	}
	const want = "a=3: 3\nb=1: 1\na=4: 7\na=x: refused: \"x\" is no number\n"
	if out.String() != want {
		t.Errorf("it prints %q, want %q", out.String(), want)
	}
}

func newBroker(t *testing.T) *samsa.Broker {
	t.Helper()
	b := samsatest.New(t)
	if err := create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

func ask(t *testing.T, b *samsa.Broker, partition int32) *client {
	t.Helper()
	cl, err := newClient(t.Context(), b, partition)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// start has a server answer until stop is called, or b is killed.
func start(t *testing.T, b *samsa.Broker, fn answer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := serve(ctx, b, fn)
		for _, want := range []error{context.Canceled, samsa.ErrClosed, samsa.ErrFailed} {
			if errors.Is(err, want) {
				return
			}
		}
		t.Errorf("the server ends by %v", err)
	})
	return func() { cancel(); wg.Wait() }
}

// Several clients ask several servers at once, of which one ends meanwhile: each gets its own replies, and all is carried out once.
func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		stop, leave := start(t, b, add), start(t, b, add)
		var wg sync.WaitGroup
		for n := range int32(4) {
			wg.Go(func() {
				cl := ask(t, b, n)
				for i := 1; i <= 20; i++ {
					got, err := cl.ask(t.Context(), fmt.Sprint("key", n), "1")
					if err != nil || got != strconv.Itoa(i) {
						t.Errorf("client %d: %q, %v, want %d", n, got, err, i)
					}
					if n == 0 && i == 5 {
						leave()
					}
				}
				if err := cl.close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		stop()
		samsatest.WaitCommitted(t, b, group, requests, 80)
	})
}

// All is killed when the request was carried out and its client has not heard of that. It is not carried out again.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		hold := samsatest.Appends(b, replies).Stored().Hold()
		stop := start(t, b, add)
		cl := ask(t, b, 0)
		ended := make(chan error)
		go func() {
			_, err := cl.ask(t.Context(), "a", "3")
			ended <- err
		}()
		hold.Wait(t)
		samsatest.Crash(t, b)
		<-ended // with the reply or without it
		stop()
		_ = cl.close()
		b = samsatest.Restart(t, b)
		stop = start(t, b, add)
		cl = ask(t, b, 0)
		if got, err := cl.ask(t.Context(), "a", "4"); err != nil || got != "7" {
			t.Errorf("the sum is %q, %v", got, err)
		}
		stop()
		if err := cl.close(); err != nil {
			t.Error(err)
		}
		samsatest.SameRecords(t, b, replies, []string{"a=3", "a=7"})
	})
}

// A request that nobody waits for any more is not carried out, and one with a wrong place for its reply stops nobody.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		cl := ask(t, b, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := cl.ask(ctx, "a", "3"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a server the request is %v", err)
		}
		lost := samsatest.Record(requests, "a=5")
		lost.Headers = []samsa.Header{{Key: replyTo, Value: []byte("99")}}
		if _, err := b.Produce(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		stop := start(t, b, add)
		if got, err := cl.ask(t.Context(), "a", "4"); err != nil || got != "9" {
			t.Errorf("the sum is %q, %v", got, err)
		}
		if err := cl.close(); err != nil {
			t.Error(err)
		}
		if _, err := cl.ask(t.Context(), "a", "1"); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("a client that is closed: %v", err)
		}
		stop()
	})
}
