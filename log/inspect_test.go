package log

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Inspect finds what a reader finds, and fails where a reader fails, whatever the bytes.
func TestInspectAgreesWithTheReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var builder Builder
		for range rapid.IntRange(1, 5).Draw(t, "records") {
			var key []byte
			if rapid.Bool().Draw(t, "key") {
				key = []byte("k")
			}
			headers := make([]Header, rapid.IntRange(0, 2).Draw(t, "headers"))
			builder.Append(rapid.Int64Range(-5, 1<<41).Draw(t, "ms"), key, []byte("value"), headers)
		}
		env, err := builder.Seal(nil, CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		b := env.Batch()
		records, _ := b.EncodedRecords()
		for range rapid.IntRange(0, 2).Draw(t, "flips") {
			records[rapid.IntRange(0, len(records)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		want, wantErr := readContents(b, records)
		got, err := Inspect(b, records, true)
		if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrCorruptRecord) {
			t.Fatalf("got error %v, the reader %v", err, wantErr)
		}
		if err == nil && (got.MinTimestamp != want.MinTimestamp || got.MaxTimestamp != want.MaxTimestamp || !slices.Equal(got.Keyless, want.Keyless)) {
			t.Fatalf("got %+v, the reader %+v", got, want)
		}
	})
}

func readContents(b Batch, records []byte) (Contents, error) {
	var c Contents
	r := NewRecordReader(b, records)
	for n := 0; ; n++ {
		var rec Record
		more, err := r.Next(&rec)
		if err != nil || !more {
			return c, err
		}
		ms := rec.Timestamp.UnixMilli()
		if n == 0 {
			c.MinTimestamp, c.MaxTimestamp = ms, ms
		}
		c.MinTimestamp, c.MaxTimestamp = min(c.MinTimestamp, ms), max(c.MaxTimestamp, ms)
		if rec.Key == nil {
			c.Keyless = append(c.Keyless, rec.Offset-b.BaseOffset())
		}
	}
}
