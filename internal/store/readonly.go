package store

// With Options.ReadOnly an Open finds what is there as any other does, and stops before the first write: it goes on as one
// that has no room to go on behind what it has found. What came since the last checkpoint it has in memory, as
// every Open has. Files that would be removed are passed over by vfs.ReadOnly.
//
// Whoever opens it may have something to write to be able to begin. A Commit is kept in memory, and is gone with the
// store: the owner refuses what its callers want to write.

// keep takes a batch into the tree, and nowhere else.
func (s *diskStore) keep(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copied = nil
	for _, o := range b.ops {
		i := &item{key: o.key, value: o.value, version: s.commit + 1, deleted: o.remove}
		s.put(s.nowhere, 0, i.clone())
	}
}
