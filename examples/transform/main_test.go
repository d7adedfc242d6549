package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"thanks for tea\n", "thanks for milk\n", "thanks for water\n"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("printed %q, want %q in it once", out.String(), want)
		}
	}
}

// Each case is in a bubble of its own, where the pauses of the client cost nothing. Whatever goes wrong, in the end every
// order has one receipt.
func TestFaults(t *testing.T) {
	end := kmsg.EndTxn.Int16()
	for name, disturb := range map[string]func(b *samsa.Broker) *samsatest.Fault{
		"a record is refused, and the transaction has to be aborted": func(b *samsa.Broker) *samsatest.Fault {
			abortable := samsatest.Code(kerr.TransactionAbortable.Code)
			return samsatest.Requests(b, kmsg.Produce.Int16()).OfTransaction(txnID).Next(1).FailWith(abortable)
		},
		"the commit is refused, and the transaction has to be aborted": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Requests(b, end).OfTransaction(txnID).Next(1).FailWith(samsatest.Code(kerr.TransactionAbortable.Code))
		},
		"the coordinator has moved": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Transactions(b, txnID).Next(3).FailWith(samsatest.Code(kerr.NotCoordinator.Code))
		},
		"a record is stored, and the answer says that it is not": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, receipts).Stored().Next(1).Fail()
		},
		"the commit is done, and the answer to it is lost": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Requests(b, end).OfTransaction(txnID).Answers().Next(1).Fail()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t)
				fault := disturb(b)
				start(t, b)
				fault.Wait(t)
				thanked(t, b)
			})
		})
	}
}

// The transaction is about to be committed when somebody else ends it.
func TestEndedBefore(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, b *samsa.Broker){
		"it has taken too long": func(t *testing.T, b *samsa.Broker) { samsatest.ExpireTransaction(t, b, txnID) },
		"its producer is fenced": func(t *testing.T, b *samsa.Broker) {
			if err := b.Transactions().Fence(t.Context(), txnID); err != nil {
				t.Fatal(err)
			}
		},
		"it is aborted by hand": func(t *testing.T, b *samsa.Broker) {
			time.Sleep(10 * time.Second)
			if err := abortStuck(t.Context(), b, 5*time.Second, t.Output()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t)
				held := samsatest.Requests(b, kmsg.EndTxn.Int16()).OfTransaction(txnID).Next(1).Hold()
				start(t, b)
				held.Wait(t)
				samsatest.Equal(t, b, receipts, nil) // they are there, and not committed
				disturb(t, b)
				held.Remove()
				thanked(t, b)
			})
		})
	}
}

// A transaction is aborted in all its partitions, and another one stays.
func TestAbortStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic(orders, 2))
		pipe := samsatest.KafkaPipe(t, b)
		begin := func(id string, partitions ...int32) *kgo.Client {
			cl, err := kgo.NewClient(kgo.SeedBrokers(pipe.Addr().String()), kgo.Dialer(pipe.DialContext),
				kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, p := range partitions {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: orders, Partition: p, Value: []byte(id)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			return cl
		}
		stuck := begin("stuck", 0, 1)
		defer stuck.Close()
		time.Sleep(10 * time.Second)
		alive := begin("alive", 1)
		defer alive.Close()
		var out strings.Builder
		if err := abortStuck(t.Context(), b, 5*time.Second, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != "aborted the transaction of \"stuck\", open in orders/0 since offset 0\n" {
			t.Errorf("it says %q", got)
		}
		if err := stuck.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
			t.Error("committed what was aborted")
		}
		if err := alive.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Error(err)
		}
		samsatest.Equal(t, b, orders, []string{"alive"})
	})
}

func newBroker(t *testing.T) *samsa.Broker {
	b := samsatest.New(t, samsatest.Topic(orders, 1), samsatest.Topic(receipts, 1))
	samsatest.Trace(t, b)
	samsatest.Produce(t, b, orders, "7=tea", "8=milk", "9=water")
	return b
}

// start works for b until the end of the test.
func start(t *testing.T, b *samsa.Broker) {
	pipe := samsatest.KafkaPipe(t, b)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := transform(ctx, kgo.SeedBrokers(pipe.Addr().String()), kgo.Dialer(pipe.DialContext)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
}

func thanked(t *testing.T, b *samsa.Broker) {
	t.Helper()
	samsatest.WaitCommitted(t, b, group, orders, 3)
	samsatest.Equal(t, b, receipts, []string{"7=thanks for tea", "8=thanks for milk", "9=thanks for water"})
}
