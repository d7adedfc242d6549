package log

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
)

// The bytes are those of Kafka's MemoryRecords.withEndTransactionMarker, but for the leader epoch.
func TestMarkerIsKafkas(t *testing.T) {
	b := Marker(9, 3, true, 1000)
	b.SetBaseOffset(7)
	if _, err := ParseBatch(b); err != nil {
		t.Fatal(err)
	}
	if len(b) != MarkerSize || !b.Control() || !b.Transactional() || b.Sequenced() || b.BaseSequence() != -1 ||
		b.ProducerID() != 9 || b.ProducerEpoch() != 3 || b.LastOffset() != 7 || b.MaxTimestamp() != 1000 || b.Records() != 1 {
		t.Errorf("%d bytes: %x", len(b), b)
	}
	const record = "20" + "00" + "00" + "00" + "08" + "00000001" + "0c" + "000000000000" + "00"
	if got := hex.EncodeToString(b[BatchHeaderSize:]); got != record {
		t.Errorf("the record is %s, want %s", got, record)
	}
}

func TestOutcome(t *testing.T) {
	for _, commit := range []bool{true, false} {
		b := Marker(math.MaxInt64, math.MaxInt16, commit, -1)
		if got, err := b.Outcome(); got != commit || err != nil {
			t.Errorf("%t is %t, %v", commit, got, err)
		}
	}
	later := func(change func(key, value []byte) ([]byte, []byte)) Batch {
		key, value := change([]byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 0})
		var b Builder
		b.Append(1, key, value, nil)
		batch, err := b.Seal(nil, CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		batch[posAttributes+1] |= attrControl | attrTransactional
		batch.SetProducer(1, 1, -1)
		return batch
	}
	for name, b := range map[string]Batch{
		"a later version with more fields": later(func(key, value []byte) ([]byte, []byte) {
			return []byte{0, 9, 0, 1, 7}, []byte{0, 9, 0, 0, 0, 0, 7}
		}),
		"the epoch of another coordinator": later(func(key, value []byte) ([]byte, []byte) { return key, []byte{0, 0, 1, 2, 3, 4} }),
	} {
		if commit, err := b.Outcome(); !commit || err != nil {
			t.Errorf("%s: %t, %v", name, commit, err)
		}
	}
	for name, b := range map[string]Batch{
		"a batch of records":   sealed(t, CodecNone, rec(0, 0, "a", "b")),
		"no key":               later(func(_, value []byte) ([]byte, []byte) { return nil, value }),
		"half a key":           later(func(_, value []byte) ([]byte, []byte) { return []byte{0, 0, 0}, value }),
		"no value":             later(func(key, _ []byte) ([]byte, []byte) { return key, nil }),
		"half a value":         later(func(key, _ []byte) ([]byte, []byte) { return key, []byte{0, 0, 0, 0, 0} }),
		"a negative version":   later(func(key, value []byte) ([]byte, []byte) { return []byte{0x80, 0, 0, 1}, value }),
		"another control type": later(func(key, value []byte) ([]byte, []byte) { return []byte{0, 0, 0, 2}, value }),
	} {
		if _, err := b.Outcome(); !errors.Is(err, ErrCorruptRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add([]byte(Marker(1, 2, true, 3)[BatchHeaderSize:]), int32(1))
	f.Add([]byte(Marker(1, 2, false, 3)[BatchHeaderSize:]), int32(1))
	f.Add([]byte{}, int32(0))
	f.Fuzz(func(t *testing.T, records []byte, count int32) {
		b := craft(records, count, func(b Batch) {
			b[posAttributes+1] = attrControl | attrTransactional
			b.SetProducer(1, 2, -1)
		})
		if _, err := b.Outcome(); err != nil && !errors.Is(err, ErrCorruptRecord) {
			t.Errorf("%v is not ErrCorruptRecord", err)
		}
	})
}

func FuzzDecodeAborted(f *testing.F) {
	f.Add(int64(7), AbortedTx{ProducerID: 9, First: 3, stable: 5}.append(nil))
	f.Add(int64(0), []byte{1})
	f.Add(int64(0), AbortedTx{}.append(nil))
	f.Fuzz(func(t *testing.T, last int64, v []byte) {
		tx, err := decodeAborted(last, v)
		if err != nil {
			if !errors.Is(err, ErrCorruptValue) {
				t.Errorf("%v is not ErrCorruptValue", err)
			}
			return
		}
		if tx.First < 0 || tx.First >= tx.Last || tx.Last != last || tx.stable > last+1 {
			t.Errorf("%x was read as %+v", v, tx)
		}
		if again := tx.append(nil); !bytes.Equal(again, v) {
			t.Errorf("%x was read as %+v, which is %x", v, tx, again)
		}
	})
}

// A marker with a delete horizon is the same but for that: the bytes are those of Kafka's MemoryRecords.filterTo.
func TestMarkerWithHorizon(t *testing.T) {
	for _, horizon := range []int64{1000, 1064, 86_401_000, 0, math.MaxInt64} {
		b := Marker(9, 3, true, 1000)
		b.SetBaseOffset(7)
		before := bytes.Clone(b)
		h, err := b.WithHorizon(horizon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBatch(h); err != nil || !bytes.Equal(b, before) {
			t.Fatal(err)
		}
		commit, err := h.Outcome()
		if ms, ok := h.DeleteHorizon(); ms != horizon || !ok || !commit || err != nil {
			t.Errorf("horizon %d %t, committed %t, %v", ms, ok, commit, err)
		}
		if h.ProducerID() != 9 || h.ProducerEpoch() != 3 || h.BaseSequence() != -1 || h.LastOffset() != 7 || h.MaxTimestamp() != 1000 ||
			!h.Control() || !h.Transactional() {
			t.Errorf("%x", h)
		}
		r := NewRecordReader(h, h[BatchHeaderSize:])
		var record Record
		if more, err := r.Next(&record); !more || err != nil || record.Timestamp.UnixMilli() != 1000 || record.Offset != 7 {
			t.Errorf("record %+v, %v", record, err)
		}
		if more, err := r.Next(&record); more || err != nil {
			t.Errorf("more than one record, %v", err)
		}
		if again, err := h.WithHorizon(horizon); err != nil || !bytes.Equal(again, h) {
			t.Errorf("again it is %x, %v", again, err)
		}
	}
	b, _ := Marker(9, 3, true, 1000).WithHorizon(1064)
	const record = "20" + "00" + "7f" + "00" + "08" + "00000001" + "0c" + "000000000000" + "00"
	if got := hex.EncodeToString(b[BatchHeaderSize:]); got != record {
		t.Errorf("the record is %s", got)
	}
	if _, err := sealed(t, CodecNone, rec(0, 0, "a", "b")).WithHorizon(1); !errors.Is(err, ErrCorruptRecord) {
		t.Errorf("a batch of records: %v", err)
	}
}
