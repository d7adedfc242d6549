package samsatest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// tombstone is a null value in texts.
const tombstone = "<nil>"

// Record makes a record of a text: "value", or "key=value". "=value" has no key and a value
// with anything in it, "key=<nil>" is a tombstone.
func Record(topic, text string) samsa.Record {
	r := samsa.Record{Topic: topic}
	key, value, found := strings.Cut(text, "=")
	if !found {
		key, value = "", text
	}
	if key != "" {
		r.Key = []byte(key)
	}
	if !found || value != tombstone {
		r.Value = []byte(value)
	}
	return r
}

// Text is the inverse of Record, as far as key and value go. A null key and an empty one look
// alike.
func Text(r samsa.Record) string {
	value := tombstone
	if r.Value != nil {
		value = string(r.Value)
	}
	if len(r.Key) == 0 && r.Value != nil && !strings.Contains(value, "=") {
		return value
	}
	return string(r.Key) + "=" + value
}

// Texts is Text of each.
func Texts(records []samsa.Record) []string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = Text(r)
	}
	return texts
}

// Produce stores a record for each text (see Record), all in one call, and returns them as
// Broker.Produce does.
func Produce(t TB, b *samsa.Broker, topic string, texts ...string) []samsa.Record {
	t.Helper()
	records := make([]samsa.Record, len(texts))
	for i, text := range texts {
		records[i] = Record(topic, text)
	}
	stored, err := b.Produce(context.Background(), records...)
	if err != nil {
		t.Fatalf("samsatest: %v", err)
	}
	return stored
}

// Drain returns the records that are in a topic now, partition by partition, each in the order
// of its offsets: those that consumers get by default, which are those of transactions that were committed. No fault keeps it from doing so, and a trace does not show it.
func Drain(t TB, b *samsa.Broker, topic string) []samsa.Record {
	t.Helper()
	known, err := partsOf(b).Catalogue.Get(topic)
	if err != nil {
		t.Fatalf("samsatest: %v", err)
		return nil
	}
	all, err := drainAll(known.Partitions())
	if err != nil {
		t.Fatalf("samsatest: %v", err)
		return nil
	}
	return all
}

// drainAll returns the records of all, in order.
func drainAll(partitions []*partition.Partition) (all []samsa.Record, err error) {
	for _, p := range partitions {
		if all, err = drain(all, p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// drain appends the records of p to all.
func drain(all []samsa.Record, p *partition.Partition) ([]samsa.Record, error) {
	start := p.LogStart()
	var failed error
	_, err := p.Log().ReadCommitted(start, nil, func(sb log.StoredBatch) bool {
		if failed = sb.Err; failed == nil && !sb.Batch.Control() && !sb.Aborted {
			all, failed = decode(all, sb.Batch, p.TopicPartition(), start)
		}
		return failed == nil
	})
	if failed != nil {
		err = failed
	}
	return all, err
}

// decode appends to all the records of a batch from offset from on; their bytes are their own.
func decode(all []samsa.Record, b log.Batch, tp samsa.TopicPartition, from int64) ([]samsa.Record, error) {
	bytes, err := b.AppendRecords(nil)
	if err != nil {
		return all, fmt.Errorf("%s: %w", tp, err)
	}
	reader := log.NewRecordReader(b, bytes)
	for {
		r := samsa.Record{Topic: tp.Topic, Partition: tp.Partition}
		more, err := reader.Next(&r)
		if err != nil || !more {
			return all, err
		}
		if r.Offset >= from {
			all = append(all, r)
		}
	}
}

// Equal compares the records that are in a topic now, in the order of Drain and as Text has
// them, with want.
func Equal(t TB, b *samsa.Broker, topic string, want []string) {
	t.Helper()
	if got := Texts(Drain(t, b, topic)); !slices.Equal(got, want) {
		t.Errorf("samsatest: topic %s has\n%swant\n%s", topic, lines(got), lines(want))
	}
}

// SameRecords is Equal for topics of several partitions, in any order.
func SameRecords(t TB, b *samsa.Broker, topic string, want []string) {
	t.Helper()
	got := Texts(Drain(t, b, topic))
	if a, b := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)); !slices.Equal(a, b) {
		t.Errorf("samsatest: topic %s has, in any order,\n%swant\n%s", topic, lines(a), lines(b))
	}
}

// lines has each text on a line.
func lines(texts []string) string {
	if len(texts) == 0 {
		return "\tnothing\n"
	}
	var s strings.Builder
	for _, text := range texts {
		fmt.Fprintf(&s, "\t%s\n", text)
	}
	return s.String()
}
