package fake

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/kafka"
)

// Everything that can happen to a cluster can be asked for, and it is the same cluster, at the same addresses, after a restart.
func TestCluster(t *testing.T) {
	k, err := New(t.Context(), Options{
		Prepare: func(ctx context.Context, b *samsa.Broker) error {
			return b.Topics().Create(ctx, "orders", samsa.TopicConfig{Partitions: 2})
		},
		Serve: Kafka("127.0.0.1:0", 3, kafka.ClusterOptions{}),
	})
	must(t, err)
	defer func() { must(t, k.Close()) }()
	at := k.Addr()
	events := []api.ClusterEvent{
		{Do: "stop", Node: 1}, {Do: "start", Node: 1}, {Do: "kill", Node: 2}, {Do: "start", Node: 2}, {Do: "elect"}, {Do: "add", Rack: "far"},
		{Do: "remove", Node: 4}, {Do: "lead", Topic: "orders", Partition: 1, Node: 1}, {Do: "hold_reassignments"}, {Do: "reassign", Topic: "orders", Replicas: []int32{3, 1}},
		{Do: "hold_reassignments", Off: true}, {Do: "coordinate", Group: "readers", Node: 3}, {Do: "coordinate", Transaction: "bank", Node: 2}, {Do: "load", Group: "readers"}, {Do: "elect_unclean", Topic: "orders", Partition: 1, Node: 2, Offset: 0}, {Do: "lead", Topic: "orders", Partition: 1, Node: 1},
		{Do: "load", Transaction: "bank", Off: true}, {Do: "control", Node: 3}, {Do: "cut_off", Node: 1}, {Do: "cut_off", Node: 1, Off: true}, {Do: "slow", Node: 1},
		{Do: "stale", Node: 1}, {Do: "stale", Node: 1, Off: true}, {Do: "rebootstrap", Node: 1},
	}
	for _, do := range api.ClusterEvents() {
		if !slices.ContainsFunc(events, func(e api.ClusterEvent) bool { return e.Do == do }) {
			t.Errorf("%s is not tried", do)
		}
	}
	for _, e := range events {
		if _, err := k.ChangeCluster(t.Context(), e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	all, err := k.Cluster()
	must(t, err)
	if all.Controller != 3 || len(all.Nodes) != 3 || !all.Nodes[0].Runs || len(all.Partitions) != 2 || all.Partitions[1].Leader != 1 {
		t.Errorf("%+v", all)
	}
	for _, e := range []api.ClusterEvent{{Do: "sing"}, {Do: "stop", Node: 9}, {Do: "load"}, {Do: "lead", Topic: "nobody", Node: 1}} {
		if _, err := k.ChangeCluster(t.Context(), e); !errors.Is(err, samsa.ErrInvalid) && !errors.Is(err, samsa.ErrUnknown) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := k.ChangeCluster(t.Context(), api.ClusterEvent{Do: "sing"}); err == nil || !strings.Contains(err.Error(), "cut_off") {
		t.Errorf("what can be done is not told: %v", err)
	}
	must(t, k.Restart(t.Context(), api.Restart{Kill: "crash"}))
	if again, err := k.Cluster(); err != nil || k.Addr() != at || again.Partitions[1].Epoch <= all.Partitions[1].Epoch {
		t.Errorf("after a restart: %v at %s, was at %s, %+v", err, k.Addr(), at, again)
	}
	one, _ := begin(t)
	if _, err := one.Cluster(); !errors.Is(err, samsa.ErrUnsupported) {
		t.Errorf("one broker: %v", err)
	}
}
