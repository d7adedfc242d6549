package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func TestCodecNames(t *testing.T) {
	for i, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		if got := Codec(i).String(); got != name {
			t.Errorf("codec %d is %q, want %q", i, got, name)
		}
	}
	if got := Codec(9).String(); got != "codec 9" {
		t.Errorf("unknown codec is %q", got)
	}
}

// payloads are what a codec may treat each its own way: nothing, little, one block of lz4
// or snappy and a byte more, noise, zeros.
func payloads() map[string][]byte {
	noise := make([]byte, 300_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise)
	text, _ := jsonRecords()
	return map[string][]byte{
		"nothing": {}, "a byte": {0}, "block": noise[:1<<16], "block and a byte": noise[:1<<16+1],
		"noise": noise, "json": text.plain[BatchHeaderSize:], "zeros": make([]byte, 3<<20),
	}
}

func TestCompressAppends(t *testing.T) {
	for name, want := range payloads() {
		for _, codec := range codecs {
			packed, err := compress([]byte("before"), want, codec)
			if err != nil || !bytes.HasPrefix(packed, []byte("before")) {
				t.Fatalf("%v of %s: %v", codec, name, err)
			}
			packed = packed[len("before"):]
			for _, dst := range [][]byte{nil, []byte("before"), make([]byte, 5, 4<<20)} {
				got, err := Decompress(dst, packed, codec, len(want))
				if err != nil || !bytes.Equal(got[len(dst):], want) || !bytes.Equal(got[:len(dst)], dst) {
					t.Fatalf("%v of %s: got %d bytes, want %d, %v", codec, name, len(got)-len(dst), len(want), err)
				}
			}
			if len(want) == 0 {
				continue
			}
			_, err = Decompress(nil, packed, codec, len(want)-1)
			wantError(t, err, errTooLong)
		}
	}
}

func TestUnknownCodec(t *testing.T) {
	if _, err := compress(nil, []byte("x"), 5); !errors.Is(err, ErrUnsupportedCodec) {
		t.Errorf("compress: %v", err)
	}
	_, err := Decompress(nil, []byte("x"), 5, 100)
	wantError(t, err, errUnknownCodec)
}

// TestDecompressGarbage has every codec refuse what is cut, or is not of its kind at all.
func TestDecompressGarbage(t *testing.T) {
	text, _ := jsonRecords()
	src := text.plain[BatchHeaderSize:][:3000]
	for _, codec := range codecs[1:] {
		packed, err := compress(nil, src, codec)
		if err != nil {
			t.Fatal(err)
		}
		for n := range packed {
			dst, err := Decompress([]byte("dst"), packed[:n], codec, len(src))
			wantError(t, err, ErrCorruptRecord)
			if string(dst) != "dst" {
				t.Fatalf("%v, %d bytes: dst became %d bytes", codec, n, len(dst))
			}
		}
		for _, garbage := range []string{"\x01", "garbage", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
			if _, err := Decompress(nil, []byte(garbage), codec, 1<<20); !errors.Is(err, ErrCorruptRecord) {
				t.Errorf("%v of %q: %v", codec, garbage, err)
			}
		}
	}
}

