package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBuilderSizes(t *testing.T) {
	var b Builder
	if b.Size() != BatchHeaderSize || b.Records() != 0 {
		t.Fatalf("empty: size %d, records %d", b.Size(), b.Records())
	}
	for i, r := range everything() {
		before, most := b.Size(), b.SizeWith(r.Key, r.Value, r.Headers)
		b.Append(r.millis(), r.Key, r.Value, r.Headers)
		if b.Size() > most || most > b.Size()+maxVarintSize || b.Records() != i+1 {
			t.Errorf("record %d: size %d to %d, at most %d expected", i, before, b.Size(), most)
		}
	}
	e, err := b.Seal(nil, CodecNone)
	if err != nil || len(e) != b.Size() {
		t.Errorf("sealed %d bytes, size said %d, %v", len(e), b.Size(), err)
	}
}

func TestBuilderIsReusable(t *testing.T) {
	var b Builder
	if _, err := b.Seal(nil, CodecNone); !errors.Is(err, errNoRecords) {
		t.Errorf("Seal without records: %v", err)
	}
	key, value := []byte("key"), bytes.Repeat([]byte("value"), 50)
	headers := []Header{{"h", []byte("v")}}
	b.Append(-5, key, value, headers)
	clear(key)
	clear(value)
	clear(headers[0].Value)

	first, err := b.Seal([]byte("dst"), CodecSnappy)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Seal(nil, CodecSnappy)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("sealing again differs: %v", err)
	}
	want := []Record{rec(0, -5, "key", string(bytes.Repeat([]byte("value"), 50)), Header{"h", []byte("v")})}
	sameRecords(t, mustRead(t, first), want)
	if b := first; b.Codec() != CodecSnappy || b.MaxTimestamp() != -5 {
		t.Errorf("codec %v, max timestamp %d", b.Codec(), b.MaxTimestamp())
	}

	b.Reset()
	b.Append(-9, nil, nil, nil)
	third, err := b.Seal(nil, CodecSnappy)
	if err != nil || third.MaxTimestamp() != -9 {
		t.Errorf("after Reset: %v", err)
	}
	sameRecords(t, mustRead(t, third), []Record{rec(0, -9, nil, nil)})
}

