package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
)

// named is what a producer with an ID is besides: a transactional id. Each of its transactions has, with records, how many were stored in their
// partitions: as committed offsets of a group, with the identity of the topic as metadata. So who comes next knows, whatever has become of this one.
type named struct {
	p       *producer
	id      string
	group   string // nobody else's, as one of consumers may have the name that is the ID
	session session
	to      leader    // one transaction at a time
	kept    time.Time // when all counts were stored again, lest the cluster forgets them; of who stores

	mu     sync.Mutex // guards what follows
	counts map[log.TopicPartition]count
	learnt map[[16]byte]bool // topics of which the counts are known for sure
}

// count is how many records the producers of an ID have stored in a partition.
type count struct {
	topic [16]byte
	n     int64
}

func newNamed(p *producer, opts []kgo.Opt) *named {
	n := &named{p: p, id: p.opts.ID, group: p.opts.ID + "-stored", learnt: make(map[[16]byte]bool)}
	n.session.init(p.w, n.id, p.w.life)
	n.session.opts = opts
	return n
}

// claim fences who has the ID, and learns what was stored, of the topics that are known here.
func (n *named) claim(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		err = n.session.begin(ctx)
	}
	if err != nil {
		return err
	}
	counts, err := n.fetch(ctx)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts = counts
	return nil
}

// learn learns what was stored in a topic, of which nothing is stored before.
func (n *named) learn(ctx context.Context, t engine.Topic) error {
	n.mu.Lock()
	learnt := n.learnt[t.ID()]
	n.mu.Unlock()
	if learnt {
		return nil
	}
	counts, err := n.fetch(ctx) // of all partitions: there may be more than are known here
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.learnt[t.ID()] { // something may be stored since
		return nil
	}
	n.learnt[t.ID()] = true
	for tp, c := range counts {
		if c.topic == t.ID() {
			n.counts[tp] = c
		}
	}
	return nil
}

// fetch asks how many records are stored, once no transaction is open that changes it.
func (n *named) fetch(ctx context.Context, tps ...log.TopicPartition) (map[log.TopicPartition]count, error) {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		found, open, err := n.p.w.opts.Offsets.Stable(ctx, n.group, tps...)
		if err == nil && len(open) == 0 {
			counts := make(map[log.TopicPartition]count, len(found))
			for tp, o := range found {
				if t, err := n.p.w.topics.Get(tp.Topic); err == nil && uuid.Text(t.ID()) == o.Metadata {
					counts[tp] = count{t.ID(), o.Offset}
				}
			}
			return counts, nil
		}
		if err != nil && !passing(err) {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

// keepEvery is how often counts are stored again: a cluster forgets offsets that were committed long ago, after offsets.retention.minutes.
const keepEvery = time.Hour

// keep stores all counts again, once an hour. What becomes of that makes no difference.
func (n *named) keep() {
	if time.Since(n.kept) < keepEvery {
		return
	}
	n.kept = time.Now()
	all := make(map[log.TopicPartition]count)
	n.mu.Lock()
	for tp, c := range n.counts {
		if t, err := n.p.w.topics.Get(tp.Topic); err == nil && t.ID() == c.topic {
			all[tp] = c
		}
	}
	n.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if err := n.session.commit(nil, n.offsets(all), func() error { return nil }); err != nil {
		n.p.w.opts.Host.Logger.Debug("the counts of a producer were not stored again", zap.String("id", n.id), zap.Error(err))
	}
}

// offsets returns counts as the offsets of a transaction.
func (n *named) offsets(counts map[log.TopicPartition]count) []groupOffsets {
	req := group.CommitRequest{Generation: -1, Offsets: make(map[log.TopicPartition]group.Offset, len(counts))}
	for tp, c := range counts {
		req.Offsets[tp] = group.Offset{Offset: c.n, LeaderEpoch: -1, Metadata: uuid.Text(c.topic), TopicID: c.topic}
	}
	return []groupOffsets{{n.group, req}}
}

// storedOf returns how many records are stored in a partition of a topic, as far as this producer knows.
func (n *named) storedOf(t engine.Topic, tp log.TopicPartition) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.counts[tp]; c.topic == t.ID() {
		return c.n
	}
	return 0
}

// Stored implements engine.Producer.
func (p *producer) Stored(ctx context.Context, tp log.TopicPartition) (int64, error) {
	n, err := p.storedIn(ctx, tp)
	if err != nil {
		return 0, fmt.Errorf("stored: %w", err)
	}
	return n, nil
}

func (p *producer) storedIn(ctx context.Context, tp log.TopicPartition) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.named == nil {
		return 0, fmt.Errorf("%w: ProducerOptions.ID is required", log.ErrInvalidOption)
	}
	if err := p.w.opts.Host.Clients.Err(); err != nil {
		return 0, err
	}
	n, err := p.w.topics.Count(ctx, tp.Topic)
	if err != nil {
		return 0, err
	}
	if tp.Partition < 0 || tp.Partition >= n {
		return 0, fmt.Errorf("%s: %w: the topic has %d", tp, log.ErrUnknownPartition, n)
	}
	counts, err := p.named.fetch(ctx, tp)
	return counts[tp].n, err
}

