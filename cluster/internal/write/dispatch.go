package write

import (
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// leader is a broker to which a producer sends, or the transactions of one with an ID. Its fields are guarded by the producer's mutex.
type leader struct {
	node     int32
	inFlight int     // requests
	ready    []*line // with something to be sent
	urgent   int     // of those
}

const (
	mostInFlight = 5       // requests to a leader
	mostRequest  = 8 << 20 // bytes of the batches of a request, beyond which none begins
)

// urgentLocked reports whether the line is not to wait for more: a batch is complete, is as large as it has to be, or is hurried.
func (l *line) urgentLocked() bool {
	return len(l.complete) > 0 || l.filling != nil && (l.filling.hurry || l.filling.builder.Size() >= l.p.opts.BatchBytes)
}

// readyLocked has the line be sent from, if there is something to be sent. Of a partition one batch is under way: what comes meanwhile goes together,
// in order.
func (l *line) readyLocked() {
	urgent := l.urgentLocked()
	if l.paused || len(l.sending) > 0 || !urgent && (l.filling == nil || l.p.opts.Linger > 0) {
		return
	}
	p, to := l.p, l.leader
	if to == nil {
		var err error
		if to, err = p.leaderLocked(l); err != nil {
			l.failLocked(err)
			return
		}
		if to == nil {
			l.pauseLocked()
			return
		}
		l.leader = to
		to.ready = append(to.ready, l)
	}
	if urgent && !l.urgent {
		l.urgent = true
		to.urgent++
	}
	p.pumpLocked(to)
}

// leaderLocked returns who takes what is in a line, nil while nobody does.
func (p *producer) leaderLocked(l *line) (*leader, error) {
	switch {
	case p.cut:
		return nil, log.ErrClosed
	case !p.w.topics.Same(l.of.topic):
		return nil, fmt.Errorf("topic %s: %w", l.tp.Topic, log.ErrUnknownTopic)
	}
	known, err := p.w.topics.Leader(l.tp)
	if err != nil {
		return nil, err
	}
	if p.named != nil {
		return &p.named.to, nil
	}
	if known.Node < 0 {
		p.w.topics.Soon(l.tp.Topic)
		return nil, nil
	}
	to := p.leaders[known.Node]
	if to == nil {
		to = &leader{node: known.Node}
		p.leaders[known.Node] = to
	}
	return to, nil
}

// pumpLocked sends: at once where nothing is under way to a leader, and what is urgent beside that. So batches grow while others are stored.
func (p *producer) pumpLocked(to *leader) {
	most := mostInFlight
	if p.named != nil {
		most = 1
	}
	for to.inFlight < most && (to.urgent > 0 || to.inFlight == 0 && len(to.ready) > 0) {
		batches := p.takeLocked(to)
		if len(batches) == 0 {
			return
		}
		to.inFlight++
		p.sends.Add(1)
		p.wg.Go(func() {
			defer p.sends.Done()
			p.send(to, batches)
		})
	}
}

// takeLocked takes the batches of a request.
func (p *producer) takeLocked(to *leader) (batches []*pending) {
	bytes, n := 0, 0
	for _, l := range to.ready {
		if bytes >= mostRequest {
			break
		}
		n++
		l.leader = nil
		if l.urgent {
			l.urgent = false
			to.urgent--
		}
		for b := l.takeLocked(); b != nil; b = l.takeLocked() {
			bytes += max(b.builder.Size(), len(b.content))
			batches = append(batches, b)
			if p.named == nil || bytes >= mostRequest {
				break
			}
		}
	}
	to.ready = slices.Delete(to.ready, 0, n)
	return batches
}

// send sends batches, and has those told of whose outcome is known then; the others go back.
func (p *producer) send(to *leader, batches []*pending) {
	if p.named != nil {
		p.named.store(batches)
	} else {
		p.store(to.node, batches)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	to.inFlight--
	again := make(map[*line][]*pending)
	for _, b := range batches {
		l := b.line
		l.sending = nil
		if b.stored || b.err != nil {
			l.pause = 0
			p.finishedLocked(b, b.err)
		} else {
			b.backLocked()
			again[l] = append(again[l], b)
			if b.rest != nil {
				again[l] = append(again[l], b.rest)
				b.rest = nil
			}
		}
	}
	for l, bs := range again {
		l.complete = slices.Insert(l.complete, 0, bs...)
		if p.cut {
			l.failLocked(log.ErrClosed)
		} else {
			l.pauseLocked()
		}
	}
	for _, b := range batches {
		if b.line != nil {
			b.line.readyLocked()
		}
	}
	p.pumpLocked(to)
}

// pauseLocked has the line be tried again after a while.
func (l *line) pauseLocked() {
	l.paused = true
	l.pause = min(max(2*l.pause, firstPause), longestPause)
	time.AfterFunc(l.pause, func() {
		l.p.mu.Lock()
		defer l.p.mu.Unlock()
		l.paused = false
		l.readyLocked()
	})
}