func TestSealAppends(t *testing.T) {
	var b Builder
	b.Append(1, nil, bytes.Repeat([]byte("v"), 500), nil)
	for _, codec := range codecs {
		buf := append(make([]byte, 0, 4096), "abc"...)
		e, err := b.Seal(buf, codec)
		if err != nil {
			t.Fatal(err)
		}
		if whole := buf[:3+len(e)]; string(whole[:3]) != "abc" || &whole[3] != &e[0] {
			t.Errorf("%v: the batch is not behind dst in dst's memory", codec)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	var b Builder
	b.Append(1, nil, nil, nil)
	for _, codec := range []Codec{-1, 5, 127} {
		if _, err := b.Seal(nil, codec); !errors.Is(err, ErrUnsupportedCodec) {
			t.Errorf("codec %d: %v", codec, err)
		}
	}
	b.Append(1, nil, nil, make([]Header, maxHeaders+1))
	if _, err := b.Seal(nil, CodecNone); !errors.Is(err, ErrRecordTooLarge) {
		t.Errorf("too many headers: %v", err)
	}
	b = Builder{count: 1, plain: make([]byte, BatchHeaderSize+MaxDecompressedBytes+1)}
	if _, err := b.Seal(nil, CodecZstd); !errors.Is(err, ErrRecordTooLarge) {
		t.Errorf("a batch that no reader would take: %v", err)
	}
	b = Builder{}
	b.Append(1, nil, nil, make([]Header, maxHeaders))
	e, err := b.Seal(nil, CodecLz4)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, e); len(got[0].Headers) != maxHeaders {
		t.Errorf("%d headers", len(got[0].Headers))
	}
}

// A batch that is not compressed stays in the builder's memory when it may, and is the same as a copy.
func TestSealOwn(t *testing.T) {
	for _, c := range []struct {
		codec  Codec
		value  []byte
		always bool
		own    bool
	}{
		{CodecNone, bytes.Repeat([]byte("a"), 2000), false, true},
		{CodecNone, bytes.Repeat([]byte("a"), 2000), true, true},
		{CodecSnappy, bytes.Repeat([]byte("a"), 2000), false, false},
		{CodecSnappy, []byte("short"), false, true},
		{CodecSnappy, []byte("short"), true, false},
	} {
		var b Builder
		b.Append(1, []byte("k"), c.value, nil)
		seal := b.Seal
		if c.always {
			seal = b.SealAs
		}
		want, err := seal(nil, c.codec)
		if err != nil {
			t.Fatal(err)
		}
		got, own, err := b.SealOwn([]byte("before"), c.codec, c.always)
		if err != nil || own != c.own || !bytes.Equal(got, want) {
			t.Errorf("%s, always %t: own is %t, error %v, %d bytes, want %d", c.codec, c.always, own, err, len(got), len(want))
		}
		if own != (&got[0] == &b.plain[0]) {
			t.Errorf("%s, always %t: own is %t", c.codec, c.always, own)
		}
		b.Reset()
		b.Append(1, []byte("k"), c.value, nil)
		if again, err := seal(nil, c.codec); err != nil || !bytes.Equal(again, want) {
			t.Errorf("%s, always %t: the builder makes something else afterwards, error %v", c.codec, c.always, err)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	b, values := jsonRecords()
	var dst []byte
	if n := testing.AllocsPerRun(10, func() {
		b.Reset()
		for i, v := range values {
			b.Append(int64(i), nil, v, nil)
		}
		e, err := b.Seal(dst[:0], CodecSnappy)
		if err != nil {
			t.Fatal(err)
		}
		e.SetBaseOffset(1)
		dst = e
	}); n > 1 { // -race drops things from pools and grows stacks
		t.Errorf("%v allocations for %d records", n, len(values))
	}
}

// TestRoundTripProperty: whatever records go in come out, in any codec.
func TestRoundTripProperty(t *testing.T) {
	blob := rapid.OneOf(
		rapid.Just([]byte(nil)),
		rapid.SliceOfN(rapid.Byte(), 0, 100),
		rapid.Map(rapid.IntRange(0, 200_000), func(n int) []byte { return bytes.Repeat([]byte("ab"), n/2) }),
	)
	header := rapid.Custom(func(t *rapid.T) Header {
		return Header{Key: rapid.String().Draw(t, "header key"), Value: blob.Draw(t, "header value")}
	})
	ms := rapid.OneOf(rapid.Int64(), rapid.Int64Range(1_700_000_000_000, 1_700_000_001_000),
		rapid.SampledFrom([]int64{0, -1, math.MinInt64, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Int64Range(0, math.MaxInt64-1000).Draw(t, "base offset")
		codec := rapid.SampledFrom(codecs).Draw(t, "codec")
		var b Builder
		var want []Record
		maxTime := int64(math.MinInt64)
		for i := range rapid.IntRange(1, 20).Draw(t, "records") {
			at := ms.Draw(t, "ms")
			maxTime = max(maxTime, at)
			r := Record{
				Offset: base + int64(i), Timestamp: timeOf(at),
				Key: blob.Draw(t, "key"), Value: blob.Draw(t, "value"),
			}
			if n := rapid.IntRange(0, 3).Draw(t, "headers"); n > 0 {
				r.Headers = rapid.SliceOfN(header, n, n).Draw(t, "headers")
			}
			most := b.SizeWith(r.Key, r.Value, r.Headers)
			b.Append(at, r.Key, r.Value, r.Headers)
			if b.Size() > most {
				t.Fatalf("size %d, at most %d expected", b.Size(), most)
			}
			want = append(want, r)
		}
		e, err := b.Seal(nil, codec)
		if err != nil {
			t.Fatal(err)
		}
		e.SetBaseOffset(base)
		batch, err := ParseBatch(e)
		if err != nil {
			t.Fatal(err)
		}
		if batch.MaxTimestamp() != maxTime || batch.LastOffset() != base+int64(len(want))-1 {
			t.Fatalf("max timestamp %d, want %d; last offset %d", batch.MaxTimestamp(), maxTime, batch.LastOffset())
		}
		got, err := readAll(batch, MaxDecompressedBytes)
		if err != nil {
			t.Fatal(err)
		}
		sameRecords(t, got, want)
	})
}

// A batch goes into another builder as it is, with times and headers, and gets the offsets
// behind what is there.
func TestBuilderAppendBatch(t *testing.T) {
	var first, second Builder
	first.Append(2000, []byte("k"), nil, []Header{{Key: "h", Value: []byte{}}, {Key: "n"}})
	first.Append(1000, nil, []byte{}, nil)
	env, err := first.Seal(nil, CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	second.Append(5000, nil, []byte("before"), nil)
	for range 2 {
		if err := second.AppendBatch(env); err != nil {
			t.Fatal(err)
		}
	}
	joined, err := second.Seal(nil, CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	joined.SetBaseOffset(100)
	var got []string
	r := NewRecordReader(joined, joined[BatchHeaderSize:])
	var rec Record
	for {
		more, err := r.Next(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		got = append(got, fmt.Sprintf("%d@%d %q %q %d headers, null key %v", rec.Offset, rec.millis(), rec.Key, rec.Value, len(rec.Headers), rec.Key == nil))
	}
	want := []string{
		`100@5000 "" "before" 0 headers, null key true`,
		`101@2000 "k" "" 2 headers, null key false`, `102@1000 "" "" 0 headers, null key true`,
		`103@2000 "k" "" 2 headers, null key false`, `104@1000 "" "" 0 headers, null key true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	for range 100 {
		first.Append(1, nil, []byte("the same again"), nil)
	}
	if env, err = first.Seal(nil, CodecSnappy); err != nil {
		t.Fatal(err)
	}
	if err := second.AppendBatch(env); !errors.Is(err, ErrUnsupportedCodec) {
		t.Errorf("a compressed batch: %v", err)
	}
}
