package log

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Skim finds what Next finds, and fails where Next fails, whatever the bytes.
func TestSkimAgreesWithNext(t *testing.T) {
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
		b, err := builder.Seal(nil, CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		records, _ := b.EncodedRecords()
		for range rapid.IntRange(0, 2).Draw(t, "flips") {
			records[rapid.IntRange(0, len(records)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		next, skim := NewRecordReader(b, records), NewRecordReader(b, records)
		for more := true; more; {
			var want, got Record
			var wantErr error
			more, wantErr = next.Next(&want)
			ms, ok, err := skim.Skim(&got)
			if ok != more || (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrCorruptRecord) {
				t.Fatalf("%v, %v, and Next %v, %v", ok, err, more, wantErr)
			}
			if more && (ms != want.millis() || got.Offset != want.Offset || !sameBytes(got.Key, want.Key) || !sameBytes(got.Value, want.Value)) {
				t.Fatalf("%+v at %d, and Next %+v", got, ms, want)
			}
		}
	})
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
