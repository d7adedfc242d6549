package read

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// How much is read ahead, in bytes as they come.
const (
	partitionBytes = 1 << 20  // asked for of a partition; a batch that is larger comes all the same
	responseBytes  = 8 << 20  // and of an answer
	aheadBytes     = 1 << 20  // a partition that has so much waiting is not asked for more
	budgetBytes    = 32 << 20 // if all have so much waiting, who has nothing gets the room of one who does not read: see makeRoomLocked
)

// idleReader is how long somebody who has something waiting must have read nothing before it may be dropped for others.
const idleReader = 100 * time.Millisecond

// How long a broker waits for records, when there are none.
const (
	longWait  = 500 * time.Millisecond
	shortWait = 20 * time.Millisecond
)

// How long a partition is let alone that could not be read, the first time and at most.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = time.Second
)

// fetcher reads ahead for all readers that are watched. Each has a cursor, and the cursors of the partitions that a broker
// leads are in one lane, which asks that broker for all of them at once. A partition is in a request once: who reads what
// another one reads too is in another lane, which has connections of its own, for a broker answers a connection's requests
// one after the other.
type fetcher struct {
	topics *Topics
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows, the lanes and the cursors
	lanes   map[laneKey]*lane
	clients map[clientKey]*kgo.Client
	cursors map[*part][]*cursor
	waiting int // bytes that wait to be read, and those that were asked for
	took    time.Time
	flights uint64
	closed  bool
}

type laneKey struct {
	leader int32
	iso    log.Isolation
	number int // of a partition's cursors of that isolation each has another one
}

// clientKey names the connections of a loop of a lane, which those for other leaders share.
type clientKey struct {
	iso    log.Isolation
	number int
	long   bool
}

func newFetcher(s *Topics) *fetcher {
	return &fetcher{
		topics: s, lanes: make(map[laneKey]*lane), clients: make(map[clientKey]*kgo.Client), cursors: make(map[*part][]*cursor),
	}
}

// close ends all lanes.
func (f *fetcher) close() {
	f.mu.Lock()
	f.closed = true
	for _, l := range f.lanes {
		l.wake()
	}
	clients := f.clients
	f.clients = nil
	f.mu.Unlock()
	for _, cl := range clients {
		cl.Close()
	}
	f.wg.Wait()
}

// cursor is where a reader reads ahead. It is guarded by fetcher.mu.
type cursor struct {
	r      *reader
	part   *part
	iso    log.Isolation
	number int
	lane   *lane // nil while nobody leads the partition

	at    int64             // the reader goes on from there
	queue []log.StoredBatch // from at on
	bytes int               // of queue
	next  int64             // the next request is for that offset
	last  int32             // the epoch of the leader that has stored what is before it, -1 if that is not known
	taken int32             // the same of what is before at
	read  time.Time         // when the reader has asked last
	wants bool              // the reader has got nothing since
	err   error             // in the place of what is at next, told once the queue is empty

	flight   uint64    // of the request that it is in, and 0 without: what another one brings is for nobody
	turn     uint64    // of its last request
	failures int       // in a row
	retryAt  time.Time // not asked for until then
}

// Fetch implements engine.Partition.
func (r *reader) Fetch(ctx context.Context, _ string, iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	if err := r.part.failure(); err != nil {
		return buf, err
	}
	if !r.watched() {
		return buf, r.fetchNow(ctx, iso, from, fn)
	}
	if start := r.part.start.Load(); from < start { // what was read ahead does not count either
		return buf, fmt.Errorf("%s: %w: offset %d, the first is %d", r.part.tp, log.ErrOffsetOutOfRange, from, start)
	}
	f := r.part.topic.set.fetcher
	edge := r.part.edge(iso)
	for begun := false; ; begun = true {
		sb, err := f.take(r, iso, from, edge)
		switch {
		case begun && err != nil:
			return buf, nil // is told the next time
		case errors.Is(err, errNothing):
			return buf, nil
		case err != nil:
			return buf, err
		}
		if from = sb.LastOffset + 1; !fn(sb) {
			return buf, nil
		}
	}
}

// errNothing says that a partition has nothing for a reader.
var errNothing = errors.New("nothing")

// take returns the first batch that waits, ErrNotYet while none does, or what stands in its place.
func (f *fetcher) take(r *reader, iso log.Isolation, from, edge int64) (log.StoredBatch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return log.StoredBatch{}, fmt.Errorf("%s: %w", r.part.tp, log.ErrClosed)
	}
	c := f.cursorLocked(r, iso, from)
	c.read, c.wants = time.Now(), true
	if len(c.queue) > 0 {
		sb := c.queue[0]
		c.queue[0], c.queue = log.StoredBatch{}, c.queue[1:]
		had := c.bytes
		f.freeLocked(c, len(sb.Batch))
		c.at, c.taken, c.wants = sb.LastOffset+1, leaderEpoch(sb.Batch), false
		f.took = c.read
		if had >= aheadBytes && c.bytes < aheadBytes && c.lane != nil {
			c.lane.wake()
		}
		return sb, nil
	}
	if err := c.err; err != nil {
		c.err = nil // it is tried again
		if c.lane != nil {
			c.lane.wake()
		}
		return log.StoredBatch{}, err
	}
	if c.lane != nil {
		c.lane.wake()
	}
	if from == edge {
		return log.StoredBatch{}, errNothing
	}
	return log.StoredBatch{}, engine.ErrNotYet
}

