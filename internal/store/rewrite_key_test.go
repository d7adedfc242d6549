package store

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"testing"
)

// Keys of rewrites sort by partition and offset, are understood as what was said, and the
// ranges hold what belongs to them and nothing else.
func FuzzRewriteKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), int64(3), uint32(1), uint32(2), int64(4))
	f.Add(uint32(0), uint32(math.MaxUint32), int64(math.MaxInt64), uint32(1), uint32(0), int64(0))
	f.Add(uint32(math.MaxUint32), uint32(math.MaxUint32), int64(0), uint32(0), uint32(0), int64(0))
	f.Fuzz(func(t *testing.T, t1, p1 uint32, o1 int64, t2, p2 uint32, o2 int64) {
		a := RewriteKey{PartitionID{t1, p1}, o1 & math.MaxInt64}
		b := RewriteKey{PartitionID{t2, p2}, o2 & math.MaxInt64}
		ka, kb := AppendRewriteKey(nil, a), AppendRewriteKey([]byte("x"), b)[1:]
		if got, err := ParseRewriteKey(ka); err != nil || got != a {
			t.Errorf("%+v was read as %+v, %v", a, got, err)
		}
		want := cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.LastOffset, b.LastOffset))
		if got := bytes.Compare(ka, kb); got != want {
			t.Errorf("%+v and %+v: keys compare as %d, want %d", a, b, got, want)
		}
		if got, want := RewriteRange(a.PartitionID).holds(kb), a.PartitionID == b.PartitionID; got != want {
			t.Errorf("%+v is in the range of %+v: %v", b, a.PartitionID, got)
		}
		if all := RewritesRange(); !all.holds(kb) || all.holds(LogStartKey(b.PartitionID)) || BatchRange(b.PartitionID, 0).holds(kb) {
			t.Errorf("%+v is in the wrong range", b)
		}
	})
}

func FuzzParseRewriteKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(AppendRewriteKey(nil, RewriteKey{PartitionID{1, 2}, 3}))
	f.Add(bytes.Repeat([]byte{0xff}, RewriteKeySize))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseRewriteKey(key)
		if err != nil {
			if !errors.Is(err, errBadKey) {
				t.Errorf("ParseRewriteKey(%x): %v", key, err)
			}
			return
		}
		if again := AppendRewriteKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}
