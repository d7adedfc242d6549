package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Snapshot is what survives a restart of the broker: the group, and each of its members, which are not changed but replaced. All
// members do: they are other processes, and go on with what they
// have if they are heard of within a session. What they have told of their states' offsets is not part of it.
type Snapshot struct {
	Epoch, AssignmentEpoch int32
	AssignedAt             time.Time
	Topology               *Topology // nil if there never was a member
	Validated              int32
	Fingerprint            uint64
	Standbys               int
	Tags                   []string
	EmptySince             time.Time // zero if there are members
	members                []*member // by id
}

// Snapshot returns what Restore needs. It shares memory with the group, which does not change it.
func (g *Group) Snapshot() Snapshot {
	s := Snapshot{
		Epoch: g.epoch, AssignmentEpoch: g.assignmentEpoch, AssignedAt: g.assignedAt, Topology: g.topology, Validated: g.validated,
		Fingerprint: g.fingerprint, Standbys: g.standbys, Tags: g.tags, EmptySince: g.emptySince,
	}
	for _, id := range sortedMembers(g.members) {
		s.members = append(s.members, g.members[id])
	}
	return s
}

// Restore returns the group of a valid snapshot after a restart at now. Sessions begin anew, as config says.
func Restore(now time.Time, name string, config Config, s Snapshot) *Group {
	g := NewGroup(name)
	g.epoch, g.assignmentEpoch, g.assignedAt, g.topology, g.validated = s.Epoch, s.AssignmentEpoch, s.AssignedAt, s.Topology, s.Validated
	g.fingerprint, g.standbys, g.tags, g.emptySince = s.Fingerprint, s.Standbys, s.Tags, s.EmptySince
	for _, m := range s.members {
		g.put(m)
		l := g.live[m.id]
		l.expires = now.Add(config.SessionTimeout)
		if m.state == unrevoked {
			l.revokeBy = now.Add(m.rebalance)
		}
	}
	return g
}

// storedGroup is a Snapshot in the store without its members, as JSON: it is written seldom and a person may have to read
// it. Times are in ms since the epoch, 0 for none.
type storedGroup struct {
	Version         int             `json:"version"`
	Epoch           int32           `json:"epoch"`
	AssignmentEpoch int32           `json:"assignmentEpoch"`
	AssignedMs      int64           `json:"assignedMs,omitempty"`
	EmptyMs         int64           `json:"emptyMs,omitempty"`
	Validated       int32           `json:"validatedTopologyEpoch"`
	Fingerprint     uint64          `json:"topics"`
	Standbys        int             `json:"standbys,omitempty"`
	Tags            []string        `json:"rackAwareTags,omitempty"`
	Topology        *storedTopology `json:"topology,omitempty"`
}

type storedTopology struct {
	Epoch         int32               `json:"epoch"`
	Subtopologies []storedSubtopology `json:"subtopologies"`
}

type storedSubtopology struct {
	ID          string        `json:"id"`
	Sources     []string      `json:"sources,omitempty"`
	Repartition []storedTopic `json:"repartition,omitempty"`
	Sinks       []string      `json:"sinks,omitempty"`
	Changelogs  []storedTopic `json:"changelogs,omitempty"`
	Copartition [][]string    `json:"copartition,omitempty"`
}

type storedTopic struct {
	Name        string      `json:"name"`
	Partitions  int32       `json:"partitions,omitempty"`
	Replication int16       `json:"replication,omitempty"`
	Configs     [][2]string `json:"configs,omitempty"`
}

