package batcher

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// identify makes the producer the one of its ID, if it has one.
func (p *Producer) identify(ctx context.Context) error {
	if p.opts.ID == "" {
		return nil
	}
	if err := p.b.Clients.Err(); err != nil {
		return err
	}
	name, err := p.b.Producers.Claim(ctx, p.opts.ID)
	if err != nil {
		return err
	}
	p.name = name
	if p.opts.Replay && p.opts.Acks == log.AckSynced { // what is stored will be acknowledged as synced
		done := make(chan error, 1)
		p.b.Committer.Sync(func(err error) { done <- err })
		select {
		case err = <-done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			p.resign()
			return err
		}
	}
	return nil
}

// resign gives the ID back.
func (p *Producer) resign() {
	if p.name != nil {
		p.b.Producers.Release(p.name)
	}
}

// replayLocked answers errStored for a record that an earlier producer of the same ID has
// stored.
func (l *lane) replayLocked(r *log.Record) error {
	if err := l.topic.chooser.Repeats(r, len(l.topic.lanes)); err != nil {
		return err
	}
	if l.replay == 0 {
		return nil
	}
	l.replay--
	return errStored
}

// Stored is samsa.Producer.Stored.
func (p *Producer) Stored(ctx context.Context, tp log.TopicPartition) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	if p.name == nil {
		return 0, fmt.Errorf("stored: %w: ProducerOptions.ID is required", log.ErrInvalidOption)
	}
	if err := p.b.Clients.Err(); err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	t, err := p.b.Catalogue.Get(tp.Topic)
	if err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	part, err := t.Partition(tp.Partition)
	if err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	if err := part.Log().ProducerErr(p.name.ID); err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	return part.Log().StoredOf(p.name.ID), nil
}
