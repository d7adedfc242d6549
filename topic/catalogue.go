package topic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// The catalogue's keys, behind store.CatalogueKey.
const (
	topicKey      = "t" // + name: a topic
	doomedKey     = "d" // + number: a deleted topic whose data is still there
	nextNumberKey = "n" // the number of the next topic to be created
)

// Catalogue knows the topics of a store. All changes go through the committer and are
// in the store before anybody sees them. Its methods may be called by anybody at any time.
type Catalogue struct {
	st        store.Store
	committer *writer.Committer
	logger    *zap.Logger // is told what is created, altered and deleted

	change  turns.Turn             // held by whoever changes the catalogue
	next    int64                  // number of the next topic; guarded by change
	told    []func()               // what is logged when change is free: who logs may append to a topic, and create it; guarded by change
	coming  atomic.Pointer[change] // the next one
	version atomic.Uint64          // counts the changes

	mu       sync.RWMutex // guards what follows
	topics   map[string]*Topic
	damaged  map[string]damaged // topics that cannot be used, by name; none is in topics
	ids      map[ID]*Topic
	names    map[string]*Topic // by collisionKey
	listed   []*Topic          // by name, replaced as a whole; nil when topics has changed since
	watchers map[*partition.Waiter]struct{}

	comingData map[uint32]bool // numbers of topics that Receive works on
}

// Found is what Open has to tell about the state of what it found.
type Found struct {
	Damaged []error // small values that are damaged: each is an ErrCorruptValue
}

// Open reads the catalogue and opens the log of every partition. It returns what it found
// even if it then fails. A topic whose entry or log start offset is damaged cannot be used, until
// it is deleted by name. The committer must be idle until Open returns.
func Open(st store.Store, committer *writer.Committer, logger *zap.Logger) (*Catalogue, Found, error) {
	var found Found
	c := &Catalogue{
		st:        st,
		committer: committer,
		logger:    logger,
		change:    turns.New(),
		next:      1,
		topics:    make(map[string]*Topic),
		damaged:   make(map[string]damaged),
		ids:       make(map[ID]*Topic),
		names:     make(map[string]*Topic),
		watchers:  make(map[*partition.Waiter]struct{}),

		comingData: make(map[uint32]bool),
	}
	c.coming.Store(new(change))
	err := c.removeDead()
	if err == nil {
		err = c.readTopics(&found)
	}
	if err == nil {
		err = c.readNext(&found)
	}
	if err != nil {
		return nil, found, err
	}
	return c, found, nil
}

// readTopics reads all topics and opens their logs, in the order of their names.
func (c *Catalogue) readTopics(found *Found) error {
	entries, err := c.read(topicKey)
	if err != nil {
		return err
	}
	names := make(map[uint32]int)
	for _, e := range entries {
		if t, _, _ := e.topic(); t.number != 0 {
			names[t.number]++
		}
	}
	for _, e := range entries {
		t, config, err := e.topic()
		c.next = max(c.next, int64(t.number)+1)
		if names[t.number] > 1 {
			err = fmt.Errorf("%w: catalogue entry: number %d is that of another topic too", log.ErrCorruptValue, t.number)
			t.number = 0
		}
		var ps []*partition.Partition
		if err == nil {
			ps, err = t.openPartitions(c.st, 0, config.Partitions, config, false)
		}
		switch {
		case errors.Is(err, log.ErrCorruptValue):
			d := damaged{number: t.number, err: fmt.Errorf("topic %s: %w", e.key, err)}
			c.damaged[e.key] = d
			found.Damaged = append(found.Damaged, d.err)
			continue
		case err != nil:
			return err
		}
		for _, p := range ps {
			p.SetProbes(c.committer.Probes())
			found.Damaged = append(found.Damaged, p.Log().Damaged()...)
		}
		t.state.Store(&state{config: config, partitions: ps})
		c.putLocked(t)
	}
	return nil
}

// readNext reads the number of the next topic, once the topics are known. Without it, or when
// there is data that may belong to a damaged topic, it is one that nothing in the store has.
func (c *Catalogue) readNext(found *Found) error {
	v, err := c.st.Get(store.CatalogueKey(nextNumberKey))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var next int64
	if err == nil {
		next, err = store.ParseOffset(v)
	}
	if err != nil && !store.Lost(err) {
		return fmt.Errorf("catalogue: next topic number: %w", err)
	}
	c.next = max(c.next, next)
	if err == nil && !c.unattributed() {
		return nil
	}
	if err != nil {
		found.Damaged = append(found.Damaged, fmt.Errorf("catalogue: next topic number: %w", err))
	}
	newest, err := c.newestNumber()
	c.next = max(c.next, newest+1)
	return err
}

