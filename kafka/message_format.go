package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/samsa-go/samsa/log"
)

// A message set is how Kafka had records before RecordBatch v2: of magic 0 until 0.10, of
// magic 1 until 0.11 (https://kafka.apache.org/documentation/#messageset). It is messages, one
// behind the other, without a count. Integers are big endian.
//
//	0       8     12    16     17          18         18 or 26
//	+-------+-----+-----+------+-----------+----------+-----------+-----+-------------+-----+
//	|offset |size |CRC  |magic |attributes |timestamp |key length |key  |value length |value|
//	|i64    |i32  |u32  |i8    |i8         |i64, ms   |i32        |     |i32          |     |
//	+-------+-----+-----+------+-----------+----------+-----------+-----+-------------+-----+
//	                                        magic 1 only
//
// size counts what follows it, and the CRC, of the IEEE polynomial, covers what follows
// it. A length of -1 is null. attributes has the codec in bits 0-2 and, of magic 1, in bit
// 3 whether the timestamp is the broker's.
//
// A message with a codec is a wrapper: its value is a message set, compressed, of the same
// magic and without wrappers. Nothing is stored in this form: appendMessageSet reads what old
// producers send, downgrade writes what old consumers read.
const (
	posMessageSize  = 8
	posMessageCRC   = 12
	posMessageMagic = 16
	posMessageAttrs = 17
	posMessageBody  = 18

	messageSizeFrom = posMessageCRC   // the size counts from here
	messageCRCFrom  = posMessageMagic // and the CRC from here

	minMessageSize = posMessageBody + 4 + 4 // with a null key and a null value

	messageCodec      = 0x07 // the codec in the attributes
	messageAppendTime = 1 << 3
)

// The checks of appendMessageSet. Each is a log.ErrCorruptRecord.
var (
	errMessageSize  = fmt.Errorf("%w: message size does not fit the message set", log.ErrCorruptRecord)
	errMessageCRC   = fmt.Errorf("%w: message CRC mismatch", log.ErrCorruptRecord)
	errMessageMagic = fmt.Errorf("%w: magic of a message is not 0 or 1, or not its wrapper's", log.ErrCorruptRecord)
	errMessageField = fmt.Errorf("%w: message field does not fit the message", log.ErrCorruptRecord)
	errMessageNest  = fmt.Errorf("%w: compressed message in a compressed message", log.ErrCorruptRecord)
)

// appendMessageSet adds the records of a message set of magic 0 or 1, of which it copies the
// bytes, to b, and returns the codec that the set has used. Messages of magic 0 have log.NoTimestamp;
// offsets are not looked at, as an append gives new ones.
//
// Everything in the set is checked. It fails with log.ErrCorruptRecord, with log.ErrInvalidTimestamp
// for a timestamp that claims to be the broker's, and with log.ErrUnsupportedCodec for a codec that
// message sets never had; then the builder holds some of the records. Compressed messages
// may decompress to log.MaxDecompressedBytes, all together.
func appendMessageSet(b *log.Builder, set []byte) (log.Codec, error) {
	codec, left := log.CodecNone, log.MaxDecompressedBytes
	for len(set) > 0 {
		var m oldMessage
		var err error
		if m, set, err = cutMessage(set); err != nil {
			return codec, err
		}
		if m.codec == log.CodecNone {
			b.Append(m.timestamp, m.key, m.value, nil)
			continue
		}
		codec = m.codec
		inner, err := m.unwrap(left)
		if err != nil {
			return codec, err
		}
		left -= len(inner)
		if err := appendInner(b, inner, m.magic); err != nil {
			return codec, err
		}
	}
	return codec, nil
}

// appendInner adds the messages of a wrapper.
func appendInner(b *log.Builder, set []byte, magic int8) error {
	for len(set) > 0 {
		var m oldMessage
		var err error
		if m, set, err = cutMessage(set); err != nil {
			return err
		}
		switch {
		case m.magic != magic:
			return fmt.Errorf("%w: %d in %d", errMessageMagic, m.magic, magic)
		case m.codec != log.CodecNone:
			return errMessageNest
		}
		b.Append(m.timestamp, m.key, m.value, nil)
	}
	return nil
}

// oldMessage is a message that was checked. Its bytes are those of the set.
type oldMessage struct {
	magic      int8
	codec      log.Codec
	timestamp  int64 // ms since the epoch, or log.NoTimestamp
	key, value []byte
}

// cutMessage takes a message off the front of a set, which is not empty.
func cutMessage(set []byte) (m oldMessage, rest []byte, err error) {
	if len(set) < minMessageSize {
		return m, nil, fmt.Errorf("%w: %d bytes left", errMessageSize, len(set))
	}
	end := messageSizeFrom + int64(int32(binary.BigEndian.Uint32(set[posMessageSize:])))
	if end < minMessageSize || end > int64(len(set)) {
		return m, nil, fmt.Errorf("%w: %d in %d", errMessageSize, end, len(set))
	}
	p, rest := set[:end], set[end:]
	if m.magic = int8(p[posMessageMagic]); m.magic != 0 && m.magic != 1 {
		return m, nil, fmt.Errorf("%w: %d", errMessageMagic, m.magic)
	}
	if got, want := crc32.ChecksumIEEE(p[messageCRCFrom:]), binary.BigEndian.Uint32(p[posMessageCRC:]); got != want {
		return m, nil, fmt.Errorf("%w: %08x, not %08x", errMessageCRC, got, want)
	}
	m.codec = log.Codec(p[posMessageAttrs] & messageCodec)
	body := p[posMessageBody:]
	if m.timestamp = log.NoTimestamp; m.magic == 1 {
		if p[posMessageAttrs]&messageAppendTime != 0 {
			return m, nil, fmt.Errorf("%w: the message says that it is the broker's", log.ErrInvalidTimestamp)
		}
		m.timestamp = int64(binary.BigEndian.Uint64(body)) // minMessageSize has room for it
		body = body[8:]
	}
	ok := false
	if m.key, body, ok = cutField(body); ok {
		m.value, body, ok = cutField(body)
	}
	if !ok || len(body) > 0 {
		return m, nil, errMessageField
	}
	return m, rest, nil
}

