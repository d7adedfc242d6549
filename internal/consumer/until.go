package consumer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// RecordsUntil returns an iterator over the records up to the edges of now.
func (c *Consumer) RecordsUntil(ctx context.Context) iter.Seq2[log.Record, error] {
	return func(yield func(log.Record, error) bool) { c.loopUntil(ctx, taker{yield: yield}) }
}

func (c *Consumer) loopUntil(ctx context.Context, to taker) {
	now, err := c.endsNow(ctx)
	if err != nil {
		to.fail(fmt.Errorf("records until now: %w", err))
		return
	}
	defer c.setEnds(c.setEnds(now))
	at := 0
	c.loop(ctx, func() bool { return c.throughLocked(&at) }, to)
}

// ends says where a loop over RecordsUntil ends in each partition. Partitions that are not in it, for the consumer
// began to read them later, have nothing for the loop. While there is no loop, ends is nil.
type ends map[place]int64

// place is a partition of one topic, and of no other of that name.
type place struct {
	topic     engine.Topic
	partition int32
}

func (tr *track) place() place { return place{tr.topic, tr.tp.Partition} }

const endless = math.MaxInt64

// of returns what track.end is to be.
func (e ends) of(tr *track) int64 {
	if e == nil {
		return endless
	}
	if end, ok := e[tr.place()]; ok {
		return end
	}
	return -1
}

// endsNow returns the edges of all partitions that the consumer reads, or may get from its group. Those of
// topics that cannot be found are left to who reads them.
func (c *Consumer) endsNow(ctx context.Context) (ends, error) {
	names := make(map[string]bool)
	c.mu.Lock()
	for tp := range c.tracks {
		names[tp.Topic] = true
	}
	c.mu.Unlock()
	if c.member != nil {
		for _, name := range c.member.wants.names() {
			names[name] = true
		}
	}
	now := make(ends)
	for name := range names {
		t, err := c.b.Topics.Find(ctx, name, false)
		if errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, log.ErrCorruptValue) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range t.Partitions() {
			if p, err := t.Partition(i); err == nil {
				now[place{t, i}] = engine.End(p, c.opts.Isolation)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range c.tracks {
		if _, ok := now[tr.place()]; !ok {
			now[tr.place()] = tr.edge() // its topic is gone
		}
	}
	return now, nil
}

// setEnds begins a loop up to e, or ends it with the ends that were there before, which it returns.
func (c *Consumer) setEnds(e ends) (before ends) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.ends = c.ends, e
	for _, tr := range c.tracks {
		tr.end = e.of(tr)
		tr.hungry()
	}
	c.waiter.Wake()
	return before
}

// throughLocked reports whether the loop has come to its end in all partitions, and those are all that the consumer
// has for now. at is where it begins to look: at the one that was the reason last time.
func (c *Consumer) throughLocked(at *int) bool {
	tracks := c.sortedLocked()
	for range tracks {
		if *at %= len(tracks); !tracks[*at].through() {
			return false
		}
		*at++
	}
	return c.member == nil || c.member.settled()
}

// through reports whether the loop is not to wait for the track. Where no records can be, reading finds out where
// to go on.
func (tr *track) through() bool {
	switch {
	case tr.paused || tr.end < 0:
		return true
	case !tr.stands() || tr.position < tr.end:
		return false
	}
	return tr.position <= tr.partition.HighWatermark()
}

// passes reports whether the chunk, which ends behind the offset end, has no more records before it.
func (ch *chunk) passes(end int64) bool {
	switch {
	case ch.err != nil:
		return false
	case ch.given != nil:
		return len(ch.given) == 0 || ch.given[0].Offset >= end
	}
	peek := ch.reader
	var r log.Record
	_, more, err := peek.Skim(&r)
	return err == nil && (!more || r.Offset >= end)
}

// settled reports whether the member is in the group, and reads what it is to read.
func (m *membership) settled() (settled bool) {
	m.tell(func(state *member.Member) { settled = state.Settled() })
	return settled
}
