package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Commit commits the positions of all assigned partitions.
func (c *Consumer) Commit(ctx context.Context) error {
	if c.member == nil {
		return fmt.Errorf("commit: %w", ErrNoGroup)
	}
	return c.member.commit(ctx, false, c.positions)
}

// ErrNoGroup is for what only a consumer of a group can do.
var ErrNoGroup = fmt.Errorf("%w: the consumer has none", log.ErrInvalidGroup)

// OffsetsAfter returns what is to be committed when records were processed.
func OffsetsAfter(records []log.Record) map[log.TopicPartition]group.Offset {
	offsets := make(map[log.TopicPartition]group.Offset)
	for i := range records {
		tp := log.TopicPartition{Topic: records[i].Topic, Partition: records[i].Partition}
		if next := records[i].Offset + 1; next > offsets[tp].Offset {
			offsets[tp] = group.Offset{Offset: next}
		}
	}
	return offsets
}

// CommitOffsets commits exactly these offsets, which belong to the consumer from then on.
func (c *Consumer) CommitOffsets(ctx context.Context, offsets map[log.TopicPartition]group.Offset) error {
	if c.member == nil {
		return fmt.Errorf("commit: %w", ErrNoGroup)
	}
	return c.member.commit(ctx, false, func() (map[log.TopicPartition]group.Offset, error) { return c.owned(offsets) })
}

// positions returns those of all partitions that have one: while Work is under way, behind what is done.
func (c *Consumer) positions() (map[log.TopicPartition]group.Offset, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offsets := make(map[log.TopicPartition]group.Offset)
	for _, tr := range c.tracks {
		if tr.stands() && tr.partition.Err() == nil {
			at := tr.position
			if c.work != nil {
				at = tr.done
			}
			offsets[tr.tp] = tr.commit(at, "")
		}
	}
	return offsets, nil
}

// commit returns an offset of the track's topic, and of no other of that name.
func (tr *track) commit(offset int64, metadata string) group.Offset {
	tr.back = math.MaxInt64
	return group.Offset{Offset: offset, LeaderEpoch: -1, Metadata: metadata, TopicID: tr.topic.ID()}
}

// owned completes offsets for the group. It refuses those from before the partition was assigned,
// and those of others.
func (c *Consumer) owned(offsets map[log.TopicPartition]group.Offset) (map[log.TopicPartition]group.Offset, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tp, o := range offsets {
		tr := c.tracks[tp]
		switch {
		case o.Offset < 0:
			return nil, fmt.Errorf("%s: %w: offset %d is negative", tp, log.ErrOffsetOutOfRange, o.Offset)
		case tr == nil || tr.partition.Err() != nil:
			return nil, fmt.Errorf("%s: %w: it is not assigned to this consumer now", tp, log.ErrIllegalGeneration)
		case o.Offset > tr.top && o.Offset <= tr.former:
			return nil, fmt.Errorf("%s: %w: offset %d is from before the partition was assigned, since then the consumer has come to %d",
				tp, log.ErrIllegalGeneration, o.Offset, tr.top)
		case o.Offset < tr.base:
			return nil, fmt.Errorf("%s: %w: offset %d is from before the partition was assigned, at %d", tp, log.ErrIllegalGeneration, o.Offset, tr.base)
		}
		offsets[tp] = tr.commit(o.Offset, o.Metadata)
	}
	return offsets, nil
}

