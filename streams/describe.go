package streams

import "maps"

// Description is a group at an instant.
type Description struct {
	State                  State
	Epoch, AssignmentEpoch int32
	TopologyEpoch          int32
	Subtopologies          []Subtopology // with the numbers of partitions of internal topics, if all topics are there
	Members                []MemberDescription
}

// MemberDescription is a member at an instant.
type MemberDescription struct {
	ID, InstanceID, RackID, ClientID, ClientHost, ProcessID string
	Epoch, TopologyEpoch                                    int32
	Endpoint                                                *Endpoint
	Tags                                                    map[string]string
	Has, Target                                             Tasks
	Offsets, Ends                                           map[TaskID]int64 // as it has told
}

// DescribeGroup returns a group as it is now, or ErrUnknownGroup, or ErrGroupKind.
func (c *Coordinator) DescribeGroup(name string) (Description, error) {
	en, err := c.locked(name)
	if err != nil {
		return Description{}, err
	}
	defer en.mu.Unlock()
	return en.group.Describe(), nil
}

// Describe returns the group as it is.
func (g *Group) Describe() Description {
	d := Description{State: g.State(), Epoch: g.epoch, AssignmentEpoch: g.assignmentEpoch, TopologyEpoch: noTopology}
	if g.topology != nil {
		d.TopologyEpoch, d.Subtopologies = g.topology.Epoch, g.topology.Subtopologies
	}
	if g.configured != nil && g.configured.Problem == nil {
		d.Subtopologies = make([]Subtopology, len(g.configured.Subtopologies))
		for i := range g.configured.Subtopologies {
			d.Subtopologies[i] = g.configured.Subtopologies[i].Subtopology
		}
	}
	for _, id := range sortedMembers(g.members) {
		m, l := g.members[id], g.live[id]
		md := MemberDescription{
			ID: m.id, InstanceID: m.instance, RackID: m.rack, ClientID: m.clientID, ClientHost: m.clientHost, ProcessID: m.process,
			Epoch: m.epoch, TopologyEpoch: m.topologyEpoch, Tags: maps.Clone(m.tags), Has: m.has.clone(), Target: m.target.clone(),
			Offsets: l.offsets, Ends: l.ends,
		}
		if m.endpoint != (Endpoint{}) {
			endpoint := m.endpoint
			md.Endpoint = &endpoint
		}
		d.Members = append(d.Members, md)
	}
	return d
}
