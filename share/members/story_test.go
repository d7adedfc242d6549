package members

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/internal/story"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStories plays stories of one share group. The first words of a line are the time, then who acts:
//
//	at 3s a beat 0 orders,bills
//	-> epoch 1: orders/0 orders/1
//
// A heartbeat names the epoch of the member, last for the one that it was told, and the topics if it says them. "topic
// orders 2" makes a topic of so many partitions, with 0 of none. "rules session=10s assignment=0s max=3" are the rules
// from then on.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is a group, the topics, and the coordinator's part as far as a story needs it.
type stage struct {
	*story.Teller
	group  *Group
	rules  Rules
	topics map[string][2]int // the id, the number of partitions
	ids    int
	epochs map[string]int32 // as members were told
	stored []byte
}

// Begin implements story.Machine.
func (s *stage) Begin([]string) {
	s.group, s.rules = New("g"), Rules{Session: 45 * time.Second, Assignment: time.Second, MaxMembers: 200}
	s.topics, s.epochs = make(map[string][2]int), make(map[string]int32)
}

// Check implements story.Machine.
func (s *stage) Check() error {
	g := s.group
	if g.assigned > g.epoch {
		return fmt.Errorf("assigned %d, epoch %d", g.assigned, g.epoch)
	}
	for id, m := range g.members {
		if m.epoch > g.assigned || m.previous > m.epoch {
			return fmt.Errorf("%s is in %d, before in %d, assigned %d", id, m.epoch, m.previous, g.assigned)
		}
	}
	return nil
}

// PassTime is the coordinator's timer.
func (s *stage) PassTime(to time.Duration) {
	for {
		next, ok := s.group.NextDeadline()
		if !ok || next.After(s.At(to)) {
			return
		}
		e := s.group.Expire(next)
		s.Tell("at %s: gone %s", s.Since(next), strings.Join(e.Gone, ", "))
		s.carryOut(e)
	}
}

func (s *stage) carryOut(e Effects) {
	if e.Persist != nil {
		s.stored = e.Persist.Encode()
		s.Tell("group epoch %d", e.Persist.Epoch)
	}
	if e.Assigned {
		s.Tell("assigned")
	}
}

func (s *stage) topic(name string) ([16]byte, int32, bool) {
	t, ok := s.topics[name]
	return [16]byte{byte(t[0])}, int32(t[1]), ok
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	switch words[0] {
	case "topic":
		n, _ := strconv.Atoi(words[2])
		had, ok := s.topics[words[1]]
		if !ok || n < had[1] {
			s.ids++
			had[0] = s.ids
		}
		if s.topics[words[1]] = [2]int{had[0], n}; n == 0 {
			delete(s.topics, words[1])
		}
	case "rules":
		o, _ := story.Read(words[1:])
		s.rules = Rules{o.Duration("session", s.rules.Session), o.Duration("assignment", s.rules.Assignment), o.Int("max", s.rules.MaxMembers)}
	case "restart":
		snap, err := DecodeSnapshot(s.stored)
		if err != nil {
			s.Tell("%v", err)
			return
		}
		s.group = Restore("g", snap)
	case "describe":
		s.describe()
	default:
		s.beat(words[0], words[2:])
	}
}

func (s *stage) describe() {
	d := s.group.Describe()
	s.Tell("%s, epoch %d, assigned %d", d.State, d.Epoch, d.Assigned)
	for _, m := range d.Members {
		s.Tell("%s in %d subscribes to %s: %s", m.ID, m.Epoch, strings.Join(m.Topics, ","), names(m.Partitions))
	}
}

func (s *stage) beat(id string, words []string) {
	h := Heartbeat{MemberID: id, ClientID: "client " + id, ClientHost: "/127.0.0.1"}
	if words[0] == "last" {
		h.Epoch = s.epochs[id]
	} else {
		n, _ := strconv.Atoi(words[0])
		h.Epoch = int32(n)
	}
	if len(words) > 1 {
		h.Topics = strings.Split(words[1], ",")
	}
	a, e, err := s.group.Heartbeat(s.Time(), s.rules, s.topic, h)
	s.carryOut(e)
	due := ""
	if a.Due > 0 {
		due = fmt.Sprintf(", again in %s", a.Due)
	}
	switch {
	case err != nil:
		s.Tell("%s", story.Short(err, "group g: "))
		return
	case len(e.Gone) > 0:
		s.Tell("gone %s", strings.Join(e.Gone, ", "))
	case a.Told:
		s.Tell("epoch %d%s: %s", a.Epoch, due, names(a.Partitions))
	default:
		s.Tell("epoch %d%s", a.Epoch, due)
	}
	s.epochs[id] = a.Epoch
}

func names(ps []Partition) string {
	text := make([]string, len(ps))
	for i, p := range ps {
		text[i] = fmt.Sprintf("%s/%d", p.Topic, p.Index)
	}
	if len(text) == 0 {
		return "nothing"
	}
	return strings.Join(text, " ")
}
