package group

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Sticky balances, and among balanced assignments leaves as much as it can with the
// members that had it. It is Kafka's StickyAssignor: members give up everything before
// they join, and tell what they had in the user data.
//
// Balanced means that counts differ by at most one when all members subscribe to the
// same topics; otherwise, that no member could be given a partition of a topic it
// subscribes to by a member that has two or more partitions more. Where subscriptions
// are equal the number of partitions that move is the smallest possible.
//
// A member's claim to a partition holds when no other member claims it in a later
// generation; two claims in the same generation cancel each other.
func Sticky() Assignor { return sticky{claim: claimUserData} }

// CooperativeSticky divides as [Sticky] does, but members keep what they own while they
// join, and only what moves stops: the old owner revokes it, and a further rebalance gives
// it to the new one (KIP-429). It is Kafka's CooperativeStickyAssignor.
//
// A partition claimed by two members in the same generation is given to nobody, so that
// both let it go.
func CooperativeSticky() Assignor { return sticky{cooperative: true, claim: claimOwned} }

type sticky struct {
	cooperative bool
	claim       claimFunc
}

func (s sticky) Name() string {
	if s.cooperative {
		return "cooperative-sticky"
	}
	return "sticky"
}

func (s sticky) Cooperative() bool { return s.cooperative }

func (s sticky) UserData(owned map[string][]int32, generation int32) []byte {
	if s.cooperative {
		return binary.BigEndian.AppendUint32(nil, uint32(generation))
	}
	return encodeStickyData(owned, generation)
}

func (s sticky) Assign(members []AssignMember, partitions map[string]int32) map[string]Assignment {
	v := newSurvey(members, partitions, s.claim)
	var owner []int32
	if v.equal() {
		owner = planEqual(v)
	} else {
		owner = planUnequal(v)
	}
	result := v.assignments(owner)
	if s.cooperative {
		v.withhold(result)
	}
	return result
}

// claimFunc returns what a member says it had, and in which generation.
type claimFunc func(*AssignMember) (owned map[string][]int32, generation int32)

// claimUserData is for eager members. Owned, if they send it, says the same as the user data.
func claimUserData(m *AssignMember) (map[string][]int32, int32) {
	if len(m.Owned) > 0 {
		return m.Owned, m.Generation
	}
	return decodeStickyData(m.UserData)
}

// claimOwned is for cooperative members. Those before version 2 of the protocol send the
// generation as user data (Java clients 2.4 to 3.1).
func claimOwned(m *AssignMember) (map[string][]int32, int32) {
	if m.Generation < 0 && len(m.UserData) == 4 {
		return m.Owned, int32(binary.BigEndian.Uint32(m.UserData))
	}
	return m.Owned, m.Generation
}

const (
	nobody    = -1
	contested = -2 // claimed by two members in the same generation
)

// survey is the input of an assignment in numbers. Members are numbered by id, topics by
// name, and the partitions of all topics in a row. Only topics count that exist, have
// partitions and are subscribed to.
type survey struct {
	ids         []string  // by member
	subscribed  [][]int32 // topics by member, ascending
	names       []string  // by topic
	first       []int32   // by topic, its partition 0; one more entry at the end
	topicOf     []int32   // by partition
	subscribers [][]int32 // members by topic, ascending
	claimed     []int32   // the member whose claim to a partition holds, nobody or contested
	index       map[string]int32
}

func newSurvey(members []AssignMember, partitions map[string]int32, claim claimFunc) *survey {
	sorted := make([]*AssignMember, len(members))
	for i := range members {
		sorted[i] = &members[i]
	}
	slices.SortFunc(sorted, func(a, b *AssignMember) int { return strings.Compare(a.ID, b.ID) })

	v := &survey{ids: make([]string, len(members)), index: make(map[string]int32)}
	for i, m := range sorted {
		v.ids[i] = m.ID
		for _, topic := range m.Topics {
			if _, seen := v.index[topic]; !seen && partitions[topic] > 0 {
				v.index[topic] = 0
				v.names = append(v.names, topic)
			}
		}
	}
	v.numberTopics(partitions)
	v.subscribe(sorted)
	v.hear(sorted, claim)
	return v
}

