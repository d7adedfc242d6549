package log

import (
	"errors"
	"math"
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
		b := env
		records, _ := b.EncodedRecords()
		for range rapid.IntRange(0, 2).Draw(t, "flips") {
			records[rapid.IntRange(0, len(records)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		wanted := Wanted{
			Keyless:      rapid.Bool().Draw(t, "keyless"),
			MinTimestamp: rapid.Int64Range(-5, 2).Draw(t, "min"), MaxTimestamp: rapid.Int64Range(0, 1<<41).Draw(t, "max"),
		}
		want, wantErr := readContents(b, records, wanted)
		got, err := Inspect(b, records, wanted)
		if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrCorruptRecord) {
			t.Fatalf("got error %v, the reader %v", err, wantErr)
		}
		if err == nil && (got.MaxTimestamp != want.MaxTimestamp || !slices.Equal(got.Keyless, want.Keyless) || !slices.Equal(got.Untimely, want.Untimely)) {
			t.Fatalf("got %+v, the reader %+v", got, want)
		}
	})
}

func readContents(b Batch, records []byte, wanted Wanted) (Contents, error) {
	c := Contents{MaxTimestamp: math.MinInt64}
	r := NewRecordReader(b, records)
	for {
		var rec Record
		more, err := r.Next(&rec)
		if err != nil || !more {
			return c, err
		}
		found := Found{rec.Offset - b.BaseOffset(), rec.millis()}
		c.MaxTimestamp = max(c.MaxTimestamp, found.Timestamp)
		if wanted.Keyless && rec.Key == nil {
			c.Keyless = append(c.Keyless, found)
		}
		if !rec.Timestamp.IsZero() && (found.Timestamp < wanted.MinTimestamp || found.Timestamp > wanted.MaxTimestamp) {
			c.Untimely = append(c.Untimely, found)
		}
	}
}
