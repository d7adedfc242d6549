package shares

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/share"
)

// What a lane asks for.
const (
	fetchWait    = 250 * time.Millisecond // how long a broker waits for records, at most: acknowledgements wait for it
	leastWait    = 10 * time.Millisecond  // likewise, at least
	fetchBytes   = 1 << 20                // of an answer, or a batch
	fetchRecords = 1000                   // of an answer
	keepAlive    = time.Minute            // a connection that idles ends, and what the member has with it
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
)

// lane is the share session of a member with a broker: one request after the other, each with the next epoch. But for node and waiter
// its fields are guarded by the member's mutex, or the goroutine's alone.
type lane struct {
	m      *member
	node   int32
	waiter *engine.Waiter

	jobs     []*job // acknowledgements that are to be sent
	busy     bool   // a request is under way
	acked    bool   // the last one has acknowledged
	turn     uint64 // of the last one that has fetched
	retryAt  time.Time
	failures int
	gave     time.Time // when it has given records last. The goroutine's

	epoch   int32              // of the next request; 0 begins a session. The goroutine's
	session map[place]struct{} // what it reads. The goroutine's
}

// job is acknowledgements of a partition, of which all are carried out or none.
type job struct {
	part  *part
	acks  []share.Ack
	alone bool // not together with others of its partition
	then  func(error)
}

func (j *job) renews() bool {
	return slices.ContainsFunc(j.acks, func(a share.Ack) bool { return slices.Contains(a.Types, share.Renew) })
}

func newLane(m *member, node int32) *lane {
	return &lane{m: m, node: node, waiter: engine.NewWaiter(), session: make(map[place]struct{})}
}

// run is the lane's goroutine.
func (l *lane) run() {
	timer := time.NewTimer(keepAlive)
	defer timer.Stop()
	last := time.Now()
	for {
		jobs, want, parts, wait, over := l.next()
		switch {
		case over:
			l.end(jobs)
			return
		case len(jobs) > 0:
			l.acknowledge(jobs)
		case want > 0:
			l.fetch(want, parts)
		case time.Since(last) >= keepAlive && l.epoch > 0 && l.holds():
			l.acknowledge(nil)
		default:
			timer.Reset(min(wait, keepAlive))
			select {
			case <-l.waiter.C():
			case <-timer.C:
			}
			continue
		}
		last = time.Now()
		l.m.mu.Lock()
		l.busy = false
		l.m.placeLocked() // others may have waited, and leaders moved
		l.m.mu.Unlock()
	}
}

// holds reports whether the member has records of the lane.
func (l *lane) holds() bool {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for _, of := range l.m.held {
		for _, h := range of {
			if h.lane == l {
				return true
			}
		}
	}
	return false
}

// next returns what is to be done: acknowledgements, or so many records to ask for, or, if there is nothing, when to look again.
func (l *lane) next() (jobs []*job, want int, parts []*part, wait time.Duration, over bool) {
	m := l.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		jobs, l.jobs = l.jobs, nil
		return jobs, 0, nil, 0, true
	}
	now := time.Now()
	wait = keepAlive
	if l.retryAt.After(now) && len(l.jobs) == 0 {
		return nil, 0, nil, l.retryAt.Sub(now), false
	}
	if want = m.wanted - m.asked; want > 0 && (len(l.jobs) == 0 || l.acked) && !l.retryAt.After(now) {
		parts, wait = l.readyLocked(now)
		idle, first := 1, true // lanes that may ask, and whether it is this one's turn
		for _, other := range m.lanes {
			if other == l || other.busy || other.retryAt.After(now) {
				continue
			}
			if ready, _ := other.readyLocked(now); len(ready) > 0 {
				idle++
				first = first && l.turn <= other.turn
			}
		}
		if len(parts) > 0 && (first || want >= idle) {
			want = min((want+idle-1)/idle, fetchRecords)
			m.turn++
			l.turn, l.busy, l.acked = m.turn, true, false
			m.asked += want
			return nil, want, parts, 0, false
		}
	}
	if len(l.jobs) > 0 {
		jobs, l.jobs = l.jobs, nil
		l.busy, l.acked = true, true
	}
	return jobs, 0, nil, wait, false
}

// readyLocked returns the partitions that the lane may ask for, or when there may be any.
func (l *lane) readyLocked(now time.Time) (parts []*part, wait time.Duration) {
	wait = keepAlive
	for _, p := range l.m.parts {
		switch {
		case p.node != l.node:
		case p.retryAt.After(now):
			wait = min(wait, p.retryAt.Sub(now))
		default:
			parts = append(parts, p)
		}
	}
	return parts, wait
}

// patience returns how long the broker is to wait for records. While the member has some, an acknowledgement of the last ones waits no longer than
// these were worked.
func (l *lane) patience() time.Duration {
	if l.gave.IsZero() || !l.holds() {
		return fetchWait
	}
	return min(max(time.Since(l.gave), leastWait), fetchWait)
}

// fetch asks for records.
func (l *lane) fetch(want int, parts []*part) {
	m := l.m
	req, session := l.fetchRequest(want, parts)
	req.MaxWaitMillis = int32(l.patience().Milliseconds())
	sent := time.Now()
	r, err := m.client.Broker(int(l.node)).Request(m.wire, req)
	resp, _ := r.(*kmsg.ShareFetchResponse)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked -= want
	err = link.Explain(about(m.group), err)
	if err == nil && resp.ErrorCode != 0 {
		err = link.Code(about(m.group), resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		l.brokenLocked(err)
		return
	}
	l.nextEpoch()
	l.session, l.failures = session, 0
	locked := lockOf(sent, resp.AcquisitionLockTimeoutMillis)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			l.takeLocked(place{t.TopicID, t.Partitions[j].Partition}, &t.Partitions[j], locked)
		}
	}
}

