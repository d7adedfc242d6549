package store

import (
	"bytes"
	"errors"
)

var errKeysOnly = errors.New("value asked for in a scan of keys only")

func noValue([]byte, int) ([]byte, error) { return nil, errKeysOnly }

// holds reports whether the caller of a scan is to see key. The store's own keys are
// shown only to who asks for them by name.
func (r Range) holds(key []byte) bool {
	if !r.Contains(key) {
		return false
	}
	return key[0] != prefixStore || (len(r.From) > 0 && r.From[0] == prefixStore)
}

// Contains reports whether r selects key.
func (r Range) Contains(key []byte) bool { return bytes.Compare(key, r.From) >= 0 && !r.beyond(key) }

// past reports whether a scan in the direction of r that has come to key is over.
func (r Range) past(key []byte) bool {
	if r.Reverse {
		return bytes.Compare(key, r.From) < 0
	}
	return r.beyond(key)
}

func (r Range) beyond(key []byte) bool {
	return len(r.To) > 0 && bytes.Compare(key, r.To) >= 0
}
