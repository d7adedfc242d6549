package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/internal/api"
)

// Kafka is a Kafka cluster. Its methods may not be called at once.
type Kafka struct {
	seeds    []string
	secure   []kgo.Opt // how its brokers let one in
	cl       *kgo.Client
	adm      *kadm.Client
	producer *kgo.Client // made by the first Produce
	produces api.ProduceRequest
}

// How long a cluster that does not answer is waited for.
const (
	dialTimeout  = 3 * time.Second
	retryTimeout = 10 * time.Second

	deliveryTimeout = 30 * time.Second // of a batch
)

// OpenKafka returns the cluster with these brokers, host:port each. It does not connect yet.
func OpenKafka(seeds []string) (*Kafka, error) { return openKafka(&Kafka{seeds: seeds}) }

// OpenKafkaURL is OpenKafka for a cluster that encrypts, or asks for a password: see cluster.OpenURL.
func OpenKafkaURL(address string) (*Kafka, error) {
	o, err := cluster.ParseURL(address)
	if err != nil {
		return nil, err
	}
	k := &Kafka{seeds: o.Seeds}
	if o.TLS != nil {
		k.secure = append(k.secure, kgo.DialTLSConfig(o.TLS))
	}
	if len(o.SASL) > 0 {
		k.secure = append(k.secure, kgo.SASL(o.SASL...))
	}
	return openKafka(k)
}

func openKafka(k *Kafka) (*Kafka, error) {
	cl, err := k.client()
	if err != nil {
		return nil, err
	}
	k.cl, k.adm = cl, kadm.NewClient(cl)
	return k, nil
}

// client returns a client with the settings that all have.
func (k *Kafka) client(opts ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(k.seeds...), kgo.ClientID("samsa"), kgo.DialTimeout(dialTimeout), kgo.RetryTimeout(retryTimeout), kgo.RequestRetries(2),
	}, append(opts[:len(opts):len(opts)], k.secure...)...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", samsa.ErrInvalidOption, err)
	}
	return cl, nil
}

// Close closes the connections. What was produced was answered.
func (k *Kafka) Close() {
	if k.producer != nil {
		k.producer.Close()
	}
	k.cl.Close()
}

// meanings are the errors of the library for Kafka's error codes, as far as a caller can act on them.
var meanings = map[*kerr.Error]error{
	kerr.UnknownTopicOrPartition: samsa.ErrUnknownTopic,
	kerr.UnknownTopicID:          samsa.ErrUnknownTopic,
	kerr.TopicAlreadyExists:      samsa.ErrTopicExists,
	kerr.InvalidTopicException:   samsa.ErrInvalidTopic,
	kerr.InvalidPartitions:       samsa.ErrInvalidPartitions,
	kerr.InvalidConfig:           samsa.ErrInvalidConfig,
	kerr.OffsetOutOfRange:        samsa.ErrOffsetOutOfRange,
	kerr.MessageTooLarge:         samsa.ErrRecordTooLarge,
	kerr.RecordListTooLarge:      samsa.ErrRecordTooLarge,
	kerr.InvalidRecord:           samsa.ErrInvalidRecord,
	kerr.InvalidTimestamp:        samsa.ErrInvalidTimestamp,
	kerr.GroupIDNotFound:         samsa.ErrUnknownGroup,
	kerr.InvalidGroupID:          samsa.ErrInvalidGroup,
	kerr.NonEmptyGroup:           samsa.ErrGroupNotEmpty,
	kerr.UnknownMemberID:         samsa.ErrGroupNotEmpty, // to who is no member, and commits
	kerr.GroupSubscribedToTopic:  samsa.ErrGroupSubscribed,
	kerr.UnsupportedVersion:      samsa.ErrUnsupported,
	kerr.CorruptMessage:          samsa.ErrCorruptRecord,
}

// explained returns err of a cluster as one of the library. what is what it concerns.
func explained(what string, err error) error {
	var k *kerr.Error
	var eof *kgo.ErrFirstReadEOF
	if errors.As(err, &eof) || errors.Is(err, kerr.UnsupportedSaslMechanism) {
		err = fmt.Errorf("%w (samsa help addresses tells how an address has TLS, a user and a mechanism)", err)
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &k) && meanings[k] != nil:
		return fmt.Errorf("%s: %w: %s", what, meanings[k], k.Message)
	case errors.As(err, &k) && k.Retriable, errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return fmt.Errorf("%s: %w: %w", what, samsa.ErrUnavailable, err)
	case errors.As(err, &k), errors.Is(err, context.Canceled), errors.Is(err, samsa.ErrUnavailable):
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: the cluster does not answer: %w", what, samsa.ErrUnavailable, err)
}

// details returns what the metadata says of a topic, or ErrUnknownTopic.
func (k *Kafka) details(ctx context.Context, topic string) (kadm.TopicDetail, error) {
	all, err := k.adm.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return kadm.TopicDetail{}, explained("topic "+topic, err)
	}
	d := all[topic]
	if d.Err == nil && len(d.Partitions) == 0 {
		d.Err = kerr.UnknownTopicOrPartition
	}
	return d, explained("topic "+topic, d.Err)
}

// Offsets implements Backend.
func (k *Kafka) Offsets(ctx context.Context, topic string, at api.Position) ([]api.PartitionOffset, error) {
	d, err := k.details(ctx, topic)
	if err != nil {
		return nil, err
	}
	offsets, err := k.resolve(ctx, topic, at)
	if err != nil {
		return nil, err
	}
	list := make([]api.PartitionOffset, 0, len(offsets))
	for _, p := range d.Partitions.Sorted() {
		if o, ok := offsets[p.Partition]; ok {
			list = append(list, api.PartitionOffset{Partition: p.Partition, Offset: o})
		}
	}
	return list, nil
}

// resolve returns the offset that at stands for in each partition of a topic.
func (k *Kafka) resolve(ctx context.Context, topic string, at api.Position) (map[int32]int64, error) {
	switch at.Kind {
	case api.AtEarliest, "":
		return k.list(ctx, topic, k.adm.ListStartOffsets)
	case api.AtLatest:
		return k.list(ctx, topic, k.adm.ListEndOffsets)
	case api.AtTime:
		return k.list(ctx, topic, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return k.adm.ListOffsetsAfterMilli(ctx, max(0, at.Time.UnixMilli()), topics...) // below 0 are names: -1 is the end, and not a time
		})
	}
	start, err := k.list(ctx, topic, k.adm.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	end, err := k.list(ctx, topic, k.adm.ListEndOffsets)
	if err != nil {
		return nil, err
	}
	for p := range start {
		switch at.Kind {
		case api.AtLast:
			start[p] = max(start[p], end[p]-at.N)
		case api.AtOffset:
			start[p] = min(max(start[p], at.N), end[p])
		default:
			return nil, fmt.Errorf("%w: position %s: want earliest, latest, offset, time or last", samsa.ErrInvalid, at)
		}
	}
	return start, nil
}

// list returns what one of the list functions of kadm tells of a topic, by partition.
func (k *Kafka) list(ctx context.Context, topic string, f func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[int32]int64, error) {
	listed, err := f(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, explained("topic "+topic, err)
	}
	offsets := make(map[int32]int64)
	for p, o := range listed[topic] {
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// page returns those of names that a page has, and After of the next one.
func page(names []string, after, prefix string, limit int) (_ []string, next string) {
	if limit == 0 {
		limit = 1000
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return n <= after && after != "" || !strings.HasPrefix(n, prefix) })
	if len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	return names, next
}

// keys returns the keys of a map.
func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }
