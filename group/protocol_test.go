package group

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSubscriptionRoundTrip(t *testing.T) {
	for _, s := range []Subscription{
		{Generation: -1},
		{Topics: []string{"a", "b"}, Generation: 7, Rack: "r1", UserData: []byte{1, 2}},
		{Topics: []string{"a"}, Owned: map[string][]int32{"a": {0, 3}, "b": {1}}, Generation: 0},
	} {
		got, err := DecodeSubscription(EncodeSubscription(s))
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came back as %+v, %v", s, got, err)
		}
	}
}

func TestSubscriptionVersions(t *testing.T) {
	rack := "r"
	for version := range int16(6) {
		m := kmsg.NewConsumerMemberMetadata()
		m.Version, m.Topics, m.Generation, m.Rack = version, []string{"t"}, 5, &rack
		m.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "t", Partitions: []int32{1}}, {Topic: "t", Partitions: []int32{2}}, {Topic: "u"}}
		b := m.AppendTo(nil)
		if version > 3 {
			b = append(b, "what a later version adds"...)
		}
		want := Subscription{Topics: []string{"t"}, Generation: -1}
		if version >= 1 {
			want.Owned = map[string][]int32{"t": {1, 2}}
		}
		if version >= 2 {
			want.Generation = 5
		}
		if version >= 3 {
			want.Rack = "r"
		}
		got, err := DecodeSubscription(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: %+v, %v; want %+v", version, got, err, want)
		}
	}
}

// segmentio/kafka-go says version 1 and writes version 0.
func TestSubscriptionLacksOwned(t *testing.T) {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics, m.UserData = []string{"t"}, []byte("u")
	b := m.AppendTo(nil)
	b[1] = 1
	want := Subscription{Topics: []string{"t"}, Generation: -1, UserData: []byte("u")}
	if got, err := DecodeSubscription(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if b[1] != 1 {
		t.Error("the argument was changed")
	}
}

func TestAssignmentRoundTrip(t *testing.T) {
	for _, a := range []Assignment{{}, {"a": {0, 1, 2}, "b": {9}}} {
		got, err := DecodeAssignment(EncodeAssignment(a))
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%v came back as %v, %v", a, got, err)
		}
	}
	if got, err := DecodeAssignment(nil); err != nil || len(got) != 0 {
		t.Errorf("no bytes: %v, %v", got, err)
	}
}

// Every prefix of a message ends early, and none of them may be taken for a whole one.
func TestMalformed(t *testing.T) {
	whole := EncodeSubscription(Subscription{Topics: []string{"t"}, Owned: map[string][]int32{"t": {1}}, UserData: []byte{1}, Rack: "r"})
	for n := range len(whole) {
		if _, err := DecodeSubscription(whole[:n]); !errors.Is(err, ErrMalformedProtocol) {
			t.Errorf("subscription of %d bytes: %v", n, err)
		}
	}
	whole = EncodeAssignment(Assignment{"t": {1}})
	for n := 1; n < len(whole); n++ {
		if _, err := DecodeAssignment(whole[:n]); !errors.Is(err, ErrMalformedProtocol) {
			t.Errorf("assignment of %d bytes: %v", n, err)
		}
	}
	for _, b := range [][]byte{
		{0xff, 0xff, 0, 0, 0, 0},                         // version -1
		{0, 0, 0x7f, 0xff, 0xff, 0xff},                   // 2^31-1 topics
		{0, 0, 0xff, 0xff, 0xff, 0xff},                   // -1 topics
		{0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0},       // a topic without a name
		{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe},       // -2 bytes of user data
		{0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 1}, // half an array of owned partitions
	} {
		if _, err := DecodeSubscription(b); !errors.Is(err, ErrMalformedProtocol) {
			t.Errorf("subscription % x: %v", b, err)
		}
	}
}

func TestUserData(t *testing.T) {
	owned := map[string][]int32{"t": {0, 2}, "u": {1}}
	got, generation := decodeStickyData(Sticky().UserData(owned, 4))
	if !reflect.DeepEqual(got, owned) || generation != 4 {
		t.Errorf("sticky: %v in %d", got, generation)
	}
	if got, generation = decodeStickyData(Sticky().UserData(owned, -1)); !reflect.DeepEqual(got, owned) || generation != -1 {
		t.Errorf("sticky, version 0: %v in %d", got, generation)
	}
	for _, b := range [][]byte{nil, {0, 0}, {0x7f, 0xff, 0xff, 0xff}, {0, 0, 0, 0, 1}, []byte("anything else")} {
		if got, generation := decodeStickyData(b); len(got) != 0 || generation != -1 {
			t.Errorf("% x: %v in %d", b, got, generation)
		}
	}
	if got := CooperativeSticky().UserData(owned, 4); !bytes.Equal(got, binary.BigEndian.AppendUint32(nil, 4)) {
		t.Errorf("cooperative: % x", got)
	}
	if got := Range().UserData(owned, 4); got != nil {
		t.Errorf("range: % x", got)
	}
}

func FuzzDecodeSubscription(f *testing.F) {
	f.Add(EncodeSubscription(Subscription{Topics: []string{"t"}, Owned: map[string][]int32{"t": {1}}, UserData: []byte{1}, Rack: "r"}))
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSubscription(b)
		decodeStickyData(b)
		if err != nil {
			if !errors.Is(err, ErrMalformedProtocol) {
				t.Fatal(err)
			}
			return
		}
		canonical := EncodeSubscription(s)
		again, err := DecodeSubscription(canonical)
		if err != nil || !bytes.Equal(EncodeSubscription(again), canonical) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

func FuzzDecodeAssignment(f *testing.F) {
	f.Add(EncodeAssignment(Assignment{"t": {1, 2}, "u": {0}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAssignment(b)
		if err != nil {
			if !errors.Is(err, ErrMalformedProtocol) {
				t.Fatal(err)
			}
			return
		}
		canonical := EncodeAssignment(a)
		again, err := DecodeAssignment(canonical)
		if err != nil || !bytes.Equal(EncodeAssignment(again), canonical) {
			t.Fatalf("%v became %v, %v", a, again, err)
		}
	})
}
