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
	r.err = errAssignorLeft // unless it returns
	r.err = m.rounds(r, topics)
}

// rounds is the work of run: it sets what r has but the error, which it returns.
func (m *member) rounds(r *round, topics []string) error {
	for {
		resp := m.join(r, topics)
		err := resp.Err
		if err == nil {
			synced := m.sync(r, resp)
			if err = synced.Err; err == nil {
				assignment, err := group.DecodeAssignment(synced.Assignment)
				r.assigned, r.generation = flatten(assignment), resp.Generation
				return err
			}
		}
		if !m.retry(r, err, resp.MemberID) {
			return err
		}
	}
}

// errAssignorLeft is for an assignor that ends the goroutine of the round (runtime.Goexit).
var errAssignorLeft = errors.New("an assignor did not return")

// ask calls a function of the assignor a, whose panic is an error for Poll: there it meets
// somebody, and not the whole process.
func (m *member) ask(a Assignor, what string, fn func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("assignor %s: %s panicked: %v", a.Name(), what, p)
			m.c.b.logger.Error("an assignor panicked", zap.String("group", m.c.opts.Group), zap.Error(err), zap.Stack("stack"))
		}
	}()
	fn()
	return nil
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
	req, err := m.joinRequest(topics)
	if err != nil {
		return group.JoinResponse{Err: err}
	}
	resp := m.c.b.groups.Join(r.ctx, m.c.opts.Group, req)
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

func (m *member) joinRequest(topics []string) (group.JoinRequest, error) {
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
		sub := group.Subscription{Topics: topics, Generation: generation}
		if err := m.ask(a, "UserData", func() { sub.UserData = a.UserData(last, lastIn) }); err != nil {
			return req, err
		}
		if m.cooperative {
			sub.Owned = owned
		}
		req.Protocols = append(req.Protocols, group.Protocol{Name: a.Name(), Metadata: group.EncodeSubscription(sub)})
	}
	return req, nil
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
			var err error
			if req.Assignments, err = m.assign(resp, members, shapes); err != nil {
				return group.SyncResponse{Err: err}
			}
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
func (m *member) assign(resp group.JoinResponse, members []group.AssignMember, shapes map[string]shape) (encoded map[string][]byte, err error) {
	i := slices.IndexFunc(m.opts.Assignors, func(a Assignor) bool { return a.Name() == resp.ProtocolName })
	if i < 0 {
		return nil, nil // the group chose a protocol that this member did not offer
	}
	known := make(map[string]int32, len(shapes))
	for name, s := range shapes {
		if s.partitions > 0 {
			known[name] = s.partitions
		}
	}
	encoded = make(map[string][]byte, len(members))
	assignor := m.opts.Assignors[i]
	err = m.ask(assignor, "Assign", func() {
		for id, a := range assignor.Assign(members, known) {
			encoded[id] = group.EncodeAssignment(a)
		}
	})
	return encoded, err
}
