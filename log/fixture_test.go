package log

import (
	"errors"
	"reflect"
	"testing"
)

// rec is a record as a test writes it: offset and milliseconds, then nil or a string.
func rec(offset, ms int64, key, value any, headers ...Header) Record {
	null := func(v any) []byte {
		if v == nil {
			return nil
		}
		return []byte(v.(string))
	}
	return Record{
		Offset: offset, Timestamp: timeOf(ms),
		Key: null(key), Value: null(value), Headers: headers,
	}
}

// sealed returns the records as a batch whose base offset is that of the first.
func sealed(t testing.TB, codec Codec, records ...Record) Batch {
	t.Helper()
	var b Builder
	for _, r := range records {
		b.Append(r.millis(), r.Key, r.Value, r.Headers)
	}
	e, err := b.Seal(nil, codec)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	e.SetBaseOffset(records[0].Offset)
	return e
}

// readAll decompresses and reads every record of b.
func readAll(b Batch, limit int) ([]Record, error) {
	raw, err := b.appendRecords(nil, limit)
	if err != nil {
		return nil, err
	}
	var records []Record
	r := NewRecordReader(b, raw)
	for {
		var rec Record
		ok, err := r.Next(&rec)
		if err != nil {
			return records, err
		}
		if !ok {
			return records, nil
		}
		records = append(records, rec)
	}
}

func mustRead(t testing.TB, b Batch) []Record {
	t.Helper()
	records, err := readAll(b, MaxDecompressedBytes)
	if err != nil {
		t.Fatalf("reading the batch: %v", err)
	}
	return records
}

// sameRecords holds null and empty apart.
func sameRecords(t fataler, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("record %d:\n got %#v\nwant %#v", i, got[i], want[i])
		}
	}
}

// wantError checks that err is want, and that want is an ErrCorruptRecord.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || !errors.Is(err, ErrCorruptRecord) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// craft returns a batch of whatever fields and records, with the right length and CRC.
func craft(records []byte, count int32, change func(Batch)) Batch {
	b := Batch(append(make([]byte, BatchHeaderSize), records...))
	b.putHeader(CodecNone, 1000, 1000, int(count))
	if change != nil {
		change(b)
	}
	b.putCRC()
	return b
}

// fataler is a *testing.T, *testing.B, *testing.F or *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}
