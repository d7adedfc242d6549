package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

func TestProduceFillsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		at := time.UnixMilli(1234)
		in := []samsa.Record{{Topic: "t", Value: []byte("a")}, {Topic: "t", Value: []byte("b"), Timestamp: at}}
		out := k.produce(in...)
		if got := texts(out); !slices.Equal(got, []string{"t/0@0=a", "t/0@1=b"}) {
			t.Error(got)
		}
		if !out[0].Timestamp.Equal(time.Now()) || !out[1].Timestamp.Equal(at) {
			t.Errorf("timestamps %v, %v", out[0].Timestamp, out[1].Timestamp)
		}
		if in[0].Offset != 0 || !in[0].Timestamp.IsZero() {
			t.Error("the caller's records were changed")
		}
		stored := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 2)
		for i := range stored {
			if !stored[i].Timestamp.Equal(out[i].Timestamp) {
				t.Errorf("record %d was stored at %v, told %v", i, stored[i].Timestamp, out[i].Timestamp)
			}
		}
	})
}

func TestLogAppendTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{LogAppendTime: true}); err != nil {
			t.Fatal(err)
		}
		out := k.produce(samsa.Record{Topic: "t", Timestamp: time.UnixMilli(5)})
		stored := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 1)
		if now := time.Now(); !out[0].Timestamp.Equal(now) || !stored[0].Timestamp.Equal(now) {
			t.Errorf("told %v, stored %v, want %v", out[0].Timestamp, stored[0].Timestamp, now)
		}
		offsets, err := k.ListOffsets(k.ctx, "t", samsa.AtTime(time.UnixMilli(6)))
		if err != nil || offsets[0].Offset != 0 {
			t.Errorf("the record is not found by its append time: %v, %v", offsets, err)
		}
		p := k.producer(samsa.ProducerOptions{})
		got, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Timestamp: time.UnixMilli(5)})
		if err != nil || !got[0].Timestamp.Equal(time.Now()) {
			t.Errorf("the producer was told %v, %v", got, err)
		}
	})
}

// What goes in comes out: null is not empty, text is not ASCII, bytes are bytes.
func TestRecordsSurviveAsTheyAre(t *testing.T) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	in := []samsa.Record{
		{},
		{Key: []byte{}, Value: []byte{}},
		{Key: []byte("ключ"), Value: []byte("日本語 🪲")},
		{Key: binary, Value: bytes.Repeat(binary, 1000)},
		{Headers: []samsa.Header{{}, {Key: "", Value: []byte{}}, {Key: "ß", Value: binary}, {Key: "twice"}, {Key: "twice", Value: []byte("x")}}},
		{Timestamp: time.UnixMilli(0)},
		{Timestamp: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
	}
	for _, compression := range []samsa.Compression{samsa.CompressionNone, samsa.CompressionGzip, samsa.CompressionSnappy, samsa.CompressionLz4, samsa.CompressionZstd} {
		for _, memory := range []bool{true, false} {
			dir := ""
			if !memory {
				dir = t.TempDir()
			}
			k := open(t, dir, samsa.Options{InMemory: memory, Produce: samsa.ProduceOptions{Compression: compression}})
			if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{TimestampAfterMax: samsa.Unlimited}); err != nil {
				t.Fatal(err)
			}
			for i := range in {
				in[i].Topic = "t"
			}
			want := k.produce(in...)
			got := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), len(in))
			for i := range got {
				if a, b := fmt.Sprintf("%#v", plain(got[i])), fmt.Sprintf("%#v", plain(want[i])); a != b {
					t.Errorf("%s, memory %v: record %d is\n%s\nwant\n%s", compression, memory, i, a, b)
				}
			}
		}
	}
}

// plain makes times comparable by their text and leaves nil and empty apart.
func plain(r samsa.Record) any {
	ms := r.Timestamp.UnixMilli()
	r.Timestamp = time.Time{}
	if len(r.Headers) == 0 {
		r.Headers = nil
	}
	return []any{ms, r}
}

func TestProduceIsAllOrNothing(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("a", 2)
	k.create("b", 1)
	for _, bad := range []struct {
		r    samsa.Record
		want error
	}{
		{samsa.Record{Topic: "no"}, samsa.ErrUnknownTopic},
		{samsa.Record{Topic: "a", Value: make([]byte, 2<<20)}, samsa.ErrRecordTooLarge},
		{samsa.Record{Topic: "a", Timestamp: time.Unix(-5, 0)}, samsa.ErrInvalidTimestamp},
		{samsa.Record{Topic: "a", Timestamp: time.Unix(math.MaxInt64/2, 0)}, samsa.ErrInvalidTimestamp},
	} {
		_, err := k.Produce(k.ctx, samsa.Record{Topic: "a"}, samsa.Record{Topic: "b"}, bad.r, samsa.Record{Topic: "b"})
		if !errors.Is(err, bad.want) || !strings.Contains(err.Error(), "record 2") {
			t.Errorf("got %v, want %v of record 2", err, bad.want)
		}
	}
	k.nothingStored("a")
	k.nothingStored("b")
	if out, err := k.Produce(k.ctx); out != nil || err != nil {
		t.Errorf("no records: %v, %v", out, err)
	}
	k.produce(samsa.Record{Topic: "a"}, samsa.Record{Topic: "b"}, samsa.Record{Topic: "a"}, samsa.Record{Topic: "b"})
	if s, _ := k.Stats(k.ctx); s.Records != 4 || s.Commits > 4 { // two creations, and the records in one
		t.Errorf("%+v", s)
	}
}

