package group

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

func snapshotExample() Snapshot {
	return Snapshot{
		Generation:   7,
		ProtocolType: "consumer",
		ProtocolName: "range",
		Leader:       "a-1",
		Stable:       true,
		Members: []StaticMember{
			{
				ID:               "a-1",
				InstanceID:       "A",
				ClientID:         "billing",
				ClientHost:       "/127.0.0.1",
				SessionTimeout:   45 * time.Second,
				RebalanceTimeout: 5 * time.Minute,
				Protocols:        []Protocol{{"range", []byte{0, 1, 0xff}}, {"sticky", nil}},
				Assignment:       []byte{0, 3},
			},
			{
				ID:               "b-1",
				InstanceID:       "B",
				SessionTimeout:   time.Millisecond,
				RebalanceTimeout: (math.MaxInt64 / time.Millisecond) * time.Millisecond,
				Protocols:        []Protocol{{"range", []byte{1}}},
			},
		},
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	for name, s := range map[string]Snapshot{
		"new":   {},
		"empty": {Generation: math.MaxInt32, ProtocolType: "connect", EmptySince: time.Unix(5, 1).UTC()},
		"full":  snapshotExample(),
	} {
		got, err := DecodeSnapshot(s.Encode())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: got %+v, error %v, want %+v", name, got, err, s)
		}
	}
}

func TestSnapshotRefusals(t *testing.T) {
	whole := string(snapshotExample().Encode())
	for _, tt := range []struct{ name, old, replacement string }{
		{"not JSON", `{`, ``},
		{"newer version", `"version":1`, `"version":2`},
		{"negative generation", `"generation":7`, `"generation":-7`},
		{"member without id", `"id":"a-1"`, `"id":""`},
		{"member twice", `"id":"a-1"`, `"id":"b-1"`},
		{"dynamic member", `"instanceId":"A"`, `"instanceId":""`},
		{"instance twice", `"instanceId":"A"`, `"instanceId":"B"`},
		{"no session timeout", `"sessionMs":45000`, `"sessionMs":0`},
		{"endless rebalance timeout", `"rebalanceMs":300000`, `"rebalanceMs":9223372036854775807`},
		{"leader is none of them", `"leader":"a-1"`, `"leader":"c"`},
		{"no common protocol", `"name":"range"`, `"name":"sticky"`},
		{"other protocol chosen", `"protocolName":"range"`, `"protocolName":"sticky"`},
		{"no protocol type", `"protocolType":"consumer"`, `"protocolType":""`},
	} {
		broken := strings.Replace(whole, tt.old, tt.replacement, 1)
		if s, err := DecodeSnapshot([]byte(broken)); err == nil || broken == whole {
			t.Errorf("%s: got %+v", tt.name, s)
		}
	}
	if _, err := DecodeSnapshot([]byte(`{"version":1,"stable":true}`)); err == nil {
		t.Error("stable without members")
	}
	if _, err := DecodeSnapshot([]byte(`{"version":1,"emptySince":"9999-12-31T23:59:59-12:00"}`)); err == nil {
		t.Error("empty since the year 10000")
	}
}

// Whatever can be decoded can be restored, stored again, and played on with.
func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(snapshotExample().Encode())
	f.Add(Snapshot{Generation: 3, EmptySince: time.Unix(9, 0)}.Encode())
	unstable := snapshotExample()
	unstable.Stable, unstable.Leader = false, "gone"
	f.Add(unstable.Encode())
	f.Fuzz(func(t *testing.T, v []byte) {
		s, err := DecodeSnapshot(v)
		if err != nil {
			return
		}
		now := time.Unix(1000, 0)
		g := Restore(now, "g", Rules{}, s)
		stored := g.Snapshot()
		if stored.Stable != s.Stable || stored.Generation != s.Generation || len(stored.Members) != len(s.Members) {
			t.Fatalf("restored %+v from %+v", stored, s)
		}
		again, err := DecodeSnapshot(stored.Encode())
		if err != nil || !bytes.Equal(again.Encode(), stored.Encode()) {
			t.Fatalf("%v: stored %s, then %s", err, stored.Encode(), again.Encode())
		}
		for _, m := range s.Members {
			g.Join(now, JoinRequest{Ticket: 1, NewMemberID: m.ID + "'", InstanceID: m.InstanceID,
				SessionTimeout: time.Second, ProtocolType: s.ProtocolType, Protocols: m.Protocols})
		}
		for range 1000 {
			next, ok := g.NextDeadline()
			if !ok {
				break
			}
			g.Expire(next)
		}
	})
}

func TestEmptySince(t *testing.T) {
	start := time.Unix(1000, 0)
	g := NewGroup("g", Rules{})
	if _, ok := g.EmptySince(); ok {
		t.Error("a new group has not become empty")
	}
	req := JoinRequest{Ticket: 1, NewMemberID: "a", SessionTimeout: time.Second, ProtocolType: "t", Protocols: []Protocol{{"p", nil}}}
	e := g.Join(start, req)
	if _, ok := g.EmptySince(); ok || !e.Persist.EmptySince.IsZero() {
		t.Error("it has a member")
	}
	e = g.Expire(start.Add(time.Second))
	if at, ok := g.EmptySince(); !ok || !at.Equal(start.Add(time.Second)) || !e.Persist.EmptySince.Equal(at) {
		t.Errorf("empty since %s, %t", at, ok)
	}
	later := start.Add(time.Hour)
	if at, ok := Restore(later, "g", Rules{}, *e.Persist).EmptySince(); !ok || !at.Equal(start.Add(time.Second)) {
		t.Errorf("restored: empty since %s, %t", at, ok)
	}
	if at, ok := Restore(later, "g", Rules{}, Snapshot{Generation: 1}).EmptySince(); !ok || !at.Equal(later) {
		t.Errorf("its members died with the broker: empty since %s, %t", at, ok)
	}
	req.NewMemberID = "b"
	if e := g.Join(later, req); !e.Persist.EmptySince.IsZero() {
		t.Errorf("it has a member again: empty since %s", e.Persist.EmptySince)
	}
}

func TestNamesAreText(t *testing.T) {
	g := NewGroup("g", Rules{})
	e := g.Join(time.Unix(0, 0), JoinRequest{Ticket: 1, NewMemberID: "a", InstanceID: "\xff", SessionTimeout: time.Second,
		ProtocolType: "t", Protocols: []Protocol{{"p", nil}}})
	if err := e.Joins[0].Err; err == nil || !strings.Contains(err.Error(), log.ErrInvalidOption.Error()) {
		t.Errorf("got %v", err)
	}
}
