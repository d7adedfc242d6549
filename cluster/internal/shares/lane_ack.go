package shares

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// together returns those jobs that can be sent at once, by partition and all, and the others.
func together(jobs []*job) (by map[*part][]*job, now, later []*job) {
	by = make(map[*part][]*job)
	for _, j := range jobs {
		if of := by[j.part]; len(of) > 0 && (j.alone || of[0].alone) {
			later = append(later, j)
			continue
		}
		by[j.part] = append(by[j.part], j)
		now = append(now, j)
	}
	return by, now, later
}

// acknowledge sends acknowledgements, or without any what keeps the session.
func (l *lane) acknowledge(jobs []*job) {
	m := l.m
	by, now, later := together(jobs)
	if l.epoch == 0 && len(now) > 0 { // no session: nothing is the member's any more
		for _, j := range jobs {
			j.then(fmt.Errorf("%s: %w", j.part.tp, errLost))
		}
		return
	}
	req := l.ackRequest(by)
	sent := time.Now()
	r, err := m.client.Broker(int(l.node)).Request(m.wire, req)
	resp, _ := r.(*kmsg.ShareAcknowledgeResponse)
	var told []func()
	defer func() {
		for _, fn := range told {
			fn()
		}
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	l.jobs = append(later, l.jobs...)
	err = link.Explain(about(m.group), err)
	if err == nil && resp.ErrorCode != 0 {
		err = link.Code(about(m.group), resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		why := link.Unknown(err)
		if noSession(err) {
			why = errLost
		}
		for _, j := range now {
			told = append(told, func() { j.then(fmt.Errorf("%s: %w", j.part.tp, why)) })
		}
		l.brokenLocked(err)
		return
	}
	l.nextEpoch()
	l.failures = 0
	locked := lockOf(sent, resp.AcquisitionLockTimeoutMillis)
	outcomes := make(map[place]*kmsg.ShareAcknowledgeResponseTopicPartition)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			outcomes[place{resp.Topics[i].TopicID, p.Partition}] = p
		}
	}
	for p, of := range by {
		o := outcomes[p.place]
		switch {
		case o == nil:
			err = link.Unknown(fmt.Errorf("%s: %w: the cluster did not say", p.tp, log.ErrUnavailable))
		case o.ErrorCode != 0 && len(of) > 1: // of whom it is, nobody tells
			for _, j := range of {
				j.alone = true
			}
			l.jobs = append(l.jobs, of...)
			continue
		default:
			err = l.outcomeLocked(p, o.ErrorCode, o.ErrorMessage)
		}
		for _, j := range of {
			m.settledLocked(j, err, locked)
			told = append(told, func() { j.then(err) })
		}
	}
}

// The errors of records that are the member's no more.
var (
	errLost    = fmt.Errorf("%w: its lock has run out, or it was released", log.ErrInvalidRecordState)
	errSettled = fmt.Errorf("%w: it was acknowledged already", log.ErrInvalidRecordState)
)

// noSession reports whether a broker has refused a request as it knows nothing of the session.
func noSession(err error) bool {
	var code kafka.Code
	return errors.As(err, &code) && (code == kafka.Code(kerr.ShareSessionNotFound.Code) || code == kafka.Code(kerr.InvalidShareSessionEpoch.Code))
}

// outcomeLocked returns what an error code for acknowledgements of a partition means.
func (l *lane) outcomeLocked(p *part, code int16, message *string) error {
	switch code {
	case kerr.NotLeaderForPartition.Code, kerr.FencedLeaderEpoch.Code, kerr.UnknownLeaderEpoch.Code: // the next leader gives them to others
		l.m.of.Topics.Soon(p.tp.Topic)
		l.m.forgetLocked(func(h *held) bool { return h.part == p && h.lane == l })
		return fmt.Errorf("%s: %w: %w", p.tp, errLost, link.Code("acknowledge", code, message))
	case kerr.UnknownServerError.Code:
		return link.Unknown(fmt.Errorf("%s: %w", p.tp, log.ErrUnavailable))
	}
	return link.Code(p.tp.String(), code, message)
}

// ackRequest returns the request for the acknowledgements of partitions.
func (l *lane) ackRequest(by map[*part][]*job) *kmsg.ShareAcknowledgeRequest {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &l.m.group, &l.m.id, l.epoch
	for _, p := range slices.SortedFunc(maps.Keys(by), func(a, b *part) int {
		return cmp.Or(slices.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.index, b.index))
	}) {
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].TopicID != p.topic {
			t := kmsg.NewShareAcknowledgeRequestTopic()
			t.TopicID = p.topic
			req.Topics = append(req.Topics, t)
			n++
		}
		rp := kmsg.NewShareAcknowledgeRequestTopicPartition()
		rp.Partition = p.index
		var acks []share.Ack
		for _, j := range by[p] {
			req.IsRenewAck = req.IsRenewAck || j.renews()
			acks = append(acks, j.acks...)
		}
		slices.SortFunc(acks, func(a, b share.Ack) int { return cmp.Compare(a.First, b.First) })
		for _, a := range acks {
			b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
			b.FirstOffset, b.LastOffset = a.First, a.Last
			for _, t := range a.Types {
				b.AcknowledgeTypes = append(b.AcknowledgeTypes, int8(t))
			}
			rp.AcknowledgementBatches = append(rp.AcknowledgementBatches, b)
		}
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, rp)
	}
	return req
}

// end gives back what the member has of the lane, at its end.
func (l *lane) end(jobs []*job) {
	for _, j := range jobs {
		j.then(l.m.wrap(log.ErrClosed))
	}
	if l.epoch == 0 {
		return
	}
	l.epoch = -1
	r, err := l.m.client.Broker(int(l.node)).Request(l.m.wire, l.ackRequest(nil))
	if resp, ok := r.(*kmsg.ShareAcknowledgeResponse); ok && err == nil {
		err = link.Code(about(l.m.group), resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil && !noSession(err) && !errors.Is(err, context.Canceled) {
		l.m.of.Link.Logger().Debug("what a queue has comes again when its locks run out", zap.String("group", l.m.group), zap.Error(err))
	}
}
