package store

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"testing"
)

func compareBatchKeys(a, b BatchKey) int {
	return cmp.Or(
		cmp.Compare(a.Topic, b.Topic),
		cmp.Compare(a.Partition, b.Partition),
		cmp.Compare(a.LastOffset, b.LastOffset),
		cmp.Compare(a.MaxTimestamp, b.MaxTimestamp),
	)
}

// Keys sort as what they say, are understood as what was said, and ranges hold what
// belongs to them.
func FuzzBatchKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), int64(3), int64(4), uint32(1), uint32(2), int64(3), int64(-4))
	f.Add(uint32(0), uint32(0), int64(0), int64(math.MinInt64), uint32(math.MaxUint32), uint32(math.MaxUint32), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(uint32(1), uint32(math.MaxUint32), int64(5), int64(0), uint32(2), uint32(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, t1, p1 uint32, o1, ts1 int64, t2, p2 uint32, o2, ts2 int64) {
		a := BatchKey{PartitionID{t1, p1}, o1 & math.MaxInt64, ts1}
		b := BatchKey{PartitionID{t2, p2}, o2 & math.MaxInt64, ts2}
		ka, kb := AppendBatchKey(nil, a), AppendBatchKey([]byte("x"), b)[1:]
		if got, err := ParseBatchKey(ka); err != nil || got != a {
			t.Errorf("%+v was read as %+v, %v", a, got, err)
		}
		if got, want := bytes.Compare(ka, kb), compareBatchKeys(a, b); got != want {
			t.Errorf("%+v and %+v: keys compare as %d, want %d", a, b, got, want)
		}
		r := BatchRange(a.PartitionID, a.LastOffset)
		if got, want := r.holds(kb), b.PartitionID == a.PartitionID && b.LastOffset >= a.LastOffset; got != want {
			t.Errorf("%+v is in the range of %+v: %v", b, a, got)
		}
		topic := TopicRanges(a.Topic)
		for _, key := range [][]byte{kb, LogStartKey(b.PartitionID)} {
			if got, want := topic[0].holds(key) || topic[1].holds(key), b.Topic == a.Topic; got != want {
				t.Errorf("%x is in the ranges of topic %d: %v", key, a.Topic, got)
			}
			if got, err := ParsePartition(key); err != nil || got != b.PartitionID {
				t.Errorf("%x is of %+v, %v, want %+v", key, got, err, b.PartitionID)
			}
		}
	})
}

func FuzzParseMemberKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("k\x00\x01g"))
	f.Add(MemberKey("g", "m"))
	f.Add(MemberKey("", "m"))
	f.Fuzz(func(t *testing.T, key []byte) {
		group, member, err := ParseMemberKey(key)
		if err != nil {
			if !errors.Is(err, errBadKey) {
				t.Errorf("ParseMemberKey(%x): %v", key, err)
			}
			return
		}
		again := MemberKey(group, member)
		if !bytes.Equal(again, key) || member == "" {
			t.Errorf("%x was read as %q, %q, which is %x", key, group, member, again)
		}
		if r := MemberRange(group); !r.holds(key) || !AllMemberRange().holds(key) || MemberRange(group+"x").holds(key) {
			t.Errorf("%x is not in its range", key)
		}
	})
}

func FuzzParseBatchKey(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("b"))
	f.Add(AppendBatchKey(nil, BatchKey{PartitionID{1, 2}, 3, 4}))
	f.Add(bytes.Repeat([]byte{0xff}, BatchKeySize))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseBatchKey(key)
		if err != nil {
			if !errors.Is(err, errBadKey) {
				t.Errorf("ParseBatchKey(%x): %v", key, err)
			}
			return
		}
		if again := AppendBatchKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}

// The range of a partition begins with the batch that holds the offset: keys carry the
// last offset of their batch.
func TestBatchRangeFindsTheBatchOfAnOffset(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		p := PartitionID{Topic: 7, Partition: math.MaxUint32}
		for _, k := range []BatchKey{
			{p, 9, 100}, {p, 19, 50}, {p, 29, -1},
			{PartitionID{7, 0}, 15, 1}, {PartitionID{8, 0}, 15, 1},
		} {
			set(t, s, string(AppendBatchKey(nil, k)), "v")
		}
		for from, want := range map[int64]int64{0: 9, 9: 9, 10: 19, 20: 29, 29: 29, 30: -1} {
			found := int64(-1)
			err := s.Scan(BatchRange(p, from), func(e Entry) (bool, error) {
				k, err := ParseBatchKey(e.Key)
				found = k.LastOffset
				return false, err
			})
			if err != nil || found != want {
				t.Errorf("from %d: batch up to %d, %v; want %d", from, found, err, want)
			}
		}
	})
}

func TestCatalogueRange(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, string(CatalogueKey("ta")), "1", string(CatalogueKey("tb")), "2", string(CatalogueKey("n")), "3", "d", "4")
		expect(t, "topics", dump(t, s, CatalogueRange("t")), "cta=1 ctb=2")
		expect(t, "all", dump(t, s, CatalogueRange("")), "cn=3 cta=1 ctb=2")
	})
}

