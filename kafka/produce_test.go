package kafka

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// What is wrong with a batch is told with the code that fits, and nothing of it is stored.
func TestProduceRefuses(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("plain", samsa.TopicConfig{MaxMessageBytes: 300})
	k.create("compacted", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
	c := k.dial()
	good := func(codec log.Codec) log.Batch {
		return batch(t, codec, record{1, "k", "v"}, record{2, "k", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"})
	}
	changed := func(change func(b log.Batch)) []byte {
		b := good(log.CodecNone)
		change(b)
		b.SetMaxTimestamp(b.MaxTimestamp()) // a good CRC again
		return b
	}
	for _, tt := range []struct {
		name    string
		version int16
		topic   string
		records []byte
		want    int16
	}{
		{"none", 9, "plain", nil, codeInvalidRecord},
		{"unknown topic", 9, "nobody", good(log.CodecNone), codeUnknownTopicOrPartition},
		{"unknown topic id", 13, "", good(log.CodecNone), codeUnknownTopicID},
		{"flipped bit", 9, "plain", func() []byte { b := good(log.CodecNone); b[70] ^= 1; return b }(), codeCorruptMessage},
		{"cut short", 9, "plain", good(log.CodecNone)[:60], codeInvalidRecord},
		{"cut in the records", 9, "plain", good(log.CodecNone)[:70], codeInvalidRecord},
		{"cut before the magic", 9, "plain", good(log.CodecNone)[:9], codeInvalidRecord},
		{"a codec that nobody has", 9, "plain", changed(func(b log.Batch) { b[22] |= 5 }), codeInvalidRecord},
		{"a base offset", 9, "plain", changed(func(b log.Batch) { b.SetBaseOffset(9) }), codeInvalidRecord},
		{"two batches", 9, "plain", slices.Concat(good(log.CodecNone), good(log.CodecNone)), codeInvalidRecord},
		{"magic 1", 3, "plain", func() []byte { b := good(log.CodecNone); b[16] = 1; return b }(), codeInvalidRecord},
		{"damaged message set", 2, "plain", func() []byte { b := messageSet(1, record{1, "", "x"}); b[30] ^= 1; return b }(), codeCorruptMessage},
		{"too large", 9, "plain", batch(t, log.CodecNone, record{1, "", string(make([]byte, 300))}), codeMessageTooLarge},
		{"too early for zstd", 6, "plain", batch(t, log.CodecZstd, record{1, "", string(make([]byte, 200))}), codeUnsupportedCompressionType},
		{"dependent lz4 blocks", 9, "plain", func() []byte {
			b := batch(t, log.CodecLz4, record{1, "", string(make([]byte, 200))})
			b[log.BatchHeaderSize+4] &^= 1 << 5
			b.SetMaxTimestamp(b.MaxTimestamp())
			return b
		}(), codeInvalidRecord},
		{"control", 9, "plain", changed(func(b log.Batch) { b[22] |= 1 << 5 }), codeInvalidRecord},
		{"transactional", 9, "plain", changed(func(b log.Batch) { b[22] |= 1 << 4 }), codeTransactionalIDAuthorizationFailed},
		{"log append time", 9, "plain", changed(func(b log.Batch) { b[22] |= 1 << 3 }), codeInvalidTimestamp},
		{"fewer records than offsets", 9, "plain", changed(func(b log.Batch) { b[26] = 7 }), codeInvalidRecord},
		{"more offsets than records hold", 9, "plain", changed(func(b log.Batch) { b[26], b[60] = 2, 3 }), codeInvalidRecord},
		{"no records", 9, "plain", changed(func(b log.Batch) { b[26], b[60] = 0, 0 }), codeInvalidRecord},
		{"negative timestamp", 9, "plain", batch(t, log.CodecNone, record{-5, "", "x"}), codeInvalidTimestamp},
		{"unreadable records", 9, "plain", changed(func(b log.Batch) { b[61] = 99 }), codeInvalidRecord},
		{"no sequence", 9, "plain", changed(func(b log.Batch) { binary.BigEndian.PutUint64(b[43:], 5) }), codeInvalidRecord},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			resp := ask[*kmsg.ProduceResponse](c, tt.version, produceRequest(1, tt.topic, tt.records))
			p := resp.Topics[0].Partitions[0]
			if p.ErrorCode != tt.want || p.BaseOffset != -1 {
				t.Errorf("got error %d, offset %d, want error %d", p.ErrorCode, p.BaseOffset, tt.want)
			}
			if tt.version >= 8 && p.ErrorMessage == nil {
				t.Error("no message")
			}
		})
	}
	c.t = t
	resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "compacted", batch(t, log.CodecGzip, record{1, "k", "v"}, record{1, "", "v"})))
	p := resp.Topics[0].Partitions[0]
	if p.ErrorCode != codeInvalidRecord || len(p.ErrorRecords) != 1 || p.ErrorRecords[0].RelativeOffset != 1 || p.ErrorRecords[0].ErrorMessage == nil {
		t.Errorf("keyless record: got %+v", p)
	}
	resp = ask[*kmsg.ProduceResponse](c, 9, produceRequest(2, "plain", good(log.CodecNone)))
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != codeInvalidRequiredAcks {
		t.Errorf("acks 2: got %+v", p)
	}
	for _, topic := range []string{"plain", "compacted"} {
		if offsets, err := k.ListOffsets(k.ctx, topic, samsa.Latest()); err != nil || offsets[0].Offset != 0 {
			t.Errorf("%s: %v, error %v", topic, offsets, err)
		}
	}
}

