package cluster_test

import (
	"context"
	"flag"
	"slices"
	"strings"
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
	{Promises: "queue/idle", Why: "a member of a share group reads the partitions that the cluster has assigned to it, and they wait for it"},
	{Promises: "queue/in-flight", Why: "a share group takes 100 to 4000", Err: samsa.ErrInvalidConfig},
	{Promises: "queue/by-key", Why: "share groups have no order", Err: samsa.ErrUnsupported},
	{Promises: "delivery/release-later", Why: "share groups have no waits", Err: samsa.ErrUnsupported},
	{Promises: "delivery/retry", Why: "share groups have no waits", Err: samsa.ErrUnsupported},
	{Promises: "delivery/reject", Why: "a topic has to let dead letters in, by errors.deadletterqueue.group.enable", Err: samsa.ErrInvalidConfig},
	{Promises: "delivery/too-often", Why: "a topic has to let dead letters in, by errors.deadletterqueue.group.enable", Err: samsa.ErrInvalidConfig},
	{Promises: "delivery/reject-in-update", Why: "a topic has to let dead letters in, by errors.deadletterqueue.group.enable", Err: samsa.ErrInvalidConfig},
	{Promises: "delivery/in-update", Why: "share groups have no transactions", Err: samsa.ErrUnsupported},
	{Promises: "keys/view-offsets", Why: "a view reads offsets as they are when it is asked"},
	{Promises: "table/kept", Why: "rows are kept in the store of a broker of this process", Err: samsa.ErrUnsupported},
	{Promises: "table/put", Why: "who writes to a cluster is asked by nobody before", Err: samsa.ErrUnsupported},
	{Promises: "table/read-in-update", Why: "who writes to a cluster is asked by nobody before", Err: samsa.ErrUnsupported},
	{Promises: "table/view", Why: "a cluster has no order of the writes to different partitions", Err: samsa.ErrUnsupported},
	{Promises: "snapshot/*", Why: "a cluster has no snapshots", Err: samsa.ErrUnsupported},
	{Promises: "retention/*", Why: "the brokers of a cluster sweep and sync when they want to", Err: samsa.ErrUnsupported},
}

// differsKafka is what Kafka is not, and our own door is.
var differsKafka = []conform.Difference{
	{Promises: "queue/not-before", Why: "NotBefore is a header like others to a share group of Kafka"},
	{Promises: "queue/describe", Why: "Kafka tells the start of a share group as it was before the last acknowledgement"},
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
	p.Differences = slices.Concat(p.Differences, differs)
	p.Open = func(ctx context.Context, o conform.Options) (*samsa.Broker, error) {
		opts := cluster.Options{Seeds: seeds, Name: o.Data, AutoCreateTopics: o.AutoCreateTopics, Hooks: o.Hooks}
		if strings.Contains(o.Data, "-keys") { // a topic each
			opts.Keys = o.Data
		}
		b, err := cluster.Open(ctx, opts)
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
		Configs: kit.ShareBounds,
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
	conforms(t, conform.Place{Name: "Kafka", Differences: differsKafka}, kit.Kafka(t))
}
