// Package read is what a cluster has to be read: topics and partitions, as internal/engine has them. What is asked for
// without a context is answered from what was heard last; the background hears more.
package read

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// How often the cluster is asked which topics there are.
const (
	refreshInterval = 10 * time.Second       // all, when nothing else happens
	refreshGap      = 100 * time.Millisecond // between two questions, when something is wrong
	refreshTimeout  = 10 * time.Second       // of a question
)

// mostMisses is how often in a row a topic that was there must be missing to be gone: a broker that has just started may
// not have heard of it yet.
const mostMisses = 3

// Topics are the topics of a cluster.
type Topics struct {
	link    *link.Link
	fetcher *fetcher
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	wake    *engine.Waiter // of the refresher

	// Make creates a topic that is not there when somebody wants to produce to it or consume from it; nil does not. It is set before
	// others see the topics.
	Make func(ctx context.Context, name string) error

	mu       sync.Mutex // guards what follows. fetcher.mu and part.mu may be locked while it is held, and not the other way round
	byName   map[string]*Topic
	list     []engine.Topic // nil until it is asked for again
	last     *change        // of the course of changes
	watchers map[*engine.Waiter]int
	ended    map[[16]byte]bool // the ids of topics that are gone

	soon     sync.Mutex      // guards troubled; nothing else is locked while it is held
	troubled map[string]bool // topics to be asked about soon
}

// change is one in the course of the topics. Who holds one sees all that come later.
type change struct {
	topic *Topic
	gone  bool
	next  *change
}

// Open asks the cluster which topics there are, and goes on doing so until Close.
func Open(ctx context.Context, l *link.Link) (*Topics, error) {
	s := &Topics{
		link: l, wake: engine.NewWaiter(), byName: make(map[string]*Topic), last: new(change),
		watchers: make(map[*engine.Waiter]int), ended: make(map[[16]byte]bool), troubled: make(map[string]bool),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.fetcher = newFetcher(s)
	found, err := s.ask(ctx, nil)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.adopt(ctx, found, true)
	s.wg.Go(s.refresh)
	return s, nil
}

// Close ends what runs. Partitions have ended with ErrClosed.
func (s *Topics) Close() {
	s.cancel()
	s.fetcher.close()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.byName {
		t.end(log.ErrClosed)
	}
}

// Find implements engine.Topics. No topic is created but by Make, whatever the cluster is configured to do for others.
func (s *Topics) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	t, err := s.find(ctx, name)
	if create {
		t, err = s.orMade(ctx, name, t, err)
	}
	if err != nil {
		return nil, err
	}
	if err := askBounds(ctx, s.link, false, *t.parts.Load()...); err != nil {
		return nil, err
	}
	return t, nil
}

// orMade returns what find has, or the topic that it has not found, if it may be made.
func (s *Topics) orMade(ctx context.Context, name string, t *Topic, err error) (*Topic, error) {
	if s.Make == nil || !errors.Is(err, log.ErrUnknownTopic) {
		return t, err
	}
	if err := s.Make(ctx, name); err != nil && !errors.Is(err, log.ErrTopicExists) {
		return nil, err
	}
	if err := s.Await(ctx, name, 1); err != nil {
		return nil, err
	}
	return s.find(ctx, name)
}

// find is Find that does not ask how far the partitions are. A topic that was there is looked for again before it is
// said to be gone.
func (s *Topics) find(ctx context.Context, name string) (*Topic, error) {
	for {
		found, err := s.ask(ctx, []string{name})
		if err != nil {
			return nil, err
		}
		s.adopt(ctx, found, false)
		switch code := found[0].ErrorCode; {
		case code == kerr.UnknownTopicOrPartition.Code && s.get(name) != nil, code != kerr.UnknownTopicOrPartition.Code && link.Passing(code):
			if err := pause(ctx, refreshGap); err != nil {
				return nil, fmt.Errorf("topic %s: %w", name, err)
			}
			continue
		case code != 0:
			return nil, link.Code("topic "+name, code, nil)
		}
		if t := s.get(name); t != nil {
			return t, nil
		}
		if err := pause(ctx, refreshGap); err != nil { // a broker that has not heard of it yet
			return nil, fmt.Errorf("topic %s: %w", name, err)
		}
	}
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Topics) get(name string) *Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// Get implements engine.Topics.
func (s *Topics) Get(name string) (engine.Topic, error) {
	if t := s.get(name); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("topic %s: %w", name, log.ErrUnknownTopic)
}

