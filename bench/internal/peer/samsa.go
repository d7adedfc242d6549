package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa"
)

// SamsaModule is the path of the module that all this is about.
const SamsaModule = "github.com/samsa-go/samsa"

func samsaDisk() *Peer {
	return &Peer{
		Name:    Samsa,
		Title:   "Samsa",
		About:   "Kafka's record batches in value files. Stored: AckStored. Synced: AckSynced, one fsync for all who wait.",
		Module:  SamsaModule,
		Retains: true,
		Codecs:  []string{"gzip", "snappy", "lz4", "zstd"},
		Open:    openSamsa,
	}
}

func samsaMemory() *Peer {
	return &Peer{
		Name:     "samsa-memory",
		Title:    "Samsa in memory",
		About:    "The same broker on a B-tree in memory, as unit tests use it.",
		Module:   SamsaModule,
		Volatile: true,
		NoSync:   "it has no disk",
		Retains:  true,
		Codecs:   []string{"gzip", "snappy", "lz4", "zstd"},
		Open: func(ctx context.Context, _ string, o Options) (Log, error) {
			return openSamsa(ctx, "", o)
		},
	}
}

const topicName = "bench"

var samsaCodecs = map[string]samsa.Compression{
	"none": samsa.CompressionNone, "gzip": samsa.CompressionGzip, "snappy": samsa.CompressionSnappy,
	"lz4": samsa.CompressionLz4, "zstd": samsa.CompressionZstd,
}

// samsaLog is a broker with one topic. Append is Broker.Produce, Submit is a Producer.
type samsaLog struct {
	b        *samsa.Broker
	producer *samsa.Producer
	acks     samsa.Acks
	records  sync.Pool // of *[]samsa.Record
}

func openSamsa(ctx context.Context, dir string, o Options) (Log, error) {
	produce := samsa.ProduceOptions{Compression: samsaCodecs[o.Codec], Partitioner: samsa.ManualPartitioner()}
	if o.Synced {
		produce.Acks = samsa.AckSynced
	}
	b, err := samsa.Open(dir, samsa.Options{InMemory: dir == "", Produce: produce})
	if err != nil {
		return nil, err
	}
	config := samsa.TopicConfig{Partitions: o.Partitions, RetentionBytes: o.KeepBytes, MaxMessageBytes: o.BatchBytes + o.BatchBytes/2 + 1<<20}
	if err := b.Topics().Create(ctx, topicName, config); err != nil && !errors.Is(err, samsa.ErrTopicExists) {
		return nil, errors.Join(err, b.Close())
	}
	// Room for the batch and what Kafka's format adds to its records, 16 MiB at most.
	producer, err := b.NewProducer(ctx, samsa.ProducerOptions{
		Acks: produce.Acks, Compression: produce.Compression, Partitioner: produce.Partitioner,
		BatchBytes: min(o.BatchBytes+o.BatchBytes/4+1<<10, 16<<20),
	})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &samsaLog{b: b, producer: producer, acks: produce.Acks}, nil
}

func (l *samsaLog) Append(ctx context.Context, partition int, batch [][]byte) error {
	records, ok := l.records.Get().(*[]samsa.Record)
	if !ok {
		records = new([]samsa.Record)
	}
	*records = (*records)[:0]
	for _, value := range batch {
		*records = append(*records, samsa.Record{Topic: topicName, Partition: int32(partition), Value: value})
	}
	_, err := l.b.Produce(ctx, *records...)
	l.records.Put(records)
	return err
}

func (l *samsaLog) Submit(ctx context.Context, partition int, batch [][]byte, done func(error)) {
	t := &tally{done: done}
	t.left.Store(int64(len(batch)))
	promise := func(_ samsa.Record, err error) { t.count(err) }
	for _, value := range batch {
		l.producer.Produce(ctx, samsa.Record{Topic: topicName, Partition: int32(partition), Value: value}, promise)
	}
}

func (l *samsaLog) Flush(ctx context.Context) error { return l.producer.Flush(ctx) }

func (l *samsaLog) Sync(ctx context.Context) error { return l.b.Sync(ctx) }

func (l *samsaLog) Read(ctx context.Context, partition int, from int64) (Reader, error) {
	c, err := l.b.NewConsumer(ctx, samsa.ConsumerOptions{
		Partitions: map[string][]int32{topicName: {int32(partition)}},
		Start:      samsa.AtOffset(from),
	})
	if err != nil {
		return nil, err
	}
	return &samsaReader{Consumer: c}, nil
}

func (l *samsaLog) Group(ctx context.Context, name string) (GroupReader, error) {
	c, err := l.b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group:  name,
		Topics: []string{topicName},
		Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return nil, err
	}
	return &samsaReader{Consumer: c}, nil
}

func (l *samsaLog) Close() error { return l.b.Close() }

type samsaReader struct{ *samsa.Consumer }

func (r *samsaReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	records, err := r.Poll(ctx)
	if err != nil {
		return 0, fmt.Errorf("poll: %w", err)
	}
	for i := range records {
		visit(records[i].Value)
	}
	return len(records), nil
}

func (l *samsaLog) Queue(ctx context.Context) (Queue, error) {
	q, err := l.b.NewQueue(ctx, samsa.QueueOptions{Group: "workers", Topics: []string{topicName}, Lock: queueLock, Acks: l.acks})
	if err != nil {
		return nil, err
	}
	return samsaWorkers{q}, nil
}

type samsaWorkers struct{ *samsa.Queue }

func (w samsaWorkers) Receive(ctx context.Context, limit int) (Received, error) {
	got, err := w.Queue.Receive(ctx, limit)
	return &samsaReceived{q: w.Queue, got: got}, err
}

type samsaReceived struct {
	q      *samsa.Queue
	got    []samsa.Delivery
	values [][]byte
}

func (r *samsaReceived) Values() [][]byte {
	r.values = r.values[:0]
	for i := range r.got {
		r.values = append(r.values, r.got[i].Record.Value)
	}
	return r.values
}

func (r *samsaReceived) Ack(ctx context.Context) error { return r.q.Ack(ctx, r.got...) }
