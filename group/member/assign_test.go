package member

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// catalogue is what a leader finds: orders has three partitions, nothing else is there.
func catalogue(topic string) Shape {
	if topic == "orders" {
		return Shape{ID: [16]byte{1}, Partitions: 3}
	}
	return Shape{}
}

func answer(leader string, members ...group.JoinedMember) group.JoinResponse {
	return group.JoinResponse{MemberID: "a", Leader: leader, ProtocolName: "range", Members: members}
}

func subscribed(id string, topics ...string) group.JoinedMember {
	return group.JoinedMember{ID: id, Metadata: group.EncodeSubscription(group.Subscription{Topics: topics})}
}

func TestLead(t *testing.T) {
	stands := func() []group.MemberDescription {
		return []group.MemberDescription{{Assignment: group.EncodeAssignment(group.Assignment{"orders": {0}})}, {Assignment: []byte("?")}}
	}
	back := answer("a", subscribed("a", "orders"))
	back.SkipAssignment = true
	other := answer("a", subscribed("a", "orders"))
	other.ProtocolName = "other"
	for name, tt := range map[string]struct {
		resp                        group.JoinResponse
		assignments, shapes, unread string
	}{
		"another leads": {answer("b"), "map[]", "map[]", "[]"},
		"it divides": {answer("a", subscribed("a", "orders", "none"), subscribed("b", "orders")),
			"map[a:[orders/0 orders/1] b:[orders/2]]", "map[none:0 orders:3]", "[]"},
		"one cannot be read":              {answer("a", subscribed("a", "orders"), group.JoinedMember{ID: "b", Metadata: []byte("?")}), "map[a:[orders/0 orders/1 orders/2] b:[]]", "map[orders:3]", "[b]"},
		"it is back, and a topic grew":    {back, "map[]", "map[orders:1]", "[]"},
		"a protocol that it has not said": {other, "map[]", "map[orders:3]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			led, err := NewLead(tt.resp, []group.Assignor{group.Range()}, catalogue, stands)
			if err != nil {
				t.Fatal(err)
			}
			assignments, shapes, unread := make(map[string][]log.TopicPartition), make(map[string]int32), []string{}
			for id, b := range led.Assignments {
				a, err := group.DecodeAssignment(b)
				if err != nil {
					t.Error(err)
				}
				assignments[id] = Partitions(a)
			}
			for topic, s := range led.Shapes {
				shapes[topic] = s.Partitions
			}
			for id := range led.Unread {
				unread = append(unread, id)
			}
			if got := fmt.Sprint(assignments, shapes, unread); got != tt.assignments+" "+tt.shapes+" "+tt.unread {
				t.Errorf("got %s", got)
			}
		})
	}
}

// What an assignor panics with is an error, with the place where it did.
func TestAssignorPanics(t *testing.T) {
	faulty := group.AssignorFunc("range", false, func([]group.AssignMember, map[string]int32) map[string]group.Assignment { panic("oops") })
	_, err := NewLead(answer("a", subscribed("a", "orders")), []group.Assignor{faulty}, catalogue, nil)
	if p := (*Panic)(nil); !errors.As(err, &p) || p.Error() != "assignor range: Assign panicked: oops" || len(p.Stack) == 0 {
		t.Errorf("got %v", err)
	}
}

// A request to join says the same under each assignor, and never names the same new id.
func TestRequest(t *testing.T) {
	m := New(time.Unix(0, 0), Options{Assignors: []group.Assignor{group.CooperativeSticky(), group.Range()}, MaxPollInterval: time.Minute})
	m.Begin([]string{"orders"})
	ids := make(map[string]bool)
	for range 2 {
		req, err := m.Standing().Request()
		if err != nil || len(req.Protocols) != 2 || req.RebalanceTimeout != time.Minute {
			t.Fatalf("%+v, %v", req, err)
		}
		ids[req.NewMemberID] = true
		for _, p := range req.Protocols {
			if sub, err := group.DecodeSubscription(p.Metadata); err != nil || fmt.Sprint(sub.Topics, sub.Generation) != "[orders] -1" {
				t.Errorf("%s: %+v, %v", p.Name, sub, err)
			}
		}
	}
	if len(ids) != 2 {
		t.Errorf("ids %v", ids)
	}
}
