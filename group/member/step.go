package member

import "github.com/samsa-go/samsa/log"

// Step is what Poll, or Close, has to do for the group before it goes on. Who was given one does
// nothing else until it is done.
type Step struct {
	Kind       Kind
	Partitions []log.TopicPartition // not to be changed
	MemberID   string               // for Quit
	Err        error                // for Fail
}

// Kind is the kind of a step.
type Kind int

const (
	// Nothing is to be done: records may be handed out.
	Nothing Kind = iota
	// Fail is the outcome of Poll: Err.
	Fail
	// Lose is to stop reading Partitions and tell Released, then the program. Others have them already.
	Lose
	// Examine is to tell Examined which of Partitions cannot be read any more.
	Examine
	// Revoke is to tell the program, have it commit, stop reading Partitions, and tell Released.
	Revoke
	// Assign is to read Partitions and tell Assigned, then the program.
	Assign
	// Rejoin is to call Begin, and run the round.
	Rejoin
	// Quit is to leave the group as MemberID, unless that is "".
	Quit
)

// Next returns what Poll has to do first. It does not wait for the round.
func (m *Member) Next() Step {
	switch {
	case m.life != open:
		return Step{Kind: Fail, Err: log.ErrClosed}
	case len(m.lost) > 0:
		return Step{Kind: Lose, Partitions: m.lost}
	case m.phase == failed:
		return m.quit()
	case m.err != nil:
		return m.fail()
	case m.Running(m.round):
		return Step{}
	case m.phase == synced:
		return Step{Kind: Examine, Partitions: m.owned}
	case m.phase == adopting:
		if revoked := m.revoked(); len(revoked) > 0 {
			return Step{Kind: Revoke, Partitions: revoked}
		}
		return Step{Kind: Assign, Partitions: without(m.assigned, m.owned)}
	case m.rejoin && !m.cooperative && len(m.owned) > 0: // eager: it gives everything up before it joins
		return Step{Kind: Revoke, Partitions: m.owned}
	case m.rejoin:
		return Step{Kind: Rejoin}
	}
	return Step{}
}

// Due reports whether Next has something for Poll. It is true also for an error for ever, which
// every Poll is told.
func (m *Member) Due() bool {
	return m.life == open && (len(m.lost) > 0 || m.err != nil || !m.Running(m.round) && (m.phase != idle || m.rejoin))
}

// quit is for a member that cannot take part in the group: Poll is told why, and the next one
// tries again. A static member may do so from elsewhere.
func (m *Member) quit() Step {
	s, err := Step{Kind: Quit}, m.err
	if m.opts.InstanceID == "" {
		s.MemberID = m.id
	}
	m.Lose()
	m.err = err
	return s
}

func (m *Member) fail() Step {
	err := m.err
	if !forEver(err) {
		m.err = nil // the next Poll tries again
	}
	return Step{Kind: Fail, Err: err}
}

// revoked returns what is owned and not to be kept, while adopting.
func (m *Member) revoked() []log.TopicPartition {
	revoked := without(m.owned, m.assigned)
	return append(revoked, without(without(m.owned, revoked), without(m.owned, m.dead))...)
}

// Examined ends the step Examine. What it is told is dead is read anew, if it is assigned.
func (m *Member) Examined(dead []log.TopicPartition) {
	if m.phase != synced {
		return // lost meanwhile
	}
	m.phase, m.dead = adopting, dead
	// What is revoked can go to others only after a further round (KIP-429).
	m.rejoin = m.rejoin || m.cooperative && len(without(m.owned, m.assigned)) > 0
}

// Released says that partitions are not read any more.
func (m *Member) Released(tps []log.TopicPartition) {
	m.owned, m.lost = without(m.owned, tps), without(m.lost, tps)
}

// Assigned says that of what Assign has named all is read but refused, and returns what is. It may
// have been lost meanwhile.
func (m *Member) Assigned(named, refused []log.TopicPartition) []log.TopicPartition {
	added := without(named, refused)
	if m.phase != adopting {
		m.lost = append(m.lost, added...)
		return added
	}
	m.owned = without(m.assigned, refused)
	m.last, m.lastIn = m.assigned, m.generation
	m.phase, m.assigned = idle, nil
	return added
}

// Close begins the end: a Poll is told ErrClosed, and the steps are those of Last.
func (m *Member) Close() { m.life = max(m.life, closing) }

// Last returns what Close has to do before it leaves the group: to give up all that is read.
func (m *Member) Last() Step {
	switch {
	case len(m.lost) > 0:
		return Step{Kind: Lose, Partitions: m.lost}
	case len(m.owned) > 0:
		return Step{Kind: Revoke, Partitions: m.owned}
	}
	return Step{}
}

// Closed ends the membership, when no round is under way any more, and returns the id with which to
// leave the group: "" for a static member, which may come back, and without one.
func (m *Member) Closed() (memberID string) {
	m.life = closed
	if m.opts.InstanceID == "" {
		memberID = m.id
	}
	return memberID
}
