package main

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/samsatest"
)

// Another broker leads after each record, and in the end one has died: the client finds who leads by itself.
func TestLeaderMoves(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic(orders, 1))
	c := samsatest.Cluster(t, b, 3)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic(orders), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, disturb := range []func(leader int32) error{
		func(leader int32) error { return c.MoveLeader(orders, 0, leader%3+1) },
		c.Kill,
		func(int32) error { return nil },
	} {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("tea")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		leader, _, err := c.Leader(orders, 0)
		if err == nil {
			err = disturb(leader)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	samsatest.Equal(t, b, orders, []string{"tea", "tea", "tea"})
}
