package kafka

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// A record beyond the bounds of its topic is refused by name, whatever the form, and nothing of its
// batch is stored. No timestamp is none that could be wrong, and where the time is the
// broker's, what the producer says does not matter.
func TestProduceTimestamps(t *testing.T) {
	const hour = int64(time.Hour / time.Millisecond)
	now := time.Now().UnixMilli()
	for _, trust := range []bool{false, true} {
		k := start(t, samsa.Options{}, Options{TrustCompressed: trust})
		k.create("plain", samsa.TopicConfig{})
		k.create("bounded", samsa.TopicConfig{TimestampBeforeMax: 24 * time.Hour, TimestampAfterMax: 3 * time.Hour})
		k.create("stamped", samsa.TopicConfig{TimestampBeforeMax: 1, TimestampAfterMax: 1, LogAppendTime: true})
		k.create("any", samsa.TopicConfig{TimestampAfterMax: samsa.Unlimited})
		c := k.dial()
		for _, tt := range []struct {
			topic string
			ms    int64
			bound string // that the refusal names
		}{
			{"plain", now + hour/2, ""},
			{"plain", now + 2*hour, "message.timestamp.after.max.ms is 3600000"},
			{"plain", math.MaxInt64, "message.timestamp.after.max.ms is 3600000"},
			{"plain", 0, ""},
			{"plain", log.NoTimestamp, ""},
			{"plain", -2, "1970"},
			{"plain", math.MinInt64, "1970"},
			{"bounded", now + 2*hour, ""},
			{"bounded", now + 4*hour, "message.timestamp.after.max.ms is 10800000"},
			{"bounded", now - 23*hour, ""},
			{"bounded", now - 25*hour, "message.timestamp.before.max.ms is 86400000"},
			{"bounded", log.NoTimestamp, ""},
			{"stamped", now - 2*hour, ""},
			{"stamped", now + 2*hour, ""},
			{"stamped", math.MinInt64, ""},
			{"stamped", math.MaxInt64, ""},
			{"stamped", log.NoTimestamp, ""},
			{"any", math.MaxInt64, ""},
		} {
			records := []record{{now, "k", "good"}, {now, "k", strings.Repeat("x", 200)}, {tt.ms, "k", "v"}, {now, "", "good too"}}
			for name, form := range map[string]struct {
				version int16
				records []byte
			}{
				"plain":       {9, batch(t, log.CodecNone, records...)},
				"compressed":  {9, batch(t, log.CodecZstd, records...)},
				"first":       {9, batch(t, log.CodecSnappy, records[2], records[1])},
				"message set": {2, messageSet(1, records...)},
			} {
				if trust && name == "compressed" && tt.ms < 0 {
					continue // which a header does not show
				}
				before := k.end(tt.topic)
				p := ask[*kmsg.ProduceResponse](c, form.version, produceRequest(1, tt.topic, form.records)).Topics[0].Partitions[0]
				what := fmt.Sprintf("%s, %s, %d ms, trust %t", tt.topic, name, tt.ms-now, trust)
				if tt.bound == "" {
					if p.ErrorCode != 0 || k.end(tt.topic) == before {
						t.Errorf("%s: got %+v", what, p)
					}
					continue
				}
				if p.ErrorCode != codeInvalidTimestamp || k.end(tt.topic) != before {
					t.Errorf("%s: got %+v", what, p)
				}
				if form.version < 8 {
					continue // has no place for more
				}
				bad := int32(2)
				if name == "first" {
					bad = 0
				}
				if len(p.ErrorRecords) != 1 || p.ErrorRecords[0].RelativeOffset != bad || p.ErrorMessage == nil ||
					!strings.Contains(*p.ErrorMessage, tt.bound) || !strings.Contains(*p.ErrorRecords[0].ErrorMessage, tt.bound) {
					t.Errorf("%s: got %+v", what, p)
				}
			}
		}
	}
}

// end is the log end offset of partition 0.
func (k *kit) end(topic string) int64 {
	k.t.Helper()
	offsets, err := k.ListOffsets(k.ctx, topic, samsa.Latest())
	if err != nil {
		k.t.Fatal(err)
	}
	return offsets[0].Offset
}

