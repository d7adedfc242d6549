package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// A value file is a header and frames, one behind the other; what lies behind the last frame is
// nothing, or the rest of a write that was cut. A frame is one commit. All numbers are big endian.
//
//	header   magic "samsa/2\n" | rank u64 | first commit u64 | seed u64 | hash u64
//
//	frame    length u32 | length of the operations u32 | commit u64 | time u64 | synced u64 |
//	         hash of the frame before, or the seed, u64 | hash u64 | operations | large values
//
//	operation
//	  set    1 | key length uvarint | value length uvarint | key | value
//	  large  2 | key length uvarint | value length uvarint | key | CRC-32C of the value u32
//	  delete 3 | key length uvarint | key
//	  begin  4 | boot 16: the store was opened, when the machine had been started as this
//	  end    5: the store was closed, and everything is durable
//
// A frame without operations only says what is durable.
//
// The ranks of files rise in the order in which they began; their names say nothing, as files are
// allocated before they are needed. Commits are numbered without gaps. The first commit of a file says
// besides that frames from it on in files before it do not count: what was found after an unclean
// end is written anew, in a file whose header is written last. The hash (xxhash64) covers the frame from its length to its last
// operation, without itself. The CRC of a large value, one of 1 KiB and more, stands in its
// operation: it costs half as much, and most bytes are in large values. A frame that names another one before it is of a history that was cut. synced is the
// last commit that was known to be fsynced, with all before it, when the frame was written.
const (
	fileHeaderSize  = 40
	frameHeaderSize = 48
	frameHashAt     = 40

	opSet    = 1
	opLarge  = 2
	opDelete = 3
	opBegin  = 4
	opEnd    = 5

	// maxKeptFrame is how much memory of a frame is kept for the next.
	maxKeptFrame = 1 << 20
	bootSize     = 16
	// maxOpOverhead is what an operation adds to its key and its value at most.
	maxOpOverhead = 1 + 3 + 4 + 4
	// maxFrameSize bounds what a length may say before it is believed: a batch at the limits.
	maxFrameSize = limitBytes + limitEntries*maxOpOverhead + frameHeaderSize
)

var fileMagic = [8]byte{'s', 'a', 'm', 's', 'a', '/', '2', '\n'}

// What is wrong with a frame. All but errFrameOther can be what a cut write has left.
var (
	errFrameLength = errors.New("length of a frame")
	errFrameHash   = errors.New("hash of a frame")
	errFrameOps    = errors.New("operations of a frame")
	errFrameValue  = errors.New("CRC of a value")
	errFrameOther  = errors.New("frame of a history that was cut")

	errFrameMissing = errors.New("frame is not there")
)

// fileHeader is the beginning of a value file.
type fileHeader struct {
	rank, first, seed uint64
}

func (h fileHeader) append(b []byte) []byte {
	at := len(b)
	b = append(b, fileMagic[:]...)
	b = binary.BigEndian.AppendUint64(b, h.rank)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = binary.BigEndian.AppendUint64(b, h.seed)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b[at:]))
}

// parseFileHeader reads a header; ok is false when b begins with none that is whole.
func parseFileHeader(b []byte) (h fileHeader, ok bool) {
	if len(b) < fileHeaderSize || [8]byte(b) != fileMagic || xxhash.Sum64(b[:32]) != binary.BigEndian.Uint64(b[32:]) {
		return h, false
	}
	h.rank, h.first, h.seed = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	return h, true
}

// frameHeader is the beginning of a frame.
type frameHeader struct {
	length, ops  int // in bytes: of all, and of the operations
	commit       uint64
	ms           uint64
	synced       uint64
	before, hash uint64
}

// parseFrameHeader reads a header whose lengths can be.
func parseFrameHeader(b []byte) (h frameHeader, err error) {
	if len(b) < frameHeaderSize {
		return h, errFrameLength
	}
	h = frameHeader{
		length: int(binary.BigEndian.Uint32(b)), ops: int(binary.BigEndian.Uint32(b[4:])),
		commit: binary.BigEndian.Uint64(b[8:]), ms: binary.BigEndian.Uint64(b[16:]), synced: binary.BigEndian.Uint64(b[24:]),
		before: binary.BigEndian.Uint64(b[32:]), hash: binary.BigEndian.Uint64(b[frameHashAt:]),
	}
	if h.length < frameHeaderSize || h.length > maxFrameSize || h.ops < 0 || h.ops > h.length-frameHeaderSize {
		return h, errFrameLength
	}
	return h, nil
}

// frame is a frame that is being made. Its memory serves the next one too.
type frame struct {
	head    []byte   // header and operations
	values  [][]byte // the large ones
	buffers [][]byte // head and values, for writing
	items   []*item  // what the operations make of their keys, in order
	length  int
}

