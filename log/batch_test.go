package log

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// everything is one batch of all that records may hold.
func everything() []Record {
	return []Record{
		rec(7, 1_700_000_000_123, "key", "value"),
		rec(8, 1_700_000_000_000, nil, "no key, and earlier than the first"),
		rec(9, 1_800_000_000_000, "tombstone", nil),
		rec(10, 0, "", ""),
		rec(11, -1, nil, nil),
		rec(12, math.MaxInt64, "latest", strings.Repeat("long ", 5000)),
		rec(13, math.MinInt64, "earliest", "\x00\xff binary \xfe"),
		rec(14, 5, "headers", "x",
			Header{"a", []byte("1")}, Header{"a", []byte("2")}, Header{"", []byte{}},
			Header{"null", nil}, Header{"ключ 键", []byte("\xff\x00")}),
		rec(15, 6, nil, nil, Header{strings.Repeat("k", 300), bytes.Repeat([]byte{7}, 70_000)}),
	}
}

func TestRoundTrip(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			want := everything()
			b, err := ParseBatch(sealed(t, codec, want...))
			if err != nil {
				t.Fatal(err)
			}
			if b.Codec() != codec {
				t.Errorf("codec %v, want %v", b.Codec(), codec)
			}
			sameRecords(t, mustRead(t, b), want)

			prefix := []byte("prefix")
			out, err := b.AppendRecords(prefix)
			if err != nil || !bytes.HasPrefix(out, prefix) {
				t.Fatalf("AppendRecords does not append: %v", err)
			}
			again, err := b.AppendRecords(nil)
			if err != nil || !bytes.Equal(out[len(prefix):], again) {
				t.Fatalf("AppendRecords differs behind a prefix: %v", err)
			}
		})
	}
}

func TestOneNullRecord(t *testing.T) {
	want := []Record{rec(0, 0, nil, nil)}
	for _, codec := range codecs {
		e := sealed(t, codec, want...)
		if e.Codec() != CodecNone {
			t.Errorf("%v: seven bytes are stored compressed", codec)
		}
		sameRecords(t, mustRead(t, e), want)
	}
}

func TestBatchFields(t *testing.T) {
	b := sealed(t, CodecSnappy, everything()...)
	check := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	check("BaseOffset", b.BaseOffset(), int64(7))
	check("LastOffset", b.LastOffset(), int64(15))
	check("Records", b.Records(), 9)
	check("BaseTimestamp", b.BaseTimestamp(), int64(1_700_000_000_123))
	check("MaxTimestamp", b.MaxTimestamp(), int64(math.MaxInt64))
	check("LogAppendTime", b.LogAppendTime(), false)
	check("Transactional", b.Transactional(), false)
	check("Control", b.Control(), false)
	check("ProducerID", b.ProducerID(), int64(-1))
	check("ProducerEpoch", b.ProducerEpoch(), int16(-1))
	check("BaseSequence", b.BaseSequence(), int32(-1))
	check("LeaderEpoch", b.i32(posLeaderEpoch), int32(0))

	b.SetLeaderEpoch(3)
	b.SetBaseOffset(1 << 40)
	if _, err := ParseBatch(b); err != nil {
		t.Errorf("after setting epoch and offset: %v", err)
	}
	check("LeaderEpoch", b.i32(posLeaderEpoch), int32(3))
	check("LastOffset", b.LastOffset(), int64(1<<40+8))

	b[posAttributes+1] |= attrTransactional | attrControl
	check("Transactional", b.Transactional(), true)
	check("Control", b.Control(), true)
}

func TestStampAppendTime(t *testing.T) {
	b := sealed(t, CodecLz4, everything()...)
	b.StampAppendTime(1234)
	b, err := ParseBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	if !b.LogAppendTime() || b.MaxTimestamp() != 1234 || b.BaseTimestamp() != 1_700_000_000_123 {
		t.Errorf("stamped %v, max %d, base %d", b.LogAppendTime(), b.MaxTimestamp(), b.BaseTimestamp())
	}
	for _, r := range mustRead(t, b) {
		if !r.Timestamp.Equal(time.UnixMilli(1234)) {
			t.Errorf("offset %d has time %v", r.Offset, r.Timestamp)
		}
	}
}

