package log

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/store"
)

// producerWindow is how many of its last batches a producer may send again: as many as
// Kafka's clients keep in flight (KIP-98, max.in.flight.requests.per.connection).
const producerWindow = 5

// producerState is what a log knows of one idempotent producer: enough to tell its next
// batch from a gap, and to recognise its last ones when they come again. A value of the
// store, written with every batch of the producer in the same commit:
//
//	0        1           9           11          19          27        28
//	+--------+-----------+-----------+-----------+-----------+---------+--------+-------------
//	|version |xxhash64   |epoch      |next       |used at    |flags    |count   |count batches,
//	|u8 = 1  |u64 of --->|i16        |u64        |i64, ms    |1: named |u8, <=5 |oldest first
//	|        |           |           |           |           |2: open  |        |
//	+--------+-----------+-----------+-----------+-----------+---------+--------+-------------
//	  before the batches, if a transaction is open: offset of its first record i64
//	  a batch: first sequence i32, last sequence i32, last offset i64
//
// next is the number of the producer's next record in the log, counted from 0 in each epoch.
// Sequences on the wire are such numbers modulo 2^31.
type producerState struct {
	epoch  int16
	next   int64
	usedAt int64 // of the last append, ms since the epoch
	named  bool
	// damaged: what was stored is. It stays in the store until the producer begins anew, with
	// sequence 0, or is forgotten.
	damaged bool
	open    int64       // first offset of the transaction that is open, -1 for none
	recent  []sequenced // the last batches, oldest first, in the order of offsets; at most producerWindow
}

// sequenced is one batch of a producer.
type sequenced struct {
	first, last int32 // sequences
	lastOffset  int64
}

const (
	producerVersion    = 1
	producerHashSize   = 1 + 8
	producerHeaderSize = producerHashSize + 2 + 8 + 8 + 1 + 1
	sequencedSize      = 4 + 4 + 8
	openSize           = 8
	producerNamed      = 1
	producerOpen       = 2

	// MaxProducerSize bounds the key and the value of a producer's state, in bytes.
	MaxProducerSize = store.ProducerKeySize + producerHeaderSize + openSize + producerWindow*sequencedSize
)

var errProducerState = fmt.Errorf("%w: state of a producer", ErrCorruptValue)

// sequenceOf is the sequence of a producer's n-th record.
func sequenceOf(n int64) int32 { return int32(n & math.MaxInt32) }

// records is how many records the batch has.
func (q sequenced) records() int64 { return int64(sequenceOf(int64(q.last)-int64(q.first))) + 1 }

// sequencedOf is the entry of a batch that names a producer.
func sequencedOf(b Batch) sequenced {
	first := b.BaseSequence()
	return sequenced{first: first, last: sequenceOf(int64(first) + int64(b.lastOffsetDelta())), lastOffset: b.LastOffset()}
}

// check tells what a batch of the producer is: its next, one of its last once more, whose
// base offset is returned (else -1), or one that must be refused.
func (s *producerState) check(b Batch) (duplicateOf int64, err error) {
	q, epoch := sequencedOf(b), b.ProducerEpoch()
	switch {
	case s.damaged && q.first != 0:
		return -1, fmt.Errorf("%w: what was known of producer %d is damaged, it has to begin a new epoch", ErrOutOfOrderSequence, b.ProducerID())
	case epoch < s.epoch:
		return -1, fmt.Errorf("%w: producer %d has epoch %d, its batch %d", ErrProducerFenced, b.ProducerID(), s.epoch, epoch)
	case epoch > s.epoch && q.first != 0:
		return -1, fmt.Errorf("%w: producer %d begins epoch %d with sequence %d, not 0", ErrOutOfOrderSequence, b.ProducerID(), epoch, q.first)
	case epoch > s.epoch || q.first == sequenceOf(s.next):
		return -1, s.checkTransaction(b)
	}
	for _, r := range s.recent {
		if r.first == q.first && r.last == q.last {
			return r.lastOffset - r.records() + 1, nil
		}
	}
	return -1, fmt.Errorf("%w: producer %d sent sequences %d to %d, its next is %d",
		ErrOutOfOrderSequence, b.ProducerID(), q.first, q.last, sequenceOf(s.next))
}

// checkTransaction refuses a batch outside of the transaction that is open.
func (s *producerState) checkTransaction(b Batch) error {
	if s.open >= 0 && !b.Transactional() {
		return fmt.Errorf("%w: producer %d sent a batch outside of its transaction, which began at offset %d",
			ErrInvalidTxnState, b.ProducerID(), s.open)
	}
	return nil
}

