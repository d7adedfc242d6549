package consumer

import (
	"context"
	"fmt"
	"math"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// track is a partition as one consumer reads it. Its fields are guarded by the
// consumer's mutex.
//
// position <= next: the records between them were read ahead and are in chunks, in
// order. A seek throws them away and raises epoch, so that a read which is under way
// is thrown away too.
//
// done <= position: the records between them are with the program, which has not said that it
// is through with them. base <= position <= top.
type track struct {
	c         *Consumer
	tp        log.TopicPartition
	topic     engine.Topic
	partition engine.Partition
	position  int64 // behind the last record that Poll or Records has handed out
	next      int64 // of the next record to be read ahead
	end       int64 // nothing is handed out, or read ahead, from there on: see ends
	epoch     int
	seeks     int // grows with each seek, and reset
	paused    bool
	stuck     bool // its error waits for Poll: not read until then, or until a seek
	unplaced  bool // has no position until a seek: an error comes in its place
	waits     bool // has no position until a transaction ends that commits offsets of it, or a seek
	late      bool // what comes next is on its way: not read until its partition calls, or until a seek
	overtaken bool // next is not there any more: what was read ahead comes first
	chunks    []chunk

	fetching seat // in c.hungry or c.sated, when it may have something to be read
	filled   seat // in c.filled, while it has chunks
	removed  bool // the consumer does not read it, not yet or not any more
	called   bool // it is in c.calls

	// For a consumer of a group:
	base   int64 // the lowest offset that it may have read since it was given the partition
	top    int64 // the highest position since then
	former int64 // the highest position before: who has records from then may commit them by mistake
	done   int64 // what comes before is processed: the program has come back for more
	saved  int64 // committed last; -1 for nothing, and after a seek back
	back   int64 // the lowest offset of a seek since an offset was made up for a commit
	moved  bool  // it is in c.moved: the program was given something, and has not come back
}

// chunk is one batch that was read ahead, or the error in its place.
type chunk struct {
	reader log.RecordReader
	left   int   // records not yet taken, or 1 for the error
	end    int64 // offset behind the batch
	bytes  int   // that it counts for
	passed int   // records of an aborted transaction, which are not taken
	err    error

	given []log.Record // what interceptors have made of its records, in the place of reader; nil without any
	again bool         // err is of a record that is to be had again: no seek has passed it
}

// newTrack returns a track of the partition of t with that index, which begins at start and is not read
// before addLocked.
func (c *Consumer) newTrack(ctx context.Context, t engine.Topic, i int32, start engine.Start) (*track, error) {
	p, err := t.Partition(i)
	if err != nil {
		return nil, err
	}
	tr := &track{c: c, tp: p.TopicPartition(), topic: t, partition: p, saved: -1, back: math.MaxInt64, removed: true}
	tr.fetching.track, tr.filled.track = tr, tr
	p.Watch(tr) // before the end is looked at
	offset, err := start.Resolve(ctx, p, c.opts.Isolation)
	if err != nil {
		p.Unwatch(tr)
		return nil, err
	}
	tr.position, tr.next, tr.base, tr.top, tr.done = offset, offset, offset, offset, offset
	return tr, nil
}

// addLocked begins to read a track, unless its partition is read already.
func (c *Consumer) addLocked(tr *track) {
	if c.tracks[tr.tp] != nil {
		tr.partition.Unwatch(tr)
		return
	}
	tr.removed, tr.former, tr.end = false, c.former[tr.tp], c.ends.of(tr)
	tr.hungry()
	c.tracks[tr.tp] = tr
	c.sorted = nil
}

// edge returns the offset behind the last record that the consumer can get now.
func (tr *track) edge() int64 { return engine.End(tr.partition, tr.c.opts.Isolation) }

// take appends records to dst until the quota is spent or no more are ready. A record that is larger than what is
// left of the quota is taken only when dst is empty. An error comes instead of the first record it stands in the
// way of, likewise: until it is told the position stays before it. owed is true when either is left.
func (tr *track) take(dst []log.Record, q *quota) (_ []log.Record, owed bool, err error) {
	for !q.spent() {
		n := len(dst)
		if n > 0 && !tr.fits(q.bytes) {
			return dst, true, nil
		}
		if n < cap(dst) {
			dst = dst[:n+1]
		} else {
			dst = append(dst, log.Record{})
		}
		ok, err := tr.one(&dst[n])
		if !ok {
			dst[n] = log.Record{}
			dst = dst[:n]
		}
		switch {
		case err != nil && n > 0:
			return dst, true, nil
		case err != nil:
			tr.told()
			return dst, false, err
		case !ok:
			return dst, false, nil
		}
		bytes := recordBytes(&dst[n])
		q.records--
		q.bytes -= bytes
		tr.c.givenLocked(bytes)
	}
	return dst, false, nil
}

// fits reports whether the next record has no more than so many bytes, or there is none.
func (tr *track) fits(bytes int) bool {
	if len(tr.chunks) == 0 || tr.chunks[0].err != nil {
		return true
	}
	if given := tr.chunks[0].given; given != nil {
		return len(given) == 0 || recordBytes(&given[0]) <= bytes
	}
	if tr.chunks[0].reader.Size() <= bytes { // as all do but the last
		return true
	}
	var r log.Record
	ahead := tr.chunks[0].reader
	more, err := ahead.Next(&r)
	return !more || err != nil || recordBytes(&r) <= bytes
}

// one moves the position behind the next record, which it fills in, and with the last one of a chunk behind the
// batch; ok is false when none is ready. An error has the first chunk, which is the caller's to pop when the error is told.
func (tr *track) one(r *log.Record) (ok bool, err error) {
	for len(tr.chunks) > 0 {
		ch := &tr.chunks[0]
		if tr.position >= tr.end || ch.end > tr.end && ch.passes(tr.end) {
			tr.skip(max(tr.position, tr.end))
			tr.unread() // others need the room
			return false, nil
		}
		more := false
		if ch.given != nil {
			more = ch.give(r)
		} else if ch.err == nil {
			if more, err = ch.reader.Next(r); err != nil {
				tr.damaged(ch, err)
			}
		}
		switch {
		case ch.err != nil:
			return false, ch.err
		case !more:
			tr.pop()
		case r.Offset >= tr.position:
			r.Topic, r.Partition = tr.tp.Topic, tr.tp.Partition
			tr.move(r.Offset + 1)
			ch.left--
			tr.c.ahead--
			if ch.reader.Left() == 0 {
				tr.finish(ch, r)
			}
			return true, nil
		}
	}
	return false, nil
}

// finish ends the first chunk, of which r was the last record, unless there is something behind that.
func (tr *track) finish(ch *chunk, r *log.Record) {
	if len(ch.given) > 0 {
		return
	}
	if _, err := ch.reader.Next(r); err != nil { // without another record it leaves r alone
		tr.damaged(ch, err)
		return
	}
	tr.pop()
}

// give takes the next record that interceptors have made.
func (ch *chunk) give(r *log.Record) bool {
	if len(ch.given) == 0 {
		return false
	}
	*r, ch.given = ch.given[0], ch.given[1:]
	return true
}

// damaged puts err in the place of what is left of the first chunk.
func (tr *track) damaged(ch *chunk, err error) {
	ch.err = fmt.Errorf("%s: offset %d: %w", tr.tp, tr.position, err)
	tr.c.ahead += 1 - ch.left
	ch.left = 1
}

// move sets the position behind what the program is given.
func (tr *track) move(to int64) {
	if tr.c.member != nil && !tr.moved {
		tr.moved = true
		tr.c.moved = append(tr.c.moved, tr)
	}
	tr.skip(to)
}

// skip sets the position, past what the program is not given. It is not for the program to be
// through with: done goes along, unless there are records from before.
func (tr *track) skip(to int64) {
	tr.position = to
	tr.top = max(tr.top, to)
	if !tr.moved {
		tr.done = to
	}
}

// fill adds chunks, up to the offset next.
func (tr *track) fill(chunks []chunk, next int64) {
	tr.chunks = append(tr.chunks, chunks...)
	tr.next = next
	for i := range chunks {
		tr.c.fetched += chunks[i].bytes
		tr.c.ahead += chunks[i].left
	}
	if len(tr.chunks) > 0 && tr.filled.line == nil {
		tr.c.filled.push(&tr.filled)
	}
}

// makeRoom lets the fetcher read ahead as much as ch has held, which was taken or is thrown away.
func (tr *track) makeRoom(ch *chunk) {
	tr.c.fetched -= ch.bytes
	tr.c.ahead -= ch.left
	tr.c.waiter.Wake()
}

// emptied notes that there are no chunks left.
func (tr *track) emptied() {
	tr.chunks = nil
	tr.filled.leave()
	tr.hungry()
}

// hungry has the fetcher look at the track.
func (tr *track) hungry() {
	if !tr.removed && tr.fetching.line != &tr.c.hungry {
		tr.c.hungry.push(&tr.fetching)
	}
}

func recordBytes(r *log.Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return max(1, n)
}

// told ends the first chunk, whose error is told: reading goes on behind it, or from its record on.
func (tr *track) told() {
	if tr.chunks[0].again {
		tr.unread()
		return
	}
	tr.pop()
}

// pop ends the first chunk, and those behind it that have nothing: the position is behind them now.
func (tr *track) pop() {
	tr.popOne()
	for len(tr.chunks) > 0 && tr.chunks[0].err == nil && tr.chunks[0].left == 0 && tr.chunks[0].end <= tr.end {
		tr.popOne()
	}
}

func (tr *track) popOne() {
	ch := &tr.chunks[0]
	to := max(tr.position, ch.end)
	if ch.err != nil {
		tr.move(to)
	} else {
		tr.skip(to)
	}
	tr.c.b.Passed.Add(int64(ch.passed))
	tr.makeRoom(ch)
	tr.chunks[0] = chunk{}
	if tr.chunks = tr.chunks[1:]; len(tr.chunks) == 0 {
		tr.emptied()
	}
}

// seek moves the position.
func (tr *track) seek(offset int64) {
	tr.seeks++
	tr.skip(offset)
	tr.base = min(tr.base, offset)
	tr.done = min(tr.done, offset)
	tr.back = min(tr.back, offset)
	tr.save(tr.saved)
	tr.unplaced, tr.waits = false, false
	tr.unread()
}

// save notes that offset was committed. After a seek to before it, of which the commit knew nothing, it counts for
// nothing.
func (tr *track) save(offset int64) {
	if tr.saved = offset; tr.back < offset {
		tr.saved = -1
	}
}

// unread forgets what was read ahead: reading goes on at the position.
func (tr *track) unread() {
	for i := range tr.chunks {
		tr.makeRoom(&tr.chunks[i])
	}
	tr.next = tr.position
	tr.epoch++
	tr.stuck, tr.late, tr.overtaken = false, false, false
	tr.emptied()
}
