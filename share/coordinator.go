package share

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Coordinator drives the record states of share groups: it brings time, concurrency and the store to the machines.
//
// A record is given to a member at once, and how often that was done is stored soon after. What becomes of a delivery
// has its place in the committer's order, which is where it is decided, so that no two decisions are concurrent, and
// all that come together are one write. What a call answers is in the store. All methods may be called by anybody at
// any time.
type Coordinator struct {
	st        store.Store
	committer *writer.Committer
	topics    *topic.Catalogue
	names     *group.Names
	opts      Options
	wg        sync.WaitGroup
	leases    atomic.Uint64
	ctx       context.Context // ends with Close
	stop      context.CancelFunc

	mu      sync.Mutex // guards what follows; never held while waiting, and taken before the locks of entries
	groups  map[string]*members
	entries map[Key]*entry
	lastID  uint64
	closed  bool
}

// members is a group: its states by partition, and who of this process is in it.
type members struct {
	entries  map[log.TopicPartition]*entry
	inside   map[string]Member
	settings *Settings // of those inside, nil without any
}

// Key names the states of a group in a partition.
type Key struct {
	Group string
	log.TopicPartition
}

// String returns the names for people.
func (k Key) String() string { return fmt.Sprintf("group %s: %s", k.Group, k.TopicPartition) }

// Parts is what a Coordinator stands on.
type Parts struct {
	Store     store.Store
	Committer *writer.Committer
	Topics    *topic.Catalogue
	Names     *group.Names
}

// Options of a Coordinator.
type Options struct {
	// Settings returns those of a group that has no queue of this process open; nil is the zero value for all. It is
	// asked again at each use, and must not block.
	Settings func(group string) Settings
	// Topic returns Settings.DeadLetter, which it may have to create, or why it cannot be that, unless it may be any; nil
	// takes what is there.
	Topic func(ctx context.Context, name string, any bool) (*topic.Topic, error)
	// Kept reports whether the group of that name has more than records. It must not block; nil says that no group has.
	Kept func(name string) bool
	// ReadOnly writes nothing: nobody gets a record.
	ReadOnly bool
	// Logger gets failures that nobody waits for; nil is silent.
	Logger *zap.Logger
}

// Open reads the states that the store holds. Where they are damaged the group cannot be used in that partition, until
// Alter or Delete; the logger is told. Close ends the coordinator; its parts stay open.
func Open(parts Parts, opts Options) (*Coordinator, error) {
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.Settings == nil {
		opts.Settings = func(string) Settings { return Settings{} }
	}
	if opts.Kept == nil {
		opts.Kept = func(string) bool { return false }
	}
	if opts.Topic == nil {
		opts.Topic = func(_ context.Context, name string, _ bool) (*topic.Topic, error) { return parts.Topics.Get(name) }
	}
	c := &Coordinator{
		st: parts.Store, committer: parts.Committer, topics: parts.Topics, names: parts.Names, opts: opts,
		groups: make(map[string]*members), entries: make(map[Key]*entry),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if err := c.load(); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// Close ends what runs, and refuses what comes. Who watches is woken. Locks end with it, as those of a process that dies;
// how often records were delivered until then is stored.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	all := slices.Collect(maps.Values(c.entries))
	c.mu.Unlock()
	c.stop()
	if len(all) > 0 && !c.opts.ReadOnly {
		for _, en := range all {
			en.tend()
		}
		_ = c.committer.Do(&writer.Tx{Essential: true}) // after it, all of that was tried
	}
	for _, en := range all {
		en.close()
	}
	c.wg.Wait()
}

// spawn runs fn in the background, unless the coordinator is closed.
func (c *Coordinator) spawn(fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(fn)
	return true
}

// settings returns those of a group as they are now.
func (c *Coordinator) settings(name string) Settings {
	c.mu.Lock()
	g := c.groups[name]
	var own *Settings
	if g != nil {
		own = g.settings
	}
	c.mu.Unlock()
	if own != nil {
		return *own
	}
	return c.opts.Settings(name).WithDefaults()
}

// DeadLetter returns the topic for dead letters of a group as it is now, "" for none.
func (c *Coordinator) DeadLetter(group string) string { return c.settings(group).DeadLetter }

// partition returns the partition of k, or why there is none. One that has ended is none: it wakes who waits before its
// topic is out of the catalogue, and nobody wakes them again.
func (c *Coordinator) partition(k Key) (*partition.Partition, error) {
	t, err := c.topics.Get(k.Topic)
	if err != nil {
		return nil, err
	}
	p, err := t.Partition(k.Partition)
	if err != nil {
		return nil, err
	}
	return p, p.Err()
}

// find returns the entry of k, nil if there are no states of it; create makes one then, which has to be begun.
func (c *Coordinator) find(k Key, create bool) (*entry, error) {
	p, err := c.partition(k)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", k.Group, err)
	}
	c.mu.Lock()
	en, closed := c.entries[k], c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("%s: %w", k, log.ErrClosed)
	case en != nil && en.part == p:
		return en, en.usable()
	case !create:
		return nil, nil
	}
	if err := c.claimAndLock(k.Group); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if en = c.entries[k]; en == nil || en.part != p {
		if en != nil { // of a topic that was deleted
			c.dropLocked(en)
		}
		en = c.addLocked(k, p)
	}
	return en, en.usable()
}

