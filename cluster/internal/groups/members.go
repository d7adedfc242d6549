// Package groups is the groups of a cluster: where members meet, what they commit, and their administration, as internal/engine
// has them.
package groups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Groups are the groups of a cluster: engine.Coordinator, engine.Offsets and engine.Admin.
type Groups struct {
	link   *link.Link
	topics *read.Topics

	mu      sync.Mutex // guards what follows
	members map[memberKey]*connection
	closed  bool
}

// New returns the groups of a cluster, of which topics are known.
func New(l *link.Link, topics *read.Topics) *Groups {
	return &Groups{link: l, topics: topics, members: make(map[memberKey]*connection)}
}

// Close ends the connections of members.
func (g *Groups) Close() {
	g.mu.Lock()
	g.closed = true
	members := g.members
	g.members = nil
	g.mu.Unlock()
	for _, c := range members {
		c.Close()
	}
}

type memberKey struct{ group, member string }

// connection is a member's own client: a coordinator answers a connection's requests one after the other, and the join of one
// member may have to wait for that of another one.
type connection struct {
	*kgo.Client
	busy int       // calls that are under way
	used time.Time // the end of the last one
}

// forgotten is how long a member that says nothing keeps its connections. It has left, or was told that it is none; or it
// gets others.
const forgotten = 10 * time.Minute

// connect returns the client of a member, and what is to be called when the call is over. A new member has no id yet, and gets
// its client with known.
func (g *Groups) connect(k memberKey, clientID string) (*connection, func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, link.Explain("group "+k.group, kgo.ErrClientClosed)
	}
	now := time.Now()
	for old, c := range g.members {
		if c.busy == 0 && now.Sub(c.used) > forgotten {
			delete(g.members, old)
			c.Close()
		}
	}
	c := g.members[k]
	if c == nil {
		var opts []kgo.Opt
		if clientID != "" {
			opts = append(opts, kgo.ClientID(clientID))
		}
		cl, err := g.link.New(opts...)
		if err != nil {
			return nil, nil, err
		}
		c = &connection{Client: cl}
		if k.member != "" {
			g.members[k] = c
		}
	}
	c.busy++
	return c, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		c.busy--
		c.used = time.Now()
	}, nil
}

// known gives a new member its client, or closes that if nothing has come of it.
func (g *Groups) known(k memberKey, c *connection) {
	g.mu.Lock()
	keep := !g.closed && k.member != ""
	if keep && g.members[k] == nil {
		g.members[k] = c
	} else {
		keep = keep && g.members[k] == c
	}
	g.mu.Unlock()
	if !keep {
		c.Close()
	}
}

// of returns the client of a member that is there.
func (g *Groups) of(k memberKey) (*kgo.Client, func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.members[k]
	if c == nil {
		return g.link.Client, func() {}
	}
	c.busy++
	return c.Client, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		c.busy--
		c.used = time.Now()
	}
}

// forget closes the client of a member that has left.
func (g *Groups) forget(k memberKey) {
	g.mu.Lock()
	c := g.members[k]
	delete(g.members, k)
	g.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

func about(name, member string) string {
	if member == "" {
		return "group " + name
	}
	return fmt.Sprintf("group %s: member %s", name, member)
}

// optional is how Kafka writes what may be missing.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Join implements engine.Coordinator.
func (g *Groups) Join(ctx context.Context, name string, req group.JoinRequest) (resp group.JoinResponse) {
	resp.Ticket = req.Ticket
	k := memberKey{name, req.MemberID}
	c, done, err := g.connect(k, req.ClientID)
	if err != nil {
		resp.Err = err
		return resp
	}
	defer done()
	if req.MemberID == "" {
		defer func() { g.known(memberKey{name, resp.MemberID}, c) }()
	}
	r, err := link.Ask[*kmsg.JoinGroupResponse](ctx, c.Client, about(name, req.MemberID), joinRequest(name, req))
	if err != nil {
		resp.Err = err
		return resp
	}
	resp.Err = link.Code(about(name, req.MemberID), r.ErrorCode, nil)
	if errors.Is(resp.Err, log.ErrInconsistentProtocol) { // so a cluster says too that the name is another kind's
		resp.Err = cmp.Or(g.otherKind(ctx, name), resp.Err)
	}
	resp.MemberID, resp.Generation, resp.Leader, resp.SkipAssignment = r.MemberID, r.Generation, r.LeaderID, r.SkipAssignment
	resp.ProtocolType, resp.ProtocolName = text(r.ProtocolType), text(r.Protocol)
	for _, m := range r.Members {
		resp.Members = append(resp.Members, group.JoinedMember{ID: m.MemberID, InstanceID: text(m.InstanceID), Metadata: m.ProtocolMetadata})
	}
	return resp
}

// otherKind returns an error if the group of that name is a share group, or one of streams.
func (g *Groups) otherKind(ctx context.Context, name string) error {
	for _, ask := range []func(context.Context, string) (group.Description, error){g.describeShare, g.describeStreams} {
		if d, err := ask(ctx, name); err == nil {
			return fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, d.Kind)
		}
	}
	return nil
}

