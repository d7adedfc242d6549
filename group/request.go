package group

import "time"

// Ticket stands for a call that waits for its answer. The caller chooses it: not 0, and
// not one that still waits.
type Ticket uint64

// Protocol is one way of assigning that a member supports, with what the member tells
// the leader about itself under it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// JoinRequest is a member's wish to be in the next generation, or in this one.
type JoinRequest struct {
	Ticket     Ticket
	MemberID   string // "" for a member that has none yet
	InstanceID string // of a static member, which keeps its place over a restart; else ""

	// NewMemberID is the id which the group gives to the member if it has to name one.
	// No member of the group ever had it.
	NewMemberID string
	// RequireKnownMember makes a dynamic member without an id join twice: first to get
	// the id, with ErrMemberIDRequired, then with it (KIP-394).
	RequireKnownMember bool
	// Local says that the member is in the broker's process, and comes when it starts: for more
	// of its kind nobody waits (Rules.InitialDelay).
	Local bool
	// SkipAssignment says that the member understands JoinResponse.SkipAssignment.
	SkipAssignment bool

	ClientID, ClientHost string
	SessionTimeout       time.Duration // without a sign of life the member is out
	RebalanceTimeout     time.Duration // what the member may take to rejoin; 0 means SessionTimeout

	ProtocolType string     // "consumer" for consumers; the same for all members
	Protocols    []Protocol // the most wanted first; one at least must be common to all members
}

// JoinResponse answers a JoinRequest. All that a generation's members are told is the same,
// but for Members.
type JoinResponse struct {
	Ticket   Ticket
	Err      error
	MemberID string // on ErrMemberIDRequired, the id to join with

	Generation                 int32
	ProtocolType, ProtocolName string
	Leader                     string
	Members                    []JoinedMember // for the leader only, who has to assign
	// SkipAssignment tells a static leader who came back into a Stable group that it leads,
	// and that the assignments stand (KIP-814).
	SkipAssignment bool
}

// JoinedMember is a member as the leader gets to know it.
type JoinedMember struct {
	ID, InstanceID string
	Metadata       []byte // under the chosen protocol
}

// SyncRequest asks for the member's assignment; from the leader, it brings them all.
type SyncRequest struct {
	Ticket               Ticket
	MemberID, InstanceID string
	Generation           int32
	// ProtocolType and ProtocolName are checked unless "": old clients don't send them (KIP-559).
	ProtocolType, ProtocolName string
	Assignments                map[string][]byte // by member id; who is missing gets an empty one
}

// SyncResponse answers a SyncRequest.
type SyncResponse struct {
	Ticket                     Ticket
	Err                        error
	ProtocolType, ProtocolName string
	Assignment                 []byte
}

// LeaveMember names a member that leaves: by its id, by both, or, for a static member that
// somebody else removes, by its instance id alone.
type LeaveMember struct{ MemberID, InstanceID string }

// Effects is what a call brought about, besides what it returns. The caller first makes
// Persist durable, if there is one, then releases the answers. Effects of one group are
// carried out in the order of the calls: a later answer may rest on an earlier Persist.
// The Group is ahead of the store until then; if Persist fails, no answer may be released any
// more, and the group goes on from what was stored last, by Restore.
type Effects struct {
	// Rebalanced is why a new generation has begun, for people; "" when none has.
	Rebalanced string

	Persist *Snapshot
	// Change, of a Modern, is to be stored in the place of Persist, or besides. Classic is what such a group has become, if it
	// is one no more.
	Change  *ModernChange
	Classic *Group

	Joins []JoinResponse
	Syncs []SyncResponse
}

// turn collects the effects of one call.
type turn struct {
	now     time.Time
	persist bool
	why     string // a rebalance begins, if it does
	effects Effects
}

// because notes the first reason for a rebalance.
func (t *turn) because(m *member, what string) {
	if t.why == "" {
		t.why = "member " + m.id + " " + what
	}
}

func (t *turn) end(g *Group) Effects {
	if t.persist {
		s := g.Snapshot()
		t.effects.Persist = &s
	}
	return t.effects
}

func (t *turn) joined(r JoinResponse) { t.effects.Joins = append(t.effects.Joins, r) }
func (t *turn) synced(r SyncResponse) { t.effects.Syncs = append(t.effects.Syncs, r) }
