package kafka

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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
	firstReadBytes  = 4 << 10   // allocated on a client's word; growth times as much once so much has come
	growth          = 4
)

var (
	errFrameLength = errors.New("frame length out of range")
	errHeader      = errors.New("malformed request header")
)

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

// arrival is a frame that is being read. What it takes grows with what has arrived: a length
// alone costs firstReadBytes.
type arrival struct {
	// take is called before n bytes more are taken, give when some are given back.
	take func(n int) error
	give func(n int)
	// alive is called before each read, with the bytes that have arrived, and late when a
	// read fails, with why; it returns nil to try again.
	alive func(arrived int) error
	late  func(err error) error
}

// read reads n bytes.
func (a arrival) read(r io.Reader, n int) (*buffer, error) {
	var buf *buffer
	for arrived := 0; ; {
		if buf == nil || arrived == cap(buf.b) {
			grown, err := a.grow(buf, n)
			if err != nil {
				return buf, err
			}
			buf = grown
		}
		if err := a.alive(arrived); err != nil {
			return buf, err
		}
		m, err := r.Read(buf.b[arrived:min(cap(buf.b), n)])
		arrived += m
		buf.b = buf.b[:arrived]
		switch {
		case arrived == n:
			return buf, nil
		case err == io.EOF:
			return buf, io.ErrUnexpectedEOF
		case err != nil:
			if err := a.late(err); err != nil {
				return buf, err
			}
		}
	}
}

// grow returns a buffer in place of buf, several times as large, and no larger than n needs.
func (a arrival) grow(buf *buffer, n int) (*buffer, error) {
	had := 0
	if buf != nil {
		had = cap(buf.b)
	}
	next := min(n, max(firstReadBytes, growth*had))
	grown := getBuffer(next)
	if err := a.take(cap(grown.b)); err != nil {
		grown.put()
		return buf, err
	}
	if buf != nil {
		grown.b = append(grown.b, buf.b...)
		buf.put()
		a.give(had)
	}
	return grown, nil
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
	w := walker{b: frame[minFrameBytes:]}
	h.clientID = string(w.take(w.length(2)))
	if w.short {
		return h, nil, fmt.Errorf("%w: client id in %d bytes", errHeader, len(frame)-minFrameBytes)
	}
	return h, w.b, nil
}

// skipTags returns what follows the tagged fields at the front of b.
func skipTags(b []byte) ([]byte, error) {
	w := walker{b: b, compact: true}
	if w.tags(); w.short {
		return nil, fmt.Errorf("%w: tags", errHeader)
	}
	return w.b, nil
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
