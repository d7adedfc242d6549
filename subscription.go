package samsa

import (
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/topic"
)

// subscription is the topics that a group consumer wants: those named, and those that match the
// pattern, for which it follows the catalogue.
type subscription struct {
	named   []string
	pattern *regexp.Regexp // nil for none
	mu      sync.Mutex     // guards what follows
	changes topic.Changes  // from which on the catalogue is to be looked at
	matched map[string]bool
	all     []string // sorted, replaced as a whole; nil when it has to be made
}

func newSubscription(c *topic.Catalogue, opts ConsumerOptions) *subscription {
	s := &subscription{named: opts.Topics, pattern: opts.TopicPattern, changes: c.Changes(), matched: make(map[string]bool)}
	if s.pattern != nil {
		for _, t := range c.List() {
			s.match(t, false)
		}
	}
	return s
}

// match notes that a topic is there, or gone.
func (s *subscription) match(t *topic.Topic, gone bool) {
	if name := t.Name(); s.matched[name] == gone && s.pattern.MatchString(name) {
		s.all = nil
		s.matched[name] = true
		if gone {
			delete(s.matched, name)
		}
	}
}

// names returns the topics, sorted. They are not to be changed.
func (s *subscription) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, gone := s.changes.Next(); t != nil; t, gone = s.changes.Next() {
		if s.pattern != nil {
			s.match(t, gone)
		}
	}
	if s.all == nil {
		all := maps.Clone(s.matched)
		for _, name := range s.named {
			all[name] = true
		}
		s.all = slices.Sorted(maps.Keys(all))
	}
	return s.all
}