func joinRequest(name string, req group.JoinRequest) *kmsg.JoinGroupRequest {
	j := kmsg.NewPtrJoinGroupRequest()
	j.Group, j.MemberID, j.InstanceID, j.ProtocolType = name, req.MemberID, optional(req.InstanceID), req.ProtocolType
	j.SessionTimeoutMillis = int32(req.SessionTimeout.Milliseconds())
	if j.RebalanceTimeoutMillis = int32(req.RebalanceTimeout.Milliseconds()); j.RebalanceTimeoutMillis == 0 {
		j.RebalanceTimeoutMillis = j.SessionTimeoutMillis
	}
	for _, p := range req.Protocols {
		jp := kmsg.NewJoinGroupRequestProtocol()
		jp.Name, jp.Metadata = p.Name, p.Metadata
		j.Protocols = append(j.Protocols, jp)
	}
	return j
}

// Sync implements engine.Coordinator.
func (g *Groups) Sync(ctx context.Context, name string, req group.SyncRequest) group.SyncResponse {
	resp := group.SyncResponse{Ticket: req.Ticket}
	s := kmsg.NewPtrSyncGroupRequest()
	s.Group, s.MemberID, s.InstanceID, s.Generation = name, req.MemberID, optional(req.InstanceID), req.Generation
	s.ProtocolType, s.Protocol = optional(req.ProtocolType), optional(req.ProtocolName)
	for id, assignment := range req.Assignments {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, assignment
		s.GroupAssignment = append(s.GroupAssignment, a)
	}
	cl, done := g.of(memberKey{name, req.MemberID})
	defer done()
	r, err := link.Ask[*kmsg.SyncGroupResponse](ctx, cl, about(name, req.MemberID), s)
	if err != nil {
		resp.Err = err
		return resp
	}
	resp.Err = link.Code(about(name, req.MemberID), r.ErrorCode, nil)
	resp.ProtocolType, resp.ProtocolName, resp.Assignment = text(r.ProtocolType), text(r.Protocol), r.MemberAssignment
	return resp
}

// Heartbeat implements engine.Coordinator.
func (g *Groups) Heartbeat(ctx context.Context, name, memberID, instanceID string, generation int32) error {
	h := kmsg.NewPtrHeartbeatRequest()
	h.Group, h.MemberID, h.InstanceID, h.Generation = name, memberID, optional(instanceID), generation
	cl, done := g.of(memberKey{name, memberID})
	defer done()
	r, err := link.Ask[*kmsg.HeartbeatResponse](ctx, cl, about(name, memberID), h)
	if err != nil {
		return err
	}
	return link.Code(about(name, memberID), r.ErrorCode, nil)
}

// Leave implements engine.Coordinator.
func (g *Groups) Leave(ctx context.Context, name string, members []group.LeaveMember) []error {
	errs := make([]error, len(members))
	for i, m := range members { // one by one: old brokers take no more
		l := kmsg.NewPtrLeaveGroupRequest()
		l.Group, l.MemberID = name, m.MemberID
		lm := kmsg.NewLeaveGroupRequestMember()
		lm.MemberID, lm.InstanceID = m.MemberID, optional(m.InstanceID)
		l.Members = append(l.Members, lm)
		k := memberKey{name, m.MemberID}
		cl, done := g.of(k)
		r, err := link.Ask[*kmsg.LeaveGroupResponse](ctx, cl, about(name, m.MemberID), l)
		done()
		if err == nil {
			err = link.Code(about(name, m.MemberID), r.ErrorCode, nil)
		}
		for _, rm := range respMembers(r) {
			if err == nil {
				err = link.Code(about(name, m.MemberID), rm.ErrorCode, nil)
			}
		}
		errs[i] = err
		g.forget(k)
	}
	return errs
}

func respMembers(r *kmsg.LeaveGroupResponse) []kmsg.LeaveGroupResponseMember {
	if r == nil {
		return nil
	}
	return r.Members
}

// Watch implements engine.Coordinator: members hear what happens with their heartbeats.
func (g *Groups) Watch(name string, _ *engine.Waiter) error { return group.CheckName(name) }

// Unwatch implements engine.Coordinator.
func (g *Groups) Unwatch(string, *engine.Waiter) {}
