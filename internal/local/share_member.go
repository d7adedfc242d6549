package local

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// shares is engine.Shares.
type shares struct {
	*share.Coordinator
	topics engine.Topics
	logger *zap.Logger
}

// shareMember is a member of this process.
type shareMember struct {
	of    shares
	group string
	share.Member
	wg     sync.WaitGroup
	waiter *engine.Waiter  // wakes who follows the topics
	ready  *engine.Waiter  // wakes one who receives
	ctx    context.Context // ends with Stop
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	sources map[log.TopicPartition]*source
	lineup  []*source // those in which something may be available
	stopped bool
}

// source is a partition of a member. It is woken when something may be available in it.
type source struct {
	m      *shareMember
	key    share.Key
	topic  engine.Topic
	queued bool // it is in the lineup; the member's mutex guards it
}

// Enter implements engine.Shares.
func (s shares) Enter(ctx context.Context, group string, as share.Member) (engine.ShareMember, error) {
	if err := s.Coordinator.Enter(as, group); err != nil {
		return nil, err
	}
	m := &shareMember{
		of: s, group: group, Member: as, waiter: engine.NewWaiter(), ready: engine.NewWaiter(), sources: make(map[log.TopicPartition]*source),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if err := m.follow(ctx, as.Settings.Reset); err != nil {
		m.Leave()
		return nil, err
	}
	m.wg.Go(m.run)
	return m, nil
}

// fromTheStart is where the group begins in what there was not when the member came.
var fromTheStart = share.Reset{Kind: share.ResetEarliest}

// run follows the topics: new partitions are read, and topics that were created anew.
func (m *shareMember) run() {
	m.of.topics.Watch(m.waiter)
	defer m.of.topics.Unwatch(m.waiter)
	for {
		if err := m.follow(m.ctx, fromTheStart); err != nil && m.ctx.Err() == nil {
			m.of.logger.Warn("a queue cannot read a partition that is new", zap.String("group", m.group), zap.Error(err))
		}
		select {
		case <-m.waiter.C():
		case <-m.ctx.Done():
			return
		}
	}
}

// follow adds the partitions that the queue does not read yet, in which the group begins as reset says if it is new there.
func (m *shareMember) follow(ctx context.Context, reset share.Reset) error {
	var errs []error
	for _, name := range m.Topics {
		t, err := m.of.topics.Get(name)
		if err != nil {
			continue // who receives hears of it
		}
		for i := range t.Partitions() {
			errs = append(errs, m.add(ctx, t, log.TopicPartition{Topic: name, Partition: i}, reset))
		}
	}
	return errors.Join(errs...)
}

func (m *shareMember) add(ctx context.Context, t engine.Topic, tp log.TopicPartition, reset share.Reset) error {
	m.mu.Lock()
	s := m.sources[tp]
	if m.stopped || s != nil && s.topic == t {
		m.mu.Unlock()
		return nil
	}
	s = &source{m: m, topic: t, key: engine.ShareKey(m.group, tp)}
	m.sources[tp] = s
	m.mu.Unlock()
	err := m.of.InitializeAt(ctx, s.key, reset)
	if err == nil {
		err = m.of.Watch(s.key, s)
	}
	if err != nil {
		m.drop(s)
	}
	s.Wake()
	return err
}

// drop takes a partition out.
func (m *shareMember) drop(s *source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sources[s.key.TopicPartition] == s {
		delete(m.sources, s.key.TopicPartition)
	}
}

// dropTopic takes a topic out that was deleted, and reports whether it was there: all partitions of the one that s is of.
func (m *shareMember) dropTopic(s *source) (was bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was = m.sources[s.key.TopicPartition] == s
	for tp, other := range m.sources {
		if other.topic == s.topic {
			delete(m.sources, tp)
		}
	}
	return was
}

// Wake implements engine.Watcher.
func (s *source) Wake() {
	s.m.mu.Lock()
	if !s.queued {
		s.queued = true
		s.m.lineup = append(s.m.lineup, s)
	}
	s.m.mu.Unlock()
	s.m.ready.Wake()
}

// next takes the next partition out of the lineup, nil if there is none.
func (m *shareMember) next() (s *source, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return nil, m.wrap(log.ErrClosed)
	case len(m.lineup) > 0:
		s = m.lineup[0]
		m.lineup[0] = nil
		m.lineup = m.lineup[1:]
		s.queued = false
		return s, nil
	case len(m.sources) == 0:
		return nil, m.wrap(fmt.Errorf("%w: %q", log.ErrUnknownTopic, m.Topics))
	}
	return nil, nil
}

func (m *shareMember) wrap(err error) error {
	return fmt.Errorf("queue of group %s: %w", m.group, err)
}

// Receive implements engine.ShareMember.
func (m *shareMember) Receive(ctx context.Context, most int) ([]share.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			m.ready.Wake() // it may have been woken in the place of another one
			return nil, err
		}
		s, err := m.next()
		if err != nil {
			m.ready.Wake() // the others too
			return nil, err
		}
		if s != nil {
			if got, err := m.from(ctx, s, most); err != nil || len(got) > 0 {
				return got, err
			}
			continue
		}
		select {
		case <-m.ready.C():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// from acquires in a partition.
func (m *shareMember) from(ctx context.Context, s *source, most int) ([]share.Delivery, error) {
	got, err := m.of.AcquireRecords(ctx, share.AcquireRequest{
		Key: s.key, Member: m.ID, MaxRecords: most, Client: m.ClientID, Reset: &fromTheStart, // of a topic made anew
	})
	switch {
	case errors.Is(err, log.ErrUnknownTopic), errors.Is(err, log.ErrUnknownPartition):
		m.ready.Wake()
		if !m.dropTopic(s) {
			return nil, nil // somebody was told
		}
		return nil, m.wrap(fmt.Errorf("%w: %q was deleted", log.ErrUnknownTopic, s.key.Topic))
	case err != nil:
		s.Wake() // it is tried again
		return nil, err
	case len(got) > 0:
		s.Wake() // there may be more
	}
	return got, nil
}

// Reads implements engine.ShareMember.
func (m *shareMember) Reads() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sources) > 0
}

// Acknowledge implements engine.ShareMember.
func (m *shareMember) Acknowledge(ctx context.Context, k share.Key, synced bool, acks ...share.Ack) error {
	return m.of.Acknowledge(ctx, k, m.ID, synced, acks...)
}

// Hand implements engine.ShareMember.
func (m *shareMember) Hand(k share.Key, synced bool, then func(error), acks ...share.Ack) {
	m.of.Hand(k, m.ID, synced, then, acks...)
}

// Stop implements engine.ShareMember.
func (m *shareMember) Stop() {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.ready.Wake()
	m.cancel()
}

// Leave implements engine.ShareMember.
func (m *shareMember) Leave() {
	m.Stop()
	m.wg.Wait()
	m.mu.Lock()
	sources := make([]*source, 0, len(m.sources))
	for _, s := range m.sources {
		sources = append(sources, s)
	}
	m.mu.Unlock()
	for _, s := range sources {
		m.of.Unwatch(s.key, s)
	}
	m.of.ReleaseAll(m.group, m.ID)
	m.of.Leave(m.ID, m.group)
}
