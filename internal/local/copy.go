package local

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// copying is engine.Copying. A directory has one owner: who copies to it is in this process.
type copying struct {
	*Broker
	turn  turns.Turn // held by who replaces a name; guards them
	names map[string]*copier
}

func newCopying(b *Broker) *copying {
	return &copying{Broker: b, turn: turns.New(), names: make(map[string]*copier)}
}

// NewCopier implements engine.Copying.
func (c *copying) NewCopier(ctx context.Context, name string) (engine.Copier, error) {
	next := &copier{b: c.Broker, name: name, turn: turns.New()}
	if err := c.turn.TakeUntil(ctx); err != nil {
		return nil, err
	}
	defer c.turn.Give()
	if before := c.names[name]; before != nil {
		if err := before.turn.TakeUntil(ctx); err != nil { // it stores nothing meanwhile
			return nil, err
		}
		before.fenced = true
		before.turn.Give()
	}
	c.names[name] = next
	return next, nil
}

type copier struct {
	b    *Broker
	name string

	turn   turns.Turn // held while a transaction is stored
	fenced bool
}

func (c *copier) Keeps() bool { return true }

func (c *copier) Close() {}

// Resume implements engine.Copier: Copy has waited for what it has begun.
func (c *copier) Resume(ctx context.Context) error {
	if err := c.turn.TakeUntil(ctx); err != nil {
		return err
	}
	defer c.turn.Give()
	return c.check()
}

func (c *copier) check() error {
	if c.fenced {
		return fmt.Errorf("%w: %s", log.ErrProducerFenced, c.name)
	}
	return nil
}

// Copy implements engine.Copier.
func (c *copier) Copy(ctx context.Context, batches []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	if err := c.turn.TakeUntil(ctx); err != nil {
		return err
	}
	defer c.turn.Give()
	if err := c.check(); err != nil {
		return err
	}
	tx := &writer.Tx{Client: c.name, Synced: c.b.Produce.Acks == log.AckSynced}
	for i := range batches {
		b := &batches[i]
		p, err := c.partition(b.TopicPartition, b.TopicID)
		if err != nil {
			return err
		}
		tx.Appends = append(tx.Appends, writer.Append{Partition: p, Batch: b.Batch, BaseOffset: b.Base, Kept: true})
	}
	records, err := notes()
	if err == nil {
		err = c.add(tx, records)
	}
	if err != nil {
		return err
	}
	return c.b.Committer.DoUntil(ctx, tx)
}

// noteBytes bounds a batch of notes, unless it has one only.
const noteBytes = 512 << 10

// add adds notes as batches of their own.
func (c *copier) add(tx *writer.Tx, records []log.Record) error {
	var b log.Builder
	for i := range records {
		r := &records[i]
		b.Append(r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
		tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if more := i+1 < len(records); more {
			next := &records[i+1]
			if next.Topic == tp.Topic && next.Partition == tp.Partition && b.SizeWith(next.Key, next.Value, next.Headers) <= noteBytes {
				continue
			}
		}
		p, err := c.partition(tp, [16]byte{})
		if err != nil {
			return err
		}
		batch, err := b.Seal(nil, log.CodecSnappy)
		if err != nil {
			return err
		}
		tx.Appends = append(tx.Appends, writer.Append{Partition: p, Batch: batch})
		b.Reset()
	}
	return nil
}

func (c *copier) partition(tp log.TopicPartition, id [16]byte) (*partition.Partition, error) {
	t, err := c.b.Catalogue.Get(tp.Topic)
	if err != nil {
		return nil, err
	}
	if id != [16]byte{} && id != t.ID() {
		return nil, fmt.Errorf("topic %s: %w: it was created again", tp.Topic, log.ErrUnknownTopic)
	}
	return t.Partition(tp.Partition)
}
