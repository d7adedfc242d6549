// Package sides runs a task of a page on both sides, each on a broker of its own.
package sides

import (
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// ErrStop is for functions of tests that end a task.
var ErrStop = errors.New("that is enough")

// Run runs a task of the side with that name, and then Samsa's, each on a new broker that setup has filled, and looks at what it has
// done. setup and look may be nil. There are the topics orders, of two partitions, and receipts, and those that are named.
func Run(t *testing.T, setup func(b *samsa.Broker), name string, theirs, ours func(b *samsa.Broker) error, look func(t *testing.T, b *samsa.Broker), topics ...string) {
	t.Helper()
	for name, run := range map[string]func(b *samsa.Broker) error{name: theirs, "samsa": ours} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("receipts", 1), samsatest.AllowOpenClients())
			for _, topic := range topics {
				if err := b.Topics().Create(t.Context(), topic, samsa.TopicConfig{}); err != nil {
					t.Fatal(err)
				}
			}
			if setup != nil {
				setup(b)
			}
			if err := run(b); err != nil {
				t.Fatal(err)
			}
			if look != nil {
				look(t, b)
			}
		})
	}
}

// Put stores orders in partition 0, an hour apart; the last one now.
func Put(t *testing.T, values ...string) func(b *samsa.Broker) {
	return func(b *samsa.Broker) {
		for i, v := range values {
			at := time.Now().Add(time.Duration(i+1-len(values)) * time.Hour)
			r := samsa.Record{Topic: "orders", Key: []byte("7"), Value: []byte(v), Timestamp: at}
			if _, err := b.ProduceWith(t.Context(), samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Behind stores three orders, of which the group billing has done one.
func Behind(t *testing.T) func(b *samsa.Broker) {
	return func(b *samsa.Broker) {
		Put(t, "tea", "milk", "soap")(b)
		if err := b.Groups().SetOffsets(t.Context(), "billing", map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "orders"}: {Offset: 1}}); err != nil {
			t.Fatal(err)
		}
	}
}

// Committed looks how far the group billing is in partition 0.
func Committed(want int64) func(t *testing.T, b *samsa.Broker) {
	return func(t *testing.T, b *samsa.Broker) {
		t.Helper()
		got, err := b.Groups().Committed(t.Context(), "billing")
		if at := got[samsa.TopicPartition{Topic: "orders"}].Offset; err != nil || at != want {
			t.Errorf("committed %v, %v, want %d", got, err, want)
		}
	}
}

// Sent looks at the order of the task Send.
func Sent(t *testing.T, b *samsa.Broker) {
	t.Helper()
	r := samsatest.Drain(t, b, "orders")[0]
	if string(r.Value) != "tea" || !has(r.Headers, "shop", "Prague") {
		t.Errorf("stored %v", r)
	}
}

func has(headers []samsa.Header, key, value string) bool {
	for _, h := range headers {
		if h.Key == key && string(h.Value) == value {
			return true
		}
	}
	return false
}

// Created looks at the topic of the task Create.
func Created(t *testing.T, b *samsa.Broker) {
	t.Helper()
	info, err := b.Topics().Describe(t.Context(), "clicks")
	if err != nil || info.Config.Partitions != 3 || info.Config.Retention != 24*time.Hour {
		t.Errorf("created %+v, %v", info, err)
	}
}

// Member calls f with a member of the group billing that commits by hand.
func Member(t *testing.T, f func(b *samsa.Broker, c *samsa.Consumer) error) func(b *samsa.Broker) error {
	return func(b *samsa.Broker) error {
		c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			return err
		}
		return errors.Join(f(b, c), c.Close())
	}
}

// Unless returns err if it is not the one that was expected.
func Unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return errors.Join(errors.New("it has ended otherwise"), err)
}
