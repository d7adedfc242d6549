package kafka

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A frame is how requests and answers travel: their length, i32, and that many bytes.
//
// A request begins with its header, an answer with the correlation id of its request:
//
//	request: api key i16, version i16, correlation id i32, client id nullable string, [tags]
//	answer:  correlation id i32, [tags]
//
// The tags are there in flexible versions (KIP-482), in answers to ApiVersions never.
const (
	frameLengthSize = 4
	minFrameBytes   = 2 + 2 + 4 // of a request, up to its client id
	firstReadBytes  = 64 << 10  // allocated on a client's word; more once so much has come
)

var (
	errFrameLength = errors.New("frame length out of range")
	errHeader      = errors.New("malformed request header")
)

// readFrame reads the next frame, without its length. limit says how long it may be, by the
// api key; reserve is called with its length before it is read. Frames of Produce requests
// live in a pooled buffer, which is returned too.
//
// The memory grows with what arrives: a length alone costs firstReadBytes at most.
func readFrame(r *bufio.Reader, limit func(key int16) int, reserve func(n int) error) ([]byte, *buffer, error) {
	n, key, err := peekFrame(r, limit)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.Discard(frameLengthSize); err != nil {
		return nil, nil, err
	}
	if err := reserve(int(n)); err != nil {
		return nil, nil, err
	}
	if key != int16(kmsg.Produce) {
		frame, err := readGrowing(r, nil, int(n))
		return frame, nil, err
	}
	buf := getBuffer()
	buf.b, err = readGrowing(r, buf.b, int(n))
	return buf.b, buf, err
}

// peekFrame returns the length and the api key of the next frame. A length that no frame may
// have fails as soon as it is there.
func peekFrame(r *bufio.Reader, limit func(key int16) int) (n int, key int16, err error) {
	head, err := r.Peek(frameLengthSize)
	if err != nil {
		return 0, 0, err
	}
	length := int64(int32(binary.BigEndian.Uint32(head)))
	check := func(most int) error {
		if length >= minFrameBytes && length <= int64(most) {
			return nil
		}
		if err := otherProtocol(head); err != nil {
			return err
		}
		return fmt.Errorf("%w: %d, want %d to %d", errFrameLength, length, minFrameBytes, most)
	}
	if err := check(limit(int16(kmsg.Produce))); err != nil {
		return 0, 0, err
	}
	if head, err = r.Peek(frameLengthSize + 2); err != nil {
		return 0, 0, err
	}
	key = int16(binary.BigEndian.Uint16(head[frameLengthSize:]))
	return int(length), key, check(limit(key))
}

// readGrowing reads n bytes into buf, from its start, which grows as they come.
func readGrowing(r io.Reader, buf []byte, n int) ([]byte, error) {
	buf = slices.Grow(buf[:0], min(n, firstReadBytes))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(n-len(buf), len(buf)))
		}
		m, err := r.Read(buf[len(buf):min(cap(buf), n)])
		buf = buf[:len(buf)+m]
		if err != nil && len(buf) < n {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return buf, err
		}
	}
	return buf, nil
}

// header is a request's.
type header struct {
	key, version  int16
	correlationID int32
	clientID      string
}

// cutHeader reads the header of frame, but for the tags of flexible versions, and returns
// what follows it.
func cutHeader(frame []byte) (header, []byte, error) {
	if len(frame) < minFrameBytes {
		return header{}, nil, fmt.Errorf("%w: %d bytes", errHeader, len(frame))
	}
	h := header{
		key:           int16(binary.BigEndian.Uint16(frame)),
		version:       int16(binary.BigEndian.Uint16(frame[2:])),
		correlationID: int32(binary.BigEndian.Uint32(frame[4:])),
	}
	b := frame[minFrameBytes:]
	if len(b) < 2 {
		return h, nil, fmt.Errorf("%w: no client id", errHeader)
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	b = b[2:]
	if n > len(b) || n < -1 {
		return h, nil, fmt.Errorf("%w: client id of %d bytes in %d", errHeader, n, len(b))
	}
	if n > 0 {
		h.clientID, b = string(b[:n]), b[n:]
	}
	return h, b, nil
}

// skipTags returns what follows the tagged fields at the front of b.
func skipTags(b []byte) ([]byte, error) {
	count, b, ok := cutUvarint(b)
	for ; ok && count > 0; count-- {
		var size uint64
		if _, b, ok = cutUvarint(b); !ok {
			break
		}
		if size, b, ok = cutUvarint(b); !ok || size > uint64(len(b)) {
			ok = false
			break
		}
		b = b[size:]
	}
	if !ok {
		return nil, fmt.Errorf("%w: tags", errHeader)
	}
	return b, nil
}

func cutUvarint(b []byte) (uint64, []byte, bool) {
	x, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return x, b[n:], true
}

// appendAnswer appends the frame with the answer to a request of the given correlation id.
func appendAnswer(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		dst = append(dst, 0)
	}
	dst = resp.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-frameLengthSize))
	return dst
}

// buffer is memory that is used again.
type buffer struct{ b []byte }

// maxPooledBytes is the size above which a buffer is left to the garbage collector.
const maxPooledBytes = 4 << 20

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// getBuffer returns an empty buffer with whatever capacity it has.
func getBuffer() *buffer {
	buf := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	return buf
}

// put gives the buffer back: nothing may refer to its memory any more. buf may be nil.
func (buf *buffer) put() {
	if buf != nil && cap(buf.b) <= maxPooledBytes {
		buffers.Put(buf)
	}
}
