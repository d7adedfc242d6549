package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// zz appends zigzag varints.
func zz(values ...int64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.AppendVarint(b, v)
	}
	return b
}

// framed puts a record's length in front of it.
func framed(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(zz(int64(len(body))), body...)
}

// TestReaderRefuses crafts records that lie, under a CRC that is right.
func TestReaderRefuses(t *testing.T) {
	attrs := []byte{0}
	good := func(delta int64) []byte { return framed(attrs, zz(0, delta, -1, -1, 0)) }
	tooBig := bytes.Repeat([]byte{0xff}, 10)
	for name, c := range map[string]struct {
		records []byte
		count   int32
		want    error
	}{
		"length beyond the batch":   {append(zz(100), good(0)...), 1, errRecordLength},
		"length negative":           {append(zz(-1), good(0)...), 1, errRecordLength},
		"length below a record":     {append(zz(5), good(0)...), 1, errRecordLength},
		"length huge":               {append(zz(math.MaxInt64), good(0)...), 1, errRecordLength},
		"length of 11 bytes":        {append(append(tooBig, 1), good(0)...), 1, errRecordLength},
		"length of 65 bits":         {append(append(tooBig[:9:9], 2), good(0)...), 1, errRecordLength},
		"length cut":                {append(good(0), 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80), 2, errRecordLength},
		"no record":                 {append(good(0), good(1)...), 3, errRecordLength},
		"offset repeated":           {append(good(0), good(0)...), 2, errRecordOffset},
		"offset going back":         {append(good(1), good(0)...), 2, errRecordOffset},
		"offset negative":           {good(-1), 1, errRecordOffset},
		"offset beyond the last":    {good(1), 1, errRecordOffset},
		"offset huge":               {framed(attrs, zz(0, math.MaxInt64, -1, -1, 0)), 1, errRecordOffset},
		"timestamp of 11 bytes":     {framed(attrs, tooBig, []byte{1}, zz(0, -1, -1, 0)), 1, errRecordField},
		"key beyond the record":     {append(framed(attrs, zz(0, 0, 3, -1, 0)), good(1)...), 2, errRecordField},
		"key length -2":             {framed(attrs, zz(0, 0, -2, -1, 0)), 1, errRecordField},
		"key length smallest":       {framed(attrs, zz(0, 0, math.MinInt64, -1, 0)), 1, errRecordField},
		"key length largest":        {framed(attrs, zz(0, 0, math.MaxInt64, -1, 0)), 1, errRecordField},
		"value beyond the record":   {append(framed(attrs, zz(0, 0, -1, 2, 0)), good(1)...), 2, errRecordField},
		"no header count":           {framed(attrs, zz(0, 0, -1, 1), []byte{7}), 1, errRecordField},
		"header count negative":     {framed(attrs, zz(0, 0, -1, -1, -1)), 1, errHeaderCount},
		"header count beyond bytes": {framed(attrs, zz(0, 0, -1, -1, 2, 0, 0, 0)), 1, errHeaderCount},
		"header count huge":         {framed(attrs, zz(0, 0, -1, -1, math.MaxInt64)), 1, errHeaderCount},
		"headers over the limit":    {framed(attrs, zz(0, 0, -1, -1, maxHeaders+1), make([]byte, 2*maxHeaders+2)), 1, errHeaderCount},
		"header key null":           {framed(attrs, zz(0, 0, -1, -1, 1, -1, 0)), 1, errHeaderKey},
		"header key beyond":         {framed(attrs, zz(0, 0, -1, -1, 1, 9, 0)), 1, errRecordField},
		"header value beyond":       {framed(attrs, zz(0, 0, -1, -1, 1, 0, 9)), 1, errRecordField},
		"second header cut":         {framed(attrs, zz(0, 0, -1, -1, 2, 0, 2), []byte{1, 2}), 1, errRecordField},
		"byte after the headers":    {framed(attrs, zz(0, 0, -1, -1, 0), []byte{0}), 1, errRecordBytes},
		"record after the last":     {append(good(0), good(1)...), 1, errBatchBytes},
		"byte after the last":       {append(good(0), 0), 1, errBatchBytes},
		"bytes but no record":       {good(0), 0, errBatchBytes},
	} {
		t.Run(name, func(t *testing.T) {
			b := craft(c.records, c.count, nil)
			r := NewRecordReader(b, c.records)
			err := readToEnd(&r)
			wantError(t, err, c.want)
			if again := readToEnd(&r); again == nil || again.Error() != err.Error() {
				t.Errorf("reading on after %v gives %v", err, again)
			}
		})
	}
}

func readToEnd(r *RecordReader) error {
	for {
		var rec Record
		if ok, err := r.Next(&rec); err != nil || !ok {
			return err
		}
	}
}

// TestReaderTruncated cuts the records at every length.
func TestReaderTruncated(t *testing.T) {
	b := sealed(t, CodecNone, everything()[:5]...)
	records := b[BatchHeaderSize:]
	for n := range records {
		r := NewRecordReader(b, records[:n:n])
		wantError(t, readToEnd(&r), ErrCorruptRecord)
	}
}

func TestReaderFieldsOwnTheirBytes(t *testing.T) {
	b := sealed(t, CodecNone, rec(0, 0, "key", "", Header{"h", []byte("hv")}), rec(1, 0, "", "next"))
	raw, err := b.AppendRecords(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecordReader(b, raw)
	first := Record{Topic: "t", Partition: 4, Key: []byte("stale"), Headers: make([]Header, 9)}
	if ok, err := r.Next(&first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if first.Topic != "t" || first.Partition != 4 {
		t.Error("Next changed the topic or the partition")
	}
	for _, p := range [][]byte{first.Key, first.Value, first.Headers[0].Value} {
		_ = append(p, "overwritten"...)
	}
	if want := b[BatchHeaderSize:]; !bytes.Equal(raw, want) {
		t.Error("appending to a field wrote over its neighbour")
	}
	clear(raw)
	if first.Headers[0].Key != "h" {
		t.Error("a header key is not a copy")
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	builder, _ := jsonRecords()
	e, err := builder.Seal(nil, CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	b := e
	var rec Record
	if n := testing.AllocsPerRun(10, func() {
		r := NewRecordReader(b, b[BatchHeaderSize:])
		for {
			if ok, err := r.Next(&rec); err != nil || !ok {
				return
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d records", n, b.Records())
	}
}

func TestSkipTo(t *testing.T) {
	want := everything()
	b := sealed(t, CodecNone, want...)
	for offset := int64(0); offset < 20; offset++ {
		r := NewRecordReader(b, b[BatchHeaderSize:])
		if err := r.SkipTo(offset); err != nil {
			t.Fatal(err)
		}
		var got []Record
		for {
			var rec Record
			ok, err := r.Next(&rec)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, rec)
		}
		sameRecords(t, got, want[min(max(offset-7, 0), 9):])
		if err := r.SkipTo(math.MaxInt64); err != nil {
			t.Fatal(err)
		}
	}
	cut := NewRecordReader(b, b[BatchHeaderSize:len(b)-1])
	wantError(t, cut.SkipTo(100), errRecordLength)
	if err := cut.SkipTo(15); !errors.Is(err, errRecordLength) {
		t.Errorf("skipping to the cut record: %v", err)
	}
}
