package write

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// sender is a client of franz-go that produces. It keeps the first identity of a topic that it has heard of, and the partitions that the topic had
// then: who produces has it hear what is known better.
type sender struct {
	*kgo.Client
	w          *Writes
	forgetting sync.Mutex // one topic at a time; it is locked before mu

	mu     sync.Mutex              // guards what follows
	topics map[string]engine.Topic // that it knows; nil is one that it has to forget
}

func (w *Writes) newSender(opts ...kgo.Opt) (*sender, error) {
	cl, err := w.link.New(opts...)
	if err != nil {
		return nil, err
	}
	return &sender{Client: cl, w: w, topics: make(map[string]engine.Topic)}, nil
}

// ready returns when franz-go can be given a record for a partition of t: that it knows, or that is in a topic of which it knows nothing, and will ask.
func (s *sender) ready(ctx context.Context, t engine.Topic, partition int32) (known bool, err error) {
	s.adopt(t)
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		switch {
		case s.knows(t.Name(), partition):
			return true, nil
		case !s.knows(t.Name(), 0):
			return false, nil
		case !s.w.topics.Same(t):
			return false, fmt.Errorf("topic %s: %w", t.Name(), log.ErrUnknownTopic)
		case partition >= t.Partitions():
			return false, fmt.Errorf("%s/%d: %w: the topic has %d", t.Name(), partition, log.ErrUnknownPartition, t.Partitions())
		}
		s.ForceMetadataRefresh()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, fmt.Errorf("%s/%d: the partition is new: %w", t.Name(), partition, ctx.Err())
		}
	}
}

// adopt has franz-go forget another topic of the name of t. What it holds of that fails.
func (s *sender) adopt(t engine.Topic) {
	if is, _ := s.adopted(t); is {
		return
	}
	s.forgetting.Lock()
	defer s.forgetting.Unlock()
	is, other := s.adopted(t)
	if is {
		return
	}
	if other {
		s.PurgeTopicsFromProducing(t.Name()) // not with mu: promises may wait for that
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[t.Name()] = t
}

// adopted reports whether franz-go has t, or another topic of its name.
func (s *sender) adopted(t engine.Topic) (is, other bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, there := s.topics[t.Name()]
	return there && was == t, there && was != t
}

// knows reports whether franz-go knows a partition, with a leader or without.
func (s *sender) knows(name string, partition int32) bool {
	leader, _, err := s.PartitionLeader(name, partition)
	return leader >= 0 || err != nil
}

// outdated is told when the cluster has another topic of a name than franz-go. The next record of that waits until it is known.
func (s *sender) outdated(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.topics[name]; there {
		s.topics[name] = nil
	}
	s.w.topics.Soon(name)
}
