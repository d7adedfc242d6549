package topic

import "sync/atomic"

// Changes is a place in the course of the catalogue: who holds one learns of each topic that is
// created, changed or deleted from there on, without a look at the others. It is for one
// goroutine at a time. What nobody has a place before is forgotten.
type Changes struct{ at *change }

// change is one step of the catalogue, once there is a next; until then it is empty.
type change struct {
	topic *Topic
	gone  bool // it was deleted
	next  atomic.Pointer[change]
}

// Changes returns the present place.
func (c *Catalogue) Changes() Changes { return Changes{c.coming.Load()} }

// Version returns a number that rises whenever a topic is created, changed or deleted. What is asked for afterwards is no
// older.
func (c *Catalogue) Version() uint64 { return c.version.Load() }

// Next moves on by one change and returns its topic, and whether the change was its deletion. A
// topic comes as often as it has changed. Without a further change t is nil.
func (s *Changes) Next() (t *Topic, gone bool) {
	at, next := s.at, s.at.next.Load()
	if next == nil {
		return nil, false
	}
	s.at = next
	return at.topic, at.gone
}

// noteLocked adds a change, which readers of the catalogue see by now, and tells the watchers.
func (c *Catalogue) noteLocked(t *Topic, gone bool) {
	c.version.Add(1)
	this, next := c.coming.Load(), new(change)
	this.topic, this.gone = t, gone
	c.coming.Store(next)
	this.next.Store(next)
	for w := range c.watchers {
		w.Wake()
	}
}
