package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// A leader that had not all records takes some back that were read. Who has read them is moved, as his policy says, and told, though
// there are as many new ones now: nobody reads on as if nothing had been.
func TestTruncation(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Nodes: 3, Configs: map[string]string{"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Inside()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	b, err := cluster.Open(ctx, cluster.Options{Seeds: c.Seeds()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	createAt(t, cl, "orders", 1, 2)
	createAt(t, cl, "lonely", 2)
	for _, topic := range []string{"orders", "lonely"} {
		for err := errors.New(""); err != nil; _, err = b.Topics().Describe(ctx, topic) { // not every broker has heard of it
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	resets := make(map[samsa.ResetPolicy]*samsa.Reset)
	readers := make(map[samsa.ResetPolicy]*samsa.Consumer)
	for _, policy := range []samsa.ResetPolicy{samsa.ResetEarliest, samsa.ResetLatest, samsa.ResetError} {
		reader, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
			Topics: []string{"orders"}, OutOfRange: policy,
			OnReset: func(_ context.Context, _ *samsa.Consumer, r samsa.Reset) { resets[policy] = &r },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = reader.Close() }()
		readers[policy] = reader
	}
	grouped := func() *samsa.Consumer {
		t.Helper()
		reader, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "crew", Topics: []string{"orders"}, OutOfRange: samsa.ResetError})
		if err != nil {
			t.Fatal(err)
		}
		return reader
	}
	inGroup := grouped()
	for err := errors.New(""); err != nil; { // the topic of offsets is made while all its replicas run: without one of them it never would be
		found := kadm.NewClient(cl).FindGroupCoordinators(ctx, "crew")
		if err = found.Error(); ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	put(0, 10)
	c.Kill(2)
	put(10, 20)
	for _, reader := range append(values(readers), inGroup) {
		if got := collect(t, ctx, reader, 20); got[19] != "19" {
			t.Fatal(got)
		}
	}
	if err := errors.Join(inGroup.Commit(ctx), inGroup.Close()); err != nil {
		t.Fatal(err)
	}

	// Nobody leads this one: who asks how far it is does not wait for ever.
	if _, err := b.Topics().Describe(ctx, "lonely"); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "lonely") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("describe a partition that nobody leads: %v", err)
	}

	c.Kill(1)
	if err := c.Restart(2); err != nil {
		t.Fatal(err)
	}
	if err := leadUncleanly(ctx, cl, "orders", 2); err != nil {
		t.Fatal(err)
	}
	for i := range 30 { // more than were lost
		if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: fmt.Append(nil, "new", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := collect(t, ctx, readers[samsa.ResetEarliest], 40); got[9] != "9" || got[10] != "new0" {
		t.Errorf("from the first: %v", got)
	}
	if _, err := polled(ctx, readers[samsa.ResetError]); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
		t.Errorf("want an error, got %v", err)
	}
	for resets[samsa.ResetLatest] == nil {
		short, cancel := context.WithTimeout(ctx, time.Second)
		records, err := polled(short, readers[samsa.ResetLatest])
		cancel()
		if len(records) > 0 && resets[samsa.ResetLatest] == nil {
			t.Fatalf("read on at %d: %s", records[0].Offset, records[0].Value)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	for policy, want := range map[samsa.ResetPolicy][]int64{samsa.ResetEarliest: {20, 0}, samsa.ResetLatest: {20, 40}} {
		if r := resets[policy]; r == nil || r.From != want[0] || policy == samsa.ResetEarliest && r.To != want[1] {
			t.Errorf("%v: moved %+v, want %v", policy, r, want)
		}
	}
	again := grouped()
	defer func() { _ = again.Close() }()
	if records, err := polled(ctx, again); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
		t.Errorf("a member that comes back: %v, %v", records, err)
	}
}

func values(readers map[samsa.ResetPolicy]*samsa.Consumer) (all []*samsa.Consumer) {
	for _, r := range readers {
		all = append(all, r)
	}
	return all
}

// polled polls once more while a broker is asked that was killed.
func polled(ctx context.Context, c *samsa.Consumer) ([]samsa.Record, error) {
	for {
		records, err := c.Poll(ctx)
		if !errors.Is(err, samsa.ErrUnavailable) || ctx.Err() != nil {
			return records, err
		}
	}
}

// collect polls n records, and returns their values.
func collect(t *testing.T, ctx context.Context, c *samsa.Consumer, n int) (got []string) {
	t.Helper()
	for len(got) < n {
		records, err := polled(ctx, c)
		if err != nil {
			t.Fatal(err, got)
		}
		for _, r := range records {
			got = append(got, string(r.Value))
		}
	}
	return got
}

// createAt creates a topic of one partition, whose replicas are at these nodes.
func createAt(t *testing.T, cl *kgo.Client, name string, nodes ...int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: nodes}}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
}

// leadUncleanly returns once a node leads a partition of which it may lack records.
func leadUncleanly(ctx context.Context, cl *kgo.Client, topic string, node int32) error {
	adm := kadm.NewClient(cl)
	set := make(kadm.TopicsSet)
	set.Add(topic, 0)
	for {
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, _ = adm.ElectLeaders(asked, kadm.ElectLiveReplica, set) // it may lead already, or the controller is not there yet
		found, err := adm.ListTopics(asked, topic)
		cancel()
		if err == nil && found[topic].Partitions[0].Leader == node {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
