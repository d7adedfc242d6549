package batcher

import (
	"sync"
	"time"
)

// BurstClock tells the time to who asks very often: then it looks at the clock, which takes longer than
// all else that is done for a record, for one question of many. What it says is a
// millisecond old at most, and not at all when the questions come slowly.
type BurstClock struct {
	now   time.Time // when it looked last
	since int       // questions since then
	skip  int       // so many are answered without looking
	pause *time.Timer
}

const (
	burstLength = 32
	burstGap    = 10 * time.Microsecond // between questions of a burst, on average
)

// AskLocked returns the time in ms since the epoch. mu guards c.
func (c *BurstClock) AskLocked(mu *sync.Mutex) int64 {
	if c.since++; c.since <= c.skip {
		return c.now.UnixMilli()
	}
	now := time.Now()
	burst := now.Sub(c.now) < time.Duration(c.since)*burstGap
	c.now, c.since, c.skip = now, 0, 0
	if burst {
		c.skip = burstLength - 1
		c.endLater(mu)
	}
	return now.UnixMilli()
}

// endLater ends the burst after a millisecond, unless it goes on.
func (c *BurstClock) endLater(mu *sync.Mutex) {
	if c.pause != nil {
		c.pause.Reset(time.Millisecond)
		return
	}
	c.pause = time.AfterFunc(time.Millisecond, func() {
		mu.Lock()
		defer mu.Unlock()
		c.skip = 0
	})
}
