package clienttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/samsa-go/samsa"
)

// sarama's functional tests want five brokers at fixed ports, behind toxiproxy, and docker to stop one of them. These are
// those of its transactions (functional_producer_test.go, functional_consumer_test.go and those of the requests that
// describe transactions), as far as one broker can do: where they stop the coordinator and another broker takes over, here
// it is killed and started again. What remains of the rest is TestSaramaVersions, and the matrix.

// saramaTransactional is a producer as those tests have it.
func (k *kit) saramaTransactional(id string, version sarama.KafkaVersion) sarama.AsyncProducer {
	k.t.Helper()
	c := saramaTransactionConfig(id, version)
	p, err := sarama.NewAsyncProducer([]string{k.addr}, c)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(p.AsyncClose)
	return p
}

func saramaTransactionConfig(id string, version sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version, c.ApiVersionsRequest = version, true
	c.ChannelBufferSize = 20
	c.Producer.Partitioner = sarama.NewManualPartitioner // partition 0
	c.Producer.Flush.Frequency, c.Producer.Flush.Messages = 5*time.Millisecond, 200
	c.Producer.Idempotent, c.Producer.Transaction.ID, c.Producer.RequiredAcks = true, id, sarama.WaitForAll
	c.Producer.Retry.Max, c.Producer.Transaction.Retry.Max = 50, 200
	c.Consumer.IsolationLevel, c.Consumer.Offsets.AutoCommit.Enable = sarama.ReadCommitted, false
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Net.MaxOpenRequests = 1
	return c
}

// saramaCommitted returns what is committed in partition 0 of a topic, as it comes.
func (k *kit) saramaCommitted(topic string) <-chan *sarama.ConsumerMessage {
	k.t.Helper()
	c, err := sarama.NewConsumer([]string{k.addr}, saramaTransactionConfig("", sarama.MaxVersion))
	if err != nil {
		k.t.Fatal(err)
	}
	pc, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		pc.AsyncClose()
		for range pc.Messages() { // until it is closed
		}
		_ = c.Close()
	})
	return pc.Messages()
}

// next checks which values come next.
func (k *kit) next(messages <-chan *sarama.ConsumerMessage, values ...string) {
	k.t.Helper()
	for _, want := range values {
		select {
		case m := <-messages:
			if m == nil || string(m.Value) != want {
				k.t.Fatalf("got %+v, want %q", m, want)
			}
		case err := <-k.ended():
			k.t.Fatalf("waited for %q: %v", want, err)
		}
	}
}

// ended tells when the test has lost patience.
func (k *kit) ended() <-chan error {
	c := make(chan error, 1)
	context.AfterFunc(k.ctx, func() { c <- k.ctx.Err() })
	return c
}

// must ends the test at the first error.
func (k *kit) must(errs ...error) {
	k.t.Helper()
	if err := errors.Join(errs...); err != nil {
		k.t.Fatal(err)
	}
}

func message(topic, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)}
}

func TestSaramaTransactions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	for name, story := range map[string]func(k *kit, topic string){
		"no-begin": func(k *kit, topic string) { // TestFuncTxnProduceNoBegin
			p := k.saramaTransactional(topic, sarama.MaxVersion)
			p.Input() <- message(topic, "too early")
			select {
			case err := <-p.Errors():
				if err == nil {
					k.t.Error("a record is taken that is in no transaction")
				}
			case err := <-k.ended():
				k.t.Fatal(err)
			}
		},
		"no-messages": func(k *kit, topic string) { // TestFuncTxnCommitNoMessages
			p := k.saramaTransactional(topic, sarama.MaxVersion)
			k.must(p.BeginTxn(), p.AbortTxn(), p.BeginTxn(), p.CommitTxn())
		},
		"two-in-turn": func(k *kit, topic string) { // TestFuncTxnProduce, TestFuncTxnProduceEpochBump
			p, messages := k.saramaTransactional(topic, sarama.MaxVersion), k.saramaCommitted(topic)
			for _, value := range []string{"first", "second"} {
				k.must(p.BeginTxn())
				p.Input() <- message(topic, value)
				k.must(p.CommitTxn())
				k.next(messages, value)
			}
		},
		"two-at-once": func(k *kit, topic string) { // TestFuncTxnProduceMultiTxn
			p, other := k.saramaTransactional(topic, sarama.MaxVersion), k.saramaTransactional(topic+" other", sarama.MaxVersion)
			messages := k.saramaCommitted(topic)
			k.must(p.BeginTxn(), other.BeginTxn())
			for range 2 {
				p.Input() <- message(topic, "committed")
				other.Input() <- message(topic, "aborted")
			}
			k.must(p.CommitTxn(), other.AbortTxn())
			k.must(p.BeginTxn())
			p.Input() <- message(topic, "last")
			k.must(p.CommitTxn())
			k.next(messages, "committed", "committed", "last")
		},
		"aborted": func(k *kit, topic string) { // TestFuncTxnAbortedProduce, TestReadOnlyAndAllCommittedMessages
			c := saramaTransactionConfig(topic, sarama.MaxVersion)
			c.Producer.Return.Successes = true
			p, err := sarama.NewAsyncProducer([]string{k.addr}, c)
			k.must(err)
			k.t.Cleanup(p.AsyncClose)
			messages := k.saramaCommitted(topic)
			k.must(p.BeginTxn())
			for range 2 {
				p.Input() <- message(topic, "aborted")
			}
			for range 2 {
				select {
				case <-p.Successes():
				case err := <-k.ended():
					k.t.Fatal(err)
				}
			}
			k.write(topic, []record{{Value: "while it is open"}})
			k.must(p.AbortTxn())
			k.write(topic, []record{{Value: "later"}})
			k.next(messages, "while it is open", "later")
		},
		"described": saramaDescribes,
	} {
		t.Run(name, func(t *testing.T) {
			k := k.of(t)
			k.create(name, 1)
			story(k, name)
		})
	}
}

