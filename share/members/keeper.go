package members

import (
	"context"
	"errors"
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

// Describe returns a group as it is now, with its members of this process, or ErrUnknownGroup, or ErrGroupKind.
func (c *Coordinator) Describe(name string) (Info, error) {
	kind, taken := c.Names.Of(name)
	info, known := c.info(name)
	switch {
	case taken && kind != group.Share:
		return Info{}, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrGroupKind, kind)
	case !known && !slices.Contains(c.Records.Groups(), name):
		return Info{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	for _, m := range c.Records.Inside(name) { // each of this process reads all that it subscribes to
		info.State = group.Stable
		all := MemberInfo{ID: m.ID, ClientID: m.ClientID, Epoch: info.Epoch, Topics: m.Topics}
		for _, topic := range m.Topics {
			id, n, _ := c.topic(topic)
			for i := range n {
				all.Partitions = append(all.Partitions, Partition{Topic: topic, ID: id, Index: i})
			}
		}
		info.Members = append(info.Members, all)
	}
	return info, nil
}

// info returns what there is of the members that are not of this process; false if there is no such group.
func (c *Coordinator) info(name string) (Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	en := c.groups[name]
	if en == nil {
		return Info{}, false
	}
	return en.group.Describe(), true
}

// HasMembers reports whether somebody is in the group.
func (c *Coordinator) HasMembers(name string) bool {
	info, _ := c.info(name)
	return len(info.Members) > 0 || len(c.Records.Inside(name)) > 0
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
		if len(k.c.Records.Inside(name)) > 0 {
			states[name] = group.Stable
		} else if _, ok := states[name]; !ok {
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
		c.Kept.names.Store(name, nil)
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
	c.Kept.names.Delete(name)
	c.Names.Release(name, group.Share)
	return nil
}

// remove removes what is stored of a group.
func (c *Coordinator) remove(ctx context.Context, name string) error {
	if err := c.Records.DeleteGroup(ctx, name); err != nil && !errors.Is(err, log.ErrUnknownGroup) {
		return err
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Delete(store.MembersKey(name))
	if err := c.Committer.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	return nil
}
