package clienttest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// ledger is what the members of a group have read, together.
type ledger struct {
	mu      sync.Mutex          // guards what follows
	seen    map[string][]string // by value: who read it
	changed chan struct{}       // closed and replaced when something is read
}

func newLedger() *ledger {
	return &ledger{seen: make(map[string][]string), changed: make(chan struct{})}
}

func (l *ledger) add(who, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[value] = append(l.seen[value], who)
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait waits until so many different values were read, and reports those read twice.
func (l *ledger) wait(k *kit, n int) {
	k.t.Helper()
	for {
		l.mu.Lock()
		changed, have := l.changed, len(l.seen)
		l.mu.Unlock()
		if have >= n {
			break
		}
		select {
		case <-changed:
		case <-k.ctx.Done():
			k.t.Fatalf("%d of %d records were read", have, n)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for value, who := range l.seen {
		if len(who) > 1 {
			k.t.Errorf("%s was read by %s", value, strings.Join(who, ", "))
		}
	}
}

// readers returns who has read something of values that begin so.
func (l *ledger) readers(prefix string) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	readers := make(map[string]int)
	for value, who := range l.seen {
		if strings.HasPrefix(value, prefix) {
			readers[who[0]]++
		}
	}
	return readers
}

// member is one that reads until it is told to leave. has hears how many partitions it has
// after each rebalance.
type member struct {
	name string
	run  func(ctx context.Context, k *kit, l *ledger, has func(int)) error
}

// crowd is a group whose members come and go.
type crowd struct {
	k  *kit
	l  *ledger
	wg sync.WaitGroup

	mu      sync.Mutex // guards what follows
	has     map[string]int
	changed chan struct{} // closed and replaced when has changes
}

func newCrowd(k *kit) *crowd {
	c := &crowd{k: k, l: newLedger(), has: make(map[string]int), changed: make(chan struct{})}
	return c
}

func (c *crowd) set(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has[name] = n
	close(c.changed)
	c.changed = make(chan struct{})
}

// join begins with a member; leave makes it leave, and waits until it has.
func (c *crowd) join(m member) (leave func()) {
	ctx, cancel := context.WithCancel(c.k.ctx)
	done := make(chan struct{})
	c.wg.Go(func() {
		defer close(done)
		if err := m.run(ctx, c.k, c.l, func(n int) { c.set(m.name, n) }); err != nil {
			c.k.t.Errorf("%s: %v", m.name, err)
		}
		c.set(m.name, 0)
	})
	c.k.t.Cleanup(func() { cancel(); <-done })
	return func() { cancel(); <-done }
}

// settle waits until each member named has as many partitions as it says.
func (c *crowd) settle(want map[string]int) {
	c.k.t.Helper()
	for {
		c.mu.Lock()
		changed, settled := c.changed, true
		for name, n := range want {
			settled = settled && c.has[name] == n
		}
		has := fmt.Sprint(c.has)
		c.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-changed:
		case <-c.k.ctx.Done():
			c.k.t.Fatalf("partitions are %s, want %v", has, want)
		}
	}
}

const (
	heartbeat       = 100 * time.Millisecond // by which members hear of a rebalance
	crowdTopic      = "t"
	crowdPartitions = 6
	crowdRecords    = 60 // of a round
)

// round produces a round of records, as many to each partition, and waits until they are read.
func (c *crowd) round(i int) {
	c.k.t.Helper()
	p, err := c.k.NewProducer(c.k.ctx, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		c.k.t.Fatal(err)
	}
	for r := range crowdRecords {
		p.Produce(c.k.ctx, samsa.Record{Topic: crowdTopic, Partition: int32(r % crowdPartitions), Value: fmt.Appendf(nil, "round %d record %d", i, r)}, nil)
	}
	if err := p.Close(); err != nil {
		c.k.t.Fatal(err)
	}
	c.l.wait(c.k, (i+1)*crowdRecords)
}

// goMember is a consumer of the Go API.
func goMember(name string) member {
	return member{name, func(ctx context.Context, k *kit, l *ledger, has func(int)) error {
		c, err := k.NewConsumer(ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{crowdTopic}, Member: samsa.MemberOptions{
			Assignors:         []samsa.Assignor{samsa.RangeAssignor()},
			HeartbeatInterval: heartbeat,
			OnAssigned:        func(_ context.Context, c *samsa.Consumer, _ []samsa.TopicPartition) { has(len(c.Assigned())) },
		}})
		if err != nil {
			return err
		}
		for {
			records, err := c.Poll(ctx)
			if err != nil {
				if ctx.Err() != nil {
					err = nil
				}
				return errors.Join(err, c.Close())
			}
			for _, r := range records {
				l.add(name, string(r.Value))
			}
		}
	}}
}

