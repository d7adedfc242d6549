package consumer

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

const (
	fetchBytes = 1 << 20 // decompressed, of one partition before it is the next one's turn
	arenaBytes = 64 << 10
)

// fetcher is the memory of a consumer's fetching goroutine.
type fetcher struct {
	c      *Consumer
	job    job // under way
	called []*track
	buf    []byte // a stored batch
	arena  []byte // decompressed records go behind its length; never written twice
	chunks []chunk
}

// fetch is the consumer's goroutine: it reads ahead, one partition after the other,
// while there is room, and sleeps until there is something to read.
func (c *Consumer) fetch() {
	f, over := fetcher{c: c}, false
	defer func() {
		if !over {
			f.left()
		}
	}()
	for {
		job, ok := f.next()
		switch {
		case !ok:
			over = true
			return
		case job.track == nil:
			<-c.waiter.C()
		default:
			f.job = job
			f.read(job)
		}
	}
}

// job is one read: of a track, from an offset to another one, valid for an epoch.
type job struct {
	track     *track
	from, end int64
	epoch     int
}

// next picks the next track that has something to read; none when all are up to date or
// enough was read ahead. It returns false when the consumer is closing.
func (f *fetcher) next() (job, bool) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return job{}, false
	}
	c.refreshLocked()
	f.called = c.calls.take(f.called)
	for _, tr := range f.called {
		tr.late = false
		tr.hungry()
	}
	clear(f.called)
	for {
		full := c.fetched >= c.opts.MaxPollBytes
		s := c.hungry.first
		if s == nil && !full {
			s = c.sated.first
		}
		if s == nil {
			return job{}, true
		}
		switch tr := s.track; {
		case tr.idle():
			s.leave()
			tr.await()
			if tr.end != endless {
				c.ready.Wake() // the loop may be through with it
			}
		case tr.unplaced:
			s.leave()
			tr.stuck = true
			c.errs = append(c.errs, pollError{tr.placed(), tr, tr.epoch})
			c.ready.Wake()
		case full && len(tr.chunks) > 0:
			c.sated.push(s)
		case c.fetched/2 >= c.opts.MaxPollBytes:
			return job{}, true
		default:
			c.hungry.push(s) // there may be more
			return job{tr, tr.next, tr.end, tr.epoch}, true
		}
	}
}

// idle reports whether nothing is to be read of the track until something happens to it: a call
// of its partition, or what makes it hungry.
func (tr *track) idle() bool {
	switch {
	case tr.paused || tr.stuck || tr.waits || tr.late || tr.overtaken && len(tr.chunks) > 0:
		return true
	case tr.unplaced:
		return false
	}
	// Where no records can be, and of what has ended, reading finds out.
	there := tr.edge()
	upToDate := tr.next >= there && tr.next <= tr.partition.HighWatermark() || tr.next >= tr.end && (tr.end < 0 || tr.next < there)
	return upToDate && tr.partition.Err() == nil
}

// await has a partition that is elsewhere tell of what comes, when the track has all that there is.
func (tr *track) await() {
	if r, ok := tr.partition.(engine.Remote); ok && !tr.paused && !tr.stuck && !tr.waits && !tr.late && !tr.overtaken {
		r.Await(tr.c.opts.Isolation, tr.next)
	}
}

