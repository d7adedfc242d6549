package group

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

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Topics is what a coordinator has to know of topics.
type Topics interface {
	// TopicID returns the identity of the topic of that name and its number of
	// partitions; ErrUnknownTopic when there is none, ErrCorruptValue when it cannot be used.
	TopicID(name string) (id [16]byte, partitions int32, err error)
	// TopicName returns the name of the topic of that identity; false when there is none.
	TopicName(id [16]byte) (name string, ok bool)
	// TopicNames returns the names of all topics, in order.
	TopicNames() []string
	// Version returns a number that rises whenever a topic is created, changed or deleted. What is asked for afterwards is no older.
	Version() uint64
}

// Coordinator drives the groups of a broker: it brings time, concurrency and the store to
// the state machines. Members in this process and, through a wire, from elsewhere are the
// same to it.
//
// What a member is told is in the store before it is told; what it committed is in the
// store before Commit returns. All methods may be called by anybody at any time.
type Coordinator struct {
	st        store.Store
	committer *writer.Committer
	topics    Topics
	opts      Options
	wg        sync.WaitGroup
	stop      chan struct{} // closed when Close begins
	damaged   int           // values that were, at Open
	changing  turns.Turn    // held while limits are being changed
	readers   readers
	names     Names
	configs   *config.Registry
	static    config.Broker // of the options, as opts.Rules are

	rebalances atomic.Int64 // new generations since Open

	mu     sync.Mutex // guards what follows
	groups map[string]*entry
	rules  Rules // of new groups; each group has its own
	// changed is the limits in rules that are not those of the options, as broker configs.
	changed map[string]string
	closed  bool
}

// Options of a Coordinator.
type Options struct {
	Rules Rules // but for those that were changed by ChangeLimits
	// OffsetsRetention is how long the offsets of a group stay once it is empty; 0 means
	// 7 days (offsets.retention.minutes).
	OffsetsRetention time.Duration
	// ReadOnly leaves offsets as they are, however old they are: nothing may be written.
	ReadOnly bool
	// Configs are those of groups, whose broker configs ChangeLimits changes; nil stands for those of the store, with
	// Kafka's defaults.
	Configs *config.Registry
	// Logger gets failures that nobody waits for, and what happens to groups at info; nil is silent.
	Logger *zap.Logger
}

const (
	defaultOffsetsRetention = 7 * 24 * time.Hour
	expiryInterval          = 10 * time.Minute // how often offsets are looked at for age
)

