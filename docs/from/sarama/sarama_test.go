package from

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/IBM/sarama/mocks"
)

func saramaSend(addrs []string, config *sarama.Config) (partition int32, offset int64, err error) {
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(addrs, config)
	if err != nil {
		return 0, 0, err
	}
	defer p.Close()
	return p.SendMessage(&sarama.ProducerMessage{
		Topic: "orders", Key: sarama.StringEncoder("7"), Value: sarama.StringEncoder("tea"),
		Headers: []sarama.RecordHeader{{Key: []byte("shop"), Value: []byte("Prague")}},
	})
}

func saramaBackground(addrs []string, config *sarama.Config, orders []string) (failed error) {
	p, err := sarama.NewAsyncProducer(addrs, config)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { // nobody may leave Errors unread
		defer close(done)
		for e := range p.Errors() {
			failed = errors.Join(failed, e)
		}
	}()
	for _, o := range orders {
		p.Input() <- &sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(o)}
	}
	p.AsyncClose() // sends what is left
	<-done
	return failed
}

func saramaChoose(addrs []string, config *sarama.Config, partition int32) error {
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(addrs, config)
	if err != nil {
		return err
	}
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "orders", Partition: partition, Value: sarama.StringEncoder("tea")})
	return err
}

func saramaFollow(ctx context.Context, addrs []string, config *sarama.Config, do func(*sarama.ConsumerMessage)) error {
	c, err := sarama.NewConsumer(addrs, config)
	if err != nil {
		return err
	}
	defer c.Close()
	pc, err := c.ConsumePartition("orders", 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer pc.Close()
	for {
		select {
		case m := <-pc.Messages():
			do(m)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func saramaGroup(ctx context.Context, addrs []string, config *sarama.Config, do func(*sarama.ConsumerMessage) error) error {
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	g, err := sarama.NewConsumerGroup(addrs, "billing", config)
	if err != nil {
		return err
	}
	defer g.Close()
	for ctx.Err() == nil { // Consume returns at each rebalance
		if err := g.Consume(ctx, []string{"orders"}, handler(do)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type handler func(*sarama.ConsumerMessage) error

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (do handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		if err := do(m); err != nil {
			return err
		}
		s.MarkMessage(m, "") // to be committed
	}
	return nil
}

// committing is a handler that commits each message by itself.
type committing func(*sarama.ConsumerMessage) error

func (committing) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (committing) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (do committing) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	return saramaCommit(s, c, do)
}

func saramaCommit(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim, do func(*sarama.ConsumerMessage) error) error {
	for m := range c.Messages() { // config.Consumer.Offsets.AutoCommit.Enable is false
		if err := do(m); err != nil {
			return err
		}
		s.MarkMessage(m, "")
		s.Commit() // its errors go to the group's Errors
	}
	return nil
}

func saramaSince(addrs []string, config *sarama.Config, t time.Time) (first string, err error) {
	client, err := sarama.NewClient(addrs, config)
	if err != nil {
		return "", err
	}
	defer client.Close()
	offset, err := client.GetOffset("orders", 0, t.UnixMilli())
	if err != nil {
		return "", err
	}
	c, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return "", err
	}
	pc, err := c.ConsumePartition("orders", 0, offset)
	if err != nil {
		return "", err
	}
	defer pc.Close()
	m := <-pc.Messages()
	return string(m.Value), nil
}

// saramaOnce wants a producer with Transaction.ID, Idempotent, WaitForAll and MaxOpenRequests of 1.
func saramaOnce(p sarama.SyncProducer, m *sarama.ConsumerMessage) error {
	if err := p.BeginTxn(); err != nil {
		return err
	}
	receipt := &sarama.ProducerMessage{Topic: "receipts", Key: sarama.ByteEncoder(m.Key), Value: sarama.StringEncoder("thanks")}
	_, _, err := p.SendMessage(receipt)
	if err == nil {
		err = p.AddMessageToTxn(m, "billing", nil)
	}
	if err == nil {
		err = p.CommitTxn()
	}
	if err != nil {
		return errors.Join(err, p.AbortTxn())
	}
	return nil
}

func saramaCreate(addrs []string, config *sarama.Config) error {
	admin, err := sarama.NewClusterAdmin(addrs, config)
	if err != nil {
		return err
	}
	defer admin.Close()
	day := fmt.Sprint((24 * time.Hour).Milliseconds())
	return admin.CreateTopic("clicks", &sarama.TopicDetail{
		NumPartitions: 3, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &day},
	}, false)
}

func saramaLag(addrs []string, config *sarama.Config) (lag int64, err error) {
	client, err := sarama.NewClient(addrs, config)
	if err != nil {
		return 0, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	committed, err := admin.ListConsumerGroupOffsets("billing", map[string][]int32{"orders": {0}})
	if err != nil {
		return 0, err
	}
	end, err := client.GetOffset("orders", 0, sarama.OffsetNewest)
	if err != nil {
		return 0, err
	}
	return end - committed.GetBlock("orders", 0).Offset, nil
}

func saramaTest(t *testing.T, shop func(sarama.SyncProducer) error) {
	p := mocks.NewSyncProducer(t, nil)
	p.ExpectSendMessageWithMessageCheckerFunctionAndSucceed(func(m *sarama.ProducerMessage) error {
		if v, err := m.Value.Encode(); err != nil || string(v) != "tea" {
			return fmt.Errorf("sent %q", v)
		}
		return nil
	})
	p.ExpectSendMessageAndFail(sarama.ErrNotEnoughReplicas)
	if err := shop(p); !errors.Is(err, sarama.ErrNotEnoughReplicas) {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
