package peer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaLog is a topic of a broker that speaks Kafka's protocol, through a franz-go client.
type kafkaLog struct {
	broker *broker
	topic  string
	seeds  kgo.Opt
	client *kgo.Client // that produces
	groups []string    // that were made

	isolation kgo.IsolationLevel // of readers
}

// broker is a running broker.
type broker struct {
	addr string
	// noFiles brokers have no segments to size and no flush to set by topic.
	noFiles bool
	// stop ends it, after the clients; nil for one that is not ours.
	stop func() error
}

// outsideTopic is the topic at a broker that is not ours. A run removes it, so it is told
// from others by the time.
func outsideTopic(now time.Time) string { return fmt.Sprintf("samsa-bench-%d", now.UnixNano()) }

var kafkaCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// openKafka connects to b, which becomes the log's, and creates the topic there.
func openKafka(ctx context.Context, b *broker, topic string, o Options) (Log, error) {
	l := &kafkaLog{broker: b, topic: topic, seeds: kgo.SeedBrokers(b.addr), isolation: kgo.ReadUncommitted()}
	opts := []kgo.Opt{
		l.seeds,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kafkaCodecs[o.Codec]),
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(100_000),
		kgo.MaxBufferedBytes(kafkaBuffered),
	}
	if o.Transactions {
		opts = append(opts, kgo.TransactionalID(topic))
		l.isolation = kgo.ReadCommitted()
	}
	client, err := kgo.NewClient(opts...)
	if err == nil {
		l.client = client
		err = l.createTopic(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

const (
	// kafkaBuffered bounds what is produced and not acknowledged: as a samsa.Producer does.
	kafkaBuffered = 32 << 20
	// kafkaSegments is how many segments what is kept makes: brokers remove whole ones.
	kafkaSegments = 8
)

func (l *kafkaLog) createTopic(ctx context.Context, o Options) error {
	configs := map[string]*string{"max.message.bytes": kadm.StringPtr(strconv.Itoa(o.BatchBytes + o.BatchBytes/2 + 1<<20))}
	if o.Synced && !l.broker.noFiles {
		configs["flush.messages"] = kadm.StringPtr("1")
	}
	if o.KeepBytes > 0 {
		configs["retention.bytes"] = kadm.StringPtr(strconv.FormatInt(o.KeepBytes, 10))
		if !l.broker.noFiles {
			configs["segment.bytes"] = kadm.StringPtr(strconv.FormatInt(max(1<<20, o.KeepBytes/kafkaSegments), 10))
		}
	}
	_, err := kadm.NewClient(l.client).CreateTopic(ctx, int32(o.Partitions), -1, configs, l.topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}

func (l *kafkaLog) records(partition int, batch [][]byte) []*kgo.Record {
	made := make([]kgo.Record, len(batch))
	records := make([]*kgo.Record, len(batch))
	for i, value := range batch {
		made[i] = kgo.Record{Topic: l.topic, Partition: int32(partition), Value: value}
		records[i] = &made[i]
	}
	return records
}

func (l *kafkaLog) Append(ctx context.Context, partition int, batch [][]byte) error {
	return l.client.ProduceSync(ctx, l.records(partition, batch)...).FirstErr()
}

func (l *kafkaLog) Submit(ctx context.Context, partition int, batch [][]byte, done func(error)) {
	t := &tally{done: done}
	t.left.Store(int64(len(batch)))
	promise := func(_ *kgo.Record, err error) { t.count(err) }
	for _, r := range l.records(partition, batch) {
		l.client.Produce(ctx, r, promise)
	}
}

func (l *kafkaLog) Flush(ctx context.Context) error { return l.client.Flush(ctx) }

func (l *kafkaLog) Begin() error { return l.client.BeginTransaction() }

func (l *kafkaLog) Commit(ctx context.Context) error {
	if err := l.client.Flush(ctx); err != nil {
		return err
	}
	return l.client.EndTransaction(ctx, kgo.TryCommit)
}

// Sync is not in the protocol.
func (l *kafkaLog) Sync(context.Context) error { return errors.ErrUnsupported }

func (l *kafkaLog) Read(_ context.Context, partition int, from int64) (Reader, error) {
	return l.reader(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		l.topic: {int32(partition): kgo.NewOffset().At(from)},
	}))
}

func (l *kafkaLog) Group(_ context.Context, name string) (GroupReader, error) {
	name = l.topic + "-" + name // nobody else's at a broker that is not ours
	l.groups = append(l.groups, name)
	return l.reader(kgo.ConsumerGroup(name), kgo.ConsumeTopics(l.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}

func (l *kafkaLog) reader(opts ...kgo.Opt) (*kafkaReader, error) {
	client, err := kgo.NewClient(append(opts, l.seeds, kgo.FetchIsolationLevel(l.isolation))...)
	if err != nil {
		return nil, err
	}
	return &kafkaReader{client: client}, nil
}

// Close removes the topic and the groups where the broker lives on.
func (l *kafkaLog) Close() (err error) {
	if l.client != nil {
		if l.broker.stop == nil {
			err = l.remove()
		}
		l.client.Close()
	}
	if l.broker.stop != nil {
		err = errors.Join(err, l.broker.stop())
	}
	return err
}

func (l *kafkaLog) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeWithin)
	defer cancel()
	admin := kadm.NewClient(l.client)
	var errs []error
	if len(l.groups) > 0 {
		groups, err := admin.DeleteGroups(ctx, l.groups...)
		errs = append(errs, err)
		for _, g := range groups {
			if !errors.Is(g.Err, kerr.GroupIDNotFound) { // some brokers forget a group without members
				errs = append(errs, g.Err)
			}
		}
	}
	_, err := admin.DeleteTopic(ctx, l.topic)
	return errors.Join(append(errs, err)...)
}

const removeWithin = 10 * time.Second

type kafkaReader struct{ client *kgo.Client }

func (r *kafkaReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	for {
		fetches := r.client.PollRecords(ctx, readRecords)
		if err := fetches.Err(); err != nil {
			return 0, err
		}
		n := 0
		fetches.EachRecord(func(record *kgo.Record) {
			visit(record.Value)
			n++
		})
		if n > 0 {
			return n, nil
		}
	}
}

func (r *kafkaReader) Commit(ctx context.Context) error {
	return r.client.CommitUncommittedOffsets(ctx)
}

func (r *kafkaReader) Close() error {
	r.client.Close()
	return nil
}
