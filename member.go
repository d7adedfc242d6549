package samsa

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/partition"
)

// member is a consumer's part in its group.
//
// Three goroutines have to do with it. Poll's caller adopts assignments and runs callbacks:
// step. The keeper gives signs of life, notices what happens to the group, and commits. A
// round, one at a time, joins the group and fetches the assignment, which may take long.
type member struct {
	c           *Consumer
	opts        MemberOptions
	cooperative bool
	waiter      *partition.Waiter // wakes the keeper
	ctx         context.Context   // ends when the consumer is closed
	cancel      context.CancelFunc

	mu         sync.Mutex // guards what follows; not held while calling out
	id         string     // as the group knows the member, "" when it does not
	generation int32      // -1 when not in one
	joined     bool       // id and generation are good, as far as is known
	rejoin     bool       // the next step begins a round
	lost       bool       // the next step gives up all partitions
	fatal      error      // Poll returns it from now on
	round      *round     // under way, or done and not yet adopted
	owned      []TopicPartition
	leader     bool
	counts     map[string]int32 // partitions of the topics that the leader has assigned
	subscribed []string         // as told at the last join, sorted

	polling  bool
	polledAt time.Time
}

// round is one run of join and sync.
type round struct {
	done     chan struct{} // closed when the rest is set
	assigned []TopicPartition
	err      error
}

func newMember(c *Consumer) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{
		c: c, opts: c.opts.Member, cooperative: true, waiter: partition.NewWaiter(),
		ctx: ctx, cancel: cancel, generation: -1, rejoin: true, polledAt: time.Now(),
	}
	for _, a := range m.opts.Assignors {
		m.cooperative = m.cooperative && a.Cooperative()
	}
	return m
}

// start begins to look after the membership. The group is joined by the first Poll.
func (m *member) start() error {
	if err := m.c.b.groups.Watch(m.c.opts.Group, m.waiter); err != nil {
		return err
	}
	m.c.b.catalogue.Watch(m.waiter)
	m.c.wg.Go(m.keep)
	return nil
}

// keep is the keeper's goroutine.
func (m *member) keep() {
	heartbeat := time.NewTicker(m.opts.HeartbeatInterval)
	defer heartbeat.Stop()
	commit := time.NewTicker(m.opts.AutoCommitInterval)
	defer commit.Stop()
	for {
		select {
		case <-heartbeat.C:
			m.checkPoll()
		case <-m.waiter.C():
		case <-commit.C:
			if !m.opts.ManualCommit {
				m.autoCommit()
			}
			continue
		case <-m.ctx.Done():
			return
		}
		m.beat()
		m.checkTopics()
	}
}

// beat gives a sign of life and takes the answer.
func (m *member) beat() {
	m.mu.Lock()
	joined, id, generation := m.joined && m.round == nil, m.id, m.generation
	m.mu.Unlock()
	if joined {
		m.heard(generation, m.c.b.groups.Heartbeat(m.c.opts.Group, id, m.opts.InstanceID, generation))
	}
}

// heard takes what the group says to a member of that generation.
func (m *member) heard(generation int32, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil || m.generation != generation || !m.joined || m.round != nil {
		return
	}
	switch {
	case errors.Is(err, ErrRebalanceInProgress):
		m.rejoin = true
	case errors.Is(err, ErrFencedInstance):
		m.fatal = err
		m.loseLocked()
	case errors.Is(err, ErrUnknownMember), errors.Is(err, ErrIllegalGeneration):
		m.loseLocked()
	}
	m.c.ready.Wake()
}

// loseLocked is for a member that the group does not have any more.
func (m *member) loseLocked() {
	m.id, m.generation = "", -1
	m.joined, m.lost, m.rejoin = false, true, true
}

// checkPoll leaves the group when Poll was not called for too long.
func (m *member) checkPoll() {
	m.mu.Lock()
	late := m.joined && !m.polling && time.Since(m.polledAt) >= m.opts.MaxPollInterval
	id := m.id
	if late {
		m.loseLocked()
	}
	m.mu.Unlock()
	if late {
		m.c.b.logger.Warn("consumer was not polled for MaxPollInterval and leaves its group",
			zap.String("group", m.c.opts.Group), zap.String("member", id), zap.Duration("interval", m.opts.MaxPollInterval))
		_ = m.c.b.groups.Leave(m.c.opts.Group, []group.LeaveMember{{MemberID: id, InstanceID: m.opts.InstanceID}})
	}
}

// checkTopics asks for a rebalance when topics have come, gone or grown.
func (m *member) checkTopics() {
	topics := m.c.subscription()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.joined || m.rejoin {
		return
	}
	changed := !slices.Equal(topics, m.subscribed)
	if m.leader {
		for name, n := range m.counts {
			_, now, _ := m.c.b.catalogue.TopicID(name)
			changed = changed || now != n
		}
	}
	if changed {
		m.rejoin = true
		m.c.ready.Wake()
	}
}

// enter and leave enclose a call of Poll.
func (m *member) enter() {
	m.c.settle()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polling = true
}

