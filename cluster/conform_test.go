package cluster_test

import (
	"context"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest/conform"
)

var update = flag.Bool("update", false, "write the columns of these places into the page")

// differs is what a cluster is not.
var differs = []conform.Difference{
	{Promises: "produce/dense", Why: "the end of a transaction takes an offset of each partition that it has written to"},
	{Promises: "topics/auto-create", Why: "cluster.Options has no AutoCreateTopics"},
	{Promises: "update/auto-create", Why: "cluster.Options has no AutoCreateTopics"},
	{Promises: "keys/view-offsets", Why: "a view reads offsets as they are when it is asked"},
	{Promises: "keys/*", Why: "a cluster has no keys of the application", Err: samsa.ErrUnsupported},
	{Promises: "reopen/keys", Why: "a cluster has no keys of the application", Err: samsa.ErrUnsupported},
	{Promises: "snapshot/*", Why: "a cluster has no snapshots", Err: samsa.ErrUnsupported},
	{Promises: "retention/*", Why: "the brokers of a cluster sweep and sync when they want to", Err: samsa.ErrUnsupported},
	{Promises: "end/*-own", Why: "it needs keys of the application", Err: samsa.ErrUnsupported},
}

// missing is what cluster.Open does not have so far, and could.
var missing = []conform.Difference{
	{Promises: "queue/*", Why: "queues are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "delivery/*", Why: "queues are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "reopen/queues", Why: "queues are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "topics/unknown", Why: "but for a queue, which is not there yet", Err: samsa.ErrUnsupported},
	{Promises: "group/kind", Why: "it needs queues, which are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "together/clients", Why: "it needs queues, which are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "end/context", Why: "it needs queues, which are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "end/closed", Why: "it needs queues, which are not there yet", Err: samsa.ErrUnsupported},
	{Promises: "end/wakes", Why: "it needs queues, which are not there yet", Err: samsa.ErrUnsupported},
}

// conforms tries the promises of the API on a cluster.
func conforms(t *testing.T, p conform.Place, seeds []string) {
	var mu sync.Mutex
	var opened []*samsa.Broker
	defer func() { // those of promises that cannot clean up what was not made are open
		for _, b := range opened {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	p.Differences = slices.Concat(differs, missing)
	p.Open = func(ctx context.Context, o conform.Options) (*samsa.Broker, error) {
		b, err := cluster.Open(ctx, cluster.Options{Seeds: seeds, Name: o.Data})
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			opened = append(opened, b)
		}
		return b, err
	}
	conform.CheckPage(t, "../docs/promises.md", *update, conform.Run(t, p))
}

func TestConformDoor(t *testing.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{
		InitialRebalanceDelay: -1, MinSessionTimeout: time.Second,
		Configs: map[string]string{"group.share.min.record.lock.duration.ms": "1000"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conforms(t, conform.Place{Name: "wire door", Session: time.Second, Patience: 20 * time.Second}, []string{srv.Addr().String()})
}

func TestConformKafka(t *testing.T) {
	conforms(t, conform.Place{Name: "Kafka"}, kit.Kafka(t))
}