// entry is one entry of the catalogue.
type entry struct {
	key   string // what follows the kind
	value []byte
	err   error // why the value cannot be read
}

func (e entry) topic() (*Topic, Config, error) {
	if e.err != nil {
		return &Topic{name: e.key}, Config{}, e.err
	}
	return decode(e.key, e.value)
}

// read returns the catalogue's entries of one kind, in the order of their keys.
func (c *Catalogue) read(kind string) ([]entry, error) {
	var entries []entry
	skip := len(store.CatalogueKey(kind))
	err := c.st.Scan(store.CatalogueRange(kind), func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		if err != nil && !errors.Is(err, log.ErrCorruptValue) {
			return false, err
		}
		entries = append(entries, entry{string(e.Key[skip:]), v, err})
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return entries, nil
}

// Get returns the topic of that name, or ErrUnknownTopic, or ErrCorruptValue for one that is
// damaged.
func (c *Catalogue) Get(name string) (*Topic, error) {
	c.mu.RLock()
	t, d := c.topics[name], c.damaged[name]
	c.mu.RUnlock()
	switch {
	case t != nil:
		return t, nil
	case d.err != nil:
		return nil, d.err
	}
	return nil, fmt.Errorf("%w: %.249q", log.ErrUnknownTopic, name)
}

// Find returns the topic of that identity, nil when there is none.
func (c *Catalogue) Find(id ID) *Topic {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ids[id]
}

// TopicID returns a topic's identity and its number of partitions. Errors are those of Get.
func (c *Catalogue) TopicID(name string) (id [16]byte, partitions int32, err error) {
	t, err := c.Get(name)
	if err != nil {
		return id, 0, err
	}
	return t.ID(), int32(len(t.Partitions())), nil
}

// TopicName returns the name of the topic of that identity; false when there is none.
func (c *Catalogue) TopicName(id [16]byte) (name string, ok bool) {
	t := c.Find(id)
	if t == nil {
		return "", false
	}
	return t.Name(), true
}

// TopicNames returns the names of all topics, in order.
func (c *Catalogue) TopicNames() []string {
	all := c.List()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name()
	}
	return names
}

// List returns all topics, by name. The slice is not to be changed. Who asks again and again
// follows Changes instead.
func (c *Catalogue) List() []*Topic {
	c.mu.RLock()
	listed := c.listed
	c.mu.RUnlock()
	if listed != nil {
		return listed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listed == nil {
		c.listed = slices.SortedFunc(maps.Values(c.topics), func(a, b *Topic) int { return strings.Compare(a.name, b.name) })
	}
	return c.listed
}

// putLocked adds a topic.
func (c *Catalogue) putLocked(t *Topic) {
	c.topics[t.name], c.ids[t.id], c.names[collisionKey(t.name)] = t, t, t
	c.listed = nil
}

// removeLocked takes a topic away.
func (c *Catalogue) removeLocked(t *Topic) {
	delete(c.topics, t.name)
	delete(c.ids, t.id)
	delete(c.names, collisionKey(t.name))
	c.listed = nil
}

// Partitions returns the partitions of all topics.
func (c *Catalogue) Partitions() []*partition.Partition {
	var all []*partition.Partition
	for _, t := range c.List() {
		all = append(all, t.Partitions()...)
	}
	return all
}

// Watch wakes w whenever a topic is created, changed or deleted, until Unwatch.
func (c *Catalogue) Watch(w *partition.Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[w] = struct{}{}
}

// Unwatch undoes Watch.
func (c *Catalogue) Unwatch(w *partition.Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watchers, w)
}

// Check returns what Create would make of config, or the error that it would return, and
// creates nothing.
func (c *Catalogue) Check(name string, config Config) (Config, error) {
	config, err := ready(name, config)
	if err == nil {
		err = c.free(name)
	}
	return config, err
}

// ready checks what is given for a new topic and fills in the config.
func ready(name string, config Config) (Config, error) {
	if err := CheckName(name); err != nil {
		return config, err
	}
	if err := config.Validate(); err != nil {
		return config, fmt.Errorf("topic %s: %w", name, err)
	}
	return config.withDefaults(), nil
}

// Create adds a topic. It is in the store when Create returns nil. ctx counts until storing begins, as for Change and
// Delete: with its error nothing was changed.
func (c *Catalogue) Create(ctx context.Context, name string, config Config) (*Topic, error) {
	config, err := ready(name, config)
	if err != nil {
		return nil, err
	}
	if err := c.lock(ctx); err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	defer c.unlock()
	t, err := c.draft(name, config)
	if err != nil {
		return nil, err
	}
	tx := &writer.Tx{}
	t.addTo(tx)
	tx.Writes.Set(store.CatalogueKey(nextNumberKey), store.OffsetValue(c.next))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		c.next-- // the number is good for another
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	c.created(t)
	return t, nil
}