// TestFormat holds the format still: these bytes are on disks. The CRC was computed by
// another program.
func TestFormat(t *testing.T) {
	e := sealed(t, CodecNone, rec(258, 1000, "k", "vv", Header{"h", []byte("1")}), rec(259, 999, nil, nil))
	want := "0000000000000102 00000046 00000000 02 627c67f5 0000 00000001" +
		"00000000000003e8 00000000000003e8 ffffffffffffffff ffff ffffffff 00000002" +
		"1a 00 00 00 02 6b 04 7676 02 02 68 02 31" +
		"0c 00 01 02 01 01 00"
	want = strings.ReplaceAll(want, " ", "")
	if got := hex.EncodeToString(e); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestKmsgReads has kmsg, which knows nothing of this package, read what it wrote.
func TestKmsgReads(t *testing.T) {
	want := everything()
	for _, codec := range codecs {
		b := sealed(t, codec, want...)
		var kb kmsg.RecordBatch
		if err := kb.ReadFrom(b); err != nil {
			t.Fatalf("%v: %v", codec, err)
		}
		if uint32(kb.CRC) != b.crc() || Codec(kb.Attributes) != codec || int(kb.Length) != len(b)-12 ||
			kb.FirstOffset != 7 || kb.LastOffsetDelta != 8 || kb.NumRecords != 9 || kb.Magic != 2 ||
			kb.FirstTimestamp != b.BaseTimestamp() || kb.MaxTimestamp != b.MaxTimestamp() ||
			kb.ProducerID != -1 || kb.ProducerEpoch != -1 || kb.FirstSequence != -1 {
			t.Errorf("%v: kmsg reads the header as %+v", codec, kb)
		}
		raw, err := Decompress(nil, kb.Records, codec, MaxDecompressedBytes)
		if err != nil {
			t.Fatal(err)
		}
		sameRecords(t, kmsgRecords(t, kb, raw), want)
	}
}

func kmsgRecords(t *testing.T, b kmsg.RecordBatch, raw []byte) []Record {
	t.Helper()
	var records []Record
	for len(raw) > 0 {
		size, n := binary.Varint(raw)
		var kr kmsg.Record
		if err := kr.ReadFrom(raw[:n+int(size)]); err != nil {
			t.Fatal(err)
		}
		raw = raw[n+int(size):]
		r := Record{
			Offset: b.FirstOffset + int64(kr.OffsetDelta), Timestamp: timeOf(b.FirstTimestamp + kr.TimestampDelta64),
			Key: kr.Key, Value: kr.Value,
		}
		for _, h := range kr.Headers {
			r.Headers = append(r.Headers, Header{Key: h.Key, Value: h.Value})
		}
		records = append(records, r)
	}
	return records
}

// TestReadsKmsg reads what kmsg wrote.
func TestReadsKmsg(t *testing.T) {
	_, values := jsonRecords()
	b, err := ParseBatch(kmsgEncode(nil, values))
	if err != nil {
		t.Fatal(err)
	}
	var want []Record
	for i, v := range values {
		want = append(want, Record{Offset: int64(i), Timestamp: time.UnixMilli(int64(i)), Value: v})
	}
	sameRecords(t, mustRead(t, b), want)
}

func TestParseBatchRefuses(t *testing.T) {
	records := sealed(t, CodecNone, rec(0, 0, nil, nil), rec(1, 0, nil, nil))[BatchHeaderSize:]
	put32 := func(pos int, v int32) func(Batch) {
		return func(b Batch) { binary.BigEndian.PutUint32(b[pos:], uint32(v)) }
	}
	for name, c := range map[string]struct {
		change func(Batch)
		want   error
	}{
		"batch length one more":       {put32(posBatchLength, BatchHeaderSize+14-12+1), errBatchLength},
		"batch length negative":       {put32(posBatchLength, -1), errBatchLength},
		"batch length huge":           {put32(posBatchLength, math.MaxInt32), errBatchLength},
		"magic 1":                     {func(b Batch) { b[posMagic] = 1 }, errMagic},
		"codec 5":                     {func(b Batch) { b[posAttributes+1] = 5 }, errUnknownCodec},
		"codec 7":                     {func(b Batch) { b[posAttributes+1] = 7 }, errUnknownCodec},
		"base offset negative":        {func(b Batch) { b.SetBaseOffset(-1) }, errOffsets},
		"last offset overflows":       {func(b Batch) { b.SetBaseOffset(math.MaxInt64) }, errOffsets},
		"log end overflows":           {func(b Batch) { b.SetBaseOffset(math.MaxInt64 - 1) }, errOffsets},
		"last delta negative":         {put32(posLastOffsetDelta, -1), errOffsets},
		"count negative":              {put32(posCount, -1), errCount},
		"count beyond offsets":        {put32(posCount, 3), errCount},
		"count and delta beyond data": {func(b Batch) { put32(posCount, 3)(b); put32(posLastOffsetDelta, 2)(b) }, errCount},
		"count and delta huge": {func(b Batch) {
			put32(posCount, math.MaxInt32)(b)
			put32(posLastOffsetDelta, math.MaxInt32-1)(b)
		}, errCount},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseBatch(craft(records, 2, c.change))
			wantError(t, err, c.want)
		})
	}
	if _, err := ParseBatch(craft(records, 2, func(b Batch) { b.SetBaseOffset(math.MaxInt64 - 2) })); err != nil {
		t.Errorf("largest base offset: %v", err)
	}
}

