package members

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

// Whatever the members, the topics and the subscriptions: every partition has readers, of each set of topics with the
// same readers all have some, as many as the others or one more, nobody has what it does not subscribe to, and an
// assignment of the same once more changes nothing.
func TestAssignments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, topics := New("g"), make(map[string]int32)
		rules := Rules{Session: time.Hour, MaxMembers: 100}
		look := func(name string) ([16]byte, int32, bool) {
			n, ok := topics[name]
			return [16]byte{name[0]}, n, ok
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch id := fmt.Sprint("m", rapid.IntRange(0, 9).Draw(t, "member")); rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				topics[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic")] = int32(rapid.IntRange(1, 12).Draw(t, "partitions"))
			case 1:
				_, _, _ = g.Heartbeat(time.Unix(1, 0), rules, look, Heartbeat{MemberID: id, Epoch: Leave})
			default:
				subscribed := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID[string]).Draw(t, "subscribed")
				if _, _, err := g.Heartbeat(time.Unix(1, 0), rules, look, Heartbeat{MemberID: id, Topics: subscribed}); err != nil {
					t.Fatal(err)
				}
			}
			g.assign(time.Unix(1, 0), look)
			checkAssignment(t, g, topics)
			before := g.target
			g.assign(time.Unix(1, 0), look)
			if !maps.EqualFunc(before, g.target, slices.Equal) {
				t.Fatalf("%v, and once more %v", before, g.target)
			}
		}
	})
}

func checkAssignment(t *rapid.T, g *Group, topics map[string]int32) {
	readers := make(map[Partition]int)
	load := make(map[string]map[string]int) // by pool and member
	room := make(map[string]int32)          // partitions of a pool
	for name, n := range topics {
		ids, pool := g.readers(name)
		if len(ids) == 0 {
			continue
		}
		room[pool] += n
		if load[pool] == nil {
			load[pool] = make(map[string]int)
		}
		for _, id := range ids {
			for _, p := range g.target[id] {
				if p.Topic == name {
					load[pool][id]++
					readers[p]++
				}
			}
		}
		for i := range n {
			if readers[Partition{Topic: name, ID: [16]byte{name[0]}, Index: i}] == 0 {
				t.Fatalf("nobody reads %s/%d: %v", name, i, g.target)
			}
		}
	}
	for id, ps := range g.target {
		for i, p := range ps {
			if !slices.Contains(g.members[id].topics, p.Topic) || p.Index >= topics[p.Topic] || i > 0 && compare(ps[i-1], p) >= 0 {
				t.Fatalf("%s has %v", id, ps)
			}
		}
	}
	for pool, by := range load {
		ids, least, most := 0, 1<<30, 0
		for _, m := range g.members {
			if n, ok := by[m.id]; ok {
				ids, least, most = ids+1, min(least, n), max(most, n)
			}
		}
		if most-least > 1 || least == 0 {
			t.Fatalf("of %d partitions of pool %q members have %v", room[pool], pool, by)
		}
	}
}

// A member that says more than is kept of one is refused.
func TestAMemberThatSaysTooMuch(t *testing.T) {
	topics := func(string) ([16]byte, int32, bool) { return [16]byte{}, 0, false }
	g := New("g")
	for _, names := range [][]string{{strings.Repeat("n", 2<<20)}, slices.Repeat([]string{"0123456789"}, 200_000)} {
		_, _, err := g.Heartbeat(time.Unix(0, 0), Rules{Session: time.Minute, MaxMembers: 10}, topics, Heartbeat{MemberID: "a", Topics: names})
		if !errors.Is(err, log.ErrInvalidHeartbeat) {
			t.Errorf("got error %v", err)
		}
	}
	if !g.Empty() {
		t.Error("it is in")
	}
}