// A bound can be set over the wire, and is obeyed from then on.
func TestTimestampBoundsAreConfigs(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "web_log"
	e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	e.Name, e.Value = "message.timestamp.after.max.ms", kmsg.StringPtr("7200000")
	r.Configs = append(r.Configs, e)
	req.Resources = append(req.Resources, r)
	if got := ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, req).Resources[0]; got.ErrorCode != 0 {
		t.Fatalf("got %+v", got)
	}
	for ahead, want := range map[time.Duration]int16{90 * time.Minute: 0, 3 * time.Hour: codeInvalidTimestamp} {
		b := batch(t, log.CodecNone, record{time.Now().Add(ahead).UnixMilli(), "", "x"})
		if p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", b)).Topics[0].Partitions[0]; p.ErrorCode != want {
			t.Errorf("%s ahead: got %+v", ahead, p)
		}
	}
}

// A record without a timestamp is stored, and read as such through both doors. Retention takes it
// for as old as its append: it does not go at once, and it goes.
func TestProduceWithoutTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{Retention: time.Hour})
		c := k.dial()
		sent := batch(t, log.CodecNone, record{log.NoTimestamp, "k", "a"})
		for _, tt := range []struct {
			version int16
			records []byte
		}{
			{9, sent},
			{9, batch(t, log.CodecGzip, record{log.NoTimestamp, "k", "b"}, record{log.NoTimestamp, "", strings.Repeat("c", 300)})},
			{1, messageSet(0, record{0, "", "of magic 0"})},
		} {
			if p := ask[*kmsg.ProduceResponse](c, tt.version, produceRequest(1, "web_log", tt.records)).Topics[0].Partitions[0]; p.ErrorCode != 0 {
				t.Fatalf("got %+v", p)
			}
		}
		time.Sleep(time.Hour)
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
		c = k.dial() // the old connection was idle for too long
		got := ask[*kmsg.FetchResponse](c, 11, fetchRequest("web_log", 0))
		if b := got.Topics[0].Partitions[0].RecordBatches; !strings.HasPrefix(string(b), string(sent)) {
			t.Error("the batch came back changed")
		}
		for _, r := range append(fetched(t, got), k.records("web_log", 4)...) {
			if !r.Timestamp.IsZero() {
				t.Errorf("record %d has the timestamp %s", r.Offset, r.Timestamp)
			}
		}
		for _, ts := range []int64{0, listMaxTimestamp} {
			req := kmsg.NewPtrListOffsetsRequest()
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Timestamp = ts
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
			if p := ask[*kmsg.ListOffsetsResponse](c, 7, req).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.Offset != -1 {
				t.Errorf("the offset of time %d: %+v", ts, p)
			}
		}
		time.Sleep(time.Millisecond)
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
		if offsets, err := k.ListOffsets(k.ctx, "web_log", samsa.Earliest()); err != nil || offsets[0].Offset != 4 {
			t.Errorf("an hour later the log begins at %v, %v", offsets, err)
		}
	})
}

// records returns what a Go consumer reads of the topic, which has n records, those of all transactions among them.
func (k *kit) records(topic string, n int) []samsa.Record {
	k.t.Helper()
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{topic}, Isolation: samsa.ReadUncommitted})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var all []samsa.Record
	for len(all) < n {
		recs, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, recs...)
	}
	return all
}

// The delete horizon is the cleaner's: a producer that sends one cannot make a tombstone go.
func TestProduceWithDeleteHorizon(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("compacted", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
	c := k.dial()
	var b log.SparseBuilder
	b.Reset(0)
	tombstone := log.Record{Key: []byte("k"), Timestamp: time.UnixMilli(70)}
	if err := b.Append(&tombstone); err != nil {
		t.Fatal(err)
	}
	env, err := b.Seal(log.CodecNone, log.Cover{DeleteHorizon: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, records := range []log.Batch{env, batch(t, log.CodecNone, record{80, "z", "newest"})} {
		if p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "compacted", records)).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Fatalf("got %+v", p)
		}
	}
	for range 2 {
		got := fetched(t, ask[*kmsg.FetchResponse](c, 11, fetchRequest("compacted", 0)))
		if len(got) != 2 || got[0].Value != nil || got[0].Timestamp.UnixMilli() != 70 {
			t.Errorf("got %v", got)
		}
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
	}
}
