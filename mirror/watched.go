package mirror

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/stats"
)

// watched is a mirror that runs, as the metrics of its brokers see it.
type watched struct{ m *Mirror }

// Mirror implements stats.Mirroring, from what is known: it asks nobody.
func (w watched) Mirror() stats.Mirror {
	m, now := w.m, time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.stats
	told := stats.Mirror{
		Name: m.opts.Name, From: m.from.ClusterID, To: m.to.ClusterID, Records: s.Records, Bytes: s.Bytes, Transactions: s.Transactions, Lost: s.Lost, Restarts: s.Restarts, Untranslated: s.Untranslated,
		Refused: len(s.Refused), Damaged: len(s.Damaged), Failed: s.LastErrorAt, Trouble: s.Trouble != nil, Lag: make(map[string]int64),
	}
	for tp, p := range m.at {
		behind := max(0, p.source.LastStable()-p.offset)
		if told.Lag[tp.Topic] += behind; behind > 0 {
			told.LagTime = max(told.LagTime, now.Sub(p.caught))
		}
	}
	return told
}

// tell tells the hooks of both brokers of a round that was copied, or not.
func (m *Mirror) tell(ctx context.Context, r *round, began time.Time, err error) {
	if !m.brokers[0].Hooks.Mirrors() && !m.brokers[1].Hooks.Mirrors() {
		return
	}
	c := r.counts()
	e := hook.MirrorEvent{
		Name: m.opts.Name, From: m.from.ClusterID, To: m.to.ClusterID, Partitions: len(r.parts), Records: c.records, Bytes: c.bytes,
		Began: began, Took: time.Since(began), Err: err,
	}
	for i := range m.brokers {
		if hooks := m.brokers[i].Hooks; hooks.Mirrors() {
			hooks.Mirrored(ctx, &e)
		}
	}
}
