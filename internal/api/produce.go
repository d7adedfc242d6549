package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

var acks = map[string]samsa.Acks{"": samsa.AckStored, "stored": samsa.AckStored, "synced": samsa.AckSynced}

var compressions = map[string]samsa.Compression{
	"": samsa.CompressionDefault, "none": samsa.CompressionNone, "gzip": samsa.CompressionGzip, "snappy": samsa.CompressionSnappy,
	"lz4": samsa.CompressionLz4, "zstd": samsa.CompressionZstd,
}

var partitioners = map[string]func() samsa.Partitioner{
	"": samsa.HashPartitioner, "hash": samsa.HashPartitioner, "murmur2": samsa.Murmur2Partitioner,
	"roundrobin": samsa.RoundRobinPartitioner, "random": samsa.RandomPartitioner,
}

// choice returns what a name stands for.
func choice[T any](what, name string, of map[string]T) (T, error) {
	v, ok := of[name]
	if !ok {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(name string) bool { return name == "" })
		return v, fmt.Errorf("%w: %s is %.40q, want %s", samsa.ErrInvalidOption, what, name, strings.Join(names, ", "))
	}
	return v, nil
}

// options returns how records are produced.
func (r ProduceRequest) options() (o samsa.ProduceOptions, err error) {
	if o.Acks, err = choice("acks", r.Acks, acks); err != nil {
		return o, err
	}
	if o.Compression, err = choice("compression", r.Compression, compressions); err != nil {
		return o, err
	}
	p, err := choice("partitioner", r.Partitioner, partitioners)
	if err == nil {
		o.Partitioner = chosen{p()}
	}
	return o, err
}

// unchosen is the partition of a record for which a partitioner is to choose.
const unchosen = -1

// chosen is a partitioner that chooses for those records alone that have no partition.
type chosen struct{ of samsa.Partitioner }

// ForTopic implements samsa.Partitioner.
func (c chosen) ForTopic(topic string) samsa.TopicPartitioner {
	return chosenTopic{c.of.ForTopic(topic)}
}

type chosenTopic struct{ samsa.TopicPartitioner }

// Partition implements samsa.TopicPartitioner.
func (c chosenTopic) Partition(r *samsa.Record, n int) int {
	if r.Partition != unchosen {
		return int(r.Partition)
	}
	return c.TopicPartitioner.Partition(r, n)
}

func produceRecords(c *call) (any, error) {
	var in ProduceRequest
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	opts, err := in.options()
	if err != nil {
		return nil, err
	}
	if len(in.Records) > maxListed {
		return nil, fmt.Errorf("%w: %d records, at most %d", samsa.ErrTooLarge, len(in.Records), maxListed)
	}
	records := make([]samsa.Record, len(in.Records))
	bytes := 0
	for i, r := range in.Records {
		rec := samsa.Record{Topic: c.r.PathValue("topic"), Partition: unchosen, Timestamp: r.Timestamp.Time, Key: r.Key, Value: r.Value}
		if r.Partition != nil {
			if rec.Partition = *r.Partition; rec.Partition < 0 {
				return nil, fmt.Errorf("record %d: %w: %d", i, samsa.ErrUnknownPartition, rec.Partition)
			}
		}
		for _, h := range r.Headers {
			if h.Size != 0 {
				return nil, fmt.Errorf("record %d: %w: the header %.40q was cut", i, samsa.ErrInvalid, h.Key)
			}
			rec.Headers = append(rec.Headers, samsa.Header{Key: string(h.Key), Value: h.Value})
		}
		bytes += size(rec, 0)
		records[i] = rec
	}
	if bytes > maxRecords {
		return nil, fmt.Errorf("%w: the records have %d bytes, at most %d", samsa.ErrTooLarge, bytes, maxRecords)
	}
	stored, err := c.b.ProduceWith(c.limited, opts, records...)
	if err != nil {
		return nil, err
	}
	return places(stored), nil
}

// places says where records are.
func places(records []samsa.Record) Produced {
	p := Produced{Records: make([]Place, len(records))}
	for i, r := range records {
		p.Records[i] = Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: At(r.Timestamp)}
	}
	return p
}

// maxRequeued bounds the dead letters that are sent back at once.
const maxRequeued = 1000

func requeue(c *call) (any, error) {
	var in RequeueRequest
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Offsets) > maxRequeued {
		return nil, fmt.Errorf("%w: %d offsets, at most %d", samsa.ErrTooLarge, len(in.Offsets), maxRequeued)
	}
	from := samsa.TopicPartition{Topic: c.r.PathValue("topic"), Partition: in.Partition}
	var back []samsa.Record
	bytes := 0
	for _, offset := range in.Offsets {
		letter, err := c.one(from, offset)
		if err != nil {
			return nil, err
		}
		rec, err := c.revive(letter)
		if err != nil {
			return nil, fmt.Errorf("%s: the record at offset %d: %w", from, offset, err)
		}
		if bytes += size(rec, 0); bytes > maxRecords {
			return nil, fmt.Errorf("%w: the records have more than %d bytes", samsa.ErrTooLarge, maxRecords)
		}
		back = append(back, rec)
	}
	stored, err := c.b.ProduceWith(c.limited, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, back...)
	if err != nil {
		return nil, err
	}
	return places(stored), nil
}

// revive returns the record of which a dead letter tells. It is the letter without the headers of one, or where that was not
// given the record, as Kafka has it by default, what is still there of it.
func (c *call) revive(letter samsa.Record) (samsa.Record, error) {
	told := make(map[string]string)
	kept := make([]samsa.Header, 0, len(letter.Headers))
	for _, h := range letter.Headers {
		switch h.Key {
		case samsa.DeadLetterTopic, samsa.DeadLetterPartition, samsa.DeadLetterOffset, samsa.DeadLetterGroup, samsa.DeadLetterDeliveries, samsa.DeadLetterMessage:
			told[h.Key] = string(h.Value)
		default:
			kept = append(kept, h)
		}
	}
	topic := told[samsa.DeadLetterTopic]
	partition, err := strconv.ParseInt(told[samsa.DeadLetterPartition], 10, 32)
	if topic == "" || err != nil {
		return letter, fmt.Errorf("%w: it is no dead letter: its headers do not say where it was", samsa.ErrInvalidRecord)
	}
	rec := samsa.Record{Topic: topic, Partition: int32(partition), Key: letter.Key, Value: letter.Value, Headers: kept}
	if letter.Key != nil || letter.Value != nil || len(kept) > 0 {
		return rec, nil
	}
	offset, err := strconv.ParseInt(told[samsa.DeadLetterOffset], 10, 64)
	if err != nil {
		return rec, fmt.Errorf("%w: it is no dead letter: its headers do not say where it was", samsa.ErrInvalidRecord)
	}
	found, err := c.one(samsa.TopicPartition{Topic: topic, Partition: rec.Partition}, offset)
	if err != nil {
		return rec, fmt.Errorf("the letter has no copy of its record: %w", err)
	}
	rec.Key, rec.Value, rec.Headers = found.Key, found.Value, found.Headers
	return rec, nil
}
