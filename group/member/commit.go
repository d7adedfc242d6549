package member

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// ErrNotIn is for who would commit for a group that it is not in.
var ErrNotIn = fmt.Errorf("%w: the consumer is not in the group", log.ErrUnknownMember)

// Claim returns in whose name offsets are committed. It is to be asked for before the offsets are
// collected: a partition that is read after that cannot be another's before this generation
// ends, and then the group refuses. The error is ErrClosed or ErrNotIn.
func (m *Member) Claim() (memberID string, generation int32, err error) {
	switch {
	case m.life == closed:
		return "", -1, log.ErrClosed
	case !m.in():
		return "", -1, ErrNotIn
	}
	return m.id, m.generation, nil
}

// Verdict is on a commit that the group has refused.
type Verdict int

const (
	// Final means that the error is the outcome.
	Final Verdict = iota
	// Again means that another one may succeed: the member is in another generation.
	Again
	// AfterRound means that another one may succeed when the last round is over.
	AfterRound
)

// Refused takes the error of a commit in that generation. waited is the number of the round that was
// waited for already, or 0.
func (m *Member) Refused(generation int32, err error, waited int) Verdict {
	switch {
	case !errors.Is(err, log.ErrIllegalGeneration) && !errors.Is(err, log.ErrRebalanceInProgress):
	case m.in() && m.generation != generation:
		return Again
	case m.phase != idle && m.round != waited: // the group is ahead of what the round has heard
		return AfterRound
	}
	m.Heard(generation, err)
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
