package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	// garbageShare is the part of a value file that must be garbage before it is
	// rewritten, unless Reclaim is told otherwise.
	garbageShare = 0.5
	// deadShare is how much of a file must be counted as garbage before it is worth a
	// look whether all of it is.
	deadShare = 0.9
	// maxAnnounced keeps the value of rewriteKey small.
	maxAnnounced = 200
	// What value files may hold that is alive to be rewritten together, besides the
	// first; until all are, their space is taken twice.
	maxCopied    = 32 << 20
	maxRewritten = 16 // files
)

var (
	// scratchKey exists to be dropped, see flushIndex.
	scratchKey = []byte{prefixStore, 's', 'c', 'r', 'a', 't', 'c', 'h'}
	// rewriteKey holds the numbers of the value files that were rewritten last, or are
	// being rewritten, 4 bytes big endian each.
	rewriteKey = []byte{prefixStore, 'r', 'e', 'w', 'r', 'i', 't', 'e'}
)

// reclaim is one run of Reclaim.
type reclaim struct {
	*badgerStore
	pause  func(func() error) error
	share  float64
	freed  func(bytes int64)
	rest   func(ctx context.Context, worked time.Duration) error
	enough func() bool
	tried  map[uint32]bool // value files that were candidates
}

// Reclaim implements Store. It brings the counts of garbage up to date, for which it
// pauses once, and then rewrites the value files with much garbage, some at a time,
// beside commits.
func (s *badgerStore) Reclaim(ctx context.Context, opts ReclaimOptions) error {
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
	if s.discardsHeld() {
		return s.wrap("reclaim", errHalfDone)
	}
	r := newReclaim(s, opts)
	if err := r.countGarbage(); err != nil {
		return s.wrap("reclaim", err)
	}
	s.beginDeletions()
	defer s.endDeletions()
	return s.wrap("reclaim", r.rewriteAll(ctx))
}

// errHalfDone: another Reclaim would let go of what the one that failed holds, and forget
// which files it was about.
var errHalfDone = errors.New("a rewrite ended in the middle, the store must be reopened")

func newReclaim(s *badgerStore, opts ReclaimOptions) *reclaim {
	r := &reclaim{badgerStore: s, pause: opts.Pause, share: opts.Share, freed: opts.Freed, rest: opts.Rest, enough: opts.Enough, tried: map[uint32]bool{}}
	if r.share == 0 {
		r.share = garbageShare
	}
	if r.freed == nil {
		r.freed = func(int64) {}
	}
	if r.enough == nil {
		r.enough = func() bool { return false }
	}
	if r.rest == nil {
		r.rest = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	return r
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
		r.hooks.dropping.Store(true)
		defer r.hooks.dropping.Store(false)
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

// rewriteAll rewrites the value files that are worth it: first those in which nothing is
// alive any more, most of them where data leaves in the order in which it came. They cost
// little, nothing is copied. Files that hold a few values may be like that soon.
func (r *reclaim) rewriteAll(ctx context.Context) error {
	if err := r.rewriteDead(ctx); err != nil || r.enough() {
		return err
	}
	for {
		began := time.Now()
		more, err := r.rewriteSome()
		if err != nil || !more || r.enough() {
			return err
		}
		if err := r.rest(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// rewriteDead rewrites files without anything alive.
func (r *reclaim) rewriteDead(ctx context.Context) error {
	all, err := r.candidates()
	if err != nil || len(all) == 0 {
		return err
	}
	if err := r.announce(all[:min(len(all), maxAnnounced)]); err != nil {
		return err
	}
	var dead []garbage
	for _, g := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if float64(g.bytes) < deadShare*float64(g.size) {
			continue // not the end: a smaller file may have less garbage and a larger share of it
		}
		n, err := r.inspect(g)
		if err != nil {
			return err
		}
		if n == nothing {
			r.tried[g.file] = true
			dead = append(dead, g)
		}
	}
	if len(dead) == 0 {
		return nil
	}
	return r.rewrite(dead, nil)
}

// rewriteSome rewrites the files with the most garbage and reports whether there were any
// worth it.
func (r *reclaim) rewriteSome() (more bool, err error) {
	files, err := r.choose()
	if err != nil || len(files) == 0 {
		return false, err
	}
	if err := r.announce(files); err != nil {
		return false, err
	}
	var entries []stored
	for _, g := range files {
		if entries, err = r.knownIn(g, entries); err != nil {
			return false, err
		}
	}
	return true, r.rewrite(files, entries)
}

// rewrite lets Badger rewrite value files, of which the index knows entries.
//
// Badger copies what is alive to the end of the value log, under the keys and versions
// it had, and deletes the file at once, unless an iterator is open; then when that is
// closed. Nothing syncs the copies, so power loss could take values with it that were
// durable before; nor need it be durable yet what made the rest garbage. Hence the order
// here: note durably which files they are, open an iterator, rewrite, sync, close the
// iterator. Where nothing is alive the note need not be durable, as there are no copies.
//
// If power fails during the rewrite, an index entry of a copy may be durable and the
// copy not, by a Sync in between or because the system wrote out one and not the other.
// The file is still there then, and its number is noted: Open repairs it, recoverCopies.
func (r *reclaim) rewrite(files []garbage, entries []stored) error {
	if len(entries) > 0 {
		if err := r.syncFiles(); err != nil {
			return err
		}
	}
	r.holdDiscards(true)
	if err := r.bury(entries, r.pause); err != nil {
		return err // and discards stay held up until the store is opened again
	}
	txn := r.db.NewTransactionAt(r.pipeline.visible(), false)
	it := r.openIterator(txn, badger.IteratorOptions{Prefix: scratchKey})
	collected, err := r.collectAll(files)
	if err := errors.Join(err, r.bury(entries, r.pause)); err != nil {
		return err // likewise; and the iterator stays open, so that the files stay
	}
	r.holdDiscards(false)
	if len(collected) > 0 {
		if err := r.syncCopies(); err != nil {
			return err
		}
	}
	r.closeIterator(it)
	txn.Discard()
	for _, g := range collected {
		r.freed(min(int64(g.bytes), g.size))
	}
	return nil
}

// announce notes which files are going to be rewritten. It is a barrier, too: when it
// returns, the index knows of everything in the files. Badger fills a file and starts
// the next before the index entries of the last commit are made; to look for them in
// between would be to take these values for garbage.
func (r *reclaim) announce(files []garbage) error {
	return r.commitOwn(rewriteKey, func(uint64) (numbers []byte) {
		for _, g := range files {
			numbers = binary.BigEndian.AppendUint32(numbers, g.file)
		}
		return numbers
	})
}

// collectAll runs value-log GC on each of the files and returns those it got to.
func (r *reclaim) collectAll(files []garbage) (collected []garbage, err error) {
	for _, g := range files {
		done, err := r.collect(g)
		if err != nil {
			return collected, err
		}
		if done {
			collected = append(collected, g)
		}
	}
	return collected, nil
}

// collect runs value-log GC on the file of g.
func (r *reclaim) collect(g garbage) (bool, error) {
	if err := r.condemn(g); err != nil {
		return false, err
	}
	gc := func() error { return r.db.RunValueLogGC(r.share) }
	if badgerRaces {
		quick := gc
		gc = func() error { return r.pause(quick) }
	}
	err := gc()
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
