package streams

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// Coordinator drives the streams groups of a broker: it brings time, concurrency, the store and the topics to the state
// machines. It is the keeper of their names; their committed offsets are with the coordinator of package group.
//
// What a member is told is in the store before it is told. All methods may be called by anybody at any time.
type Coordinator struct {
	st        store.Store
	committer *writer.Committer
	topics    *topic.Catalogue
	names     *group.Names
	opts      Options
	damaged   int // groups that were, at Open

	mu     sync.Mutex // guards what follows; taken after the lock of an entry, and none is taken after it
	groups map[string]*entry
	closed bool
}

// Options of a Coordinator.
type Options struct {
	// Config returns the configs of a group that are in force; nil means Kafka's defaults.
	Config func(group string) Config
	// TopicDefaults is what internal topics are made with, as far as the topology does not say otherwise.
	TopicDefaults topic.Config
	// Logger gets what is damaged, and what happens to groups at info; nil is silent.
	Logger *zap.Logger
}

// Parts is what a Coordinator stands on.
type Parts struct {
	Store     store.Store
	Committer *writer.Committer
	Topics    *topic.Catalogue
	Groups    *group.Coordinator
}

// Open reads the groups that the store holds. One that is damaged cannot be used, but for Delete; the logger is told.
// Close ends the coordinator; its parts stay open.
func Open(parts Parts, opts Options) (*Coordinator, error) {
	if opts.Config == nil {
		opts.Config = func(string) Config { return DefaultConfig() }
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	c := &Coordinator{
		st: parts.Store, committer: parts.Committer, topics: parts.Topics, names: parts.Groups.Names(), opts: opts,
		groups: make(map[string]*entry),
	}
	c.names.Keep(c, group.Streams)
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// Damaged returns how many groups were damaged when they were opened.
func (c *Coordinator) Damaged() int { return c.damaged }

// Close ends what runs, and refuses what comes.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, en := range c.entries() {
		en.lock()
		if !en.gone { // else who deletes it does
			close(en.buried)
		}
		en.gone = true
		en.stopLocked()
		en.mu.Unlock()
	}
}

// find returns the group of that name.
func (c *Coordinator) find(name string) (*entry, error) {
	if err := group.CheckName(name); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	en := c.groups[name]
	switch kind, ok := c.names.Of(name); {
	case c.closed:
		return nil, fmt.Errorf("group %s: %w", name, log.ErrClosed)
	case en != nil:
		return en, en.damaged
	case ok && kind != group.Streams:
		return nil, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
	}
	return nil, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
}

// findOrMake returns the group of that name, which it makes if there is none.
func (c *Coordinator) findOrMake(name string) (*entry, error) {
	for {
		en, err := c.find(name)
		if !errors.Is(err, log.ErrUnknownGroup) && !errors.Is(err, log.ErrGroupKind) {
			return en, err
		}
		if err := c.names.Claim(name, group.Streams); err != nil {
			return nil, err
		}
		c.mu.Lock()
		kind, ok := c.names.Of(name)
		if ok && kind == group.Streams && c.groups[name] == nil && !c.closed {
			c.groups[name] = c.newEntry(NewGroup(name))
		}
		c.mu.Unlock()
	}
}

// Heartbeat takes what a member says, and returns what it is told and the configs of the group: see Group.Heartbeat.
// Internal topics that the group lacks are made before it returns, and the next heartbeat finds them; what keeps one
// from that is in the status. When ctx ends the call does.
func (c *Coordinator) Heartbeat(ctx context.Context, name string, req Heartbeat) (Answer, Config, error) {
	config := c.opts.Config(name)
	for {
		en, err := c.find(name)
		if req.Epoch == joinEpoch {
			en, err = c.findOrMake(name)
		}
		if err != nil {
			return Answer{}, config, err
		}
		answer, out, err := en.heartbeat(req, Surroundings{Topic: c.topic, Config: config})
		if gone := (goneError{}); errors.As(err, &gone) {
			select {
			case <-gone.buried:
				continue
			case <-ctx.Done():
				return Answer{}, config, ctx.Err()
			}
		}
		if err != nil {
			c.forget(en)
			return Answer{}, config, err
		}
		if err := out.wait(ctx); err != nil {
			return Answer{}, config, fmt.Errorf("group %s: %w", name, err)
		}
		if len(answer.Create) > 0 {
			answer.Statuses = c.create(ctx, answer.Create, answer.Statuses, req.MayCreate)
		}
		return answer, config, nil
	}
}

// topic is the Surroundings' Topic.
func (c *Coordinator) topic(name string) (Topic, bool) {
	id, n, err := c.topics.TopicID(name)
	return Topic{ID: id, Partitions: n}, err == nil
}

// forget frees the name of a group that nobody has ever joined.
func (c *Coordinator) forget(en *entry) {
	en.lock()
	defer en.mu.Unlock()
	if !en.gone && !en.bornLocked() {
		c.remove(en, true)
	}
}

// remove takes a group away, and frees its name if it is not to become that of another kind. The caller holds en.mu.
func (c *Coordinator) remove(en *entry, free bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	en.gone = true
	en.stopLocked()
	close(en.buried)
	delete(c.groups, en.name)
	if free {
		c.names.Release(en.name, group.Streams)
	}
}

// CheckFetch says whether a member may ask for the committed offsets of a group: see Group.CheckFetch. Groups that are none
// of streams anybody may ask for.
func (c *Coordinator) CheckFetch(name, memberID string, epoch int32) error {
	en, err := c.find(name)
	if err != nil {
		return nil
	}
	en.lock()
	defer en.mu.Unlock()
	return en.group.CheckFetch(memberID, epoch)
}
