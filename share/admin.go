package share

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// PartitionInfo is how far a group is in a partition.
type PartitionInfo struct {
	Key
	Start    int64     // all before is done
	End      int64     // behind the last record that a member can get
	Lag      int64     // how many records from Start to End are not done
	InFlight int       // records that members have
	Waiting  int       // records that are to come later
	Oldest   time.Time // the timestamp of the first record that is not done; zero without one

	// What has happened since Open.
	Deliveries, Acknowledged, Released, Rejected, Expired, DeadLetters, Archived int64
}

// Groups returns the names of all share groups that have a state, or somebody of this process inside, sorted.
func (c *Coordinator) Groups() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.groups))
}

// Describe returns how far a group is, by topic and partition. ErrUnknownGroup says that it is nowhere, and
// ErrCorruptValue that a state is damaged.
func (c *Coordinator) Describe(_ context.Context, name string) ([]PartitionInfo, error) {
	c.mu.Lock()
	_, known := c.groups[name]
	c.mu.Unlock()
	if !known {
		return nil, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	var all []PartitionInfo
	for _, en := range c.of(name) {
		info, ok, err := en.describe(c.settings(name))
		switch {
		case err != nil:
			return nil, err
		case ok:
			if info.Start < info.End {
				info.Oldest = en.timeOf(info.Start)
			}
			all = append(all, info)
		}
	}
	return all, nil
}

// DescribePartition returns how far a group is in a partition; false if there is no state. It does not look for the oldest
// record: clients may ask for the same partition as often as they like.
func (c *Coordinator) DescribePartition(_ context.Context, k Key) (PartitionInfo, bool, error) {
	en, err := c.find(k, false)
	if en == nil || err != nil {
		return PartitionInfo{}, false, err
	}
	return en.describe(c.settings(k.Group))
}

func (en *entry) describe(s Settings) (PartitionInfo, bool, error) {
	info := PartitionInfo{Key: en.key, End: en.end(s.Isolation)}
	en.mu.Lock()
	if en.damaged != nil || en.states == nil {
		defer en.mu.Unlock()
		return info, false, en.damaged
	}
	en.expireLocked(nowMs(), s.rules())
	p := en.states
	info.Start, info.InFlight, info.Waiting = p.Start(), p.Acquired(), p.Waiting()
	info.Lag = max(0, info.End-p.Next()) + p.Open()
	n := en.counts
	info.Deliveries, info.Acknowledged, info.Released, info.Rejected = en.given, n.Acknowledged, n.Released, n.Rejected
	info.Expired, info.DeadLetters, info.Archived = n.Expired, n.Letters, n.Archived
	en.mu.Unlock()
	en.tend()
	return info, true, nil
}

// timeOf returns the timestamp of the first record from an offset on, as far as it can be told.
func (en *entry) timeOf(offset int64) (at time.Time) {
	_ = en.part.FetchInto(context.Background(), "", log.ReadUncommitted, offset, func(int) ([]byte, bool) { return nil, true }, func(sb log.StoredBatch) bool {
		b := look(sb, false, true)
		for _, r := range b.records {
			if r.Offset >= offset {
				at = r.Timestamp
				break
			}
		}
		return at.IsZero()
	})
	return at
}

// Alter has a group begin anew at an offset: what was decided from there on is forgotten, and who has a record loses
// it. It makes the state if there is none, and is the way to be rid of one that is damaged. Whether members of the group
// forbid it is for the caller to know. An offset outside of the log is taken as it is.
func (c *Coordinator) Alter(ctx context.Context, k Key, start int64) error {
	en, err := c.find(k, true)
	if err != nil && !errors.Is(err, log.ErrCorruptValue) || en == nil {
		return err
	}
	if start < 0 || start >= maxStart {
		return fmt.Errorf("%s: %w: %d", k, log.ErrOffsetOutOfRange, start)
	}
	if err := en.take(ctx); err != nil {
		return err
	}
	defer en.turn.Give()
	return en.replace(ctx, start)
}

// Delete removes the states of keys, one after the other. Those that are not there are no error, nor are topics that
// are gone. Whether members forbid it is for the caller to know.
func (c *Coordinator) Delete(ctx context.Context, keys ...Key) error {
	for _, k := range keys {
		c.mu.Lock()
		en := c.entries[k]
		c.mu.Unlock()
		if en == nil || en.gone() {
			continue
		}
		if err := en.remove(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (en *entry) remove(ctx context.Context) error {
	if err := en.take(ctx); err != nil {
		return err
	}
	defer en.turn.Give()
	if err := en.supplant(ctx, nil); err != nil && !en.gone() {
		return en.wrap(err)
	}
	en.c.mu.Lock()
	defer en.c.mu.Unlock()
	en.watching.Lock()
	watched := len(en.watchers) > 0
	en.watching.Unlock()
	if !watched {
		en.c.forgetLocked(en)
	}
	return nil
}

// DeleteGroup removes all states of a group in which nobody of this process is, else it is ErrGroupNotEmpty. One that
// is not there is ErrUnknownGroup.
func (c *Coordinator) DeleteGroup(ctx context.Context, name string) error {
	c.mu.Lock()
	g := c.groups[name]
	var err error
	switch {
	case g == nil:
		err = fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	case len(g.inside) > 0:
		err = fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for _, en := range c.of(name) {
		if err := en.remove(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Consumed returns, for a topic of n partitions, the offset before which all share groups that read the topic are done; 0
// where one of them has not begun, or its state is damaged. ok is false when there is no such group.
func (c *Coordinator) Consumed(topic string, n int) (least []int64, ok bool) {
	c.mu.Lock()
	readers := make(map[string][]*entry)
	for k, en := range c.entries {
		if k.Topic == topic && !en.gone() {
			readers[k.Group] = append(readers[k.Group], en)
		}
	}
	c.mu.Unlock()
	for _, all := range readers {
		of := make([]int64, n)
		for _, en := range all {
			en.mu.Lock()
			if en.states != nil && int(en.key.Partition) < n {
				of[en.key.Partition] = en.states.Start()
			}
			en.mu.Unlock()
		}
		if !ok {
			least, ok = of, true
			continue
		}
		for i, o := range of {
			least[i] = min(least[i], o)
		}
	}
	return least, ok
}

// Member is somebody of this process in a group.
type Member struct {
	ID       string
	ClientID string
	Topics   []string
	// Settings are those of the group as long as somebody is inside who has some. All who are inside have the same.
	Settings *Settings
	// Waits says that the program has asked for the waits of Settings.Backoff; else they are what is usual.
	Waits bool
}

// Enter has somebody be in a group, until Leave. ErrInvalidOption says that others are inside with other settings.
func (c *Coordinator) Enter(m Member, name string) error {
	if err := c.claimAndLock(name); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("group %s: %w", name, log.ErrClosed)
	}
	g := c.groupLocked(name)
	if m.Settings != nil {
		s := m.Settings.WithDefaults()
		if g.settings != nil && *g.settings != s {
			return fmt.Errorf("%w: group %s has a queue with other options, and all of a group have the same: %s",
				log.ErrInvalidOption, name, g.settings.Differences(s))
		}
		g.settings = &s
	}
	g.inside[m.ID] = m
	return nil
}

// Leave undoes Enter. What the member has it keeps, until ReleaseMember.
func (c *Coordinator) Leave(id, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[name]
	if g == nil {
		return
	}
	delete(g.inside, id)
	if !slices.ContainsFunc(slices.Collect(maps.Values(g.inside)), func(m Member) bool { return m.Settings != nil }) {
		g.settings = nil
	}
	c.releaseLocked(name)
}

// Inside returns who of this process is in a group, by id.
func (c *Coordinator) Inside(name string) []Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[name]
	if g == nil {
		return nil
	}
	var all []Member
	for _, id := range slices.Sorted(maps.Keys(g.inside)) {
		all = append(all, g.inside[id])
	}
	return all
}

// ReleaseAll is ReleaseMember in all partitions.
func (c *Coordinator) ReleaseAll(name, member string) {
	for _, en := range c.of(name) {
		c.ReleaseMember(en.key, member)
	}
}
