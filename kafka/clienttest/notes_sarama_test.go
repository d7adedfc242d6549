package clienttest

import (
	"fmt"
	"os"

	"github.com/IBM/sarama"
)

// The programs of the notes that this project began with, as they are but for the address, and
// for their names. (As they are: the consumer closes what it has begun when it returns, and
// prints nothing but the partitions. examples/sarama has one that waits.)

func notesProducer() {
	var (
		config          *sarama.Config
		syncProducer    sarama.SyncProducer
		producerMessage *sarama.ProducerMessage
	)
	config = sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewRandomPartitioner
	config.Producer.Return.Successes = true

	syncProducer, err := sarama.NewSyncProducer([]string{os.Getenv(childAddr)}, config)
	if err != nil {
		fmt.Println("producer closed, err:", err)
		return
	}
	defer syncProducer.Close() //nolint:errcheck // as in the notes

	producerMessage = &sarama.ProducerMessage{
		Topic: "web_log",
		Value: sarama.StringEncoder("this is a test log"),
	}
	pid, offset, err := syncProducer.SendMessage(producerMessage)
	if err != nil {
		fmt.Println("send msg failed, err:", err)
		return
	}
	fmt.Printf("pid:%v offset:%v\n", pid, offset)
}

func notesConsumer() (err error) {
	var (
		consumer sarama.Consumer
	)
	consumer, err = sarama.NewConsumer([]string{os.Getenv(childAddr)}, nil)
	if err != nil {
		fmt.Printf("fail to start consumer, err:%v\n", err)
		return err
	}
	partitionList, err := consumer.Partitions("web_log")
	if err != nil {
		fmt.Printf("fail to get list of partition:err%v\n", err)
		return
	}
	fmt.Println(partitionList)

	for partition := range partitionList {
		partitionConsumer, err := consumer.ConsumePartition("web_log", int32(partition), sarama.OffsetNewest)
		if err != nil {
			fmt.Printf("failed to start consumer for partition %d,err:%v\n", partition, err)
			return err
		}
		defer partitionConsumer.AsyncClose()

		go func(sarama.PartitionConsumer) {
			for msg := range partitionConsumer.Messages() {
				fmt.Printf("Partition:%d Offset:%d Key:%v Value:%v", msg.Partition, msg.Offset, msg.Key, msg.Value)
			}
		}(partitionConsumer)
	}
	return nil
}
