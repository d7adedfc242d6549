package write

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/log"
)

// who is an idempotent producer, as the cluster knows it.
type who struct {
	id    int64
	epoch int16
	is    bool
}

// identity is as whom a producer sends to partitions to which it has sent nothing. Its fields are guarded by the producer's mutex.
type identity struct {
	who
	asking    bool
	strangers []*line // that wait for it
}

// askWhoLocked has a line go on once it is known as whom a producer sends.
func (p *producer) askWhoLocked(l *line) {
	if l.stranger {
		return
	}
	l.stranger = true
	p.who.strangers = append(p.who.strangers, l)
	if p.who.asking {
		return
	}
	p.who.asking = true
	p.sends.Add(1)
	p.wg.Go(func() {
		defer p.sends.Done()
		me, err := p.askWho(p.w.life)
		p.mu.Lock()
		defer p.mu.Unlock()
		strangers := p.who.strangers
		p.who = identity{who: me}
		for _, l := range strangers {
			l.stranger = false
			switch {
			case err == nil, p.cut:
			case isAnyCode(err) && !link.PassingError(err):
				l.failLocked(err)
			default:
				l.pauseLocked()
			}
			l.readyLocked()
		}
	})
}

// askWho asks the cluster for a new producer id.
func (p *producer) askWho(ctx context.Context) (who, error) {
	resp, err := link.Ask[*kmsg.InitProducerIDResponse](ctx, p.cl, "a new producer", kmsg.NewPtrInitProducerIDRequest())
	if err == nil {
		err = link.Code("a new producer", resp.ErrorCode, nil)
	}
	if err != nil {
		return who{}, err
	}
	return who{resp.ProducerID, resp.ProducerEpoch, true}, nil
}

// store sends batches, at most one of a line, to a leader, when it is their turn, and notes what it hears of them.
func (p *producer) store(node int32, batches []*pending, turn turn) {
	defer turn.over()
	scratch, _ := scratches.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	all, of := make([]*batch, 0, len(batches)), make(map[*batch]*pending, len(batches))
	for _, b := range batches {
		if *scratch, b.err = b.seal(p.codec, *scratch); b.err != nil {
			continue
		}
		b.content.SetProducer(b.who.id, b.who.epoch, b.first)
		b.lost = errUnanswered
		all, of[&b.batch] = append(all, &b.batch), b
	}
	scratches.Put(scratch)
	req, find, err := produceRequest(p.w.topics, nil, all)
	if len(all) == 0 || err != nil {
		return // a topic has gone: its lines end when they are looked at
	}
	turn.wait()
	r, err := p.w.ask(p.w.life, p.cl, node, &inTurn{req, turn}, all)
	if err != nil {
		for _, b := range of {
			p.w.topics.Soon(b.tp.Topic)
			b.lost, b.unknown = link.Explain("records", err), b.unknown || !notSent(err)
		}
		return
	}
	for a, one := range find(r) {
		p.hear(of[one], a)
	}
	for _, b := range of {
		b.unknown = b.unknown || b.lost != nil
	}
}

// errUnanswered says that a leader has answered, and has left out a batch.
var errUnanswered = fmt.Errorf("%w: the leader has not said what has become of the records", log.ErrUnavailable)

// hear notes what a leader says of a batch.
func (p *producer) hear(b *pending, a *kmsg.ProduceResponseTopicPartition) {
	b.lost, b.code, b.message = nil, a.ErrorCode, a.ErrorMessage
	switch code := a.ErrorCode; {
	case code == 0, code == kerr.DuplicateSequenceNumber.Code:
		b.stored, b.base, b.time = true, a.BaseOffset, a.LogAppendTime
	case code == kerr.RequestTimedOut.Code, code == kerr.NotEnoughReplicasAfterAppend.Code:
		b.unknown = true
	case code == kerr.MessageTooLarge.Code:
		b.line.of.rules.get(p.w.life, p.w, 0)
	case link.Passing(code):
		p.w.topics.Soon(b.tp.Topic)
	}
}

// scratches are memory to compress in.
var scratches sync.Pool

// notSent reports whether an error says that nothing was sent: there is no connection.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// forgotten reports whether a code says that the cluster expects another sequence number: what it knew of the producer is lost, or too old. What was
// sent is not stored.
func forgotten(code int16) bool {
	return code == kerr.OutOfOrderSequenceNumber.Code || code == kerr.UnknownProducerID.Code || code == kerr.InvalidProducerEpoch.Code
}

// splitLocked makes two batches of one that the cluster finds too large, to be sent one after the other: the topic's limit was set lower.
func (p *producer) splitLocked(b *pending) error {
	rest, err := b.split()
	if err != nil {
		return err
	}
	p.outcomes.OpenLocked(rest)
	b.rest = rest
	return nil
}
