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
	"github.com/samsa-go/samsa/topic"
)

// member is a consumer's part in its group.
//
// Three goroutines have to do with it. Poll's caller adopts assignments and runs callbacks:
// step. The keeper gives signs of life, notices what happens to the group, and commits. A
// round, one at a time, joins the group and fetches the assignment, which may take long.
// Close waits for the step that is under way, and then does the last one itself.
type member struct {
	c           *Consumer
	opts        MemberOptions
	cooperative bool
	wants       *subscription
	waiter      *partition.Waiter // wakes the keeper
	ctx         context.Context   // ends when the consumer is closed
	cancel      context.CancelFunc
	committing  chan struct{} // capacity 1: held by who commits, so that commits do not pass each other

	mu         sync.Mutex // guards what follows; not held while calling out
	id         string     // as the group knows the member, "" when it does not
	generation int32      // -1 when not in one
	joined     bool       // id and generation are good, as far as is known
	rejoin     bool       // the next step begins a round
	lost       bool       // the next step gives up all partitions
	err        error      // for Poll; it stays if it is one for ever
	round      *round     // under way, or done and not yet adopted
	owned      []TopicPartition
	last       []TopicPartition // of the last assignment, even if given up since
	lastIn     int32            // the generation of last; -1 without
	leader     bool
	shapes     map[string]shape // of the topics that the leader has assigned
	compared   bool             // with the catalogue as it is up to changes
	changes    topic.Changes
	subscribed []string      // as told at the last join, sorted
	acting     chan struct{} // closed when the step under way is done; nil without one
	caller     uint64        // the goroutine of that step, on which callbacks run
	ended      bool          // Close has begun: no more steps
	closed     bool          // nothing can be committed any more

	polling  bool
	polledAt time.Time
	returns  uint64 // Consumer.returns, as the keeper has seen it last
	failures int    // auto-commits that have failed in a row
}

func newMember(c *Consumer) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{
		c: c, opts: c.opts.Member, cooperative: true, waiter: partition.NewWaiter(),
		wants: newSubscription(c.b.catalogue, c.opts),
		ctx:   ctx, cancel: cancel, committing: make(chan struct{}, 1),
		generation: -1, lastIn: -1, rejoin: true, polledAt: time.Now(),
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
	joined, id, generation := m.joined && !m.round.running(), m.id, m.generation
	m.mu.Unlock()
	if joined {
		m.heard(generation, m.c.b.groups.Heartbeat(m.c.opts.Group, id, m.opts.InstanceID, generation))
	}
}

// heard takes what the group says to a member of that generation. What happens to a
// member during a round, the round gets to know.
func (m *member) heard(generation int32, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil || m.generation != generation || !m.joined || m.round.running() {
		return
	}
	switch {
	case errors.Is(err, ErrRebalanceInProgress):
		m.rejoin = true
	case errors.Is(err, ErrFencedInstance):
		m.err = err
		m.loseLocked()
	case errors.Is(err, ErrUnknownMember), errors.Is(err, ErrIllegalGeneration):
		m.loseLocked()
	}
	m.c.ready.Wake()
}

// loseLocked is for a member that the group does not have any more. Its round, if there
// is one, ends without effect: only a Poll begins another one.
func (m *member) loseLocked() {
	m.c.ready.Wake()
	if m.round != nil {
		m.round.cancel()
		m.round = nil
	}
	m.id, m.generation = "", -1
	m.joined, m.lost, m.rejoin = false, true, true
}

// checkPoll leaves the group when Poll was not called for too long, and no loop over Records has
// come back for more.
func (m *member) checkPoll() {
	m.c.mu.Lock()
	returns := m.c.returns
	m.c.mu.Unlock()
	m.mu.Lock()
	if returns != m.returns {
		m.returns, m.polledAt = returns, time.Now()
	}
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

// checkTopics asks for a rebalance when topics have come, gone or grown. After a round
// adopt has it called again.
func (m *member) checkTopics() {
	topics := m.wants.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	able := m.joined && !m.rejoin && m.round == nil
	if able && !slices.Equal(topics, m.subscribed) || m.reshapedLocked(able && m.leader) {
		m.rejoin = true
		m.c.ready.Wake()
	}
}

// reshapedLocked reports whether a topic that the leader has assigned is not what it was. It
// compares all of them once, and then those that change; with leading false it begins anew.
func (m *member) reshapedLocked(leading bool) bool {
	changed := false
	switch {
	case !leading:
		m.compared, m.changes = false, topic.Changes{}
	case !m.compared:
		m.compared, m.changes = true, m.c.b.catalogue.Changes()
		for name, then := range m.shapes {
			changed = changed || m.shape(name) != then
		}
	default:
		for t, _ := m.changes.Next(); t != nil; t, _ = m.changes.Next() {
			then, ok := m.shapes[t.Name()]
			changed = changed || ok && m.shape(t.Name()) != then
		}
	}
	return changed
}

// forget asks for a rebalance because an owned topic was deleted: if there is a new one of
// that name, it is to be read.
func (m *member) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejoin = true
	m.c.ready.Wake()
}

// enter and leave enclose a call of Poll.
func (m *member) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.acting != nil && m.caller == goroutine() {
		return fmt.Errorf("%w: a callback", ErrInCallback)
	}
	m.polling = true
	return nil
}

func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polling = false
	m.polledAt = time.Now()
}

// end leaves the group, inside Close, after what is done was committed. A static member
// stays: it may come back.
func (m *member) end() {
	leave := sync.OnceFunc(m.leaveGroup)
	defer leave()                                  // even if a callback panics
	defer time.AfterFunc(closeLimit, leave).Stop() // others get the partitions even if one never returns
	m.mu.Lock()
	m.ended = true
	acting := m.acting
	m.mu.Unlock()
	if acting != nil {
		<-acting
	}
	m.mu.Lock()
	lost, owned := m.lost, m.owned
	m.actLocked()
	m.mu.Unlock()
	// A round may be under way: until it is cancelled a commit can wait for it.
	ctx, cancel := context.WithTimeout(context.Background(), m.opts.SessionTimeout)
	defer cancel()
	m.act(ctx, func(ctx context.Context) {
		if lost {
			m.giveUp(ctx)
		} else {
			m.revoke(ctx, owned)
		}
	})
}

// callsOn reports whether a callback runs on that goroutine.
func (m *member) callsOn(goroutine uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return goroutine != 0 && m.acting != nil && m.caller == goroutine
}

// leaveGroup is the end of the membership.
func (m *member) leaveGroup() {
	m.cancel()
	m.mu.Lock()
	r := m.round
	m.mu.Unlock()
	if r != nil {
		<-r.done // it has joined, or never will
	}
	m.mu.Lock()
	id := m.id
	m.closed = true
	m.mu.Unlock()
	if id != "" && m.opts.InstanceID == "" {
		_ = m.c.b.groups.Leave(m.c.opts.Group, []group.LeaveMember{{MemberID: id}})
	}
	m.c.b.groups.Unwatch(m.c.opts.Group, m.waiter)
	m.c.b.catalogue.Unwatch(m.waiter)
}

// without returns the elements of a that are not in b.
func without(a, b []TopicPartition) []TopicPartition {
	var rest []TopicPartition
	not := setOf(b)
	for _, tp := range a {
		if !not[tp] {
			rest = append(rest, tp)
		}
	}
	return rest
}

func setOf(tps []TopicPartition) map[TopicPartition]bool {
	set := make(map[TopicPartition]bool, len(tps))
	for _, tp := range tps {
		set[tp] = true
	}
	return set
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