func saramaMember(name string) member {
	return member{name, func(ctx context.Context, k *kit, l *ledger, has func(int)) error {
		config := sarama.NewConfig()
		config.Consumer.Offsets.Initial = sarama.OffsetOldest
		config.Consumer.Group.Heartbeat.Interval = heartbeat
		g, err := sarama.NewConsumerGroup([]string{k.addr}, "g", config)
		if err != nil {
			return err
		}
		for ctx.Err() == nil && err == nil {
			err = g.Consume(ctx, []string{crowdTopic}, saramaCounter{func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
				l.add(name, string(m.Value))
				s.MarkMessage(m, "")
			}, has})
		}
		return errors.Join(err, g.Close())
	}}
}

// saramaCounter is a handler that tells how many partitions a session has.
type saramaCounter struct {
	saramaHandler
	has func(int)
}

func (c saramaCounter) Setup(s sarama.ConsumerGroupSession) error {
	c.has(len(s.Claims()[crowdTopic]))
	return nil
}

func franzMember(name string, balancer kgo.GroupBalancer) member {
	return member{name, func(ctx context.Context, k *kit, l *ledger, has func(int)) error {
		n := 0 // partitions; the callbacks do not overlap
		change := func(sign int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
				n += sign * len(partitions[crowdTopic])
				has(n)
			}
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(crowdTopic), kgo.Balancers(balancer),
			kgo.HeartbeatInterval(heartbeat),
			kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit(),
			kgo.OnPartitionsAssigned(change(1)), kgo.OnPartitionsRevoked(change(-1)), kgo.OnPartitionsLost(change(-1)))
		if err != nil {
			return err
		}
		defer cl.CloseAllowingRebalance()
		for {
			fetches := cl.PollFetches(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err := fetches.Err(); err != nil {
				return err
			}
			fetches.EachRecord(func(r *kgo.Record) { l.add(name, string(r.Value)) })
			if err := cl.CommitUncommittedOffsets(k.ctx); err != nil {
				return err
			}
			cl.AllowRebalance()
		}
	}}
}

// A Go consumer, sarama and franz-go share a topic: all have their part of it, and each record
// is read once, while they are three and when one of them has left.
func TestMixedGroup(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create(crowdTopic, crowdPartitions)
	c := newCrowd(k)
	c.join(goMember("go"))
	c.settle(map[string]int{"go": 6})
	c.round(0)
	c.join(saramaMember("sarama"))
	leave := c.join(franzMember("franz-go", kgo.RangeBalancer()))
	c.settle(map[string]int{"go": 2, "sarama": 2, "franz-go": 2})
	c.round(1)
	for _, name := range []string{"go", "sarama", "franz-go"} {
		if n := c.l.readers("round 1 ")[name]; n != crowdRecords/3 {
			t.Errorf("%s has read %d records of the second round, want %d", name, n, crowdRecords/3)
		}
	}
	leave()
	c.settle(map[string]int{"go": 3, "sarama": 3})
	c.round(2)
}

// Whatever franz-go's balancers do, two members read each record once.
func TestFranzBalancers(t *testing.T) {
	for _, b := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer()} {
		t.Run(b.ProtocolName(), func(t *testing.T) {
			k := inMemory(t, samsa.Options{})
			k.create(crowdTopic, crowdPartitions)
			c := newCrowd(k)
			leave := c.join(franzMember("first", b))
			c.settle(map[string]int{"first": 6})
			c.round(0)
			c.join(franzMember("second", b))
			c.settle(map[string]int{"first": 3, "second": 3})
			c.round(1)
			leave()
			c.settle(map[string]int{"second": 6})
			c.round(2)
		})
	}
}

// A consumer of topics by pattern finds those that match, also one that is created later, and no others.
func TestFranzRegex(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	for _, topic := range []string{"log.a", "log.b", "other"} {
		k.create(topic, 1)
		k.write(topic, []record{{Value: topic}})
	}
	cl := k.franz(kgo.ConsumeRegex(), kgo.ConsumeTopics(`^`+regexp.QuoteMeta("log.")), kgo.MetadataMinAge(metadataMinAge))
	defer cl.Close()
	got := make(map[string]bool)
	until := func(n int) {
		for len(got) < n {
			for _, r := range franzPoll(k, cl, 1) {
				got[string(r.Value)] = true
			}
		}
	}
	until(2)
	k.create("log.c", 1)
	k.write("log.c", []record{{Value: "log.c"}})
	cl.ForceMetadataRefresh()
	until(3)
	if !got["log.a"] || !got["log.b"] || !got["log.c"] {
		t.Errorf("read %v", got)
	}
}