// TestCompacted reads batches that lost records, and one that lost all, to compaction.
func TestCompacted(t *testing.T) {
	var b Builder
	for range 5 {
		b.Append(1000, nil, []byte("v"), nil)
	}
	all := b.plain[BatchHeaderSize:]
	size := len(all) / 5
	kept := append(append([]byte(nil), all[size:2*size]...), all[3*size:4*size]...)
	lastDelta4 := func(b Batch) { binary.BigEndian.PutUint32(b[posLastOffsetDelta:], 4) }
	batch, err := ParseBatch(craft(kept, 2, lastDelta4))
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, mustRead(t, batch), []Record{rec(1, 1000, nil, "v"), rec(3, 1000, nil, "v")})

	batch, err = ParseBatch(craft(nil, 0, lastDelta4))
	if err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, batch); len(got) != 0 || batch.LastOffset() != 4 {
		t.Errorf("emptied batch: %d records, last offset %d", len(got), batch.LastOffset())
	}
}

// TestCompressedCount has a count that only decompression can prove wrong.
func TestCompressedCount(t *testing.T) {
	for _, codec := range codecs[1:] {
		raw := bytes.Repeat(sealed(t, CodecNone, rec(0, 1000, nil, nil))[BatchHeaderSize:], 100)
		packed, err := compress(nil, raw, codec)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBatch(craft(packed, 101, func(b Batch) { b[posAttributes+1] = byte(codec) }))
		if err != nil {
			t.Fatal(err)
		}
		dst := []byte("as it was")
		out, err := b.AppendRecords(dst)
		wantError(t, err, errCount)
		if string(out) != "as it was" {
			t.Errorf("%v: dst became %q", codec, out)
		}
	}
}

func TestParseBatchTruncated(t *testing.T) {
	for _, codec := range codecs {
		b := sealed(t, codec, everything()[:5]...)
		for n := range b {
			if _, err := ParseBatch(b[:n]); err == nil {
				t.Fatalf("%v: %d of %d bytes parse", codec, n, len(b))
			} else {
				wantError(t, err, ErrCorruptRecord)
			}
		}
		_, err := ParseBatch(append(b, 0))
		wantError(t, err, errBatchLength)
	}
}

// TestParseBatchFlippedBits flips every bit. Kafka's CRC leaves out the base offset and
// the leader epoch.
func TestParseBatchFlippedBits(t *testing.T) {
	b := sealed(t, CodecSnappy, everything()[:5]...)
	for i := range b {
		outside := i < posBatchLength || i >= posLeaderEpoch && i < posMagic
		for bit := range 8 {
			b[i] ^= 1 << bit
			_, err := ParseBatch(b)
			b[i] ^= 1 << bit
			if outside && (err == nil || i == 0 && bit == 7) {
				continue
			}
			wantError(t, err, ErrCorruptRecord)
		}
	}
}

// A batch that is nobody's any more says so, and is whole.
func TestDetach(t *testing.T) {
	b := sealed(t, CodecNone, rec(0, 5, "k", "v"))
	b.SetTransactional()
	b.SetProducer(7, 1, 12)
	b.Detach()
	if b.Transactional() || b.ProducerID() != -1 || b.ProducerEpoch() != -1 || b.BaseSequence() != -1 {
		t.Errorf("it is still somebody's: %d", b.ProducerID())
	}
	if _, err := ParseBatch(b); err != nil {
		t.Error(err)
	}
}
