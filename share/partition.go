package share

import (
	"math"
	"slices"
)

// Partition is the record states of a share group in a partition: a value, without clock, lock, goroutine or disk.
// Times are in ms since the epoch.
//
//	     start            next
//	-------|----------------|------------------ offsets
//	 done  | known: states  | not taken in yet
//
// Take tells it of the records in the log, in their order; Acquire gives them to members; Settle, Expire, Drop and
// Bury end that. What is to be stored it says in Changes.
type Partition struct {
	window window
	start  int64 // all before is done
	cut    int64 // what the log began at when Cut told last; cut <= start
	next   int64 // nothing from there on was taken in; start <= next
	open   int64 // offsets from start to next that are not done

	ready, acquired, waiting, archiving, blocked int

	due    dues
	owners owners
	order  *order // nil unless records of one key come one after the other

	letters []Letter // that became due since they were asked for
	headNew bool     // the start is to be stored
	gone    []int64  // numbers of chunks that are to be deleted from the store
	dirty   []int64  // numbers of chunks that are to be stored
}

// Letter is a record that is Archiving: a dead letter.
type Letter struct {
	Offset     int64
	Deliveries int
	Reason     string // "" where it was delivered too often
}

// Rules are what of a group's settings concerns its records.
type Rules struct {
	LockMs        int64
	MaxDeliveries int                        // 0 is no limit
	Delay         func(deliveries int) int64 // how long, in ms, a record waits after a delivery that has failed; nil is not at all
	DeadLetters   bool                       // what nobody can do is Archiving, until Bury; else it is done
}

// NewPartition returns the states of a group that begins at an offset.
func NewPartition(start int64) *Partition {
	return &Partition{start: start, next: start, headNew: true}
}

// Start returns the offset before which all is done.
func (p *Partition) Start() int64 { return p.start }

// Next returns the offset from which on Take has told nothing.
func (p *Partition) Next() int64 { return p.next }

// Open returns how many records before Next are not done.
func (p *Partition) Open() int64 { return p.open }

// Ready returns how many records can be acquired now.
func (p *Partition) Ready() int { return p.ready }

// Acquired returns how many records somebody has.
func (p *Partition) Acquired() int { return p.acquired }

// Waiting returns how many records are to come later.
func (p *Partition) Waiting() int { return p.waiting }

// Blocked returns how many records come after another one of their key.
func (p *Partition) Blocked() int { return p.blocked }

// State returns where a record stands, how often it was delivered, and who has it. What was never heard of is
// Available. It is for tests and for people.
func (p *Partition) State(offset int64) (s State, deliveries int, owner string) {
	if offset < p.start {
		return Acknowledged, 0, ""
	}
	c, i := p.window.at(offset)
	if c == nil {
		return Available, 0, ""
	}
	if has(&c.done, i) {
		return Acknowledged, 0, ""
	}
	if sl := c.slot(i); sl != nil {
		return sl.state, int(sl.deliveries), p.owners.name(sl.owner)
	}
	return Available, 0, ""
}

// Entry is a record of the log for Take.
type Entry struct {
	Offset int64
	DueMs  int64  // not to be delivered before; 0 for at once
	Key    uint64 // what stands for its key, 0 for none
}

// Take tells of what the log has from Next up to last, inclusive: the records of entries, in their order, and nothing
// besides. With all, there is a record at each offset, none of which is delayed or has a key.
func (p *Partition) Take(nowMs, last int64, all bool, entries []Entry, r Rules) {
	for all && p.next <= last {
		p.take(nowMs, Entry{Offset: p.next}, r)
	}
	for _, e := range entries {
		if p.next <= e.Offset && e.Offset <= last {
			p.takeGap(e.Offset)
			p.take(nowMs, e, r)
		}
	}
	p.takeGap(last + 1)
	p.advance()
}

// takeGap takes in offsets up to another one, at which there is nothing.
func (p *Partition) takeGap(to int64) {
	for p.next < to {
		if p.open == 0 && len(p.window.blocks) == 0 {
			p.next = to
			p.moveStart(to)
			return
		}
		if past := max(p.window.past(p.next), p.window.skip(p.next, to)); past > p.next { // taken in before, or as much at once
			p.next = min(past, to)
			continue
		}
		c, i := p.window.at(p.next)
		if c == nil && i == 0 && p.next+chunkOffsets <= to {
			p.window.put(p.next/chunkOffsets, nothing)
			p.next += chunkOffsets
			continue
		}
		c, i = p.window.need(p.next)
		p.next++
		if !has(&c.done, i) {
			p.open++
			p.finish(p.next-1, c, i)
		}
	}
}

