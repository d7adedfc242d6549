package log_test

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// A producer fills a builder and seals it; the committer gives the batch its offset.
func ExampleBuilder() {
	var b log.Builder
	b.Append(1_700_000_000_000, []byte("order-1"), []byte("created"), nil)
	b.Append(1_700_000_000_005, []byte("order-1"), []byte("paid"), []log.Header{{Key: "by", Value: []byte("card")}})

	batch, err := b.Seal(nil, log.CodecSnappy)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch.SetBaseOffset(42)

	fmt.Println(batch.Records(), "records, offsets", batch.BaseOffset(), "to", batch.LastOffset())
	// Output: 2 records, offsets 42 to 43
}

func ExampleRecordReader() {
	var b log.Builder
	b.Append(1_700_000_000_000, []byte("a"), []byte("first"), nil)
	b.Append(1_700_000_000_005, []byte("b"), nil, nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		fmt.Println(err)
		return
	}
	records, err := batch.AppendRecords(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	reader := log.NewRecordReader(batch, records)
	var r log.Record
	for {
		ok, err := reader.Next(&r)
		if err != nil {
			fmt.Println(err)
			return
		}
		if !ok {
			break
		}
		fmt.Printf("%d %s %s %q tombstone=%t\n", r.Offset, r.Timestamp.UTC().Format("15:04:05.000"), r.Key, r.Value, r.Value == nil)
	}
	// Output:
	// 0 22:13:20.000 a "first" tombstone=false
	// 1 22:13:20.005 b "" tombstone=true
}

// A batch that a Kafka client sent is stored as it is. Whatever has happened to its bytes on the
// way is noticed.
func ExampleParseBatch() {
	var b log.Builder // stands for the client
	b.Append(1_700_000_000_000, nil, []byte("value"), nil)
	sent, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		fmt.Println(err)
		return
	}

	batch, err := log.ParseBatch(sent)
	fmt.Println(batch.Records(), err)
	sent[65] ^= 1
	_, err = log.ParseBatch(sent)
	fmt.Println(errors.Is(err, log.ErrCorruptRecord))
	// Output:
	// 1 <nil>
	// true
}

func ExampleTopicPartition_String() {
	fmt.Println(log.TopicPartition{Topic: "orders", Partition: 3})
	// Output: orders/3
}
