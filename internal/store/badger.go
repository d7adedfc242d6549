package store

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// badgerStore keeps the keys and small values in Badger's LSM tree (dir/index) and the
// large values in its value log (dir/values).
//
// Badger runs in managed mode: every commit gets the next version from us, so that
// several can be in flight in a known order. Versions become visible in that order
// too, by pipeline, and reads see the store as of the newest visible version. Without
// that a scan could meet half a commit, because Badger adds the entries of a
// transaction to its memtable one by one.
type badgerStore struct {
	dir      string
	opts     Options
	log      *zap.Logger
	db       *badger.DB
	lock     io.Closer // of dir
	gate     *gate
	recovery Recovery

	pipeline *pipeline
	reads    reads
	files    *fileSync

	syncing sync.Mutex // held by the Sync at work; guards synced
	synced  uint64     // versions up to this one survive power loss

	// mark is a version known to be durable that no commit has recorded yet, or 0.
	mark atomic.Uint64
	// large is the newest version that wrote to the value log.
	large atomic.Uint64

	rewritten map[uint32]bool // by Reclaim: value files that wait for a scan to end

	// vouched is set by the first Sync: the owner has checked what it found.
	vouched atomic.Bool

	grounds []ground
	hooks   hooks

	closing  sync.Once
	closeErr error
}

// recoveryKey holds the recovery point: the newest version known to be durable, 8
// bytes big endian. It is written along with the first commit after a Sync, and by
// Close with its own version as the value. The store was closed cleanly when that is
// so and nothing is newer; so the next commit after opening makes it unclean, and no
// marker has to be removed.
var recoveryKey = []byte{prefixStore, 'r', 'e', 'c', 'o', 'v', 'e', 'r', 'y'}

func (s *badgerStore) Limits() Limits { return storeLimits() }

func (s *badgerStore) Recovery() Recovery { return s.recovery }

func (s *badgerStore) Room(n int, essential bool) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if err := s.stand(); err != nil {
		return s.wrap("look for its directory", err)
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return s.wrap("ask for free space", fmt.Errorf("%w: %w", ErrFailed, err))
	}
	return roomIn(s.dir, s.opts.MinFreeBytes, free, n, essential)
}

// roomIn reports ErrDiskFull when writing n bytes would leave less than the reserve of what is free.
func roomIn(dir string, reserve, free int64, n int, essential bool) error {
	if essential {
		reserve = min(reserve, max(reserve/4, minReserve))
	}
	if free-int64(n) < reserve {
		return fmt.Errorf("store %s: %w: %d bytes free, %d to be written, %d in reserve",
			dir, ErrDiskFull, free, n, reserve)
	}
	return nil
}

func (s *badgerStore) Size() (int64, error) {
	if !s.gate.enter() {
		return 0, ErrClosed
	}
	defer s.gate.leave()
	n, err := allocatedBytes(s.dir)
	return n, s.wrap("measure", err)
}

// Close ends the store. A clean one leaves a recovery point that covers everything.
func (s *badgerStore) Close() error {
	s.closing.Do(func() {
		s.gate.shut()
		s.closeErr = s.wrap("close", s.close())
	})
	return s.closeErr
}

func (s *badgerStore) close() error {
	s.hooks.closing.Store(true)
	var errs []error
	_ = s.stand() // is a failure
	// What a rewrite that failed has copied was never synced: the next open looks at it.
	if s.pipeline.failure() == nil && !s.discardsHeld() && (s.recovery.Clean || s.vouched.Load()) {
		errs = append(errs, s.markClean())
	}
	errs = append(errs, s.closeBadger())
	return errors.Join(append(errs, s.pipeline.failure())...)
}

// markClean makes everything durable and then records that it is.
func (s *badgerStore) markClean() error {
	if s.recovery.Clean && s.pipeline.visible() == s.recovery.Durable {
		return nil // nothing was written
	}
	if err := s.syncFiles(); err != nil {
		return err
	}
	return s.commitOwn(recoveryKey, func(version uint64) []byte { return encodeVersion(version) })
}

// wrap names the store in an error. Badger's own are strings for the most part, so there is
// nothing to map.
func (s *badgerStore) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store %s: %s: %w", s.dir, doing, named(err))
}

var _ Store = (*badgerStore)(nil)