// commit commits what collect returns as the member of the present generation. While a round
// is about to end the generation it waits for the next one, and collects anew. auto says that the program has not asked for it.
func (m *membership) commit(ctx context.Context, auto bool, collect func() (map[log.TopicPartition]group.Offset, error)) error {
	began := m.c.commits()
	offsets, err := m.commitInTurn(ctx, began, collect)
	if len(offsets) > 0 {
		m.tellCommitted(ctx, began, auto, offsets, err)
	} else if err == nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// commitInTurn is commit, behind those that have begun before. It returns what was stored, or refused; nothing of what has not
// come to that. began is when it was asked for, zero if nobody has looked at the clock.
func (m *membership) commitInTurn(ctx context.Context, began time.Time, collect func() (map[log.TopicPartition]group.Offset, error)) (map[log.TopicPartition]group.Offset, error) {
	if err := m.committing.TakeUntil(ctx); err != nil {
		return nil, err
	}
	defer m.committing.Give()
	gone := false // a topic was, as the store knows before its readers do
	for {
		req, err := m.request(collect)
		if err != nil || len(req.Offsets) == 0 {
			return nil, err
		}
		req.Began, began = began, time.Time{} // to look at the clock once
		err = m.c.b.Offsets.Commit(ctx, m.c.opts.Group, req)
		if err == nil {
			m.c.committed(nil)
			m.c.saved(req.Offsets)
			return req.Offsets, nil
		}
		if errors.Is(err, log.ErrUnknownTopic) && !gone {
			gone = true
			continue
		}
		again, after := m.refused(req, err)
		if !again {
			m.c.committed(err)
			return req.Offsets, err
		}
		if after != nil {
			select {
			case <-after.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// refused reports whether a commit that the group has refused may succeed again: at once, or after a
// round.
func (m *membership) refused(req group.CommitRequest, err error) (again bool, after *round) {
	m.tell(func(state *member.Member) {
		switch state.Refused(member.Claim{MemberID: req.MemberID, Generation: req.Generation, Round: req.Round}, err) {
		case member.Again:
			again = true
		case member.AfterRound:
			again, after = true, m.round
		}
	})
	return again, after
}

// request makes what collect returns a commit of the present generation.
func (m *membership) request(collect func() (map[log.TopicPartition]group.Offset, error)) (req group.CommitRequest, err error) {
	m.mu.Lock()
	claim, refused := m.state.Claim()
	m.mu.Unlock()
	if !errors.Is(refused, log.ErrClosed) {
		req.Offsets, err = collect()
	}
	if err == nil && refused != nil && (len(req.Offsets) > 0 || errors.Is(refused, log.ErrClosed)) {
		err = fmt.Errorf("group %s: %w", m.c.opts.Group, refused)
	}
	req.MemberID, req.InstanceID, req.Generation, req.Round = claim.MemberID, m.opts.InstanceID, claim.Generation, claim.Round
	req.Synced = m.c.opts.SyncedCommits
	return req, err
}

// autoCommit commits what was processed since the last time.
func (m *membership) autoCommit() {
	err := m.commit(m.ctx, true, func() (map[log.TopicPartition]group.Offset, error) { return m.c.unsaved(nil) })
	if err != nil && m.ctx.Err() != nil {
		return
	}
	failures, told := 0, false
	m.tell(func(state *member.Member) { failures, told = state.Saved(err) })
	write := m.c.b.Logger.Debug
	if told {
		write = m.c.b.Logger.Warn
		m.c.complain(fmt.Errorf("auto-commit, %d times in a row: %w", failures, err))
	}
	if err != nil {
		write("auto-commit failed", zap.String("group", m.c.opts.Group), zap.Int("failures", failures), zap.Error(err))
	}
}

// save commits what is done of tps before they are given up, even when ctx, which is Poll's, ends.
func (m *membership) save(ctx context.Context, tps []log.TopicPartition) {
	if m.c.ManualCommit() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.opts.SessionTimeout)
	defer cancel()
	if err := m.commit(ctx, true, func() (map[log.TopicPartition]group.Offset, error) { return m.c.unsaved(tps) }); err != nil {
		m.c.b.Logger.Warn("auto-commit before revocation failed: records will be delivered again", zap.String("group", m.c.opts.Group), zap.Error(err))
	}
}

// complain has Poll return err, once, unless an older complaint waits.
func (c *Consumer) complain(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complaint == nil {
		c.complaint = err
	}
	c.ready.Wake()
}

// settle notes that the records returned so far are processed: Poll is called again.
func (c *Consumer) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work != nil {
		c.work.settleLocked()
		return
	}
	for _, tr := range c.moved {
		tr.done, tr.moved = tr.position, false
	}
	clear(c.moved)
	c.moved = c.moved[:0]
}

// unsaved returns what auto-commit has to commit, of tps, or if that is nil of all partitions.
func (c *Consumer) unsaved(tps []log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	chosen := make(map[log.TopicPartition]bool, len(tps))
	for _, tp := range tps {
		chosen[tp] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	offsets := make(map[log.TopicPartition]group.Offset)
	for _, tr := range c.tracks {
		if tr.done > tr.saved && tr.stands() && tr.partition.Err() == nil && (tps == nil || chosen[tr.tp]) {
			offsets[tr.tp] = tr.commit(tr.done, "")
		}
	}
	return offsets, nil
}

// saved notes what was committed.
func (c *Consumer) saved(offsets map[log.TopicPartition]group.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tp, o := range offsets {
		if tr := c.tracks[tp]; tr != nil && tr.topic.ID() == o.TopicID {
			tr.save(o.Offset)
		}
	}
}

// acquire begins to read tps, each at its committed offset, and returns those that are
// not there any more. What it asks for is waited for even if ctx, which is Poll's, ends: nothing is given up halfway.
// What it is not told Poll is told, and place asks again.
func (c *Consumer) acquire(ctx context.Context, tps []log.TopicPartition) (gone []log.TopicPartition) {
	if len(tps) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.Member.SessionTimeout)
	defer cancel()
	committed, err := c.committedOf(ctx, tps)
	var tracks []*track
	var errs []pollError
	if err != nil {
		errs = []pollError{{err: untold(ctx, err)}}
		for _, tp := range tps {
			committed.open[tp] = true
		}
	}
	for _, tp := range tps {
		tr, err := c.committedTrack(ctx, tp, committed)
		if err != nil && !missing(err) {
			errs = append(errs, pollError{err: fmt.Errorf("%s is not read: %w", tp, untold(ctx, err))})
			committed.open[tp] = true
			tr, err = c.committedTrack(ctx, tp, committed) // unless it is damaged
		}
		if err == nil {
			tracks = append(tracks, tr)
		} else {
			gone = append(gone, tp)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range tracks {
		c.addLocked(tr)
	}
	c.errs = append(c.errs, errs...)
	c.waiter.Wake()
	return gone
}

// missing reports whether err says that a partition is not there any more.
func missing(err error) bool {
	return errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, log.ErrUnknownPartition)
}

// untold returns err, of a question that was asked until ctx ended, for a Poll whose context may not have ended.
func untold(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: nobody says where to begin to read", log.ErrUnavailable)
	}
	return err
}

// committed is where a group stands in some partitions.
type committed struct {
	offsets map[log.TopicPartition]group.Offset
	open    map[log.TopicPartition]bool // a transaction is open that commits offsets of these, or nobody has told yet
	damaged map[log.TopicPartition]error
}

// committedOf returns where the group stands in tps.
func (c *Consumer) committedOf(ctx context.Context, tps []log.TopicPartition) (all committed, err error) {
	all = committed{offsets: make(map[log.TopicPartition]group.Offset), open: make(map[log.TopicPartition]bool), damaged: make(map[log.TopicPartition]error)}
	ask := func(tps ...log.TopicPartition) error {
		offsets, open, err := c.b.Offsets.Stable(ctx, c.opts.Group, tps...)
		maps.Copy(all.offsets, offsets)
		for _, tp := range open {
			all.open[tp] = true
		}
		return err
	}
	if err := ask(tps...); !errors.Is(err, log.ErrCorruptValue) {
		return all, err
	}
	for _, tp := range tps { // which of them are damaged
		if err := ask(tp); err != nil {
			all.damaged[tp] = err
		}
	}
	return all, nil
}

// committedTrack returns a track of tp from its committed offset, or from where the options say, or one that waits until
// that is known.
func (c *Consumer) committedTrack(ctx context.Context, tp log.TopicPartition, all committed) (*track, error) {
	if err := all.damaged[tp]; err != nil {
		return nil, err
	}
	t, err := c.b.Topics.Get(tp.Topic)
	if err != nil {
		return nil, err
	}
	start := c.opts.Start
	o, ok := all.offsets[tp]
	ok = ok && o.TopicID == t.ID()
	waits := all.open[tp]
	unplaced := !ok && !waits && start.Kind == engine.Committed
	switch {
	case ok:
		start = engine.Start{Kind: engine.AtOffset, Offset: o.Offset}
	case waits:
		p, err := t.Partition(tp.Partition)
		if err != nil {
			return nil, err
		}
		start = engine.Start{Kind: engine.AtOffset, Offset: p.LogStart()} // asks nobody
	case unplaced, tp.Partition >= c.born[t.ID()]: // added since
		start = engine.Start{}
	}
	tr, err := c.newTrack(ctx, t, tp.Partition, start)
	if err != nil {
		return nil, err
	}
	tr.unplaced, tr.waits = unplaced, waits
	if ok {
		tr.saved = o.Offset
	}
	return tr, nil
}

// place begins to read partitions that wait for a transaction which has ended, or for an answer. It takes no longer than the signs of life
// of the member allow.
func (c *Consumer) place(ctx context.Context) {
	var tps []log.TopicPartition
	c.mu.Lock()
	for _, tr := range c.tracks {
		if tr.waits {
			tps = append(tps, tr.tp)
		}
	}
	c.mu.Unlock()
	if len(tps) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Member.SessionTimeout/3)
	defer cancel()
	all, err := c.committedOf(ctx, tps)
	if err != nil {
		c.complain(untold(ctx, err)) // it is asked again
		return
	}
	for _, tp := range tps {
		if all.open[tp] {
			continue
		}
		tr, err := c.committedTrack(ctx, tp, all)
		if err != nil && all.damaged[tp] == nil && !missing(err) {
			c.complain(fmt.Errorf("%s is not read: %w", tp, untold(ctx, err)))
			continue
		}
		c.mu.Lock()
		if was := c.tracks[tp]; was != nil && was.waits {
			c.replaceLocked(was, tr, err)
			tr = nil
		}
		c.mu.Unlock()
		if tr != nil {
			tr.partition.Unwatch(tr) // it was sought in meanwhile, or is gone
		}
	}
}

// replaceLocked puts a track that has a position in the place of one that waits, or the error why there is none.
func (c *Consumer) replaceLocked(was, tr *track, err error) {
	switch {
	case errors.Is(err, log.ErrUnknownTopic): // reading tells
		was.waits = false
		was.hungry()
		c.waiter.Wake()
		return
	case err != nil:
		was.waits, was.stuck = false, true
		c.errs = append(c.errs, pollError{fmt.Errorf("%s is not read: %w", was.tp, err), was, was.epoch})
		c.ready.Wake()
		return
	}
	c.removeLocked(was)
	tr.paused = was.paused
	c.addLocked(tr)
	c.waiter.Wake()
}

// dead returns those of tps that are not read any more, or will not be: their topics were
// deleted.
func (c *Consumer) dead(tps []log.TopicPartition) (dead []log.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range tps {
		if tr := c.tracks[tp]; tr == nil || tr.partition.Err() != nil {
			dead = append(dead, tp)
		}
	}
	return dead
}

// release stops reading tps. The group may have heard of a topic that was deleted before the fetcher
// did: Poll tells that all the same.
func (c *Consumer) release(tps []log.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := make(map[engine.Topic]bool)
	for _, tp := range tps {
		tr := c.tracks[tp]
		if tr == nil {
			continue
		}
		c.removeLocked(tr)
		if err := tr.partition.Err(); errors.Is(err, log.ErrUnknownTopic) && !told[tr.topic] {
			told[tr.topic] = true
			c.errs = append(c.errs, pollError{err: err})
		}
	}
}
