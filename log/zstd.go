package log

import (
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Kafka's zstd is one frame or more (RFC 8878), little endian:
//
//	+------+--------------------------+------------+------+------------+------+--+---------+
//	|magic |header                    |block header|block |block header|block |..|checksum |
//	|u32   |2-14 bytes, may have the  |u24         |      |u24         |      |  |u32, if  |
//	|      |frame's content size      |            |      |            |      |  |declared |
//	+------+--------------------------+------------+------+------------+------+--+---------+
//
// A block header is, from the lowest bit: last block of the frame (1 bit), type (2),
// size (21). Types: 0 raw, size bytes; 1 run, one byte that is repeated size times;
// 2 compressed, size bytes that give at most 128 KiB.
//
// Java's frames do not say their content size. The decoder bounds each frame by itself,
// so that many frames exceed any bound, and guesses the memory it needs by doubling.
// So zstdFrames first walks the blocks for what they can give at most, and the decoder
// works in memory of that size or of the limit, and no more.
const (
	zstdRaw = iota
	zstdRun
	zstdCompressed

	zstdMaxBlock = 128 << 10

	// zstdScratch is the decoder's own memory. It takes what may be much larger than what
	// comes out: one or two blocks without a declared size.
	zstdScratch = 2 * zstdMaxBlock
)

var errZstdFrame = fmt.Errorf("%w: zstd frame is cut or malformed", ErrCorruptRecord)

type zstdDecoder struct {
	d       *zstd.Decoder
	scratch []byte
}

var zstdEncoders, zstdDecoders sync.Pool

// zstdCompress writes one frame at zstd's default level, as Kafka does. EncodeAll runs
// on the caller's goroutine. No checksum: the batch has its own.
func zstdCompress(dst, src []byte) ([]byte, error) {
	e, ok := zstdEncoders.Get().(*zstd.Encoder)
	if !ok {
		var err error
		e, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
		if err != nil {
			return dst, fmt.Errorf("zstd encoder: %w", err)
		}
	}
	defer zstdEncoders.Put(e)
	return e.EncodeAll(src, dst), nil
}

func zstdDecompress(dst, src []byte, limit int) ([]byte, error) {
	most, exact, err := zstdFrames(src, limit)
	if err != nil {
		return dst, err
	}
	d, ok := zstdDecoders.Get().(*zstdDecoder)
	if !ok {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(MaxDecompressedBytes))
		if err != nil {
			return dst, fmt.Errorf("zstd decoder: %w", err)
		}
		d = &zstdDecoder{d: z}
	}
	defer zstdDecoders.Put(d)
	room := int(min(most, int64(limit)))
	var into []byte
	if exact || room > zstdScratch {
		dst = slices.Grow(dst, room)
		into = dst[len(dst) : len(dst) : len(dst)+room]
	} else {
		d.scratch = slices.Grow(d.scratch, room)
		into = d.scratch[:0:room]
	}
	out, err := d.d.DecodeAll(src, into)
	switch {
	case err != nil && most > int64(limit):
		return dst, errTooLong // the likely reason; the decoder has several words for it
	case err != nil:
		return dst, err
	}
	return extend(dst, out), nil
}

// zstdFrames walks all of src and returns what its blocks can decompress to at most, and
// whether it is exactly that, because every frame declares it. A declared size over
// limit is errTooLong.
func zstdFrames(src []byte, limit int) (most int64, exact bool, err error) {
	if len(src) == 0 {
		return 0, false, errZstdFrame
	}
	exact = true
	for len(src) > 0 {
		var h zstd.Header
		rest, err := h.DecodeAndStrip(src)
		if err != nil {
			return 0, false, fmt.Errorf("%w: %s", errZstdFrame, err.Error())
		}
		var size int64
		if h.Skippable {
			if rest, err = cut(rest, int64(h.SkippableSize)); err != nil {
				return 0, false, err
			}
		} else if size, rest, err = zstdBlocks(rest); err != nil {
			return 0, false, err
		}
		if h.HasCheckSum {
			if rest, err = cut(rest, 4); err != nil {
				return 0, false, err
			}
		}
		if h.HasFCS {
			if h.FrameContentSize > uint64(limit) {
				return 0, false, errTooLong
			}
			size = min(size, int64(h.FrameContentSize))
		}
		exact = exact && (h.HasFCS || h.Skippable)
		most += size
		src = rest
	}
	return most, exact, nil
}

// zstdBlocks returns what the blocks of one frame can decompress to at most, and what
// follows them.
func zstdBlocks(src []byte) (most int64, rest []byte, err error) {
	for last := false; !last; {
		if len(src) < 3 {
			return 0, nil, errZstdFrame
		}
		h := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
		last = h&1 != 0
		size := int64(h >> 3)
		length := size
		switch h >> 1 & 3 {
		case zstdRaw:
			most += size
		case zstdRun:
			most += size
			length = 1
		case zstdCompressed:
			most += zstdMaxBlock
		default:
			return 0, nil, errZstdFrame
		}
		if src, err = cut(src[3:], length); err != nil {
			return 0, nil, err
		}
	}
	return most, src, nil
}

// cut returns src without its first n bytes.
func cut(src []byte, n int64) ([]byte, error) {
	if n > int64(len(src)) {
		return nil, errZstdFrame
	}
	return src[n:], nil
}