// Batches of any codec are stored as they were sent, but for what is the broker's.
func TestProduceStoresWhatWasSent(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for codec := log.CodecNone; codec <= log.CodecZstd; codec++ {
		b := batch(t, codec, record{5, "", string(make([]byte, 9000))}, record{3, "k", "v"})
		p := ask[*kmsg.ProduceResponse](c, 7, produceRequest(-1, "web_log", b)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != 2*int64(codec) {
			t.Fatalf("%s: got %+v", codec, p)
		}
		got := ask[*kmsg.FetchResponse](c, 11, fetchRequest("web_log", p.BaseOffset)).Topics[0].Partitions[0].RecordBatches
		b.SetBaseOffset(p.BaseOffset)
		if !slices.Equal(got, b) {
			t.Errorf("%s: the batch came back changed", codec)
		}
	}
}

// A max timestamp that is not that of the records would mislead whoever looks for a time.
func TestProduceCorrectsTheMaxTimestamp(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	b := batch(t, log.CodecSnappy, record{5, "", "x"}, record{7, "", "y"})
	b.SetMaxTimestamp(1000)
	ask[*kmsg.ProduceResponse](c, 7, produceRequest(-1, "web_log", b))
	got := ask[*kmsg.FetchResponse](c, 11, fetchRequest("web_log", 0)).Topics[0].Partitions[0].RecordBatches
	stored, err := log.ParseBatch(got)
	if err != nil || stored.MaxTimestamp() != 7 {
		t.Errorf("max timestamp %d, error %v", stored.MaxTimestamp(), err)
	}
}

// A batch is stored from the memory that its request came in, which serves no other request before that.
func TestProduceKeepsItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		hold := make(chan struct{})
		var tx writer.Tx
		tx.Writes.Set(store.AppendAppKey(nil, []byte("key")), []byte("value"))
		tx.Check = func() error { <-hold; return nil }
		tx.Done = func(error) {}
		k.srv.in.Committer.Submit(&tx)
		synctest.Wait()
		const n = 4
		var want []string
		for i := range n {
			want = append(want, strings.Repeat(string(rune('a'+i)), 6<<10)) // too large to be folded
			c.send(7, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", want[i]})))
			synctest.Wait() // it has begun
		}
		close(hold)
		for range n {
			if p := c.receive().(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
				t.Errorf("got %+v", p)
			}
		}
		if got := k.values("web_log", n); !slices.Equal(got, want) {
			t.Error("what is stored is not what was sent")
		}
	})
}

