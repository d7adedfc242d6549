package samsa

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/samsa-go/samsa/internal/local"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/transfer"
)

// Snapshot writes everything that is stored as of one moment to w: topics, records, groups,
// committed offsets and the application's keys. The broker goes on meanwhile, and what is
// stored later is not in it; what was acknowledged before is. Of a commit, an Update among
// them, it has all or nothing. It keeps little in memory. What is removed meanwhile takes
// space until Snapshot returns. When the broker is closed meanwhile it is ErrClosed once w has
// taken what it was given.
//
// With topics it has these alone, with their configs and records, and the offsets that groups have committed in them.
// ErrUnknownTopic says that one is not there.
//
// Restore makes a broker of it, on disk or in memory, wherever the snapshot comes from, and Import takes topics of it into
// a broker. The format is in docs/format.md. A value that the store cannot read any more is ErrCorruptValue: a
// snapshot is whole.
func (b *Broker) Snapshot(ctx context.Context, w io.Writer, topics ...string) error {
	if w == nil {
		return fmt.Errorf("snapshot: %w: the writer is nil", ErrInvalidOption)
	}
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	l, err := b.ofStore("Snapshot")
	if err == nil {
		err = l.Snapshot(ctx, w, topics...)
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// ImportOptions say what Import takes. The zero value is all topics, without offsets.
type ImportOptions struct {
	// Topics are those of the snapshot that are wanted; nil means all that it has.
	Topics []string
	// As has the names that they get here, where these are others.
	As map[string]string
	// Offsets has the groups get the offsets that they have committed in these topics. A group of that name here keeps what else it
	// has, and must have no members.
	Offsets bool
}

// Import takes topics of a snapshot, which Snapshot has written to what r reads, into the broker: configs and records, at the
// offsets that they have. None may be there under its new name: ErrTopicExists. A topic that is not in the snapshot is ErrUnknownTopic.
//
// Names that cannot be are told before anything is read. The snapshot is read and checked as a whole before anything is changed, within the data
// directory, which takes its space for a while. What is damaged is ErrInvalidSnapshot. A topic comes whole or not at all; with several, and their
// offsets, an error leaves those that have come, and the error names the others' cause. Transactions that were open in the snapshot are aborted.
func (b *Broker) Import(ctx context.Context, r io.Reader, opts ImportOptions) error {
	err := b.checkWrite(ctx)
	if err == nil && r == nil {
		err = fmt.Errorf("%w: the reader is nil", ErrInvalidOption)
	}
	var l *local.Broker
	if err == nil {
		l, err = b.ofStore("Import")
	}
	if err == nil {
		err = l.Import(ctx, r, transfer.Options(opts))
	}
	if err != nil {
		return fmt.Errorf("import: %w", err)
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
		return store.Join(b.local.Producers.Leap(), b.Close())
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
	if err := b.local.Producers.Leap(); err != nil {
		return nil, fmt.Errorf("samsa: restore: %w", store.Join(err, b.Close()))
	}
	return b, nil
}
