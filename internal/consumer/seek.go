package consumer

import (
	"context"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Assigned returns the partitions that the consumer reads, by topic and partition.
func (c *Consumer) Assigned() []log.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	tracks := c.sortedLocked()
	tps := make([]log.TopicPartition, len(tracks))
	for i, tr := range tracks {
		tps[i] = tr.tp
	}
	return tps
}

// Position returns the offset of the next record that Poll will return of tp, or ErrNoOffset.
func (c *Consumer) Position(tp log.TopicPartition) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tr, err := c.trackLocked(tp)
	if err == nil {
		err = tr.placed()
	}
	if err != nil {
		return 0, fmt.Errorf("position: %w", err)
	}
	return tr.position, nil
}

// Lag returns how many offsets the position in tp is behind the edge.
func (c *Consumer) Lag(tp log.TopicPartition) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tr, err := c.trackLocked(tp)
	lag := int64(0)
	if err == nil {
		lag, err = tr.lag()
	}
	if err != nil {
		return 0, fmt.Errorf("lag: %w", err)
	}
	return lag, nil
}

// TotalLag returns the sum of the lags of all partitions, having asked for their edges.
func (c *Consumer) TotalLag(ctx context.Context) (int64, error) {
	tracks, err := c.tracksOf(nil)
	if err == nil {
		err = ctx.Err()
	}
	for i, tr := range tracks { // may ask elsewhere: without the lock
		if err == nil && (i == 0 || tr.topic != tracks[i-1].topic) {
			_, err = c.b.Topics.Find(ctx, tr.tp.Topic, false)
		}
	}
	total := int64(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range c.sortedLocked() {
		if err == nil {
			lag := int64(0)
			lag, err = tr.lag()
			total += lag
		}
	}
	if err != nil {
		return 0, fmt.Errorf("total lag: %w", err)
	}
	return total, nil
}

// lag returns how many offsets the position is behind the edge.
func (tr *track) lag() (int64, error) {
	if err := tr.placed(); err != nil {
		return 0, err
	}
	return max(0, tr.edge()-tr.position), tr.partition.Err()
}

// placed returns ErrNoOffset until the track has a position.
func (tr *track) placed() error {
	switch {
	case tr.unplaced:
		return fmt.Errorf("%s: %w", tr.tp, log.ErrNoOffset)
	case tr.waits:
		return fmt.Errorf("%s: %w yet: a transaction is open that commits one, or nobody has said", tr.tp, log.ErrNoOffset)
	}
	return nil
}

// stands reports whether the track has a position.
func (tr *track) stands() bool { return !tr.unplaced && !tr.waits }

// Seek makes the next Poll continue at offset in tp.
func (c *Consumer) Seek(ctx context.Context, tp log.TopicPartition, offset int64) error {
	if offset < 0 {
		return fmt.Errorf("seek: %s: %w: offset %d is negative", tp, log.ErrOffsetOutOfRange, offset)
	}
	return c.SeekTo(ctx, engine.Start{Kind: engine.AtOffset, Offset: offset}, tp)
}

// SeekTo makes the next Poll continue at s, in tps or without any in all partitions.
// When it fails no position has moved.
func (c *Consumer) SeekTo(ctx context.Context, s engine.Start, tps ...log.TopicPartition) error {
	if s.Kind == engine.Committed && c.member != nil {
		return c.seekCommitted(ctx, tps)
	}
	return c.seek(tps, func(p engine.Partition) (int64, error) {
		offset, err := s.Resolve(ctx, p, c.opts.Isolation)
		if err == nil {
			err = ctx.Err()
		}
		return offset, err
	})
}

// seekCommitted makes the next Poll continue where the group stands, or if it never has been there where the consumer begins.
func (c *Consumer) seekCommitted(ctx context.Context, tps []log.TopicPartition) error {
	tracks, err := c.tracksOf(tps)
	if err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	if tps = tps[:0:0]; len(tracks) == 0 {
		return nil
	}
	for _, tr := range tracks {
		tps = append(tps, tr.tp)
	}
	all, err := c.committedOf(ctx, tps)
	if err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	for _, tr := range tracks {
		if all.offsets[tr.tp].TopicID != tr.topic.ID() {
			delete(all.offsets, tr.tp) // of a topic of that name that is gone
		}
	}
	return c.seek(tps, func(p engine.Partition) (int64, error) {
		tp := p.TopicPartition()
		if err := all.damaged[tp]; err != nil {
			return 0, err
		}
		if all.open[tp] {
			return 0, noOffsetYet(tp)
		}
		if o, ok := all.offsets[tp]; ok {
			return o.Offset, p.Err()
		}
		if c.opts.Start.Kind == engine.Committed {
			return 0, fmt.Errorf("%s: %w", tp, log.ErrNoOffset)
		}
		return c.opts.Start.Resolve(ctx, p, c.opts.Isolation)
	})
}

// noOffsetYet says that a group is about to stand elsewhere.
func noOffsetYet(tp log.TopicPartition) error {
	return fmt.Errorf("%s: %w yet: a transaction is open that commits one", tp, log.ErrNoOffset)
}

// SeekLast makes the next Poll continue at the n-th record from the end, in tps or without any in all partitions.
// When it fails no position has moved.
func (c *Consumer) SeekLast(ctx context.Context, n int64, tps ...log.TopicPartition) error {
	if n < 0 {
		return fmt.Errorf("seek: %w: n is %d, want 0 or more", log.ErrInvalidOption, n)
	}
	var w backwards
	return c.seek(tps, func(p engine.Partition) (int64, error) {
		w.begin(p, c.opts.Member.ClientID, c.opts.Isolation, p.HighWatermark())
		return w.last(ctx, n)
	})
}

// seek moves the positions in tps, or in all partitions, to where resolve says.
func (c *Consumer) seek(tps []log.TopicPartition, resolve func(engine.Partition) (int64, error)) error {
	tracks, err := c.tracksOf(tps)
	if err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	offsets := make([]int64, len(tracks))
	for i, tr := range tracks { // may read: without the lock
		if offsets[i], err = resolve(tr.partition); err != nil {
			return fmt.Errorf("seek: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, tr := range tracks {
		tr.seek(offsets[i])
	}
	c.waiter.Wake()
	c.ready.Wake()
	return nil
}

// Pause makes Poll return nothing of tps, or without any of all partitions, until Resume.
// Their positions stay.
func (c *Consumer) Pause(tps ...log.TopicPartition) error { return c.setPaused("pause", true, tps) }

// Resume undoes Pause.
func (c *Consumer) Resume(tps ...log.TopicPartition) error { return c.setPaused("resume", false, tps) }

func (c *Consumer) setPaused(what string, paused bool, tps []log.TopicPartition) error {
	tracks, err := c.tracksOf(tps)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range tracks {
		if paused && !tr.paused {
			tr.unread() // others need the room
		}
		tr.paused = paused
		tr.hungry()
	}
	c.waiter.Wake()
	c.ready.Wake()
	return nil
}

// Paused returns the partitions that are paused.
func (c *Consumer) Paused() []log.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var tps []log.TopicPartition
	for _, tr := range c.sortedLocked() {
		if tr.paused {
			tps = append(tps, tr.tp)
		}
	}
	return tps
}

// tracksOf returns the tracks of tps, or all when tps is empty.
func (c *Consumer) tracksOf(tps []log.TopicPartition) ([]*track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(tps) == 0 {
		if c.closing {
			return nil, log.ErrClosed
		}
		return slices.Clone(c.sortedLocked()), nil
	}
	tracks := make([]*track, 0, len(tps))
	for _, tp := range tps {
		tr, err := c.trackLocked(tp)
		if err != nil {
			return nil, err
		}
		tracks = append(tracks, tr)
	}
	return tracks, nil
}

func (c *Consumer) trackLocked(tp log.TopicPartition) (*track, error) {
	if c.closing {
		return nil, fmt.Errorf("%s: %w", tp, log.ErrClosed)
	}
	if tr := c.tracks[tp]; tr != nil {
		return tr, nil
	}
	return nil, fmt.Errorf("%s: %w: the consumer does not read it", tp, log.ErrUnknownPartition)
}
