package members

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Records is what a coordinator has to do with the records of groups: see share.Coordinator.
type Records interface {
	Groups() []string
	Inside(name string) []share.Member
	Initialize(ctx context.Context, k share.Key) error
	DeleteGroup(ctx context.Context, name string) error
}

// Parts is what a Coordinator stands on.
type Parts struct {
	Store     store.Store
	Committer *writer.Committer
	Topics    group.Topics
	Names     *group.Names
	Configs   *config.Registry
	Records   Records
	// Kept is what says of which groups there are members: the Kept of share.Options.
	Kept   *Kept
	Logger *zap.Logger
}

// Kept is the names of groups that a Coordinator has. The zero value has none.
type Kept struct{ names sync.Map }

// Has reports whether there is a group of that name. It may be called with any lock.
func (k *Kept) Has(name string) bool {
	_, ok := k.names.Load(name)
	return ok
}

// Coordinator drives the memberships of share groups: it brings time, concurrency and the store to them. It keeps the
// groups of kind group.Share, those too that only have records. Its methods may be called by anybody at any time.
type Coordinator struct {
	Parts
	wg sync.WaitGroup // timers that have fired

	mu      sync.Mutex // guards what follows; before the lock of Names, never held while waiting
	groups  map[string]*entry
	gone    map[int]func(name, member string, left bool)
	watches int
	closed  bool
}

// entry is one group with what drives it.
type entry struct {
	group   *Group
	begun   map[Partition]struct{} // where the group has begun
	timer   *time.Timer
	deleted chan struct{} // closed when a deletion that has begun is over; nil without one
	behind  atomic.Bool   // what was to be stored was not: it is tried again with the next heartbeat
}

// Open reads the groups that the store holds, which nobody is in. One that is damaged begins anew, and the logger is told.
// Close ends the coordinator.
func Open(p Parts) (*Coordinator, error) {
	c := &Coordinator{Parts: p, groups: make(map[string]*entry), gone: make(map[int]func(string, string, bool))}
	if err := c.load(); err != nil {
		return nil, err
	}
	p.Names.Keep(keeper{c}, group.Share)
	return c, nil
}

func (c *Coordinator) load() error {
	err := c.Store.Scan(store.MembersRange(), func(e store.Entry) (bool, error) {
		name, err := store.ParseMembersKey(e.Key)
		if store.Lost(err) {
			c.Logger.Warn("the key of a share group is damaged", zap.Error(err))
			return true, nil
		}
		var s Snapshot
		value, err := e.AppendValue(nil)
		if err == nil {
			s, err = DecodeSnapshot(value)
		}
		if err != nil && !store.Lost(err) {
			return false, err
		}
		if err != nil {
			c.Logger.Warn("what is stored of a share group is damaged, its epoch begins anew", zap.String("group", name), zap.Error(err))
		}
		if err := c.Names.Claim(name, group.Share); err != nil {
			c.Logger.Warn("a share group has the name of another group", zap.Error(err))
			return true, nil
		}
		c.Kept.names.Store(name, nil)
		c.groups[name] = newEntry(Restore(name, s))
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("share groups: %w", err)
	}
	return nil
}

func newEntry(g *Group) *entry { return &entry{group: g, begun: make(map[Partition]struct{})} }

// Close ends the coordinator. When it returns nothing of it runs.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	for _, en := range c.groups {
		if en.timer != nil {
			en.timer.Stop()
		}
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// WatchGone has gone called for each member that is no more: after it has left, or was silent for too long. It must not
// block. The function that it returns undoes that; gone may be in a call meanwhile.
func (c *Coordinator) WatchGone(gone func(name, member string, left bool)) (unwatch func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches++
	n := c.watches
	c.gone[n] = gone
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.gone, n)
	}
}

// Heartbeat is what a member says, and what it is told: see Group.Heartbeat. A group that does not exist is made by who
// joins it, and is ErrUnknownGroup else. One of another kind is ErrGroupKind. The group has begun in the partitions that
// the member is told. The interval is the time to the next heartbeat, which comes sooner than usual when an assignment is due
// sooner. The partitions of the answer are not to be changed.
func (c *Coordinator) Heartbeat(ctx context.Context, name string, h Heartbeat) (a Answer, interval time.Duration, err error) {
	if err := group.CheckName(name); err != nil {
		return Answer{}, 0, err
	}
	if err := h.check(); err != nil {
		return Answer{}, 0, fmt.Errorf("group %s: %w", name, err)
	}
	values := c.Configs.Values(name)
	en, err := c.enter(ctx, name, h.Epoch == 0) // with the lock
	if err != nil {
		return Answer{}, 0, err
	}
	now := time.Now()
	a, effects, err := en.group.Heartbeat(now, rulesOf(values), c.topic, h)
	if err != nil {
		c.dropUnborn(name, en)
		c.mu.Unlock()
		return Answer{}, 0, err
	}
	stored := c.carryOut(name, en, effects)
	begin := en.toBegin()
	told := c.tellGone(name, effects.Gone, true)
	c.schedule(name, en, now)
	c.mu.Unlock()
	told()
	if err := <-stored; err != nil {
		return Answer{}, 0, fmt.Errorf("group %s: %w", name, err)
	}
	c.begin(ctx, name, en, begin)
	if interval = values.ShareHeartbeat(); a.Due > 0 {
		interval = min(interval, a.Due)
	}
	return a, interval, nil
}

func rulesOf(v config.Values) Rules {
	return Rules{Session: v.ShareSession(), Assignment: v.ShareAssignmentInterval(), MaxMembers: v.Broker().MaxSize("share")}
}