// claimAndLock has the name be that of a share group, for who makes the group before c.mu is unlocked.
func (c *Coordinator) claimAndLock(name string) error {
	if err := group.CheckName(name); err != nil {
		return err
	}
	for {
		if err := c.names.Claim(name, group.Share); err != nil {
			return err
		}
		c.mu.Lock()
		if kind, ok := c.names.Of(name); ok && kind == group.Share {
			return nil
		}
		c.mu.Unlock() // it was released meanwhile
	}
}

// addLocked makes an entry.
func (c *Coordinator) addLocked(k Key, p *partition.Partition) *entry {
	c.lastID++
	en := &entry{c: c, key: k, number: c.lastID, part: p, id: p.ID(), turn: turns.New(), lease: c.leases.Add(1)}
	c.entries[k] = en
	g := c.groupLocked(k.Group)
	g.entries[k.TopicPartition] = en
	return en
}

// groupLocked returns the group of that name, which it makes if there is none.
func (c *Coordinator) groupLocked(name string) *members {
	g := c.groups[name]
	if g == nil {
		g = &members{entries: make(map[log.TopicPartition]*entry), inside: make(map[string]Member)}
		c.groups[name] = g
	}
	return g
}

// forgetLocked takes an entry out, and the group if it was the last one.
func (c *Coordinator) forgetLocked(en *entry) {
	if c.entries[en.key] == en {
		c.dropLocked(en)
		c.releaseLocked(en.key.Group)
	}
}

// dropLocked takes an entry out, and ends it.
func (c *Coordinator) dropLocked(en *entry) {
	delete(c.entries, en.key)
	delete(c.groups[en.key.Group].entries, en.key.TopicPartition)
	en.close()
}

// releaseLocked forgets a group of which nothing is left.
func (c *Coordinator) releaseLocked(name string) {
	if g := c.groups[name]; g != nil && len(g.entries) == 0 && len(g.inside) == 0 {
		delete(c.groups, name)
		c.names.ReleaseUnless(name, group.Share, c.opts.Kept)
	}
}

// of returns the entries of a group, by topic and partition. Those of topics that are gone go.
func (c *Coordinator) of(name string) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[name]
	if g == nil {
		return nil
	}
	var all []*entry
	for _, en := range g.entries {
		if errors.Is(en.part.Err(), log.ErrUnknownTopic) {
			c.forgetLocked(en)
			continue
		}
		all = append(all, en)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.key.Topic, b.key.Topic), cmp.Compare(a.key.Partition, b.key.Partition))
	})
	return all
}

// load reads what is stored.
func (c *Coordinator) load() error {
	parts := make(map[store.PartitionID]*partition.Partition)
	for _, p := range c.topics.Partitions() {
		parts[p.ID()] = p
	}
	type stored struct {
		start   []byte
		chunks  map[int64][]byte
		damaged error
	}
	found := make(map[Key]*stored)
	err := c.st.Scan(store.ShareRange(), func(e store.Entry) (bool, error) {
		sk, err := store.ParseShareKey(e.Key)
		if err != nil {
			return false, err
		}
		p := parts[sk.PartitionID]
		if p == nil {
			return true, nil // of a topic that is deleted, or damaged
		}
		k := Key{Group: sk.Group, TopicPartition: p.TopicPartition()}
		if found[k] == nil {
			found[k] = &stored{chunks: make(map[int64][]byte)}
		}
		v, err := e.AppendValue(nil)
		switch {
		case errors.Is(err, log.ErrCorruptValue):
			found[k].damaged = err
		case err != nil:
			return false, err
		case sk.Chunk < 0:
			found[k].start = v
		default:
			found[k].chunks[sk.Chunk] = v
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("read share groups: %w", err)
	}
	for k, s := range found {
		if err := c.claimAndLock(k.Group); err != nil {
			s.damaged = fmt.Errorf("%w: %w", log.ErrCorruptValue, err)
			c.mu.Lock()
		}
		p, _ := c.partition(k)
		en := c.addLocked(k, p)
		if s.damaged == nil {
			en.begins, en.void, s.damaged = decodeVoid(s.start)
		}
		if s.damaged == nil && !en.void {
			en.states, s.damaged = Restore(s.start, s.chunks, p.HighWatermark())
		}
		if s.damaged != nil {
			en.damaged = fmt.Errorf("%s: %w", k, s.damaged)
			c.opts.Logger.Warn("what is stored of a share group in a partition is damaged, it can be used there when its start offset is set or it is deleted", zap.Error(en.damaged))
		}
		c.mu.Unlock()
	}
	return nil
}
