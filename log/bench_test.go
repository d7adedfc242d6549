package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/s2"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// jsonRecords fills a builder with records of about 100 bytes that differ, up to 64 KB,
// and returns their values.
func jsonRecords() (b Builder, values [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for {
		v := fmt.Appendf(nil, `{"id":%d,"user":"u%06x","amount":%d.%02d,"currency":"EUR","at":%d,"state":"%s"}`,
			1_000_000+len(values), r.Uint32N(1<<24), r.IntN(1000), r.IntN(100), 1_700_000_000_000+r.Int64N(1e9),
			[]string{"created", "paid", "shipped", "cancelled"}[r.IntN(4)])
		if b.SizeWith(nil, v, nil) > 64<<10 {
			return b, values
		}
		values = append(values, v)
		b.Append(1_700_000_000_000+int64(len(values)), nil, v, nil)
	}
}

func perRecord(b *testing.B, records int) {
	n := float64(b.N) * float64(records)
	b.ReportMetric(n/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/record")
}

var codecs = []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLz4, CodecZstd}

// BenchmarkAppend fills a builder: the cost of a record without its share of the batch.
func BenchmarkAppend(b *testing.B) {
	builder, values := jsonRecords()
	b.SetBytes(int64(builder.Size()))
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		for i, v := range values {
			builder.Append(int64(i), nil, v, nil)
		}
	}
	perRecord(b, len(values))
}

// BenchmarkSeal fills a builder and seals it.
func BenchmarkSeal(b *testing.B) {
	for _, codec := range codecs {
		b.Run("codec="+codec.String(), func(b *testing.B) {
			builder, values := jsonRecords()
			b.SetBytes(int64(builder.Size()))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				builder.Reset()
				for i, v := range values {
					builder.Append(int64(i), nil, v, nil)
				}
				e, err := builder.Seal(dst[:0], codec)
				if err != nil {
					b.Fatal(err)
				}
				e.SetBaseOffset(1)
				dst = e
			}
			b.ReportMetric(float64(builder.Size())/float64(len(dst)), "ratio")
			perRecord(b, len(values))
		})
	}
}

// BenchmarkDecode opens a batch, decompresses it and reads every record.
func BenchmarkDecode(b *testing.B) {
	for _, codec := range codecs {
		b.Run("codec="+codec.String(), func(b *testing.B) {
			builder, values := jsonRecords()
			v, err := builder.Seal(nil, codec)
			if err != nil {
				b.Fatal(err)
			}
			v.SetBaseOffset(1)
			b.SetBytes(int64(builder.Size()))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				e, err := openBatch(v)
				if err != nil {
					b.Fatal(err)
				}
				if dst, err = e.AppendRecords(dst[:0]); err != nil {
					b.Fatal(err)
				}
				readOnly(b, e, dst)
			}
			perRecord(b, len(values))
		})
	}
}

func readOnly(b *testing.B, batch Batch, records []byte) {
	r := NewRecordReader(batch, records)
	var rec Record
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			return
		}
	}
}

// BenchmarkSkip seeks the last record of a batch.
func BenchmarkSkip(b *testing.B) {
	builder, values := jsonRecords()
	e, err := builder.Seal(nil, CodecNone)
	if err != nil {
		b.Fatal(err)
	}
	batch := e
	for b.Loop() {
		r := NewRecordReader(batch, batch[BatchHeaderSize:])
		if err := r.SkipTo(batch.LastOffset()); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(values))
}

// BenchmarkEncodeRecords and BenchmarkDecodeRecords set this codec beside kmsg's, which
// is why there is an own one.
func BenchmarkEncodeRecords(b *testing.B) {
	builder, values := jsonRecords()
	var dst []byte
	b.Run("by=samsa", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			builder.Reset()
			for i, v := range values {
				builder.Append(int64(i), nil, v, nil)
			}
			e, err := builder.Seal(dst[:0], CodecNone)
			if err != nil {
				b.Fatal(err)
			}
			dst = e
		}
		perRecord(b, len(values))
	})
	b.Run("by=kmsg", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = kmsgEncode(dst[:0], values)
		}
		perRecord(b, len(values))
	})
}

// kmsgEncode appends one batch by kmsg, which computes neither lengths nor the CRC.
func kmsgEncode(dst []byte, values [][]byte) []byte {
	start := len(dst)
	records := make([]byte, 0, 80<<10)
	var scratch [512]byte
	for i, v := range values {
		rec := kmsg.Record{TimestampDelta64: int64(i), OffsetDelta: int32(i), Value: v}
		rec.Length = int32(len(rec.AppendTo(scratch[:0])) - 1) // without its own varint, 0
		records = rec.AppendTo(records)
	}
	batch := kmsg.RecordBatch{
		Magic: 2, LastOffsetDelta: int32(len(values) - 1), MaxTimestamp: int64(len(values) - 1),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(values)), Records: records,
		Length: int32(BatchHeaderSize - batchLengthFrom + len(records)),
	}
	dst = batch.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start+posCRC:], crc32.Checksum(dst[start+posAttributes:], castagnoli))
	return dst
}

func BenchmarkDecodeRecords(b *testing.B) {
	builder, values := jsonRecords()
	e, err := builder.Seal(nil, CodecNone)
	if err != nil {
		b.Fatal(err)
	}
	batch := e
	b.Run("by=samsa", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readOnly(b, batch, batch[BatchHeaderSize:])
		}
		perRecord(b, len(values))
	})
	b.Run("by=kmsg", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			src := []byte(batch[BatchHeaderSize:])
			for len(src) > 0 {
				length, n := binary.Varint(src)
				var rec kmsg.Record
				if err := rec.ReadFrom(src[:n+int(length)]); err != nil {
					b.Fatal(err)
				}
				src = src[n+int(length):]
			}
		}
		perRecord(b, len(values))
	})
}

// BenchmarkSnappy sets golang/snappy beside s2, whose output and input are
// interchangeable with its.
func BenchmarkSnappy(b *testing.B) {
	builder, _ := jsonRecords()
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10} {
		src := builder.plain[BatchHeaderSize:][:min(size, len(builder.plain[BatchHeaderSize:]))]
		block := snappy.Encode(nil, src)
		dst := make([]byte, snappy.MaxEncodedLen(len(src))+len(src))
		for _, op := range []struct {
			name string
			run  func() int
		}{
			{"op=encode/by=golang", func() int { return len(snappy.Encode(dst, src)) }},
			{"op=encode/by=s2", func() int { return len(s2.EncodeSnappy(dst, src)) }},
			{"op=decode/by=golang", func() int { out, _ := snappy.Decode(dst, block); return len(out) }},
			{"op=decode/by=s2", func() int { out, _ := s2.Decode(dst, block); return len(out) }},
		} {
			b.Run(fmt.Sprintf("batch=%dK/%s", size>>10, op.name), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				var n int
				for b.Loop() {
					n = op.run()
				}
				b.ReportMetric(float64(n), "bytes-out")
			})
		}
	}
}
