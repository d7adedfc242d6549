package mirror

import (
	"time"

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
