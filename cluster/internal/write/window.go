package write

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// window is what of a line is on its way. Up to mostInFlight batches are, each in a request of its own, to one leader, in order. Each has the sequence
// numbers behind those of the one before; a leader stores none whose numbers are not the next, and knows the last five (KIP-98, KAFKA-5494). So:
//
//   - Outcomes are drawn in order: that of a batch when all before it are stored, or given up.
//   - When the first one is not stored, nothing more is sent until all are answered. Then they go again in their order, the first one alone.
//   - A batch that may be stored goes again with the same numbers and the same records: if it is, the leader says so.
//   - Numbers that a leader may have seen are never given to other records: where a batch is given up, or becomes smaller, those behind it have
//     numbers of a new producer id. Where nothing may be stored they are given again.
//   - A leader that knows nothing of a producer id takes any numbers. So the first batch goes alone to a leader, after a failure, and after a
//     pause: what is stored then makes it known.
//
// A producer with an ID has one transaction under way, and no numbers here.
type window struct {
	sending []*pending    // on their way, oldest first
	to      *leader       // where to; of sending, or the last one
	open    bool          // a batch was stored there, so several may be on their way
	at      time.Time     // when
	took    time.Duration // from when it was sent
	stuck   bool          // the first is not stored: the others are only waited for
	from    int32         // its number
	hole    bool          // nothing that is stored has that: what had it was given up, or has become smaller
	doubt   error         // why what had it was given up, though it may be stored

	who      who // as whom is sent, which is not known yet if it is not
	next     int32
	stranger bool // it waits for who
}

// numbers are those of a batch that was sent, or is.
type numbers struct {
	who   who
	first int32
}

// attempt is what has become of a batch when it was sent.
type attempt struct {
	begun   time.Time
	unknown bool // it may be stored, as far as is known; of all attempts
	renewed bool // it has numbers of another producer id since the cluster has forgotten the old one
	heard   bool // what follows, or that it is stored
	lost    error
	code    int16
	message *string
}

// longestPauseOpen is after what pause the next batch goes alone.
const longestPauseOpen = time.Minute

// roomLocked reports whether one more batch may be sent to a leader.
func (l *line) roomLocked(to *leader) bool {
	switch {
	case l.paused || l.stuck:
		return false
	case len(l.sending) == 0:
		return true
	}
	return l.p.named == nil && l.open && l.to == to && len(l.sending) < mostInFlight
}

// takeLocked returns the next batch to be sent to a leader, with its numbers, nil if there is none.
func (l *line) takeLocked(to *leader) *pending {
	if !l.roomLocked(to) && l.p.named == nil {
		return nil
	}
	if len(l.complete) == 0 && l.filling != nil {
		l.completeLocked()
	}
	for len(l.complete) > 0 {
		b := l.complete[0]
		if b.goneLocked() {
			if b.who.is && len(l.sending) > 0 {
				return nil // it gets others when those before it are stored
			}
			b.withdrawLocked()
			if b.who.is {
				l.leaveHoleLocked()
			}
		}
		if b.records == 0 {
			l.complete = slices.Delete(l.complete, 0, 1)
			l.p.finishedLocked(b, nil)
			continue
		}
		if l.p.named == nil && !l.numberLocked(b) {
			return nil
		}
		b.sentLocked()
		b.heard, b.lost, b.code, b.message, b.err = false, nil, 0, nil, nil
		b.begun = time.Now()
		if l.to != to || b.begun.Sub(l.at) > longestPauseOpen {
			l.open = false
		}
		l.to = to
		l.complete = slices.Delete(l.complete, 0, 1)
		l.sending = append(l.sending, b)
		return b
	}
	return nil
}

// numberLocked gives a batch its numbers, if it has none of who sends. It reports whether that is known.
func (l *line) numberLocked(b *pending) bool {
	if !l.who.is {
		if l.who = l.p.who.who; !l.who.is {
			l.p.askWhoLocked(l)
			return false
		}
		l.next = 0
	}
	if b.who != l.who {
		b.numbers = numbers{l.who, l.next}
	}
	l.next = behind(b.first, b.records)
	return true
}

// renewLocked has a line be sent from by somebody else, of whom the cluster does not expect a number.
func (l *line) renewLocked() {
	if l.p.who.who == l.who {
		l.p.who.who = who{}
	}
	l.who, l.next, l.open = who{}, 0, false
}

