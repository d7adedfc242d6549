package group

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cast reads members from lines like "C0 [i0] t0 t1 | t0:0,1 t1:2 @3": id, instance id in
// brackets if any, topics, and after a bar what it owned and in which generation (1
// when it is not said).
func cast(lines ...string) []AssignMember {
	var members []AssignMember
	for _, line := range lines {
		wants, has, owns := strings.Cut(line, "|")
		words := strings.Fields(wants)
		m := AssignMember{ID: words[0], Subscription: Subscription{Generation: -1}}
		for _, w := range words[1:] {
			if strings.HasPrefix(w, "[") {
				m.InstanceID = strings.Trim(w, "[]")
			} else {
				m.Topics = append(m.Topics, w)
			}
		}
		if owns {
			m.Owned, m.Generation = map[string][]int32{}, 1
		}
		for _, w := range strings.Fields(has) {
			if g, ok := strings.CutPrefix(w, "@"); ok {
				n, _ := strconv.Atoi(g)
				m.Generation = int32(n)
				continue
			}
			topic, list, _ := strings.Cut(w, ":")
			m.Owned[topic] = numbers(list)
		}
		members = append(members, m)
	}
	return members
}

// numbers reads "0-3,7" as 0 1 2 3 7.
func numbers(list string) []int32 {
	var ns []int32
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, _ := strconv.Atoi(from)
		b, _ := strconv.Atoi(to)
		for ; a <= b; a++ {
			ns = append(ns, int32(a))
		}
	}
	return ns
}

// topicCounts reads "t0=3 t1=2".
func topicCounts(s string) map[string]int32 {
	counts := map[string]int32{}
	for w := range strings.FieldsSeq(s) {
		topic, n, _ := strings.Cut(w, "=")
		k, _ := strconv.Atoi(n)
		counts[topic] = int32(k)
	}
	return counts
}

// told writes an assignment as "C0: t0p0 t1p1 / C1: ...".
func told(result map[string]Assignment) string {
	var members []string
	for _, id := range slices.Sorted(maps.Keys(result)) {
		line := id + ":"
		for _, topic := range slices.Sorted(maps.Keys(result[id])) {
			for _, p := range result[id][topic] {
				line += fmt.Sprintf(" %sp%d", topic, p)
			}
		}
		members = append(members, line)
	}
	return strings.Join(members, " / ")
}