// cutField cuts a length, i32, and that many bytes, nil for the length -1.
func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n, b := int64(int32(binary.BigEndian.Uint32(b))), b[4:]
	switch {
	case n == -1:
		return nil, b, true
	case n < 0 || n > int64(len(b)):
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// unwrap returns the set that a wrapper holds, at most limit bytes.
func (m oldMessage) unwrap(limit int) ([]byte, error) {
	src := m.value
	switch {
	case m.codec == log.CodecLz4 && m.magic == 0:
		src = lz4Standard(src)
	case m.codec > log.CodecLz4:
		return nil, fmt.Errorf("%w: %s in a message of magic %d", log.ErrUnsupportedCodec, m.codec, m.magic)
	}
	return log.Decompress(nil, src, m.codec, limit)
}

// downgrade says which records of a batch become messages, and how.
type downgrade struct {
	magic      int8  // 0 or 1
	from       int64 // the first offset
	limit      int   // of bytes
	atLeastOne bool  // takes the first message whatever its size
}

// append appends the records of b, which b.AppendRecords gave, to dst as messages without
// compression, whole ones as far as the limit goes. What the magic has no place for is left out:
// headers, and in magic 0 timestamps. all tells whether there was room for all of them. A
// failure is log.ErrCorruptRecord, behind the messages before it.
func (d downgrade) append(dst []byte, b log.Batch, records []byte) (out []byte, all bool, err error) {
	r, start := log.NewRecordReader(b, records), len(dst)
	if err := r.SkipTo(d.from); err != nil {
		return dst, false, err
	}
	var rec log.Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return dst, err == nil, err
		}
		first := len(dst) == start && d.atLeastOne
		if !first && len(dst)-start+messageSize(&rec, d.magic) > d.limit {
			return dst, false, nil
		}
		dst = appendMessage(dst, &rec, d.magic, b.LogAppendTime())
	}
}

// messageSize is the size of a record as a message.
func messageSize(rec *log.Record, magic int8) int {
	return minMessageSize + 8*int(magic) + len(rec.Key) + len(rec.Value)
}

func appendMessage(dst []byte, rec *log.Record, magic int8, appendTime bool) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(rec.Offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(messageSize(rec, magic)-messageSizeFrom))
	attributes := byte(0)
	if appendTime && magic == 1 {
		attributes = messageAppendTime
	}
	dst = append(dst, 0, 0, 0, 0, byte(magic), attributes)
	if magic == 1 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(millis(rec)))
	}
	dst = appendField(dst, rec.Key)
	dst = appendField(dst, rec.Value)
	binary.BigEndian.PutUint32(dst[at+posMessageCRC:], crc32.ChecksumIEEE(dst[at+messageCRCFrom:]))
	return dst
}

func millis(rec *log.Record) int64 {
	if rec.Timestamp.IsZero() {
		return log.NoTimestamp
	}
	return rec.Timestamp.UnixMilli()
}

func appendField(dst, p []byte) []byte {
	n := int32(-1)
	if p != nil {
		n = int32(len(p))
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(n)), p...)
}

// lz4Standard returns a copy of a frame in which the header checksum is what the standard
// wants. In message sets of magic 0 Kafka's clients compute it over the magic too
// (KAFKA-3160), and its broker never looks at it. What is too short to have one comes back
// as it is.
func lz4Standard(src []byte) []byte {
	const dictID, contentSize = 1 << 0, 1 << 3 // in the fifth byte, the flags; log/lz4.go has the header
	at := 6
	if len(src) > 4 && src[4]&contentSize != 0 {
		at += 8
	}
	if len(src) > 4 && src[4]&dictID != 0 {
		at += 4
	}
	if len(src) <= at {
		return src
	}
	out := bytes.Clone(src)
	out[at] = byte(xxh32(src[4:at]) >> 8)
	return out
}

// xxh32 is XXH32 of at most 15 bytes, with the seed 0
// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
func xxh32(p []byte) uint32 {
	const (
		prime1 = 0x9E3779B1
		prime2 = 0x85EBCA77
		prime3 = 0xC2B2AE3D
		prime4 = 0x27D4EB2F
		prime5 = 0x165667B1
	)
	h := prime5 + uint32(len(p))
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(p)*prime3, 17) * prime4
	}
	for _, c := range p {
		h = bits.RotateLeft32(h+uint32(c)*prime5, 11) * prime1
	}
	h = (h ^ h>>15) * prime2
	h = (h ^ h>>13) * prime3
	return h ^ h>>16
}
