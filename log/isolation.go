package log

import "fmt"

// Isolation says which records of transactions a reader gets, by Kafka's names. Its numbers are not Kafka's: the zero
// value is the one that is right for most.
type Isolation int8

const (
	// ReadCommitted gets the records of committed transactions, and those of none, in the order of their offsets. It
	// waits at a transaction that is open: for its end, or for its time-out. The default.
	ReadCommitted Isolation = iota
	// ReadUncommitted gets all records, those of transactions too that are open or were aborted. Kafka's default.
	ReadUncommitted
)

// KnownIsolation reports whether i is one of the constants.
func KnownIsolation(i Isolation) bool { return i >= ReadCommitted && i <= ReadUncommitted }

// String returns Kafka's name.
func (i Isolation) String() string {
	switch i {
	case ReadCommitted:
		return "read_committed"
	case ReadUncommitted:
		return "read_uncommitted"
	}
	return fmt.Sprintf("isolation(%d)", int8(i))
}

// MarshalText returns the name of String.
func (i Isolation) MarshalText() ([]byte, error) {
	if !KnownIsolation(i) {
		return nil, fmt.Errorf("%w: %s", ErrInvalidOption, i)
	}
	return []byte(i.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (i *Isolation) UnmarshalText(text []byte) error {
	for known := ReadCommitted; KnownIsolation(known); known++ {
		if known.String() == string(text) {
			*i = known
			return nil
		}
	}
	return fmt.Errorf("%w: isolation %q, want read_committed or read_uncommitted", ErrInvalidOption, text)
}
