package samsa

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

const (
	fetchBytes = 1 << 20 // decompressed, of one partition before it is the next one's turn
	arenaBytes = 64 << 10
)

// fetcher is the memory of a consumer's fetching goroutine.
type fetcher struct {
	c      *Consumer
	turn   int
	buf    []byte // a stored batch
	arena  []byte // decompressed records go behind its length; never written twice
	chunks []chunk
}

// fetch is the consumer's goroutine: it reads ahead, one partition after the other,
// while there is room, and sleeps until there is something to read.
func (c *Consumer) fetch() {
	f := fetcher{c: c}
	for {
		job, ok := f.next()
		switch {
		case !ok:
			return
		case job.track == nil:
			<-c.waiter.C()
		default:
			f.read(job)
		}
	}
}

// job is one read: of a track, from an offset, valid for an epoch.
type job struct {
	track *track
	from  int64
	epoch int
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
	full := c.fetched >= c.opts.MaxPollBytes
	for i := range c.order {
		at := (f.turn + i) % len(c.order)
		tr := c.order[at]
		if tr.paused || tr.stuck || (full || tr.overtaken) && len(tr.chunks) > 0 {
			continue
		}
		if tr.unplaced {
			tr.stuck = true
			err := fmt.Errorf("%s: %w", tr.tp, ErrNoOffset)
			c.errs = append(c.errs, pollError{err, tr, tr.epoch})
			c.ready.Wake()
			continue
		}
		if tr.next == tr.partition.HighWatermark() && tr.partition.Err() == nil {
			continue
		}
		if c.fetched >= 2*c.opts.MaxPollBytes {
			break
		}
		f.turn = at + 1
		return job{tr, tr.next, tr.epoch}, true
	}
	return job{}, true
}

// read reads ahead from one partition and hands over what it got.
func (f *fetcher) read(j job) {
	next, size := j.from, 0
	var err error
	c := f.c
	f.buf, err = j.track.partition.Fetch(c.ctx, c.opts.Member.ClientID, j.from, f.buf, func(sb log.StoredBatch) bool {
		ch := f.open(sb, j)
		f.chunks = append(f.chunks, ch)
		next = sb.LastOffset + 1
		size += ch.bytes
		return size < fetchBytes
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.track.epoch == j.epoch && !c.closing {
		switch {
		case err != nil:
			c.troubleLocked(j.track, err)
		default:
			j.track.chunks = append(j.track.chunks, f.chunks...)
			j.track.next = next
			c.fetched += size
		}
		c.ready.Wake()
	}
	clear(f.chunks)
	f.chunks = f.chunks[:0]
}

// open decompresses a batch.
func (f *fetcher) open(sb log.StoredBatch, j job) chunk {
	ch := chunk{end: sb.LastOffset + 1, bytes: 1, err: sb.Err}
	if ch.err != nil {
		return ch
	}
	b := sb.Envelope.Batch()
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
	ch.left = b.Records()
	ch.bytes = len(records) + 1
	return ch
}

// troubleLocked deals with a partition that cannot be read.
func (c *Consumer) troubleLocked(tr *track, err error) {
	switch {
	case errors.Is(err, ErrClosed):
		c.gone = ErrClosed
	case errors.Is(err, ErrUnknownTopic):
		c.dropLocked(tr, err)
	case errors.Is(err, ErrOffsetOutOfRange) && len(tr.chunks) > 0:
		tr.overtaken = true
	case errors.Is(err, ErrOffsetOutOfRange) && c.opts.OutOfRange == ResetEarliest:
		c.resetLocked(tr, tr.partition.LogStart())
	case errors.Is(err, ErrOffsetOutOfRange) && c.opts.OutOfRange == ResetLatest:
		c.resetLocked(tr, tr.partition.HighWatermark())
	default:
		tr.stuck = true
		c.errs = append(c.errs, pollError{err, tr, tr.epoch})
	}
}

// dropLocked stops reading the topic of tr, which was deleted.
func (c *Consumer) dropLocked(tr *track, err error) {
	c.removeLocked(func(other *track) bool { return other.tp.Topic == tr.tp.Topic })
	c.errs = append(c.errs, pollError{err: err})
	if c.member != nil {
		c.member.forget()
	}
	if len(c.order) == 0 && c.member == nil && c.opts.TopicPattern == nil {
		c.gone = err
	}
}

// removeLocked stops reading the partitions that are chosen.
func (c *Consumer) removeLocked(chosen func(*track) bool) {
	kept := c.order[:0]
	for _, tr := range c.order {
		if !chosen(tr) {
			kept = append(kept, tr)
			continue
		}
		tr.partition.Unwatch(c.waiter)
		c.fetched -= tr.seek(tr.position)
		if c.member != nil && (tr.top > max(tr.base, tr.saved) || tr.partition.Err() != nil) {
			c.former[tr.tp] = max(tr.top, tr.former)
		}
		delete(c.tracks, tr.tp)
	}
	clear(c.order[len(kept):])
	c.order = kept
}

// refreshLocked picks up partitions that were added to whole topics, and topics that
// match the pattern.
func (c *Consumer) refreshLocked() {
	if c.member != nil {
		return // the group does it
	}
	before := len(c.order)
	if v := c.b.catalogue.Version(); v != c.version {
		c.version = v
		c.matchLocked()
	}
	for t := range c.whole {
		ps := t.Partitions()
		if t.Err() != nil {
			delete(c.whole, t)
			continue
		}
		for i := len(ps) - 1; i >= 0 && c.tracks[ps[i].TopicPartition()] == nil; i-- {
			if err := c.track(t, ps[i], Earliest); err != nil {
				break // it has ended meanwhile; the others of the topic tell
			}
		}
	}
	if len(c.order) != before {
		c.sort()
	}
}

// matchLocked adds the topics that match the pattern.
func (c *Consumer) matchLocked() {
	if c.opts.TopicPattern == nil {
		return
	}
	for _, t := range c.b.catalogue.List() {
		if c.opts.TopicPattern.MatchString(t.Name()) {
			c.whole[t] = true
		}
	}
}
