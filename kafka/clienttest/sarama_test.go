package clienttest

import (
	"context"
	"fmt"
	"testing"

	"github.com/IBM/sarama"

	"github.com/samsa-go/samsa"
)

// saramaClient is IBM/sarama as it comes.
func saramaClient() client { return saramaAt("sarama", sarama.NewConfig().Version) }

// saramaAt is IBM/sarama told to speak to a broker of some version.
func saramaAt(name string, version sarama.KafkaVersion) client {
	config := func() *sarama.Config {
		c := sarama.NewConfig()
		c.Version = version
		c.Consumer.Offsets.Initial = sarama.OffsetOldest
		c.Producer.Return.Successes = true
		return c
	}
	return client{
		name:    name,
		produce: func(k *kit, jobs []job) { saramaProduce(k, config, jobs) },
		consume: func(k *kit, topics []string, n int) map[string][]record {
			return saramaConsume(k, config(), topics, n)
		},
		committed: func(k *kit, topics []string, n int) map[string][]record {
			c := config()
			c.Consumer.IsolationLevel = sarama.ReadCommitted
			return saramaConsume(k, c, topics, n)
		},
		transact: func(k *kit, s story) { saramaTransact(k, config, s) },
		group: func(k *kit, group, topic string, n int) []record {
			return saramaGroup(k, config(), group, topic, n)
		},
	}
}

func saramaProduce(k *kit, config func() *sarama.Config, jobs []job) {
	for _, j := range jobs {
		c := config()
		if err := c.Producer.Compression.UnmarshalText([]byte(j.Codec)); err != nil {
			k.t.Fatal(err)
		}
		c.Producer.RequiredAcks = sarama.WaitForAll
		c.Producer.Flush.Messages = len(j.Records)
		p, err := sarama.NewSyncProducer([]string{k.addr}, c)
		if err != nil {
			k.t.Fatal(err)
		}
		var messages []*sarama.ProducerMessage
		for _, r := range j.Records {
			m := &sarama.ProducerMessage{Topic: j.Topic, Key: sarama.StringEncoder(r.Key), Value: sarama.StringEncoder(r.Value)}
			if c.Version.IsAtLeast(sarama.V0_11_0_0) {
				m.Headers = []sarama.RecordHeader{{Key: []byte(headerKey), Value: []byte(r.Header)}}
			}
			messages = append(messages, m)
		}
		if err := p.SendMessages(messages); err != nil {
			k.t.Errorf("%s: %v", j.Topic, err)
		}
		if err := p.Close(); err != nil {
			k.t.Error(err)
		}
	}
}

// saramaTransact does a story.
func saramaTransact(k *kit, config func() *sarama.Config, s story) {
	begin := func() sarama.SyncProducer {
		c := config()
		c.Producer.Transaction.ID, c.Producer.Idempotent = s.ID, true
		c.Producer.RequiredAcks, c.Net.MaxOpenRequests = sarama.WaitForAll, 1
		p, err := sarama.NewSyncProducer([]string{k.addr}, c)
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(func() { _ = p.Close() }) // it may be fenced
		return p
	}
	p := begin()
	for _, step := range s.Steps {
		err := p.BeginTxn()
		if err == nil {
			var messages []*sarama.ProducerMessage
			for _, r := range step.Records {
				messages = append(messages, &sarama.ProducerMessage{Topic: s.Topic, Key: sarama.StringEncoder(r.Key), Value: sarama.StringEncoder(r.Value),
					Headers: []sarama.RecordHeader{{Key: []byte(headerKey), Value: []byte(r.Header)}}})
			}
			err = p.SendMessages(messages)
		}
		if err == nil && step.Offset > 0 {
			err = p.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{s.Input: {{Offset: step.Offset}}}, s.Group)
		}
		switch {
		case err != nil:
		case step.End == commit:
			err = p.CommitTxn()
		case step.End == abort:
			err = p.AbortTxn()
		default:
			fenced := p
			if p = begin(); fenced.CommitTxn() == nil {
				k.t.Fatal("a producer commits that another has replaced")
			}
		}
		if err != nil {
			k.t.Fatalf("%s: %v", step.End, err)
		}
	}
}

func saramaConsume(k *kit, config *sarama.Config, topics []string, n int) map[string][]record {
	c, err := sarama.NewConsumer([]string{k.addr}, config)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	partitions := make(map[string]sarama.PartitionConsumer)
	for _, topic := range topics {
		pc, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
		if err != nil {
			k.t.Fatal(err)
		}
		partitions[topic] = pc
		defer pc.AsyncClose() // Close waits for a fetch, for each partition anew
	}
	got := make(map[string][]record)
	for topic, pc := range partitions {
		for len(got[topic]) < n {
			select {
			case m := <-pc.Messages():
				got[topic] = append(got[topic], saramaPlain(m))
			case <-k.ctx.Done():
				k.t.Fatalf("%d of %d records of %s", len(got[topic]), n, topic)
			}
		}
	}
	return got
}

func saramaPlain(m *sarama.ConsumerMessage) record {
	r := record{Key: string(m.Key), Value: string(m.Value)}
	for _, h := range m.Headers {
		if string(h.Key) == headerKey {
			r.Header = string(h.Value)
		}
	}
	return r
}

func saramaGroup(k *kit, config *sarama.Config, group, topic string, n int) []record {
	config.Consumer.Offsets.AutoCommit.Enable = false
	g, err := sarama.NewConsumerGroup([]string{k.addr}, group, config)
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	var got []record
	err = g.Consume(ctx, []string{topic}, saramaHandler(func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
		if got = append(got, saramaPlain(m)); len(got) <= n {
			s.MarkMessage(m, "")
		}
		if len(got) == n {
			s.Commit()
			cancel()
		}
	}))
	if err != nil {
		k.t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		k.t.Error(err)
	}
	return got[:min(n, len(got))]
}

// saramaHandler is called for each message of one partition after the other.
type saramaHandler func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage)

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		h(s, m)
	}
	return nil
}

// The versions at which sarama changes what it says, from the oldest in use, which knows
// message sets only.
var saramaVersions = []sarama.KafkaVersion{
	sarama.V0_10_2_0, sarama.V0_11_0_0, sarama.V1_0_0_0, sarama.V2_0_0_0, sarama.V3_0_0_0, sarama.MaxVersion,
}

// A program that says which version its broker has is served as that version served.
func TestSaramaVersions(t *testing.T) {
	for _, v := range saramaVersions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel() // sarama waits much of the time
			versionStory(t, saramaAt("sarama", v), v.IsAtLeast(sarama.V0_11_0_0))
		})
	}
}

// versionStory is produce, consume and two members of a group, one after the other. Headers
// came with record batches, in 0.11.
func versionStory(t *testing.T, c client, headers bool) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	var work []record
	for i := range 10 {
		r := record{Key: fmt.Sprint("k", i), Value: fmt.Sprint("v", i)}
		if headers {
			r.Header = "yes"
		}
		work = append(work, r)
	}
	var got []record
	t.Run("produce", func(t *testing.T) {
		c.produce(k.of(t), []job{{Topic: "t", Codec: "none", Records: work[:5]}, {Topic: "t", Codec: "gzip", Records: work[5:]}})
		same(t, plain(k.of(t).read("t", 10)), work)
	})
	t.Run("consume", func(t *testing.T) {
		same(t, c.consume(k.of(t), []string{"t"}, 10)["t"], work)
	})
	t.Run("group", func(t *testing.T) {
		got = append(c.group(k.of(t), "g", "t", 4), c.group(k.of(t), "g", "t", 6)...)
		same(t, got, work)
	})
}
