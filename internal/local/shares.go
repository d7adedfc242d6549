package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/topic"
)

// shareAdmin is engine.ShareAdmin.
type shareAdmin struct {
	*share.Coordinator
	members *members.Coordinator
}

// Describe implements engine.ShareAdmin.
func (l shareAdmin) Describe(ctx context.Context, name string) ([]share.PartitionInfo, error) {
	for _, known := range l.Groups() {
		if known == name {
			return l.Coordinator.Describe(ctx, name)
		}
	}
	return nil, nil // it has members, if anything
}

// DeadLetter implements engine.ShareAdmin.
func (l shareAdmin) DeadLetter(_ context.Context, name string) (string, error) {
	return l.Coordinator.DeadLetter(name), nil
}

// Alter implements engine.ShareAdmin.
func (l shareAdmin) Alter(ctx context.Context, name string, tp log.TopicPartition, offset int64) error {
	if err := l.checkEmpty(name); err != nil {
		return err
	}
	return l.Coordinator.Alter(ctx, share.Key{Group: name, TopicPartition: tp}, offset)
}

// Delete implements engine.ShareAdmin.
func (l shareAdmin) Delete(ctx context.Context, name string, tps ...log.TopicPartition) error {
	if err := l.checkEmpty(name); err != nil {
		return err
	}
	keys := make([]share.Key, len(tps))
	for i, tp := range tps {
		keys[i] = share.Key{Group: name, TopicPartition: tp}
	}
	err := l.Coordinator.Delete(ctx, keys...)
	l.members.Forget(name, func(p members.Partition) bool {
		return slices.Contains(tps, log.TopicPartition{Topic: p.Topic, Partition: p.Index})
	})
	return err
}

func (l shareAdmin) checkEmpty(name string) error {
	if l.members.HasMembers(name) {
		return fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	}
	return nil
}

// The backoff of records that come again, where only its bounds are told.
const (
	RetryFactor = 2   // by which waits grow
	RetryJitter = 0.2 // which part of a wait is left to chance
)

// shareSettings returns what the configs of a group say of its records.
func (b *Broker) shareSettings(name string) share.Settings {
	v := b.Configs.Values(name)
	s := share.Settings{
		Lock: v.ShareLock(), MaxDeliveries: v.ShareDeliveries(), MaxInFlight: v.ShareMaxLocks(), Isolation: v.ShareIsolation(),
	}
	s.DeadLetter, s.CopyRecord = v.DeadLetters()
	switch reset := v.ShareReset(); reset.Kind {
	case config.ResetEarliest:
		s.Reset.Kind = share.ResetEarliest
	case config.ResetAgo:
		s.Reset = share.Reset{Kind: share.ResetByDuration, By: reset.Ago}
	}
	s.Backoff.Min, s.Backoff.Max = v.ShareBackoff()
	if s.Backoff.Min > 0 {
		s.Backoff.Factor, s.Backoff.Jitter = RetryFactor, RetryJitter
	}
	return s
}

// deadLetterTopic returns the topic for dead letters. A queue may name any; that of a config of the group must let dead
// letters in (KIP-1191).
func (b *Broker) deadLetterTopic(ctx context.Context, name string, any bool) (*topic.Topic, error) {
	if any {
		return b.topic(ctx, name)
	}
	create, prefix := b.Configs.Broker().DeadLetterTopics()
	if !strings.HasPrefix(name, prefix) {
		return nil, fmt.Errorf("%w: dead letters to %q, errors.deadletterqueue.topic.name.prefix is %q", log.ErrInvalidConfig, name, prefix)
	}
	t, err := b.Catalogue.Get(name)
	if errors.Is(err, log.ErrUnknownTopic) && create {
		config := b.TopicDefaults
		config.DeadLetters = true
		if t, err = b.Catalogue.Create(ctx, name, config); errors.Is(err, log.ErrTopicExists) { // by somebody else, just now
			t, err = b.Catalogue.Get(name)
		}
	}
	if err == nil && !t.Config().DeadLetters {
		return nil, fmt.Errorf("%w: dead letters to %q, whose errors.deadletterqueue.group.enable is false", log.ErrInvalidConfig, name)
	}
	return t, err
}