// Name returns the name of the topic with that identity, as far as it is known.
func (s *Topics) Name(id [16]byte) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.byName {
		if t.id == id {
			return t.name, true
		}
	}
	return "", false
}

// List implements engine.Topics.
func (s *Topics) List() []engine.Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = make([]engine.Topic, 0, len(s.byName))
		for _, t := range slices.SortedFunc(maps.Values(s.byName), func(a, b *Topic) int { return strings.Compare(a.name, b.name) }) {
			if !t.internal {
				s.list = append(s.list, t)
			}
		}
	}
	return s.list
}

// Changes implements engine.Topics.
func (s *Topics) Changes() engine.Changes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &changes{s, s.last}
}

type changes struct {
	s  *Topics
	at *change
}

// Next implements engine.Changes.
func (c *changes) Next() (engine.Topic, bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.at.next == nil {
		return nil, false
	}
	c.at = c.at.next
	return c.at.topic, c.at.gone
}

// Watch implements engine.Topics.
func (s *Topics) Watch(w *engine.Waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w]++
}

// Unwatch implements engine.Topics.
func (s *Topics) Unwatch(w *engine.Waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// tellLocked adds a change.
func (s *Topics) tellLocked(t *Topic, gone bool) {
	if t.internal {
		return
	}
	c := &change{topic: t, gone: gone}
	s.last.next, s.last, s.list = c, c, nil
	for w := range s.watchers {
		w.Wake()
	}
}

// Deleted says that somebody here has deleted a topic, so that nobody has to notice.
func (s *Topics) Deleted(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byName[name]; t != nil {
		s.removeLocked(t)
	}
}

// Refresh asks for all topics.
func (s *Topics) Refresh(ctx context.Context) error {
	found, err := s.ask(ctx, nil)
	if err == nil {
		s.adopt(ctx, found, true)
	}
	return err
}

// Await returns when a topic that was created, or has grown, is there with so many partitions: not every broker has heard of it.
func (s *Topics) Await(ctx context.Context, name string, partitions int32) error {
	for {
		t, err := s.find(ctx, name)
		if err == nil && t.Partitions() >= partitions {
			return nil
		}
		if err != nil && !errors.Is(err, log.ErrUnknownTopic) {
			return err
		}
		if err := pause(ctx, refreshGap/4); err != nil {
			return fmt.Errorf("topic %s: it is there, and not everybody knows it yet: %w", name, err)
		}
	}
}

// Replicas returns how many brokers keep each partition of a topic.
func (s *Topics) Replicas(t engine.Topic) int {
	return int(t.(*Topic).replicas.Load())
}

// Soon has the background ask about a topic: something is wrong with it, or it has changed.
func (s *Topics) Soon(name string) {
	s.soon.Lock()
	defer s.soon.Unlock()
	s.troubled[name] = true
	s.wake.Wake()
}

// refresh is the goroutine that asks which topics there are.
func (s *Topics) refresh() {
	all := time.NewTicker(refreshInterval)
	defer all.Stop()
	for {
		var names []string
		select {
		case <-all.C:
		case <-s.wake.C():
			if names = s.takeTroubled(); len(names) == 0 {
				continue
			}
		case <-s.ctx.Done():
			return
		}
		if err := s.refreshOnce(names); err != nil && s.ctx.Err() == nil {
			s.link.Logger().Warn("the cluster does not tell its topics, will be asked again", zap.Error(err))
			for _, name := range names {
				s.Soon(name)
			}
		}
		if pause(s.ctx, refreshGap) != nil {
			return
		}
	}
}

func (s *Topics) takeTroubled() []string {
	s.soon.Lock()
	defer s.soon.Unlock()
	names := slices.Sorted(maps.Keys(s.troubled))
	clear(s.troubled)
	return names
}

// refreshOnce asks about topics, or without any about all.
func (s *Topics) refreshOnce(names []string) error {
	ctx, cancel := context.WithTimeout(s.ctx, refreshTimeout)
	defer cancel()
	found, err := s.ask(ctx, names)
	if err != nil {
		return err
	}
	s.adopt(ctx, found, names == nil)
	return nil
}

// ask returns what the cluster says of topics, or without any of all.
func (s *Topics) ask(ctx context.Context, names []string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	what := "topics"
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
		what = "topic " + name
	}
	resp, err := link.Ask[*kmsg.MetadataResponse](ctx, s.link.Client, what, req)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) < len(names) {
		return nil, fmt.Errorf("%s: %w: the cluster did not say", what, log.ErrUnavailable)
	}
	return slices.DeleteFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic == nil }), nil
}

