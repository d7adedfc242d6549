package txn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// OpenIn is a transaction that is open in a partition.
type OpenIn struct {
	TopicPartition log.TopicPartition
	Producer       Producer
	Since          int64     // the offset of its first record
	Written        time.Time // when its producer last wrote there
	ID             string    // that has it, "" if none does: nobody will end it
}

// OpenIn returns the transactions that are open in a partition, by Since.
func (c *Coordinator) OpenIn(p *partition.Partition) []OpenIn {
	var all []OpenIn
	for _, info := range p.Log().Producers() {
		if info.OpenSince >= 0 {
			all = append(all, OpenIn{
				TopicPartition: p.TopicPartition(), Producer: Producer{info.ID, info.Epoch}, Since: info.OpenSince,
				Written: time.UnixMilli(info.UsedAt), ID: c.holder(p.TopicPartition(), info.ID),
			})
		}
	}
	slices.SortFunc(all, func(a, b OpenIn) int { return cmp.Compare(a.Since, b.Since) })
	return all
}

// holder returns the transactional id whose open transaction has the partition, by producer id; "" if none has.
func (c *Coordinator) holder(tp log.TopicPartition, producer int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.owners[producer]; ok && c.ids[id].txn.holds(tp, producer) {
		return id
	}
	return ""
}

// latestEpoch returns the last epoch of a producer that a partition or a transactional id knows, -1 for none, and
// whether an id has the producer.
func (c *Coordinator) latestEpoch(in *partition.Partition, producer int64) (epoch int16, owned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	epoch = in.Log().EpochOf(producer)
	id, owned := c.owners[producer]
	if owned {
		epoch = max(epoch, c.ids[id].txn.producer.Epoch)
	}
	return epoch, owned
}

// holds reports whether the partition is in the open transaction of that producer id.
func (t *Transaction) holds(tp log.TopicPartition, producer int64) bool {
	return t.state == Ongoing && t.producer.ID == producer && t.Has(tp)
}

// Abort aborts a transaction that is open in a partition, for one that nobody else will end, and returns the
// partitions in which it has ended. If a transactional id has it, all of it is aborted, in one commit, and its producer is
// fenced: a later commit would otherwise commit a part of it. Else the partition alone gets a marker.
//
// Since is the offset of its first record in the partition, and ErrInvalidTxnState says that it is not open there any more;
// with -1 nobody asks. An epoch that has passed is ErrProducerFenced, and so is one that has not come yet: a marker of
// it would keep the producer out of the partition. Where the epoch is damaged it is -1.
func (c *Coordinator) Abort(ctx context.Context, tp log.TopicPartition, p Producer, since int64) ([]log.TopicPartition, error) {
	in, err := c.find(tp)
	if err != nil {
		return nil, err
	}
	latest, owned := c.latestEpoch(in, p.ID)
	if p.Epoch == noEpoch && in.Log().OpenSince(p.ID) >= 0 && in.Log().EpochOf(p.ID) == noEpoch {
		p.Epoch = max(latest, 0)
	}
	switch {
	case p.ID < 0 || p.Epoch < 0:
		return nil, fmt.Errorf("%s: %w: producer %s", tp, log.ErrInvalidProducerID, p)
	case owned && p.Epoch > latest:
		return nil, fmt.Errorf("%s: %w: producer %s, the last epoch is %d", tp, log.ErrProducerFenced, p, latest)
	}
	open := func() error {
		if since < 0 || in.Log().OpenSince(p.ID) == since {
			return nil
		}
		return fmt.Errorf("%s: %w: the transaction of producer %s that began at offset %d is not open", tp, log.ErrInvalidTxnState, p, since)
	}
	if err := open(); err != nil {
		return nil, err
	}
	for {
		ended := []log.TopicPartition{tp}
		if id := c.holder(tp, p.ID); id != "" {
			ended, err = c.abortHeld(ctx, id, tp, p, open)
		} else {
			err = c.mark(ctx, in, p, open)
		}
		if !errors.Is(err, errChanged) {
			return ended, err
		}
	}
}

// abortHeld aborts the transaction of an id, if it has the partition still, and returns all that it has.
func (c *Coordinator) abortHeld(ctx context.Context, id string, tp log.TopicPartition, p Producer, open func() error) (ended []log.TopicPartition, err error) {
	_, err = c.change(ctx, id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		switch {
		case !t.holds(tp, p.ID):
			return Effects{}, errChanged
		case p.Epoch < t.producer.Epoch:
			return Effects{}, t.fenced(p)
		}
		if err := open(); err != nil {
			return Effects{}, err
		}
		e := t.Fence(now)
		ended = e.End.Partitions
		return e, nil
	})
	return ended, err
}

// mark writes the marker of an aborted transaction to a partition, unless an id has that transaction by then.
func (c *Coordinator) mark(ctx context.Context, in *partition.Partition, p Producer, open func() error) error {
	tx := &writer.Tx{
		Essential: true,
		Appends:   []writer.Append{{Partition: in, Batch: log.Marker(p.ID, p.Epoch, false, time.Now().UnixMilli())}},
		Check: func() error {
			if c.holder(in.TopicPartition(), p.ID) != "" {
				return errChanged
			}
			return open()
		},
	}
	return c.committer.DoUntil(ctx, tx)
}

// TimeOut does now to the open transaction of an id what its time-out will do. ErrInvalidTxnState says that
// none is open.
func (c *Coordinator) TimeOut(ctx context.Context, id string) error {
	if _, err := c.Describe(id); err != nil {
		return err
	}
	var end *End
	_, err := c.change(ctx, id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		e := t.Fence(now)
		if end = e.End; end == nil {
			return e, t.wrap(fmt.Errorf("%w: %s, with a time-out", log.ErrInvalidTxnState, t.state))
		}
		return e, nil
	})
	if err == nil {
		c.timedOut(id, end)
	}
	return err
}

// timedOut tells of a transaction that was aborted because it took too long.
func (c *Coordinator) timedOut(id string, end *End) {
	c.opts.Logger.Info("transaction aborted, it took too long", zap.String("transactional id", id), zap.Stringer("producer", end.Marker),
		zap.Stringers("partitions", end.Partitions), zap.Strings("groups", end.Groups))
}
