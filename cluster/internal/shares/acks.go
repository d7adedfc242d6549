package shares

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Acknowledge implements engine.ShareMember. When ctx ends before the cluster has answered, it is ErrOutcomeUnknown too, unless the
// request was not sent yet.
func (m *member) Acknowledge(ctx context.Context, k share.Key, _ bool, acks ...share.Ack) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	j, l, err := m.settle(k, acks, func(err error) { done <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(l.jobs, j); i >= 0 {
		l.jobs = slices.Delete(l.jobs, i, i+1)
		m.freeLocked(j)
		return ctx.Err()
	}
	return family.Of(log.ErrOutcomeUnknown, ctx.Err())
}

// Hand implements engine.ShareMember.
func (m *member) Hand(k share.Key, _ bool, then func(error), acks ...share.Ack) {
	if _, _, err := m.settle(k, acks, then); err != nil {
		then(err)
	}
}

// settle has acknowledgements be sent, if the member has all the records.
func (m *member) settle(k share.Key, acks []share.Ack, then func(error)) (*job, *lane, error) {
	for i := range acks {
		if acks[i].AfterMs > 0 {
			return nil, nil, m.of.unsupported("a wait before a record comes again (Release)")
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return nil, nil, m.wrap(log.ErrClosed)
	}
	now := time.Now()
	var first *held
	for i := range acks {
		a := &acks[i]
		for offset := a.First; offset <= a.Last; offset++ {
			h := m.held[k.TopicPartition][offset]
			var err error
			switch {
			case h == nil || a.Lease != h.lease || h.gone.Before(now):
				err = errLost
			case h.settling:
				err = errSettled
			case first != nil && (h.part != first.part || h.lane != first.lane):
				err = errLost // of a leader that is none any more
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s: offset %d: %w", k, offset, err)
			}
			if first == nil {
				first = h
			}
		}
	}
	if first == nil {
		return nil, nil, nil
	}
	j := &job{part: first.part, acks: acks, then: then}
	m.eachLocked(j, func(_ int64, h *held) { h.settling = true })
	first.lane.jobs = append(first.lane.jobs, j)
	first.lane.waiter.Wake()
	return j, first.lane, nil
}

// eachLocked calls fn for the records of a job that the member has.
func (m *member) eachLocked(j *job, fn func(offset int64, h *held)) {
	of := m.held[j.part.tp]
	for _, a := range j.acks {
		for offset := a.First; offset <= a.Last; offset++ {
			if h := of[offset]; h != nil && (a.Lease == h.lease) {
				fn(offset, h)
			}
		}
	}
}

// freeLocked has the records of a job, of which nothing has become, be the member's as before.
func (m *member) freeLocked(j *job) {
	m.eachLocked(j, func(_ int64, h *held) { h.settling = false })
}

// settledLocked takes what has become of a job. The locks of what was renewed are these.
func (m *member) settledLocked(j *job, err error, anew lock) {
	if err != nil && link.PassingError(err) {
		m.freeLocked(j) // it may be tried again
		return
	}
	var n counts
	m.eachLocked(j, func(offset int64, h *held) {
		t := j.typeOf(offset)
		switch {
		case err != nil:
		case t == share.Renew:
			h.lock, h.settling = anew, false
			return
		case t == share.Accept:
			n.acknowledged++
		case t == share.Release:
			n.released++
		case t == share.Reject:
			n.rejected++
		}
		m.dropLocked(j.part.tp, offset)
	})
	if n != (counts{}) {
		m.of.count(share.Key{Group: m.group, TopicPartition: j.part.tp}, func(c *counts) {
			c.acknowledged += n.acknowledged
			c.released += n.released
			c.rejected += n.rejected
		})
	}
}

// typeOf returns what a job says of an offset.
func (j *job) typeOf(offset int64) share.AckType {
	for _, a := range j.acks {
		if offset < a.First || offset > a.Last {
			continue
		}
		if len(a.Types) == 1 {
			return a.Types[0]
		}
		return a.Types[offset-a.First]
	}
	return share.Gap
}