// free reports why a topic of that name cannot be created.
func (c *Catalogue) free(name string) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.topics[name] != nil {
		return fmt.Errorf("%w: %q", log.ErrTopicExists, name)
	}
	if d := c.damaged[name]; d.err != nil {
		return d.err // its data is there
	}
	if other := c.names[collisionKey(name)]; other != nil {
		return fmt.Errorf("%w: %q collides with the topic %q: '.' and '_' count as the same", log.ErrInvalidTopic, name, other.name)
	}
	return nil
}

// Change gives edit the topic's config and stores what edit made of it. Partitions may
// rise but not fall. Nothing is locked while edit runs; it is called again when the topic
// was changed meanwhile.
func (c *Catalogue) Change(ctx context.Context, name string, edit func(*Config) error) error {
	for {
		t, err := c.Get(name)
		if err != nil {
			return err
		}
		old := t.state.Load()
		config := old.config
		if err := edit(&config); err != nil {
			return fmt.Errorf("topic %s: %w", name, err)
		}
		if err := config.Validate(); err != nil {
			return fmt.Errorf("topic %s: %w", name, err)
		}
		config = config.withDefaults()
		if config.Partitions < old.config.Partitions {
			return fmt.Errorf("topic %s: %w: it has %d, %d are fewer", name, log.ErrInvalidPartitions, old.config.Partitions, config.Partitions)
		}
		if changed, err := c.replace(ctx, t, old, config); changed || err != nil {
			return err
		}
	}
}

// replace gives t another config, unless it is not as in old any more.
func (c *Catalogue) replace(ctx context.Context, t *Topic, old *state, config Config) (changed bool, err error) {
	if err := c.lock(ctx); err != nil {
		return false, fmt.Errorf("change topic %s: %w", t.name, err)
	}
	defer c.unlock()
	if now, err := c.Get(t.name); err != nil || now != t || t.state.Load() != old {
		return false, err
	}
	added, err := t.openPartitions(c.st, old.config.Partitions, config.Partitions, config, true)
	if err != nil {
		return false, err
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(store.CatalogueKey(topicKey+t.name), t.encode(config))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		return false, fmt.Errorf("change topic %s: %w", t.name, err)
	}
	c.tell("topic altered", zap.String("topic", t.name), zap.Stringer("id", t.id),
		zap.Int("partitions", config.Partitions), zap.Strings("changed", config.since(old.config)))
	for _, p := range old.partitions {
		p.SetRules(config.rules())
	}
	c.publish(t, &state{config: config, partitions: append(slices.Clip(old.partitions), added...)}, false)
	return true, nil
}

// publish makes t, which may be new, with s visible and tells the watchers.
func (c *Catalogue) publish(t *Topic, s *state, added bool) {
	for _, p := range s.partitions {
		p.SetProbes(c.committer.Probes())
	}
	t.state.Store(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if added {
		c.putLocked(t)
	}
	c.noteLocked(t, false)
}

// Delete removes a topic. Appends and reads of it fail from now on with
// ErrUnknownTopic, sleeping readers are woken, and the name is free again. Its data is
// doomed: Purge removes it, if need be after a crash. When Delete fails the topic is as
// it was, except with ErrFailed: then it is gone until the next open tells. It is the way to be
// rid of a damaged topic.
func (c *Catalogue) Delete(ctx context.Context, name string) error {
	if err := c.lock(ctx); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	defer c.unlock()
	t, err := c.Get(name)
	if errors.Is(err, log.ErrCorruptValue) {
		return c.deleteDamaged(ctx, name)
	}
	if err != nil {
		return err
	}
	tx := &writer.Tx{Essential: true}
	begun := false
	tx.Begun = func() {
		// No batch may be staged behind the deletion: nobody would find it to remove it.
		begun = true
		for _, p := range t.Partitions() {
			p.End(fmt.Errorf("%w: it was deleted", log.ErrUnknownTopic))
		}
	}
	tx.Writes.Delete(store.CatalogueKey(topicKey + name))
	tx.Writes.Set(doomedTopicKey(t.number), store.OffsetValue(int64(t.number)))
	err = c.committer.DoUntil(ctx, tx)
	if begun {
		c.mu.Lock()
		c.removeLocked(t)
		c.noteLocked(t, true)
		c.mu.Unlock()
		t.forgotten()
	}
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	c.tell("topic deleted", zap.String("topic", name), zap.Stringer("id", t.id))
	return nil
}

// Close ends all partitions with err: waiting readers are woken.
func (c *Catalogue) Close(err error) {
	for _, t := range c.List() {
		for _, p := range t.Partitions() {
			p.End(err)
		}
	}
}
