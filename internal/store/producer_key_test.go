package store

import (
	"bytes"
	"cmp"
	"math"
	"testing"
)

// Keys of producers sort by partition and id, are understood as what was said, and the ranges
// hold what belongs to them and nothing else.
func FuzzProducerKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), int64(3), uint32(1), uint32(2), int64(4))
	f.Add(uint32(0), uint32(math.MaxUint32), int64(math.MaxInt64), uint32(1), uint32(0), int64(0))
	f.Fuzz(func(t *testing.T, t1, p1 uint32, id1 int64, t2, p2 uint32, id2 int64) {
		a := ProducerKey{PartitionID{t1, p1}, id1 & math.MaxInt64}
		b := ProducerKey{PartitionID{t2, p2}, id2 & math.MaxInt64}
		ka, kb := AppendProducerKey(nil, a), AppendProducerKey([]byte("x"), b)[1:]
		if got, err := ParseProducerKey(ka); err != nil || got != a {
			t.Errorf("%+v was read as %+v, %v", a, got, err)
		}
		want := cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.ID, b.ID))
		if got := bytes.Compare(ka, kb); got != want {
			t.Errorf("%+v and %+v: keys compare as %d, want %d", a, b, got, want)
		}
		if got, want := ProducerRange(a.PartitionID).holds(kb), a.PartitionID == b.PartitionID; got != want {
			t.Errorf("%+v is in the range of %+v: %v", b, a.PartitionID, got)
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
		if BatchRange(b.PartitionID, 0).holds(kb) || NamesRange("").holds(kb) {
			t.Errorf("%+v is in the wrong range", b)
		}
	})
}

func FuzzParseProducerKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(AppendProducerKey(nil, ProducerKey{PartitionID{1, 2}, 3}))
	f.Add(bytes.Repeat([]byte{0xff}, ProducerKeySize))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseProducerKey(key)
		if err != nil {
			return
		}
		if again := AppendProducerKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}
