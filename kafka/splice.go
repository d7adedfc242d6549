package kafka

import (
	"encoding/binary"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Records are not copied into the answer to a Fetch: they are spliced into it while it is
// written. Where they belong is found without knowledge of the encoding: the answer has one
// byte in the place of the records of each partition, and is encoded twice, with two values of
// that byte. The two encodings differ at the places of the records, and nowhere else.

// blank stands for the records of a partition. placeholders differ in every bit.
type blank struct {
	slot *[]byte // in the answer
	with pieces
}

var placeholders = [2][]byte{{0x00}, {0xff}}

// splice appends to dst the frame of an answer, in pieces, with records in its blanks, which are
// in the order of the answer. The memory of all but the records is buf's.
func splice(dst [][]byte, buf *buffer, correlationID int32, resp kmsg.Response, blanks []blank) [][]byte {
	if len(blanks) == 0 {
		buf.b = appendAnswer(buf.b, correlationID, resp)
		return append(dst, buf.b)
	}
	other := getBuffer(firstAnswerBytes)
	defer other.put()
	encode := func(b []byte, placeholder []byte) []byte {
		for _, bl := range blanks {
			*bl.slot = placeholder
		}
		return appendAnswer(b, correlationID, resp)
	}
	other.b = encode(other.b, placeholders[0])
	frame := encode(buf.b, placeholders[1])

	flexible := resp.IsFlexible()
	old := len(appendLength(nil, 1, flexible))         // in front of a placeholder
	lengths := frame[len(frame):len(frame):cap(frame)] // beside the frame, or elsewhere
	total, from, at := len(frame)-frameLengthSize, 0, frameLengthSize
	for _, bl := range blanks {
		for frame[at] == other.b[at] {
			at++
		}
		n := len(lengths)
		lengths = appendLength(lengths, bl.with.bytes, flexible)
		length := lengths[n:len(lengths):len(lengths)]
		total += len(length) - old + bl.with.bytes - 1
		dst = append(append(dst, frame[from:at-old], length), bl.with.all...)
		at++
		from = at
	}
	binary.BigEndian.PutUint32(frame, uint32(total))
	buf.b = frame
	if from < len(frame) {
		dst = append(dst, frame[from:])
	}
	return dst
}

// appendLength appends the length of a field of bytes as Kafka encodes it.
func appendLength(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(dst, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// cutPieces takes pieces of together at most n bytes off the front of all, and the rest.
func cutPieces(all [][]byte, n int) (head net.Buffers, rest [][]byte) {
	for len(all) > 0 && n > 0 {
		b := all[0]
		if len(b) > n {
			all[0] = b[n:]
			return append(head, b[:n:n]), all
		}
		head, all = append(head, b), all[1:]
		n -= len(b)
	}
	return head, all
}
