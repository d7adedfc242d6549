package log

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// What a batch grows by lies between the size and the bound, and is what SizeWith says or less.
func TestRecordSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300))
		var b Builder
		times := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, math.MaxInt64/4))
		b.Append(times.Draw(t, "first time"), nil, nil, nil)
		r := Record{Key: bytes.Draw(t, "key"), Value: bytes.Draw(t, "value")}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{rapid.String().Draw(t, "name"), bytes.Draw(t, "content")})
		}
		before, with := b.Size(), b.SizeWith(r.Key, r.Value, r.Headers)
		b.Append(times.Draw(t, "time"), r.Key, r.Value, r.Headers)
		grown := b.Size() - before
		if least, most := RecordSize(&r), RecordBound(&r); grown < least || grown > most || grown > with-before || most < least {
			t.Errorf("a record of size %d, at most %d, takes %d; it was to take %d", least, most, grown, with-before)
		}
	})
}
