package store

import "errors"

// Forker is a Store that can be copied in no time: the one in memory. A fork is a store of
// its own, open and clean; neither sees what is written to the other.
type Forker interface {
	Store

	// Fork returns a store that holds what was committed when Fork was called: all of a
	// commit or none. Commits may go on meanwhile.
	Fork() (Store, error)
	// KeepSynced has the store remember, from now on, what it held at the last Sync. What
	// is deleted takes memory until the next.
	KeepSynced()
	// ForkSynced returns a store that holds what would be left after power loss: what the
	// store held at the last Sync, or, before the first, when KeepSynced was called.
	ForkSynced() (Store, error)
}

var errNotKept = errors.New("the store does not remember what was synced")

func (s *memoryStore) Fork() (Store, error) {
	return s.fork(func() *itemTree { return s.tree })
}

func (s *memoryStore) ForkSynced() (Store, error) {
	return s.fork(func() *itemTree { return s.synced })
}

func (s *memoryStore) KeepSynced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.synced == nil {
		s.synced = s.tree.Copy()
	}
}

// fork copies the tree that which returns. Copy writes to the tree it copies, hence the lock.
func (s *memoryStore) fork(which func() *itemTree) (Store, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	tree := which()
	if tree == nil {
		return nil, errNotKept
	}
	f := &memoryStore{gate: newGate(), tree: tree.Copy()}
	if s.synced != nil {
		f.synced = f.tree.Copy()
	}
	return f, nil
}
