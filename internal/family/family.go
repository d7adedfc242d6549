// Package family is the families of errors. Package log gives them to users, who may ask for a family in
// place of each error of it.
package family

import "errors"

// The families. What each means is said in package log.
var (
	ErrInvalid        = errors.New("invalid")
	ErrUnknown        = errors.New("unknown")
	ErrFenced         = errors.New("fenced")
	ErrTooLarge       = errors.New("too large")
	ErrUnavailable    = errors.New("unavailable for the moment")
	ErrUnsupported    = errors.New("unsupported")
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Of returns err as an error of a family: errors.Is finds both. The message is that of err.
func Of(family, err error) error { return &kin{err, family} }

// New returns a new error of a family.
func New(family error, text string) error { return Of(family, errors.New(text)) }

type kin struct{ err, family error }

// Error returns the message of the error, without a word of the family.
func (k *kin) Error() string { return k.err.Error() }

// Is finds the family. That allocates nothing, where an Unwrap that returns both would for each question.
func (k *kin) Is(target error) bool { return target == k.family }

// Unwrap returns the error.
func (k *kin) Unwrap() error { return k.err }
