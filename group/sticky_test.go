package group

import (
	"reflect"
	"slices"
	"testing"
)

// left counts the partitions that a member owned and has not any more.
func left(members []AssignMember, result map[string]Assignment) int {
	moved := 0
	for _, m := range members {
		for topic, owned := range m.Owned {
			for _, p := range owned {
				if !slices.Contains(result[m.ID][topic], p) {
					moved++
				}
			}
		}
	}
	return moved
}

type stickyCase struct {
	name       string
	partitions string
	members    []AssignMember
	moved      int // what we move from members that are still there
	kafka      int // what StickyAssignor of Kafka 3.9.0 moves
}

// Where subscriptions are equal, moved is the least possible: what members have above
// their shares, and what they no longer subscribe to. Everywhere it is at most Kafka's.
var stickyCases = []stickyCase{
	{"nothing changed", "t=6", cast("A t | t:0-2", "B t | t:3-5"), 0, 0},
	{"nothing changed, uneven", "t=7", cast("A t | t:0-2", "B t | t:3-6"), 0, 0},
	{"one joins", "t=6", cast("A t | t:0-2", "B t | t:3-5", "C t"), 2, 2},
	{"one joins, uneven", "t=8", cast("A t | t:0-3", "B t | t:4-7", "C t"), 2, 2},
	{"three join one", "t=8", cast("A t | t:0-7", "B t", "C t", "D t"), 6, 6},
	{"more members than partitions", "t=2", cast("A t | t:0", "B t | t:1", "C t"), 0, 0},
	{"one leaves", "t=9", cast("A t | t:0-2", "B t | t:3-5"), 0, 0},
	{"several leave", "t=12", cast("A t | t:0-1", "B t | t:2-3"), 0, 0},
	{"one leaves and one joins", "t=9", cast("A t | t:0-2", "B t | t:3-5", "D t"), 0, 0},
	{"the topic grows", "t=8", cast("A t | t:0-2", "B t | t:3-5"), 0, 0},
	{"the topic grows after a lopsided past", "t=8", cast("A t | t:0-5", "B t"), 2, 2},
	{"a new topic", "t=4 u=4", cast("A t u | t:0-1", "B t u | t:2-3"), 0, 0},
	{"a topic goes", "t=4", cast("A t u | t:0-2 u:0", "B t u | t:3 u:1-3"), 5, 5}, // 4 of them are gone
	{"a lopsided past", "t=10", cast("A t | t:0-8", "B t | t:9"), 4, 4},
	{"a member changes its topic", "t=4 u=4", cast("A t | t:0-1", "B u | t:2-3", "C t u | u:0-3"), 4, 5},
	{"all change to another topic", "t=4 u=4", cast("A u | t:0-1", "B u | t:2-3"), 4, 4},
	{"one subscribes to more", "t=4 u=2", cast("A t u | t:0-1", "B t | t:2-3"), 1, 1},
	{"unequal, one joins", "t=6 u=3", cast("A t | t:0-5", "B t u | u:0-2", "C t"), 3, 3},
	{"unequal, one leaves", "t=4 u=4", cast("A t | t:0-1", "B t u | t:2-3"), 2, 2}, // B alone can have u,
	{"unequal, a chain of loose ones", "t=2 u=2 v=2", cast("A t u | t:0-1", "B u v", "C v"), 0, 0},
	{"unequal, all lie with one", "t=6 u=6", cast("A t u | t:0-5 u:0-5", "B t", "C u", "D t u"), 9, 9},
	{
		"unequal, one way over another member saves a move", "t=7 u=4 v=5",
		cast("A t u | t:4,6 u:0-3", "B v u", "C v t | v:0-4", "D v", "E t | t:0-3,5"), 6, 6,
	}, {
		"unequal, which one moves matters", "t=5 u=7 v=6",
		cast("A u | u:0,3,5", "B u t | t:4 u:6", "C t v | t:1 v:3", "D v | v:0,4", "E u t | t:2 u:1",
			"F v | v:1,5", "G v | v:2", "H t | t:0,3", "I t", "J u v | u:2,4"), 1, 1,
	},
}

func TestStickyMoves(t *testing.T) {
	for _, c := range stickyCases {
		t.Run(c.name, func(t *testing.T) {
			partitions := topicCounts(c.partitions)
			result := Sticky().Assign(c.members, partitions)
			checkOwners(t, c.members, partitions, result, false)
			checkBalance(t, c.members, result)
			if moved := left(c.members, result); moved != c.moved || moved > c.kafka {
				t.Errorf("%d moved, want %d (Kafka %d): %s", moved, c.moved, c.kafka, told(result))
			}
		})
	}
}

