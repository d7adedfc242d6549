package log

import (
	"encoding/binary"
	"fmt"
)

// A transaction ends in each of its partitions with a marker: a control batch of one record, as Kafka's
// EndTransactionMarker has it. Integers are big endian.
//
//	key    version i16 = 0 | type i16: 0 abort, 1 commit
//	value  version i16 = 0 | epoch of the coordinator i32, here always 0
//
// The batch has the producer's id and epoch, no sequence, and takes one offset. Versions may rise: whoever reads one
// knows the fields that are there in version 0.
const (
	markerKeySize   = 2 + 2
	markerValueSize = 2 + 4

	markerAbort  = 0
	markerCommit = 1

	// MarkerSize is the number of bytes of a batch that Marker makes.
	MarkerSize = BatchHeaderSize + 1 + minRecordSize - 1 + markerKeySize + markerValueSize
)

var errMarker = fmt.Errorf("%w: batch is no marker of a transaction", ErrCorruptRecord)

// Marker returns the batch that ends a transaction of a producer in a partition, at base offset 0 until
// Log.Stage gives it another. nowMs is its time, in ms since the epoch.
func Marker(producer int64, epoch int16, commit bool, nowMs int64) Batch {
	var key [markerKeySize]byte
	var value [markerValueSize]byte
	if commit {
		binary.BigEndian.PutUint16(key[2:], markerCommit)
	}
	var b Builder
	b.Append(nowMs, key[:], value[:], nil)
	batch := Batch(b.plain)
	batch.putHeader(CodecNone, nowMs, nowMs, 1)
	batch[posAttributes+1] = attrTransactional | attrControl
	batch.SetProducer(producer, epoch, -1)
	return batch
}

// WithHorizon returns a copy of b, a Control batch, that has a delete horizon in ms since the epoch: then it may go, as
// nothing is left of its transaction (KIP-534). A batch that is not what Marker makes is ErrCorruptRecord.
func (b Batch) WithHorizon(ms int64) (Batch, error) {
	if _, err := b.Outcome(); err != nil {
		return nil, err
	}
	r := NewRecordReader(b, b[BatchHeaderSize:])
	var rec Record
	at, _, err := r.Skim(&rec)
	if err != nil {
		return nil, err
	}
	h := Builder{baseTime: ms, horizon: true}
	h.appendAt(0, at, rec.Key, rec.Value, nil)
	batch := Batch(h.plain)
	copy(batch, b[:BatchHeaderSize])
	batch.putLength()
	batch[posAttributes+1] |= attrDeleteHorizon
	binary.BigEndian.PutUint64(batch[posBaseTimestamp:], uint64(ms))
	batch.putCRC()
	return batch, nil
}

// Outcome reports whether b, a Control batch, says that its transaction was committed. A batch that is not what
// Marker makes, or what Kafka does, is ErrCorruptRecord.
func (b Batch) Outcome() (commit bool, err error) {
	records, plain := b.EncodedRecords()
	if !b.Control() || !b.Transactional() || !plain || b.Records() != 1 || b.lastOffsetDelta() != 0 || b.ProducerID() < 0 || b.ProducerEpoch() < 0 {
		return false, errMarker
	}
	r := NewRecordReader(b, records)
	var rec Record
	for more := true; more; {
		if _, more, err = r.Skim(&rec); err != nil {
			return false, err
		}
	}
	if len(rec.Key) < markerKeySize || len(rec.Value) < markerValueSize || rec.Key[0]&0x80 != 0 || rec.Value[0]&0x80 != 0 {
		return false, fmt.Errorf("%w: key %x, value %x", errMarker, rec.Key, rec.Value)
	}
	switch kind := binary.BigEndian.Uint16(rec.Key[2:]); kind {
	case markerAbort, markerCommit:
		return kind == markerCommit, nil
	default:
		return false, fmt.Errorf("%w: type %d", errMarker, int16(kind))
	}
}
