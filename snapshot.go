package samsa

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// Snapshot writes everything that is stored as of one moment to w: topics, records, groups,
// committed offsets and the application's keys. The broker goes on meanwhile, and what is
// stored later is not in it; what was acknowledged before is. Of a commit, an Update among
// them, it has all or nothing. It keeps little in memory. What is removed meanwhile takes
// space until Snapshot returns. When the broker is closed meanwhile it is ErrClosed once w has
// taken what it was given.
//
// Restore makes a broker of it, on disk or in memory, wherever the snapshot comes from. The
// format is in docs/format.md. A value that the store cannot read any more is ErrCorruptValue: a
// snapshot is whole.
func (b *Broker) Snapshot(ctx context.Context, w io.Writer) error {
	if w == nil {
		return fmt.Errorf("snapshot: %w: the writer is nil", ErrInvalidOption)
	}
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	snap, err := b.st.Snapshot()
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	defer snap.Close()
	if err := store.WriteStream(ctx, w, snap); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// Restore opens a new broker that holds what Snapshot has written to what r reads. It goes
// into dir, which must be missing or empty, else the error is fs.ErrExist; or into memory,
// with Options.InMemory and dir "".
//
// Producers that have no name get ids that nobody was given since the snapshot was made: clients that lived on would
// be taken for them.
//
// What is damaged, cut off or no snapshot at all is ErrInvalidSnapshot, and one of a newer
// version of this library ErrNewerFormat; no directory is left then. Restore stops reading at
// the end of the snapshot.
func Restore(ctx context.Context, dir string, r io.Reader, opts Options) (*Broker, error) {
	if r == nil {
		return nil, fmt.Errorf("samsa: restore: %w: the reader is nil", ErrInvalidOption)
	}
	if err := opts.validate(dir); err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", err)
	}
	if opts.InMemory {
		return restoreMemory(ctx, r, opts)
	}
	dir, err := absolute(dir)
	if err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", err)
	}
	full := opts.withDefaults()
	err = store.Restore(ctx, dir, r, store.Options{MinFreeBytes: full.MinFreeBytes, Logger: full.Logger}, func(dir string) error {
		b, err := Open(dir, Options{MinFreeBytes: opts.MinFreeBytes})
		if err != nil {
			return err
		}
		return store.Join(b.producers.Leap(), b.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", err)
	}
	return Open(dir, opts)
}

func restoreMemory(ctx context.Context, r io.Reader, opts Options) (*Broker, error) {
	st := store.OpenMemory()
	if err := store.ReadStream(ctx, r, st); err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", store.Join(err, st.Close()))
	}
	b, err := openOn(time.Now(), st, "", opts)
	if err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", err)
	}
	if err := b.producers.Leap(); err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", store.Join(err, b.Close()))
	}
	return b, nil
}
