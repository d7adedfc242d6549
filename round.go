package samsa

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
)

// round is one run of join and sync. It belongs to the member while member.round is the
// round; when the member was lost it does not any more, and changes nothing then.
type round struct {
	ctx        context.Context
	cancel     context.CancelFunc
	done       chan struct{} // closed when the rest is set
	assigned   []TopicPartition
	generation int32
	err        error
}

// running reports whether the round is under way; r may be nil.
func (r *round) running() bool {
	if r == nil {
		return false
	}
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// run is the goroutine of a round: it joins the group with what the member wants and owns,
// assigns if it is the leader, and fetches the assignment. It starts over when the group
// moves on meanwhile, and ends with the consumer.
func (m *member) run(r *round, topics []string) {
	defer m.c.ready.Wake()
	defer close(r.done)
	defer r.cancel()
	for {
		resp := m.join(r, topics)
		err := resp.Err
		if err == nil {
			synced := m.sync(r, resp)
			if err = synced.Err; err == nil {
				assignment, err := group.DecodeAssignment(synced.Assignment)
				r.assigned, r.generation, r.err = flatten(assignment), resp.Generation, err
				return
			}
		}
		if !m.retry(r, err, resp.MemberID) {
			r.err = err
			return
		}
	}
}

// retry decides whether the round goes on after an error, and with which member id.
func (m *member) retry(r *round, err error, id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.round != r || r.ctx.Err() != nil:
		return false
	case errors.Is(err, ErrMemberIDRequired):
		m.id = id
	case errors.Is(err, ErrUnknownMember), errors.Is(err, ErrUnknownGroup):
		m.id, m.generation, m.joined = "", -1, false
		m.lost = m.lost || len(m.owned) > 0
	case errors.Is(err, ErrRebalanceInProgress), errors.Is(err, ErrIllegalGeneration):
	default:
		return false
	}
	return true
}

// join waits for the next generation with the member in it.
func (m *member) join(r *round, topics []string) group.JoinResponse {
	_ = m.c.b.groups.Watch(m.c.opts.Group, m.waiter) // the group may be another one of that name
	resp := m.c.b.groups.Join(r.ctx, m.c.opts.Group, m.joinRequest(topics))
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case resp.Err != nil:
	case m.round != r:
		resp.Err = fmt.Errorf("group %s: %w: the member was lost meanwhile", m.c.opts.Group, ErrUnknownMember)
	default:
		m.id, m.generation, m.joined = resp.MemberID, resp.Generation, true
		m.leader = resp.Leader == resp.MemberID
	}
	return resp
}

func (m *member) joinRequest(topics []string) group.JoinRequest {
	m.mu.Lock()
	id, generation, lastIn := m.id, m.generation, m.lastIn
	owned, last := byTopic(m.owned), byTopic(m.last)
	if m.lost {
		owned, last = nil, nil
	}
	m.mu.Unlock()
	req := group.JoinRequest{
		MemberID: id, NewMemberID: newMemberID(m.opts.ClientID), InstanceID: m.opts.InstanceID,
		ClientID: m.opts.ClientID, ClientHost: "in-process", Local: true,
		SessionTimeout: m.opts.SessionTimeout, RebalanceTimeout: m.opts.MaxPollInterval,
		ProtocolType: "consumer", SkipAssignment: true,
	}
	for _, a := range m.opts.Assignors {
		sub := group.Subscription{Topics: topics, Generation: generation, UserData: a.UserData(last, lastIn)}
		if m.cooperative {
			sub.Owned = owned
		}
		req.Protocols = append(req.Protocols, group.Protocol{Name: a.Name(), Metadata: group.EncodeSubscription(sub)})
	}
	return req
}

// sync fetches the member's assignment; the leader brings everybody's, unless it came
// back as a static member and the assignments stand.
func (m *member) sync(r *round, resp group.JoinResponse) group.SyncResponse {
	req := group.SyncRequest{
		MemberID: resp.MemberID, InstanceID: m.opts.InstanceID, Generation: resp.Generation,
		ProtocolType: resp.ProtocolType, ProtocolName: resp.ProtocolName,
	}
	if resp.Leader == resp.MemberID {
		members, shapes := m.members(resp)
		if resp.SkipAssignment {
			m.standing(shapes)
		} else {
			req.Assignments = m.assign(resp, members, shapes)
		}
		m.mu.Lock()
		m.shapes, m.compared = shapes, false
		m.mu.Unlock()
	}
	return m.c.b.groups.Sync(r.ctx, m.c.opts.Group, req)
}

// shape is what the leader looks at to see whether a topic has to be assigned anew.
type shape struct {
	id         TopicID
	partitions int32 // 0 when there is no such topic
}

func (m *member) shape(name string) shape {
	id, n, _ := m.c.b.catalogue.TopicID(name)
	return shape{id, n}
}

// members reads what the members of the generation have said, and looks at their topics.
func (m *member) members(resp group.JoinResponse) ([]group.AssignMember, map[string]shape) {
	members := make([]group.AssignMember, 0, len(resp.Members))
	shapes := make(map[string]shape)
	for _, jm := range resp.Members {
		sub, err := group.DecodeSubscription(jm.Metadata)
		if err != nil {
			m.c.b.logger.Warn("a member of the group sent a subscription that cannot be read, and gets nothing",
				zap.String("group", m.c.opts.Group), zap.String("member", jm.ID), zap.Error(err))
		}
		members = append(members, group.AssignMember{ID: jm.ID, InstanceID: jm.InstanceID, Subscription: sub})
		for _, name := range sub.Topics {
			shapes[name] = m.shape(name)
		}
	}
	return members, shapes
}

// standing sets the numbers of partitions to what is assigned: a topic may have grown
// since, while the leader was away.
func (m *member) standing(shapes map[string]shape) {
	assigned := make(map[string]int32)
	if d, err := m.c.b.groups.Describe(m.c.opts.Group); err == nil {
		for _, md := range d.Members {
			a, _ := group.DecodeAssignment(md.Assignment)
			for name, ps := range a {
				assigned[name] += int32(len(ps))
			}
		}
	}
	for name, s := range shapes {
		s.partitions = assigned[name]
		shapes[name] = s
	}
}

// assign divides the partitions of all subscribed topics among the members.
func (m *member) assign(resp group.JoinResponse, members []group.AssignMember, shapes map[string]shape) map[string][]byte {
	i := slices.IndexFunc(m.opts.Assignors, func(a Assignor) bool { return a.Name() == resp.ProtocolName })
	if i < 0 {
		return nil // the group chose a protocol that this member did not offer
	}
	known := make(map[string]int32, len(shapes))
	for name, s := range shapes {
		if s.partitions > 0 {
			known[name] = s.partitions
		}
	}
	encoded := make(map[string][]byte, len(members))
	for id, a := range m.opts.Assignors[i].Assign(members, known) {
		encoded[id] = group.EncodeAssignment(a)
	}
	return encoded
}
