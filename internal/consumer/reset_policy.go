package consumer

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// ResetPolicy says what happens to a consumer that stands where no records can be: before
// the log start offset because they were removed, or behind the log end.
type ResetPolicy int8

const (
	// ResetEarliest goes on at the first record there is. The default.
	ResetEarliest ResetPolicy = iota
	// ResetLatest goes on behind the last record.
	ResetLatest
	// ResetError makes Poll return ErrOffsetOutOfRange until the consumer seeks.
	ResetError
)

var resetNames = [...]string{"earliest", "latest", "error"}

// KnownReset reports whether p is one of the constants.
func KnownReset(p ResetPolicy) bool { return p >= ResetEarliest && p <= ResetError }

// String returns earliest, latest or error.
func (p ResetPolicy) String() string {
	if !KnownReset(p) {
		return fmt.Sprintf("reset(%d)", int8(p))
	}
	return resetNames[p]
}

// MarshalText returns the name of String.
func (p ResetPolicy) MarshalText() ([]byte, error) {
	if !KnownReset(p) {
		return nil, fmt.Errorf("%w: %s", log.ErrInvalidOption, p)
	}
	return []byte(p.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (p *ResetPolicy) UnmarshalText(text []byte) error {
	for known := ResetEarliest; KnownReset(known); known++ {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("%w: reset %q, want earliest, latest or error", log.ErrInvalidOption, text)
}
