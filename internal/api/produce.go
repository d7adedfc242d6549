package api

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/samsa-go/samsa"
)

var acks = map[string]samsa.Acks{"": samsa.AckStored, "stored": samsa.AckStored, "synced": samsa.AckSynced}

var compressions = map[string]samsa.Compression{
	"": samsa.CompressionDefault, "none": samsa.CompressionNone, "gzip": samsa.CompressionGzip, "snappy": samsa.CompressionSnappy,
	"lz4": samsa.CompressionLz4, "zstd": samsa.CompressionZstd,
}

var partitioners = map[string]func() samsa.Partitioner{
	"": samsa.HashPartitioner, "hash": samsa.HashPartitioner, "murmur2": samsa.Murmur2Partitioner,
	roundRobin: samsa.RoundRobinPartitioner, "random": samsa.RandomPartitioner,
}

const roundRobin = "roundrobin"

// choice returns what a name stands for.
func choice[T any](what, name string, of map[string]T) (T, error) {
	v, ok := of[name]
	if !ok {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(name string) bool { return name == "" })
		return v, fmt.Errorf("%w: %s is %.40q, want %s", samsa.ErrInvalidOption, what, name, strings.Join(names, ", "))
	}
	return v, nil
}

// turns are whose turn it is next, by topic: the partitioner roundrobin goes on from request to request.
type turns struct {
	mu   sync.Mutex // guards next
	next map[string]int
}

// maxTurns bounds the topics that are remembered.
const maxTurns = 10_000

// take returns the turn of the first of n records.
func (t *turns) take(topic string, n int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil || len(t.next) >= maxTurns {
		t.next = make(map[string]int)
	}
	first := t.next[topic]
	t.next[topic] = (first + n) & math.MaxInt32
	return first
}

// inTurn takes the partitions in turn, from one on.
type inTurn struct{ next int }

// ForTopic implements samsa.Partitioner. All records of a request are of one topic.
func (i *inTurn) ForTopic(string) samsa.TopicPartitioner { return i }

// Partition implements samsa.TopicPartitioner.
func (i *inTurn) Partition(_ *samsa.Record, n int) int {
	p := i.next % n
	i.next++
	return p
}

// OnNewBatch implements samsa.TopicPartitioner.
func (i *inTurn) OnNewBatch() {}

// unplaced returns how many records have no partition.
func (r ProduceRequest) unplaced() (n int) {
	for _, rec := range r.Records {
		if rec.Partition == nil {
			n++
		}
	}
	return n
}

// options returns how records are produced.
func (r ProduceRequest) options(topic string, turns *turns) (o samsa.ProduceOptions, err error) {
	if o.Acks, err = choice("acks", r.Acks, acks); err != nil {
		return o, err
	}
	if o.Compression, err = choice("compression", r.Compression, compressions); err != nil {
		return o, err
	}
	p, err := choice("partitioner", r.Partitioner, partitioners)
	switch {
	case err != nil:
	case r.Partitioner == roundRobin:
		o.Partitioner = chosen{&inTurn{turns.take(topic, r.unplaced())}}
	default:
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
	opts, err := in.options(c.r.PathValue("topic"), &c.s.turns)
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
