package kafka

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/turns"
)

// memory is the budget of a server: what all its connections take together, at most
// Options.MaxMemoryBytes. It has three parts, none of which is lent to another:
//
//	requests 11/16: what has arrived of each, what it is decoded to, the copies of its records,
//	         and its answer where that is in proportion to it; until it is answered
//	answers   1/4:  records, and answers that a short request can make long; until they are written
//	sessions 1/16:  what fetch sessions remember
//
// Nobody waits for what somebody holds who waits for him. Who holds answers waits for nothing
// but his client, who has to read (Options.WriteTimeout). Requests grow while they arrive, and
// two of them could each wait for the other; so three quarters of their part are a reserve, for
// one request at a time, the first that the shared rest has no room for. It is as large as
// a request may be, so that this one comes to its end, and then the next.
//
// Of requests and answers some is for small ones alone, which need not wait behind large ones
// that stall.
type memory struct {
	requests pool
	answers  pool

	making turns.Turn // held while an answer is made whose length nobody knows before

	// inspecting has room for as many as there are processors: held while a compressed batch is
	// decompressed, which may take log.MaxDecompressedBytes whatever its length.
	inspecting chan struct{}

	sessions    atomic.Int64
	maxSessions int64
}

func newMemory(bytes int) *memory {
	m := &memory{
		making: turns.New(), inspecting: make(chan struct{}, runtime.GOMAXPROCS(0)),
		maxSessions: int64(bytes) / 16,
	}
	requests := int64(bytes) / 16 * 11
	m.requests.init(requests/16*3, requests/16, requests/4*3)
	answers := int64(bytes) / 4
	m.answers.init(answers/8*7, answers/8, 0)
	return m
}

// inspect calls f, which decompresses, beside no more others than there are processors.
func (m *memory) inspect(f func()) {
	m.inspecting <- struct{}{}
	defer func() { <-m.inspecting }()
	f()
}

// mostRequest is how much one request may take in all.
func (m *memory) mostRequest() int { return int(m.requests.reserve) }

// mostAnswer is how much there is for answers.
func (m *memory) mostAnswer() int { return int(m.answers.shared) }

// mostPlaces is how much of that the partitions of a Produce request may take.
func (m *memory) mostPlaces() int { return m.mostRequest() / 9 }

// frameLimit is how long a request may be so that all that it takes is given.
func (m *memory) frameLimit(key int16) int {
	req := kmsg.RequestForKey(key)
	switch {
	case req == nil:
		return m.mostRequest()
	case key == int16(kmsg.Produce):
		return (m.mostRequest() - m.mostPlaces() - 1<<20) / 9 * 4 // itself, its copies, a quarter more for theirs
	}
	return m.mostRequest() / (decodeRatio(req) + 2)
}

// copiedRecords is what n bytes of records take where they have to be encoded anew.
func copiedRecords(n int) int { return n + n/4 }

// minMemoryBytes is the least budget: with it a request of 10 MiB fits.
const minMemoryBytes = 64 << 20

// growSessions reports whether sessions may remember so many bytes more, or fewer.
func (m *memory) growSessions(n int64) bool {
	if m.sessions.Add(n) <= m.maxSessions || n <= 0 {
		return true
	}
	m.sessions.Add(-n)
	return false
}

// smallLease is how much one has that may take what is for small ones: a request of 2 KB without
// records, or of 50 KB with; the least that a fetch waits for.
const smallLease = 128 << 10

// pool is a number of bytes, shared by leases. Who has to wait does so in the order of coming.
type pool struct {
	mu       sync.Mutex
	shared   int64 // bytes in all, but for the small and the reserve
	small    int64 // more, for leases of up to smallLease
	reserve  int64
	free     int64         // of the shared; below 0 by what small ones, and who does not ask, take more
	reserved *lease        // who has the reserve; nil for nobody
	queue    []*waiter     // oldest first
	pressed  chan struct{} // closed while somebody waits
}

type waiter struct {
	lease   *lease
	n       int64
	granted chan struct{}
}

// lease is what one request, or one answer, has of a pool. The zero value of all but the pool is
// nothing. Its methods are for one goroutine at a time.
type lease struct {
	pool     *pool
	shared   int64 // bytes; guarded by the pool's mutex
	reserved int64
}

