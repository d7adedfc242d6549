package store

import (
	"errors"
	"io/fs"
	"slices"

	"go.uber.org/zap"
)

// With Options.Rebuild an Open reads the value files from their beginning, and so finds again all that
// the index had. Only what is deleted is not always known: the deletion of a batch may be gone
// while the batch is still in a file, beside something that counts. So the new index has RebuiltKey from the
// moment on that it counts, and package log removes what is dead.

// spill writes the tree as a run while the index is made anew, which no manifest names before all of it
// is there.
func (s *diskStore) spill() error {
	s.begun = &checkpoint{tree: s.tree, memory: s.memory}
	defer func() { s.begun = nil }()
	s.tree, s.copied, s.memory = newItemTree(), nil, 0
	infos, err := s.writeTree(false)
	if err != nil || len(infos) == 0 {
		return err
	}
	s.manifest.runs = slices.Insert(s.manifest.runs, 0, infos)
	s.manifest.waste += s.begun.waste
	s.mu.Lock()
	old := s.change(func(v *version) {
		v.runs, v.waste = slices.Insert(v.runs, 0, s.newRun(infos)), s.manifest.waste
		v.sum(s.begun.ended)
	})
	s.mu.Unlock()
	return s.release(old)
}

// finishRebuild has the index count that was made anew, and says so. Then the tables of the old one go.
func (s *diskStore) finishRebuild(old *manifest) error {
	var b Batch
	b.Set(RebuiltKey(), []byte{1})
	if _, err := s.writeFrame(&b); err != nil {
		return err
	}
	if err := s.checkpoint(); err != nil {
		return err
	}
	for _, t := range slices.Concat(old.runs...) {
		if err := s.fs.Remove(s.tablePath(t.number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.log.Info("the index was made anew from the value files", zap.String("directory", s.dir), zap.Uint64("last commit", s.commit))
	return nil
}

// applier returns what takes a frame that was read, and tells Options.Rebuilding.
func (s *diskStore) applier() func(file *logFile, at int64, frame []byte, h frameHeader) error {
	if !s.opts.Rebuild || s.opts.Rebuilding == nil {
		return s.apply
	}
	done, total := int64(0), int64(0)
	infos, err := s.fs.List(valuesName)
	for _, i := range infos {
		total += i.Size
	}
	return func(file *logFile, at int64, frame []byte, h frameHeader) error {
		if err == nil {
			err = s.apply(file, at, frame, h)
		}
		if err == nil {
			done += int64(h.length)
			err = s.opts.Rebuilding(done, max(done, total))
		}
		return err
	}
}