// replayedLocked returns errStored for a record that an earlier producer of the same ID has stored. It may give up p.mu for a while.
func (p *producer) replayedLocked(ctx context.Context, t *known, r *log.Record) error {
	if err := t.chooser.Repeats(r, int(t.topic.Partitions())); err != nil {
		return err
	}
	if err := p.allowLocked(ctx, t, r, ofSize); err != nil {
		return err
	}
	l := p.lineLocked(t, int(r.Partition))
	if l.replay == 0 {
		return nil
	}
	l.replay--
	return errStored
}

// store stores batches in a transaction, and notes what has become of them: those of which nothing is noted are to be stored again. When one is
// refused, each is tried alone; those behind it in its partition would have its numbers, and are not stored.
func (n *named) store(all []*pending) {
	n.keep()
	err := n.try(all)
	if err == nil || n.again(err) {
		return
	}
	for _, b := range all {
		l := b.line
		switch {
		case n.session.fenced != nil, errors.Is(err, log.ErrOutcomeUnknown):
			b.err = err
			continue
		case l.broken != nil:
			b.err = fmt.Errorf("%s: producer %s: %w: an earlier batch failed: %s", b.tp, n.id, log.ErrOutOfOrderSequence, l.broken.Error())
			continue
		}
		alone := err
		if len(all) > 1 {
			if alone = n.try([]*pending{b}); alone != nil && n.again(alone) {
				return
			}
		}
		if isCode(alone, kerr.MessageTooLarge) && b.records > 1 {
			if alone = n.split(b); alone == nil {
				return
			}
		}
		if b.err = alone; alone != nil && !errors.Is(alone, log.ErrUnknownTopic) {
			l.broken = alone
		}
	}
}

// split has the line be sent a batch in two.
func (n *named) split(b *pending) error {
	b.line.of.rules.get(n.p.w.life, n.p.w, 0)
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	return n.p.splitLocked(b)
}

// again reports whether what has failed, and is not stored, may go well the next time.
func (n *named) again(err error) bool {
	if n.session.fenced != nil || errors.Is(err, log.ErrOutcomeUnknown) {
		return false
	}
	for _, code := range []*kerr.Error{kerr.InvalidTxnState, kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerIDMapping} {
		if isCode(err, code) {
			return true
		}
	}
	return passing(err) || errors.Is(err, context.DeadlineExceeded) || n.p.w.life.Err() != nil
}

// try stores batches, unless one is behind another that failed.
func (n *named) try(all []*pending) error {
	var scratch []byte
	send := make([]*batch, 0, len(all))
	after := make(map[log.TopicPartition]count)
	for _, b := range all {
		if b.line.broken != nil {
			return b.line.broken
		}
		var err error
		if scratch, err = b.seal(n.p.codec, scratch); err != nil {
			return err
		}
		b.content.SetTransactional()
		send = append(send, &b.batch)
		c := after[b.tp]
		if c.n == 0 {
			c = count{b.line.of.topic.ID(), n.storedOf(b.line.of.topic, b.tp)}
		}
		c.n += int64(b.records)
		after[b.tp] = c
	}
	err := n.session.commit(send, n.offsets(after), func() error { return nil })
	if errors.Is(err, log.ErrOutcomeUnknown) {
		err = n.resolve(after, err)
	}
	for _, b := range send {
		b.stored = err == nil
	}
	if err == nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		for tp, c := range after {
			n.counts[tp] = c
		}
	}
	return err
}

// resolve finds out what has become of a transaction whose end was asked for: the counts say so, unless somebody else has the ID by now.
func (n *named) resolve(after map[log.TopicPartition]count, unknown error) error {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		err := n.session.begin(n.p.w.life)
		switch {
		case err == nil:
			var counts map[log.TopicPartition]count
			if counts, err = n.fetch(n.p.w.life); err != nil {
				break
			}
			for tp, c := range after {
				if counts[tp] == c {
					return nil
				}
			}
			return fmt.Errorf("%s: %w: the transaction was aborted", n.session.about(), log.ErrUnavailable)
		case n.session.fenced != nil:
			return family.Of(log.ErrOutcomeUnknown, err)
		}
		select {
		case <-time.After(wait):
		case <-n.p.w.life.Done():
			return unknown
		}
	}
}
