package txn

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// State is where a transactional id stands, by Kafka's names. Kafka's PrepareCommit and PrepareAbort are not there: all
// that an end does is in one commit of the store.
//
//	Empty -> Ongoing -> CompleteCommit, CompleteAbort
//	  ^         ^___________________|
//	  |_____________________________|  a producer begins
type State uint8

// The states of a transactional id.
const (
	Empty          State = iota // a producer has begun, and done nothing yet
	Ongoing                     // its transaction is open
	CompleteCommit              // the last one was committed
	CompleteAbort               // the last one was aborted
)

var stateNames = [...]string{"Empty", "Ongoing", "CompleteCommit", "CompleteAbort"}

// String returns Kafka's name of the state.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText returns Kafka's name of the state.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("%w: %s", log.ErrInvalidOption, s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("%w: there is no state %q of a transaction", log.ErrInvalidOption, text)
}
