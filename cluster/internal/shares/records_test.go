package shares

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// batch returns a batch of records with these values, from an offset on.
func batch(t *testing.T, base int64, codec log.Codec, values ...string) log.Batch {
	t.Helper()
	var b log.Builder
	for _, v := range values {
		b.Append(1, nil, []byte(v), nil)
	}
	sealed, err := b.Seal(nil, codec)
	if err != nil {
		t.Fatal(err)
	}
	sealed.SetBaseOffset(base)
	return sealed
}

// Of the batches of an answer come the records that were acquired; offsets at which there is none are gaps, and those of a damaged batch
// are rejected, whatever of it is damaged, but for where it ends.
func TestTake(t *testing.T) {
	tp := log.TopicPartition{Topic: "mails"}
	whole := func() []byte {
		var all []byte
		all = append(all, batch(t, 10, log.CodecNone, "a", "b", "c")...)
		all = append(all, batch(t, 20, log.CodecZstd, "d", "e")...)
		return append(all, batch(t, 30, log.CodecNone, "f")...)
	}
	ranges := func(of ...int64) (rs []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) {
		for i := 0; i < len(of); i += 3 {
			r := kmsg.NewShareFetchResponseTopicPartitionAcquiredRecord()
			r.FirstOffset, r.LastOffset, r.DeliveryCount = of[i], of[i+1], int16(of[i+2])
			rs = append(rs, r)
		}
		return rs
	}
	first := len(batch(t, 0, log.CodecNone, "a", "b", "c"))
	for name, test := range map[string]struct {
		damage func(b []byte) []byte
		ranges []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord
		want   string
		err    error
	}{
		"some":            {ranges: ranges(11, 11, 1, 20, 21, 3), want: "11b1 20d3 21e3"},
		"in no order":     {ranges: ranges(30, 30, 2, 10, 10, 1), want: "10a1 30f2"},
		"gaps":            {ranges: ranges(12, 20, 1, 31, 31, 1), want: "12c1 20d1 13gap 14gap 15gap 16gap 17gap 18gap 19gap 31gap"},
		"nothing":         {want: ""},
		"cut off":         {damage: func(b []byte) []byte { return b[:len(b)-3] }, ranges: ranges(21, 21, 1, 30, 30, 1), want: "21e1 30gap"},
		"a bit":           {damage: func(b []byte) []byte { b[first-2] ^= 1; return b }, ranges: ranges(10, 12, 1, 20, 20, 1), want: "20d1 10reject 11reject 12reject", err: log.ErrCorruptRecord},
		"compressed":      {damage: func(b []byte) []byte { b[first+log.BatchHeaderSize] ^= 1; return b }, ranges: ranges(20, 20, 1, 30, 30, 1), want: "30f1 20reject", err: log.ErrCorruptRecord},
		"a short length":  {damage: func(b []byte) []byte { copy(b[8:12], []byte{0, 0, 0, 3}); return b }, ranges: ranges(10, 10, 1), want: "10reject", err: log.ErrCorruptRecord},
		"another message": {damage: func(b []byte) []byte { b[16] = 1; return b }, ranges: ranges(10, 10, 1, 30, 30, 1), want: "30f1 10reject", err: log.ErrCorruptRecord},
	} {
		t.Run(name, func(t *testing.T) {
			a := kmsg.NewShareFetchResponseTopicPartition()
			a.Records, a.AcquiredRecords = whole(), test.ranges
			if test.damage != nil {
				a.Records = test.damage(a.Records)
			}
			got := take(tp, &a)
			text := ""
			for _, d := range got.ds {
				text += fmt.Sprintf(" %d%s%d", d.Record.Offset, d.Record.Value, d.Deliveries)
			}
			for _, o := range got.answers {
				text += fmt.Sprintf(" %d%s", o.offset, o.t)
			}
			if text != "" {
				text = text[1:]
			}
			if text != test.want || !errors.Is(got.err, test.err) || (got.err == nil) != (test.err == nil) {
				t.Errorf("got %s, %v, want %s, %v", text, got.err, test.want, test.err)
			}
		})
	}
}
