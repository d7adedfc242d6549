package log

import "fmt"

// Compression says how batches are compressed: by a producer, and in the end by a topic.
type Compression int8

// Behind the first they have the order of the codecs.
const (
	// CompressionDefault is snappy for a producer, and for a topic whatever the producer has used.
	CompressionDefault Compression = iota
	// CompressionNone stores records as they are.
	CompressionNone
	// CompressionGzip is gzip: small, and the slowest.
	CompressionGzip
	// CompressionSnappy is snappy: fast.
	CompressionSnappy
	// CompressionLz4 is lz4: fast.
	CompressionLz4
	// CompressionZstd is zstd: small, and faster than gzip.
	CompressionZstd
)

// KnownCompression reports whether c is one of the constants. Users of the module root see the methods of
// Compression; what serves the engine are functions.
func KnownCompression(c Compression) bool { return c >= CompressionDefault && c <= CompressionZstd }

// ProducerCodec returns the codec of a producer with that compression.
func ProducerCodec(c Compression) Codec { return TopicCodec(c, CodecSnappy) }

// TopicCodec returns the codec in which a topic with that compression stores a batch that was
// produced with another.
func TopicCodec(c Compression, produced Codec) Codec {
	if c == CompressionDefault || !KnownCompression(c) {
		return produced
	}
	return Codec(c - CompressionNone)
}

// String returns Kafka's name of the codec, or default.
func (c Compression) String() string {
	switch {
	case !KnownCompression(c):
		return fmt.Sprintf("compression(%d)", int8(c))
	case c == CompressionDefault:
		return "default"
	}
	return ProducerCodec(c).String()
}

// MarshalText returns Kafka's name of the codec, and nothing for the zero value.
func (c Compression) MarshalText() ([]byte, error) {
	switch {
	case !KnownCompression(c):
		return nil, fmt.Errorf("%w: %s", ErrInvalidOption, c)
	case c == CompressionDefault:
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (c *Compression) UnmarshalText(text []byte) error {
	for known := CompressionDefault; KnownCompression(known); known++ {
		if name, _ := known.MarshalText(); string(name) == string(text) {
			*c = known
			return nil
		}
	}
	return fmt.Errorf("%w: compression %q, want none, gzip, snappy, lz4, zstd, or nothing", ErrInvalidOption, text)
}

// Recompress appends b with its records, which b.AppendRecords or b.EncodedRecords gave, in
// another codec to dst, which must not overlap with them, and returns it alone. All else in the
// header stays: producer, sequence, timestamps, offsets. Unlike Builder.Seal it compresses
// records that become larger by it too, as Kafka does.
//
// It fails with ErrUnsupportedCodec for a codec that is not Kafka's.
func (b Batch) Recompress(dst, records []byte, codec Codec) (Batch, error) {
	start := len(dst)
	out, err := compress(append(dst, b[:BatchHeaderSize]...), records, codec)
	if err != nil {
		return nil, err
	}
	changed := Batch(out[start:])
	changed[posAttributes+1] = changed[posAttributes+1]&^attrCodec | byte(codec)
	changed.putLength()
	changed.putCRC()
	return changed, nil
}