// settleLocked draws the outcomes of what is answered, in order.
func (l *line) settleLocked() {
	for !l.stuck && len(l.sending) > 0 && l.sending[0].heard {
		b := l.sending[0]
		if l.from = b.first; l.p.named == nil {
			l.judgeLocked(b)
		}
		switch {
		case b.stored:
			l.open, l.pause, l.at = true, 0, time.Now()
			l.took = l.at.Sub(b.begun)
		case b.err == nil:
			l.stuck = true
			continue
		case l.p.named == nil:
			if l.stuck, l.hole = true, !b.unknown; b.unknown {
				l.doubt = b.err
			}
		}
		l.sending = slices.Delete(l.sending, 0, 1)
		l.p.finishedLocked(b, b.err)
	}
	if l.stuck && !slices.ContainsFunc(l.sending, func(b *pending) bool { return !b.heard }) {
		l.backLocked()
	}
}

// judgeLocked draws the outcome of a batch, all before which are stored: stored, given up with an error, or neither, if it is to be sent again.
func (l *line) judgeLocked(b *pending) {
	switch err := b.refusal(); {
	case b.stored, b.err != nil:
	case b.lost != nil && (!isAnyCode(err) || link.PassingError(err)):
	case b.lost == nil && forgotten(b.code) && !b.renewed:
		b.renewed = true
		l.renewLocked()
	case b.lost == nil && b.code == kerr.MessageTooLarge.Code && b.records > 1 && !b.unknown:
		b.err = l.p.splitLocked(b)
		l.hole = b.err == nil
	case b.lost == nil && link.Passing(b.code):
	default:
		b.err = err
	}
	if b.err != nil {
		b.err = failure(b, b.err)
	}
}

// refusal returns the error of an attempt that was not answered, or with one.
func (b *pending) refusal() error {
	if b.lost != nil {
		return b.lost
	}
	return link.Code(b.tp.String(), b.code, b.message)
}

// backLocked has what was on its way and is not stored go again, before all else.
func (l *line) backLocked() {
	back := make([]*pending, 0, len(l.sending)+1)
	unsure := l.doubt != nil
	for _, b := range l.sending {
		switch {
		case b.stored && unsure: // it is asked for again, to be told behind those before it, which seem to be stored too
			b.unknown, b.stored = true, false
		case b.stored: // by a leader that has lost what it knew
			l.p.finishedLocked(b, nil)
			continue
		}
		unsure = unsure || b.unknown
		back = append(back, b)
		if b.rest != nil {
			back = append(back, b.rest)
			b.rest = nil
		}
	}
	clear(l.sending)
	l.sending, l.complete = l.sending[:0], slices.Insert(l.complete, 0, back...)
	if l.p.named == nil {
		l.renumberLocked()
	}
	l.open, l.stuck, l.hole, l.doubt = false, false, false, nil
	for _, b := range l.complete {
		b.unsentLocked()
	}
	if len(back) > 0 && !l.p.cut {
		l.pauseLocked()
	}
}

// renumberLocked has what is complete have new numbers, unless it may be stored with the old ones. What may be stored, with numbers behind those of
// something that may be and was given up, is given up too.
func (l *line) renumberLocked() {
	unknown := func(b *pending) bool { return b.unknown }
	switch some := slices.ContainsFunc(l.complete, unknown); {
	case l.doubt != nil:
		l.renewLocked()
		for some { // and what is before it, so that promises are called in order
			b := l.complete[0]
			l.p.finishedLocked(b, failure(b, fmt.Errorf("%s: an earlier batch failed: %s", b.tp, l.doubt.Error())))
			l.complete = slices.Delete(l.complete, 0, 1)
			some = slices.ContainsFunc(l.complete, unknown)
		}
	case some && l.hole:
		l.leaveHoleLocked()
	case !some:
		for _, b := range l.complete {
			b.numbers = numbers{}
		}
		if l.who.is {
			l.next = l.from
		}
	}
}

// leaveHoleLocked has numbers belong to nothing that is stored, nor ever will be. So nothing with numbers behind them is stored.
func (l *line) leaveHoleLocked() {
	l.renewLocked()
	for _, b := range l.complete {
		b.unknown = false
		b.unsentLocked()
	}
}

// failure returns the error of a batch which is given up.
func failure(b *pending, err error) error {
	if !b.unknown {
		return err
	}
	return family.Of(log.ErrOutcomeUnknown, err)
}

// failLocked fails all that is not under way.
func (l *line) failLocked(err error) {
	if l.filling != nil {
		l.completeLocked()
	}
	for _, b := range l.complete {
		if b.who.is {
			l.renewLocked()
		}
		l.p.finishedLocked(b, failure(b, err))
	}
	clear(l.complete)
	l.complete = l.complete[:0]
}
