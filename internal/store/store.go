// Package store keeps Samsa's bytes: an ordered map of keys to values with atomic
// batches, in two implementations, Badger on disk and a B-tree in memory.
//
// It is the only package that knows Badger. It knows nothing of topics but the
// shape of their keys (keys.go), and nothing of records: a value is bytes.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The errors of this package. Every error that leaves it wraps exactly one of them, or is the
// caller's own: of a context, of a reader or writer, of a function. Package log gives them to
// users.
var (
	// ErrNotFound: no value is stored under the key.
	ErrNotFound = errors.New("no such key in the store")
	// ErrCorrupt: a stored value fails its checksum or can no longer be read.
	ErrCorrupt = errors.New("corrupt value")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("closed")
	// ErrFailed: a commit or an fsync failed, and no more are taken until the store is opened
	// again.
	ErrFailed = errors.New("store failed, reopen to write again")
	// ErrIO: the operating system or Badger failed in a way that has no other name here.
	ErrIO = errors.New("storage error")
	// ErrTooLarge: a batch exceeds Limits. Nothing of it was written.
	ErrTooLarge = errors.New("transaction too large")
	// ErrDiskFull: the file system has less room than the store keeps in reserve.
	ErrDiskFull = errors.New("disk full")
	// ErrLocked: the directory is open elsewhere, in this process or another.
	ErrLocked = errors.New("directory is in use")
	// ErrNotDirectory: the path is a file, or a directory that holds something else.
	ErrNotDirectory = errors.New("not a samsa data directory")
	// ErrReadOnly: the directory cannot be written.
	ErrReadOnly = errors.New("directory is read-only")
	// ErrNewerFormat: the directory was written by a newer version of this library.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrBadStream: what was read as a stream is none, or it is damaged or not whole.
	ErrBadStream = errors.New("invalid snapshot")
)

var sentinels = []error{
	ErrNotFound, ErrCorrupt, ErrClosed, ErrFailed, ErrIO, ErrTooLarge, ErrDiskFull, ErrLocked, ErrNotDirectory, ErrReadOnly,
	ErrNewerFormat, ErrBadStream, context.Canceled, context.DeadlineExceeded,
}

// named calls an error ErrIO that has no other name.
func named(err error) error {
	if err == nil || slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrIO, err)
}

// Store is an ordered map from keys to values, compared bytewise.
//
// All methods may be called from many goroutines at once, except that calls of Commit
// must not overlap, and Close must not be called before Reclaim has returned: one writer
// owns the store. Keys are 1 to 1024 bytes long and do not begin with '!', values have
// at least 1 byte.
type Store interface {
	// Commit applies b in one atomic step and calls done exactly once with the outcome,
	// from any goroutine and possibly before Commit returns.
	//
	// When done receives nil, a Get or Scan that starts later sees all of b, and b
	// survives the death of the process; it survives power loss after a Sync that
	// starts later. When done receives an error nothing of b is visible. Several
	// commits may be in flight; they take effect in the order of the calls. b and the
	// bytes it refers to belong to the store until done is called, which must not
	// block and must not call the store.
	//
	// A batch beyond Limits gets ErrTooLarge, one with a key or value that is not
	// allowed an error that says so, and nothing happens. The done functions of all
	// others are called in the order of the commits, never two at once. ErrFailed
	// means that the store can no longer promise anything: it
	// refuses all further writes (fail-stop), as it does after a failed Sync, and a
	// Close leaves the recovery point where it was.
	Commit(b *Batch, done func(error))

	// Limits returns what one batch may hold. They are constant.
	Limits() Limits

	// Room reports ErrDiskFull, naming the directory and the figures, when writing n
	// more bytes would leave less free space than the reserve; essential writes (offset
	// commits, deletions) may use the reserve down to a quarter of it, or 16 MiB. It never blocks on I/O
	// other than asking the file system. The caller asks before every Commit. Any other error but
	// ErrClosed is one of Commit: the directory is not there any more, or another one is.
	Room(n int, essential bool) error

	// Get returns a copy of the value under key, or ErrNotFound, or ErrCorrupt.
	Get(key []byte) ([]byte, error)

	// Scan calls fn for the keys of r in order until fn returns false or an error,
	// which Scan returns as it is. It sees a consistent state: all of a commit or none.
	// fn must not call Commit.
	Scan(r Range, fn func(e Entry) (bool, error)) error

	// Snapshot returns the state of now, which later commits do not change. As long as it
	// is not closed the store keeps what it holds, and Reclaim frees little.
	Snapshot() (Snapshot, error)

	// Sync makes every commit whose done was called before Sync was called survive
	// power loss. Commits may go on meanwhile. Overlapping calls are allowed, and one
	// fsync serves all that wait for it. An error is final, see Commit.
	//
	// The first Sync also vouches for what was found after an unclean end: from then on
	// it counts as durable, and Close leaves the store clean. The owner checks what it
	// found before it calls Sync.
	Sync() error

	// Recovery tells how the store was left by its last owner; it does not change
	// while the store is open.
	Recovery() Recovery

	// Reclaim gives the space of deleted values back to the file system as far as it
	// can, and returns when ctx ends at the latest after the files in hand. Everything
	// else may go on meanwhile, but for the short steps that it hands to opts.Pause.
	// Calls of Reclaim must not overlap.
	//
	// A Scan that lasts longer than Reclaim delays the deletion of files; if the
	// process is killed then, keys deleted before may come back. To free space it must
	// first write a little; without the room for that it returns ErrDiskFull.
	Reclaim(ctx context.Context, opts ReclaimOptions) error

	// Size returns the bytes that the store takes on disk (0 in memory).
	Size() (int64, error)

	// Close waits for what is in flight, makes everything durable and ends every
	// goroutine of the store. After it every method but Close answers ErrClosed.
	// It is idempotent. A store that has failed says so, and Close returns all the same: it
	// may have to leave goroutines behind, and then keeps the lock of the directory.
	Close() error
}

