package shares

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Times of a member.
const (
	hurried     = 100 * time.Millisecond // between heartbeats while partitions are waited for
	hurryFor    = 10 * time.Second       // at most, after something has changed
	beatTimeout = 10 * time.Second       // of a heartbeat
	leaveWithin = 5 * time.Second        // for all that a member says at its end
	spareFor    = time.Second            // how long records are kept that nobody wants any more
	idleConn    = 5 * time.Minute        // a connection without a session may go then
)

// maxNews bounds the errors that wait for somebody to receive them.
const maxNews = 16

// member is somebody of this process in a group: a client of its own, a goroutine that sends heartbeats, one that follows the
// topics, and a lane for each broker that leads partitions of the member.
type member struct {
	of       *Shares
	group    string
	as       share.Member
	settings share.Settings
	id       string
	client   *kgo.Client
	waiter   *engine.Waiter  // wakes who follows the topics
	rush     *engine.Waiter  // wakes who sends heartbeats
	ctx      context.Context // ends when the member leaves
	cancel   context.CancelFunc
	wire     context.Context // of the requests: it ends soon after
	cut      context.CancelFunc
	wg       sync.WaitGroup
	leave    sync.Once

	mu          sync.Mutex // guards what follows; never held while waiting
	coordinator int32      // the broker, -1 for none that is known
	epoch       int32      // of the member; 0 has to join
	interval    time.Duration
	hurryUntil  time.Time
	topics      map[string]engine.Topic
	parts       map[place]*part
	lanes       map[int32]*lane
	turn        uint64
	waiting     []*receiver
	wanted      int // records, by all who wait
	asked       int // records that are being asked for
	spare       []share.Delivery
	news        []error // that nobody was told of
	held        map[log.TopicPartition]map[int64]*held
	leases      uint64
	stopped     bool
	gone        bool
}

// place names a partition of a topic that may be gone.
type place struct {
	topic [16]byte
	index int32
}

// part is a partition that the member is to read.
type part struct {
	place
	tp       log.TopicPartition
	node     int32 // the leader, -1 for none
	retryAt  time.Time
	failures int
	told     bool // why it cannot be read
}

// held is a record that the member has.
type held struct {
	part  *part
	lane  *lane
	lease uint64
	lock
	settling bool // an acknowledgement is on its way
}

// lock is when a record is the member's no more: not before until, and not after gone. When the broker has begun it nobody tells.
type lock struct{ until, gone time.Time }

// lockOf returns the lock of what a request has acquired or renewed.
func lockOf(sent time.Time, millis int32) lock {
	lasts := time.Duration(millis) * time.Millisecond
	return lock{sent.Add(lasts), time.Now().Add(lasts)}
}

// receiver is one call of Receive that waits.
type receiver struct {
	most int
	got  chan received // of room for one
}

type received struct {
	ds  []share.Delivery
	err error
}

// join returns a new member of a group.
func (s *Shares) join(ctx context.Context, name string, as share.Member, settings share.Settings) (*member, error) {
	opts := []kgo.Opt{kgo.ConnIdleTimeout(idleConn)}
	if as.ClientID != "" {
		opts = append(opts, kgo.ClientID(as.ClientID))
	}
	client, err := s.Link.New(opts...)
	if err != nil {
		return nil, err
	}
	m := &member{
		of: s, group: name, as: as, settings: settings, id: uuid.Text(uuid.New()), client: client, waiter: engine.NewWaiter(), rush: engine.NewWaiter(),
		coordinator: -1, topics: make(map[string]engine.Topic), parts: make(map[place]*part), lanes: make(map[int32]*lane),
		held: make(map[log.TopicPartition]map[int64]*held),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.wire, m.cut = context.WithCancel(context.Background())
	m.look()
	if err := link.Again(ctx, func() error { return m.beat(ctx) }); err != nil {
		m.Leave()
		return nil, err
	}
	m.wg.Go(m.beats)
	m.wg.Go(m.follow)
	return m, nil
}

func (m *member) wrap(err error) error { return fmt.Errorf("queue of group %s: %w", m.group, err) }

// follow is the goroutine that looks which topics there are.
func (m *member) follow() {
	m.of.Topics.Watch(m.waiter)
	defer m.of.Topics.Unwatch(m.waiter)
	for {
		m.look()
		select {
		case <-m.waiter.C():
		case <-m.ctx.Done():
			return
		}
	}
}

// look brings the topics up to date, and tells of those that are gone.
func (m *member) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.as.Topics {
		t, err := m.of.Topics.Get(name)
		was := m.topics[name]
		if err != nil {
			t = nil
			delete(m.topics, name)
		} else {
			m.topics[name] = t
		}
		if was != nil && was != t {
			m.forgetLocked(func(h *held) bool { return h.part.topic == was.ID() })
			for at := range m.parts {
				if at.topic == was.ID() {
					delete(m.parts, at)
				}
			}
			if t == nil {
				m.tellLocked(m.wrap(fmt.Errorf("%w: %q was deleted", log.ErrUnknownTopic, name)))
			}
		}
	}
	if len(m.topics) == 0 {
		for _, r := range m.waiting {
			r.got <- received{err: m.nothing()}
		}
		m.waiting, m.wanted = nil, 0
	}
	if !m.coversLocked() {
		m.hurryUntil = time.Now().Add(hurryFor)
		m.rush.Wake()
	}
}

func (m *member) nothing() error {
	return m.wrap(fmt.Errorf("%w: %q", log.ErrUnknownTopic, m.as.Topics))
}

// tellLocked has somebody who receives hear of an error.
func (m *member) tellLocked(err error) {
	if len(m.waiting) > 0 {
		r := m.waiting[0]
		m.removeLocked(0)
		r.got <- received{err: err}
		return
	}
	if len(m.news) < maxNews {
		m.news = append(m.news, err)
	}
}