// read reads ahead from one partition and hands over what it got.
func (f *fetcher) read(j job) {
	next, size := j.from, 0
	var err error
	c, there := f.c, j.track.edge()
	f.buf, err = j.track.partition.Fetch(c.ctx, c.opts.Member.ClientID, c.opts.Isolation, j.from, f.buf, func(sb log.StoredBatch) bool {
		ch := f.open(sb, j)
		f.chunks = append(f.chunks, ch)
		next = sb.LastOffset + 1
		size += max(ch.bytes, len(sb.Batch))
		return size < fetchBytes && next < j.end
	})
	if err == nil && len(f.chunks) == 0 && next < there && next >= j.track.partition.LogStart() {
		f.chunks, next = append(f.chunks, chunk{end: there, bytes: 1}), there // the last offsets have no batches any more
	}
	refused := false
	if c.intercepts && len(f.chunks) > 0 {
		next, refused = f.intercept(j, next)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.track.epoch == j.epoch && !c.closing {
		switch {
		case errors.Is(err, engine.ErrNotYet):
			j.track.late = true
		case err != nil:
			c.troubleLocked(j.track, err)
		default:
			j.track.fill(f.chunks, next)
			j.track.stuck = refused // until its error is told
		}
		c.ready.Wake()
	}
	clear(f.chunks)
	f.chunks = f.chunks[:0]
}

// open decompresses a batch.
func (f *fetcher) open(sb log.StoredBatch, j job) chunk {
	ch := chunk{end: sb.LastOffset + 1, bytes: 1, left: 1, err: sb.Err}
	if ch.err != nil {
		return ch
	}
	b := sb.Batch
	if b.Control() || sb.Aborted {
		ch.left = 0
		if !b.Control() {
			ch.passed = b.Records()
		}
		return ch
	}
	if cap(f.arena)-len(f.arena) < len(b) {
		f.arena = make([]byte, 0, max(arenaBytes, len(b)))
	}
	at := len(f.arena)
	records, err := b.AppendRecords(f.arena[at:at:cap(f.arena)])
	if err == nil {
		ch.reader = log.NewRecordReader(b, records)
		err = ch.reader.SkipTo(j.from)
	}
	if err != nil {
		ch.err = fmt.Errorf("%s: batch ending at offset %d: %w", j.track.tp, sb.LastOffset, err)
		return ch
	}
	f.arena = f.arena[:min(cap(f.arena), at+len(records))]
	ch.left = ch.reader.Left()
	ch.bytes = len(records) + 1
	return ch
}

// dropLocked stops reading the topic of tr, which was deleted.
func (c *Consumer) dropLocked(tr *track, err error) {
	for i := range tr.topic.Partitions() {
		if other := c.tracks[log.TopicPartition{Topic: tr.tp.Topic, Partition: i}]; other != nil && other.topic == tr.topic {
			c.removeLocked(other)
		}
	}
	c.errs = append(c.errs, pollError{err: err})
	if c.member != nil {
		c.member.tell((*member.Member).Forget)
	}
	delete(c.whole, tr.topic)
	if again, err := c.b.Topics.Get(tr.tp.Topic); err == nil && c.whole[again] {
		c.wholeLocked(again) // it had to wait
	}
	if len(c.tracks) == 0 && c.member == nil && c.opts.TopicPattern == nil {
		c.gone = err
	}
}

// removeLocked stops reading a partition.
func (c *Consumer) removeLocked(tr *track) {
	tr.partition.Unwatch(tr)
	tr.unread()
	if c.member != nil && (tr.top > max(tr.base, tr.saved) || tr.partition.Err() != nil) {
		c.former[tr.tp] = max(tr.top, tr.former)
	}
	tr.removed = true
	tr.fetching.leave()
	delete(c.tracks, tr.tp)
	c.sorted = nil
}

// refreshLocked picks up partitions that were added to whole topics, and topics that
// match the pattern.
func (c *Consumer) refreshLocked() {
	if c.member != nil {
		return // the group does it
	}
	for t, gone := c.changes.Next(); t != nil; t, gone = c.changes.Next() {
		switch {
		case gone:
			delete(c.whole, t) // reading tells
		case c.whole[t] || c.matches(t):
			c.whole[t] = true
			c.wholeLocked(t)
		}
	}
}

// wholeLocked begins to read the partitions of t that are not read yet.
func (c *Consumer) wholeLocked(t engine.Topic) {
	for i := range t.Partitions() {
		if c.tracks[log.TopicPartition{Topic: t.Name(), Partition: i}] != nil {
			continue
		}
		p, err := t.Partition(i)
		if err != nil {
			break // it has ended meanwhile; the others of the topic tell
		}
		tr, err := c.newTrack(c.ctx, t, i, engine.Start{Kind: engine.AtOffset, Offset: p.LogStart()}) // asks nobody
		if err != nil {
			break
		}
		c.addLocked(tr)
	}
}

// matches reports whether the topic matches the pattern, if there is one.
func (c *Consumer) matches(t engine.Topic) bool {
	return c.opts.TopicPattern != nil && c.opts.TopicPattern.MatchString(t.Name())
}