// Await implements engine.Remote.
func (r *reader) Await(iso log.Isolation, from int64) {
	f := r.part.topic.set.fetcher
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && r.watched() {
		f.cursorLocked(r, iso, from).wants = true
	}
}

// cursorLocked returns the reader's cursor, which is at that offset then.
func (f *fetcher) cursorLocked(r *reader, iso log.Isolation, from int64) *cursor {
	c := r.cursor
	if c != nil && c.iso != iso {
		f.dropLocked(c)
		c = nil
	}
	if c == nil {
		return f.beginLocked(r, iso, from)
	}
	if c.at != from {
		f.seekLocked(c, from)
	}
	return c
}

func (f *fetcher) freeLocked(c *cursor, n int) {
	c.bytes -= n
	if f.waiting -= n; f.waiting < budgetBytes && f.waiting+n >= budgetBytes {
		for _, l := range f.lanes {
			l.wake()
		}
	}
}

// beginLocked begins to read ahead.
func (f *fetcher) beginLocked(r *reader, iso log.Isolation, from int64) *cursor {
	epoch := r.part.beginEpoch(from)
	c := &cursor{r: r, part: r.part, iso: iso, at: from, next: from, last: epoch, taken: epoch}
	others := f.cursors[r.part]
	for slices.ContainsFunc(others, func(o *cursor) bool { return o.iso == iso && o.number == c.number }) {
		c.number++
	}
	f.cursors[r.part] = append(others, c)
	r.cursor = c
	leader, _ := r.part.at()
	f.placeLocked(c, leader)
	return c
}

// placeLocked puts a cursor into the lane of a leader, or if that is negative in none.
func (f *fetcher) placeLocked(c *cursor, leader int32) {
	if c.lane != nil {
		delete(c.lane.cursors, c)
		c.lane.wake()
		c.lane, c.flight = nil, 0
	}
	if leader < 0 || f.closed {
		return
	}
	key := laneKey{leader, c.iso, c.number}
	l := f.lanes[key]
	if l == nil {
		l = newLane(f, key)
		f.lanes[key] = l
		f.wg.Go(func() { l.run(true) })
		f.wg.Go(func() { l.run(false) })
	}
	l.cursors[c] = struct{}{}
	c.lane = l
	l.wake()
}

// moved puts the cursors of a partition to its new leader.
func (f *fetcher) moved(p *part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	leader, _ := p.at()
	for _, c := range f.cursors[p] {
		c.retryAt = time.Time{}
		f.placeLocked(c, leader)
	}
	if leader < 0 && len(f.cursors[p]) > 0 {
		p.topic.set.Soon(p.tp.Topic)
	}
}

// seekLocked has a cursor go on from another offset. What waits is kept as far as it counts.
func (f *fetcher) seekLocked(c *cursor, from int64) {
	if from < c.at || from > c.next {
		f.emptyLocked(c)
		c.next, c.last, c.taken, c.err, c.flight, c.retryAt = from, -1, -1, nil, 0, time.Time{}
		if c.lane != nil {
			c.lane.wake()
		}
	}
	for len(c.queue) > 0 && c.queue[0].LastOffset < from {
		f.freeLocked(c, len(c.queue[0].Batch))
		c.queue[0], c.queue = log.StoredBatch{}, c.queue[1:]
	}
	c.at = from
}

// makeRoomLocked makes room for somebody who wants something, where all have as much waiting as they may: what waits for the one who has
// read nothing for the longest time is dropped, and read again when that one wants it. While somebody reads there will be room
// without, and it reports false.
func (f *fetcher) makeRoomLocked(now time.Time) bool {
	if now.Sub(f.took) < idleReader {
		return false
	}
	var oldest *cursor
	for _, cs := range f.cursors {
		for _, c := range cs {
			if len(c.queue) > 0 && c.flight == 0 && now.Sub(c.read) >= idleReader && (oldest == nil || c.read.Before(oldest.read)) {
				oldest = c
			}
		}
	}
	if oldest == nil {
		return false
	}
	f.emptyLocked(oldest)
	oldest.next, oldest.last, oldest.err = oldest.at, oldest.taken, nil
	return true
}

func (f *fetcher) emptyLocked(c *cursor) {
	n := c.bytes
	c.queue = nil
	f.freeLocked(c, n)
}

// drop ends reading ahead for a reader that nobody watches any more.
func (f *fetcher) drop(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.cursor != nil {
		f.dropLocked(r.cursor)
	}
}

func (f *fetcher) dropLocked(c *cursor) {
	f.placeLocked(c, -1)
	f.emptyLocked(c)
	c.r.cursor = nil
	rest := slices.DeleteFunc(f.cursors[c.part], func(o *cursor) bool { return o == c })
	if f.cursors[c.part] = rest; len(rest) == 0 {
		delete(f.cursors, c.part)
	}
}

// client returns the client of a loop.
func (f *fetcher) client(key clientKey) (*kgo.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, log.ErrClosed
	}
	cl := f.clients[key]
	if cl == nil {
		var err error
		if cl, err = f.topics.link.New(); err != nil {
			return nil, err
		}
		f.clients[key] = cl
	}
	return cl, nil
}
