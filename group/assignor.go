package group

import (
	"slices"
	"strings"
)

// Subscription is what one member wants and has, as it says at join: the contents of
// Kafka's consumer protocol (ConsumerProtocolSubscription.json).
type Subscription struct {
	Topics []string
	// Owned are the partitions that the member holds while it joins, by topic. An eager
	// member has given them up by then and leaves it empty.
	Owned map[string][]int32
	// Generation is the one in which the member was given Owned, -1 when it is unknown.
	Generation int32
	Rack       string // "" when unknown; no assignor of this package looks at it
	UserData   []byte // the assignor's own, from Assignor.UserData
}

// AssignMember is one member as an assignor sees it: who it is, and with Subscription the Topics
// that it wants ([]string), the partitions that it has Owned by topic (map[string][]int32) since
// the Generation (int32, -1 when unknown), its Rack (string), and UserData ([]byte), the assignor's own.
type AssignMember struct {
	ID         string
	InstanceID string // of a static member, "" otherwise
	Subscription
}

// Assignment maps topics to partitions. What the assignors here return has its partitions in
// ascending order, and no topic without partitions.
type Assignment map[string][]int32

// Assignor divides partitions among members. Its values are stateless and safe for
// concurrent use.
type Assignor interface {
	// Name is the name of the protocol in JoinGroup: range, roundrobin, sticky and
	// cooperative-sticky are those that Kafka's clients know.
	Name() string
	// Cooperative tells whether members keep what they own over a rebalance (KIP-429).
	// What moves is then first revoked by its old owner, and given to the new one by a
	// further rebalance, which the old owner asks for when it has revoked.
	Cooperative() bool
	// Assign returns the partitions of each member, by member id; a member that gets
	// nothing has an empty Assignment. Member ids are unique. partitions is the number
	// of partitions of each known topic; topics that are not there are skipped. The
	// result depends neither on the order of members and their topics nor on that of
	// map iteration, and shares no memory with the arguments.
	Assign(members []AssignMember, partitions map[string]int32) map[string]Assignment
	// UserData returns what the subscription of a member carries for this assignor
	// besides topics and owned partitions; owned and generation are its last assignment
	// and when it got it (-1 for never). The eager sticky assignor puts the assignment
	// there, which the member gives up before it joins; the cooperative one the
	// generation; the others nil.
	UserData(owned map[string][]int32, generation int32) []byte
}

// AssignorFunc returns an assignor that divides with f, which must do as [Assignor] says
// of Assign, but need not care for cooperation: when cooperative is true, what f gives
// to a member while another one still owns it is withheld from the result. Members for
// which f returns nothing get an empty assignment. Without f it is no assignor, but nil.
func AssignorFunc(name string, cooperative bool, f func(members []AssignMember, partitions map[string]int32) map[string]Assignment) Assignor {
	if f == nil {
		return nil
	}
	return assignFunc{name, cooperative, f}
}

type assignFunc struct {
	name        string
	cooperative bool
	assign      func([]AssignMember, map[string]int32) map[string]Assignment
}

func (a assignFunc) Name() string                            { return a.name }
func (a assignFunc) Cooperative() bool                       { return a.cooperative }
func (assignFunc) UserData(map[string][]int32, int32) []byte { return nil }

func (a assignFunc) Assign(members []AssignMember, partitions map[string]int32) map[string]Assignment {
	result := a.assign(members, partitions)
	if result == nil {
		result = make(map[string]Assignment, len(members))
	}
	for i := range members {
		if result[members[i].ID] == nil {
			result[members[i].ID] = Assignment{}
		}
	}
	if a.cooperative {
		newSurvey(members, partitions, claimOwned).withhold(result)
	}
	return result
}

// inOrder returns the indices of members, static members first by instance id, then the
// others by member id: the order in which Kafka's range and round robin give, so that a
// static member keeps its share when it comes back under a new member id.
func inOrder(members []AssignMember) []int {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &members[i], &members[j]
		if (a.InstanceID == "") != (b.InstanceID == "") {
			return strings.Compare(b.InstanceID, a.InstanceID) // the empty one goes last
		}
		if c := strings.Compare(a.InstanceID, b.InstanceID); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return order
}

// subscribers returns, for each topic that exists and has partitions, the members that
// subscribe to it, each once and in the given order, and the topics sorted by name.
func subscribers(members []AssignMember, order []int, partitions map[string]int32) (byTopic map[string][]int, topics []string) {
	byTopic = make(map[string][]int)
	for _, i := range order {
		for _, topic := range members[i].Topics {
			if partitions[topic] <= 0 {
				continue
			}
			subs, seen := byTopic[topic]
			if !seen {
				topics = append(topics, topic)
			}
			if len(subs) == 0 || subs[len(subs)-1] != i { // a topic named twice counts once
				byTopic[topic] = append(subs, i)
			}
		}
	}
	slices.Sort(topics)
	return byTopic, topics
}

// nothing returns an assignment without partitions for each member.
func nothing(members []AssignMember) map[string]Assignment {
	result := make(map[string]Assignment, len(members))
	for i := range members {
		result[members[i].ID] = Assignment{}
	}
	return result
}
