package member

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// ErrNotIn is for who would commit for a group that it is not in.
var ErrNotIn = fmt.Errorf("%w: the consumer is not in the group", log.ErrUnknownMember)

// Claim is in whose name offsets are committed.
type Claim struct {
	MemberID   string
	Generation int32
	Round      int // that was under way then, 0 if none was
}

// Claim returns that of now. It is to be asked for before the offsets are
// collected: a partition that is read after that cannot be another's before this generation
// ends, and then the group refuses. The error is ErrClosed or ErrNotIn.
func (m *Member) Claim() (Claim, error) {
	c := Claim{Generation: -1}
	if m.Running(m.round) {
		c.Round = m.round
	}
	switch {
	case m.life == closed:
		return c, log.ErrClosed
	case !m.in():
		return c, ErrNotIn
	}
	c.MemberID, c.Generation = m.id, m.generation
	return c, nil
}

// Verdict is on a commit that the group has refused.
type Verdict int

const (
	// Final means that the error is the outcome.
	Final Verdict = iota
	// Again means that another one may succeed: the member is in another generation, or the round is over that was
	// under way.
	Again
	// AfterRound means that another one may succeed when the round is over.
	AfterRound
)

// Refused takes the error of a commit with that claim.
func (m *Member) Refused(c Claim, err error) Verdict {
	switch {
	case !errors.Is(err, log.ErrIllegalGeneration) && !errors.Is(err, log.ErrRebalanceInProgress):
	case m.in() && (m.generation != c.Generation || c.Round != 0 && !m.Running(c.Round)):
		return Again
	case m.Running(m.round): // the group is ahead of what the round has heard
		return AfterRound
	}
	m.Heard(c.Generation, err)
	return Final
}

// patience is how many auto-commits in a row may fail before Poll and the operator hear of it.
const patience = 3

// Saved takes the outcome of an auto-commit, and returns how many have failed in a row and whether
// Poll and the operator are to hear of it.
func (m *Member) Saved(err error) (failures int, tell bool) {
	switch {
	case err == nil:
		m.failures = 0
	case errors.Is(err, log.ErrUnknownMember), errors.Is(err, log.ErrIllegalGeneration), errors.Is(err, log.ErrRebalanceInProgress):
		// is tried again, or was lost with the partitions
	default:
		m.failures++
	}
	return m.failures, err != nil && m.failures >= patience
}
