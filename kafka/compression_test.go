package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// storedBatches returns the batches of the only partition of a topic as a client gets them.
func storedBatches(t *testing.T, c *client, topic string) []log.Batch {
	t.Helper()
	p := ask[*kmsg.FetchResponse](c, 12, fetchRequest(topic, 0)).Topics[0].Partitions[0]
	var batches []log.Batch
	for rest := p.RecordBatches; len(rest) > 0; {
		length, _, err := log.BatchLength(rest)
		if err != nil {
			t.Fatal(err)
		}
		b, err := log.ParseBatch(rest[:length])
		if err != nil {
			t.Fatal(err)
		}
		batches, rest = append(batches, b), rest[length:]
	}
	return batches
}

// A topic with a compression.type stores batches in that codec, whatever they come in, however
// small they are and through whichever door; all else about them stays.
func TestCompressionType(t *testing.T) {
	names := []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"}
	k := start(t, samsa.Options{}, Options{})
	for to, name := range names {
		topic := "web_log-" + name
		config := samsa.TopicConfig{}
		if err := config.SetConfig("compression.type", name); err != nil {
			t.Fatal(err)
		}
		k.create(topic, config)
		c := k.dial()
		if got := configs(t, c, topic)["compression.type"]; got != name {
			t.Errorf("described as %q, want %q", got, name)
		}
		var want []string
		produce := func(version int16, records []byte, values ...string) {
			t.Helper()
			p := ask[*kmsg.ProduceResponse](c, version, produceRequest(1, topic, records)).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.BaseOffset != int64(len(want)) {
				t.Fatalf("%s: got %+v", topic, p)
			}
			want = append(want, values...)
		}
		for from := range names {
			b := batch(t, log.Codec(from), record{50, "k", strings.Repeat(names[from], 500)}, record{40, "", ""})
			b.SetProducer(7, 1, int32(2*from))
			produce(9, b, strings.Repeat(names[from], 500), "")
		}
		produce(2, messageSet(1, record{60, "k", "old"}, record{61, "", "older"}), "old", "older")
		if _, err := k.Produce(k.ctx, samsa.Record{Topic: topic, Value: []byte("go")}); err != nil {
			t.Fatal(err)
		}
		want = append(want, "go")
		batches := storedBatches(t, c, topic)
		for i, b := range batches {
			if b.Codec() != log.Codec(to) {
				t.Errorf("%s: batch %d is %s", topic, i, b.Codec())
			}
			if i >= len(names) {
				continue
			}
			if b.ProducerID() != 7 || b.ProducerEpoch() != 1 || b.BaseSequence() != int32(2*i) || b.BaseTimestamp() != 50 ||
				b.MaxTimestamp() != 50 || b.Records() != 2 || b.LastOffset() != int64(2*i+1) {
				t.Errorf("%s: batch %d is another: %x", topic, i, b[:log.BatchHeaderSize])
			}
		}
		if len(batches) != len(names)+2 {
			t.Errorf("%s: %d batches", topic, len(batches))
		}
		if got := k.values(topic, len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %q", topic, got)
		}
	}
}

// A producer's batch that comes again, as a retry does, is known for what it was.
func TestCompressionTypeKnowsDuplicates(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Compression: samsa.CompressionZstd})
	c := k.dial()
	b := batch(t, log.CodecGzip, record{1, "k", "v"})
	b.SetProducer(7, 0, 0)
	for range 2 {
		p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", b)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != 0 {
			t.Errorf("got %+v", p)
		}
	}
}

// The config can be changed while the topic is used, and is in force from the next batch on;
// a server that trusts compressed batches looks at those that it has to compress again.
func TestCompressionTypeChanges(t *testing.T) {
	k := start(t, samsa.Options{}, Options{TrustCompressed: true})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for _, value := range []string{"producer", "lz4", "gzip", "producer"} {
		if err := k.Topics().Alter(k.ctx, "web_log", func(c *samsa.TopicConfig) error {
			return c.SetConfig("compression.type", value)
		}); err != nil {
			t.Fatal(err)
		}
		b := batch(t, log.CodecSnappy, record{1, "k", strings.Repeat("v", 500)})
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", b))
	}
	var got []log.Codec
	for _, b := range storedBatches(t, c, "web_log") {
		got = append(got, b.Codec())
	}
	if fmt.Sprint(got) != "[snappy lz4 gzip snappy]" {
		t.Errorf("got %v", got)
	}
}

// What is too large for its topic is refused as it was sent and as it would be stored.
func TestCompressionTypeKeepsMaxMessageBytes(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("plain", samsa.TopicConfig{MaxMessageBytes: 1000, Compression: samsa.CompressionNone})
	k.create("zstd", samsa.TopicConfig{MaxMessageBytes: 1000, Compression: samsa.CompressionZstd})
	c := k.dial()
	value := strings.Repeat("v", 2000)
	for topic, codec := range map[string]log.Codec{"plain": log.CodecGzip, "zstd": log.CodecNone} {
		p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, topic, batch(t, codec, record{1, "k", value}))).Topics[0].Partitions[0]
		if p.ErrorCode != k.srv.codeOf(log.ErrRecordTooLarge) {
			t.Errorf("%s: got %+v", topic, p)
		}
	}
}

// A Fetch older than zstd gets what is stored, as from Kafka since 4.0, which converts nothing.
func TestFetchOlderThanZstd(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Compression: samsa.CompressionZstd})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 3, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "k", "v"})))
	for version := int16(firstFetchBatches); version <= 12; version++ {
		resp := ask[*kmsg.FetchResponse](c, version, fetchRequest("web_log", 0))
		if records := fetched(t, resp); len(records) != 1 || string(records[0].Value) != "v" {
			t.Errorf("version %d: error %d, records %v", version, resp.Topics[0].Partitions[0].ErrorCode, records)
		}
	}
}