// adopt takes what the cluster says of some topics, or of all. Of new partitions it asks how far they are before others
// hear of them: these cannot ask.
func (s *Topics) adopt(ctx context.Context, found []kmsg.MetadataResponseTopic, all bool) {
	fresh := s.freshOf(found)
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	if err := askBounds(ctx, s.link, false, fresh.parts...); err != nil && !errors.Is(err, log.ErrUnknownTopic) {
		s.link.Logger().Debug("the bounds of new partitions are not known yet", zap.Error(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(found))
	for i := range found {
		m := &found[i]
		there[*m.Topic] = m.ErrorCode != kerr.UnknownTopicOrPartition.Code
		if m.ErrorCode == 0 || len(m.Partitions) > 0 {
			s.adoptLocked(m, fresh)
		}
	}
	for name, t := range s.byName {
		if known, asked := there[name]; known || !asked && !all {
			continue
		}
		if t.misses++; t.misses >= mostMisses {
			s.removeLocked(t)
			continue
		}
		s.Soon(name)
	}
}

// fresh is what nobody has heard of yet.
type fresh struct {
	topics map[string]*Topic
	parts  []*part
}

// freshOf returns what is new, once the first topics are known: of those nobody asks unless who wants to know can wait.
func (s *Topics) freshOf(found []kmsg.MetadataResponseTopic) fresh {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := fresh{topics: make(map[string]*Topic)}
	first := len(s.byName) == 0
	for i := range found {
		m := &found[i]
		if m.ErrorCode != 0 || s.ended[m.TopicID] {
			continue
		}
		was := s.byName[*m.Topic]
		t := was
		if was == nil || was.id != m.TopicID {
			t = &Topic{name: *m.Topic, id: m.TopicID, set: s, internal: m.IsInternal}
			t.parts.Store(&[]*part{})
		}
		have := len(*t.parts.Load())
		grown := t.grow(m.Partitions)
		for _, p := range grown[have:] {
			p.lead(m.Partitions)
		}
		if !first {
			f.parts = append(f.parts, grown[have:]...)
		}
		if t != was || len(grown) > have {
			t = &Topic{name: t.name, id: t.id, set: s, internal: t.internal}
			t.parts.Store(&grown)
			f.topics[t.name] = t
		}
	}
	return f
}

// adoptLocked takes what the cluster says of a topic.
func (s *Topics) adoptLocked(m *kmsg.MetadataResponseTopic, f fresh) {
	if s.ended[m.TopicID] {
		return // a broker that has not heard of it yet
	}
	t, n := s.byName[*m.Topic], f.topics[*m.Topic]
	switch {
	case n == nil && t == nil, n != nil && n.id != m.TopicID:
		return
	case t != nil && t.id != m.TopicID:
		s.removeLocked(t)
		t = nil
	}
	if t == nil {
		for _, p := range *n.parts.Load() {
			p.topic = n
		}
		t = n
		s.byName[t.name] = t
		s.tellLocked(t, false)
	} else if n != nil {
		have := *t.parts.Load()
		if all := *n.parts.Load(); len(all) > len(have) {
			grown := slices.Concat(have, all[len(have):])
			for _, p := range grown[len(have):] {
				p.topic = t
			}
			t.parts.Store(&grown)
			s.tellLocked(t, false)
		}
	}
	t.misses = 0
	if len(m.Partitions) > 0 {
		t.replicas.Store(int32(len(m.Partitions[0].Replicas)))
	}
	for _, p := range *t.parts.Load() {
		p.lead(m.Partitions)
	}
}

// removeLocked ends a topic.
func (s *Topics) removeLocked(t *Topic) {
	delete(s.byName, t.name)
	t.gone.Store(true)
	if t.id != [16]byte{} {
		s.ended[t.id] = true
	}
	t.end(fmt.Errorf("topic %s: %w", t.name, log.ErrUnknownTopic))
	s.tellLocked(t, true)
}