func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polling = false
	m.polledAt = time.Now()
}

// step does, inside Poll, what has to be done for the group: it gives up what was lost,
// adopts a new assignment, begins a round. It does not wait for the round.
func (m *member) step(ctx context.Context) error {
	for {
		m.mu.Lock()
		var act func(context.Context)
		switch r := m.round; {
		case m.lost:
			act = m.giveUp
		case m.fatal != nil:
			err := m.fatal
			m.mu.Unlock()
			return err
		case r != nil && r.isDone():
			if r.err != nil {
				m.round, m.fatal = nil, r.err
				break
			}
			act = func(ctx context.Context) { m.adopt(ctx, r) }
		case r == nil && m.rejoin:
			act = m.begin
		default:
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		if act != nil {
			act(ctx)
		}
	}
}

func (r *round) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// giveUp ends the reading of partitions that the group has given to others already.
func (m *member) giveUp(ctx context.Context) {
	m.mu.Lock()
	lost := m.owned
	m.owned, m.lost = nil, false
	m.mu.Unlock()
	m.c.release(lost)
	if len(lost) > 0 && m.opts.OnLost != nil {
		m.opts.OnLost(ctx, m.c, lost)
	}
}

// revoke gives partitions up in good order: what is done is committed first.
func (m *member) revoke(ctx context.Context, tps []TopicPartition) {
	if len(tps) == 0 {
		return
	}
	if m.opts.OnRevoked != nil {
		m.opts.OnRevoked(ctx, m.c, tps)
	}
	if !m.opts.ManualCommit {
		if err := m.c.commitPositions(ctx, tps); err != nil {
			m.c.b.logger.Warn("auto-commit before revocation failed: records will be delivered again",
				zap.String("group", m.c.opts.Group), zap.Error(err))
		}
	}
	m.c.release(tps)
	m.mu.Lock()
	m.owned = without(m.owned, tps)
	m.mu.Unlock()
}

// adopt takes the assignment of a finished round.
func (m *member) adopt(ctx context.Context, r *round) {
	m.mu.Lock()
	owned := m.owned
	m.mu.Unlock()
	revoked, added := without(owned, r.assigned), without(r.assigned, owned)
	m.revoke(ctx, revoked)
	refused := m.c.acquire(added)
	m.mu.Lock()
	m.round = nil
	m.owned = without(r.assigned, refused)
	// What was revoked can go to others only now (KIP-429).
	m.rejoin = m.rejoin || m.cooperative && len(revoked) > 0
	m.mu.Unlock()
	m.waiter.Wake() // the keeper looks at what happened during the round
	if m.opts.OnAssigned != nil {
		m.opts.OnAssigned(ctx, m.c, without(added, refused))
	}
}

// begin starts a round. Eager members have given everything up before it.
func (m *member) begin(ctx context.Context) {
	m.mu.Lock()
	owned := m.owned
	m.mu.Unlock()
	if !m.cooperative {
		m.revoke(ctx, owned)
	}
	topics := m.c.subscription()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return
	}
	r := &round{done: make(chan struct{})}
	m.round, m.rejoin, m.subscribed = r, false, topics
	owned = slices.Clone(m.owned)
	m.c.wg.Go(func() { m.run(r, topics, owned) })
}

// end leaves the group, inside Close, after what is done was committed. A static member
// stays: it may come back.
func (m *member) end() {
	m.cancel()
	m.mu.Lock()
	joined, id, owned := m.joined, m.id, m.owned
	m.mu.Unlock()
	if joined {
		m.revoke(context.Background(), owned)
		if m.opts.InstanceID == "" {
			_ = m.c.b.groups.Leave(m.c.opts.Group, []group.LeaveMember{{MemberID: id}})
		}
	}
	m.c.b.groups.Unwatch(m.c.opts.Group, m.waiter)
	m.c.b.catalogue.Unwatch(m.waiter)
}

// without returns the elements of a that are not in b.
func without(a, b []TopicPartition) []TopicPartition {
	var rest []TopicPartition
	for _, tp := range a {
		if !slices.Contains(b, tp) {
			rest = append(rest, tp)
		}
	}
	return rest
}

// flatten returns the partitions of an assignment, in order.
func flatten(a map[string][]int32) []TopicPartition {
	var tps []TopicPartition
	for _, name := range slices.Sorted(maps.Keys(a)) {
		for _, p := range slices.Sorted(slices.Values(a[name])) {
			tps = append(tps, TopicPartition{Topic: name, Partition: p})
		}
	}
	return tps
}

func byTopic(tps []TopicPartition) map[string][]int32 {
	a := make(map[string][]int32)
	for _, tp := range tps {
		a[tp.Topic] = append(a[tp.Topic], tp.Partition)
	}
	return a
}

// newMemberID returns an id that no member ever had.
func newMemberID(clientID string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	if clientID == "" {
		clientID = "samsa"
	}
	return fmt.Sprintf("%s-%s", clientID, hex.EncodeToString(b[:]))
}
