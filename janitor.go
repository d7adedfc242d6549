package samsa

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/topic"
)

// janitor removes the data of deleted topics in the background and gives the space
// back to the file system.
type janitor struct {
	b      *Broker
	wg     sync.WaitGroup
	cancel context.CancelFunc
	work   chan struct{} // capacity 1
	turn   chan struct{} // capacity 1: held by whoever cleans
}

func (j *janitor) start(b *Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	*j = janitor{b: b, cancel: cancel, work: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	j.wake() // what the last owner left
	j.wg.Go(func() { j.run(ctx) })
}

func (j *janitor) stop() {
	j.cancel()
	j.wg.Wait()
}

func (j *janitor) wake() {
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// run is the janitor's goroutine.
func (j *janitor) run(ctx context.Context) {
	for {
		select {
		case <-j.work:
		case <-ctx.Done():
			return
		}
		if _, err := j.clean(ctx, false); err != nil && ctx.Err() == nil {
			j.b.logger.Warn("removing deleted topics failed; the next deletion, Compact or Open tries again", zap.Error(err))
		}
	}
}

// clean purges deleted topics, and reclaims space if there were any or if asked to.
func (j *janitor) clean(ctx context.Context, always bool) (topic.Purged, error) {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return topic.Purged{}, ctx.Err()
	}
	purged, err := j.b.catalogue.Purge(ctx)
	if err != nil || purged.Batches == 0 && !always {
		return purged, err
	}
	err = j.b.committer.Exclusive(func() error { return j.b.st.Reclaim(ctx) })
	if errors.Is(err, store.ErrDiskFull) {
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return purged, err
}

// Compaction is what Broker.Compact did.
type Compaction struct {
	Topics     int   // deleted topics whose data was removed
	Batches    int64 // removed
	BytesFreed int64 // by which the data directory shrank
}

// Compact removes now what may go, the data of deleted topics, and gives its space back
// to the file system. The broker does so by itself in the background; Compact is for
// those who want to wait for it. Producers wait while space is given back.
func (b *Broker) Compact(ctx context.Context) (Compaction, error) {
	if err := b.check(ctx); err != nil {
		return Compaction{}, fmt.Errorf("compact: %w", err)
	}
	before, err := b.st.Size()
	if err != nil {
		return Compaction{}, fmt.Errorf("compact: %w", err)
	}
	purged, err := b.janitor.clean(ctx, true)
	c := Compaction{Topics: purged.Topics, Batches: purged.Batches}
	if err != nil {
		return c, fmt.Errorf("compact: %w", err)
	}
	after, err := b.st.Size()
	if err != nil {
		return c, fmt.Errorf("compact: %w", err)
	}
	c.BytesFreed = max(0, before-after)
	return c, nil
}