func TestSuccessor(t *testing.T) {
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "\xff\xff": "", "": "", "a\xfe": "a\xff"} {
		if got := appendSuccessor(nil, []byte(in)); string(got) != want {
			t.Errorf("appendSuccessor(nil, %q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzOffsetKey(f *testing.F) {
	f.Add("billing", "orders", int32(3))
	f.Add("", "", int32(0))
	f.Add("g\x00h", "a.b", int32(-1))
	f.Fuzz(func(t *testing.T, group, topic string, partition int32) {
		if len(group) > MaxGroupName {
			t.Skip()
		}
		want := OffsetKey{Group: group, Topic: topic, Partition: partition}
		got, err := ParseOffsetKey(AppendOffsetKey(nil, want))
		if err != nil || got != want {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	})
}

func FuzzParseOffsetKey(f *testing.F) {
	f.Add([]byte("o\x00\x01gt\x00\x00\x00\x01"))
	f.Add([]byte("o\xff\xffg"))
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := ParseOffsetKey(key)
		if err != nil {
			return
		}
		if again := AppendOffsetKey(nil, k); !bytes.Equal(again, key) {
			t.Errorf("%x was read as %+v, which is %x", key, k, again)
		}
	})
}

func FuzzGroupKeys(f *testing.F) {
	f.Add("mailer", []byte("umailer"))
	f.Add("", []byte("hu"))
	f.Fuzz(func(t *testing.T, group string, key []byte) {
		if got, err := ParseGroupConfigKey(GroupConfigKey(group)); group != "" && (err != nil || got != group) {
			t.Errorf("%q came back as %q, %v", group, got, err)
		}
		if !GroupConfigRange().holds(GroupConfigKey(group)) || GroupRange().holds(GroupConfigKey(group)) {
			t.Errorf("%q is in the wrong range", group)
		}
		if got, err := ParseMembersKey(MembersKey(group)); group != "" && (err != nil || got != group) || !MembersRange().holds(MembersKey(group)) {
			t.Errorf("%q came back as %q, %v", group, got, err)
		}
		if name, err := ParseMembersKey(key); err == nil && !bytes.Equal(MembersKey(name), key) {
			t.Errorf("%x was read as %q", key, name)
		}
		if name, err := ParseGroupConfigKey(key); err == nil && !bytes.Equal(GroupConfigKey(name), key) {
			t.Errorf("%x was read as %q", key, name)
		}
	})
}

func FuzzStreamsKey(f *testing.F) {
	f.Add("wordcount", "m", []byte("s\x00\x01gm"))
	f.Add("", "", []byte("s\x00\x05g"))
	f.Fuzz(func(t *testing.T, group, member string, key []byte) {
		if len(group) > MaxGroupName {
			return
		}
		if g, m, err := ParseStreamsKey(StreamsKey(group, member)); err != nil || g != group || m != member {
			t.Errorf("%q, %q came back as %q, %q, %v", group, member, g, m, err)
		}
		if !StreamsRange().holds(StreamsKey(group, member)) || GroupRange().holds(StreamsKey(group, member)) {
			t.Errorf("%q is in the wrong range", group)
		}
		if g, m, err := ParseStreamsKey(key); err == nil && !bytes.Equal(StreamsKey(g, m), key) {
			t.Errorf("%x was read as %q, %q", key, g, m)
		}
	})
}

// A range holds the keys with its prefix and no others.
func FuzzPrefixRanges(f *testing.F) {
	f.Add([]byte("balance/"), []byte("balance/alice"), "g", "gh")
	f.Add([]byte{}, []byte{0xff}, "", "g")
	f.Add([]byte{0xff, 0xff}, []byte{0xff}, "\xff", "\xff\xff")
	f.Fuzz(func(t *testing.T, prefix, key []byte, g1, g2 string) {
		stored := AppendAppKey(nil, key)
		if got, err := ParseAppKey(stored); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%x came back as %x, %v", key, got, err)
		}
		if got, want := AppRange(prefix).holds(stored), bytes.HasPrefix(key, prefix); got != want {
			t.Errorf("%x is in the range of %x: %t", key, prefix, got)
		}
		if len(g1) > MaxGroupName || len(g2) > MaxGroupName {
			return
		}
		offset := AppendOffsetKey(nil, OffsetKey{Group: g2, Topic: string(prefix), Partition: 7})
		if got, want := GroupOffsetRange(g1).holds(offset), g1 == g2; got != want {
			t.Errorf("an offset of %q is in the range of %q: %t", g2, g1, got)
		}
		if AppRange(nil).holds(offset) || GroupOffsetRange(g1).holds(stored) {
			t.Error("the ranges overlap")
		}
	})
}

func FuzzSecurityKey(f *testing.F) {
	f.Add([]byte("za0123456789abcdef"), "user=alice")
	f.Add([]byte("zq"), "")
	f.Fuzz(func(t *testing.T, key []byte, entity string) {
		if _, name, err := ParseSecurityKey(QuotaKey(entity)); entity != "" && (err != nil || name != entity) || !QuotaRange().holds(QuotaKey(entity)) || ACLRange().holds(QuotaKey(entity)) {
			t.Errorf("%q came back as %q, %v", entity, name, err)
		}
		kind, name, err := ParseSecurityKey(key)
		if err == nil && kind == "quotas of" && !bytes.Equal(QuotaKey(name), key) || err == nil && kind == "ACL" && !ACLRange().holds(key) {
			t.Errorf("%x was read as %s %q", key, kind, name)
		}
	})
}
