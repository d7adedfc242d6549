package store

import "sync"

// hotBytes bounds the keys and values in a hot, with what the map takes for them.
const (
	hotBytes    = 4 << 20
	hotOverhead = 128 // an entry's, about
)

// hot keeps what the application's own keys were set to last, and what was read of them: in
// Badger each read costs some microseconds, and transactions read what they wrote lately.
//
// An entry holds since its version: every commit that changes the key replaces it before
// the commit becomes visible. So it is right for all who read at that version or a later one
// that is visible, and says nothing to those who read at an older one.
type hot struct {
	mu      sync.RWMutex // guards what follows
	entries map[string]hotEntry
	bytes   int
	changed uint64 // version of the last commit that changed a key of the application
}

type hotEntry struct {
	version uint64
	value   []byte // nil: there is none
}

// get returns a copy of the value under key as of a version, or that it is not known here.
func (h *hot) get(key []byte, version uint64) (value []byte, known bool, err error) {
	h.mu.RLock()
	e, ok := h.entries[string(key)]
	h.mu.RUnlock()
	switch {
	case !ok || e.version > version:
		return nil, false, nil
	case e.value == nil:
		return nil, true, ErrNotFound
	}
	return append(make([]byte, 0, len(e.value)), e.value...), true, nil
}

// learn keeps what was read at a visible version, unless a commit may have changed it since.
func (h *hot) learn(key, value []byte, version uint64) {
	if !cacheable(key, value) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if version >= h.changed {
		h.setLocked(key, value, version)
	}
}

// apply takes over what a commit, the next to become visible, does to keys of the application.
func (h *hot) apply(b *Batch, version uint64) {
	locked := false
	for i := range b.ops {
		o := &b.ops[i]
		if o.key[0] != prefixApp {
			continue
		}
		if !locked {
			locked = true
			h.mu.Lock()
			h.changed = version
		}
		switch {
		case o.remove:
			h.setLocked(o.key, nil, version)
		case cacheable(o.key, o.value):
			h.setLocked(o.key, o.value, version)
		default:
			h.dropLocked(string(o.key))
		}
	}
	if locked {
		h.mu.Unlock()
	}
}

func cacheable(key, value []byte) bool { return key[0] == prefixApp && len(value) < inlineThreshold }

func (h *hot) setLocked(key, value []byte, version uint64) {
	if value != nil {
		value = append(make([]byte, 0, len(value)), value...)
	}
	if h.entries == nil {
		h.entries = make(map[string]hotEntry)
	}
	old, ok := h.entries[string(key)]
	h.bytes += len(value) - len(old.value)
	if !ok {
		h.bytes += len(key) + hotOverhead
	}
	h.entries[string(key)] = hotEntry{version, value}
	for other := range h.entries { // in no order: any may go
		if h.bytes <= hotBytes {
			break
		}
		h.dropLocked(other)
	}
}

func (h *hot) dropLocked(key string) {
	if e, ok := h.entries[key]; ok {
		h.bytes -= len(key) + len(e.value) + hotOverhead
		delete(h.entries, key)
	}
}
