package samsa

import (
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
)

// run is the goroutine of a round: it joins the group with what the member wants and owns,
// assigns if it is the leader, and fetches the assignment. It starts over when the group
// moves on meanwhile, and ends with the consumer.
func (m *member) run(r *round, topics []string, owned []TopicPartition) {
	defer m.c.ready.Wake()
	defer close(r.done)
	for m.ctx.Err() == nil {
		resp := m.join(topics, owned)
		if resp.Err != nil {
			if !m.retry(resp.Err, resp.MemberID) {
				r.err = resp.Err
				return
			}
			continue
		}
		sync := m.sync(resp)
		if sync.Err != nil {
			if !m.retry(sync.Err, resp.MemberID) {
				r.err = sync.Err
				return
			}
			continue
		}
		assignment, err := group.DecodeAssignment(sync.Assignment)
		r.assigned, r.err = flatten(assignment), err
		return
	}
	r.err = ErrClosed
}

// retry decides whether the round goes on after an error, and with which member id.
func (m *member) retry(err error, id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
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

func (m *member) join(topics []string, owned []TopicPartition) group.JoinResponse {
	m.mu.Lock()
	id, generation := m.id, m.generation
	if !m.joined {
		owned = nil // lost: whatever was owned is not any more
	}
	m.mu.Unlock()
	req := group.JoinRequest{
		MemberID: id, NewMemberID: newMemberID(m.opts.ClientID), InstanceID: m.opts.InstanceID,
		ClientID: m.opts.ClientID, ClientHost: "in-process",
		SessionTimeout: m.opts.SessionTimeout, RebalanceTimeout: m.opts.MaxPollInterval,
		ProtocolType: "consumer",
	}
	for _, a := range m.opts.Assignors {
		sub := group.Subscription{Topics: topics, Generation: generation, UserData: a.UserData(byTopic(owned), generation)}
		if m.cooperative {
			sub.Owned = byTopic(owned)
		}
		req.Protocols = append(req.Protocols, group.Protocol{Name: a.Name(), Metadata: group.EncodeSubscription(sub)})
	}
	resp := m.c.b.groups.Join(m.ctx, m.c.opts.Group, req)
	if resp.Err == nil {
		m.mu.Lock()
		m.id, m.generation, m.joined = resp.MemberID, resp.Generation, true
		m.leader = resp.Leader == resp.MemberID
		m.mu.Unlock()
	}
	return resp
}

// sync fetches the member's assignment; the leader brings everybody's.
func (m *member) sync(resp group.JoinResponse) group.SyncResponse {
	req := group.SyncRequest{
		MemberID: resp.MemberID, InstanceID: m.opts.InstanceID, Generation: resp.Generation,
		ProtocolType: resp.ProtocolType, ProtocolName: resp.ProtocolName,
	}
	if resp.Leader == resp.MemberID && !resp.SkipAssignment {
		req.Assignments = m.assign(resp)
	}
	return m.c.b.groups.Sync(m.ctx, m.c.opts.Group, req)
}

// assign divides the partitions of all subscribed topics among the members.
func (m *member) assign(resp group.JoinResponse) map[string][]byte {
	i := slices.IndexFunc(m.opts.Assignors, func(a Assignor) bool { return a.Name() == resp.ProtocolName })
	if i < 0 {
		return nil // the group chose a protocol that this member did not offer
	}
	members := make([]group.AssignMember, 0, len(resp.Members))
	counts := make(map[string]int32)
	for _, jm := range resp.Members {
		sub, err := group.DecodeSubscription(jm.Metadata)
		if err != nil {
			m.c.b.logger.Warn("a member of the group sent a subscription that cannot be read, and gets nothing",
				zap.String("group", m.c.opts.Group), zap.String("member", jm.ID), zap.Error(err))
		}
		members = append(members, group.AssignMember{ID: jm.ID, InstanceID: jm.InstanceID, Subscription: sub})
		for _, name := range sub.Topics {
			_, counts[name], _ = m.c.b.catalogue.TopicID(name)
		}
	}
	m.mu.Lock()
	m.counts = counts
	m.mu.Unlock()
	known := make(map[string]int32, len(counts))
	for name, n := range counts {
		if n > 0 {
			known[name] = n
		}
	}
	encoded := make(map[string][]byte, len(members))
	for id, a := range m.opts.Assignors[i].Assign(members, known) {
		encoded[id] = group.EncodeAssignment(a)
	}
	return encoded
}
