package clienttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	wire "github.com/samsa-go/samsa/kafka"
)

// upheaval is a cluster of three nodes to which something happens every 100 ms, until it is over.
type upheaval struct {
	*kit
	c    *wire.Cluster
	over chan struct{} // closed when enough has happened
}

func newUpheaval(t *testing.T, topics ...string) *upheaval {
	t.Helper()
	k := inMemory(t, samsa.Options{})
	for _, topic := range topics {
		k.create(topic, 6)
	}
	c, err := wire.ListenCluster(k.Broker, 3, "127.0.0.1:0", wire.ClusterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &upheaval{kit: k, c: c, over: make(chan struct{})}
}

// run has n things happen to the leaders of topics, to the coordinators of groups and of transactional ids, and to the nodes. All
// nodes run when it returns.
func (u *upheaval) run(n int, topics, groups, ids []string) {
	defer close(u.over)
	r := rand.New(rand.NewPCG(1, 2))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	down := int32(0)
	anyOf := func(all []string) string { return all[r.IntN(len(all))] }
	for i := range n {
		select {
		case <-tick.C:
		case <-u.ctx.Done():
			u.t.Error("the upheaval ran out of patience")
			return
		}
		node := r.Int32N(3) + 1
		var err error
		switch what := r.IntN(6); {
		case down != 0:
			err = u.c.Start(down)
			down = 0
		case i == n-1:
		case what == 0:
			err, down = u.c.Kill(node), node
		case what == 1:
			err, down = u.c.Stop(node), node
		case what == 2:
			err = u.c.MoveGroup(anyOf(groups), node)
		case what == 3:
			err = u.c.MoveTransaction(anyOf(ids), node)
		case what == 4:
			err = u.c.ElectPreferred()
		default:
			for partition := range int32(6) {
				err = errors.Join(err, u.c.MoveLeader(anyOf(topics), partition, node))
			}
		}
		if err != nil {
			u.t.Error(err)
		}
	}
}

// isOver reports whether enough has happened.
func (u *upheaval) isOver() bool {
	select {
	case <-u.over:
		return true
	default:
		return false
	}
}

// franz returns a client of franz-go that does not wait for longer than a test likes.
func (u *upheaval) franz(opts ...kgo.Opt) *kgo.Client {
	u.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(u.c.Addrs()...), kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.RecordRetries(1 << 20), kgo.RequestRetries(1 << 20),
		kgo.RetryTimeout(time.Minute), kgo.DialTimeout(time.Second), kgo.AlwaysRetryEOF()}, opts...)...)
	if err != nil {
		u.t.Fatal(err)
	}
	return cl
}

// TestUpheaval has leaders and coordinators move and nodes die every 100 ms under idempotent producers of franz-go and sarama, exactly-once
// transformers and groups: nothing is lost, nothing is there twice, and the order of each key holds.
func TestUpheaval(t *testing.T) {
	const in, out, events = "in", "out", 60
	u := newUpheaval(t, in, out)
	var producers, others sync.WaitGroup
	sent := make([]int, 4) // by each producer
	for i := range 3 {
		producers.Go(func() { sent[i] = u.produceFranz(in, i) })
	}
	producers.Go(func() { sent[3] = u.produceSarama(in, 3) })
	done, cancel := context.WithCancel(u.ctx)
	defer cancel()
	ids := []string{"transformer-0", "transformer-1"}
	for _, id := range ids {
		others.Go(func() { u.transform(done, id, in, out) })
	}
	seen := &seenRecords{counts: make(map[string]int)}
	for range 2 {
		others.Go(func() { u.consume(done, in, seen) })
	}
	others.Go(func() { u.consumeKafkaGo(done, in, seen) })
	u.run(events, []string{in, out}, []string{"transformers", "readers", "kafka-go"}, ids)
	producers.Wait()
	total := 0
	for _, n := range sent {
		total += n
	}
	u.ordered(in, sent, total)
	u.ordered(out, sent, total)
	seen.wait(u, total)
	cancel()
	others.Wait()
	t.Logf("%d records, %d of them of sarama", total, sent[3])
}

// ordered checks that a topic has what each producer has sent, once and in order.
func (u *upheaval) ordered(topic string, sent []int, total int) {
	u.t.Helper()
	c, err := u.NewConsumer(u.ctx, samsa.ConsumerOptions{Topics: []string{topic}})
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	next := make(map[string]int)
	for n := 0; n < total; {
		recs, err := c.Poll(u.ctx)
		if err != nil {
			u.t.Fatalf("%s: %d of %d records: %v", topic, n, total, err)
		}
		for _, r := range recs {
			if want := fmt.Sprint(next[string(r.Key)]); string(r.Value) != want {
				u.t.Fatalf("%s/%d, offset %d: producer %s has %s, want %s", topic, r.Partition, r.Offset, r.Key, r.Value, want)
			}
			next[string(r.Key)]++
			n++
		}
	}
	for i, n := range sent {
		if got := next[fmt.Sprint(i)]; got != n {
			u.t.Errorf("%s has %d records of producer %d, want %d", topic, got, i, n)
		}
	}
}

