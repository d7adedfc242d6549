package log

import (
	"bytes"
	"math"
	"testing"
)

func TestEnvelopeFinish(t *testing.T) {
	want := everything()
	e := sealed(t, CodecZstd, want...)
	for _, offset := range []int64{0, 7, 1 << 50} {
		e.Finish(offset)
		got, err := OpenEnvelope(e)
		if err != nil {
			t.Fatalf("at offset %d: %v", offset, err)
		}
		if got.Batch().BaseOffset() != offset {
			t.Errorf("base offset %d, want %d", got.Batch().BaseOffset(), offset)
		}
	}
	e.Batch().StampAppendTime(5)
	_, err := OpenEnvelope(e)
	wantError(t, err, errHash) // a change after Finish shows
	e.Finish(9)
	if _, err := OpenEnvelope(e); err != nil {
		t.Fatal(err)
	}
}

// TestEnvelopeUnfinished: an envelope without its hash is not one.
func TestEnvelopeUnfinished(t *testing.T) {
	_, err := OpenEnvelope(Wrap(nil, sealed(t, CodecNone, everything()...).Batch()))
	wantError(t, err, errHash)
}

func TestWrapAppends(t *testing.T) {
	want := sealed(t, CodecLz4, everything()...)
	buf := append(make([]byte, 0, 3+len(want)), "abc"...)
	e := Wrap(buf, want.Batch())
	e.Finish(want.Batch().BaseOffset())
	if !bytes.Equal(e, want) {
		t.Error("the wrapped batch differs from the sealed one")
	}
	if whole := buf[:cap(buf)]; string(whole[:3]) != "abc" || !bytes.Equal(whole[3:3+len(e)], e) {
		t.Error("the envelope is not behind dst in dst's memory")
	}
	e[EnvelopeBytes]++
	if want.Batch()[0] == e.Batch()[0] {
		t.Error("the envelope shares the batch's memory")
	}
}

func TestOpenEnvelopeRefuses(t *testing.T) {
	e := sealed(t, CodecNone, everything()[:3]...)
	rehashed := func(change func(Batch)) Envelope {
		e := Wrap(nil, e.Batch())
		change(e.Batch())
		e.Finish(e.Batch().BaseOffset())
		return e
	}
	newer := bytes.Clone(e)
	newer[0] = 2
	for name, c := range map[string]struct {
		v    []byte
		want error
	}{
		"empty":          {nil, errEnvelopeShort},
		"no batch":       {e[:EnvelopeBytes], errEnvelopeShort},
		"newer version":  {newer, errEnvelopeVersion},
		"one byte less":  {e[:len(e)-1], errHash},
		"one byte more":  {append(bytes.Clone(e), 0), errHash},
		"bad length":     {rehashed(func(b Batch) { b[posBatchLength+3]++ }), errBatchLength},
		"bad magic":      {rehashed(func(b Batch) { b[posMagic] = 1 }), errMagic},
		"bad codec":      {rehashed(func(b Batch) { b[posAttributes+1] = 6 }), errUnknownCodec},
		"bad offset":     {rehashed(func(b Batch) { b.SetBaseOffset(math.MaxInt64) }), errOffsets},
		"bad count":      {rehashed(func(b Batch) { b[posCount] = 1 }), errCount},
		"negative count": {rehashed(func(b Batch) { b[posCount] = 0xff }), errCount},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenEnvelope(c.v)
			wantError(t, err, c.want)
		})
	}
}

func TestEnvelopeFlippedBits(t *testing.T) {
	for _, codec := range codecs {
		e := sealed(t, codec, everything()[:5]...)
		for i := range e {
			for bit := range 8 {
				e[i] ^= 1 << bit
				_, err := OpenEnvelope(e)
				wantError(t, err, ErrCorruptRecord)
				e[i] ^= 1 << bit
			}
		}
		for n := range e {
			_, err := OpenEnvelope(e[:n])
			wantError(t, err, ErrCorruptRecord)
		}
		if _, err := OpenEnvelope(e); err != nil {
			t.Fatal(err)
		}
	}
}
