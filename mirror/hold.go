package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
)

// holdAgain is how often a hold is committed again: much more often than the 7 days for which the offsets of a group without members are remembered.
const holdAgain = time.Hour

// Hold does once, for a source, what Options.Hold has Run do all the time: what was copied is committed again, so that it stays committed for 7 days from now,
// and where nothing is committed the hold begins, with the first record. It needs no target: it is for a program that begins while that is away.
func Hold(ctx context.Context, from *samsa.Broker, opts Options) error {
	err := opts.Check()
	if err == nil && from == nil {
		err = fmt.Errorf("%w: the broker is nil", log.ErrInvalidOption)
	}
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	m := &Mirror{from: inside.Of(from).Parts, opts: opts.withDefaults()}
	if err := m.holdOn(ctx, true); err != nil {
		return fmt.Errorf("hold of mirror %s: %w", m.opts.Name, err)
	}
	return nil
}

// keepHold keeps the hold while the mirror runs, also when it does not reach the target, until ctx ends.
func (m *Mirror) keepHold(ctx context.Context) {
	var committed time.Time
	for {
		again := time.Since(committed) >= holdAgain
		switch err := m.holdOn(ctx, again); {
		case err == nil && again:
			committed = time.Now()
		case err != nil && ctx.Err() == nil:
			m.opts.Logger.Warn("the source does not hold now what is not copied", zap.String("mirror", m.opts.Name), zap.Error(err))
		}
		if pause(ctx, m.opts.Refresh) != nil {
			return
		}
	}
}

// holdOn commits the first offset of partitions that have none, and, with again, what is committed of the others.
func (m *Mirror) holdOn(ctx context.Context, again bool) error {
	m.holding.Lock()
	defer m.holding.Unlock()
	committed, err := m.from.Offsets.Committed(ctx, notesPrefix+m.opts.Name)
	if err != nil {
		return err
	}
	names, err := m.from.TopicAdmin.Names(ctx)
	if err != nil {
		return err
	}
	offsets := make(map[log.TopicPartition]group.Offset)
	for _, name := range names {
		if ok, _ := m.opts.wantsTopic(name); !ok || m.isRefused(name) {
			continue
		}
		t, err := m.from.Topics.Find(ctx, name, false)
		if err != nil {
			if damage(err) || errors.Is(err, log.ErrUnknownTopic) {
				continue
			}
			return err
		}
		for i := range t.Partitions() {
			tp := log.TopicPartition{Topic: name, Partition: i}
			o, ok := committed[tp]
			if ok && !again {
				continue
			}
			if !ok {
				p, err := t.Partition(i)
				if err != nil {
					return err
				}
				o.Offset = p.LogStart()
			}
			offsets[tp] = group.Offset{Offset: o.Offset, LeaderEpoch: -1, TopicID: t.ID()}
		}
	}
	return m.commitHold(ctx, offsets)
}

func (m *Mirror) isRefused(topic string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats.Refused[topic] != nil
}

// commitHold commits to the source. It is called with holding locked.
func (m *Mirror) commitHold(ctx context.Context, offsets map[log.TopicPartition]group.Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	return m.from.Offsets.Commit(ctx, notesPrefix+m.opts.Name, group.CommitRequest{Generation: -1, Offsets: offsets})
}

// hold commits where the mirror is to the source.
func (l *leg) hold(ctx context.Context) error {
	if !l.m.opts.Hold {
		return nil
	}
	offsets := make(map[log.TopicPartition]group.Offset, len(l.tracks))
	for _, t := range l.tracks {
		offsets[t.tp] = group.Offset{Offset: t.Offset, LeaderEpoch: -1, TopicID: t.topic.source.ID()}
	}
	l.m.holding.Lock()
	defer l.m.holding.Unlock()
	return l.m.commitHold(ctx, offsets)
}