// removeLocked has a receiver wait no more.
func (m *member) removeLocked(i int) {
	m.wanted -= m.waiting[i].most
	m.waiting = slices.Delete(m.waiting, i, i+1)
}

// Receive implements engine.ShareMember.
func (m *member) Receive(ctx context.Context, most int) ([]share.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	switch {
	case m.stopped:
		m.mu.Unlock()
		return nil, m.wrap(log.ErrClosed)
	case len(m.news) > 0:
		err := m.news[0]
		m.news = slices.Delete(m.news, 0, 1)
		m.mu.Unlock()
		return nil, err
	case len(m.topics) == 0:
		m.mu.Unlock()
		return nil, m.nothing()
	}
	if ds := m.takeSpareLocked(most); len(ds) > 0 {
		m.mu.Unlock()
		return ds, nil
	}
	r := &receiver{most: most, got: make(chan received, 1)}
	m.waiting = append(m.waiting, r)
	m.wanted += most
	m.wakeLocked()
	m.mu.Unlock()
	select {
	case got := <-r.got:
		return got.ds, got.err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.waiting, r); i >= 0 {
		m.removeLocked(i)
		return nil, ctx.Err()
	}
	switch got := <-r.got; { // it was just given: others may have it
	case len(got.ds) > 0:
		m.giveLocked(got.ds)
	case got.err != nil && !m.stopped:
		m.tellLocked(got.err)
	}
	return nil, ctx.Err()
}

// takeSpareLocked returns records that came for somebody who did not wait for them.
func (m *member) takeSpareLocked(most int) []share.Delivery {
	m.spare = slices.DeleteFunc(m.spare, func(d share.Delivery) bool { return m.heldLocked(d) == nil })
	n := min(most, len(m.spare))
	ds := slices.Clone(m.spare[:n])
	m.spare = slices.Delete(m.spare, 0, n)
	return ds
}

// heldLocked returns what is known of a delivery, nil if it is the member's no more.
func (m *member) heldLocked(d share.Delivery) *held {
	h := m.held[log.TopicPartition{Topic: d.Record.Topic, Partition: d.Record.Partition}][d.Record.Offset]
	if h == nil || h.lease != d.Lease {
		return nil
	}
	return h
}

// giveLocked gives records to those who wait. Those that nobody waits for are kept for a moment, and then given back.
func (m *member) giveLocked(ds []share.Delivery) {
	for len(ds) > 0 && len(m.waiting) > 0 {
		r := m.waiting[0]
		m.removeLocked(0)
		n := min(r.most, len(ds))
		r.got <- received{ds: ds[:n:n]}
		ds = ds[n:]
	}
	if len(ds) == 0 {
		return
	}
	if len(m.spare) == 0 {
		time.AfterFunc(spareFor, m.giveBack)
	}
	m.spare = append(m.spare, ds...)
}

// giveBack gives back what nobody has wanted.
func (m *member) giveBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.spare {
		if h := m.heldLocked(d); h != nil && !m.gone {
			m.answerLocked(h.part, h.lane, d.Record.Offset, share.Release)
			m.dropLocked(h.part.tp, d.Record.Offset)
		}
	}
	m.spare = nil
}

// answerLocked says of a record what nobody has to hear of.
func (m *member) answerLocked(p *part, l *lane, offset int64, t share.AckType) {
	l.jobs = append(l.jobs, &job{part: p, acks: []share.Ack{{First: offset, Last: offset, Types: []share.AckType{t}}}, then: func(error) {}})
	l.waiter.Wake()
}

// forgetLocked forgets records, that are the member's no more.
func (m *member) forgetLocked(which func(h *held) bool) {
	for tp, of := range m.held {
		for offset, h := range of {
			if which(h) {
				m.dropLocked(tp, offset)
			}
		}
	}
}

func (m *member) dropLocked(tp log.TopicPartition, offset int64) {
	delete(m.held[tp], offset)
	if len(m.held[tp]) == 0 {
		delete(m.held, tp)
	}
}

// inFlight returns how many records of a partition the member has.
func (m *member) inFlight(tp log.TopicPartition) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, h := range m.held[tp] {
		if h.until.After(now) {
			n++
		}
	}
	return n
}

// Reads implements engine.ShareMember.
func (m *member) Reads() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.topics) > 0
}

// Stop implements engine.ShareMember.
func (m *member) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	for _, r := range m.waiting {
		r.got <- received{err: m.wrap(log.ErrClosed)}
	}
	m.waiting, m.wanted = nil, 0
}

// Leave implements engine.ShareMember. It takes no longer than leaveWithin, or the session of the member and the locks of its records
// have to run out.
func (m *member) Leave() {
	m.leave.Do(func() {
		m.Stop()
		m.mu.Lock()
		m.gone = true
		epoch := m.epoch
		m.wakeLocked()
		m.mu.Unlock()
		m.cancel()
		timer := time.AfterFunc(leaveWithin, m.cut)
		m.wg.Wait()
		if epoch > 0 {
			m.sayGoodbye()
		}
		timer.Stop()
		m.cut()
		m.client.Close()
		m.of.mu.Lock()
		if g := m.of.groups[m.group]; g != nil {
			delete(g.members, m)
		}
		m.of.mu.Unlock()
	})
}

// sayGoodbye leaves the group.
func (m *member) sayGoodbye() {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = m.group, m.id, -1
	err := link.Again(m.wire, func() error {
		_, err := m.tell(m.wire, req)
		return err
	})
	if err != nil && !errors.Is(err, log.ErrUnknownMember) {
		m.of.Link.Logger().Warn("a queue could not leave its group, its session has to run out", zap.String("group", m.group), zap.Error(err))
	}
}