// TestForeignFrames reads what other writers of the same formats make.
func TestForeignFrames(t *testing.T) {
	text, _ := jsonRecords()
	want := bytes.Repeat(text.plain[BatchHeaderSize:], 5)
	var frames []struct {
		name  string
		codec Codec
		src   []byte
	}
	add := func(name string, codec Codec, src []byte) {
		frames = append(frames, struct {
			name  string
			codec Codec
			src   []byte
		}{name, codec, src})
	}
	add("xerial in one chunk", CodecSnappy, xerial(want, len(want)))
	add("xerial in chunks of 32 KB", CodecSnappy, xerial(want, 32<<10))
	for _, o := range [][]lz4.Option{
		nil, // 4 MB blocks and a content checksum
		{lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block64Kb)},
		{lz4.SizeOption(uint64(len(want))), lz4.CompressionLevelOption(lz4.Level9)},
		{lz4.ChecksumOption(false), lz4.BlockSizeOption(lz4.Block1Mb)},
	} {
		var buf bytes.Buffer
		w := lz4.NewWriter(&buf)
		if err := errors.Join(w.Apply(o...), writeAll(w, want), w.Close()); err != nil {
			t.Fatal(err)
		}
		add("lz4", CodecLz4, buf.Bytes())
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedBestCompression} {
		var buf bytes.Buffer // a stream does not know its length, as with Java
		w, err := zstd.NewWriter(&buf, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
		if err := errors.Join(err, writeAll(w, want), w.Flush(), w.Close()); err != nil {
			t.Fatal(err)
		}
		add("zstd stream", CodecZstd, buf.Bytes())
	}
	var buf bytes.Buffer
	for _, part := range [][]byte{want[:1000], want[1000:]} {
		w := gzip.NewWriter(&buf)
		if err := errors.Join(writeAll(w, part), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	add("gzip of two members", CodecGzip, buf.Bytes())

	for _, f := range frames {
		got, err := Decompress([]byte("dst"), f.src, f.codec, len(want))
		if err != nil || !bytes.Equal(got[3:], want) {
			t.Errorf("%s: %d bytes, %v", f.name, len(got), err)
		}
		_, err = Decompress(nil, f.src, f.codec, len(want)-1)
		wantError(t, err, errTooLong)
	}
}

func writeAll(w interface{ Write([]byte) (int, error) }, p []byte) error {
	_, err := w.Write(p)
	return err
}

// xerial frames src as the Java library does, in chunks of the given size.
func xerial(src []byte, chunk int) []byte {
	out := []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
	for len(src) > 0 {
		n := min(chunk, len(src))
		block := snappy.Encode(nil, src[:n])
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(block))), block...)
		src = src[n:]
	}
	return out
}

func TestXerialRefuses(t *testing.T) {
	whole := xerial(bytes.Repeat([]byte("snappy "), 1000), 2000)
	for n := len(xerialMagic); n < len(whole); n++ {
		got, err := Decompress(nil, whole[:n], CodecSnappy, 1<<20)
		if err == nil && len(got)%2000 == 0 {
			continue // a cut between chunks cannot be seen here; the record count shows it
		}
		wantError(t, err, ErrCorruptRecord)
	}
	negative := append(bytes.Clone(whole[:xerialHeaderSize]), 0xff, 0xff, 0xff, 0xff)
	_, err := Decompress(nil, negative, CodecSnappy, 1<<20)
	wantError(t, err, errXerialFrame)
}