// Without acks there is no answer, but what was sent is there; a failure ends the connection.
func TestProduceWithoutAcks(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	b := batch(t, log.CodecNone, record{1, "", "x"})
	c.send(7, produceRequest(0, "web_log", b))
	c.sent = nil
	req := kmsg.NewPtrListOffsetsRequest()
	rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	rt.Topic, rp.Timestamp = "web_log", listLatest
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp := ask[*kmsg.ListOffsetsResponse](c, 1, req) // begins when what came before it is stored
	if p := resp.Topics[0].Partitions[0]; p.Offset != 1 {
		t.Errorf("got %+v", p)
	}
	c.send(7, produceRequest(0, "nobody", b))
	c.ended()
	if !k.logged(log.ErrUnknownTopic) {
		t.Error("the failure is not logged")
	}
}

// An idempotent producer that sends a batch again gets its old offset.
func TestProduceAgain(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	id := ask[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest())
	if id.ErrorCode != 0 || id.ProducerID < 0 || id.ProducerEpoch != 0 {
		t.Fatalf("got %+v", id)
	}
	send := func(sequence int32) kmsg.ProduceResponseTopicPartition {
		b := batch(t, log.CodecNone, record{1, "", "x"})
		b.SetProducer(id.ProducerID, id.ProducerEpoch, sequence)
		return ask[*kmsg.ProduceResponse](c, 9, produceRequest(-1, "web_log", b)).Topics[0].Partitions[0]
	}
	for _, tt := range []struct {
		sequence int32
		code     int16
		offset   int64
	}{{0, 0, 0}, {1, 0, 1}, {0, 0, 0}, {1, 0, 1}, {5, codeOutOfOrderSequenceNumber, -1}, {2, 0, 2}} {
		if p := send(tt.sequence); p.ErrorCode != tt.code || p.BaseOffset != tt.offset {
			t.Errorf("sequence %d: got %+v", tt.sequence, p)
		}
	}
}

// A server that trusts compressed batches stores them without a look at their records, but
// where somebody relies on those, and not on a header that cannot be.
func TestProduceTrustsCompressedBatches(t *testing.T) {
	k := start(t, samsa.Options{}, Options{TrustCompressed: true})
	k.create("web_log", samsa.TopicConfig{})
	k.create("compacted", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
	c := k.dial()
	compressed := func(change func(b log.Batch)) log.Batch {
		b := batch(t, log.CodecSnappy, record{5, "k", string(make([]byte, 300))}, record{7, "", "y"})
		if b.Codec() != log.CodecSnappy {
			t.Fatal("the batch is not compressed")
		}
		change(b)
		return b
	}
	garbled := func(b log.Batch) {
		clear(b[log.BatchHeaderSize:])
		b.SetMaxTimestamp(b.MaxTimestamp()) // a good CRC again
	}
	for _, tt := range []struct {
		name, topic string
		batch       log.Batch
		want        int16
		maxTime     int64
	}{
		{"as it should be", "web_log", compressed(func(log.Batch) {}), 0, 7},
		{"records that cannot be read", "web_log", compressed(garbled), 0, 7},
		{"a bad CRC", "web_log", compressed(func(b log.Batch) { b[70] ^= 1 }), codeCorruptMessage, 0},
		{"a max timestamp before the first", "web_log", compressed(func(b log.Batch) { b.SetMaxTimestamp(4) }), 0, 7},
		{"a max timestamp that could be", "web_log", compressed(func(b log.Batch) { b.SetMaxTimestamp(9) }), 0, 9},
		{"plain records that cannot be read", "web_log", func() log.Batch {
			b := batch(t, log.CodecNone, record{5, "k", "v"})
			garbled(b)
			return b
		}(), codeInvalidRecord, 0},
		{"a record without key", "compacted", compressed(func(log.Batch) {}), codeInvalidRecord, 0},
	} {
		p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, tt.topic, tt.batch)).Topics[0].Partitions[0]
		if p.ErrorCode != tt.want {
			t.Errorf("%s: got error %d, want %d", tt.name, p.ErrorCode, tt.want)
			continue
		}
		if tt.want != 0 {
			continue
		}
		got := ask[*kmsg.FetchResponse](c, 11, fetchRequest(tt.topic, p.BaseOffset)).Topics[0].Partitions[0].RecordBatches
		if stored, err := log.ParseBatch(got); err != nil || stored.MaxTimestamp() != tt.maxTime {
			t.Errorf("%s: stored with max timestamp %d, want %d, error %v", tt.name, stored.MaxTimestamp(), tt.maxTime, err)
		}
	}
}
