package quota

import (
	"math"
	"time"
)

// bucket is what somebody may still change (KIP-599, Kafka's TokenBucket): a limit fills it, up to all that the limit gives in samples
// windows, and it may be below empty. It begins full.
type bucket struct {
	tokens float64
	filled time.Time // zero for never
}

// fill fills the bucket by what limit has given since it was filled.
func (b *bucket) fill(now time.Time, limit float64) {
	most := samples * window.Seconds() * limit
	if b.filled.IsZero() {
		b.tokens = most
	} else {
		b.tokens = min(most, b.tokens+limit*now.Sub(b.filled).Seconds())
	}
	b.filled = now
}

// Change notes that a client wants to change n of what ControllerMutation is about, and returns how long it is to be still, 0 without a limit. Strict
// refuses the change, and counts none of it, where the limit was exceeded before; what it does not refuse may exceed it, and costs no time.
func (m *Meters) Change(t *Table, user, client string, now time.Time, n float64, strict bool) (wait time.Duration, ok bool) {
	limit, together, ok := t.Of(ControllerMutation, user, client)
	if !ok {
		return 0, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.meter(together, now)
	one.last = now
	b := &one.bucket
	b.fill(now, limit)
	if !strict || b.tokens >= 0 {
		b.tokens -= n
		if strict || b.tokens >= 0 {
			return 0, true
		}
	}
	ms := math.Round(-b.tokens / limit * 1000)
	return time.Duration(min(ms, math.MaxInt32)) * time.Millisecond, !strict
}
