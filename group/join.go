package group

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/log"
)

// Join brings a member into the group, or into its next generation. The answer may be among
// the effects, or among those of a later call: once all members have joined, or the time
// for it has run out.
//
// A newer Join of a member ends the one that waits, and a waiting Sync, with
// ErrRebalanceInProgress.
func (g *Group) Join(now time.Time, req JoinRequest) Effects {
	t := turn{now: now}
	m, err := g.admit(req)
	switch {
	case errors.Is(err, log.ErrGroupFull):
		t.joined(JoinResponse{Ticket: req.Ticket, Err: err, MemberID: req.MemberID})
		g.turnAway(&t, m, req.MemberID)
	case err != nil:
		t.joined(JoinResponse{Ticket: req.Ticket, Err: err, MemberID: req.MemberID})
	case m != nil && req.MemberID == "":
		g.replace(&t, m, req)
	case m != nil:
		g.rejoin(&t, m, req)
	case req.MemberID == "" && req.InstanceID == "" && req.RequireKnownMember:
		g.pending[req.NewMemberID] = now.Add(req.SessionTimeout)
		err := g.wrap(req.NewMemberID, log.ErrMemberIDRequired)
		t.joined(JoinResponse{Ticket: req.Ticket, Err: err, MemberID: req.NewMemberID})
	default:
		g.add(&t, req)
	}
	return t.end(g)
}

// turnAway puts out the member, or the id that was awaited, for which there is no room. Nobody
// waits for it any more.
func (g *Group) turnAway(t *turn, m *member, memberID string) {
	delete(g.pending, memberID)
	if m != nil {
		t.because(m, "has no room")
		g.remove(t, m)
	}
	g.settle(t, m != nil)
}

// admit checks a Join and returns the member that it comes from; nil if it is a new one. With
// ErrGroupFull it returns the member that there is no room for any more.
func (g *Group) admit(req JoinRequest) (*member, error) {
	if err := g.rules.checkSession(req.SessionTimeout); err != nil {
		return nil, fmt.Errorf("group %s: member %s: %w", g.name, req.MemberID, err)
	}
	if !readable(req) {
		return nil, fmt.Errorf("%w: ids and protocol names are to be UTF-8", g.wrap(req.MemberID, log.ErrInvalidOption))
	}
	var m *member
	var err error
	_, awaited := g.pending[req.MemberID]
	switch {
	case g.state == Dead:
		err = g.wrap(req.MemberID, log.ErrUnknownGroup)
	case req.MemberID == "":
		m = g.byInstance[req.InstanceID] // nil for a dynamic member
	case awaited && req.InstanceID == "": // only dynamic members are given ids before they join
	default:
		m, err = g.find(req.MemberID, req.InstanceID)
	}
	switch {
	case err != nil:
		return nil, err
	case !g.speaks(req, m):
		return nil, fmt.Errorf("%w: %s", g.wrap(req.MemberID, log.ErrInconsistentProtocol), describe(req))
	case !g.hasRoom(m):
		return m, fmt.Errorf("%w: at most %d members", g.wrap(req.MemberID, log.ErrGroupFull), g.rules.MaxMembers)
	case g.metadataBesides(m)+req.metadata() > maxGroupMetadata:
		return nil, fmt.Errorf("%w: %d bytes of metadata, and %d of other members, at most %d together",
			g.wrap(req.MemberID, log.ErrInvalidOption), req.metadata(), g.metadataBesides(m), maxGroupMetadata)
	}
	return m, nil
}

// What a group has of its members is one value in the store, which has its limits. In bytes.
const (
	maxGroupMetadata    = 12 << 20
	maxGroupAssignments = 8 << 20
)

// metadata returns how much the member says of itself, in bytes.
func (r JoinRequest) metadata() int { return metadataSize(r.Protocols) }

func metadataSize(of []Protocol) (n int) {
	for _, p := range of {
		n += len(p.Name) + len(p.Metadata)
	}
	return n
}

// metadataBesides returns how much all members say but one.
func (g *Group) metadataBesides(self *member) (n int) {
	for _, m := range g.members {
		if m != self {
			n += metadataSize(m.protocols)
		}
	}
	return n
}

// checkSession says why the rules do not allow a session timeout.
func (r Rules) checkSession(s time.Duration) error {
	if s <= 0 || s < r.MinSessionTimeout || r.MaxSessionTimeout > 0 && s > r.MaxSessionTimeout {
		return fmt.Errorf("%w: %s, the broker allows %s to %s", log.ErrInvalidSessionTimeout, s, r.MinSessionTimeout, r.MaxSessionTimeout)
	}
	return nil
}

// hasRoom says whether m, or with nil a new member, may join. Who is in keeps the place, unless
// fewer members are allowed now: then the last who join the next generation are too many.
func (g *Group) hasRoom(m *member) bool {
	most := g.rules.MaxMembers
	switch {
	case most <= 0:
		return true
	case m == nil:
		return len(g.members) < most
	case len(g.members) <= most || g.state != PreparingRebalance || m.join != 0:
		return true
	}
	joined := 0
	for _, other := range g.members {
		if other.join != 0 {
			joined++
		}
	}
	return joined < most
}

// readable says whether all names survive being stored as text.
func readable(req JoinRequest) bool {
	ok := utf8.ValidString(req.MemberID + req.NewMemberID + req.InstanceID + req.ProtocolType)
	for _, p := range req.Protocols {
		ok = ok && utf8.ValidString(p.Name)
	}
	return ok
}

