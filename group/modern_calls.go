package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// modernRules returns the rules of a group of the consumer protocol, as its configs are now.
func (c *Coordinator) modernRules(name string) ModernRules {
	classic := c.Rules()
	v := c.configs.Values(name)
	r := ModernRules{
		SessionTimeout: v.ConsumerSession(), HeartbeatInterval: v.ConsumerHeartbeat(), AssignmentInterval: v.ConsumerAssignmentInterval(),
		MaxMembers: v.Broker().MaxSize("consumer"), MaxClassic: classic.MaxMembers, Assignors: v.Broker().ConsumerAssignors(),
	}
	r.Upgrade, r.Downgrade = v.Broker().ConsumerMigration()
	return r
}

// HeartbeatModern is a heartbeat of a member of the consumer protocol (KIP-848): see Modern.Heartbeat. Who joins makes the group,
// or an upgrade of a classic one. What the answer says is in the store. Another's name is ErrGroupKind, and without a group, but for
// who joins, it is ErrUnknownGroup.
func (c *Coordinator) HeartbeatModern(ctx context.Context, name string, h MemberHeartbeat) MemberAnswer {
	refuse := func(err error) MemberAnswer { return MemberAnswer{Err: err, MemberID: h.MemberID} }
	rules := c.modernRules(name)
	if err := h.validate(rules); err != nil {
		return refuse(fmt.Errorf("group %s: %w", name, err)) // before it makes a group
	}
	for {
		en, err := c.ownEntry(name, h.Epoch == 0)
		if err != nil {
			return refuse(err)
		}
		answer, again, err := en.heartbeatModern(ctx, h, rules)
		switch {
		case err != nil:
			return refuse(err)
		case !again && !errors.Is(answer.Err, log.ErrUnknownGroup):
			return answer
		case !again && h.Epoch != 0:
			return answer
		case again:
			continue
		}
		select { // it is being deleted: the next one of that name is another group
		case <-en.buried:
		case <-ctx.Done():
			return refuse(ctx.Err())
		}
	}
}