// take takes in the record that is next.
func (p *Partition) take(nowMs int64, e Entry, r Rules) {
	p.next = e.Offset + 1
	c, i := p.window.need(e.Offset)
	if has(&c.done, i) {
		return
	}
	p.open++
	sl := c.slot(i)
	p.order.add(e)
	if sl != nil && sl.state != Available {
		return // it is taken in again
	}
	if sl != nil && r.MaxDeliveries > 0 && int(sl.deliveries) >= r.MaxDeliveries {
		p.bury(e.Offset, c, i, r, "") // it was with somebody when the broker ended
		return
	}
	until := e.DueMs
	if sl != nil {
		until = max(until, sl.untilMs)
	}
	if until > nowMs {
		p.delay(e.Offset, c, i, until)
		return
	}
	if sl != nil {
		sl.untilMs = 0
	}
	p.offer(e.Offset, c, i)
}

// delay has a record wait. It is in no count.
func (p *Partition) delay(offset int64, c *chunk, i uint8, untilMs int64) {
	sl := c.add(i)
	sl.state, sl.untilMs, sl.owner = Available, untilMs, 0
	p.waiting++
	p.push(untilMs, offset)
}

// offer lets a record be acquired, if it is its key's turn. It is in no count.
func (p *Partition) offer(offset int64, c *chunk, i uint8) {
	if !p.order.isFirst(offset) {
		p.blocked++
		return
	}
	set(&c.ready, i)
	p.window.note(offset)
	p.ready++
}

// Acquire gives a member the records from first to last, inclusive, that can be had, at most so many. A record
// that comes for the last time comes alone.
func (p *Partition) Acquire(nowMs int64, member string, first, last int64, most int, r Rules) []Range {
	var got []Range
	owner := uint32(0)
	for offset := p.window.next(max(first, p.start)); offset >= 0 && offset <= last && offset < p.next && most > 0; offset = p.window.next(offset + 1) {
		c, i := p.window.at(offset)
		at, there := c.search(i)
		alone := there && r.MaxDeliveries > 2 && int(c.open[at].deliveries) == r.MaxDeliveries-1
		if alone && len(got) > 0 {
			break
		}
		if owner == 0 {
			owner = p.owners.of(member)
		}
		sl := c.add(i)
		sl.state, sl.owner, sl.untilMs = Acquired, owner, nowMs+r.LockMs
		if sl.deliveries < math.MaxUint16 {
			sl.deliveries++
		}
		p.owners.add(owner, 1)
		unset(&c.ready, i)
		p.window.note(offset)
		p.ready--
		p.acquired++
		p.push(sl.untilMs, offset)
		p.touch(offset, c)
		if n := len(got); n > 0 && got[n-1].Last == offset-1 && got[n-1].Deliveries == int(sl.deliveries) {
			got[n-1].Last = offset
		} else {
			got = append(got, Range{First: offset, Last: offset, Deliveries: int(sl.deliveries)})
		}
		if most--; alone {
			break
		}
	}
	return got
}

// FirstReady returns the first offset from one on that can be acquired now, -1 for none.
func (p *Partition) FirstReady(from int64) int64 { return p.window.next(max(from, p.start)) }

// finish makes an offset, which is open and in no other count, done.
func (p *Partition) finish(offset int64, c *chunk, i uint8) {
	if has(&c.done, i) {
		return
	}
	c.finish(i)
	p.window.note(offset)
	if offset < p.next {
		p.open--
	}
	p.touch(offset, c)
	if follower, ok := p.order.done(offset); ok {
		p.unblock(follower)
	}
}

// unblock offers a record that has come to be the first of its key.
func (p *Partition) unblock(offset int64) {
	c, i := p.window.at(offset)
	if c == nil || has(&c.done, i) {
		return
	}
	if sl := c.slot(i); sl != nil && (sl.state != Available || sl.untilMs > 0) {
		return // its time is to come
	}
	p.blocked--
	set(&c.ready, i)
	p.window.note(offset)
	p.ready++
}

// Expire does what time has brought: locks that have run out, delays that are over.
func (p *Partition) Expire(nowMs int64, r Rules) (n Counts) {
	for len(p.due) > 0 && p.due[0].atMs <= nowMs {
		d := p.due.pop()
		c, i := p.window.at(d.offset)
		if c == nil {
			continue
		}
		sl := c.slot(i)
		if sl == nil || sl.untilMs != d.atMs {
			continue
		}
		switch sl.state {
		case Acquired:
			n.Expired++
			p.giveBack(nowMs, d.offset, c, i, nowMs+r.delay(int(sl.deliveries)), r, "", &n)
		case Available:
			if d.offset >= p.next {
				continue
			}
			sl.untilMs = 0
			p.waiting--
			if sl.deliveries == 0 {
				c.open = slices.DeleteFunc(c.open, func(s slot) bool { return s.index == i })
			}
			p.offer(d.offset, c, i)
		}
	}
	p.advance()
	return n
}

