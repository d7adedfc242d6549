package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/partition/choose"
)

// identify makes the producer the one of its ID, if it has one.
func (p *Producer) identify() error {
	if p.opts.ID == "" {
		return nil
	}
	if err := p.b.check(context.Background()); err != nil {
		return err
	}
	name, err := p.b.producers.Claim(p.opts.ID)
	if err != nil {
		return err
	}
	p.name = name
	if p.opts.Replay && p.opts.Acks == AckSynced { // what is stored will be acknowledged as synced
		if err := p.b.Sync(context.Background()); err != nil {
			p.resign()
			return err
		}
	}
	return nil
}

// resign gives the ID back.
func (p *Producer) resign() {
	if p.name != nil {
		p.b.producers.Release(p.name)
	}
}

// replayLocked answers errStored for a record that an earlier producer of the same ID has
// stored.
func (l *lane) replayLocked(r *Record) error {
	if n := len(l.t.lanes); !choose.Repeats(l.t.chooser.tp, r, n) {
		return fmt.Errorf("%s: %w: it has no key or a random partition, with Replay it cannot be told whether it is stored",
			r.Topic, ErrInvalidRecord)
	}
	if l.replay == 0 {
		return nil
	}
	l.replay--
	return errStored
}

// Stored returns how many records the producers of this ID have stored in the partition
// so far; it counts those that retention has removed since. A program that knows where in its
// input the n-th record comes from can go on there. Without an ID it is ErrInvalidOption; where
// what was stored of the ID is damaged it is ErrCorruptValue, and so is producing with it.
func (p *Producer) Stored(tp TopicPartition) (int64, error) {
	if p.name == nil {
		return 0, fmt.Errorf("stored: %w: ProducerOptions.ID is required", ErrInvalidOption)
	}
	if err := p.b.check(context.Background()); err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	t, err := p.b.catalogue.Get(tp.Topic)
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
