package member

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Running reports whether the round of that number is under way, and counts.
func (m *Member) Running(round int) bool {
	return round == m.round && (m.phase == joining || m.phase == syncing)
}

// Begin ends the step Rejoin: it begins a round, unless that is not to be any more, and returns its
// number, 1 or more. topics are those that are wanted, sorted.
func (m *Member) Begin(topics []string) (round int, ok bool) {
	if m.life != open || len(m.lost) > 0 || m.err != nil || m.phase != idle || !m.rejoin {
		return 0, false
	}
	m.round++
	m.phase, m.rejoin, m.subscribed = joining, false, topics
	return m.round, true
}

// Standing is what a member tells the group when it joins. It is made under the lock, and the
// request of it, for which assignors are called, is not.
type Standing struct {
	opts           Options
	memberID       string
	generation     int32
	topics         []string
	owned, last    map[string][]int32
	lastGeneration int32
}

// Standing returns what is to be told now.
func (m *Member) Standing() Standing {
	s := Standing{
		opts: m.opts, memberID: m.id, generation: m.generation, topics: m.subscribed,
		last: byTopic(m.last), lastGeneration: m.lastIn,
	}
	if m.cooperative {
		s.owned = byTopic(m.owned)
	}
	return s
}

// Request returns the request to join. The error is that of an assignor that has panicked.
func (s Standing) Request() (group.JoinRequest, error) {
	req := group.JoinRequest{
		MemberID: s.memberID, NewMemberID: newID(s.opts.ClientID), InstanceID: s.opts.InstanceID,
		ClientID: s.opts.ClientID, ClientHost: "in-process", Local: true,
		SessionTimeout: s.opts.SessionTimeout, RebalanceTimeout: s.opts.MaxPollInterval,
		ProtocolType: "consumer", SkipAssignment: true,
	}
	for _, a := range s.opts.Assignors {
		sub := group.Subscription{Topics: s.topics, Owned: s.owned, Generation: s.generation}
		if err := ask(a, "UserData", func() { sub.UserData = a.UserData(s.last, s.lastGeneration) }); err != nil {
			return req, err
		}
		req.Protocols = append(req.Protocols, group.Protocol{Name: a.Name(), Metadata: group.EncodeSubscription(sub)})
	}
	return req, nil
}

// newID returns an id that no member ever had.
func newID(clientID string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s-%x", cmp.Or(clientID, "samsa"), b)
}

// Joined takes the member's place in the next generation, and reports whether the round goes on.
func (m *Member) Joined(round int, memberID string, generation int32) bool {
	if !m.Running(round) {
		return false
	}
	m.id, m.generation, m.phase = memberID, generation, syncing
	return true
}

// Synced takes what the round has brought, in order.
func (m *Member) Synced(round int, assigned []log.TopicPartition) {
	if !m.Running(round) || m.phase != syncing {
		return
	}
	m.phase, m.assigned = synced, assigned
	if len(m.owned) == 0 {
		m.Examined(nil)
	}
}

// Retry takes an error of Join or Sync, and reports whether the round starts over. memberID is the
// one that came with the error.
func (m *Member) Retry(round int, memberID string, err error) bool {
	switch {
	case !m.Running(round):
		return false
	case errors.Is(err, log.ErrMemberIDRequired):
		m.id = memberID
	case errors.Is(err, log.ErrUnknownMember), errors.Is(err, log.ErrUnknownGroup):
		m.out()
	case errors.Is(err, log.ErrRebalanceInProgress), errors.Is(err, log.ErrIllegalGeneration):
	default:
		return false
	}
	m.phase = joining
	return true
}

// Fail ends the round with an error for Poll.
func (m *Member) Fail(round int, err error) {
	if m.Running(round) {
		m.phase, m.err = failed, err
	}
}
