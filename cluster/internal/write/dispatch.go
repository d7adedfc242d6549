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
	last     turn    // of them
	ready    []*line // with something to be sent
	urgent   int     // of those
}

const (
	mostInFlight = 5       // requests to a leader
	mostRequest  = 8 << 20 // bytes of the batches of a request, beyond which none begins
)

// urgentLocked reports whether the line is not to wait for more: a batch is complete, is hurried, or is as large as it has to be and none is under way,
// while which it grows.
func (l *line) urgentLocked() bool {
	b := l.filling
	return len(l.complete) > 0 || b != nil && (b.hurry || len(l.sending) == 0 && b.builder.Size() >= l.p.opts.BatchBytes)
}

// readyLocked has the line be sent from, if there is something to be sent, and room for it in the window.
func (l *line) readyLocked() {
	to := l.readyForLocked()
	if to == nil {
		return
	}
	if l.leader == nil {
		l.leader = to
		to.ready = append(to.ready, l)
	}
	if !l.urgent && l.urgentLocked() {
		l.urgent = true
		to.urgent++
	}
	l.p.pumpLocked(to)
}

// readyForLocked returns to whom something of the line is to be sent now, nil for nobody.
func (l *line) readyForLocked() *leader {
	if l.paused || l.stuck || len(l.complete) == 0 && (l.filling == nil || !l.urgentLocked() && (l.p.opts.Linger > 0 || len(l.sending) > 0)) {
		return nil
	}
	if l.leader != nil {
		return l.leader
	}
	to, err := l.p.leaderLocked(l)
	switch {
	case len(l.sending) > 0:
	case err != nil:
		l.failLocked(err)
	case to == nil:
		l.pauseLocked()
	}
	if err != nil || to == nil || !l.roomLocked(to) {
		return nil
	}
	return to
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
			continue // none was ready any more
		}
		to.inFlight++
		to.last = to.last.next()
		turn := to.last
		p.sends.Add(1)
		p.wg.Go(func() {
			defer p.sends.Done()
			p.send(to, batches, turn)
		})
	}
}

// takeLocked takes the batches of a request: one of each line, or of a producer with an ID all.
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
		for b := l.takeLocked(to); b != nil; b = l.takeLocked(to) {
			bytes += max(b.builder.Size(), len(b.content))
			batches = append(batches, b)
			if p.named == nil || bytes >= mostRequest {
				break
			}
		}
	}
	to.ready = slices.Delete(to.ready, 0, n)
	for _, b := range batches {
		if l := b.line; l.leader == nil && len(l.complete) > 0 && l.roomLocked(to) { // for the next request
			l.leader, l.urgent = to, true
			to.ready = append(to.ready, l)
			to.urgent++
		}
	}
	return batches
}

// send sends batches, and has those told of whose outcome is known then; the others go back.
func (p *producer) send(to *leader, batches []*pending, turn turn) {
	if p.named != nil {
		p.named.store(batches)
	} else {
		p.store(to.node, batches, turn)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	to.inFlight--
	lines := make([]*line, 0, len(batches))
	for _, b := range batches {
		b.heard = true
		if n := len(lines); n == 0 || lines[n-1] != b.line {
			lines = append(lines, b.line)
		}
	}
	for _, l := range lines {
		l.settleLocked()
	}
	for _, l := range lines {
		l.readyLocked()
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
