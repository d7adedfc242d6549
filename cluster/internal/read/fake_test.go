package read_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// fake returns a kit for a cluster of three brokers that are franz-go's fakes.
func fake(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, *kit.Kit) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kit.At(t, c.ListenAddrs())
}

// Partitions move from broker to broker while they are read: nothing is lost, and nothing comes twice.
func TestLeadersMove(t *testing.T) {
	c, k := fake(t)
	orders := k.Create("orders", 2)
	reader := k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: log.ReadCommitted})
	for n := range 30 {
		for p := range int32(2) {
			if err := c.MoveTopicPartition(orders, p, int32(n)%3); err != nil {
				t.Fatal(err)
			}
			k.Put(orders, p, strconv.Itoa(n))
		}
		if n%10 == 9 {
			want := make([]string, 0, 10)
			for i := n - 9; i <= n; i++ {
				want = append(want, strconv.Itoa(i))
			}
			k.Want(k.Read(reader, 20), map[int32][]string{0: want, 1: want})
		}
	}
}

// What a broker says is wrong with a partition is told with a Poll, and read again with the next one.
func TestRefused(t *testing.T) {
	for _, code := range []kafka.Code{29, 2, 43, -1} { // TOPIC_AUTHORIZATION_FAILED, CORRUPT_MESSAGE and others
		t.Run(code.Error(), func(t *testing.T) {
			c, k := fake(t)
			orders := k.Create("orders", 1)
			k.Put(orders, 0, "a")
			fail(c, int16(code), 2)
			reader := k.Consumer(consumer.Options{Topics: []string{orders}})
			for range 2 {
				_, err := reader.Poll(k.Ctx)
				k.WantError(err, code)
			}
			k.Want(k.Read(reader, 1), map[int32][]string{0: {"a"}})
		})
	}
}

// What passes is waited for.
func TestPassing(t *testing.T) {
	for _, code := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.UnknownTopicOrPartition,
		kerr.UnknownTopicID, kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.InconsistentTopicID, kerr.ReplicaNotAvailable,
	} {
		t.Run(code.Message, func(t *testing.T) {
			c, k := fake(t)
			orders := k.Create("orders", 1)
			k.Put(orders, 0, "a")
			fail(c, code.Code, 2)
			reader := k.Consumer(consumer.Options{Topics: []string{orders}})
			k.Want(k.Read(reader, 1), map[int32][]string{0: {"a"}})
		})
	}
}

// fail answers so many Fetch requests with an error for each partition.
func fail(c *kfake.Cluster, code int16, times int) {
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if times--; times >= 0 {
			c.KeepControl()
		}
		if times < 0 {
			return nil, nil, false
		}
		req := r.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// One broker that does not answer does not keep those of the others from being read.
func TestOneBrokerHangs(t *testing.T) {
	c, k := fake(t)
	orders := k.Create("orders", 2)
	for p := range int32(2) {
		if err := c.MoveTopicPartition(orders, p, p); err != nil {
			t.Fatal(err)
		}
	}
	k.Put(orders, 0, "a")
	k.Put(orders, 1, "x")
	hung := make(chan struct{})
	defer close(hung)
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() == 0 {
			c.SleepControl(func() { <-hung })
		}
		return nil, nil, false
	})
	reader := k.Consumer(consumer.Options{Topics: []string{orders}})
	k.Want(k.Read(reader, 1), map[int32][]string{1: {"x"}})
	k.Put(orders, 1, "y")
	k.Want(k.Read(reader, 1), map[int32][]string{1: {"y"}})
	ctx, cancel := context.WithTimeout(k.Ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := reader.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// A broker that has not heard of a topic, when it is asked who leads it, is asked again.
func TestOffsetsOfWhatIsNew(t *testing.T) {
	c, k := fake(t)
	orders := k.Create("orders", 1)
	k.Put(orders, 0, "a")
	unheard := 0
	c.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.MetadataRequest)
		if unheard == 2 || len(req.Topics) != 1 || req.Topics[0].Topic == nil || *req.Topics[0].Topic != orders {
			return nil, nil, false
		}
		unheard++
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		rt := kmsg.NewMetadataResponseTopic()
		rt.Topic, rt.ErrorCode = req.Topics[0].Topic, kerr.UnknownTopicOrPartition.Code
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	again := kit.At(t, c.ListenAddrs())
	moved := true // so that who asks has to ask again who leads
	c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if !moved {
			return nil, nil, false
		}
		moved = false
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = orders
		rp := kmsg.NewListOffsetsResponseTopicPartition()
		rp.ErrorCode = kerr.NotLeaderForPartition.Code
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	topic, err := again.Topics.Get(orders)
	if err != nil {
		t.Fatal(err)
	}
	p, err := topic.Partition(0)
	if err != nil {
		t.Fatal(err)
	}
	if offset, ok, err := p.OffsetForTime(again.Ctx, log.ReadUncommitted, 0); err != nil || !ok || offset != 0 {
		t.Fatalf("offset %d, %v, %v", offset, ok, err)
	}
	if unheard == 0 {
		t.Fatal("nobody was asked who leads the topic")
	}
}

// Who waits for the end of a transaction asks for all its partitions at once, and again for those where it has not come yet: until their topic is
// gone, or nobody waits any more.
func TestAwaitStable(t *testing.T) {
	c, k := fake(t, kfake.NumBrokers(1))
	orders := k.Create("orders", 3)
	var asked [][]int32
	last := func() {}
	c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		if req.Topics[0].Topic != orders {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		to := kmsg.NewListOffsetsResponseTopic()
		to.Topic = orders
		var partitions []int32
		for _, p := range req.Topics[0].Partitions {
			tp := kmsg.NewListOffsetsResponseTopicPartition()
			if tp.Partition, tp.Offset = p.Partition, 4; int(p.Partition) <= len(asked) {
				tp.Offset = 5
			}
			to.Partitions = append(to.Partitions, tp)
			partitions = append(partitions, p.Partition)
		}
		slices.Sort(partitions)
		asked, resp.Topics = append(asked, partitions), append(resp.Topics, to)
		last()
		return resp, nil, true
	})
	ends := map[log.TopicPartition]int64{kit.TP(orders, 0): 5, kit.TP(orders, 1): 5, kit.TP(orders, 2): 5}
	k.Topics.AwaitStable(k.Ctx, ends)
	k.Want(asked, [][]int32{{0, 1, 2}, {1, 2}, {2}})
	k.Want(k.Partition(orders, 2).LastStable(), 5)

	ends[kit.TP(orders, 2)] = 6
	ctx, cancel := context.WithCancel(k.Ctx)
	last = cancel
	k.Topics.AwaitStable(ctx, ends)
	last = func() { k.Topics.Deleted(orders) }
	k.Topics.AwaitStable(k.Ctx, ends)
	k.Want(k.Ctx.Err(), nil)
}