// The examples in the documentation of Kafka's assignors, and the edges around them.
func TestAssign(t *testing.T) {
	for _, c := range []struct {
		name       string
		assignor   Assignor
		partitions string
		members    []AssignMember
		want       string
	}{
		{
			"two members and two topics of three", Range(), "t0=3 t1=3",
			cast("C0 t0 t1", "C1 t0 t1"),
			"C0: t0p0 t0p1 t1p0 t1p1 / C1: t0p2 t1p2",
		}, {
			"instance ids come before member ids", Range(), "t0=3 t1=3",
			cast("C3 [I0] t0 t1", "C2 [I1] t0 t1"),
			"C2: t0p2 t1p2 / C3: t0p0 t0p1 t1p0 t1p1",
		}, {
			"static members come before the others", Range(), "t0=3",
			cast("A t0", "B [z] t0"), "A: t0p2 / B: t0p0 t0p1",
		}, {
			"more members than partitions", Range(), "t0=2",
			cast("C t0", "A t0", "B t0"), "A: t0p0 / B: t0p1 / C:",
		}, {
			"each topic by its own subscribers, unknown ones skipped", Range(), "t0=3 t1=2",
			cast("A t0 gone", "B t0 t1 t1"), "A: t0p0 t0p1 / B: t0p2 t1p0 t1p1",
		}, {
			"two members and two topics of three", RoundRobin(), "t0=3 t1=3",
			cast("C0 t0 t1", "C1 t0 t1"),
			"C0: t0p0 t0p2 t1p1 / C1: t0p1 t1p0 t1p2",
		}, {
			"different subscriptions", RoundRobin(), "t0=1 t1=2 t2=3",
			cast("C0 t0", "C1 t0 t1", "C2 t0 t1 t2"),
			"C0: t0p0 / C1: t1p0 / C2: t1p1 t2p0 t2p1 t2p2",
		}, {
			"instance ids come before member ids", RoundRobin(), "t0=3 t1=3",
			cast("C5 [I1] t0 t1", "C3 [I2] t0 t1", "C4 [I3] t0 t1"),
			"C3: t0p1 t1p1 / C4: t0p2 t1p2 / C5: t0p0 t1p0",
		}, {
			"a topic that no one knows", RoundRobin(), "t1=1",
			cast("A t0", "B t1"), "A: / B: t1p0",
		}, {
			"example 1, fresh", Sticky(), "t0=2 t1=2 t2=2 t3=2",
			cast("C0 t0 t1 t2 t3", "C1 t0 t1 t2 t3", "C2 t0 t1 t2 t3"),
			"C0: t0p0 t1p1 t3p0 / C1: t0p1 t2p0 t3p1 / C2: t1p0 t2p1",
		}, {
			// Kafka's page gives t2p0 to C0 and t0p1 to C2; its code (3.9.0) does as we do.
			"example 1, C1 leaves", Sticky(), "t0=2 t1=2 t2=2 t3=2",
			cast("C0 t0 t1 t2 t3 | t0:0 t1:1 t3:0", "C2 t0 t1 t2 t3 | t1:0 t2:1"),
			"C0: t0p0 t0p1 t1p1 t3p0 / C2: t1p0 t2p0 t2p1 t3p1",
		}, {
			"example 2, fresh", Sticky(), "t0=1 t1=2 t2=3",
			cast("C0 t0", "C1 t0 t1", "C2 t0 t1 t2"),
			"C0: t0p0 / C1: t1p0 t1p1 / C2: t2p0 t2p1 t2p2",
		}, {
			"example 2, C0 leaves", Sticky(), "t0=1 t1=2 t2=3",
			cast("C1 t0 t1 | t1:0,1", "C2 t0 t1 t2 | t2:0,1,2"),
			"C1: t0p0 t1p0 t1p1 / C2: t2p0 t2p1 t2p2",
		}, {
			"no members", Sticky(), "t0=1", nil, "",
		}, {
			"no topics", CooperativeSticky(), "", cast("A", "B t0"), "A: / B:",
		},
	} {
		t.Run(c.assignor.Name()+"/"+c.name, func(t *testing.T) {
			if got := told(c.assignor.Assign(c.members, topicCounts(c.partitions))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		assignor    Assignor
		name        string
		cooperative bool
	}{
		{Range(), "range", false},
		{RoundRobin(), "roundrobin", false},
		{Sticky(), "sticky", false},
		{CooperativeSticky(), "cooperative-sticky", true},
		{AssignorFunc("mine", true, assignRange), "mine", true},
	} {
		if c.assignor.Name() != c.name || c.assignor.Cooperative() != c.cooperative {
			t.Errorf("%s: cooperative %t, want %s, %t", c.assignor.Name(), c.assignor.Cooperative(), c.name, c.cooperative)
		}
	}
}

func TestAssignFunc(t *testing.T) {
	toFirst := func(members []AssignMember, partitions map[string]int32) map[string]Assignment {
		return map[string]Assignment{"A": {"t": {0, 1}}}
	}
	members := cast("A t", "B t | t:1")
	if got, want := told(AssignorFunc("eager", false, toFirst).Assign(members, topicCounts("t=2"))), "A: tp0 tp1 / B:"; got != want {
		t.Errorf("eager: %s, want %s", got, want)
	}
	if got, want := told(AssignorFunc("coop", true, toFirst).Assign(members, topicCounts("t=2"))), "A: tp0 / B:"; got != want {
		t.Errorf("cooperative: %s, want %s", got, want)
	}
	none := func([]AssignMember, map[string]int32) map[string]Assignment { return nil }
	if got, want := told(AssignorFunc("none", false, none).Assign(members, nil)), "A: / B:"; got != want {
		t.Errorf("none: %s, want %s", got, want)
	}
}

func BenchmarkAssign(b *testing.B) {
	for _, a := range []Assignor{Range(), RoundRobin(), Sticky(), CooperativeSticky(), uniform{}} {
		members := make([]AssignMember, 100)
		topics := map[string]int32{}
		for i := range 10 {
			topics[fmt.Sprintf("t%d", i)] = 100
		}
		for i := range members {
			members[i] = AssignMember{ID: fmt.Sprintf("m%03d", i), Subscription: Subscription{Topics: slices.Sorted(maps.Keys(topics))}}
		}
		result := a.Assign(members[1:], topics) // one is to join
		for i := range members {
			members[i].Owned = result[members[i].ID]
		}
		b.Run(fmt.Sprintf("assignor=%s/members=100/partitions=1000", a.Name()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a.Assign(members, topics)
			}
		})
	}
	benchmarkUnequal(b)
}

// benchmarkUnequal has 1000 members with 10 topics each out of 1000 of 10 partitions, of
// which 100 leave, or 500 join.
func benchmarkUnequal(b *testing.B) {
	topics := map[string]int32{}
	for i := range 1000 {
		topics[fmt.Sprintf("t%03d", i)] = 10
	}
	members := make([]AssignMember, 1000)
	for i := range members {
		members[i].ID = fmt.Sprintf("m%03d", i)
		for k := range 10 {
			members[i].Topics = append(members[i].Topics, fmt.Sprintf("t%03d", (i*7+k*k*31)%1000))
		}
	}
	own := func(result map[string]Assignment) []AssignMember {
		owners := slices.Clone(members)
		for i := range owners {
			owners[i].Owned = result[owners[i].ID]
		}
		return owners
	}
	for _, c := range []struct {
		change  string
		members []AssignMember
	}{
		{"fresh", members},
		{"leave", own(Sticky().Assign(members, topics))[100:]},
		{"join", own(Sticky().Assign(members[:500], topics))},
	} {
		b.Run(fmt.Sprintf("assignor=sticky/members=1000/partitions=10000/subscriptions=unequal/change=%s", c.change), func(b *testing.B) {
			for b.Loop() {
				Sticky().Assign(c.members, topics)
			}
		})
	}
}