// saramaDescribes is TestFuncListTransactions, TestFuncDescribeTransactions, TestFuncDescribeProducers and TestFuncInitProducerId3.
func saramaDescribes(k *kit, topic string) {
	p := k.saramaTransactional(topic, sarama.MaxVersion)
	k.must(p.BeginTxn())
	p.Input() <- message(topic, "open")
	client, err := sarama.NewClient([]string{k.addr}, saramaTransactionConfig(topic, sarama.MaxVersion))
	k.must(err)
	defer func() { _ = client.Close() }()
	broker, err := client.TransactionCoordinator(topic)
	k.must(err)
	listed, err := broker.ListTransactions(sarama.NewListTransactionsRequest(sarama.MaxVersion))
	k.must(err)
	found := false
	for _, s := range listed.TransactionStates {
		found = found || s.TransactionalID == topic
	}
	if listed.ErrorCode != sarama.ErrNoError || !found {
		k.t.Errorf("listed are %+v", listed)
	}
	described, err := broker.DescribeTransactions(&sarama.DescribeTransactionsRequest{TransactionalIDs: []string{topic}})
	k.must(err)
	if got := described.TransactionStates; len(got) != 1 || got[0].ErrorCode != sarama.ErrNoError || got[0].TransactionalID != topic || got[0].ProducerID < 0 {
		k.t.Errorf("described is %+v", described)
	}
	k.must(p.CommitTxn())
	producers, err := broker.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{0}}}})
	k.must(err)
	if got := producers.Topics; len(got) != 1 || len(got[0].Partitions) != 1 || len(got[0].Partitions[0].ActiveProducers) != 1 ||
		got[0].Partitions[0].ActiveProducers[0].ProducerID != described.TransactionStates[0].ProducerID {
		k.t.Errorf("producers are %+v, want that of %+v", producers, described)
	}
}

// A member of a group copies records one by one, each in a transaction with its offset (TestFuncTxnProduceAndCommitOffset),
// in the words of several versions.
func TestSaramaOffsetsInTransactions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	for _, version := range []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V2_1_0_0, sarama.V2_5_0_0, sarama.MaxVersion} {
		for _, metadata := range []bool{false, true} {
			t.Run(fmt.Sprint(version, ", with the member ", metadata), func(t *testing.T) {
				k, name := k.of(t), fmt.Sprintf("-%v-%v", version, metadata)
				k.create("in"+name, 4)
				k.create("out"+name, 1)
				k.copySarama(name, version, metadata)
			})
		}
	}
}

func (k *kit) copySarama(name string, version sarama.KafkaVersion, metadata bool) {
	k.t.Helper()
	messages, p := k.saramaCommitted("out"+name), k.saramaTransactional(name, version)
	g, err := sarama.NewConsumerGroup([]string{k.addr}, name, saramaTransactionConfig("", version))
	k.must(err)
	ctx, cancel := context.WithCancel(k.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { k.must(g.Close()) }()
	defer cancel()
	var mu sync.Mutex // one transaction at a time: claims have a goroutine each
	wg.Go(func() {
		err := g.Consume(ctx, []string{"in" + name}, saramaHandler(func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
			mu.Lock()
			defer mu.Unlock()
			err := p.BeginTxn()
			p.Input() <- message("out"+name, string(m.Value))
			if metadata {
				err = errors.Join(err, p.AddMessageToTxnWithGroupMetadata(m, sarama.NewConsumerGroupMetadataFromSession(s, name, nil), nil))
			} else {
				err = errors.Join(err, p.AddMessageToTxn(m, name, nil))
			}
			if err := errors.Join(err, p.CommitTxn()); err != nil {
				k.t.Error(err)
			}
		}))
		if err != nil {
			k.t.Error(err)
		}
	})
	values := []string{"a", "b", "c", "d", "e"}
	for _, value := range values {
		_, err := k.Produce(k.ctx, samsa.Record{Topic: "in" + name, Key: []byte(value), Value: []byte(value)})
		k.must(err)
		k.next(messages, value)
	}
	committed, err := k.Groups().Committed(k.ctx, name)
	k.must(err)
	var sum int64
	for _, c := range committed {
		sum += c.Offset
	}
	if sum != int64(len(values)) {
		k.t.Errorf("committed are %v, want %d records in all", committed, len(values))
	}
}

// The coordinator is killed in a transaction, and the transaction goes on when it is there again (TestFuncTxnProduceWithBrokerFailure).
func TestSaramaTransactionOutlivesServer(t *testing.T) {
	l := &loop{command: samsaCommand(t), dir: t.TempDir(), gate: newGate(t)}
	l.kit = (&kit{}).within(t, patience)
	l.addr = l.gate.Addr().String()
	l.serve()
	messages, p := l.saramaCommitted("output"), l.saramaTransactional("outlives", sarama.MaxVersion)
	for _, value := range []string{"before", "behind", "between"} {
		l.must(p.BeginTxn())
		if value == "before" {
			l.killServer()
		}
		p.Input() <- message("output", value)
		if value == "behind" {
			l.killServer()
		}
		l.must(p.CommitTxn())
		l.next(messages, value)
	}
}

// killServer kills the server and starts another in its place.
func (l *loop) killServer() {
	l.t.Helper()
	l.gate.lead("")
	l.server.kill()
	l.serve()
}
