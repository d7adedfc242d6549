package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// messageSet makes a message set, as a producer older than Kafka 0.11 would.
func messageSet(magic int8, records ...record) []byte {
	var set []byte
	for _, r := range records {
		var key []byte
		if r.key != "" {
			key = []byte(r.key)
		}
		at := len(set)
		if magic == 0 {
			m := kmsg.MessageV0{Key: key, Value: []byte(r.value)}
			set = m.AppendTo(set)
		} else {
			m := kmsg.MessageV1{Magic: 1, Timestamp: r.ms, Key: key, Value: []byte(r.value)}
			set = m.AppendTo(set)
		}
		binary.BigEndian.PutUint32(set[at+8:], uint32(len(set)-at-12))
		binary.BigEndian.PutUint32(set[at+12:], crc32.ChecksumIEEE(set[at+16:]))
	}
	return set
}

// messages tells what a message set holds: offset, timestamp of magic 1, key, value.
func messages(t *testing.T, magic int8, set []byte) string {
	t.Helper()
	var out []string
	for len(set) > 0 {
		size := 12 + int(binary.BigEndian.Uint32(set[8:]))
		m := set[:size]
		set = set[size:]
		if binary.BigEndian.Uint32(m[12:]) != crc32.ChecksumIEEE(m[16:]) || int8(m[16]) != magic {
			t.Fatalf("CRC or magic %d wrong, want %d", m[16], magic)
		}
		var v0 kmsg.MessageV0
		var v1 kmsg.MessageV1
		err := v0.ReadFrom(m)
		if magic == 1 {
			err = v1.ReadFrom(m)
			v0 = kmsg.MessageV0{Offset: v1.Offset, Key: v1.Key, Value: v1.Value}
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%d@%d %s=%s", v0.Offset, v1.Timestamp, v0.Key, v0.Value))
	}
	return strings.Join(out, ", ")
}

// What old producers send, new consumers and the Go API read, and the other way round; each
// version of Fetch reads what its clients know.
func TestMessageSets(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for _, tt := range []struct {
		version int16
		records []byte
	}{
		{0, messageSet(0, record{0, "k", "a"}, record{0, "", "b"})},
		{1, messageSet(0, record{0, "", "c"})},
		{2, messageSet(1, record{50, "", "d"}, record{40, "k", "e"})},
		{2, batch(t, log.CodecSnappy, record{60, "", "f"}, record{70, "", "g"})}, // Kafka takes it too
		{9, batch(t, log.CodecZstd, record{80, "", "h"}, record{90, "k", strings.Repeat("i", 500)})},
	} {
		p := ask[*kmsg.ProduceResponse](c, tt.version, produceRequest(1, "web_log", tt.records)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			t.Fatalf("version %d: got %+v", tt.version, p)
		}
	}
	if got := strings.Join(k.values("web_log", 9), ""); got != "abcdefgh"+strings.Repeat("i", 500) {
		t.Errorf("the Go consumer got %s", got)
	}
	recs := fetched(t, ask[*kmsg.FetchResponse](c, 12, fetchRequest("web_log", 0)))
	if !recs[0].Timestamp.IsZero() || recs[3].Timestamp.UnixMilli() != 50 { // magic 0 has no time
		t.Errorf("got the timestamps %v and %v", recs[0].Timestamp, recs[3].Timestamp)
	}
	last := strings.Repeat("i", 500)
	for _, tt := range []struct {
		version int16
		magic   int8
		want    string
	}{
		{0, 0, "4@0 k=e, 5@0 =f, 6@0 =g, 7@0 =h, 8@0 k=" + last},
		{1, 0, "4@0 k=e, 5@0 =f, 6@0 =g, 7@0 =h, 8@0 k=" + last},
		{2, 1, "4@40 k=e, 5@60 =f, 6@70 =g, 7@80 =h, 8@90 k=" + last},
		{3, 1, "4@40 k=e, 5@60 =f, 6@70 =g, 7@80 =h, 8@90 k=" + last},
	} {
		p := ask[*kmsg.FetchResponse](c, tt.version, fetchRequest("web_log", 4)).Topics[0].Partitions[0]
		if got := messages(t, tt.magic, p.RecordBatches); got != tt.want || p.HighWatermark != 9 {
			t.Errorf("Fetch %d: got %s", tt.version, got)
		}
	}
	p := ask[*kmsg.FetchResponse](c, 3, fetchRequest("web_log", 0)).Topics[0].Partitions[0]
	if got, want := messages(t, 1, p.RecordBatches), "0@-1 k=a, 1@-1 =b, 2@-1 =c, 3@50 =d, 4@40"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s...", got, want)
	}
}

