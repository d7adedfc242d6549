package members

import (
	"encoding/json"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// stored is a Snapshot in the store, JSON.
type stored struct {
	Version int   `json:"version"`
	Epoch   int32 `json:"epoch"`
}

const storedVersion = 1

// Encode returns the snapshot as it is stored.
func (s Snapshot) Encode() []byte {
	v, err := json.Marshal(stored{storedVersion, s.Epoch})
	if err != nil {
		panic("members: plain data does not encode: " + err.Error())
	}
	return v
}

// DecodeSnapshot is the inverse of Encode. What it does not understand is ErrCorruptValue.
func DecodeSnapshot(v []byte) (Snapshot, error) {
	var s stored
	if err := json.Unmarshal(v, &s); err != nil {
		return Snapshot{}, fmt.Errorf("%w: share group: %w", log.ErrCorruptValue, err)
	}
	if s.Version != storedVersion || s.Epoch < 0 {
		return Snapshot{}, fmt.Errorf("%w: share group %q", log.ErrCorruptValue, v)
	}
	return Snapshot{s.Epoch}, nil
}
