package batcher

import "github.com/samsa-go/samsa/internal/measure"

// Stats is what producers of one client id have done, and what they have.
type Stats struct {
	Open     int
	Buffered int64 // bytes

	Records, Batches int64 // that were stored
	Failed           int64 // records that were not, or of which that is not known

	Times measure.Histogram // of batches, from when they were complete until their outcome, in seconds
}

// Tally counts what producers do, by client id.
type Tally = measure.Tally[string, Stats]

// Plus implements measure.Sum.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Open: s.Open + o.Open, Buffered: s.Buffered + o.Buffered, Records: s.Records + o.Records, Batches: s.Batches + o.Batches,
		Failed: s.Failed + o.Failed, Times: s.Times.Plus(o.Times),
	}
}

// Ended implements measure.Sum.
func (s Stats) Ended() Stats {
	s.Open, s.Buffered = 0, 0
	return s
}

// stats returns what p has done, and what it has.
func (p *Producer) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.did
	s.Open, s.Buffered, s.Times = 1, int64(p.outcomes.BufferedLocked()), p.times.Histogram()
	return s
}

// countLocked counts a batch whose outcome is known.
func (p *Producer) countLocked(b *pending) {
	if b.err != nil {
		p.did.Failed += int64(b.records)
		return
	}
	p.did.Records += int64(b.records)
	p.did.Batches++
	p.times.Observe(b.took)
}
