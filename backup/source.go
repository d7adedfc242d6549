package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// Mark is a commit, and a time by the broker's clock at which it was the last.
type Mark struct {
	Commit uint64    `json:"commit"`
	Time   time.Time `json:"time"`
}

// Source is what a backup is made of: a broker of this process (Of), or one behind the API.
type Source interface {
	// Hold tells the broker that the backup with that id has all commits up to copied, and has it keep those behind. ErrGap says that
	// it does not know the backup, or that some are not there any more.
	Hold(ctx context.Context, id string, copied uint64) error
	// Base begins the backup with that id, perhaps anew: a snapshot, in the format of Broker.Snapshot, and the last commit in it.
	// The caller reads it to the end, and closes it.
	Base(ctx context.Context, id string) (Mark, io.ReadCloser, error)
	// Frames returns frames behind a commit, one behind the other, as far as they are durable: a few MiB, at least one, or none
	// if there is none. until has the last commit, and a time up to which no other was made. ErrGap says that the next
	// commit is not there any more.
	Frames(ctx context.Context, after uint64) (frames []byte, until Mark, err error)
	// Release ends what the backup with that id holds.
	Release(ctx context.Context, id string) error
}

// ErrGap says that commits are not there any more that the backup does not have yet: it has to begin anew, which Run does.
var ErrGap = store.ErrGap

// SourceOptions are what a broker allows its backups. The zero value is right for most.
type SourceOptions struct {
	// MaxHeld is how many bytes of value files the broker keeps for a backup alone. Beyond it the backup has
	// to begin anew. 0 means 1 GiB.
	MaxHeld int64
}

const (
	defaultMaxHeld = 1 << 30
	framesBytes    = 4 << 20
)

// Of returns what backups of b are made of. A broker in memory has no commits that could be shipped: its calls are
// samsa.ErrInvalidOption. So are those of one that was opened read-only ErrReadOnly.
func Of(b *samsa.Broker, opts SourceOptions) Source {
	if opts.MaxHeld == 0 {
		opts.MaxHeld = defaultMaxHeld
	}
	return local{b: b, opts: opts}
}

type local struct {
	b    *samsa.Broker
	opts SourceOptions
}

func (l local) shipper() (store.Shipper, error) {
	in := inside.Of(l.b)
	if err := in.Local("backup"); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	st, ok := in.Store.(store.Shipper)
	if !ok {
		return nil, fmt.Errorf("backup: %w: a broker in memory has none", samsa.ErrInvalidOption)
	}
	return st, nil
}

func (l local) Hold(_ context.Context, id string, copied uint64) error {
	st, err := l.shipper()
	if err == nil {
		err = st.Hold(id, copied, l.opts.MaxHeld)
	}
	return err
}

func (l local) Base(ctx context.Context, id string) (Mark, io.ReadCloser, error) {
	st, err := l.shipper()
	if err != nil {
		return Mark{}, nil, err
	}
	snap, commit, err := st.SnapshotHeld(id, l.opts.MaxHeld)
	if err != nil {
		return Mark{}, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	base := &base{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(base.done)
		defer snap.Close()
		_ = w.CloseWithError(store.WriteStream(ctx, w, snap)) // never fails
	}()
	return Mark{Commit: commit, Time: time.Now()}, base, nil
}

// base is a snapshot on its way. Its goroutine has ended when Close returns.
type base struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (b *base) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}

func (l local) Frames(ctx context.Context, after uint64) ([]byte, Mark, error) {
	st, err := l.shipper()
	if err != nil {
		return nil, Mark{}, err
	}
	now := time.Now()
	if err := l.b.Sync(ctx); err != nil {
		return nil, Mark{}, err
	}
	frames, last, err := st.AppendFrames(nil, after, framesBytes)
	until := Mark{Commit: last, Time: now}
	if len(frames) >= framesBytes { // more may come
		until.Time, err = lastTime(frames, err)
	}
	return frames, until, err
}

// lastTime returns the time of the last of frames.
func lastTime(frames []byte, err error) (at time.Time, _ error) {
	for len(frames) > 0 && err == nil {
		var f *store.Frame
		if f, err = store.ParseFrame(frames); err == nil {
			at, frames = f.Time, frames[f.Length:]
		}
	}
	return at, err
}

func (l local) Release(_ context.Context, id string) error {
	st, err := l.shipper()
	if err == nil {
		err = st.Unhold(id)
	}
	if errors.Is(err, store.ErrClosed) {
		return nil // nothing to hold back any more, until it is opened
	}
	return err
}
