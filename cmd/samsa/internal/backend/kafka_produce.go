package backend

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// maxMilli is the last time of a record that kgo can send, in the year 2262: it counts nanoseconds, and what is later becomes another time.
const maxMilli = math.MaxInt64 / int64(time.Millisecond)

// Produce implements Backend. Unlike a broker of Samsa a cluster may store some of the records and not others: then the places of those before
// the first that failed are returned with the error.
func (k *Kafka) Produce(ctx context.Context, topic string, r api.ProduceRequest) ([]api.Place, error) {
	d, err := k.details(ctx, topic)
	if err != nil {
		return nil, err
	}
	cl, err := k.producerFor(r)
	if err != nil {
		return nil, err
	}
	records := make([]*kgo.Record, len(r.Records))
	for i, n := range r.Records {
		rec := &kgo.Record{Topic: topic, Partition: -1, Timestamp: n.Timestamp.Time, Key: n.Key, Value: n.Value}
		if n.Partition != nil {
			if rec.Partition = *n.Partition; rec.Partition < 0 || int(rec.Partition) >= len(d.Partitions) {
				return nil, fmt.Errorf("topic %s: %w %d", topic, samsa.ErrUnknownPartition, rec.Partition)
			}
		}
		if ms := n.Timestamp.UnixMilli(); !n.Timestamp.IsZero() && (ms < -1 || ms > maxMilli) {
			return nil, fmt.Errorf("topic %s, record %d of %d: %w: %d ms since 1970, want 0 to %d", topic, i+1, len(records), samsa.ErrInvalidTimestamp, ms, maxMilli)
		}
		for _, h := range n.Headers {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
		}
		records[i] = rec
	}
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout) // kgo's own counts from the timestamps of records
	defer cancel()
	results := make([]error, len(records))
	done := make(chan struct{}, len(records))
	for i, rec := range records {
		cl.Produce(ctx, rec, func(_ *kgo.Record, err error) {
			results[i] = err
			done <- struct{}{}
		})
	}
	for range records {
		<-done
	}
	places := make([]api.Place, 0, len(records))
	for i, rec := range records {
		if results[i] != nil {
			return places, explained(fmt.Sprintf("topic %s, record %d of %d", topic, i+1, len(records)), results[i])
		}
		places = append(places, api.Place{Topic: topic, Partition: rec.Partition, Offset: rec.Offset, Timestamp: api.At(rec.Timestamp)})
	}
	return places, nil
}

// producerFor returns the client that produces as r says.
func (k *Kafka) producerFor(r api.ProduceRequest) (*kgo.Client, error) {
	same := r.Acks == k.produces.Acks && r.Compression == k.produces.Compression && r.Partitioner == k.produces.Partitioner
	if k.producer != nil && same {
		return k.producer, nil
	}
	opts := []kgo.Opt{kgo.ProducerLinger(0)}
	switch r.Acks {
	case "", "all", "synced", "stored":
	case "leader":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("%w: acks %q, want all or leader", samsa.ErrInvalidOption, r.Acks)
	}
	codec, ok := map[string]kgo.CompressionCodec{
		"": kgo.SnappyCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[r.Compression]
	if !ok {
		return nil, fmt.Errorf("%w: compression %q, want none, gzip, snappy, lz4 or zstd", samsa.ErrInvalidOption, r.Compression)
	}
	inner, ok := map[string]kgo.Partitioner{
		"": kgo.StickyKeyPartitioner(nil), "murmur2": kgo.StickyKeyPartitioner(nil), "roundrobin": kgo.RoundRobinPartitioner(), "random": kgo.StickyPartitioner(),
	}[r.Partitioner]
	if !ok {
		return nil, fmt.Errorf("%w: partitioner %q, want murmur2, roundrobin or random", samsa.ErrInvalidOption, r.Partitioner)
	}
	cl, err := k.client(append(opts, kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(chosenOr{inner}))...)
	if err != nil {
		return nil, err
	}
	if k.producer != nil {
		k.producer.Close()
	}
	k.producer, k.produces = cl, r
	return cl, nil
}

// chosenOr is a partitioner that takes the partition of a record where it has one, and asks another partitioner for those with -1.
type chosenOr struct{ kgo.Partitioner }

// ForTopic implements kgo.Partitioner.
func (c chosenOr) ForTopic(topic string) kgo.TopicPartitioner {
	return chosenOrTopic{c.Partitioner.ForTopic(topic)}
}

type chosenOrTopic struct{ kgo.TopicPartitioner }

// RequiresConsistency implements kgo.TopicPartitioner.
func (c chosenOrTopic) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || c.TopicPartitioner.RequiresConsistency(r)
}

// Partition implements kgo.TopicPartitioner.
func (c chosenOrTopic) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return c.TopicPartitioner.Partition(r, n)
}

// OnNewBatch tells a sticky partitioner to move on.
func (c chosenOrTopic) OnNewBatch() {
	if o, ok := c.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		o.OnNewBatch()
	}
}