// A timestamp too far from the clock is refused through every way to produce, by the name of the
// bound, and nothing is stored. Where the time is the broker's, the record's own does not matter.
func TestTimestampBounds(t *testing.T) {
	ways := map[string]func(k *kit, r samsa.Record) error{
		"Produce": func(k *kit, r samsa.Record) error { return second(k.Produce(k.ctx, r)) },
		"Producer": func(k *kit, r samsa.Record) error {
			return second(k.producer(samsa.ProducerOptions{}).ProduceSync(k.ctx, r))
		},
		"Update": func(k *kit, r samsa.Record) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				time.Sleep(time.Hour) // the time is that of Produce, not of the beginning
				r.Timestamp = r.Timestamp.Add(time.Hour)
				return tx.Produce(r)
			})
		},
	}
	bounded := samsa.TopicConfig{TimestampBeforeMax: 24 * time.Hour, TimestampAfterMax: time.Minute}
	stamped := samsa.TopicConfig{TimestampBeforeMax: 1, TimestampAfterMax: 1, LogAppendTime: true}
	for _, tc := range []struct {
		name   string
		config samsa.TopicConfig
		ahead  time.Duration
		want   string // part of the error
	}{
		{"within the default", samsa.TopicConfig{}, time.Hour, ""},
		{"beyond the default", samsa.TopicConfig{}, time.Hour + time.Millisecond, "3600001 ms ahead of the clock, message.timestamp.after.max.ms is 3600000"},
		{"as old as it likes", samsa.TopicConfig{}, -20 * 365 * 24 * time.Hour, ""},
		{"within", bounded, time.Minute, ""},
		{"beyond", bounded, time.Minute + time.Millisecond, "message.timestamp.after.max.ms is 60000"},
		{"old enough", bounded, -24 * time.Hour, ""},
		{"too old", bounded, -24*time.Hour - time.Millisecond, "86400001 ms behind the clock, message.timestamp.before.max.ms is 86400000"},
		{"unlimited", samsa.TopicConfig{TimestampAfterMax: samsa.Unlimited}, 1000 * 24 * time.Hour, ""},
		{"not at all", samsa.TopicConfig{TimestampAfterMax: 1}, time.Millisecond, "message.timestamp.after.max.ms is 0"},
		{"LogAppendTime, from the future", stamped, 1000 * 24 * time.Hour, ""},
		{"LogAppendTime, from before 1970", stamped, -200 * 365 * 24 * time.Hour, ""},
		{"LogAppendTime, from after 9999", stamped, 1<<63 - 1, ""},
	} {
		for name, produce := range ways {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := inMemory(t, samsa.Options{})
					if err := k.Topics().Create(k.ctx, "t", tc.config); err != nil {
						t.Fatal(err)
					}
					at := time.Now().Add(tc.ahead)
					if tc.ahead == 1<<63-1 {
						at = time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
					}
					err := produce(k, samsa.Record{Topic: "t", Timestamp: at})
					if tc.want == "" {
						if err != nil {
							t.Error(err)
						}
						return
					}
					if !errors.Is(err, samsa.ErrInvalidTimestamp) || !strings.Contains(err.Error(), "t/0") || !strings.Contains(err.Error(), tc.want) {
						t.Errorf("got %v, want %q", err, tc.want)
					}
					k.nothingStored("t")
				})
			})
		}
	}
}

func (k *kit) nothingStored(topic string) {
	k.t.Helper()
	offsets, err := k.ListOffsets(k.ctx, topic, samsa.Latest())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, o := range offsets {
		if o.Offset != 0 {
			k.t.Errorf("%s/%d holds %d records, want none", topic, o.Partition, o.Offset)
		}
	}
}

// One call may hold more than one batch takes.
func TestProduceSplitsIntoBatches(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{MaxMessageBytes: 1000}); err != nil {
		t.Fatal(err)
	}
	var in []samsa.Record
	for i := range 50 {
		in = append(in, samsa.Record{Topic: "t", Value: fmt.Appendf(nil, "%0100d", i)})
	}
	out := k.produce(in...)
	stored := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 50)
	if !slices.Equal(texts(stored), texts(out)) {
		t.Errorf("stored %v, told %v", texts(stored), texts(out))
	}
	if s, _ := k.Stats(k.ctx); s.Batches < 6 {
		t.Errorf("%d batches", s.Batches)
	}
}

func TestProduceTooMuchAtOnce(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	k.create("t", 1)
	value := make([]byte, 1<<19)
	records := make([]samsa.Record, 100)
	for i := range records {
		records[i] = samsa.Record{Topic: "t", Value: value}
	}
	if _, err := k.Produce(k.ctx, records...); !errors.Is(err, samsa.ErrTxTooLarge) {
		t.Errorf("50 MiB in a call: %v", err)
	}
	k.nothingStored("t")
	k.produce(records[:40]...)
}

func TestProduceWithACancelledContextStoresNothing(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	if _, err := k.Produce(ctx, samsa.Record{Topic: "t"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	k.nothingStored("t")
}

func TestAutoCreate(t *testing.T) {
	k := inMemory(t, samsa.Options{AutoCreateTopics: true, TopicDefaults: samsa.TopicConfig{Partitions: 3}})
	k.write("by-produce", "a")
	k.consumer(samsa.ConsumerOptions{Topics: []string{"by-consume"}})
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "not a name"}); !errors.Is(err, samsa.ErrInvalidTopic) {
		t.Error(err)
	}
	names, err := k.Topics().List(k.ctx)
	if err != nil || !slices.Equal(names, []string{"by-consume", "by-produce"}) {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if info, err := k.Topics().Describe(k.ctx, name); err != nil || len(info.Partitions) != 3 {
			t.Errorf("%+v, %v", info, err)
		}
	}
	k = inMemory(t, samsa.Options{})
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "t"}); !errors.Is(err, samsa.ErrUnknownTopic) {
		t.Errorf("without AutoCreateTopics: %v", err)
	}
}
