package share

import (
	"cmp"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// Check says whether a member may acknowledge as it wants to: all of acks, or why not. Offsets before Start nobody
// minds; those of a certain delivery are done, unless the log has them no more.
func (p *Partition) Check(member string, acks []Ack) error {
	owner, known := p.owners.find(member)
	for i := range acks {
		a := &acks[i]
		if err := a.validate(); err != nil {
			return err
		}
		if first := max(a.First, p.cut); first < p.start && first <= a.Last && a.Deliveries > 0 {
			return fmt.Errorf("offset %d: %w", first, errSettled)
		}
		for offset := max(a.First, p.start); offset <= a.Last; offset++ {
			if err := p.checkOne(offset, owner, known, a.Deliveries); err != nil {
				return fmt.Errorf("offset %d: %w", offset, err)
			}
		}
	}
	return nil
}

// Remaining returns what is left of acks, which Check has allowed, without the offsets before Start.
func (p *Partition) Remaining(acks []Ack) []Ack {
	left := make([]Ack, 0, len(acks))
	for _, a := range acks {
		if a.Last < p.start {
			continue
		}
		if a.First < p.start {
			if len(a.Types) > 1 {
				a.Types = a.Types[p.start-a.First:]
			}
			a.First = p.start
		}
		left = append(left, a)
	}
	return left
}

func (p *Partition) checkOne(offset int64, owner uint32, known bool, deliveries int) error {
	c, i := p.window.at(offset)
	if c == nil {
		return log.ErrNotAcquired
	}
	if has(&c.done, i) {
		return errSettled
	}
	switch sl := c.slot(i); {
	case sl == nil || sl.deliveries == 0:
		return log.ErrNotAcquired
	case sl.state == Archiving:
		return errSettled
	case sl.state == Available || deliveries > 0 && deliveries != int(sl.deliveries):
		return errExpired
	case !known || sl.owner != owner:
		return errOthers
	}
	return nil
}

// Settle does what a member wants, as Check has allowed it.
func (p *Partition) Settle(nowMs int64, acks []Ack, r Rules) (c Counts) {
	for n := range acks {
		a := &acks[n]
		for offset := max(a.First, p.start); offset <= a.Last; offset++ {
			p.settleOne(nowMs, offset, a, r, &c)
		}
	}
	p.advance()
	return c
}

// Counts counts what became of deliveries.
type Counts struct{ Acknowledged, Released, Rejected, Expired, Letters, Archived int64 }

func (c *Counts) add(d Counts) {
	c.Acknowledged += d.Acknowledged
	c.Released += d.Released
	c.Rejected += d.Rejected
	c.Expired += d.Expired
	c.Letters += d.Letters
	c.Archived += d.Archived
}

func (p *Partition) settleOne(nowMs, offset int64, a *Ack, r Rules, n *Counts) {
	c, i := p.window.at(offset)
	if c == nil {
		return
	}
	sl := c.slot(i)
	if sl == nil || sl.state != Acquired {
		return // named twice in one request
	}
	switch a.typeOf(offset) {
	case Renew:
		sl.untilMs = nowMs + r.LockMs
		p.push(sl.untilMs, offset)
	case Release:
		n.Released++
		until := nowMs
		switch {
		case a.AfterMs > 0:
			until += a.AfterMs
		case a.AfterMs == 0:
			until += r.delay(int(sl.deliveries))
		}
		p.giveBack(nowMs, offset, c, i, until, r, a.Reason, n)
	case Reject:
		n.Rejected++
		n.buried(r)
		p.leave(sl)
		p.bury(offset, c, i, Rules{DeadLetters: r.DeadLetters && !a.Moved}, cmp.Or(a.Reason, MessageRejected))
	default:
		n.Acknowledged++
		p.leave(sl)
		p.finish(offset, c, i)
	}
}

func (r *Rules) delay(deliveries int) int64 {
	if r.Delay == nil {
		return 0
	}
	return r.Delay(deliveries)
}

func (c *Counts) buried(r Rules) {
	if r.DeadLetters {
		c.Letters++
	} else {
		c.Archived++
	}
}

// leave takes a record from who has it.
func (p *Partition) leave(sl *slot) {
	p.acquired--
	p.owners.add(sl.owner, -1)
	sl.owner = 0
}

// giveBack makes a record available again, not before untilMs, unless that was the last time.
func (p *Partition) giveBack(nowMs, offset int64, c *chunk, i uint8, untilMs int64, r Rules, reason string, n *Counts) {
	sl := c.slot(i)
	p.leave(sl)
	if r.isLast(sl) {
		p.bury(offset, c, i, r, reason)
		n.buried(r)
		return
	}
	p.touch(offset, c)
	sl.state, sl.untilMs = Available, 0
	switch {
	case offset >= p.next: // it is taken in once more, and then offered
		sl.untilMs = untilMs
	case untilMs > nowMs:
		p.delay(offset, c, i, untilMs)
	default:
		p.offer(offset, c, i)
	}
}

// isLast reports whether a record is not to be delivered again.
func (r *Rules) isLast(sl *slot) bool {
	return r.MaxDeliveries > 0 && int(sl.deliveries) >= r.MaxDeliveries
}

// LettersOf returns the dead letters that Settle would make of acks, as Check has allowed them.
func (p *Partition) LettersOf(acks []Ack, r Rules) (letters []Letter) {
	for n := range acks {
		a := &acks[n]
		for offset := max(a.First, p.start); r.DeadLetters && offset <= a.Last; offset++ {
			c, i := p.window.at(offset)
			if c == nil {
				continue
			}
			sl := c.slot(i)
			if sl == nil || sl.state != Acquired {
				continue
			}
			switch t := a.typeOf(offset); {
			case t == Reject && !a.Moved:
				letters = append(letters, Letter{Offset: offset, Deliveries: int(sl.deliveries), Reason: cmp.Or(a.Reason, MessageRejected)})
			case t == Release && r.isLast(sl):
				letters = append(letters, Letter{Offset: offset, Deliveries: int(sl.deliveries), Reason: a.Reason})
			}
		}
	}
	return letters
}

// bury has a record, which nobody can do and which is in no count, be a dead letter, or done.
func (p *Partition) bury(offset int64, c *chunk, i uint8, r Rules, reason string) {
	if !r.DeadLetters {
		p.finish(offset, c, i)
		return
	}
	sl := c.add(i)
	sl.state, sl.untilMs = Archiving, 0
	p.archiving++
	p.letters = append(p.letters, Letter{Offset: offset, Deliveries: int(sl.deliveries), Reason: reason})
}

// Letters returns what has become a dead letter since it was called last. They are Archiving until Bury.
func (p *Partition) Letters() []Letter {
	l := p.letters
	p.letters = nil
	return l
}

// IsArchiving reports whether a record is on its way to the dead letters.
func (p *Partition) IsArchiving(offset int64) bool {
	s, _, _ := p.State(offset)
	return s == Archiving
}

// Bury ends the way of a dead letter: it is stored elsewhere.
func (p *Partition) Bury(offset int64) {
	c, i := p.window.at(offset)
	if c == nil {
		return
	}
	if sl := c.slot(i); sl == nil || sl.state != Archiving {
		return
	}
	p.archiving--
	p.finish(offset, c, i)
	p.advance()
}
