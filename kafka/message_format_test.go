package kafka

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// plainMessage makes a message of the layout that another library knows.
func plainMessage(magic int8, attributes int8, ms int64, key, value []byte) []byte {
	v0 := kmsg.MessageV0{Magic: magic, Attributes: attributes, Key: key, Value: value}
	b := v0.AppendTo(nil)
	if magic == 1 {
		v1 := kmsg.MessageV1{Magic: magic, Attributes: attributes, Timestamp: ms, Key: key, Value: value}
		b = v1.AppendTo(nil)
	}
	return resealed(b)
}

// resealed puts the size and the CRC of a message right.
func resealed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[posMessageSize:], uint32(len(b)-messageSizeFrom))
	binary.BigEndian.PutUint32(b[posMessageCRC:], crc32.ChecksumIEEE(b[messageCRCFrom:]))
	return b
}

// wrapper makes a compressed message of a set.
func wrapper(t testing.TB, magic int8, codec log.Codec, set []byte) []byte {
	t.Helper()
	packed := compressed(t, set, codec)
	if codec == log.CodecLz4 && magic == 0 {
		packed[6] = byte(xxh32(packed[:6]) >> 8) // as old clients do
	}
	return plainMessage(magic, int8(codec), 7, nil, packed)
}

// compressed returns what a batch would hold of b.
func compressed(t testing.TB, b []byte, codec log.Codec) []byte {
	t.Helper()
	packed, err := make(log.Batch, log.BatchHeaderSize).Recompress(nil, b, codec)
	if err != nil {
		t.Fatal(err)
	}
	return packed[log.BatchHeaderSize:]
}

// read reads a message set through a batch, as it would be stored.
func read(set []byte) ([]log.Record, log.Codec, error) {
	var b log.Builder
	codec, err := appendMessageSet(&b, set)
	if err != nil || b.Records() == 0 {
		return nil, codec, err
	}
	e, err := b.Seal(nil, codec)
	if err != nil {
		return nil, codec, err
	}
	raw, err := e.AppendRecords(nil)
	if err != nil {
		return nil, codec, err
	}
	var records []log.Record
	for r := log.NewRecordReader(e, raw); ; {
		var rec log.Record
		if more, err := r.Next(&rec); err != nil || !more {
			return records, codec, err
		}
		records = append(records, rec)
	}
}

// rec is a record as a test writes it: offset and milliseconds, then nil or a string.
func rec(offset, ms int64, key, value any) log.Record {
	null := func(v any) []byte {
		if v == nil {
			return nil
		}
		return []byte(v.(string))
	}
	r := log.Record{Offset: offset, Key: null(key), Value: null(value)}
	if ms != log.NoTimestamp {
		r.Timestamp = time.UnixMilli(ms)
	}
	return r
}

// sealed returns the records as a batch whose base offset is that of the first, and as they lie in it.
func sealed(t testing.TB, records ...log.Record) (log.Batch, []byte) {
	t.Helper()
	var b log.Builder
	for _, r := range records {
		b.Append(millis(&r), r.Key, r.Value, r.Headers)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	batch.SetBaseOffset(records[0].Offset)
	raw, _ := batch.EncodedRecords()
	return batch, raw
}

// sameRecords holds null and empty apart.
func sameRecords(t *testing.T, got, want []log.Record) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestMessageSet(t *testing.T) {
	const none = log.NoTimestamp
	set := func(magic int8) []byte {
		return bytes.Join([][]byte{
			plainMessage(magic, 0, 30, []byte("k"), []byte("first")),
			plainMessage(magic, 0, 10, nil, []byte{}),
			plainMessage(magic, 0, none, []byte{}, nil),
		}, nil)
	}
	want := map[int8][]log.Record{
		0: {rec(0, none, "k", "first"), rec(1, none, nil, ""), rec(2, none, "", nil)},
		1: {rec(0, 30, "k", "first"), rec(1, 10, nil, ""), rec(2, none, "", nil)},
	}
	for magic := range int8(2) {
		for codec := log.CodecNone; codec <= log.CodecLz4; codec++ {
			b := set(magic)
			if codec != log.CodecNone {
				b = wrapper(t, magic, codec, b)
			}
			got, gotCodec, err := read(b)
			if err != nil || gotCodec != codec {
				t.Fatalf("magic %d, %s: codec %s, error %v", magic, codec, gotCodec, err)
			}
			sameRecords(t, got, want[magic])
		}
	}
	several := bytes.Join([][]byte{wrapper(t, 1, log.CodecGzip, set(1)), plainMessage(1, 0, 8, nil, []byte("x")), wrapper(t, 1, log.CodecGzip, set(1))}, nil)
	if got, codec, err := read(several); err != nil || len(got) != 7 || codec != log.CodecGzip {
		t.Errorf("two wrappers and a message: %d records, %s, error %v", len(got), codec, err)
	}
}

// The layout, byte by byte.
func TestMessageBytes(t *testing.T) {
	for _, tt := range []struct {
		magic int8
		want  string
	}{
		{0, "0000000000000009" + "00000010" + "%crc%" + "00" + "00" + "ffffffff" + "000000027631"},
		{1, "0000000000000009" + "00000018" + "%crc%" + "01" + "00" + "00000000000003e8" + "ffffffff" + "000000027631"},
	} {
		r := rec(9, 1000, nil, "v1")
		r.Headers = []log.Header{{Key: "h"}}
		b, raw := sealed(t, r)
		got, all, err := downgrade{magic: tt.magic, limit: 100}.append(nil, b, raw)
		if err != nil || !all {
			t.Fatal(all, err)
		}
		crc := hex.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(got[16:])))
		want := strings.ReplaceAll(tt.want, "%crc%", crc)
		if hex.EncodeToString(got) != want {
			t.Errorf("magic %d:\n got %x\nwant %s", tt.magic, got, want)
		}
	}
}

func TestMessageSetRefuses(t *testing.T) {
	good := func() []byte { return plainMessage(1, 0, 1, []byte("k"), []byte("v")) }
	changed := func(at int, to byte) []byte { b := good(); b[at] = to; return b }
	bomb := wrapper(t, 1, log.CodecGzip, make([]byte, log.MaxDecompressedBytes+1))
	half := wrapper(t, 1, log.CodecGzip, plainMessage(1, 0, 1, nil, make([]byte, log.MaxDecompressedBytes/2)))
	for _, tt := range []struct {
		name string
		set  []byte
		want error
	}{
		{"cut in the header", good()[:20], errMessageSize},
		{"cut in the value", good()[:35], errMessageSize},
		{"negative size", changed(posMessageSize, 0x80), errMessageSize},
		{"size of nothing", changed(posMessageSize+3, 13), errMessageSize},
		{"flipped bit", changed(34, 'w'), errMessageCRC},
		{"magic 2", resealed(changed(posMessageMagic, 2)), errMessageMagic},
		{"key beyond the end", resealed(changed(29, 200)), errMessageField},
		{"negative length", resealed(changed(26, 0x80)), errMessageField},
		{"bytes left over", resealed(append(good(), 0)), errMessageField},
		{"broker's time", plainMessage(1, messageAppendTime, 1, nil, nil), log.ErrInvalidTimestamp},
		{"zstd", plainMessage(1, int8(log.CodecZstd), 1, nil, []byte("x")), log.ErrUnsupportedCodec},
		{"codec 7", plainMessage(1, 7, 1, nil, []byte("x")), log.ErrUnsupportedCodec},
		{"wrapper of nothing", plainMessage(1, int8(log.CodecGzip), 1, nil, nil), log.ErrCorruptRecord},
		{"wrapper in a wrapper", wrapper(t, 1, log.CodecGzip, wrapper(t, 1, log.CodecGzip, good())), errMessageNest},
		{"magic 0 in magic 1", wrapper(t, 1, log.CodecGzip, plainMessage(0, 0, 0, nil, nil)), errMessageMagic},
		{"flipped bit inside", wrapper(t, 1, log.CodecSnappy, changed(34, 'w')), errMessageCRC},
		{"too much inside", bomb, log.ErrCorruptRecord},
		{"too much altogether", append(bytes.Clone(half), half...), log.ErrCorruptRecord},
	} {
		_, _, err := read(append(good(), tt.set...))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A message set has room for what fits, from the offset asked for on.
func TestDowngrade(t *testing.T) {
	b, raw := sealed(t, rec(5, 1, nil, "aaaa"), rec(6, 2, nil, "bbbb"), rec(7, 3, nil, "cccc"))
	const size = 38 // of each, in magic 1
	for _, tt := range []struct {
		d    downgrade
		want string
		all  bool
	}{
		{downgrade{limit: 3 * size}, "abc", true},
		{downgrade{limit: 3*size - 1}, "ab", false},
		{downgrade{limit: 3 * size, from: 6}, "bc", true},
		{downgrade{limit: 3 * size, from: 8}, "", true},
		{downgrade{limit: size - 1}, "", false},
		{downgrade{limit: 0, from: 7, atLeastOne: true}, "c", true},
		{downgrade{limit: 0, atLeastOne: true}, "a", false},
	} {
		tt.d.magic = 1
		set, all, err := tt.d.append([]byte("before"), b, raw)
		if err != nil || all != tt.all || string(set[:6]) != "before" {
			t.Errorf("%+v: all %v, error %v", tt.d, all, err)
		}
		records, _, err := read(set[6:])
		got := ""
		for _, r := range records {
			got += string(r.Value[:1])
		}
		if err != nil || got != tt.want {
			t.Errorf("%+v: got %s, error %v", tt.d, got, err)
		}
	}
	damaged := bytes.Clone(raw)
	damaged[len(damaged)-1] = 9
	if set, _, err := (downgrade{limit: 1000}).append(nil, b, damaged); !errors.Is(err, log.ErrCorruptRecord) || len(set) != 60 {
		t.Errorf("damaged: %d bytes, error %v", len(set), err)
	}
	b, raw = sealed(t, rec(0, 1, nil, "x"))
	b.StampAppendTime(99)
	set, _, err := downgrade{magic: 1, limit: 100}.append(nil, b, raw)
	if err != nil || set[posMessageAttrs] != messageAppendTime || binary.BigEndian.Uint64(set[posMessageBody:]) != 99 {
		t.Errorf("the broker's time: %x, error %v", set, err)
	}
}

// The checksum is the one that the library of lz4 writes, and the broken one of magic 0 is
// put right, whatever fields the frame has.
func TestLz4Standard(t *testing.T) {
	frame := compressed(t, bytes.Repeat([]byte("abcd"), 100), log.CodecLz4)
	if got := byte(xxh32(frame[4:6]) >> 8); got != frame[6] {
		t.Errorf("checksum %02x, the library has %02x", got, frame[6])
	}
	for n := range 16 {
		if got := lz4Standard(frame[:n]); len(got) != n {
			t.Errorf("%d bytes become %d", n, len(got))
		}
	}
	broken := bytes.Clone(frame)
	broken[6] ^= 0x55
	if !bytes.Equal(lz4Standard(broken), frame) {
		t.Error("not put right")
	}
	sized := append([]byte{}, frame[:4]...)
	sized = append(sized, frame[4]|1<<3, frame[5])
	sized = binary.LittleEndian.AppendUint64(sized, 400)
	sized = append(sized, 0x55)
	sized = append(sized, frame[7:]...)
	if out, err := log.Decompress(nil, lz4Standard(sized), log.CodecLz4, 1000); err != nil || len(out) != 400 {
		t.Errorf("with a content size: %d bytes, error %v", len(out), err)
	}
}

// FuzzMessageSet reads any bytes as a message set. What can be read is written again, in
// either magic, and read again as the same.
func FuzzMessageSet(f *testing.F) {
	for magic := range int8(2) {
		set := append(plainMessage(magic, 0, 30, []byte("k"), []byte("first")), plainMessage(magic, 0, 10, nil, nil)...)
		f.Add(set)
		for codec := log.CodecGzip; codec <= log.CodecLz4; codec++ {
			f.Add(wrapper(f, magic, codec, set))
		}
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		records, _, err := read(set)
		if err != nil {
			known := errors.Is(err, log.ErrCorruptRecord) || errors.Is(err, log.ErrInvalidTimestamp) || errors.Is(err, log.ErrUnsupportedCodec)
			if !known || len(records) > 0 {
				t.Fatalf("%d records, error %v", len(records), err)
			}
			return
		}
		if len(records) == 0 {
			return
		}
		b, raw := sealed(t, records...)
		for magic := range int8(2) {
			again, all, err := downgrade{magic: magic, limit: 1 << 30}.append(nil, b, raw)
			if err != nil || !all {
				t.Fatalf("all %v, error %v", all, err)
			}
			got, _, err := read(again)
			if err != nil {
				t.Fatal(err)
			}
			for i := range records {
				if magic == 1 && !got[i].Timestamp.Equal(records[i].Timestamp) {
					t.Fatalf("record %d: %v, then %v", i, records[i].Timestamp, got[i].Timestamp)
				}
				got[i].Timestamp = records[i].Timestamp
			}
			sameRecords(t, got, records)
		}
	})
}