// produceFranz produces until the upheaval is over, and returns how many records.
func (u *upheaval) produceFranz(topic string, id int) (n int) {
	cl := u.franz(kgo.DefaultProduceTopic(topic), kgo.ClientID(fmt.Sprint("producer-", id)))
	defer cl.Close()
	for !u.isOver() {
		for range 10 {
			cl.Produce(u.ctx, &kgo.Record{Key: fmt.Append(nil, id), Value: fmt.Append(nil, n)}, func(_ *kgo.Record, err error) {
				if err != nil {
					u.t.Errorf("producer %d: %v", id, err)
				}
			})
			n++
		}
		if err := cl.Flush(u.ctx); err != nil {
			u.t.Errorf("producer %d: %v", id, err)
			return n
		}
	}
	return n
}

// produceSarama is produceFranz with an idempotent producer of sarama.
func (u *upheaval) produceSarama(topic string, id int) (n int) {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Producer.Idempotent, config.Producer.RequiredAcks, config.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	config.Producer.Return.Successes, config.Producer.Retry.Max, config.Producer.Retry.Backoff = true, 1000, 20*time.Millisecond
	config.Metadata.Retry.Max, config.Metadata.Retry.Backoff = 100, 20*time.Millisecond
	p, err := sarama.NewSyncProducer(u.c.Addrs(), config)
	if err != nil {
		u.t.Error(err)
		return 0
	}
	defer func() { _ = p.Close() }()
	for ; !u.isOver(); n++ {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(id)), Value: sarama.StringEncoder(fmt.Sprint(n))})
		if err != nil {
			u.t.Errorf("sarama: record %d: %v", n, err)
			return n
		}
	}
	return n
}

// transform copies records exactly once until ctx ends.
func (u *upheaval) transform(ctx context.Context, id, in, out string) {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(u.c.Addrs()...), kgo.TransactionalID(id), kgo.ConsumerGroup("transformers"), kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(20*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.RequestRetries(1<<20), kgo.FetchMaxWait(100*time.Millisecond), kgo.HeartbeatInterval(100*time.Millisecond), kgo.DialTimeout(time.Second), kgo.AlwaysRetryEOF())
	if err != nil {
		u.t.Error(err)
		return
	}
	defer s.Close()
	for ctx.Err() == nil {
		fetches := s.PollFetches(ctx)
		if fetches.Empty() {
			continue
		}
		if err := s.Begin(); err != nil {
			u.t.Errorf("%s: begin: %v", id, err)
			return
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: out, Partition: r.Partition, Key: r.Key, Value: r.Value}, nil)
		})
		_, err := s.End(ctx, kgo.TryCommit)
		for err != nil && ctx.Err() == nil { // its coordinator was dead when it was dialed: what was not committed comes again
			_, err = s.End(ctx, kgo.TryAbort)
		}
	}
}

// seenRecords is what groups were given, at least once each.
type seenRecords struct {
	mu     sync.Mutex
	counts map[string]int // different records, by group
	all    sync.Map
}

func (s *seenRecords) add(group string, key, value []byte) {
	if _, again := s.all.LoadOrStore(group+"/"+string(key)+"/"+string(value), true); again {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[group]++
}

// wait waits until both groups have seen everything.
func (s *seenRecords) wait(u *upheaval, total int) {
	u.t.Helper()
	for {
		s.mu.Lock()
		readers, kafkaGo := s.counts["readers"], s.counts["kafka-go"]
		s.mu.Unlock()
		if readers == total && kafkaGo == total {
			return
		}
		select {
		case <-u.ctx.Done():
			u.t.Fatalf("readers have %d, kafka-go %d of %d records", readers, kafkaGo, total)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (u *upheaval) consume(ctx context.Context, topic string, seen *seenRecords) {
	cl := u.franz(kgo.ConsumerGroup("readers"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(100*time.Millisecond), kgo.FetchMaxWait(100*time.Millisecond))
	defer cl.Close()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen.add("readers", r.Key, r.Value) })
	}
}

func (u *upheaval) consumeKafkaGo(ctx context.Context, topic string, seen *seenRecords) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: u.c.Addrs(), GroupID: "kafka-go", Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond, MaxAttempts: 1000,
		HeartbeatInterval: 100 * time.Millisecond, JoinGroupBackoff: 20 * time.Millisecond, ReadBackoffMin: 10 * time.Millisecond, ReadBackoffMax: 50 * time.Millisecond,
	})
	defer func() { _ = r.Close() }()
	for {
		m, err := r.FetchMessage(ctx) // ReadMessage gives no message when its commit fails, and the next commit passes it
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			seen.add("kafka-go", m.Key, m.Value)
			_ = r.CommitMessages(ctx, m) // else the next one does
		}
	}
}