// place is where a large value lies in a frame, and its CRC-32C.
type place struct {
	at, size int
	crc      uint32
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// begin begins an empty frame.
func (f *frame) begin() {
	if cap(f.head) > maxKeptFrame {
		f.head = nil
	}
	f.head = append(f.head[:0], make([]byte, frameHeaderSize)...)
	clear(f.values)
	clear(f.items)
	f.values, f.items = f.values[:0], f.items[:0]
}

// add adds an operation of a batch.
func (f *frame) add(o op) {
	i := item{key: o.key, value: o.value, deleted: o.remove, large: len(o.value) >= inlineThreshold}
	f.head = append(f.head, i.kind())
	f.head = binary.AppendUvarint(f.head, uint64(len(o.key)))
	if !o.remove {
		f.head = binary.AppendUvarint(f.head, uint64(len(o.value)))
	}
	f.head = append(f.head, o.key...)
	if i.large {
		i.value, i.place = nil, place{size: len(o.value), crc: crcOf(o.value)}
		f.head = binary.BigEndian.AppendUint32(f.head, i.crc)
		f.values = append(f.values, o.value)
	}
	f.head = append(f.head, i.value...)
	f.items = append(f.items, i.clone())
}

// addBegin and addEnd add what a session of the store is bounded by.
func (f *frame) addBegin(boot [16]byte) { f.head = append(append(f.head, opBegin), boot[:]...) }
func (f *frame) addEnd()                { f.head = append(f.head, opEnd) }

// size returns how long the frame will be.
func (f *frame) size() int {
	n := len(f.head)
	for _, v := range f.values {
		n += len(v)
	}
	return n
}

// end completes the frame and returns its hash. The places of the items count from the frame's beginning.
func (f *frame) end(commit, ms, synced, before uint64) uint64 {
	at := len(f.head)
	for _, i := range f.items {
		i.version = commit
		if i.large {
			i.at = at
			at += i.size
		}
	}
	f.length = at
	h := f.head
	binary.BigEndian.PutUint32(h, uint32(at))
	binary.BigEndian.PutUint32(h[4:], uint32(len(h)-frameHeaderSize))
	binary.BigEndian.PutUint64(h[8:], commit)
	binary.BigEndian.PutUint64(h[16:], ms)
	binary.BigEndian.PutUint64(h[24:], synced)
	binary.BigEndian.PutUint64(h[32:], before)
	hash := hashWithout(h, frameHashAt)
	binary.BigEndian.PutUint64(h[frameHashAt:], hash)
	f.buffers = append(append(f.buffers[:0], h), f.values...)
	return hash
}

// hashWithout returns the hash of b without the eight bytes at a place, which are for it.
func hashWithout(b []byte, at int) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(b[:at]) // never fails
	_, _ = d.Write(b[at+8:])
	return d.Sum64()
}

// rechain gives a frame, whole in b, another one before it, and returns its new hash.
func rechain(b []byte, h frameHeader, before uint64) uint64 {
	binary.BigEndian.PutUint64(b[32:], before)
	hash := hashWithout(b[:frameHeaderSize+h.ops], frameHashAt)
	binary.BigEndian.PutUint64(b[frameHashAt:], hash)
	return hash
}

// readOps calls fn for the operations of a frame, in order: with what a set or a deletion makes of its key, or
// with an item that has only a value, the boot of opBegin or nothing of opEnd. The item is readOps', and its bytes are
// those of the frame. head is its header and its operations, whose hash was checked: an error means that
// the frame was never whole.
func readOps(head []byte, h frameHeader, fn func(kind byte, i *item) error) error {
	b := head[frameHeaderSize : frameHeaderSize+h.ops]
	at := frameHeaderSize + h.ops
	i := new(item)
	for len(b) > 0 {
		kind, ok := b[0], true
		b = b[1:]
		*i = item{version: h.commit}
		switch kind {
		case opSet, opLarge, opDelete:
			i.deleted, i.large = kind == opDelete, kind == opLarge
			if b, ok = i.read(b); i.large {
				i.at = at
				at += i.size
				ok = ok && at <= h.length
			}
		case opBegin:
			if ok = len(b) >= bootSize; ok {
				i.value, b = b[:bootSize], b[bootSize:]
			}
		case opEnd:
		default:
			ok = false
		}
		if !ok {
			return errFrameOps
		}
		if err := fn(kind, i); err != nil {
			return err
		}
	}
	if at != h.length {
		return fmt.Errorf("%w: %d bytes of values, want %d", errFrameOps, at-frameHeaderSize-h.ops, h.length-frameHeaderSize-h.ops)
	}
	return nil
}

// read reads what follows the kind of a set or a deletion.
func (i *item) read(b []byte) (rest []byte, ok bool) {
	key, n := binary.Uvarint(b)
	if n <= 0 || key == 0 || key > maxKeySize {
		return b, false
	}
	b = b[n:]
	var size uint64
	if !i.deleted {
		if size, n = binary.Uvarint(b); n <= 0 || size == 0 || size > limitBytes || (size >= inlineThreshold) != i.large {
			return b, false
		}
		b = b[n:]
	}
	if uint64(len(b)) < key {
		return b, false
	}
	i.key, b = b[:key:key], b[key:]
	if i.large {
		if len(b) < 4 {
			return b, false
		}
		i.size, i.crc = int(size), binary.BigEndian.Uint32(b)
		return b[4:], true
	}
	if uint64(len(b)) < size {
		return b, false
	}
	i.value = b[:size:size]
	return b[size:], true
}

// checkFrame checks a frame that b begins with, but for the one before it: what it holds is what
// was once written.
func checkFrame(b []byte) (h frameHeader, err error) {
	if h, err = parseFrameHeader(b); err != nil {
		return h, err
	}
	if len(b) < h.length {
		return h, errFrameLength
	}
	head := b[:frameHeaderSize+h.ops]
	if hashWithout(head, frameHashAt) != h.hash {
		return h, errFrameHash
	}
	return h, readOps(head, h, func(_ byte, i *item) error {
		if p := i.place; i.large && crcOf(b[p.at:p.at+p.size]) != p.crc {
			return errFrameValue
		}
		return nil
	})
}
