package topic

import "sync/atomic"

// Changes is a place in the course of the catalogue: who holds one learns of each topic that is
// created, changed or deleted from there on, without a look at the others. It is for one
// goroutine at a time. What nobody has a place before is forgotten.
type Changes struct{ at *change }

// change is one step of the catalogue.
type change struct {
	topic *Topic
	next  atomic.Pointer[change]
}

// Changes returns the present place.
func (c *Catalogue) Changes() Changes { return Changes{c.changed.Load()} }

// Next moves on by one change and returns its topic, as often as it has changed; one that was
// deleted has an Err. It returns nil when there is no further change.
func (s *Changes) Next() *Topic {
	next := s.at.next.Load()
	if next == nil {
		return nil
	}
	s.at = next
	return next.topic
}

// noteLocked adds a change, which readers of the catalogue see by now, and tells the watchers.
func (c *Catalogue) noteLocked(t *Topic) {
	next := &change{topic: t}
	c.changed.Load().next.Store(next)
	c.changed.Store(next)
	c.version.Add(1)
	for w := range c.watchers {
		w.Wake()
	}
}