// topic is Topics.
func (c *Coordinator) topic(name string) (id [16]byte, partitions int32, ok bool) {
	id, partitions, err := c.Topics.TopicID(name)
	return id, partitions, err == nil
}

// enter returns the group of that name, with c.mu held if there is no error; create makes one if there is none.
func (c *Coordinator) enter(ctx context.Context, name string, create bool) (*entry, error) {
	for {
		if create {
			if err := c.claim(name); err != nil {
				return nil, err
			}
		}
		c.mu.Lock()
		kind, taken := c.Names.Of(name)
		ours := taken && kind == group.Share
		en := c.groups[name]
		switch {
		case c.closed:
			c.mu.Unlock()
			return nil, fmt.Errorf("group %s: %w", name, log.ErrClosed)
		case en != nil && en.deleted != nil:
			deleted := en.deleted
			c.mu.Unlock()
			select { // the next one of that name is another group
			case <-deleted:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case ours && en == nil && (create || slices.Contains(c.Records.Groups(), name)):
			en = newEntry(New(name))
			c.Kept.names.Store(name, nil)
			c.groups[name] = en
			return en, nil
		case ours && en != nil:
			return en, nil
		}
		c.mu.Unlock()
		switch {
		case create: // the name was given away meanwhile
		case taken && !ours:
			return nil, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
		default:
			return nil, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
		}
	}
}

// claim makes the name that of a share group, which is kept from now on.
func (c *Coordinator) claim(name string) error {
	_, had := c.Kept.names.LoadOrStore(name, nil)
	err := c.Names.Claim(name, group.Share)
	if err != nil && !had {
		c.Kept.names.Delete(name)
	}
	return err
}

// dropUnborn forgets a group that has only been asked for. The caller holds c.mu.
func (c *Coordinator) dropUnborn(name string, en *entry) {
	if en.group.epoch == 0 && c.groups[name] == en {
		delete(c.groups, name)
		c.Kept.names.Delete(name)
	}
}

// carryOut has stored what is to be, in the order of the calls; the channel tells when. The caller holds c.mu.
func (c *Coordinator) carryOut(name string, en *entry, e Effects) <-chan error {
	stored := make(chan error, 1)
	if e.Assigned {
		c.Logger.Debug("share group assigned", zap.String("group", name), zap.Int32("epoch", en.group.assigned), zap.Int("members", len(en.group.members)))
	}
	if en.behind.Swap(false) && e.Persist == nil {
		s := en.group.Snapshot()
		e.Persist = &s
	}
	if e.Persist == nil {
		stored <- nil
		return stored
	}
	tx := &writer.Tx{Essential: true, Done: func(err error) {
		if err != nil {
			en.behind.Store(true)
		}
		stored <- err
	}}
	tx.Writes.Set(store.MembersKey(name), e.Persist.Encode())
	c.Committer.Submit(tx)
	return stored
}

// tellGone returns what tells of members that are gone, for after the lock, which the caller holds.
func (c *Coordinator) tellGone(name string, members []string, left bool) func() {
	if len(members) == 0 {
		return func() {}
	}
	gone := slices.Collect(maps.Values(c.gone))
	return func() {
		for _, id := range members {
			for _, tell := range gone {
				tell(name, id, left)
			}
		}
	}
}

// toBegin returns the assigned partitions in which the group has not begun. The caller holds c.mu.
func (en *entry) toBegin() []Partition {
	var begin []Partition
	for _, p := range en.group.Assigned() {
		if _, ok := en.begun[p]; !ok {
			begin = append(begin, p)
		}
	}
	return begin
}

// begin has a group begin in partitions. Where it cannot, it does with the next heartbeat, or who fetches hears why.
func (c *Coordinator) begin(ctx context.Context, name string, en *entry, partitions []Partition) {
	for _, p := range partitions {
		err := c.Records.Initialize(ctx, share.Key{Group: name, TopicPartition: log.TopicPartition{Topic: p.Topic, Partition: p.Index}})
		if err != nil {
			if !errors.Is(err, log.ErrUnknownTopic) && !errors.Is(err, context.Canceled) {
				c.Logger.Warn("a share group cannot begin in a partition", zap.String("group", name), zap.Error(err))
			}
			continue
		}
		c.mu.Lock()
		en.begun[p] = struct{}{}
		c.mu.Unlock()
	}
}

// schedule sets the timer for the end of the first session. One that fires too early does no harm. The caller holds c.mu.
func (c *Coordinator) schedule(name string, en *entry, now time.Time) {
	next, ok := en.group.NextDeadline()
	switch {
	case c.closed:
	case !ok && en.timer != nil:
		en.timer.Stop()
	case !ok:
	case en.timer == nil:
		en.timer = time.AfterFunc(next.Sub(now), func() { c.expire(name, en) })
	default:
		en.timer.Reset(next.Sub(now))
	}
}

// expire is what the timer calls.
func (c *Coordinator) expire(name string, en *entry) {
	c.mu.Lock()
	if c.closed || c.groups[name] != en {
		c.mu.Unlock()
		return
	}
	c.wg.Add(1)
	defer c.wg.Done()
	now := time.Now()
	effects := en.group.Expire(now)
	c.carryOut(name, en, effects) // nobody waits
	told := c.tellGone(name, effects.Gone, false)
	c.schedule(name, en, now)
	c.mu.Unlock()
	for _, id := range effects.Gone {
		c.Logger.Info("member of a share group was silent for too long", zap.String("group", name), zap.String("member", id))
	}
	told()
}
