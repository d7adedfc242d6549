package group

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var topicNames = []string{"a", "b", "c", "d", "e"}

func drawPartitions(t *rapid.T) map[string]int32 {
	partitions := map[string]int32{}
	for _, topic := range topicNames {
		if n := rapid.Int32Range(0, 7).Draw(t, topic); n > 0 {
			partitions[topic] = n
		}
	}
	return partitions
}

func drawTopics(t *rapid.T) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(topicNames), 0, len(topicNames), rapid.ID[string]).Draw(t, "topics")
}

// drawMembers draws members with claims that may overlap, name what does not exist and
// be of any of three generations.
func drawMembers(t *rapid.T) []AssignMember {
	members := make([]AssignMember, rapid.IntRange(1, 8).Draw(t, "members"))
	same := rapid.Bool().Draw(t, "equal subscriptions")
	topics := drawTopics(t)
	for i := range members {
		m := &members[i]
		m.ID = fmt.Sprintf("m%d", i)
		if rapid.Bool().Draw(t, "static") {
			m.InstanceID = fmt.Sprintf("i%d", 9-i)
		}
		if m.Topics = topics; !same {
			m.Topics = drawTopics(t)
		}
		m.Generation = rapid.Int32Range(-1, 1).Draw(t, "generation")
		m.Owned = map[string][]int32{}
		for _, topic := range drawTopics(t) {
			m.Owned[topic] = rapid.SliceOfNDistinct(rapid.Int32Range(-1, 8), 0, 5, rapid.ID[int32]).Draw(t, "owned")
		}
	}
	return members
}

// claimants returns the members with what they own after a round, in the next generation.
func claimants(members []AssignMember, result map[string]Assignment, generation int32) []AssignMember {
	next := slices.Clone(members)
	for i := range next {
		next[i].Owned, next[i].Generation, next[i].UserData = result[next[i].ID], generation, nil
	}
	return next
}

func TestAssignProperties(t *testing.T) {
	for _, a := range []Assignor{Range(), RoundRobin(), Sticky(), CooperativeSticky(), uniform{}} {
		t.Run(a.Name(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				partitions, members := drawPartitions(t), drawMembers(t)
				result := a.Assign(members, partitions)
				checkOwners(t, members, partitions, result, a.Cooperative())
				shuffled := rapid.Permutation(members).Draw(t, "shuffled")
				for i := range shuffled {
					shuffled[i].Topics = rapid.Permutation(shuffled[i].Topics).Draw(t, "topics shuffled")
				}
				if other := a.Assign(shuffled, maps.Clone(partitions)); !reflect.DeepEqual(other, result) {
					t.Errorf("%s\nin another order %s", told(result), told(other))
				}
			})
		})
	}
}

func TestStickyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions, members := drawPartitions(t), drawMembers(t)
		a := rapid.SampledFrom([]Assignor{Sticky(), uniform{}}).Draw(t, "assignor")
		result := a.Assign(members, partitions)
		checkBalance(t, members, result)
		again := a.Assign(claimants(members, result, 2), partitions)
		if !reflect.DeepEqual(again, result) {
			t.Errorf("%s\nthen %s", told(result), told(again))
		}
	})
}

// A round never gives what another member still owns, and after at most two further
// ones everything is given, is balanced, and stays.
func TestCooperativeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions, members := drawPartitions(t), drawMembers(t)
		a := CooperativeSticky()
		result := a.Assign(members, partitions)
		for round := range 3 {
			members = claimants(members, result, int32(2+round))
			next := a.Assign(members, partitions)
			checkNoneTwice(t, members, next)
			if round == 2 && !reflect.DeepEqual(next, result) {
				t.Errorf("not stable: %s\nthen %s", told(result), told(next))
			}
			result = next
		}
		checkOwners(t, members, partitions, result, false)
		checkBalance(t, members, result)
	})
}

// checkNoneTwice checks that what a member gets nobody else owned when it joined.
func checkNoneTwice(t *rapid.T, members []AssignMember, result map[string]Assignment) {
	for _, m := range members {
		for topic, owned := range m.Owned {
			for _, p := range owned {
				for id, a := range result {
					if id != m.ID && slices.Contains(a[topic], p) {
						t.Errorf("%s got %s/%d, which %s owned", id, topic, p, m.ID)
					}
				}
			}
		}
	}
}
