package store

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"strings"
	"testing"
)

// Keys of aborted transactions sort by partition and marker, are understood as what was said, and the ranges
// hold what belongs to them and nothing else.
func FuzzAbortedKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), int64(3), uint32(1), uint32(2), int64(4))
	f.Add(uint32(0), uint32(math.MaxUint32), int64(math.MaxInt64), uint32(1), uint32(0), int64(0))
	f.Fuzz(func(t *testing.T, t1, p1 uint32, m1 int64, t2, p2 uint32, m2 int64) {
		a := AbortedKey{PartitionID{t1, p1}, m1 & math.MaxInt64}
		b := AbortedKey{PartitionID{t2, p2}, m2 & math.MaxInt64}
		ka, kb := AppendAbortedKey(nil, a), AppendAbortedKey([]byte("x"), b)[1:]
		if got, err := ParseAbortedKey(ka); err != nil || got != a || len(ka) != AbortedKeySize {
			t.Errorf("%+v was read as %+v, %v", a, got, err)
		}
		want := cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Marker, b.Marker))
		if got := bytes.Compare(ka, kb); got != want {
			t.Errorf("%+v and %+v: keys compare as %d, want %d", a, b, got, want)
		}
		if got, want := AbortedRange(a.PartitionID, a.Marker).holds(kb), a.PartitionID == b.PartitionID && b.Marker >= a.Marker; got != want {
			t.Errorf("%+v is in the range of %+v: %v", b, a, got)
		}
		in := 0
		for _, r := range TopicRanges(a.Topic) {
			if r.holds(kb) {
				in++
			}
		}
		if (in == 1) != (a.Topic == b.Topic) || in > 1 {
			t.Errorf("%+v is in %d ranges of topic %d", b, in, a.Topic)
		}
		if BatchRange(b.PartitionID, 0).holds(kb) || ProducerRange(b.PartitionID).holds(kb) {
			t.Errorf("%+v is in the wrong range", b)
		}
	})
}

func FuzzParseAbortedKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(AppendAbortedKey(nil, AbortedKey{PartitionID{1, 2}, 3}))
	f.Add(bytes.Repeat([]byte{0xff}, AbortedKeySize))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseAbortedKey(key)
		if err != nil {
			if !errors.Is(err, errBadKey) {
				t.Errorf("ParseAbortedKey(%x): %v", key, err)
			}
			return
		}
		if again := AppendAbortedKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}

// Whatever the names are, the keys of a transactional id are its own.
func FuzzTransactionKeys(f *testing.F) {
	f.Add("payments-1", "payments-10", "billing", "orders", int32(3))
	f.Add("a", "a\x00", "", "", int32(-1))
	f.Add("\xff\xff", "\xff", "\x00", "o", int32(math.MaxInt32))
	f.Fuzz(func(t *testing.T, id, other, group, topic string, partition int32) {
		if len(id) > MaxTransactionalID || len(other) > MaxTransactionalID || len(group) > MaxGroupName || id == "" {
			t.Skip()
		}
		if got, err := ParseTransactionKey(TransactionKey(id)); err != nil || got != id || !TransactionRange().holds(TransactionKey(id)) {
			t.Errorf("%q came back as %q, %v", id, got, err)
		}
		want := PendingKey{id, OffsetKey{Group: group, Topic: topic, Partition: partition}}
		key := AppendPendingKey(nil, want)
		if got, err := ParsePendingKey(key); err != nil || got != want {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
		if got := PendingRange(other).holds(key); got != (id == other) {
			t.Errorf("an offset of %q is in the range of %q: %t", id, other, got)
		}
		if !AllPendingRange().holds(key) || OffsetRange().holds(key) || TransactionRange().holds(key) || AllPendingRange().holds(TransactionKey(id)) {
			t.Errorf("%x is in the wrong range", key)
		}
	})
}

func FuzzParseTransactionKeys(f *testing.F) {
	f.Add([]byte("xid"))
	f.Add([]byte("x"))
	f.Add([]byte("y\x00\x02id\x00\x01gt\x00\x00\x00\x01"))
	f.Add([]byte("y\xff\xffid"))
	f.Add([]byte("y\x00\x02id\xff\xffgt\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, key []byte) {
		if id, err := ParseTransactionKey(key); err == nil && !bytes.Equal(TransactionKey(id), key) {
			t.Errorf("%x was read as %q", key, id)
		}
		if k, err := ParsePendingKey(key); err == nil && !bytes.Equal(AppendPendingKey(nil, k), key) {
			t.Errorf("%x was read as %+v", key, k)
		}
	})
}

func TestTheLongestPendingKeyFits(t *testing.T) {
	key := AppendPendingKey(nil, PendingKey{strings.Repeat("i", MaxTransactionalID), OffsetKey{
		Group: strings.Repeat("g", MaxGroupName), Topic: strings.Repeat("t", maxTopicName),
	}})
	if len(key) != maxKeySize || MaxTransactionalID != 254 {
		t.Errorf("it has %d bytes, an id %d", len(key), MaxTransactionalID)
	}
}
