package batcher

import "time"

// lingerLocked has b wait for more records, for so long unless it is complete earlier.
func (b *pending) lingerLocked(d time.Duration) {
	l := b.lane // b may be another's when the time is over
	b.linger = time.AfterFunc(d, func() { l.lingered(b) })
}

// lingered hurries b if it is still filling.
func (l *lane) lingered(b *pending) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.filling == b {
		b.HurryLocked()
	}
}

// HurryLocked implements Held: b is sent as soon as its lane is free.
func (b *pending) HurryLocked() {
	b.hurry = true
	b.lane.readyLocked()
}
