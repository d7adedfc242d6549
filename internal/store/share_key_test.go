package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Keys of share groups are understood as what was said, and the ranges hold what belongs to them and nothing else.
func FuzzShareKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), "g", int64(-1), uint32(1), uint32(2), "g", int64(4))
	f.Add(uint32(1), uint32(2), "g", int64(0), uint32(1), uint32(2), "ga", int64(-1))
	f.Fuzz(func(t *testing.T, t1, p1 uint32, g1 string, c1 int64, t2, p2 uint32, g2 string, c2 int64) {
		if g1 == "" || g2 == "" || len(g1) > MaxGroupName || len(g2) > MaxGroupName {
			return
		}
		a, b := ShareKey{PartitionID{t1, p1}, g1, max(c1, -1)}, ShareKey{PartitionID{t2, p2}, g2, max(c2, -1)}
		ka, kb := AppendShareKey(nil, a), AppendShareKey([]byte("x"), b)[1:]
		if got, err := ParseShareKey(ka); err != nil || got != a || len(ka) > maxKeySize {
			t.Errorf("%+v was read as %+v, %v", a, got, err)
		}
		if same := a == b; same != bytes.Equal(ka, kb) {
			t.Errorf("%+v and %+v have the same key: %t", a, b, !same)
		}
		if got, want := ShareGroupRange(a.PartitionID, a.Group).holds(kb), a.PartitionID == b.PartitionID && a.Group == b.Group; got != want {
			t.Errorf("%+v is in the range of %+v: %t", b, a, got)
		}
		in := 0
		for _, r := range TopicRanges(a.Topic) {
			if r.holds(kb) {
				in++
			}
		}
		if (in == 1) != (a.Topic == b.Topic) || in > 1 || !ShareRange().holds(kb) {
			t.Errorf("%+v is in %d ranges of topic %d", b, in, a.Topic)
		}
		if id, err := ParsePartition(kb); err != nil || id != b.PartitionID {
			t.Errorf("%+v is of %+v, %v", b, id, err)
		}
	})
}

func FuzzParseShareKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(AppendShareKey(nil, ShareKey{PartitionID{1, 2}, strings.Repeat("g", MaxGroupName), 3}))
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseShareKey(key)
		if err != nil {
			if !errors.Is(err, errBadKey) {
				t.Errorf("ParseShareKey(%x): %v", key, err)
			}
			return
		}
		if again := AppendShareKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}
