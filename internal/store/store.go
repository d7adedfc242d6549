// Package store keeps Samsa's bytes: an ordered map of keys to values with atomic
// batches, in two implementations: on disk, and a B-tree in memory.
//
// It knows nothing of topics but the shape of their keys (keys.go), and nothing of records: a
// value is bytes.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/internal/family"
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
	// ErrIO: the operating system failed in a way that has no other name here.
	ErrIO = errors.New("storage error")
	// ErrTooLarge: a batch exceeds Limits. Nothing of it was written.
	ErrTooLarge = family.New(family.ErrTooLarge, "transaction too large")
	// ErrDiskFull: the file system has less room than the store keeps in reserve.
	ErrDiskFull = family.New(family.ErrUnavailable, "disk full")
	// ErrLocked: the directory is open elsewhere, in this process or another.
	ErrLocked = family.New(family.ErrUnavailable, "directory is in use")
	// ErrNotDirectory: the path is a file, or a directory that holds something else.
	ErrNotDirectory = family.New(family.ErrInvalid, "not a samsa data directory")
	// ErrNotExist: there is no store in the directory, and Options.MustExist wants one. It is fs.ErrNotExist too.
	ErrNotExist = family.Of(fs.ErrNotExist, family.New(family.ErrUnknown, "no data directory there"))
	// ErrReadOnly: the directory cannot be written, or was opened to be read only.
	ErrReadOnly = errors.New("directory is read-only")
	// ErrOldFormat: the directory was written by a release whose format is not read any more.
	ErrOldFormat = family.New(family.ErrUnsupported, "data directory has an old format: take a snapshot with the release that wrote it, and restore it with this one")
	// ErrNewerFormat: the directory was written by a newer version of this library.
	ErrNewerFormat = family.New(family.ErrUnsupported, "data directory has a newer format")
	// ErrBadStream: what was read as a stream is none, or it is damaged or not whole.
	ErrBadStream = family.New(family.ErrInvalid, "invalid snapshot")
)

// ErrIndex is the ErrCorrupt of an index that is missing or damaged: what it leads to may well be whole.
var ErrIndex = fmt.Errorf("%w: the index is not whole, Options.RebuildIndex makes it anew", ErrCorrupt)

// Lost reports whether err says that a value itself is damaged: then another may take its place.
func Lost(err error) bool { return errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrIndex) }

var sentinels = []error{
	ErrNotFound, ErrCorrupt, ErrClosed, ErrFailed, ErrIO, ErrTooLarge, ErrDiskFull, ErrLocked, ErrNotDirectory, ErrNotExist, ErrReadOnly,
	ErrOldFormat, ErrNewerFormat, ErrBadStream, ErrGap, context.Canceled, context.DeadlineExceeded,
}

// named calls an error ErrIO that has no other name.
func named(err error) error {
	if err == nil || slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrIO, err)
}

// Join is errors.Join, and takes one line: an error and what came of it, or of ending what was begun.
func Join(errs ...error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return joined(errs)
}

type joined []error

func (j joined) Unwrap() []error { return j }

func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, err := range j {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Store is an ordered map from keys to values, compared bytewise.
//
// What an Open finds is one state that the store has had: all of a commit or none of it, nothing
// newer without what is older, and everything that was synced.
//
// All methods may be called from many goroutines at once, except that calls of Commit
// must not overlap, and calls of Reclaim neither: one writer owns the store. Keys are 1 to 1024
// bytes long and do not begin with '!', but for a deletion of RebuiltKey; values have at least 1 byte.
type Store interface {
	// Commit applies b in one atomic step.
	//
	// When it returns nil, a Get or Scan that starts later sees all of b, and b survives the
	// death of the process; it survives power loss after a Sync that starts later. When it returns
	// an error nothing of b is visible. b and the bytes it refers to are the caller's again
	// when Commit returns.
	//
	// A batch beyond Limits is ErrTooLarge, one with a key or value that is not allowed an
	// error that says so, and nothing happens; nor does it when the error is ErrDiskFull. ErrFailed
	// means that the store can no longer promise anything: it refuses all further writes
	// (fail-stop), as it does after a failed Sync, and the next Open says what became of b.
	Commit(b *Batch) error

	// Limits returns what one batch may hold. They are constant.
	Limits() Limits

	// Room makes sure that the next Commit, of up to n bytes of keys and values, finds room. It
	// returns ErrDiskFull, naming the directory and the figures, when there is none: what is not
	// essential never uses the reserve, essential writes (offset commits, deletions) may. The
	// caller asks before every Commit. Any other error but ErrClosed is one of Commit:
	// the directory is not there any more, or another one is.
	Room(n int, essential bool) error

	// Get returns a copy of the value under key, or ErrNotFound, or ErrCorrupt.
	Get(key []byte) ([]byte, error)

	// Scan calls fn for the keys of r in order until fn returns false or an error,
	// which Scan returns as it is. It sees a consistent state: all of a commit or none.
	// fn must not call Commit.
	Scan(r Range, fn func(e Entry) (bool, error)) error

	// Snapshot returns the state of now, which later commits do not change. As long as it
	// is not closed the store keeps what it holds, and takes the space for it.
	Snapshot() (Snapshot, error)

	// Sync makes every commit that returned before Sync was called survive
	// power loss. Commits may go on meanwhile. Overlapping calls are allowed, and one
	// fsync serves all that wait for it. An error is final, see Commit.
	Sync() error

	// Reclaim gives the space of what was deleted or overwritten back to the file system, as
	// far as that is worth the work, and returns early when ctx ends. The store does so by itself
	// in the background; Reclaim is for who wants to wait for it. Everything else may go on
	// meanwhile.
	Reclaim(ctx context.Context) error

	// Size returns the bytes that the store takes on disk (0 in memory).
	Size() (int64, error)

	// Stats returns what the store has done since it was opened, and what it has now: in memory the zero value.
	Stats() Stats

	// Close waits for what is in flight, makes everything durable and ends every
	// goroutine of the store. After it every method but Close answers ErrClosed.
	// It is idempotent. A store that has failed says so, and is closed all the same.
	Close() error
}

// Snapshot is the state of a store at one time. Its Get and Scan are those of Store. It may
// be used by several goroutines, and not after Close, which is idempotent.
type Snapshot interface {
	Get(key []byte) ([]byte, error)
	Scan(r Range, fn func(e Entry) (bool, error)) error
	Close()
}

// Range selects keys k with From <= k < To. An empty To is the end of the key space.
type Range struct {
	From, To []byte
	Reverse  bool // visit the highest key first
	KeysOnly bool // Entry.AppendValue will not be called; lets the store read less
}

// Entry is one key and its value, valid during the call of Scan's fn only.
type Entry struct {
	Key   []byte // not to be changed or kept
	Size  int    // of the value in bytes, exact, also in a scan of keys only
	value func(dst []byte, n int) ([]byte, error)
}

// AppendValue appends the value to dst and returns the extended slice, or
// ErrCorrupt when the value cannot be read whole.
func (e Entry) AppendValue(dst []byte) ([]byte, error) { return e.value(dst, e.Size) }

// AppendHead appends the first n bytes of the value, or all when it has no more. Of a value of
// 1 KiB and more it reads no more than these, and does not find out whether they are damaged.
func (e Entry) AppendHead(dst []byte, n int) ([]byte, error) { return e.value(dst, min(n, e.Size)) }