// fetchRequest returns the request, and what the session is with it.
func (l *lane) fetchRequest(want int, parts []*part) (*kmsg.ShareFetchRequest, map[place]struct{}) {
	m := l.m
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &m.group, &m.id, l.epoch
	req.MinBytes, req.MaxBytes = 1, fetchBytes
	req.MaxRecords, req.BatchSize, req.ShareAcquireMode = int32(want), int32(want), 1 // no more than that
	session := make(map[place]struct{}, len(parts))
	for _, p := range parts {
		session[p.place] = struct{}{}
		if _, has := l.session[p.place]; has {
			continue
		}
		i := slices.IndexFunc(req.Topics, func(t kmsg.ShareFetchRequestTopic) bool { return t.TopicID == p.topic })
		if i < 0 {
			i = len(req.Topics)
			t := kmsg.NewShareFetchRequestTopic()
			t.TopicID = p.topic
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewShareFetchRequestTopicPartition()
		rp.Partition, rp.PartitionMaxBytes = p.index, fetchBytes
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
	}
	for at := range l.session {
		if _, has := session[at]; has {
			continue
		}
		f := kmsg.NewShareFetchRequestForgottenTopicsData()
		f.TopicID, f.Partitions = at.topic, []int32{at.index}
		req.ForgottenTopicsData = append(req.ForgottenTopicsData, f)
	}
	return req, session
}

func (l *lane) nextEpoch() {
	if l.epoch++; l.epoch < 0 {
		l.epoch = 1
	}
}

// brokenLocked ends the session, for err: the broker gives back what the member has of it, or has done so.
func (l *lane) brokenLocked(err error) {
	m := l.m
	l.epoch = 0
	clear(l.session)
	m.forgetLocked(func(h *held) bool { return h.lane == l })
	jobs := l.jobs
	l.jobs = nil
	for _, j := range jobs {
		j.then(fmt.Errorf("%s: %w", j.part.tp, errLost))
	}
	again := noSession(err) && l.failures == 0
	l.failures++
	if !again {
		l.retryAt = time.Now().Add(min(lastBackoff, firstBackoff<<min(l.failures, 10)))
	}
	for _, p := range m.parts {
		if p.node == l.node {
			m.of.Topics.Soon(p.tp.Topic)
		}
	}
	if m.fatal(err) && !noSession(err) {
		m.tellLocked(m.wrap(err))
	}
	if m.wire.Err() == nil {
		m.of.Link.Logger().Debug("the session of a queue with a broker has ended, it begins another one", zap.String("group", m.group), zap.Int32("broker", l.node), zap.Error(err))
	}
}

// takeLocked takes the answer for a partition.
func (l *lane) takeLocked(at place, a *kmsg.ShareFetchResponseTopicPartition, locked lock) {
	m := l.m
	p := m.parts[at]
	if p == nil {
		p = &part{place: at, node: l.node} // it was taken from the member meanwhile; what came, came
		if p.tp.Topic, _ = m.of.Topics.Name(at.topic); p.tp.Topic == "" {
			return
		}
		p.tp.Partition = at.index
	}
	if a.ErrorCode != 0 {
		l.refusedLocked(p, a)
		return
	}
	p.failures, p.told = 0, false
	if len(a.AcquiredRecords) == 0 {
		return
	}
	got := take(p.tp, a)
	for _, o := range got.answers {
		m.answerLocked(p, l, o.offset, o.t)
	}
	if got.err != nil {
		m.tellLocked(m.wrap(got.err))
	}
	if len(got.ds) == 0 {
		return
	}
	of := m.held[p.tp]
	if of == nil {
		of = make(map[int64]*held)
		m.held[p.tp] = of
	}
	for i := range got.ds {
		d := &got.ds[i]
		m.leases++
		d.Lease, d.Until = m.leases, locked.until
		of[d.Record.Offset] = &held{part: p, lane: l, lease: d.Lease, lock: locked}
	}
	l.gave = time.Now()
	m.of.count(engine.ShareKey(m.group, p.tp), func(c *counts) { c.deliveries += int64(len(got.ds)) })
	m.giveLocked(got.ds)
}

// refusedLocked takes an error code for a partition.
func (l *lane) refusedLocked(p *part, a *kmsg.ShareFetchResponseTopicPartition) {
	m := l.m
	code := a.ErrorCode
	p.failures++
	p.retryAt = time.Now().Add(min(lastBackoff, firstBackoff<<min(p.failures, 10)))
	delete(l.session, p.place)
	if link.Passing(code) || code == kerr.UnknownTopicOrPartition.Code || code == kerr.UnknownTopicID.Code {
		m.of.Topics.Soon(p.tp.Topic)
		m.forgetLocked(func(h *held) bool { return h.part == p && code == kerr.NotLeaderForPartition.Code })
		return
	}
	if !p.told {
		p.told = true
		m.tellLocked(m.wrap(link.Code(p.tp.String(), code, a.ErrorMessage)))
	}
}