// Due returns when Expire has something to do, false for never. That time can have come for nothing.
func (p *Partition) Due() (atMs int64, ok bool) {
	if len(p.due) == 0 {
		return 0, false
	}
	return p.due[0].atMs, true
}

// push enters a time. Those that mean nothing any more go before they are the most.
func (p *Partition) push(atMs, offset int64) {
	p.due.push(due{atMs, offset})
	if len(p.due) < 1024+4*(p.acquired+p.waiting) {
		return
	}
	p.due.keep(func(d due) bool {
		c, i := p.window.at(d.offset)
		if c == nil {
			return false
		}
		sl := c.slot(i)
		return sl != nil && sl.untilMs == d.atMs
	})
}

// Drop takes back all that a member has, at once to be had again.
func (p *Partition) Drop(nowMs int64, member string, r Rules) (n Counts) {
	owner, ok := p.owners.find(member)
	if !ok {
		return n
	}
	var had []int64
	p.window.each(func(number int64, c *chunk) {
		for k := range c.open {
			if sl := &c.open[k]; sl.state == Acquired && sl.owner == owner {
				had = append(had, number*chunkOffsets+int64(sl.index))
			}
		}
	})
	for _, offset := range had {
		n.Released++
		c, i := p.window.at(offset)
		p.giveBack(nowMs, offset, c, i, nowMs, r, "", &n)
	}
	p.advance()
	return n
}

// Gone tells that the log has nothing at the offsets first to last, inclusive, any more, or nothing that can be read:
// what could be acquired of them is done.
func (p *Partition) Gone(first, last int64) (n int64) {
	for offset := p.FirstReady(first); offset >= 0 && offset <= last; offset = p.FirstReady(offset + 1) {
		c, i := p.window.at(offset)
		p.ready--
		p.finish(offset, c, i)
		n++
	}
	p.advance()
	return n
}

// Cut tells that the log begins at an offset now: all before is done, whoever has it.
func (p *Partition) Cut(logStart int64) {
	p.cut = max(p.cut, logStart)
	if logStart <= p.start {
		return
	}
	p.window.each(func(number int64, c *chunk) {
		for offset := max(number*chunkOffsets, p.start); offset < min((number+1)*chunkOffsets, logStart); offset++ {
			p.cutOne(offset, c, uint8(offset%chunkOffsets))
		}
	})
	p.next = max(p.next, logStart)
	p.moveStart(logStart)
	p.advance()
}

func (p *Partition) cutOne(offset int64, c *chunk, i uint8) {
	if has(&c.done, i) {
		return
	}
	sl := c.slot(i)
	switch {
	case sl != nil && sl.state == Acquired:
		p.leave(sl)
	case sl != nil && sl.state == Archiving:
		p.archiving--
	case offset >= p.next:
	case has(&c.ready, i):
		p.ready--
	case sl != nil && sl.untilMs > 0:
		p.waiting--
	default:
		p.blocked--
	}
	p.finish(offset, c, i)
}

// advance moves the start over what is done.
func (p *Partition) advance() {
	if p.open == 0 {
		p.moveStart(p.next)
		return
	}
	at := p.start
	for at < p.next {
		past := p.window.past(at)
		if past == at {
			break
		}
		at = past
	}
	p.moveStart(min(at, p.next))
}

func (p *Partition) moveStart(to int64) {
	if to <= p.start {
		return
	}
	p.start, p.headNew = to, true
	p.window.dropBefore(to, func(number int64) { p.gone = append(p.gone, number) })
}

// touch notes that what is stored of a chunk is out of date.
func (p *Partition) touch(offset int64, c *chunk) {
	if !c.dirty {
		c.dirty = true
		p.dirty = append(p.dirty, offset/chunkOffsets)
	}
}

// Reorder has the records of one key come one after the other from now on, or not any more. What was taken in is to be
// taken in once more, from Next on, which is Start then.
func (p *Partition) Reorder(byKey bool) {
	if byKey == (p.order != nil) {
		return
	}
	p.order = nil
	if byKey {
		p.order = newOrder()
	}
	p.next, p.open, p.ready, p.waiting, p.blocked = p.start, 0, 0, 0, 0
	for _, blk := range p.window.blocks {
		blk.ready = 0
	}
	p.window.each(func(_ int64, c *chunk) {
		if c.available() { // one that all share is not
			c.ready = [chunkWords]uint64{}
		}
	})
}

// Ordered reports whether the records of one key come one after the other.
func (p *Partition) Ordered() bool { return p.order != nil }
