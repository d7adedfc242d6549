package writer

import (
	"errors"

	"github.com/samsa-go/samsa/log"
)

const (
	maxCommitTxs   = 512     // transactions folded into one store commit
	maxCommitBytes = 4 << 20 // of keys and values, unless one transaction alone is larger
)

var errPanic = errors.New("a function that the committer called did not return")

// lead commits one commit group, passes the lead on, and returns what own's Do hears. Without own, wordLead
// says that nobody waits who could lead.
func (c *Committer) lead(own *Tx) (w word) {
	g := newCommitGroup()
	whole := false
	defer func() {
		if !whole {
			c.collapse(g, own)
		}
	}()
	c.mu.Lock()
	c.takeLocked(g)
	failed := c.failed
	c.mu.Unlock()
	c.prepare(g, failed)
	if len(g.staged) > 0 {
		c.finish(g, c.store(g))
	}
	if c.syncer.add(own, g.synced...) {
		w = wordSync
	}
	c.mu.Lock()
	if own == nil && c.readyLocked() && c.firstLocked() == nil {
		w = wordLead
	} else {
		c.passLocked()
	}
	c.mu.Unlock()
	whole = true
	if wake(g.told, own) {
		w = wordDone
	}
	g.release()
	return w
}

// collapse stops the committer when a leader does not get through its commit group.
func (c *Committer) collapse(g *commitGroup, own *Tx) {
	err := unsure(c.fail(errPanic))
	defer func() {
		c.mu.Lock()
		c.passLocked()
		c.mu.Unlock()
		wake(g.told, own)
	}()
	for _, tx := range g.txs {
		if tx.state.Load() == txTaken && tx.tell(err) {
			g.told = append(g.told, tx)
		}
	}
}

// wake has the Do of each return, but for own, and reports whether own is one of them.
func wake(told []*Tx, own *Tx) (mine bool) {
	for _, tx := range told {
		if tx == own {
			mine = true
		} else {
			tx.word <- wordDone
		}
	}
	return mine
}

// firstLocked returns the first transaction that somebody waits for, of as many as fit into a
// commit group.
func (c *Committer) firstLocked() *Tx {
	if c.waiting == 0 {
		return nil
	}
	held := c.heldLocked()
	for _, queue := range [...][]*Tx{c.ahead, c.queue} {
		for _, tx := range queue[:min(len(queue), maxCommitTxs)] {
			if tx.waits && !tx.held(held) && tx.state.Load() == txQueued {
				return tx
			}
		}
	}
	return nil
}

// passLocked gives the lead to the first who waits, or else to a goroutine of the committer's, or
// to nobody when nothing is queued.
func (c *Committer) passLocked() {
	c.heir = c.firstLocked()
	switch {
	case c.heir != nil:
		c.leading = true
		c.heir.word <- wordLead
	case c.readyLocked():
		c.beginLocked()
	default:
		c.leading = false
		if c.closed {
			close(c.idle)
		}
	}
}

// beginLocked has a goroutine of the committer's lead.
func (c *Committer) beginLocked() {
	c.leading = true
	c.wg.Go(func() {
		for c.lead(nil) == wordLead {
		}
	})
}

// takeLocked moves transactions to g: of those that go ahead, or else of the queue.
func (c *Committer) takeLocked(g *commitGroup) {
	if len(c.ahead) > 0 {
		c.ahead = c.takeFrom(c.ahead, g, false)
		return
	}
	c.queue = c.takeFrom(c.queue, g, c.heldLocked())
}

// held reports whether tx is held back while those that append are.
func (t *Tx) held(held bool) bool { return held && len(t.Appends) > 0 }

// takeFrom moves transactions from the head of queue to g, up to maxCommitBytes unless the
// first has more, and returns the rest; with held those that append are passed.
func (c *Committer) takeFrom(queue []*Tx, g *commitGroup, held bool) (rest []*Tx) {
	limits := c.limits
	limits.Bytes = min(limits.Bytes, maxCommitBytes)
	var size cost
	n, kept := 0, 0
	for at, tx := range queue {
		if tx.held(held) {
			queue[kept] = tx
			kept++
			continue
		}
		more := tx.size
		if n > 0 && (n == maxCommitTxs || !size.plus(more).within(limits)) {
			kept += copy(queue[kept:], queue[at:])
			break
		}
		n++
		if tx.waits {
			c.waiting--
		}
		if !tx.take() {
			continue // withdrawn
		}
		size = size.plus(more)
		g.txs = append(g.txs, tx)
	}
	clear(queue[kept:])
	g.bytes = size.bytes
	return queue[:kept]
}

// prepare stages g's transactions, and answers those that cannot be stored. The store is asked
// for room before: there is no way back from what is staged.
func (c *Committer) prepare(g *commitGroup, failed error) {
	var full error
	if failed == nil {
		full = c.st.Room(g.bytes, false)
	}
	if full != nil && !errors.Is(full, log.ErrDiskFull) {
		failed = c.fail(full)
	}
	if full != nil {
		c.meetFull()
	}
	bytes := 0
	for _, tx := range g.txs {
		size := tx.size.bytes
		err := failed
		if err == nil && full != nil {
			err = c.room(tx, full, bytes+size)
		}
		if err == nil {
			err = c.crowded(tx)
		}
		if err == nil {
			g.settle(tx)
			err = tx.check()
		}
		if err != nil {
			if c.refuse(tx, err) {
				g.told = append(g.told, tx)
			}
			continue
		}
		tx.stage(g)
		bytes += size
		g.staged = append(g.staged, tx)
	}
	g.seal()
}

// room decides about one transaction while the disk is nearly full; with it the commit group has n
// bytes.
func (c *Committer) room(tx *Tx, full error, n int) error {
	if !tx.Essential {
		return full
	}
	return c.st.Room(n, true)
}

// store sends g to the store, and counts it. It returns why the committer has failed, if it
// has, even meanwhile: then what g is about is not told to be stored.
func (c *Committer) store(g *commitGroup) error {
	if g.batch.Len() > 0 {
		if err := c.st.Commit(&g.batch); err != nil {
			_ = c.fail(err) // it is looked at below
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		c.stats.Failures += int64(len(g.staged))
		return c.failed
	}
	g.count(&c.stats)
	c.alarmLocked()
	return nil
}

// finish answers the staged transactions of g, or leaves that to the next fsync. When err is nil
// the store holds g.
func (c *Committer) finish(g *commitGroup, err error) {
	if err == nil {
		for _, tx := range g.staged {
			tx.apply()
		}
		for _, moment := range g.moments {
			moment()
		}
	}
	err = unsure(err)
	for _, tx := range g.staged {
		if err == nil && tx.Synced {
			g.synced = append(g.synced, tx) // together: one fsync is to serve them all
		} else if c.answer(tx, err) {
			g.told = append(g.told, tx)
		}
	}
}
