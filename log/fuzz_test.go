package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
)

// fuzzLimit keeps the fuzzers quick; what it bounds is bounded alike by the true limit.
const fuzzLimit = 1 << 20

// addBatches seeds a fuzzer with batches that are small, for it minimizes what it finds.
func addBatches(f *testing.F, add func(Batch)) {
	small := []Record{
		rec(7, 1000, "key", "value value value value value value value value value value"),
		rec(8, -1, nil, nil),
		rec(9, math.MaxInt64, "", "", Header{"h", nil}, Header{"", []byte("v")}),
	}
	for _, codec := range codecs {
		e := sealed(f, CodecNone, small...)
		packed, err := compress(nil, e[BatchHeaderSize:], codec) // though it be longer
		if err != nil {
			f.Fatal(err)
		}
		b := craft(packed, 3, func(b Batch) { b[posAttributes+1] = byte(codec) })
		add(b)
	}
	add(sealed(f, CodecNone, rec(0, 0, nil, nil)))
	b := craft(xerial([]byte{12, 0, 0, 0, 1, 1, 0}, 4), 1, func(b Batch) {
		b[posAttributes+1] = byte(CodecSnappy) | attrLogAppendTime
	})
	add(b)
}

// FuzzParseBatch makes length, magic and CRC right, so that what is behind them is
// reached, and reads every record.
func FuzzParseBatch(f *testing.F) {
	addBatches(f, func(e Batch) { f.Add([]byte(e)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ParseBatch(b); err != nil && !errors.Is(err, ErrCorruptRecord) {
			t.Fatal(err)
		}
		if len(b) < BatchHeaderSize {
			return
		}
		binary.BigEndian.PutUint32(b[posBatchLength:], uint32(len(b)-batchLengthFrom))
		b[posMagic] = batchMagic
		Batch(b).putCRC()
		checkBatch(t, b)
	})
}

// checkBatch parses b, reads its records, and has those survive another encoding.
func checkBatch(t *testing.T, b []byte) {
	batch, err := ParseBatch(b)
	var records []Record
	if err == nil {
		records, err = readAll(batch, fuzzLimit)
	}
	if err != nil {
		if !errors.Is(err, ErrCorruptRecord) {
			t.Fatal(err)
		}
		return
	}
	if len(records) != batch.Records() {
		t.Fatalf("%d records of %d", len(records), batch.Records())
	}
	if len(records) == 0 {
		return
	}
	var builder Builder
	for i, r := range records {
		if r.Offset < batch.BaseOffset() || r.Offset > batch.LastOffset() {
			t.Fatalf("offset %d outside of %d to %d", r.Offset, batch.BaseOffset(), batch.LastOffset())
		}
		builder.Append(r.millis(), r.Key, r.Value, r.Headers)
		records[i].Offset = batch.BaseOffset() + int64(i) // compaction leaves gaps, the builder none
	}
	e, err := builder.Seal(nil, batch.Codec())
	if err != nil {
		t.Fatal(err)
	}
	e.SetBaseOffset(batch.BaseOffset())
	again, err := readAll(e, MaxDecompressedBytes)
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, again, records)
}

// FuzzDecompress gives any bytes to any codec. The limit holds, dst keeps what it had,
// and what comes out survives another compression.
func FuzzDecompress(f *testing.F) {
	for _, payload := range []string{"", "a", strings.Repeat("abcd", 50), strings.Repeat("\x00", 1000)} {
		for _, codec := range codecs {
			packed, err := compress(nil, []byte(payload), codec)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(codec), packed)
		}
	}
	f.Add(byte(CodecSnappy), xerial([]byte("xerial framing of two chunks"), 20))
	f.Add(byte(CodecZstd), zstdRuns(3))
	f.Fuzz(func(t *testing.T, codec byte, src []byte) {
		c := Codec(codec % byte(len(codecs)))
		out, err := Decompress([]byte("dst"), src, c, fuzzLimit)
		if err != nil {
			if !errors.Is(err, ErrCorruptRecord) || string(out) != "dst" {
				t.Fatalf("%q, %v", out, err)
			}
			return
		}
		if len(out) > 3+fuzzLimit || cap(out) > 4*fuzzLimit || string(out[:3]) != "dst" {
			t.Fatalf("%d bytes in %d, %q", len(out), cap(out), out[:3])
		}
		packed, err := compress(nil, out[3:], c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decompress(nil, packed, c, len(out)-3)
		if err != nil || !bytes.Equal(again, out[3:]) {
			t.Fatalf("%d bytes, then %d, %v", len(out)-3, len(again), err)
		}
	})
}
