package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// garbageShare is the part of a value file that must be garbage before it is rewritten.
const garbageShare = 0.5

var (
	// scratchKey exists to be dropped, see flushIndex.
	scratchKey = []byte{prefixStore, 's', 'c', 'r', 'a', 't', 'c', 'h'}
	// rewriteKey holds the number of the value file that was rewritten last, or is being
	// rewritten, 4 bytes big endian.
	rewriteKey = []byte{prefixStore, 'r', 'e', 'w', 'r', 'i', 't', 'e'}
)

// reclaim is one run of Reclaim.
type reclaim struct {
	*badgerStore
	pause func(func() error) error
	tried map[uint32]bool // value files that were candidates
	file  []byte          // the content of the candidate
}

// Reclaim implements Store. It brings the counts of garbage up to date, for which it
// pauses once, and then rewrites the value files with much garbage one by one, beside
// commits.
func (s *badgerStore) Reclaim(ctx context.Context, pause func(func() error) error) error {
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
	r := &reclaim{badgerStore: s, pause: pause, tried: map[uint32]bool{}}
	if err := r.countGarbage(); err != nil {
		return s.wrap("reclaim", err)
	}
	s.beginDeletions()
	defer s.endDeletions()
	return s.wrap("reclaim", r.rewriteAll(ctx))
}

// countGarbage brings Badger's counts of garbage up to date. They come from compaction
// alone, and the few small keys of a log would stay in the memtable for ever.
func (r *reclaim) countGarbage() error {
	r.discardBelow(r.pipeline.visible())
	if err := r.db.Flatten(1); err != nil { // leaves less to do in the pause
		return err
	}
	if err := r.flushIndex(); err != nil {
		return err
	}
	return r.db.Flatten(1)
}

// flushIndex turns the memtables into tables and merges these into the first level that
// is not empty. To drop a prefix is the only way to have Badger do that. It blocks
// reads, and commits would fail meanwhile; hence the pause.
func (r *reclaim) flushIndex() error {
	if err := r.Room(memtableSize, true); err != nil {
		return err
	}
	return r.pause(func() error {
		if err := r.commitOwn(scratchKey, encodeVersion); err != nil {
			return err
		}
		r.discardBelow(r.pipeline.visible())
		if err := r.db.DropPrefix(scratchKey); err != nil {
			return err
		}
		if n := r.db.Levels()[0].NumTables; n > 0 {
			// Badger only logs when it cannot merge them.
			return errNotFlushed
		}
		return nil
	})
}

var errNotFlushed = errors.New("the index was not merged")

// rewriteAll rewrites the value files that are worth it. Between two it rests for as
// long as the first took, so that the disk is half free for others.
func (r *reclaim) rewriteAll(ctx context.Context) error {
	for {
		began := time.Now()
		more, err := r.rewriteOne()
		if err != nil || !more {
			return err
		}
		if err := rest(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rewriteOne lets Badger rewrite the value file with the most garbage and reports
// whether there was one worth it.
//
// Badger copies what is alive to the end of the value log, under the keys and versions
// it had, and deletes the file at once, unless an iterator is open; then when that is
// closed. Nothing syncs the copies, so power loss could take values with it that were
// durable before. Hence the order here: note durably which file it is, open an
// iterator, rewrite, sync, close the iterator.
//
// If power fails during the rewrite, an index entry of a copy may be durable and the
// copy not, by a Sync in between or because the system wrote out one and not the other.
// The file is still there then, and its number is noted: Open repairs it, recoverCopies.
func (r *reclaim) rewriteOne() (more bool, err error) {
	g, ok, err := r.candidate()
	if err != nil || !ok {
		return false, err
	}
	if err := r.announce(g.file); err != nil {
		return false, err
	}
	entries, err := r.known(r.file)
	if err != nil {
		return false, err
	}
	r.holdDiscards(true)
	if err := r.bury(entries, r.pause); err != nil {
		return false, err // and discards stay held up until the store is opened again
	}
	txn := r.db.NewTransactionAt(r.pipeline.visible(), false)
	it := r.openIterator(txn, badger.IteratorOptions{Prefix: scratchKey})
	collected, err := r.collect(g)
	if err := errors.Join(err, r.bury(entries, r.pause)); err != nil {
		return false, err // likewise; and the iterator stays open, so that the file stays
	}
	r.holdDiscards(false)
	if collected {
		if err := r.syncCopies(); err != nil {
			return false, err
		}
	}
	r.closeIterator(it)
	txn.Discard()
	return true, nil
}

// announce notes durably which file is going to be rewritten. It is a barrier, too:
// when it returns, the index knows of everything in the file. Badger fills a file and
// starts the next before the index entries of the last commit are made; to look for
// them in between would be to take these values for garbage.
func (r *reclaim) announce(file uint32) error {
	err := r.commitOwn(rewriteKey, func(uint64) []byte { return binary.BigEndian.AppendUint32(nil, file) })
	if err != nil {
		return err
	}
	return r.syncFiles()
}

// collect runs value-log GC on the file of g.
func (r *reclaim) collect(g garbage) (bool, error) {
	if err := r.condemn(g); err != nil {
		return false, err
	}
	err := r.db.RunValueLogGC(garbageShare)
	if errors.Is(err, badger.ErrNoRewrite) { // not to be expected
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.rewritten[g.file] = true
	return true, r.rewroteOnly(g)
}

func (r *reclaim) syncCopies() error {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	err := r.files.sync(true)
	if err != nil {
		r.pipeline.fail(err)
	}
	return err
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
