package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// The keys of a table, behind its prefix. See "A table" in docs/format.md.
const (
	kindRow      = 'k' // + key: a row
	kindPosition = 'p' // + partition u32: how far the table is in it
	kindMeta     = 'm' // what the table is, and how many rows it has
)

// A key of keySize bytes and more is stored as its first KeyHead and a hash: the keys of a store are bounded, those of records are not.
const (
	KeyHead = 968 // keys that have so many bytes in common may come in any order
	keySize = KeyHead + sha256.Size
)

// A row, under the key of its record:
//
//	+--------+--------------+----------+----------------+  whole or long: +-----------------+ whole: +----------+-----+
//	|kind    |partition u32 |offset u64|timestamp i64 ms|  long key:      |len uvarint | key|        |headers   |value|
//	+--------+--------------+----------+----------------+                 +-----------------+        +----------+-----+
//
// headers are their number, and for each the length of its key, the key, the length of its value + 1 (0 is null), the value; all
// uvarints. kind has a bit for each of what follows.
const (
	rowWhole = 1 << iota // headers and value follow; else the record is to be read from the log
	rowLong              // the key follows, as it is not that of the row; of more than maxWhole bytes only the log has it
)

const (
	rowHead  = 1 + 4 + 8 + 8
	maxWhole = 8 << 20 // bytes of a row; a commit holds more, and its log besides
)

const noTime = math.MinInt64

var errRow = fmt.Errorf("%w: a row of a table", log.ErrCorruptValue)

// appendKey appends what the row of that key is stored under, behind the prefix.
func appendKey(dst, key []byte) []byte {
	dst = append(dst, kindRow)
	if len(key) < keySize {
		return append(dst, key...)
	}
	sum := sha256.Sum256(key)
	return append(append(dst, key[:KeyHead]...), sum[:]...)
}

// appendRow appends the row of r, which has a key and a value.
func appendRow(dst []byte, r *log.Record) []byte {
	at := len(dst)
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Partition))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Offset))
	ms := int64(noTime)
	if !r.Timestamp.IsZero() {
		ms = r.Timestamp.UnixMilli()
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(ms))
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value) + 2*binary.MaxVarintLen32
	}
	if size <= maxWhole {
		dst[at] = rowWhole
	}
	if len(r.Key) >= keySize && len(r.Key) <= maxWhole {
		dst[at] |= rowLong
		dst = append(binary.AppendUvarint(dst, uint64(len(r.Key))), r.Key...)
	}
	if size > maxWhole {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = append(binary.AppendUvarint(dst, uint64(len(h.Key))), h.Key...)
		if h.Value == nil {
			dst = append(dst, 0)
		} else {
			dst = append(binary.AppendUvarint(dst, uint64(len(h.Value))+1), h.Value...)
		}
	}
	return append(dst, r.Value...)
}

// place returns the partition and the offset of a row, of which rowHead bytes are enough.
func place(row []byte) (partition int32, offset int64, err error) {
	if len(row) < rowHead {
		return 0, 0, errRow
	}
	return int32(binary.BigEndian.Uint32(row[1:])), int64(binary.BigEndian.Uint64(row[5:])), nil
}

// parseRow fills r, but for its topic, from a row that is stored under key, behind the prefix and kindRow, and reports whether it is whole: else
// headers and value are to be read from the log, and the key if it is nil. r shares the memory of both.
func parseRow(key, row []byte, r *log.Record) (whole bool, err error) {
	if r.Partition, r.Offset, err = place(row); err != nil {
		return false, err
	}
	r.Timestamp = time.Time{}
	if ms := int64(binary.BigEndian.Uint64(row[13:])); ms != noTime {
		r.Timestamp = time.UnixMilli(ms)
	}
	rest := cutter{row[rowHead:], nil}
	r.Key = nil
	switch {
	case row[0]&rowLong != 0:
		r.Key = rest.bytes(rest.uvarint())
	case len(key) < keySize:
		r.Key = key
	}
	if row[0]&rowWhole == 0 || rest.err != nil {
		return false, rest.err
	}
	r.Headers = nil
	if n := rest.uvarint(); n > 0 {
		if n > uint64(len(rest.b)) {
			return false, errRow
		}
		r.Headers = make([]log.Header, n)
		for i := range r.Headers {
			h := &r.Headers[i]
			h.Key = string(rest.bytes(rest.uvarint()))
			if n := rest.uvarint(); n > 0 {
				h.Value = rest.bytes(n - 1)
			}
		}
	}
	r.Value = rest.b[:len(rest.b):len(rest.b)]
	return true, rest.err
}

// cutter cuts a row into pieces.
type cutter struct {
	b   []byte
	err error
}

func (c *cutter) uvarint() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.b, c.err = []byte{}, errRow
		return 0
	}
	c.b = c.b[size:]
	return n
}

func (c *cutter) bytes(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.b, c.err = []byte{}, errRow
		return []byte{}
	}
	cut := c.b[:n:n]
	c.b = c.b[n:]
	return cut
}

// Range says which rows are wanted: see samsa.TableRange.
type Range struct {
	From, To, Prefix []byte
	Reverse          bool
}

// holds reports whether key is within r.
func (r *Range) holds(key []byte) bool {
	return bytes.HasPrefix(key, r.Prefix) && bytes.Compare(key, r.From) >= 0 && (r.To == nil || bytes.Compare(key, r.To) < 0)
}

// stored returns where the rows of r are stored, and perhaps others: of bounds that are long only the first bytes count.
func (r *Range) stored(prefix []byte) store.Range {
	head := func(key []byte) []byte {
		return append(append(bytes.Clone(prefix), kindRow), key[:min(len(key), KeyHead)]...)
	}
	s := store.Range{From: head(r.From), Reverse: r.Reverse}
	if from := head(r.Prefix); bytes.Compare(from, s.From) > 0 {
		s.From = from
	}
	s.To = store.Behind(head(r.Prefix))
	if r.To != nil {
		to := head(r.To)
		if len(r.To) > KeyHead {
			to = store.Behind(to)
		}
		if bytes.Compare(to, s.To) < 0 {
			s.To = to
		}
	}
	return s
}

// clone returns r with memory of its own.
func (r *Range) clone() Range {
	return Range{From: bytes.Clone(r.From), To: bytes.Clone(r.To), Prefix: bytes.Clone(r.Prefix), Reverse: r.Reverse}
}
