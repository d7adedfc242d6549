package shares

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// beat sends a heartbeat.
func (m *member) beat(ctx context.Context) error {
	m.mu.Lock()
	epoch := m.epoch
	m.mu.Unlock()
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = m.group, m.id, epoch
	if epoch == 0 {
		req.SubscribedTopicNames = m.as.Topics
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	r, err := m.tell(ctx, req)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.interval = r.MemberEpoch, time.Duration(r.HeartbeatIntervalMillis)*time.Millisecond
	if r.Assignment != nil {
		m.assignLocked(r.Assignment)
	}
	return nil
}

// tell sends a heartbeat to the coordinator of the group. Where that was not the one it is looked for the next time: franz-go keeps to
// the one that it knows, with heartbeats of share groups.
func (m *member) tell(ctx context.Context, req *kmsg.ShareGroupHeartbeatRequest) (*kmsg.ShareGroupHeartbeatResponse, error) {
	m.mu.Lock()
	node := m.coordinator
	m.mu.Unlock()
	if node < 0 {
		var err error
		if node, err = link.Coordinator(ctx, m.client, about(m.group), m.group); err != nil {
			return nil, err
		}
	}
	r, err := m.client.Broker(int(node)).Request(ctx, req)
	resp, _ := r.(*kmsg.ShareGroupHeartbeatResponse)
	if err = link.Explain(about(m.group), err); err == nil {
		err = link.Code(about(m.group), resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil && (resp == nil || link.PassingError(err)) {
		node = -1
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.coordinator = node
	return resp, err
}

// beats is the goroutine that sends heartbeats, and looks for leaders while there are none.
func (m *member) beats() {
	timer := time.NewTimer(hurried)
	defer timer.Stop()
	var due time.Time
	for {
		select {
		case <-timer.C:
		case <-m.rush.C():
			due = time.Time{}
		case <-m.ctx.Done():
			return
		}
		if now := time.Now(); !now.Before(due) {
			err := m.beat(m.ctx)
			if m.ctx.Err() != nil {
				return
			}
			due = now.Add(max(m.beaten(err), hurried))
		}
		wait := time.Until(due)
		m.mu.Lock()
		m.placeLocked()
		for _, p := range m.parts {
			if p.node < 0 {
				wait = min(wait, hurried)
			}
		}
		m.mu.Unlock()
		timer.Reset(wait)
	}
}

// beaten takes the outcome of a heartbeat, and returns when the next one is due.
func (m *member) beaten(err error) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.forgetLocked(func(h *held) bool { return h.gone.Before(now) })
	switch {
	case err == nil && !m.coversLocked() && now.Before(m.hurryUntil):
		return hurried
	case err == nil:
		return m.interval
	case errors.Is(err, log.ErrUnknownMember), errors.Is(err, log.ErrFencedMemberEpoch):
		m.epoch = 0 // what it has it has: sessions are another thing
		return hurried
	case m.fatal(err):
		m.tellLocked(m.wrap(err))
		m.epoch = 0
		return time.Second
	}
	m.of.Link.Logger().Debug("a heartbeat of a queue has failed", zap.String("group", m.group), zap.Error(err))
	return min(m.interval, 5*hurried)
}

// fatal reports whether err says that the cluster does not want it.
func (m *member) fatal(err error) bool {
	var code kafka.Code
	return link.Refused(err) || errors.As(err, &code) && !link.Passing(int16(code))
}

// assignLocked takes the partitions that the member is to read.
func (m *member) assignLocked(a *kmsg.ShareGroupHeartbeatResponseAssignment) {
	parts := make(map[place]*part)
	for _, t := range a.TopicPartitions {
		for _, i := range t.Partitions {
			at := place{t.TopicID, i}
			if parts[at] = m.parts[at]; parts[at] == nil {
				parts[at] = &part{place: at, node: -1}
			}
		}
	}
	m.parts = parts
	m.placeLocked()
}

// coversLocked reports whether the member has all partitions of its topics.
func (m *member) coversLocked() bool {
	n := 0
	for _, t := range m.topics {
		n += int(t.Partitions())
	}
	return n <= len(m.parts)
}

// placeLocked finds who leads the partitions, and has lanes to them.
func (m *member) placeLocked() {
	if m.gone {
		return
	}
	for _, p := range m.parts {
		if p.tp.Topic == "" {
			name, ok := m.of.Topics.Name(p.topic)
			if !ok {
				for _, name := range m.as.Topics {
					m.of.Topics.Soon(name)
				}
				continue
			}
			p.tp = log.TopicPartition{Topic: name, Partition: p.index}
		}
		p.node = -1
		if l, err := m.of.Topics.Leader(p.tp); err == nil && l.Topic == p.topic {
			if p.node = l.Node; l.Node < 0 {
				m.of.Topics.Soon(p.tp.Topic)
			}
		}
		if p.node >= 0 && m.lanes[p.node] == nil {
			l := newLane(m, p.node)
			m.lanes[p.node] = l
			m.wg.Go(l.run)
		}
	}
	m.wakeLocked()
}

func (m *member) wakeLocked() {
	for _, l := range m.lanes {
		l.waiter.Wake()
	}
}
