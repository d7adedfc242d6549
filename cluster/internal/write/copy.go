package write

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// copier is engine.Copier: a transactional id of its own, whose transactions have batches of another broker, and notes.
type copier struct {
	session session
}

// NewCopier implements engine.Copying.
func (w *Writes) NewCopier(ctx context.Context, name string) (engine.Copier, error) {
	c := new(copier)
	c.session.init(w, name, w.life)
	if err := c.session.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Keeps implements engine.Copier.
func (c *copier) Keeps() bool { return false }

// Close implements engine.Copier.
func (c *copier) Close() { c.session.close() }

// Resume implements engine.Copier.
func (c *copier) Resume(ctx context.Context) error {
	c.session.begun = false
	return c.session.begin(ctx)
}

// Copy implements engine.Copier.
func (c *copier) Copy(ctx context.Context, copied []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	ctx, cancel := context.WithTimeout(ctx, c.session.w.opts.Timeout)
	defer cancel()
	if err := c.session.begin(ctx); err != nil {
		return err
	}
	err := c.transact(ctx, copied, notes)
	if err == nil {
		return nil
	}
	c.session.abort()
	if c.session.fenced == nil && errors.Is(err, log.ErrFenced) { // by the cluster, when the transaction took too long
		return family.Of(log.ErrUnavailable, errors.New(err.Error()))
	}
	return err
}

func (c *copier) transact(ctx context.Context, copied []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	s := &c.session
	all := make([]*batch, len(copied))
	for i := range copied {
		b := &copied[i]
		t, err := s.w.topics.Get(b.TopicPartition.Topic)
		if err != nil {
			return err
		}
		if t.ID() != b.TopicID {
			return fmt.Errorf("topic %s: %w: it was created again", t.Name(), log.ErrUnknownTopic)
		}
		all[i] = copiedBatch(b.TopicPartition, b.Batch)
	}
	if err := s.write(ctx, all, nil); err != nil {
		return err
	}
	for i, b := range all {
		if b.base < 0 {
			return fmt.Errorf("%s: %w: the cluster did not say at which offset", b.tp, log.ErrUnavailable)
		}
		copied[i].Base = b.base
	}
	records, err := notes()
	if err != nil {
		return err
	}
	if all, err = noteBatches(records); err != nil {
		return err
	}
	if err := s.write(ctx, all, nil); err != nil {
		return err
	}
	return s.end(ctx)
}

// copiedBatch returns a batch of this transaction.
func copiedBatch(tp log.TopicPartition, content log.Batch) *batch {
	content.SetBaseOffset(0)
	content.SetLeaderEpoch(-1)
	content.SetTransactional()
	return &batch{tp: tp, content: content, records: content.Records()}
}

// noteBytes bounds a batch of notes, unless it has one only.
const noteBytes = 512 << 10

// noteBatches makes batches of notes.
func noteBatches(records []log.Record) (all []*batch, err error) {
	var b log.Builder
	for i := range records {
		r := &records[i]
		b.Append(r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
		tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if i+1 < len(records) {
			next := &records[i+1]
			if next.Topic == tp.Topic && next.Partition == tp.Partition && b.SizeWith(next.Key, next.Value, next.Headers) <= noteBytes {
				continue
			}
		}
		content, err := b.Seal(nil, log.CodecSnappy)
		if err != nil {
			return nil, err
		}
		all = append(all, copiedBatch(tp, content))
		b.Reset()
	}
	return all, nil
}