// maxProtocols bounds the protocols of a member, which are compared with each other and with those of all others: a request has room for
// hundreds of thousands, and clients have some.
const maxProtocols = 100

// speaks says whether the request has a protocol in common with all members but self,
// whose old protocols no longer matter.
func (g *Group) speaks(req JoinRequest, self *member) bool {
	if req.ProtocolType == "" || len(req.Protocols) == 0 || len(req.Protocols) > maxProtocols {
		return false
	}
	if g.isOnly(self) {
		return true
	}
	return req.ProtocolType == g.protocolType && slices.ContainsFunc(req.Protocols, func(p Protocol) bool {
		return g.allSupport(p.Name, self)
	})
}

// isOnly says whether there are no members besides m, which may be nil.
func (g *Group) isOnly(m *member) bool {
	return len(g.members) == 0 || len(g.members) == 1 && g.members[0] == m
}

func describe(req JoinRequest) string {
	names := make([]string, len(req.Protocols))
	for i, p := range req.Protocols {
		names[i] = p.Name
	}
	return fmt.Sprintf("type %q, protocols %q", req.ProtocolType, names)
}

// add makes a new member, under the id it was given before or gets now.
func (g *Group) add(t *turn, req JoinRequest) {
	m := &member{id: req.MemberID, instance: req.InstanceID, told: req.MemberID != ""}
	if m.id == "" {
		m.id = req.NewMemberID
	}
	delete(g.pending, m.id)
	g.members = append(g.members, m)
	g.byID[m.id] = m
	if m.static() {
		g.byInstance[m.instance] = m
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.grown = true
	g.update(m, req)
	t.because(m, "joins")
	g.wait(t, m, req.Ticket)
}

// rejoin lets a member of the group join again. If that changes nothing it is told how
// things are: its answer may have been lost. The leader however joins again to assign
// anew, say because a topic has grown.
func (g *Group) rejoin(t *turn, m *member, req JoinRequest) {
	unchanged := req.ProtocolType == g.protocolType && sameProtocols(m.protocols, req.Protocols)
	g.refuse(t, m, m.id, log.ErrRebalanceInProgress)
	if unchanged && (g.state == CompletingRebalance || g.state == Stable && m.id != g.leader) {
		m.due = m.due || g.state == CompletingRebalance
		g.tell(t, m, req.Ticket)
		return
	}
	g.update(m, req)
	t.because(m, "joins again")
	g.wait(t, m, req.Ticket)
}

// replace lets a static member come back that has lost its id, and fences whoever still
// uses that. In Stable it gets its old assignment, unless it wants something else.
func (g *Group) replace(t *turn, m *member, req JoinRequest) {
	old := m.id
	g.refuse(t, m, old, log.ErrFencedInstance)
	delete(g.byID, old)
	m.id, m.told = req.NewMemberID, false
	g.byID[m.id] = m
	leads := g.leader == old
	if leads {
		g.leader = m.id
	}
	same := req.ProtocolType == g.protocolType && sameSubscription(g.protocolType,
		m.metadata(g.protocolName), metadata(req.Protocols, g.protocolName))
	g.update(m, req)
	if g.state != Stable || !same || g.selectProtocol() != g.protocolName {
		t.because(m, "takes the place of "+old)
		g.wait(t, m, req.Ticket)
		return
	}
	t.persist = true
	r := g.generationFor(m, req.Ticket)
	if r.SkipAssignment = leads && req.SkipAssignment; leads && !r.SkipAssignment {
		// A client that took itself for the leader would assign, and nobody would listen.
		r.Leader, r.Members = old, nil
	}
	m.told = true
	m.alive(t.now)
	t.joined(r)
}

// update takes over what a member says about itself.
func (g *Group) update(m *member, req JoinRequest) {
	m.update(req)
	if g.isOnly(m) {
		g.protocolType = req.ProtocolType
	}
}

// wait keeps the Join until the join phase ends, and begins one if none is under way.
func (g *Group) wait(t *turn, m *member, ticket Ticket) {
	m.alive(t.now)
	m.join = ticket
	g.rebalance(t)
}

// tell answers a Join with the generation as it is.
func (g *Group) tell(t *turn, m *member, ticket Ticket) {
	m.join, m.told = 0, true
	m.alive(t.now)
	t.joined(g.generationFor(m, ticket))
}

func (g *Group) generationFor(m *member, ticket Ticket) JoinResponse {
	r := JoinResponse{
		Ticket:       ticket,
		MemberID:     m.id,
		Generation:   g.generation,
		ProtocolType: g.protocolType,
		ProtocolName: g.protocolName,
		Leader:       g.leader,
	}
	if m.id == g.leader {
		for _, other := range g.members {
			r.Members = append(r.Members, JoinedMember{other.id, other.instance, other.metadata(g.protocolName)})
		}
	}
	return r
}

// refuse ends the calls of the member that wait, which were made under the given id.
func (g *Group) refuse(t *turn, m *member, id string, err error) {
	if m.join != 0 {
		t.joined(JoinResponse{Ticket: m.join, Err: g.wrap(id, err), MemberID: id})
		m.join = 0
	}
	if m.sync != 0 {
		t.synced(SyncResponse{Ticket: m.sync, Err: g.wrap(id, err)})
		m.sync = 0
	}
}