func (p *pool) init(shared, small, reserve int64) {
	p.shared, p.small, p.reserve, p.free, p.pressed = shared, small, reserve, shared, make(chan struct{})
}

// stats returns how many bytes are in use, and how many there are.
func (p *pool) stats() MemoryStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := p.shared - p.free
	if p.reserved != nil {
		used += p.reserved.reserved
	}
	return MemoryStats{used, p.shared + p.small + p.reserve}
}

// pressure returns what is closed while somebody waits.
func (p *pool) pressure() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pressed
}

// isPressed reports whether somebody waits.
func (p *pool) isPressed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}

// tryGrow takes n bytes more, unless that means to wait.
func (l *lease) tryGrow(n int) bool {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.reserved == l:
		l.reserved += int64(n)
	case len(p.queue) == 0 && p.free >= int64(n),
		l.shared+int64(n) <= smallLease && p.free+p.small >= int64(n):
		p.free -= int64(n)
		l.shared += int64(n)
	default:
		return false
	}
	return true
}

// grow takes n bytes more, waiting for them. It fails when ctx ends.
func (l *lease) grow(ctx context.Context, n int) error {
	if l.tryGrow(n) {
		return nil
	}
	p := l.pool
	w := &waiter{lease: l, n: int64(n), granted: make(chan struct{})}
	p.mu.Lock()
	if len(p.queue) == 0 {
		close(p.pressed)
	}
	p.queue = append(p.queue, w)
	p.serveLocked()
	p.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		p.withdraw(w)
		return ctx.Err()
	}
}

// force takes n bytes more without asking. Others wait until they are there again.
func (l *lease) force(n int) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.pool.free -= int64(n)
	l.shared += int64(n)
}

// takeUpTo takes at least the first number of bytes, waiting for them, and at most the second; of
// more than the first no more than a quarter of what is free, so that there is something for
// others. It returns what it has taken. What is more than all there is counts as all.
func (l *lease) takeUpTo(ctx context.Context, least, most int) (int, error) {
	p := l.pool
	least = min(least, int(p.shared))
	p.mu.Lock()
	free := int(p.free)
	p.mu.Unlock()
	n := max(least, min(most, free/4))
	if n > least && l.tryGrow(n) {
		return n, nil
	}
	return least, l.grow(ctx, least)
}

// isReserved reports whether the lease has the reserve, for which others may wait.
func (l *lease) isReserved() bool {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return l.pool.reserved == l
}

// shrink gives n bytes back, those of the reserve first.
func (l *lease) shrink(n int) {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	reserved := min(int64(n), l.reserved)
	l.reserved -= reserved
	l.shared -= int64(n) - reserved
	p.free += int64(n) - reserved
	p.serveLocked()
}

// end gives everything back.
func (l *lease) end() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += l.shared
	l.shared, l.reserved = 0, 0
	p.serveLocked()
}

// serveLocked gives to those who wait what there is.
func (p *pool) serveLocked() {
	if l := p.reserved; l != nil && (l.reserved == 0 || p.free >= l.reserved) { // free may be below 0
		p.free -= l.reserved // back to where the others are
		l.shared += l.reserved
		l.reserved, p.reserved = 0, nil
	}
	waited := len(p.queue) > 0
	for len(p.queue) > 0 {
		w := p.queue[0]
		switch {
		case p.reserved == w.lease:
			w.lease.reserved += w.n
		case p.free >= w.n:
			p.free -= w.n
			w.lease.shared += w.n
		case p.reserved == nil && p.reserve > 0:
			p.reserved = w.lease
			w.lease.reserved += w.n
		default:
			return
		}
		close(w.granted)
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
	if waited {
		p.pressed = make(chan struct{})
	}
}

// withdraw takes w out of the queue; what it was granted meanwhile is the lease's.
func (p *pool) withdraw(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.queue {
		if p.queue[i] == w {
			p.queue = append(p.queue[:i:i], p.queue[i+1:]...)
			if len(p.queue) == 0 {
				p.pressed = make(chan struct{})
			}
			break
		}
	}
	p.serveLocked()
}
