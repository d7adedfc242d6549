package log

import "math/bits"

// The sizes of records in batches. Builder.SizeWith is exact.

// RecordSize is what r takes in an uncompressed batch, but for the time and the offset, which depend on the
// batch and are counted as short.
func RecordSize(r *Record) int {
	size := 3 + contentSize(r.Key, r.Value, r.Headers) // with attributes, time and offset
	return uvarintSize(zigzag(int64(size))) + size
}

// RecordBound is the most that r can add to a batch, in bytes, without looking closely.
func RecordBound(r *Record) int {
	size := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += headerOverhead + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return size
}

// The most that the numbers around the bytes of a record and of a header can take:
// three lengths, a count, a time and an offset; two lengths.
const (
	recordOverhead = 40
	headerOverhead = 10
)

// contentSize is the encoded size of what a record holds besides its numbers.
func contentSize(key, value []byte, headers []Header) int {
	size := bytesSize(key) + bytesSize(value) + uvarintSize(zigzag(int64(len(headers))))
	for i := range headers {
		n := len(headers[i].Key)
		size += uvarintSize(zigzag(int64(n))) + n + bytesSize(headers[i].Value)
	}
	return size
}

// bytesSize is the encoded size of a length and p.
func bytesSize(p []byte) int {
	if p == nil {
		return 1
	}
	return uvarintSize(zigzag(int64(len(p)))) + len(p)
}

// uvarintSize is the number of sevens of bits in x, at least one.
func uvarintSize(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }
