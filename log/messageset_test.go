package log

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
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
func wrapper(t testing.TB, magic int8, codec Codec, set []byte) []byte {
	t.Helper()
	packed, err := compress(nil, set, codec)
	if err != nil {
		t.Fatal(err)
	}
	if codec == CodecLz4 && magic == 0 {
		packed[6] = byte(xxh32(packed[:6]) >> 8) // as old clients do
	}
	return plainMessage(magic, int8(codec), 7, nil, packed)
}

// read reads a message set through a batch, as it would be stored.
func read(set []byte) ([]Record, Codec, error) {
	var b Builder
	codec, err := b.AppendMessageSet(set)
	if err != nil || b.Records() == 0 {
		return nil, codec, err
	}
	e, err := b.Seal(nil, codec)
	if err != nil {
		return nil, codec, err
	}
	records, err := readAll(e, MaxDecompressedBytes)
	return records, codec, err
}

func TestMessageSet(t *testing.T) {
	const none = NoTimestamp
	set := func(magic int8) []byte {
		return bytes.Join([][]byte{
			plainMessage(magic, 0, 30, []byte("k"), []byte("first")),
			plainMessage(magic, 0, 10, nil, []byte{}),
			plainMessage(magic, 0, none, []byte{}, nil),
		}, nil)
	}
	want := map[int8][]Record{
		0: {rec(0, none, "k", "first"), rec(1, none, nil, ""), rec(2, none, "", nil)},
		1: {rec(0, 30, "k", "first"), rec(1, 10, nil, ""), rec(2, none, "", nil)},
	}
	for magic := range int8(2) {
		for codec := CodecNone; codec <= CodecLz4; codec++ {
			b := set(magic)
			if codec != CodecNone {
				b = wrapper(t, magic, codec, b)
			}
			got, gotCodec, err := read(b)
			if err != nil || gotCodec != codec {
				t.Fatalf("magic %d, %s: codec %s, error %v", magic, codec, gotCodec, err)
			}
			sameRecords(t, got, want[magic])
		}
	}
	xerialSet := plainMessage(1, int8(CodecSnappy), 0, nil, xerial(set(1), 20))
	got, _, err := read(xerialSet)
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, got, want[1])

	several := bytes.Join([][]byte{wrapper(t, 1, CodecGzip, set(1)), plainMessage(1, 0, 8, nil, []byte("x")), wrapper(t, 1, CodecGzip, set(1))}, nil)
	if got, codec, err := read(several); err != nil || len(got) != 7 || codec != CodecGzip {
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
		e := sealed(t, CodecNone, rec(9, 1000, nil, "v1", Header{Key: "h"}))
		raw, err := e.AppendRecords(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, all, err := Downgrade{Magic: tt.magic, Limit: 100}.Append(nil, e, raw)
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
	bomb := wrapper(t, 1, CodecGzip, make([]byte, MaxDecompressedBytes+1))
	half := wrapper(t, 1, CodecGzip, plainMessage(1, 0, 1, nil, make([]byte, MaxDecompressedBytes/2)))
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
		{"broker's time", plainMessage(1, attrLogAppendTime, 1, nil, nil), ErrInvalidTimestamp},
		{"zstd", plainMessage(1, int8(CodecZstd), 1, nil, []byte("x")), ErrUnsupportedCodec},
		{"codec 7", plainMessage(1, 7, 1, nil, []byte("x")), ErrUnsupportedCodec},
		{"wrapper of nothing", plainMessage(1, int8(CodecGzip), 1, nil, nil), ErrCorruptRecord},
		{"wrapper in a wrapper", wrapper(t, 1, CodecGzip, wrapper(t, 1, CodecGzip, good())), errMessageNest},
		{"magic 0 in magic 1", wrapper(t, 1, CodecGzip, plainMessage(0, 0, 0, nil, nil)), errMessageMagic},
		{"flipped bit inside", wrapper(t, 1, CodecSnappy, changed(34, 'w')), errMessageCRC},
		{"too much inside", bomb, errTooLong},
		{"too much altogether", append(bytes.Clone(half), half...), errTooLong},
	} {
		_, _, err := read(append(good(), tt.set...))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A message set has room for what fits, from the offset asked for on.
func TestDowngrade(t *testing.T) {
	b := sealed(t, CodecNone, rec(5, 1, nil, "aaaa"), rec(6, 2, nil, "bbbb"), rec(7, 3, nil, "cccc"))
	raw, _ := b.EncodedRecords()
	const size = 38 // of each, in magic 1
	for _, tt := range []struct {
		d    Downgrade
		want string
		all  bool
	}{
		{Downgrade{Limit: 3 * size}, "abc", true},
		{Downgrade{Limit: 3*size - 1}, "ab", false},
		{Downgrade{Limit: 3 * size, From: 6}, "bc", true},
		{Downgrade{Limit: 3 * size, From: 8}, "", true},
		{Downgrade{Limit: size - 1}, "", false},
		{Downgrade{Limit: 0, From: 7, AtLeastOne: true}, "c", true},
		{Downgrade{Limit: 0, AtLeastOne: true}, "a", false},
	} {
		tt.d.Magic = 1
		set, all, err := tt.d.Append([]byte("before"), b, raw)
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
	if set, _, err := (Downgrade{Limit: 1000}).Append(nil, b, damaged); !errors.Is(err, ErrCorruptRecord) || len(set) != 60 {
		t.Errorf("damaged: %d bytes, error %v", len(set), err)
	}
	e := sealed(t, CodecNone, rec(0, 1, nil, "x"))
	e.StampAppendTime(99)
	raw, _ = e.EncodedRecords()
	set, _, err := Downgrade{Magic: 1, Limit: 100}.Append(nil, e, raw)
	if err != nil || set[posMessageAttrs] != attrLogAppendTime || binary.BigEndian.Uint64(set[posMessageBody:]) != 99 {
		t.Errorf("the broker's time: %x, error %v", set, err)
	}
}

// The checksum is the one that the library of lz4 writes, and the broken one of magic 0 is
// put right, whatever fields the frame has.
func TestLz4Standard(t *testing.T) {
	frame, err := lz4Compress(nil, bytes.Repeat([]byte("abcd"), 100))
	if err != nil {
		t.Fatal(err)
	}
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
	sized = append(sized, frame[4]|lz4FlagContentSize, frame[5])
	sized = binary.LittleEndian.AppendUint64(sized, 400)
	sized = append(sized, 0x55)
	sized = append(sized, frame[7:]...)
	if out, err := decompress(nil, lz4Standard(sized), CodecLz4, 1000); err != nil || len(out) != 400 {
		t.Errorf("with a content size: %d bytes, error %v", len(out), err)
	}
}

// FuzzMessageSet reads any bytes as a message set. What can be read is written again, in
// either magic, and read again as the same.
func FuzzMessageSet(f *testing.F) {
	for magic := range int8(2) {
		set := append(plainMessage(magic, 0, 30, []byte("k"), []byte("first")), plainMessage(magic, 0, 10, nil, nil)...)
		f.Add(set)
		for codec := CodecGzip; codec <= CodecLz4; codec++ {
			f.Add(wrapper(f, magic, codec, set))
		}
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		records, _, err := read(set)
		if err != nil {
			known := errors.Is(err, ErrCorruptRecord) || errors.Is(err, ErrInvalidTimestamp) || errors.Is(err, ErrUnsupportedCodec)
			if !known || len(records) > 0 {
				t.Fatalf("%d records, error %v", len(records), err)
			}
			return
		}
		if len(records) == 0 {
			return
		}
		var b Builder
		for _, r := range records {
			b.Append(r.millis(), r.Key, r.Value, nil)
		}
		e, err := b.Seal(nil, CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := e.EncodedRecords()
		for magic := range int8(2) {
			again, all, err := Downgrade{Magic: magic, Limit: 1 << 30}.Append(nil, e, raw)
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
