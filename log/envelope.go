package log

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Envelope is a batch as the store keeps it.
//
//	0        1            9
//	+--------+------------+---------------------------+
//	|version |xxhash64    |batch                      |
//	|u8, 1   |u64, of --->|the whole RecordBatch v2   |
//	+--------+------------+---------------------------+
//
// The hash is big endian and covers the batch's base offset and leader epoch, which
// Kafka's CRC leaves out.
//
// Seal and Wrap make an envelope without its hash; it is whole once Finish has run.
type Envelope []byte

const (
	envelopeVersion = 1

	// EnvelopeBytes is how much longer an envelope is than the batch in it.
	EnvelopeBytes = 1 + 8
)

// The checks of OpenEnvelope. Each is an ErrCorruptRecord.
var (
	errEnvelopeShort   = fmt.Errorf("%w: stored batch is cut short", ErrCorruptRecord)
	errEnvelopeVersion = fmt.Errorf("%w: stored batch has an unknown format, perhaps of a newer version of this library",
		ErrCorruptRecord)
	errHash = fmt.Errorf("%w: stored batch has a hash mismatch", ErrCorruptRecord)
)

// Wrap appends an envelope around a copy of b to dst. It returns the envelope alone,
// without the bytes of dst before it, like Seal, and like there Finish has yet to run.
func Wrap(dst []byte, b Batch) Envelope {
	start := len(dst)
	dst = slices.Grow(dst, EnvelopeBytes+len(b))
	dst = append(dst[:start+EnvelopeBytes], b...)
	e := Envelope(dst[start:])
	e.putHeader()
	return e
}

// OpenEnvelope checks a stored value and returns it as an envelope, without copying: the
// version, the hash, and what ParseBatch checks, but for the CRC, which this hot path
// need not read everything a second time for: the hash covers all that the CRC does, and
// the CRC was checked, or made, before the hash was. Any flipped bit is noticed.
//
// Every failure is ErrCorruptRecord and says which check failed.
func OpenEnvelope(v []byte) (Envelope, error) {
	if len(v) < EnvelopeBytes+BatchHeaderSize {
		return nil, fmt.Errorf("%w: %d bytes", errEnvelopeShort, len(v))
	}
	if v[0] != envelopeVersion {
		return nil, fmt.Errorf("%w: %d", errEnvelopeVersion, v[0])
	}
	e := Envelope(v)
	if got, want := e.hash(), binary.BigEndian.Uint64(v[1:]); got != want {
		return nil, fmt.Errorf("%w: %016x, not %016x", errHash, got, want)
	}
	if err := checkFrame(e.Batch()); err != nil {
		return nil, err
	}
	if err := e.Batch().checkFields(); err != nil {
		return nil, err
	}
	return e, nil
}

// Batch returns the batch inside. It shares the envelope's memory: Finish must run after
// every change to it.
func (e Envelope) Batch() Batch { return Batch(e[EnvelopeBytes:]) }

// Finish gives the batch its base offset and computes the hash, which reads the whole
// batch once (5 µs for 64 KB). Then the envelope may be stored. Finish may run
// again, with another offset.
func (e Envelope) Finish(baseOffset int64) {
	e.Batch().SetBaseOffset(baseOffset)
	binary.BigEndian.PutUint64(e[1:], e.hash())
}

func (e Envelope) putHeader() {
	clear(e[:EnvelopeBytes])
	e[0] = envelopeVersion
}

func (e Envelope) hash() uint64 { return xxhash.Sum64(e[EnvelopeBytes:]) }
