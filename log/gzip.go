package log

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/gzip"
)

type gzipDecoder struct {
	r   gzip.Reader
	src bytes.Reader
}

var (
	gzipEncoders = sync.Pool{New: func() any { return &streamEncoder{w: gzip.NewWriter(nil)} }}
	gzipDecoders = sync.Pool{New: func() any { return new(gzipDecoder) }}
)

func gzipCompress(dst, src []byte) ([]byte, error) {
	e := gzipEncoders.Get().(*streamEncoder)
	defer gzipEncoders.Put(e)
	return e.append(dst, src)
}

// gzipMaxRatio is more than deflate can compress by: 258 bytes take at least 2 bits.
const gzipMaxRatio = 1032

func gzipDecompress(dst, src []byte, limit int) ([]byte, error) {
	d := gzipDecoders.Get().(*gzipDecoder)
	defer gzipDecoders.Put(d)
	d.src.Reset(src)
	defer d.src.Reset(nil)
	if err := d.r.Reset(&d.src); err != nil {
		return dst, err
	}
	// The last four bytes are the length of what was compressed, if as usual it is one piece.
	// They may lie, so that they are believed no further than deflate could go.
	size := int64(binary.LittleEndian.Uint32(src[len(src)-4:]))
	hint := min(size, gzipMaxRatio*int64(len(src)))
	return readInto(dst, &d.r, hint, limit)
}