// A message set ends where the limit of the partition is, in the middle of a batch too, but
// one message is always there: the client goes on behind it.
func TestMessageSetsKeepLimits(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	var records []record
	for i := range 10 {
		records = append(records, record{int64(i), "", fmt.Sprintf("%010d", i)})
	}
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, log.CodecGzip, records...)))
	const size = 34 + 10 // of a message of magic 1
	for _, tt := range []struct {
		limit int32
		want  int
	}{{4 * size, 4}, {4*size + size/2, 4}, {1, 1}, {100 * size, 10}} {
		offset, rounds := int64(0), 0
		for ; offset < 10; rounds++ {
			req := fetchRequest("web_log", offset)
			req.Topics[0].Partitions[0].PartitionMaxBytes = tt.limit
			set := ask[*kmsg.FetchResponse](c, 2, req).Topics[0].Partitions[0].RecordBatches
			n := len(set) / size
			if n < 1 || n > tt.want {
				t.Fatalf("limit %d: %d messages, want %d", tt.limit, n, tt.want)
			}
			if got := messages(t, 1, set); !strings.HasPrefix(got, fmt.Sprintf("%d@%d =%010d", offset, offset, offset)) {
				t.Fatalf("limit %d: from %d on got %s", tt.limit, offset, got)
			}
			offset += int64(n)
		}
		if want := (10 + tt.want - 1) / tt.want; rounds != want {
			t.Errorf("limit %d: %d rounds, want %d", tt.limit, rounds, want)
		}
	}
}

// A message set is held to the topic's rules, as a batch is.
func TestMessageSetsKeepRules(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("compacted", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
	k.create("stamped", samsa.TopicConfig{LogAppendTime: true})
	k.create("small", samsa.TopicConfig{MaxMessageBytes: 200})
	c := k.dial()
	for _, tt := range []struct {
		topic string
		set   []byte
		want  int16
	}{
		{"compacted", messageSet(0, record{0, "", "keyless"}), codeInvalidRecord},
		{"small", messageSet(1, record{1, "", strings.Repeat("x", 300)}), codeMessageTooLarge},
		{"small", messageSet(1, record{-7, "", "x"}), codeInvalidTimestamp},
		{"stamped", messageSet(1, record{1, "", "x"}), 0},
	} {
		p := ask[*kmsg.ProduceResponse](c, 2, produceRequest(1, tt.topic, tt.set)).Topics[0].Partitions[0]
		if p.ErrorCode != tt.want {
			t.Errorf("%s: got %+v", tt.topic, p)
		}
	}
	set := ask[*kmsg.FetchResponse](c, 2, fetchRequest("stamped", 0)).Topics[0].Partitions[0].RecordBatches
	if set[17] != 1<<3 { // the timestamp is the broker's
		t.Errorf("attributes %d", set[17])
	}
}

// The markers of transactions are for those who know them.
func TestMessageSetsHaveNoMarkers(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for _, value := range []string{"a", "b"} {
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", value})))
		in := inside.Of(k.Broker)
		found, err := in.Catalogue.Get("web_log")
		if err == nil {
			err = in.Committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: found.Partitions()[0], Batch: log.Marker(7, 0, true, 1)}}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for offset, want := range map[int64]string{0: "0@1 =a, 2@1 =b", 1: "2@1 =b", 3: ""} {
		p := ask[*kmsg.FetchResponse](c, 2, fetchRequest("web_log", offset)).Topics[0].Partitions[0]
		if got := messages(t, 1, p.RecordBatches); got != want || p.HighWatermark != 4 || p.ErrorCode != 0 {
			t.Errorf("from %d on: got %s, %+v", offset, got, p)
		}
	}
}
