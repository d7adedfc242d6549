package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// garbageShare is the part of a value file that must be garbage before it is rewritten.
const garbageShare = 0.5

// scratchKey exists to be dropped, see flushIndex.
var scratchKey = []byte{prefixStore, 's', 'c', 'r', 'a', 't', 'c', 'h'}

// Reclaim implements Store.
func (s *badgerStore) Reclaim(ctx context.Context) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.pipeline.failure(); err != nil {
		return s.wrap("reclaim", err)
	}
	if err := s.countGarbage(); err != nil {
		return err
	}
	if err := s.syncFiles(); err != nil {
		return err
	}
	s.beginDeletions()
	defer s.endDeletions()
	r := reclaim{badgerStore: s}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := r.rewriteOne()
		if err != nil {
			return s.wrap("reclaim", err)
		}
		if !more {
			return nil
		}
	}
}

// countGarbage brings Badger's counts of garbage up to date. They come from compaction
// alone, and the few small keys of a log would stay in the memtable for ever. To drop
// a prefix is the only way to have it flushed and compacted.
func (s *badgerStore) countGarbage() error {
	if err := s.Room(memtableSize, true); err != nil {
		return err
	}
	err := s.commitOwn(scratchKey, encodeVersion)
	if err != nil {
		return err
	}
	s.discardBelow(s.pipeline.visible())
	if err := s.db.DropPrefix(scratchKey); err != nil {
		return s.wrap("reclaim", err)
	}
	return s.wrap("reclaim", s.db.Flatten(1))
}

// reclaim is one run of value-log GC.
type reclaim struct {
	*badgerStore
	file []byte // the content of the candidate
}

// rewriteOne lets Badger rewrite the value file with the most garbage and reports
// whether there was one worth it.
//
// Badger copies what is alive to the end of the value log and deletes the file at
// once, unless an iterator is open; then when that is closed. Nothing syncs the
// copies, so power loss could take values with it that were durable before. Hence the
// order here: open an iterator, rewrite, sync, close the iterator.
//
// One hole remains that Badger leaves no way to close: if power fails during the
// rewrite itself (some 100 ms), and the system happened to write out the new index
// entry of a value but not its copy, the value is unreadable although the old copy is
// still there. Both files are clean when a rewrite begins and no Sync runs during it,
// so only the system itself, short of memory or told to sync everything, does that.
func (s *reclaim) rewriteOne() (more bool, err error) {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.passOverDamaged(); err != nil {
		return false, err
	}
	if err := s.roomToRewrite(); err != nil {
		return false, err
	}
	txn := s.db.NewTransactionAt(s.pipeline.visible(), false)
	it := s.openIterator(txn, badger.IteratorOptions{Prefix: scratchKey})
	err = s.db.RunValueLogGC(garbageShare)
	if err == nil {
		err = s.files.sync(true)
		if err != nil {
			// The iterator stays open, so that the old file stays too.
			s.pipeline.fail(err)
			return false, err
		}
		more = true
	}
	s.closeIterator(it)
	txn.Discard()
	if errors.Is(err, badger.ErrNoRewrite) {
		return false, nil
	}
	return more, err
}

// roomToRewrite asks for room for what is alive in the next candidate, which GC copies
// through a memory map: without room that would kill the process.
func (s *reclaim) roomToRewrite() error {
	all, err := readGarbage(s.files.values)
	if err != nil {
		return err
	}
	most, ok := mostGarbage(all)
	if !ok {
		return nil
	}
	info, err := os.Stat(valueFile(s.files.values, most.file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || float64(most.bytes) < garbageShare*float64(info.Size()) {
		return err
	}
	alive := max(0, info.Size()-int64(most.bytes))
	return s.Room(int(alive), true)
}

// passOverDamaged keeps GC away from value files that hold whole entries behind a
// damaged one. GC would stop at the damage, or panic over it, and then delete the file
// with all that follows. Such a file stays as it is; its space is lost.
func (s *reclaim) passOverDamaged() error {
	for {
		all, err := readGarbage(s.files.values)
		if err != nil {
			return err
		}
		most, ok := mostGarbage(all)
		if !ok {
			return nil
		}
		path := valueFile(s.files.values, most.file)
		damaged, err := s.damagedCandidate(path, most)
		if err != nil {
			return err
		}
		if !damaged {
			return nil
		}
		if s.log != nil {
			s.log.Warn("value file is damaged and cannot be reclaimed", zap.String("file", path))
		}
		if err := writeGarbage(s.files.values, most, 0); err != nil {
			return err
		}
	}
}

// damagedCandidate reports whether GC would pick the file and lose something by it.
func (s *reclaim) damagedCandidate(path string, g garbage) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	damaged, err := s.losesByGC(f, g)
	return damaged, errors.Join(err, f.Close())
}

func (s *reclaim) losesByGC(f *os.File, g garbage) (bool, error) {
	info, err := f.Stat()
	if err != nil || float64(g.bytes) < garbageShare*float64(info.Size()) {
		return false, err
	}
	s.file = slices.Grow(s.file[:0], int(info.Size()))[:info.Size()]
	if _, err := io.ReadFull(f, s.file); err != nil {
		return false, err
	}
	return losesEntries(s.file), nil
}

// beginDeletions and endDeletions enclose the time in which GC may delete value files.
func (s *badgerStore) beginDeletions() {
	s.reads.files.Lock()
	defer s.reads.files.Unlock()
	s.reads.deletions = true
	s.reads.reclaims++
}

func (s *badgerStore) endDeletions() {
	s.reads.files.Lock()
	defer s.reads.files.Unlock()
	s.reads.reclaims--
	if s.reads.reclaims == 0 && s.reads.iterators.Load() == 0 {
		s.reads.deletions = false
	}
}
