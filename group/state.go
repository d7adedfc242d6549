package group

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// State is where a group stands, this is the way of a classic group:
//
//	Empty -> PreparingRebalance -> CompletingRebalance -> Stable
//	  |  ^         |   ^                  |                 |
//	  |  |_________|   |__________________|_________________|
//	  v  no member left      a member joins, leaves, expires
//	Dead
type State uint8

// The states of a group.
const (
	Empty               State = iota // no members
	PreparingRebalance               // the members are asked to join
	CompletingRebalance              // all have joined, the leader has not said who gets what
	Stable                           // every member has its assignment, or can fetch it
	Dead                             // deleted: this value is of no more use

	// Those of groups whose partitions or tasks the broker assigns, besides Empty, Stable and Dead.
	Assigning   // what the members are to have is being found
	Reconciling // some members do not have it yet
	NotReady    // of a Streams group: a topic is missing, or is not as it is needed
)

// String returns Kafka's name of the state.
func (s State) String() string {
	switch s {
	case Empty:
		return "Empty"
	case PreparingRebalance:
		return "PreparingRebalance"
	case CompletingRebalance:
		return "CompletingRebalance"
	case Stable:
		return "Stable"
	case Dead:
		return "Dead"
	case Assigning:
		return "Assigning"
	case Reconciling:
		return "Reconciling"
	case NotReady:
		return "NotReady"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText returns Kafka's name of the state.
func (s State) MarshalText() ([]byte, error) {
	if s > NotReady {
		return nil, fmt.Errorf("%w: group %s", log.ErrInvalidOption, s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (s *State) UnmarshalText(text []byte) error {
	for known := Empty; known <= NotReady; known++ {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("%w: there is no group state %q", log.ErrInvalidOption, text)
}
