package read

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Leader is who takes what is produced to a partition.
type Leader struct {
	Node  int32 // -1 while nobody is known
	Topic [16]byte
}

// Leader returns the leader of a partition as it is known, or ErrUnknownTopic, or ErrUnknownPartition.
func (s *Topics) Leader(tp log.TopicPartition) (Leader, error) {
	t := s.get(tp.Topic)
	if t == nil {
		return Leader{}, fmt.Errorf("%w: %q", log.ErrUnknownTopic, tp.Topic)
	}
	parts := *t.parts.Load()
	if tp.Partition < 0 || int(tp.Partition) >= len(parts) {
		return Leader{}, fmt.Errorf("%s: %w: the topic has %d", tp, log.ErrUnknownPartition, len(parts))
	}
	node, _ := parts[tp.Partition].at()
	return Leader{node, t.id}, parts[tp.Partition].failure()
}

// Count returns how many partitions a topic has that is to be produced to. The cluster is asked about one that is not known,
// which may be made.
func (s *Topics) Count(ctx context.Context, name string) (int32, error) {
	if t := s.get(name); t != nil {
		return t.Partitions(), nil
	}
	t, err := s.find(ctx, name)
	if t, err = s.orMade(ctx, name, t, err); err != nil {
		return 0, err
	}
	return t.Partitions(), nil
}

// Lacks reports whether a topic is not there and Count would make it.
func (s *Topics) Lacks(ctx context.Context, name string) bool {
	if s.Make == nil || s.get(name) != nil {
		return false
	}
	_, err := s.find(ctx, name)
	return errors.Is(err, log.ErrUnknownTopic)
}

// Same reports whether t is still the topic of its name.
func (s *Topics) Same(t engine.Topic) bool { return !t.(*Topic).gone.Load() }
