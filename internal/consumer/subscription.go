package consumer

import (
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
)

// subscription is the topics that a group consumer wants: those named, and those that match the
// pattern, for which it follows the topics.
type subscription struct {
	named   []string
	pattern *regexp.Regexp // nil for none
	mu      sync.Mutex     // guards what follows
	changes engine.Changes // that are to be looked at
	matched map[string]bool
	all     []string // sorted, replaced as a whole; nil when it has to be made
}

func newSubscription(topics engine.Topics, opts Options) *subscription {
	s := &subscription{named: opts.Topics, pattern: opts.TopicPattern, changes: topics.Changes(), matched: make(map[string]bool)}
	if s.pattern != nil {
		for _, t := range topics.List() {
			s.match(t, false)
		}
	}
	return s
}

// match notes that a topic is there, or gone.
func (s *subscription) match(t engine.Topic, gone bool) {
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

// lead is what the leader of a group has assigned, and looks at to see whether that has to be done
// anew.
type lead struct {
	topics  engine.Topics
	shapes  map[string]member.Shape // by topic; nil when another one leads
	changes engine.Changes          // nil until the shapes were compared with the topics as they are up to there
}

func (l *lead) shape(name string) member.Shape {
	t, err := l.topics.Get(name)
	if err != nil {
		return member.Shape{}
	}
	return member.Shape{ID: t.ID(), Partitions: t.Partitions()}
}

// began takes what the leader of a new generation assigns.
func (l *lead) began(shapes map[string]member.Shape) { l.shapes, l.changes = shapes, nil }

// reshaped reports whether a topic that was assigned is not what it was. It compares all of them
// once, and then those that change; while the group is not settled it begins anew.
func (l *lead) reshaped(settled bool) bool {
	changed := false
	switch {
	case !settled || l.shapes == nil:
		l.changes = nil
	case l.changes == nil:
		l.changes = l.topics.Changes()
		for name, then := range l.shapes {
			changed = changed || l.shape(name) != then
		}
	default:
		for t, _ := l.changes.Next(); t != nil; t, _ = l.changes.Next() {
			then, ok := l.shapes[t.Name()]
			changed = changed || ok && l.shape(t.Name()) != then
		}
	}
	return changed
}
