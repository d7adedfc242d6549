package log

import "fmt"

// Isolation is which records a reader gets, by Kafka's names and numbers.
type Isolation int8

const (
	// ReadUncommitted gets all records, those of transactions too that are open or aborted. Kafka's default.
	ReadUncommitted Isolation = iota
	// ReadCommitted gets the records before the last stable offset, without those of transactions that were aborted.
	ReadCommitted
)

// String returns Kafka's name.
func (i Isolation) String() string {
	switch i {
	case ReadUncommitted:
		return "read_uncommitted"
	case ReadCommitted:
		return "read_committed"
	}
	return fmt.Sprintf("isolation(%d)", int8(i))
}

// MarshalText returns the name of String.
func (i Isolation) MarshalText() ([]byte, error) {
	if i < ReadUncommitted || i > ReadCommitted {
		return nil, fmt.Errorf("%w: %s", ErrInvalidOption, i)
	}
	return []byte(i.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (i *Isolation) UnmarshalText(text []byte) error {
	for known := ReadUncommitted; known <= ReadCommitted; known++ {
		if known.String() == string(text) {
			*i = known
			return nil
		}
	}
	return fmt.Errorf("%w: isolation %q, want read_uncommitted or read_committed", ErrInvalidOption, text)
}