// Open reads the groups and committed offsets that st holds. A group of which something is
// damaged stays as it is and cannot be used, but for Delete; of a committed offset that is damaged
// the same is true until another is committed. The logger is told. Close ends the coordinator; the
// committer and the store stay open.
func Open(st store.Store, committer *writer.Committer, topics Topics, opts Options) (*Coordinator, error) {
	if opts.OffsetsRetention == 0 {
		opts.OffsetsRetention = defaultOffsetsRetention
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	c := &Coordinator{
		st: st, committer: committer, topics: topics, opts: opts, rules: opts.Rules, configs: opts.Configs,
		stop: make(chan struct{}), changing: turns.New(), groups: make(map[string]*entry),
	}
	c.names.Keep(own{c}, Classic, Consumer)
	if c.configs == nil {
		var err error
		if c.configs, err = config.Open(st, committer, config.Broker{}, opts.Logger); err != nil {
			return nil, err
		}
	}
	c.static = c.configs.Broker()
	if err := c.loadLimits(); err != nil {
		return nil, err
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	if !opts.ReadOnly {
		c.wg.Go(c.expireOffsets)
	}
	return c, nil
}

// Names returns the names of all groups of the broker, those of other coordinators among them, once these have
// been opened.
func (c *Coordinator) Names() *Names { return &c.names }

// Rules returns the limits on groups.
func (c *Coordinator) Rules() Rules {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rules
}

// setRules puts the limits that were changed in force.
func (c *Coordinator) setRules(rules Rules, changed map[string]string) {
	c.mu.Lock()
	c.rules, c.changed = rules, changed
	entries := slices.Collect(maps.Values(c.groups))
	c.mu.Unlock()
	for _, en := range entries {
		en.lock()
		if en.group != nil {
			en.group.SetRules(rules)
		}
		en.mu.Unlock()
	}
}

// Close answers everybody who waits with ErrClosed and ends what runs.
func (c *Coordinator) Close() {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	entries := slices.Collect(maps.Values(c.groups))
	c.mu.Unlock()
	if first {
		close(c.stop)
	}
	for _, en := range entries {
		en.close()
	}
	c.wg.Wait()
}

// entry returns the group of that name, or what there is of committed offsets of another keeper's; create makes one if
// there is none.
func (c *Coordinator) entry(name string, create bool) (*entry, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	for {
		keeper, kind := c.names.keeper(name, own{c})
		if _, ok := keeper.(OffsetKeeper); keeper != nil && !ok {
			return nil, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
		}
		create = create || keeper != nil // it decides
		if create && keeper == nil {
			if err := c.claim(name); err != nil {
				return nil, err
			}
		}
		if en, ok, err := c.findOrMake(name, create); ok {
			return en, err
		}
	}
}

// owns reports whether the name is that of a group of this coordinator.
func (c *Coordinator) owns(name string) bool {
	kind, ok := c.names.Of(name)
	return ok && (kind == Classic || kind == Consumer)
}

// claim makes sure that the name is that of a group of this coordinator.
func (c *Coordinator) claim(name string) error {
	if c.owns(name) {
		return nil
	}
	return c.names.Claim(name, Classic)
}

// findOrMake is entry for a name that was claimed; ok is false if that has changed.
func (c *Coordinator) findOrMake(name string, create bool) (en *entry, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch en := c.groups[name]; {
	case c.closed:
		return nil, true, fmt.Errorf("group %s: %w", name, log.ErrClosed)
	case en != nil:
		return en, true, en.damaged
	case !create:
		return nil, true, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	if _, named := c.names.Of(name); !named {
		return nil, false, nil
	}
	en = c.newEntry(name, NewGroup(name, c.rules))
	c.groups[name] = en
	return en, true, nil
}

// ownEntry is entry for what members ask: groups of other keepers are ErrGroupKind.
func (c *Coordinator) ownEntry(name string, create bool) (*entry, error) {
	if create {
		if err := CheckName(name); err != nil {
			return nil, err
		}
		if err := c.claim(name); err != nil {
			return nil, err
		}
	} else if keeper, kind := c.names.keeper(name, own{c}); keeper != nil {
		return nil, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
	}
	en, err := c.entry(name, create)
	if err == nil && !create && !c.owns(name) { // it is what is left of another keeper's
		return nil, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	return en, err
}

// entryOf is ownEntry for what a member asks, which a group that is not there does not know.
func (c *Coordinator) entryOf(name string) (*entry, error) {
	en, err := c.ownEntry(name, false)
	if errors.Is(err, log.ErrUnknownGroup) || errors.Is(err, log.ErrGroupKind) {
		err = fmt.Errorf("group %s: %w", name, log.ErrUnknownMember)
	}
	return en, err
}

// CheckName refuses names that a group cannot have: none, and those too long for a key.
func CheckName(name string) error {
	if name == "" || len(name) > store.MaxGroupName {
		return fmt.Errorf("%w: a name has 1 to %d bytes, this one has %d", log.ErrInvalidGroup, store.MaxGroupName, len(name))
	}
	return nil
}

// Join takes part in the next generation of a group, which it waits for. Ticket is the
// coordinator's to choose. When ctx ends the call does; the member stays until its
// session ends.
func (c *Coordinator) Join(ctx context.Context, name string, req JoinRequest) JoinResponse {
	if err := c.meetJoin(ctx, name, req); err != nil {
		return JoinResponse{Err: err, MemberID: req.MemberID}
	}
	for {
		en, err := c.ownEntry(name, req.MemberID == "") // who has an id had it from another group
		if errors.Is(err, log.ErrUnknownGroup) {
			err = fmt.Errorf("group %s: %w", name, log.ErrUnknownMember)
		}
		if err != nil {
			return JoinResponse{Err: err, MemberID: req.MemberID}
		}
		yielded := false
		answer, err := await(ctx, en, func(now time.Time, t Ticket, w waiting) Effects {
			en.joins[t] = w.join
			if yielded = !c.owns(name); yielded {
				return Effects{Joins: []JoinResponse{{Ticket: t}}}
			}
			req.Ticket = t
			return en.join(now, req)
		})
		if err != nil {
			return JoinResponse{Err: err, MemberID: req.MemberID}
		}
		if yielded {
			continue
		}
		if !errors.Is(answer.join.Err, log.ErrUnknownGroup) {
			return answer.join
		}
		select { // it is being deleted: the next one of that name is another group
		case <-en.buried:
		case <-ctx.Done():
			return JoinResponse{Err: ctx.Err(), MemberID: req.MemberID}
		}
	}
}

// Sync brings or fetches the assignments of the generation that Join has answered.
func (c *Coordinator) Sync(ctx context.Context, name string, req SyncRequest) SyncResponse {
	en, err := c.entryOf(name)
	if err != nil {
		return SyncResponse{Err: err}
	}
	answer, err := await(ctx, en, func(now time.Time, t Ticket, w waiting) Effects {
		en.syncs[t] = w.sync
		req.Ticket = t
		return en.machine().Sync(now, req)
	})
	if err != nil {
		return SyncResponse{Err: err}
	}
	return answer.sync
}

// Heartbeat keeps a member's session alive. ErrRebalanceInProgress asks it to join again.
func (c *Coordinator) Heartbeat(name, memberID, instanceID string, generation int32) error {
	en, err := c.entryOf(name)
	if err != nil {
		return err
	}
	en.lock()
	defer en.mu.Unlock()
	now := time.Now()
	err = en.machine().Heartbeat(now, memberID, instanceID, generation)
	if err != nil && en.modern != nil {
		en.schedule(now) // it was asked to join until then
	}
	return err
}

// Leave takes members out of a group, and returns an error or nil for each.
func (c *Coordinator) Leave(name string, members []LeaveMember) []error {
	en, err := c.entryOf(name)
	if err != nil {
		return slices.Repeat([]error{err}, len(members))
	}
	en.lock()
	defer en.mu.Unlock()
	now := time.Now()
	errs, effects := en.machine().Leave(now, members)
	en.carryOut(effects)
	en.schedule(now)
	return errs
}

// Watch has w woken whenever the members of the group may have to act: a rebalance begins,
// the group changes otherwise, or offsets are Pending no more. In-process members need not wait for their next heartbeat.
func (c *Coordinator) Watch(name string, w *partition.Waiter) error {
	en, err := c.ownEntry(name, true)
	if err != nil {
		return err
	}
	en.lock()
	defer en.mu.Unlock()
	en.watchers[w] = struct{}{}
	en.pending.watch(w)
	return nil
}

// Unwatch undoes Watch.
func (c *Coordinator) Unwatch(name string, w *partition.Waiter) {
	if en, err := c.entry(name, false); err == nil {
		en.lock()
		defer en.mu.Unlock()
		delete(en.watchers, w)
		en.pending.unwatch(w)
	}
}