func (v *survey) numberTopics(partitions map[string]int32) {
	slices.Sort(v.names)
	v.first = make([]int32, 1, len(v.names)+1)
	total := int32(0)
	for t, name := range v.names {
		v.index[name] = int32(t)
		total += partitions[name]
		v.first = append(v.first, total)
	}
	v.topicOf = make([]int32, total)
	for t := range v.names {
		for p := v.first[t]; p < v.first[t+1]; p++ {
			v.topicOf[p] = int32(t)
		}
	}
}

func (v *survey) subscribe(members []*AssignMember) {
	v.subscribed = make([][]int32, len(members))
	v.subscribers = make([][]int32, len(v.names))
	for i, m := range members {
		topics := make([]int32, 0, len(m.Topics))
		for _, topic := range m.Topics {
			if t, known := v.index[topic]; known {
				topics = append(topics, t)
			}
		}
		slices.Sort(topics)
		v.subscribed[i] = slices.Compact(topics)
		for _, t := range v.subscribed[i] {
			v.subscribers[t] = append(v.subscribers[t], int32(i))
		}
	}
}

// hear decides between the claims of the members, in whatever order they come.
func (v *survey) hear(members []*AssignMember, claim claimFunc) {
	v.claimed = make([]int32, len(v.topicOf))
	generations := make([]int32, len(v.topicOf))
	for p := range v.claimed {
		v.claimed[p] = nobody
		generations[p] = math.MinInt32
	}
	claimants := make([]int32, len(v.topicOf)) // the last one of the highest generation
	for i, m := range members {
		owned, generation := claim(m)
		generation = max(generation, -1)
		for topic, numbers := range owned {
			t, known := v.index[topic]
			for _, n := range numbers {
				if !known || n < 0 || n >= v.first[t+1]-v.first[t] {
					continue
				}
				p := v.first[t] + n
				switch {
				case generation > generations[p]:
					v.claimed[p], claimants[p], generations[p] = int32(i), int32(i), generation
				case generation == generations[p] && claimants[p] != int32(i):
					v.claimed[p], claimants[p] = contested, int32(i)
				}
			}
		}
	}
}

// equal tells whether the members subscribe to the same topics. Members without any
// topic get nothing anyway and don't count.
func (v *survey) equal() bool {
	for _, topics := range v.subscribed {
		if len(topics) > 0 && len(topics) < len(v.names) {
			return false
		}
	}
	return true
}

// subscribes tells whether the member may have partitions of the topic.
func (v *survey) subscribes(member, topic int32) bool {
	_, found := slices.BinarySearch(v.subscribed[member], topic)
	return found
}

// keepers returns, by partition, the member that may keep it: the one whose claim holds,
// while it subscribes to the topic; else nobody.
func (v *survey) keepers() []int32 {
	keepers := make([]int32, len(v.claimed))
	for p, m := range v.claimed {
		if m < 0 || !v.subscribes(m, v.topicOf[p]) {
			m = nobody
		}
		keepers[p] = m
	}
	return keepers
}

// assignments translates the owners of the partitions into the result of Assign.
func (v *survey) assignments(owner []int32) map[string]Assignment {
	result := make(map[string]Assignment, len(v.ids))
	for _, id := range v.ids {
		result[id] = Assignment{}
	}
	for p, m := range owner { // by topic, then by partition: the lists come out sorted
		t := v.topicOf[p]
		a := result[v.ids[m]]
		a[v.names[t]] = append(a[v.names[t]], int32(p)-v.first[t])
	}
	return result
}

// withhold takes out of the assignments what a member may have only when another one has
// revoked it (KIP-429).
func (v *survey) withhold(result map[string]Assignment) {
	for m, id := range v.ids {
		a := result[id]
		for topic, numbers := range a {
			t, known := v.index[topic]
			if !known {
				continue
			}
			left := slices.DeleteFunc(numbers, func(n int32) bool {
				if n < 0 || n >= v.first[t+1]-v.first[t] {
					return false
				}
				c := v.claimed[v.first[t]+n]
				return c == contested || (c != nobody && c != int32(m))
			})
			if a[topic] = left; len(left) == 0 {
				delete(a, topic)
			}
		}
	}
}