// Snapshot is the state of a store at one time. Its Get and Scan are those of Store. It may
// be used by several goroutines, and not after Close, which is idempotent.
type Snapshot interface {
	Get(key []byte) ([]byte, error)
	Scan(r Range, fn func(e Entry) (bool, error)) error
	Close()
}

// ReclaimOptions tune a Reclaim. Only Pause is required.
type ReclaimOptions struct {
	// Pause calls fn once, while no Commit is running or in flight, and returns its
	// error, or one of its own without having called it.
	Pause func(fn func() error) error
	// Share is the part of a file that must be garbage for the file to be rewritten;
	// 0 means 0.5. The lower, the less is left and the more is copied.
	Share float64
	// Freed, if set, is told how much garbage went with each file.
	Freed func(bytes int64)
	// Enough, if set, is asked whether Reclaim may stop: when the files are gone of which
	// nothing is alive, and then between others.
	Enough func() bool
	// Rest, if set, is called between files with how long the work on the last took, and
	// may wait, so that others have the disk for a while. Its error ends Reclaim.
	Rest func(ctx context.Context, worked time.Duration) error
}

// Recovery is the state in which a store was found.
//
// Entries of versions up to Durable were fsynced before the last owner ended. When
// Clean, that is all of them. Otherwise the entries of higher versions survived a
// killed process whole, but after power loss any of them may be missing or corrupt,
// in any combination: the reader of a log checks them. Sound says that what is Durable never
// left the memory of this process: the newest entries need no look either.
type Recovery struct {
	Clean   bool
	Durable uint64
	Sound   bool
}

// Range selects keys k with From <= k < To. An empty To is the end of the key space.
type Range struct {
	From, To []byte
	Reverse  bool // visit the highest key first
	KeysOnly bool // Entry.AppendValue will not be called; lets the store read less
}

// Entry is one key and its value, valid during the call of Scan's fn only.
type Entry struct {
	Key     []byte // not to be changed or kept
	Version uint64 // rises with every commit; all entries of one commit share it
	Size    int    // of the value in bytes, exact, also in a scan of keys only
	value   func(dst []byte) ([]byte, error)
}

// AppendValue appends the value to dst and returns the extended slice, or
// ErrCorrupt when the value cannot be read whole.
func (e Entry) AppendValue(dst []byte) ([]byte, error) { return e.value(dst) }
