package main

import (
	"errors"
	"sync"

	"github.com/IBM/sarama"
)

// produce sends one record to a partition that chance chooses and returns where it is.
func produce(addrs []string, topic, value string) (partition int32, offset int64, err error) {
	config := sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewRandomPartitioner
	config.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(addrs, config)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
}

// follower reads all partitions of a topic, from what is new on.
type follower struct {
	messages chan *sarama.ConsumerMessage

	consumer   sarama.Consumer
	partitions []sarama.PartitionConsumer
	wg         sync.WaitGroup // one goroutine for each partition
	done       chan struct{}  // closed when close begins
}

// follow begins to read the topic. What is sent after it has returned is read.
func follow(addrs []string, topic string) (*follower, error) {
	c, err := sarama.NewConsumer(addrs, nil)
	if err != nil {
		return nil, err
	}
	f := &follower{consumer: c, messages: make(chan *sarama.ConsumerMessage), done: make(chan struct{})}
	partitions, err := c.Partitions(topic)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	for _, partition := range partitions {
		pc, err := c.ConsumePartition(topic, partition, sarama.OffsetNewest)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.partitions = append(f.partitions, pc)
		f.wg.Go(func() { f.read(pc) })
	}
	return f, nil
}

// read hands on the messages of a partition until close.
func (f *follower) read(pc sarama.PartitionConsumer) {
	for m := range pc.Messages() {
		select {
		case f.messages <- m:
		case <-f.done:
		}
	}
}

// close ends the reading and waits for it.
func (f *follower) close() error {
	close(f.done)
	for _, pc := range f.partitions {
		pc.AsyncClose()
	}
	f.wg.Wait()
	return f.consumer.Close()
}
