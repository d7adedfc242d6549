package log

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// Kafka's lz4 is one standard frame
// (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), little endian:
//
//	0      4    5    6                                  end mark
//	+------+----+----+--------+-------+---+-----+-----+--+-------+---------+
//	|magic |FLG |BD  |content |dict   |HC |size |block|..|0      |content  |
//	|u32   |u8  |u8  |size u64|id u32 |u8 |u32  |     |  |u32    |check u32|
//	+------+----+----+--------+-------+---+-----+-----+--+-------+---------+
//	                  if FLG&8 if FLG&1                           if FLG&4
//
// The top bit of size marks a block that is not compressed; FLG&16 puts a checksum u32
// behind every block. BD bits 4 to 6 give the largest block: 4 is 64 KiB, each step four
// times more.
//
// The library reads more than that: several frames, and a legacy format by recursion,
// as deep as the input is long. So lz4Frame first walks the frame, which costs one step
// a block, and whatever is not exactly one frame never reaches the library.
const (
	lz4Magic = 0x184D2204

	lz4FlagDictID          = 1 << 0
	lz4FlagContentChecksum = 1 << 2
	lz4FlagContentSize     = 1 << 3
	lz4FlagBlockChecksum   = 1 << 4

	// lz4MaxRatio is what lz4 cannot exceed: each byte of a length adds at most 255.
	lz4MaxRatio = 255
)

var errLz4Frame = fmt.Errorf("%w: lz4 data is not one whole frame", ErrCorruptRecord)

type lz4Decoder struct {
	r   *lz4.Reader
	src bytes.Reader
}

var lz4Encoders, lz4Decoders sync.Pool

// lz4Compress writes a frame of 64 KiB blocks, as Kafka does, without checksums: the
// batch has its own.
func lz4Compress(dst, src []byte) ([]byte, error) {
	e, ok := lz4Encoders.Get().(*streamEncoder)
	if !ok {
		w := lz4.NewWriter(nil)
		err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1))
		if err != nil {
			return dst, fmt.Errorf("lz4 writer: %w", err)
		}
		e = &streamEncoder{w: w}
	}
	defer lz4Encoders.Put(e)
	return e.append(dst, src)
}

func lz4Decompress(dst, src []byte, limit int) ([]byte, error) {
	declared, err := lz4Frame(src)
	if err != nil {
		return dst, err
	}
	if declared > uint64(limit) {
		return dst, errTooLong
	}
	hint := 4 * int64(len(src)) // a guess
	if declared > 0 {
		hint = min(int64(declared), lz4MaxRatio*int64(len(src)))
	}
	d, ok := lz4Decoders.Get().(*lz4Decoder)
	if !ok {
		d = &lz4Decoder{r: lz4.NewReader(nil)} // not concurrent unless told so
	}
	defer lz4Decoders.Put(d)
	d.src.Reset(src)
	defer d.src.Reset(nil)
	d.r.Reset(&d.src)
	return readInto(dst, d.r, hint, limit)
}

// lz4Frame checks that src is exactly one frame, checksums and block contents aside,
// and returns the content size that it declares, 0 if none.
func lz4Frame(src []byte) (declared uint64, err error) {
	if len(src) < 6 || binary.LittleEndian.Uint32(src) != lz4Magic {
		return 0, errLz4Frame
	}
	flags := src[4]
	pos := 6
	if flags&lz4FlagContentSize != 0 {
		if len(src) < pos+8 {
			return 0, errLz4Frame
		}
		declared = binary.LittleEndian.Uint64(src[pos:])
		pos += 8
	}
	if flags&lz4FlagDictID != 0 {
		pos += 4
	}
	pos++ // header checksum
	behind := 0
	if flags&lz4FlagBlockChecksum != 0 {
		behind = 4
	}
	for {
		if len(src)-pos < 4 {
			return 0, errLz4Frame
		}
		size := int(binary.LittleEndian.Uint32(src[pos:]) &^ (1 << 31))
		pos += 4
		if size == 0 {
			break
		}
		if size > len(src)-pos-behind {
			return 0, errLz4Frame
		}
		pos += size + behind
	}
	if flags&lz4FlagContentChecksum != 0 {
		pos += 4
	}
	if pos != len(src) {
		return 0, errLz4Frame
	}
	return declared, nil
}