// heartbeatModern passes a heartbeat on, and waits for the store. Again says that the name has another owner now.
func (en *entry) heartbeatModern(ctx context.Context, h MemberHeartbeat, rules ModernRules) (answer MemberAnswer, again bool, err error) {
	stored := make(chan error, 1)
	en.lock()
	if en.closed {
		en.mu.Unlock()
		return answer, false, fmt.Errorf("group %s: %w", en.name, log.ErrClosed)
	}
	if !en.c.owns(en.name) {
		en.mu.Unlock()
		return answer, true, nil
	}
	now := time.Now()
	answer, effects := en.stepModern(now, h, rules)
	en.carryOut(effects, func(err error) { stored <- err })
	if effects.Change != nil || h.Epoch == 0 {
		en.schedule(now) // a heartbeat that changes nothing only moves deadlines away
	}
	en.mu.Unlock()
	if answer.Err != nil {
		return answer, false, nil
	}
	select {
	case err = <-stored:
		if err != nil {
			answer = MemberAnswer{Err: err, MemberID: answer.MemberID}
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	return answer, false, err
}

// stepModern passes a heartbeat to the group, which becomes one of the consumer protocol if the heartbeat is the first of one.
func (en *entry) stepModern(now time.Time, h MemberHeartbeat, rules ModernRules) (MemberAnswer, Effects) {
	if en.modern != nil {
		en.modern.SetRules(rules)
		return en.modern.Heartbeat(now, h, en.c.topics)
	}
	refuse := func(err error) (MemberAnswer, Effects) {
		return MemberAnswer{Err: err, MemberID: h.MemberID}, Effects{}
	}
	switch {
	case h.Epoch != 0 && en.bornLocked():
		return refuse(fmt.Errorf("group %s: %w: it is a classic group", en.name, log.ErrGroupKind))
	case h.Epoch != 0:
		return refuse(fmt.Errorf("group %s: %w", en.name, log.ErrUnknownGroup))
	}
	modern, err := en.group.Upgrade(now, rules, en.c.topics)
	if err != nil {
		return refuse(err)
	}
	answer, effects := modern.Heartbeat(now, h, en.c.topics)
	if answer.Err != nil {
		return answer, Effects{}
	}
	old := en.group.Retire(now)
	effects.Joins, effects.Syncs = old.Joins, old.Syncs
	en.convert(nil, modern)
	return answer, effects
}

// CheckFetch says whether a member of a group may fetch offsets in an epoch, for who says that it is one: ErrUnknownMember and
// ErrStaleMemberEpoch say why not. Groups of the classic protocol do not know.
func (c *Coordinator) CheckFetch(name, memberID string, epoch int32) error {
	en, err := c.entry(name, false)
	if errors.Is(err, log.ErrUnknownGroup) {
		return nil
	}
	if err != nil {
		return err
	}
	en.lock()
	defer en.mu.Unlock()
	if k := en.foreign(); k != nil {
		return k.CheckFetch(name, memberID, epoch)
	}
	if en.modern == nil {
		return nil
	}
	return en.modern.CheckFetch(memberID, epoch)
}

// DescribeModern returns a group of the consumer protocol as it is now. One of another kind is ErrGroupKind.
func (c *Coordinator) DescribeModern(name string) (ModernDescription, error) {
	en, err := c.ownEntry(name, false)
	if err != nil {
		return ModernDescription{}, err
	}
	en.lock()
	defer en.mu.Unlock()
	switch {
	case en.modern == nil && en.bornLocked():
		return ModernDescription{}, fmt.Errorf("group %s: %w: it is a classic group", name, log.ErrGroupKind)
	case en.modern == nil:
		return ModernDescription{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	return en.modern.Describe(), nil
}

// TopicName returns the name of the topic of that identity; false when there is none.
func (c *Coordinator) TopicName(id [16]byte) (string, bool) { return c.topics.TopicName(id) }

// loadModern reads a group of the consumer protocol, without its members.
func (c *Coordinator) loadModern(name string, value []byte) error {
	g, err := RestoreModern(name, c.modernRules(name), value)
	if err != nil {
		return err
	}
	en := c.loaded(NewGroup(name, c.rules))
	en.group, en.modern = nil, g
	c.names.become(name, Consumer)
	return nil
}

// loadMember reads a member. If it cannot be, the group cannot be used: nobody knows what the member has.
func (c *Coordinator) loadMember(now time.Time) func(key, value []byte, err error) error {
	return func(key, value []byte, err error) error {
		name, id, bad := store.ParseMemberKey(key)
		if bad != nil {
			return bad
		}
		en := c.groups[name]
		switch {
		case err != nil:
		case en == nil || en.modern == nil:
			err = fmt.Errorf("%w: member %q of no consumer group", log.ErrCorruptValue, id)
		default:
			err = en.modern.RestoreMember(now, id, value)
		}
		if err != nil && en == nil {
			en = c.loaded(NewGroup(name, c.rules))
		}
		if err != nil && en.damaged == nil {
			en.damaged = fmt.Errorf("group %s: %w", name, err)
		}
		return err
	}
}

// reset forgets the members of a group that is ahead of the store: they join anew. What is stored of them goes with what is
// stored next.
func (en *entry) reset() {
	en.forget(en.modern.MemberIDs())
	next := NewModern(en.name, en.modern.rules)
	next.epoch, next.targetOf = en.modern.epoch+1, en.modern.epoch+1
	next.emptySince = time.Now()
	en.modern = next
}

// forget has what is stored of members go with what is stored next.
func (en *entry) forget(ids []string) {
	for _, id := range ids {
		if en.gone == nil {
			en.gone = make(map[string]struct{})
		}
		en.gone[id] = struct{}{}
	}
}

// unsaid is ids of members of which something was to be stored, or deleted, and was not.
type unsaid struct {
	mu  sync.Mutex // guards ids
	ids []string
}

func (u *unsaid) add(ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ids = append(u.ids, ids...)
}

func (u *unsaid) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := u.ids
	u.ids = nil
	return ids
}

// logProtocol is for the line of a rebalance.
func (en *entry) logProtocol() zap.Field {
	if en.modern != nil {
		return zap.String("protocol", en.modern.assignor().Name())
	}
	return zap.String("protocol", en.group.protocolName)
}
