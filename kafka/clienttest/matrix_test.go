package clienttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// matrixRecords is how many records each client produces with each codec: enough that
// compressing them pays.
const matrixRecords = 20

func matrixTopic(producer, codec string) string { return producer + "." + codec }

func matrixWork(producer, codec string) []record {
	records := make([]record, matrixRecords)
	for i := range records {
		records[i] = record{
			Key:    fmt.Sprintf("%s-%d", producer, i),
			Value:  fmt.Sprintf("record %d of %s: %s", i, producer, strings.Repeat(codec, i)),
			Header: codec,
		}
	}
	return records
}

// Whatever one client has compressed, every other reads, and the Go API too; and what the Go
// API has compressed, every client reads.
func TestMatrix(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{})
	const us = "samsa"
	for _, c := range append([]client{{name: us}}, clients()...) {
		for _, codec := range codecs {
			k.create(matrixTopic(c.name, codec), 1)
		}
	}
	var topics []string
	want := make(map[string][]record)
	fill := func(producer string) (jobs []job) {
		for _, codec := range codecs {
			topic := matrixTopic(producer, codec)
			topics, want[topic] = append(topics, topic), matrixWork(producer, codec)
			jobs = append(jobs, job{Topic: topic, Codec: codec, Records: want[topic]})
		}
		return jobs
	}
	t.Run("produce", func(t *testing.T) {
		for i, j := range fill(us) {
			k.writeCompressed(j, samsa.CompressionNone+samsa.Compression(i))
		}
		each(t, func(t *testing.T, c client) {
			c.produce(k.of(t), fill(c.name))
		})
	})
	t.Run("stored", func(t *testing.T) {
		k := k.of(t)
		for _, topic := range topics {
			if got := plain(k.read(topic, matrixRecords)); !slices.Equal(got, want[topic]) {
				t.Errorf("the Go API reads of %s %v, want %v", topic, got, want[topic])
			}
			codec := topic[strings.LastIndexByte(topic, '.')+1:]
			if stored := k.storedCodec(topic); stored != codec {
				t.Errorf("%s is stored with codec %s", topic, stored)
			}
		}
	})
	t.Run("consume", func(t *testing.T) {
		each(t, func(t *testing.T, c client) {
			t.Parallel()
			got := c.consume(k.of(t), topics, matrixRecords)
			for _, topic := range topics {
				if !slices.Equal(got[topic], want[topic]) {
					t.Errorf("reads of %s %v, want %v", topic, got[topic], want[topic])
				}
			}
		})
	})
}

// writeCompressed does a job through the Go API.
func (k *kit) writeCompressed(j job, c samsa.Compression) {
	k.t.Helper()
	// All records in one batch: one record alone may be stored as it is, when that is shorter.
	p, err := k.NewProducer(k.ctx, samsa.ProducerOptions{Compression: c, Linger: time.Second})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, r := range j.Records {
		p.Produce(k.ctx, samsa.Record{Topic: j.Topic, Key: []byte(r.Key), Value: []byte(r.Value),
			Headers: []samsa.Header{{Key: headerKey, Value: []byte(r.Header)}}}, nil)
	}
	if err := p.Close(); err != nil {
		k.t.Fatal(err)
	}
}

// storedCodec returns the codec of the last batch of partition 0. A client that falls back to
// sending uncompressed does so silently.
func (k *kit) storedCodec(topic string) string {
	k.t.Helper()
	cl := k.franz(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtEnd().Relative(-1)}}))
	defer cl.Close()
	fetches := cl.PollRecords(k.ctx, 1)
	if err := fetches.Err(); err != nil {
		k.t.Fatal(err)
	}
	return codecs[fetches.Records()[0].Attrs.CompressionType()]
}