func TestStickyClaims(t *testing.T) {
	for _, c := range []struct {
		name    string
		members []AssignMember
		sticky  string
		coop    string
	}{
		{
			"the later generation has it", cast("A t | t:0,1 @1", "B t | t:0,2 @2"),
			"A: tp1 tp3 / B: tp0 tp2", "A: tp1 tp3 / B: tp0 tp2",
		}, {
			"an older claim that nobody contests holds", cast("A t | t:2,3 @1", "B t | t:0 @9"),
			"A: tp2 tp3 / B: tp0 tp1", "A: tp2 tp3 / B: tp0 tp1",
		}, {
			"two claims of one generation cancel out", cast("A t | t:0,1 @2", "B t | t:0,2 @2"),
			"A: tp0 tp1 / B: tp2 tp3", "A: tp1 / B: tp2 tp3",
		}, {
			"and a later one stands above them", cast("A t | t:0,1 @2", "B t | t:0,2 @2", "C t | t:0 @3"),
			"A: tp1 tp3 / B: tp2 / C: tp0", "A: tp1 tp3 / B: tp2 / C: tp0",
		}, {
			"what moves is withheld", cast("A t | t:0-3", "B t"),
			"A: tp0 tp1 / B: tp2 tp3", "A: tp0 tp1 / B:",
		}, {
			"even when the old owner has unsubscribed", cast("A u | t:0-3", "B t u"),
			"A: / B: tp0 tp1 tp2 tp3", "A: / B:",
		}, {
			"what does not exist is not owned", cast("A t | t:0,1,-1,7 gone:0", "B t | t:2,3"),
			"A: tp0 tp1 / B: tp2 tp3", "A: tp0 tp1 / B: tp2 tp3",
		}, {
			"saying it twice is one claim", cast("A t | t:0,0,1", "B t | t:2,3"),
			"A: tp0 tp1 / B: tp2 tp3", "A: tp0 tp1 / B: tp2 tp3",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			partitions := topicCounts("t=4")
			if got := told(Sticky().Assign(c.members, partitions)); got != c.sticky {
				t.Errorf("sticky: %s, want %s", got, c.sticky)
			}
			if got := told(CooperativeSticky().Assign(c.members, partitions)); got != c.coop {
				t.Errorf("cooperative: %s, want %s", got, c.coop)
			}
		})
	}
}

// An eager member of a Java client owns nothing when it joins and tells what it had in
// the user data; Java clients before 3.2 do so with the generation of a cooperative one.
func TestStickyUserData(t *testing.T) {
	said := cast("A t | t:1,3", "B t | t:0 @5", "C t | t:0,2")
	sent := slices.Clone(said)
	for i, m := range said {
		sent[i].UserData = Sticky().UserData(m.Owned, m.Generation)
		sent[i].Owned, sent[i].Generation = nil, -1
	}
	partitions := topicCounts("t=6")
	want := Sticky().Assign(said, partitions)
	if got := Sticky().Assign(sent, partitions); !reflect.DeepEqual(got, want) {
		t.Errorf("sticky: %s, want %s", told(got), told(want))
	}
	for i, m := range said {
		sent[i].UserData, sent[i].Owned = CooperativeSticky().UserData(m.Owned, m.Generation), m.Owned
	}
	want = CooperativeSticky().Assign(said, partitions)
	if got := CooperativeSticky().Assign(sent, partitions); !reflect.DeepEqual(got, want) {
		t.Errorf("cooperative: %s, want %s", told(got), told(want))
	}
}

// checkOwners checks that each partition of a topic that exists and has subscribers has
// exactly one owner, or at most one, and that the owner subscribes to it.
func checkOwners(t interface{ Errorf(string, ...any) }, members []AssignMember, partitions map[string]int32, result map[string]Assignment, some bool) {
	owners := map[string][]int{}
	for _, m := range members {
		a, ok := result[m.ID]
		if !ok || a == nil {
			t.Errorf("%s has no assignment", m.ID)
		}
		for _, topic := range m.Topics {
			if partitions[topic] > 0 && owners[topic] == nil {
				owners[topic] = make([]int, partitions[topic])
			}
		}
		for topic, owned := range a {
			if !slices.Contains(m.Topics, topic) || len(owned) == 0 || !slices.IsSorted(owned) {
				t.Errorf("%s got %s %v, wanted %v", m.ID, topic, owned, m.Topics)
			}
		}
	}
	for _, a := range result {
		for topic, owned := range a {
			for _, p := range owned {
				owners[topic][p]++
			}
		}
	}
	for topic, list := range owners {
		for p, n := range list {
			if n > 1 || n == 0 && !some {
				t.Errorf("%s/%d has %d owners", topic, p, n)
			}
		}
	}
}

// checkBalance checks that no member could be given a partition by one that has two or more more.
func checkBalance(t interface{ Errorf(string, ...any) }, members []AssignMember, result map[string]Assignment) {
	count := map[string]int{}
	for id, a := range result {
		for _, owned := range a {
			count[id] += len(owned)
		}
	}
	for id, a := range result {
		for topic := range a {
			for _, m := range members {
				if slices.Contains(m.Topics, topic) && count[m.ID]+1 < count[id] {
					t.Errorf("%s has %d and %s only %d, could have one of %s: %s", id, count[id], m.ID, count[m.ID], topic, told(result))
				}
			}
		}
	}
}
