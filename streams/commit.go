package streams

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// CheckCommit says whether a member may commit offsets for partitions, in a transaction or not. One of the present epoch
// may; one of an epoch before may for tasks that it has had since then. Epoch -1 is somebody who is no member, and may
// while the group is empty, or in a transaction if it has no id.
//
// A member that the group does not have is ErrUnknownMember, another epoch ErrStaleMemberEpoch.
func (g *Group) CheckCommit(memberID string, epoch int32, inTransaction bool, tps []log.TopicPartition) error {
	if epoch < 0 && len(g.members) == 0 || inTransaction && epoch == -1 && memberID == "" {
		return nil
	}
	m := g.members[memberID]
	switch {
	case m == nil:
		return g.wrap(memberID, log.ErrUnknownMember)
	case epoch == m.epoch:
		return nil
	case epoch > m.epoch:
		return g.wrap(memberID, fmt.Errorf("%w: it says %d and has %d", log.ErrStaleMemberEpoch, epoch, m.epoch))
	}
	for _, tp := range tps {
		sub, ok := g.topology.reader(tp.Topic)
		if !ok {
			return g.wrap(memberID, fmt.Errorf("%w: it says %d and has %d, and the topology does not read %s", log.ErrStaleMemberEpoch, epoch, m.epoch, tp.Topic))
		}
		t := TaskID{sub, tp.Partition}
		since, ok := m.has[Active][t]
		if !ok {
			since, ok = m.revoking[Active][t]
		}
		if !ok || epoch < since {
			return g.wrap(memberID, fmt.Errorf("%w: it says %d and has %d, and has not had task %s since", log.ErrStaleMemberEpoch, epoch, m.epoch, t))
		}
	}
	return nil
}

// CheckFetch says whether a member may ask for committed offsets: one of the present epoch, or with epoch -1 whoever is no
// member.
func (g *Group) CheckFetch(memberID string, epoch int32) error {
	if memberID == "" && epoch < 0 {
		return nil
	}
	m := g.members[memberID]
	switch {
	case m == nil:
		return g.wrap(memberID, log.ErrUnknownMember)
	case epoch != m.epoch:
		return g.wrap(memberID, fmt.Errorf("%w: it says %d and has %d", log.ErrStaleMemberEpoch, epoch, m.epoch))
	}
	return nil
}

// Subscribed reports whether the topology of a group with members reads a topic.
func (g *Group) Subscribed(topic string) bool {
	if len(g.members) == 0 || g.topology == nil {
		return false
	}
	_, ok := g.topology.reader(topic)
	return ok
}