// storedMember is a member in the store, as JSON. Its id is in the key.
type storedMember struct {
	Version       int               `json:"version"`
	InstanceID    string            `json:"instanceId,omitempty"`
	RackID        string            `json:"rackId,omitempty"`
	ClientID      string            `json:"clientId,omitempty"`
	ClientHost    string            `json:"clientHost,omitempty"`
	ProcessID     string            `json:"processId,omitempty"`
	RebalanceMs   int64             `json:"rebalanceMs"`
	TopologyEpoch int32             `json:"topologyEpoch"`
	Host          string            `json:"host,omitempty"`
	Port          uint16            `json:"port,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Epoch         int32             `json:"epoch"`
	Previous      int32             `json:"previousEpoch"`
	State         string            `json:"state"`
	Has           storedTasks       `json:"has"`
	Revoking      storedTasks       `json:"revoking"`
	Target        storedTasks       `json:"target"`
}

// storedTasks are tasks by role, and by subtopology: each is the partition, and the epoch in which it was given.
type storedTasks [roles]map[string][][2]int32

const storedGroupVersion = 1

// encode returns the stored form of the group. Times are cut to milliseconds.
func (s Snapshot) encode() []byte {
	return marshal(storedGroup{
		Version: storedGroupVersion, Epoch: s.Epoch, AssignmentEpoch: s.AssignmentEpoch, AssignedMs: toMs(s.AssignedAt), EmptyMs: toMs(s.EmptySince),
		Validated: s.Validated, Fingerprint: s.Fingerprint, Standbys: s.Standbys, Tags: s.Tags, Topology: encodeTopology(s.Topology),
	})
}

// encode returns the stored form of a member.
func (m *member) encode() []byte {
	return marshal(storedMember{
		Version: storedGroupVersion, InstanceID: m.instance, RackID: m.rack, ClientID: m.clientID, ClientHost: m.clientHost, ProcessID: m.process,
		RebalanceMs: m.rebalance.Milliseconds(), TopologyEpoch: m.topologyEpoch, Host: m.endpoint.Host, Port: m.endpoint.Port, Tags: m.tags,
		Epoch: m.epoch, Previous: m.previous, State: m.state.String(),
		Has: encodeTasks(m.has), Revoking: encodeTasks(m.revoking), Target: encodeTasks(m.target),
	})
}

func marshal(stored any) []byte {
	v, err := json.Marshal(stored)
	if err != nil {
		panic("streams: plain data does not encode: " + err.Error())
	}
	return v
}

func toMs(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMs(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func encodeTasks(t Tasks) (stored storedTasks) {
	for r, s := range t {
		for _, id := range s.Sorted() {
			if stored[r] == nil {
				stored[r] = make(map[string][][2]int32)
			}
			stored[r][id.Subtopology] = append(stored[r][id.Subtopology], [2]int32{id.Partition, s[id]})
		}
	}
	return stored
}

func decodeTasks(stored storedTasks) (Tasks, error) {
	t := newTasks()
	for r, subs := range stored {
		for sub, list := range subs {
			for _, p := range list {
				id := TaskID{sub, p[0]}
				if p[0] < 0 || p[1] < 0 || t[r].has(id) {
					return t, fmt.Errorf("%s task %s of epoch %d", Role(r), id, p[1])
				}
				t[r][id] = p[1]
			}
		}
	}
	return t, nil
}

func encodeTopology(t *Topology) *storedTopology {
	if t == nil {
		return nil
	}
	stored := &storedTopology{Epoch: t.Epoch}
	topics := func(from []InternalTopic) (to []storedTopic) {
		for _, it := range from {
			st := storedTopic{Name: it.Name, Partitions: it.Partitions, Replication: it.Replication}
			for _, c := range it.Configs {
				st.Configs = append(st.Configs, [2]string{c.Name, c.Value})
			}
			to = append(to, st)
		}
		return to
	}
	for _, s := range t.Subtopologies {
		stored.Subtopologies = append(stored.Subtopologies, storedSubtopology{
			ID: s.ID, Sources: s.Sources, Repartition: topics(s.Repartition), Sinks: s.Sinks, Changelogs: topics(s.Changelogs), Copartition: s.Copartition,
		})
	}
	return stored
}

func decodeTopology(stored *storedTopology) (*Topology, error) {
	if stored == nil {
		return nil, nil
	}
	t := Topology{Epoch: stored.Epoch}
	topics := func(from []storedTopic) (to []InternalTopic) {
		for _, st := range from {
			it := InternalTopic{Name: st.Name, Partitions: st.Partitions, Replication: st.Replication}
			for _, c := range st.Configs {
				it.Configs = append(it.Configs, TopicConfig{c[0], c[1]})
			}
			to = append(to, it)
		}
		return to
	}
	for _, s := range stored.Subtopologies {
		t.Subtopologies = append(t.Subtopologies, Subtopology{
			ID: s.ID, Sources: s.Sources, Repartition: topics(s.Repartition), Sinks: s.Sinks, Changelogs: topics(s.Changelogs), Copartition: s.Copartition,
		})
	}
	normal, err := t.Normal()
	return &normal, err
}

var errBadSnapshot = fmt.Errorf("%w: state of a streams group", log.ErrCorruptValue)

// decodeSnapshot undoes the encoding of a group and its members, which are by id. A snapshot that it returns can be restored.
// What is wrong is ErrCorruptValue.
func decodeSnapshot(head []byte, members map[string][]byte) (Snapshot, error) {
	var stored storedGroup
	if err := unmarshal(head, &stored, &stored.Version); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	s := Snapshot{
		Epoch: stored.Epoch, AssignmentEpoch: stored.AssignmentEpoch, AssignedAt: fromMs(stored.AssignedMs), EmptySince: fromMs(stored.EmptyMs),
		Validated: stored.Validated, Fingerprint: stored.Fingerprint, Standbys: stored.Standbys, Tags: stored.Tags,
	}
	var err error
	if s.Topology, err = decodeTopology(stored.Topology); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	for _, id := range sortedMembers(members) {
		m, err := decodeMember(id, members[id])
		if err != nil {
			return Snapshot{}, fmt.Errorf("%w: member %q: %s", errBadSnapshot, id, err.Error())
		}
		s.members = append(s.members, m)
	}
	if err := s.validate(); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	return s, nil
}

func unmarshal(v []byte, stored any, version *int) error {
	if err := json.Unmarshal(v, stored); err != nil {
		return err
	}
	if *version != storedGroupVersion {
		return fmt.Errorf("version %d, this library knows %d", *version, storedGroupVersion)
	}
	return nil
}

func decodeMember(id string, v []byte) (*member, error) {
	var sm storedMember
	if err := unmarshal(v, &sm, &sm.Version); err != nil {
		return nil, err
	}
	m := &member{
		id: id, instance: sm.InstanceID, rack: sm.RackID, clientID: sm.ClientID, clientHost: sm.ClientHost, process: sm.ProcessID,
		topologyEpoch: sm.TopologyEpoch, endpoint: Endpoint{sm.Host, sm.Port}, tags: maps.Clone(sm.Tags), epoch: sm.Epoch, previous: sm.Previous,
	}
	state := slices.Index(memberStates, sm.State)
	if state < 0 {
		return nil, fmt.Errorf("state %q", sm.State)
	}
	m.state = memberState(state)
	if sm.RebalanceMs < 0 || sm.RebalanceMs > math.MaxInt32 {
		return nil, fmt.Errorf("rebalance timeout of %d ms", sm.RebalanceMs)
	}
	m.rebalance = time.Duration(sm.RebalanceMs) * time.Millisecond
	for to, from := range map[*Tasks]storedTasks{&m.has: sm.Has, &m.revoking: sm.Revoking, &m.target: sm.Target} {
		var err error
		if *to, err = decodeTasks(from); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// validate checks what the state machine takes for granted.
func (s Snapshot) validate() error {
	if s.AssignmentEpoch < firstEpoch || s.AssignmentEpoch > s.Epoch || s.Validated < noTopology || s.Standbys < 0 {
		return fmt.Errorf("epoch %d, assignment epoch %d, topology epoch %d, %d standbys", s.Epoch, s.AssignmentEpoch, s.Validated, s.Standbys)
	}
	if s.Topology == nil && len(s.members) > 0 {
		return errors.New("members without a topology")
	}
	ids, instances := make(map[string]bool), make(map[string]bool)
	active := make(TaskSet)
	for _, m := range s.members {
		if m.id == "" || ids[m.id] || m.instance != "" && instances[m.instance] || m.epoch < leftForNow || m.epoch > s.Epoch {
			return fmt.Errorf("member %q, instance %q, epoch %d", m.id, m.instance, m.epoch)
		}
		ids[m.id], instances[m.instance] = true, true
		for _, tasks := range []Tasks{m.has, m.revoking} {
			for t := range tasks[Active] {
				if active.has(t) {
					return fmt.Errorf("task %s is active twice", t)
				}
				active[t] = 0
			}
		}
	}
	return nil
}
