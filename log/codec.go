package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Codec is the compression of a batch's records, by the number Kafka gives it in the
// batch's attributes.
type Codec int8

// Kafka's codecs.
const (
	CodecNone Codec = iota
	CodecGzip
	CodecSnappy
	CodecLz4
	CodecZstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// MaxDecompressedBytes bounds the records of one batch, uncompressed. Reading a batch
// that decompresses to more fails with ErrCorruptRecord and allocates no more than this;
// Builder.Seal refuses to write one.
//
// It is 128 MiB: more than the 100 MB that Kafka lets a request have at all
// (socket.request.max.bytes), and the window that zstd's highest level declares.
const MaxDecompressedBytes = 128 << 20

// errTooLong: compressed records exceed the limit, by what they declare or what came out.
var errTooLong = fmt.Errorf("%w: records decompress beyond the limit", ErrCorruptRecord)

// String returns Kafka's name of the codec: none, gzip, snappy, lz4 or zstd.
func (c Codec) String() string {
	if !c.known() {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

func (c Codec) known() bool { return c >= CodecNone && c <= CodecZstd }

// compress appends src, compressed, to dst. The two must not overlap.
// It fails with ErrUnsupportedCodec for a codec that is not Kafka's.
func compress(dst, src []byte, codec Codec) ([]byte, error) {
	switch codec {
	case CodecNone:
		return append(dst, src...), nil
	case CodecGzip:
		return gzipCompress(dst, src)
	case CodecSnappy:
		return snappyCompress(dst, src), nil
	case CodecLz4:
		return lz4Compress(dst, src)
	case CodecZstd:
		return zstdCompress(dst, src)
	}
	return dst, fmt.Errorf("%w: %s", ErrUnsupportedCodec, codec)
}

// Decompress appends what src decompresses to, at most limit bytes, to dst. The two
// must not overlap. Every failure is ErrCorruptRecord and leaves dst as it was, though
// not what lies between its length and its capacity.
//
// The limit holds for memory too: it is checked against declared sizes before they are
// allocated, and against what comes out while it comes.
func Decompress(dst, src []byte, codec Codec, limit int) ([]byte, error) {
	out, err := dst, error(nil)
	switch codec {
	case CodecNone:
		if len(src) > limit {
			return dst, errTooLong
		}
		out = append(dst, src...)
	case CodecGzip:
		out, err = gzipDecompress(dst, src, limit)
	case CodecSnappy:
		out, err = snappyDecompress(dst, src, limit)
	case CodecLz4:
		out, err = lz4Decompress(dst, src, limit)
	case CodecZstd:
		out, err = zstdDecompress(dst, src, limit)
	default:
		return dst, fmt.Errorf("%w: %s", errUnknownCodec, codec)
	}
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrCorruptRecord):
		return dst, err
	}
	// The library's error is told, not wrapped: io.EOF in the chain would mislead.
	return dst, fmt.Errorf("%w: %s: %s", ErrCorruptRecord, codec, err.Error())
}

// streamEncoder is a writer of a compressed stream that can be used again.
type streamEncoder struct {
	w interface {
		io.WriteCloser
		Reset(w io.Writer)
	}
	out []byte
}

// append appends src, compressed, to dst.
func (e *streamEncoder) append(dst, src []byte) ([]byte, error) {
	e.out = dst
	e.w.Reset(e)
	_, err := e.w.Write(src)
	if err == nil {
		err = e.w.Close()
	}
	out := e.out
	e.out = nil
	return out, err
}

// Write takes what w has compressed.
func (e *streamEncoder) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

// readInto appends what r gives to dst, errTooLong if that is more than limit bytes.
// hint is the expected number of bytes; memory is allocated for no more than it, or than
// twice what was really read, or than the limit.
func readInto(dst []byte, r io.Reader, hint int64, limit int) ([]byte, error) {
	start := len(dst)
	end := start + limit + 1 // the byte beyond tells too long from just long enough
	dst = slices.Grow(dst, int(min(hint, int64(limit)))+1)
	for {
		n, err := r.Read(dst[len(dst):min(cap(dst), end)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) == end:
			return dst, errTooLong
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		case len(dst) == cap(dst):
			dst = slices.Grow(dst, min(max(len(dst)-start, bytes.MinRead), end-len(dst)))
		}
	}
}

// extend returns dst made longer by out, which lies behind dst in the same memory or,
// when that was too short, elsewhere.
func extend(dst, out []byte) []byte {
	n := len(dst) + len(out)
	if len(out) > 0 && n <= cap(dst) && &dst[:n][len(dst)] == &out[0] {
		return dst[:n]
	}
	return append(dst, out...)
}
