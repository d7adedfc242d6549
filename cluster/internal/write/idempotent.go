package write

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// who is an idempotent producer, as the cluster knows it.
type who struct {
	id    int64
	epoch int16
	is    bool
}

// identity is as whom a producer sends to partitions to which it has sent nothing.
type identity struct {
	mu sync.Mutex // guards who, and is held while the cluster is asked
	who
}

// whoami returns as whom a producer sends.
func (p *producer) whoami(ctx context.Context) (who, error) {
	p.who.mu.Lock()
	defer p.who.mu.Unlock()
	if p.who.is {
		return p.who.who, nil
	}
	resp, err := link.Ask[*kmsg.InitProducerIDResponse](ctx, p.cl, "a new producer", kmsg.NewPtrInitProducerIDRequest())
	if err == nil {
		err = link.Code("a new producer", resp.ErrorCode, nil)
	}
	if err == nil {
		p.who.who = who{resp.ProducerID, resp.ProducerEpoch, true}
	}
	return p.who.who, err
}

// renew has a line be sent from by somebody else, of whom the cluster does not expect a sequence number.
func (l *line) renew() {
	p := l.p
	p.who.mu.Lock()
	defer p.who.mu.Unlock()
	if p.who.who == l.who {
		p.who.who = who{}
	}
	l.who, l.next = who{}, 0
}

// store sends batches to a leader, and notes what has become of them: those of which nothing is noted are to be sent again. It reads and changes
// what who sends has of their lines.
func (p *producer) store(node int32, batches []*pending) {
	me, err := p.whoami(p.w.life)
	if err != nil {
		p.refused(batches, err)
		return
	}
	p.mu.Lock()
	for _, b := range batches {
		b.sentLocked()
	}
	p.mu.Unlock()
	scratch, _ := scratches.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	defer scratches.Put(scratch)
	all, of := make([]*batch, 0, len(batches)), make(map[*batch]*pending, len(batches))
	for _, b := range batches {
		if b.records == 0 {
			b.stored = true
			continue
		}
		if *scratch, b.err = b.seal(p.codec, *scratch); b.err != nil {
			continue
		}
		l := b.line
		if !l.who.is {
			l.who, l.next = me, 0
		}
		b.content.SetProducer(l.who.id, l.who.epoch, l.next)
		all, of[&b.batch] = append(all, &b.batch), b
	}
	if len(all) == 0 {
		return
	}
	req, find, err := produceRequest(p.w.topics, nil, all)
	if err != nil {
		return // a topic has gone: its lines end when they are looked at
	}
	r, err := p.w.ask(p.w.life, p.cl, node, req, all)
	if err != nil {
		for _, b := range of {
			b.unknown = b.unknown || !notSent(err)
			p.w.topics.Soon(b.tp.Topic)
		}
		p.refused(batches, link.Explain("records", err))
		return
	}
	for answer, one := range find(r) {
		p.judge(of[one], answer)
	}
}

// scratches are memory to compress in.
var scratches sync.Pool

// refused fails batches when the cluster says that it lets us do nothing.
func (p *producer) refused(batches []*pending, err error) {
	if !isAnyCode(err) || link.PassingError(err) {
		return
	}
	for _, b := range batches {
		if b.err == nil && !b.stored {
			b.err = b.line.failure(b, err)
		}
	}
}

// notSent reports whether an error says that nothing was sent: there is no connection.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// judge notes what a leader says of a batch.
func (p *producer) judge(b *pending, a *kmsg.ProduceResponseTopicPartition) {
	l := b.line
	err := link.Code(b.tp.String(), a.ErrorCode, a.ErrorMessage)
	switch code := a.ErrorCode; {
	case code == 0, code == kerr.DuplicateSequenceNumber.Code:
		b.stored, b.base, b.time = true, a.BaseOffset, a.LogAppendTime
		l.next = behind(l.next, b.records)
	case forgotten(code) && !b.renewed:
		b.renewed = true
		l.renew()
	case code == kerr.MessageTooLarge.Code && b.records > 1:
		b.err = p.split(b)
	case code == kerr.RequestTimedOut.Code, code == kerr.NotEnoughReplicasAfterAppend.Code:
		b.unknown = true
	case link.Passing(code):
		p.w.topics.Soon(b.tp.Topic)
	default:
		b.err = l.failure(b, err)
	}
}

// forgotten reports whether a code says that the cluster expects another sequence number: what it knew of the producer is lost, or too old. What was
// sent is not stored.
func forgotten(code int16) bool {
	return code == kerr.OutOfOrderSequenceNumber.Code || code == kerr.UnknownProducerID.Code || code == kerr.InvalidProducerEpoch.Code
}

// failure returns the error of a batch which is given up.
func (l *line) failure(b *pending, err error) error {
	if !b.unknown {
		return err
	}
	if l.p.named == nil {
		l.renew() // whose its numbers are nobody knows
	}
	return family.Of(log.ErrOutcomeUnknown, err)
}

// split makes two batches of one that the cluster finds too large, to be sent one after the other: the topic's limit was set lower.
func (p *producer) split(b *pending) error {
	b.line.of.rules.get(p.w.life, p.w, 0)
	rest, err := b.split()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[rest] = struct{}{}
	b.rest = rest
	return nil
}
