package members

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Info describes a share group at an instant.
type Info struct {
	State    group.State // Empty or Stable
	Epoch    int32
	Assigned int32 // the epoch of the assignment
	Members  []MemberInfo
}

// MemberInfo describes a member at an instant.
type MemberInfo struct {
	ID, Rack, ClientID, ClientHost string
	Epoch                          int32
	Topics                         []string
	Partitions                     []Partition
}

// Describe returns the group, with its members by id. Slices of it are not to be changed.
func (g *Group) Describe() Info {
	d := Info{Epoch: g.epoch, Assigned: g.assigned}
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		d.State = group.Stable
		d.Members = append(d.Members, MemberInfo{m.id, m.rack, m.clientID, m.clientHost, m.epoch, m.topics, m.partitions})
	}
	return d
}

// Describe returns a group as it is now, or ErrUnknownGroup, or ErrGroupKind. One that only has records is Empty.
func (c *Coordinator) Describe(name string) (Info, error) {
	c.mu.Lock()
	en := c.groups[name]
	if en != nil {
		defer c.mu.Unlock()
		return en.group.Describe(), nil
	}
	c.mu.Unlock()
	switch kind, ok := c.Names.Of(name); {
	case ok && kind != group.Share:
		return Info{}, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
	case !ok || !slices.Contains(c.Records.Groups(), name):
		return Info{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	return Info{}, nil
}

// HasMembers reports whether somebody is in the group.
func (c *Coordinator) HasMembers(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	en := c.groups[name]
	return en != nil && !en.group.Empty()
}

// Subscribed reports whether a member of the group subscribes to the topic.
func (c *Coordinator) Subscribed(name, topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	en := c.groups[name]
	return en != nil && slices.Contains(en.group.subscribed(), topic)
}

// Forget has the group begin anew in partitions with the next heartbeat, after their state was removed.
func (c *Coordinator) Forget(name string, gone func(Partition) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if en := c.groups[name]; en != nil {
		maps.DeleteFunc(en.begun, func(p Partition, _ struct{}) bool { return gone(p) })
	}
}

// keeper is a Coordinator as the group.Keeper of its groups.
type keeper struct{ c *Coordinator }

const (
	protocolType = "share"  // as Kafka calls it
	assignor     = "simple" // the only one
)

// List implements group.Keeper.
func (k keeper) List() []group.Listing {
	k.c.mu.Lock()
	states := make(map[string]group.State, len(k.c.groups))
	for name, en := range k.c.groups {
		states[name] = en.group.Describe().State
	}
	k.c.mu.Unlock()
	for _, name := range k.c.Records.Groups() {
		if _, ok := states[name]; !ok {
			states[name] = group.Empty
		}
	}
	var all []group.Listing
	for name, state := range states {
		all = append(all, group.Listing{Name: name, Kind: group.Share, State: state, ProtocolType: protocolType})
	}
	return all
}

// Describe implements group.Keeper.
func (k keeper) Describe(name string) (group.Description, error) {
	info, err := k.c.Describe(name)
	if err != nil {
		return group.Description{}, err
	}
	d := group.Description{Kind: group.Share, State: info.State, ProtocolType: protocolType, ProtocolName: assignor, Generation: info.Epoch}
	for _, m := range info.Members {
		assigned := make(map[string][]int32)
		for _, p := range m.Partitions {
			assigned[p.Topic] = append(assigned[p.Topic], p.Index)
		}
		d.Members = append(d.Members, group.MemberDescription{
			ID: m.ID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			Metadata:   group.EncodeSubscription(group.Subscription{Topics: m.Topics}),
			Assignment: group.EncodeAssignment(assigned),
		})
	}
	return d, nil
}

// Yield implements group.Keeper: a share group becomes nothing else.
func (k keeper) Yield(name string, _ group.Kind) bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	return k.c.groups[name] == nil && !slices.Contains(k.c.Records.Groups(), name)
}

// Delete implements group.Keeper.
func (k keeper) Delete(ctx context.Context, name string) error {
	c := k.c
	c.mu.Lock()
	en := c.groups[name]
	switch {
	case en != nil && en.deleted != nil || en == nil && !slices.Contains(c.Records.Groups(), name):
		c.mu.Unlock()
		return fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	case en != nil && !en.group.Empty():
		c.mu.Unlock()
		return fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	case en == nil:
		en = newEntry(New(name))
		c.groups[name] = en
	}
	en.deleted = make(chan struct{})
	c.mu.Unlock()
	err := c.remove(ctx, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(en.deleted)
	en.deleted = nil
	if err != nil {
		return err
	}
	delete(c.groups, name)
	c.Names.Release(name, group.Share)
	return nil
}

// remove removes what is stored of a group.
func (c *Coordinator) remove(ctx context.Context, name string) error {
	if err := c.Records.DeleteGroup(ctx, name); err != nil {
		return err
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Delete(store.MembersKey(name))
	if err := c.Committer.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	return nil
}