func TestLz4Refuses(t *testing.T) {
	frame, err := compress(nil, []byte("some text"), CodecLz4)
	if err != nil {
		t.Fatal(err)
	}
	legacy := []byte{0x02, 0x21, 0x4c, 0x18}
	skip := []byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}
	for name, src := range map[string][]byte{
		"two frames":      append(bytes.Clone(frame), frame...),
		"legacy":          bytes.Repeat(legacy, 1_000_000),
		"frame, legacy":   append(bytes.Clone(frame), bytes.Repeat(legacy, 1_000_000)...),
		"skipped frame":   append(bytes.Clone(skip), frame...),
		"trailing byte":   append(bytes.Clone(frame), 0),
		"block too long":  append(bytes.Clone(frame[:7]), 0xff, 0xff, 0xff, 0x7f),
		"block too short": append(bytes.Clone(frame[:7]), 0, 0),
	} {
		_, err := Decompress(nil, src, CodecLz4, 1<<20)
		if !errors.Is(err, errLz4Frame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bombs are small inputs that ask for far more than bombLimit.
const bombLimit = 1 << 20

func bombs(t *testing.T) map[string]struct {
	codec Codec
	src   []byte
} {
	zeros := make([]byte, 16*bombLimit)
	pack := func(codec Codec, src []byte) []byte {
		packed, err := compress(nil, src, codec)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	gzipLie := pack(CodecGzip, zeros)
	copy(gzipLie[len(gzipLie)-4:], []byte{1, 0, 0, 0})
	frame := pack(CodecZstd, zeros[:bombLimit])
	return map[string]struct {
		codec Codec
		src   []byte
	}{
		"gzip":                    {CodecGzip, pack(CodecGzip, zeros)},
		"gzip, length lies low":   {CodecGzip, gzipLie},
		"snappy":                  {CodecSnappy, pack(CodecSnappy, zeros)},
		"snappy, length lies":     {CodecSnappy, append(binary.AppendUvarint(nil, bombLimit), 0, 0)},
		"snappy, length 4 GB":     {CodecSnappy, append(binary.AppendUvarint(nil, 1<<32-1), 0, 0)},
		"xerial":                  {CodecSnappy, xerial(zeros, 32<<10)},
		"lz4":                     {CodecLz4, pack(CodecLz4, zeros)},
		"zstd":                    {CodecZstd, pack(CodecZstd, zeros)},
		"zstd, many small frames": {CodecZstd, bytes.Repeat(frame, 16)},
		"zstd, no length":         {CodecZstd, zstdRuns(16 * bombLimit / zstdBlock)},
		"zstd, window 2 GB":       {CodecZstd, append([]byte("\x28\xb5\x2f\xfd\x00"), 21<<3, 1, 0, 0)},
		"zstd, length 2^60":       {CodecZstd, append([]byte("\x28\xb5\x2f\xfd\xe0"), 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0)},
	}
}

const zstdBlock = 128 << 10

// zstdRuns is a zstd frame that declares no length, of n blocks that are runs of 128 KB.
func zstdRuns(n int) []byte {
	out := []byte("\x28\xb5\x2f\xfd\x00\x58") // window 2 MB
	for i := range n {
		h := uint32(zstdBlock<<3 | 1<<1)
		if i == n-1 {
			h |= 1
		}
		out = append(out, byte(h), byte(h>>8), byte(h>>16), 0)
	}
	return out
}

// TestBombs: what a batch decompresses to is bounded, in bytes and in memory.
func TestBombs(t *testing.T) {
	if got, err := Decompress(nil, zstdRuns(8), CodecZstd, bombLimit); err != nil || len(got) != bombLimit {
		t.Fatalf("the hand-made zstd frame: %d bytes, %v", len(got), err)
	}
	for name, bomb := range bombs(t) {
		_, err := Decompress(nil, bomb.src, bomb.codec, bombLimit) // fills the pools
		wantError(t, err, ErrCorruptRecord)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = Decompress(nil, bomb.src, bomb.codec, bombLimit)
		runtime.ReadMemStats(&after)
		wantError(t, err, ErrCorruptRecord)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*bombLimit {
			t.Errorf("%s: %d bytes allocated for %d at most", name, used, bombLimit)
		}
	}
}

// TestBatchBomb goes through the exported door, with its limit, by a zstd frame that
// declares one byte more.
func TestBatchBomb(t *testing.T) {
	src := binary.LittleEndian.AppendUint32([]byte("\x28\xb5\x2f\xfd\xa0"), MaxDecompressedBytes+1)
	src = append(src, zstdRuns(1)[6:]...)
	b, err := ParseBatch(craft(src, 1, func(b Batch) { b[posAttributes+1] = byte(CodecZstd) }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.AppendRecords(nil)
	wantError(t, err, errTooLong)
}

// TestCodecsConcurrently shares the pools among goroutines, for the race detector.
func TestCodecsConcurrently(t *testing.T) {
	text, _ := jsonRecords()
	want := text.plain[BatchHeaderSize:][:10_000]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				codec := codecs[i%len(codecs)]
				packed, err := compress(nil, want, codec)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := Decompress(nil, packed, codec, len(want)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v: %d bytes, %v", codec, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
