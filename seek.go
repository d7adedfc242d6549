package samsa

import (
	"fmt"
	"slices"
	"time"
)

// Assignment returns the partitions that the consumer reads, by topic and partition.
func (c *Consumer) Assignment() []TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	tracks := c.sortedLocked()
	tps := make([]TopicPartition, len(tracks))
	for i, tr := range tracks {
		tps[i] = tr.tp
	}
	return tps
}

// Position returns the offset of the next record that Poll will return of tp.
func (c *Consumer) Position(tp TopicPartition) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tr, err := c.trackLocked(tp)
	if err != nil {
		return 0, fmt.Errorf("position: %w", err)
	}
	return tr.position, nil
}

// Lag returns how many offsets the position in tp is behind the high watermark.
func (c *Consumer) Lag(tp TopicPartition) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tr, err := c.trackLocked(tp)
	if err != nil {
		return 0, fmt.Errorf("lag: %w", err)
	}
	return max(0, tr.partition.HighWatermark()-tr.position), nil
}

// Seek makes the next Poll continue at offset in tp. Whether records are there shows
// then: see ConsumerOptions.OutOfRange. Records of a Poll that is returning meanwhile
// may still be from before.
func (c *Consumer) Seek(tp TopicPartition, offset int64) error {
	if offset < 0 {
		return fmt.Errorf("seek: %s: %w: offset %d is negative", tp, ErrOffsetOutOfRange, offset)
	}
	return c.SeekTo(AtOffset(offset), tp)
}

// SeekTime makes the next Poll continue, in tps or without any in all partitions, at
// the first record of timestamp t or later.
func (c *Consumer) SeekTime(t time.Time, tps ...TopicPartition) error {
	return c.SeekTo(AtTime(t), tps...)
}

// SeekTo makes the next Poll continue at s, in tps or without any in all partitions.
// When it fails no position has moved.
func (c *Consumer) SeekTo(s Start, tps ...TopicPartition) error {
	tracks, err := c.tracksOf(tps)
	if err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	offsets := make([]int64, len(tracks))
	for i, tr := range tracks { // may read: without the lock
		if offsets[i], err = s.at.Resolve(c.ctx, tr.partition); err != nil {
			return fmt.Errorf("seek: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, tr := range tracks {
		tr.seek(offsets[i])
	}
	c.waiter.Wake()
	return nil
}

// Pause makes Poll return nothing of tps, or without any of all partitions, until Resume.
// Their positions stay.
func (c *Consumer) Pause(tps ...TopicPartition) error { return c.setPaused("pause", true, tps) }

// Resume undoes Pause.
func (c *Consumer) Resume(tps ...TopicPartition) error { return c.setPaused("resume", false, tps) }

func (c *Consumer) setPaused(what string, paused bool, tps []TopicPartition) error {
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
func (c *Consumer) Paused() []TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var tps []TopicPartition
	for _, tr := range c.sortedLocked() {
		if tr.paused {
			tps = append(tps, tr.tp)
		}
	}
	return tps
}

// tracksOf returns the tracks of tps, or all when tps is empty.
func (c *Consumer) tracksOf(tps []TopicPartition) ([]*track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(tps) == 0 {
		if c.closing {
			return nil, ErrClosed
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

func (c *Consumer) trackLocked(tp TopicPartition) (*track, error) {
	if c.closing {
		return nil, fmt.Errorf("%s: %w", tp, ErrClosed)
	}
	if tr := c.tracks[tp]; tr != nil {
		return tr, nil
	}
	return nil, fmt.Errorf("%s: %w: the consumer does not read it", tp, ErrUnknownPartition)
}