// checkMarker refuses a marker of an epoch that has passed.
func (s *producerState) checkMarker(b Batch) error {
	if epoch := b.ProducerEpoch(); epoch < s.epoch {
		return fmt.Errorf("%w: producer %d has epoch %d, the end of its transaction %d", ErrProducerFenced, b.ProducerID(), s.epoch, epoch)
	}
	return nil
}

// end notes that the transaction which is open, if one is, has ended with a marker of that epoch.
func (s *producerState) end(epoch int16) {
	if epoch != s.epoch || s.damaged {
		s.epoch, s.next, s.recent, s.damaged = epoch, 0, s.recent[:0], false
	}
	s.open = -1
}

// add notes a batch of the producer that has its place in the log.
func (s *producerState) add(b Batch) {
	q := sequencedOf(b)
	if epoch := b.ProducerEpoch(); epoch != s.epoch || q.first != sequenceOf(s.next) {
		s.epoch, s.next, s.recent, s.damaged = epoch, int64(q.first), s.recent[:0], false
	}
	if len(s.recent) == producerWindow {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, q)
	s.next += q.records()
	if s.open < 0 && b.Transactional() {
		s.open = b.BaseOffset()
	}
}

// lastSequence returns that of the producer's last record in its epoch, -1 for none.
func (s *producerState) lastSequence() int32 {
	if s.next == 0 {
		return -1
	}
	return sequenceOf(s.next - 1)
}

// lastOffset returns that of the producer's last batch, -1 for none.
func (s *producerState) lastOffset() int64 {
	if len(s.recent) == 0 {
		return -1
	}
	return s.recent[len(s.recent)-1].lastOffset
}

func (s *producerState) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, producerVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.epoch))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.next))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.usedAt))
	flags := byte(0)
	if s.named {
		flags |= producerNamed
	}
	if s.open >= 0 {
		flags |= producerOpen
	}
	dst = append(dst, flags, byte(len(s.recent)))
	if s.open >= 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.open))
	}
	for _, q := range s.recent {
		dst = binary.BigEndian.AppendUint32(dst, uint32(q.first))
		dst = binary.BigEndian.AppendUint32(dst, uint32(q.last))
		dst = binary.BigEndian.AppendUint64(dst, uint64(q.lastOffset))
	}
	v := dst[start:]
	binary.BigEndian.PutUint64(v[1:], xxhash.Sum64(v[producerHashSize:]))
	return dst
}

// decodeProducer reads a stored state. What is wrong with it is ErrCorruptValue.
func decodeProducer(v []byte) (*producerState, error) {
	if len(v) < producerHeaderSize || v[0] != producerVersion || binary.BigEndian.Uint64(v[1:]) != xxhash.Sum64(v[producerHashSize:]) {
		return nil, fmt.Errorf("%w: %x", errProducerState, v)
	}
	f := v[producerHashSize:]
	s := &producerState{
		epoch:  int16(binary.BigEndian.Uint16(f)),
		next:   int64(binary.BigEndian.Uint64(f[2:])),
		usedAt: int64(binary.BigEndian.Uint64(f[10:])),
		named:  f[18]&producerNamed != 0,
		open:   -1,
	}
	n, rest := int(f[19]), v[producerHeaderSize:]
	if f[18]&producerOpen != 0 && len(rest) >= openSize {
		s.open, rest = int64(binary.BigEndian.Uint64(rest)), rest[openSize:]
	}
	if s.epoch < 0 || s.next < 0 || (s.open >= 0) != (f[18]&producerOpen != 0) || f[18]&^(producerNamed|producerOpen) != 0 ||
		n > producerWindow || len(rest) != n*sequencedSize {
		return nil, fmt.Errorf("%w: %x", errProducerState, v)
	}
	for ; len(rest) > 0; rest = rest[sequencedSize:] {
		q := sequenced{
			first:      int32(binary.BigEndian.Uint32(rest)),
			last:       int32(binary.BigEndian.Uint32(rest[4:])),
			lastOffset: int64(binary.BigEndian.Uint64(rest[8:])),
		}
		if q.first < 0 || q.last < 0 || q.lastOffset <= s.lastOffset() {
			return nil, fmt.Errorf("%w: %x", errProducerState, v)
		}
		s.recent = append(s.recent, q)
	}
	return s, nil
}
