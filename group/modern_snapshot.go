package group

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
)

// ModernChange is what has changed of a Modern: the values of its keys in the store.
type ModernChange struct {
	Group   []byte            // nil if that of the group as such has not changed
	Coming  []byte            // that of the group while members are stored one after the other; nil if members go one by one
	Members map[string][]byte // by member id; nil for one that is gone
}

// end returns the effects of a call.
func (t *modernTurn) end(g *Modern) Effects {
	if g.unstored && len(t.touched) > 0 && !g.dead {
		g.unstored, t.header = false, true
		for id := range g.members {
			t.touch(id)
		}
	}
	if !t.header && len(t.touched) == 0 {
		return t.effects
	}
	c := &ModernChange{Members: make(map[string][]byte, len(t.touched))}
	switch {
	case g.dead:
		c.Coming = g.encode(g.epoch+1, g.epoch) // of which the classic group knows nothing
	case t.header:
		c.Group, c.Coming = g.encode(g.epoch, g.targetOf), g.encode(g.epoch, min(g.targetOf, g.epoch-1))
	}
	for id := range t.touched {
		c.Members[id] = nil
		if m := g.members[id]; m != nil && !g.dead {
			c.Members[id] = g.encodeMember(m)
		}
	}
	t.effects.Change = c
	return t.effects
}

// storedModern is a group of the consumer protocol in the store, as JSON, under the key that a classic group has; its members
// have keys of their own.
type storedModern struct {
	Version     int        `json:"version"`
	Kind        Kind       `json:"kind"`
	Epoch       int32      `json:"epoch"`
	TargetEpoch int32      `json:"targetEpoch"`
	Shape       string     `json:"shape"` // a number, hexadecimal
	EmptySince  *time.Time `json:"emptySince,omitempty"`
}

const storedModernVersion = 2

// storedModernMember is a member in the store.
type storedModernMember struct {
	Version     int                `json:"version"`
	Nth         uint64             `json:"nth"`
	InstanceID  string             `json:"instanceId,omitempty"`
	Rack        string             `json:"rack,omitempty"`
	ClientID    string             `json:"clientId,omitempty"`
	ClientHost  string             `json:"clientHost,omitempty"`
	RebalanceMs int64              `json:"rebalanceMs"`
	Topics      []string           `json:"topics,omitempty"`
	Regex       string             `json:"regex,omitempty"`
	Assignor    string             `json:"assignor,omitempty"`
	Classic     *storedClassic     `json:"classic,omitempty"`
	Epoch       int32              `json:"epoch"`
	Previous    int32              `json:"previous"`
	State       epochs.State       `json:"state"`
	Assigned    storedPartitions   `json:"assigned,omitempty"` // with epochs
	Revoking    storedPartitions   `json:"revoking,omitempty"` // with epochs
	Target      map[string][]int32 `json:"target,omitempty"`   // by topic id, hexadecimal
}

// storedPartitions is epochs by topic id, hexadecimal, and index.
type storedPartitions map[string]map[int32]int32

type storedClassic struct {
	SessionMs int64            `json:"sessionMs"`
	Protocols []storedProtocol `json:"protocols"`
	Local     bool             `json:"local,omitempty"`
}

const storedMemberVersion = 1

func (g *Modern) encode(epoch, targetOf int32) []byte {
	s := storedModern{
		Version: storedModernVersion, Kind: Consumer, Epoch: epoch, TargetEpoch: targetOf, Shape: strconv.FormatUint(g.shape, 16),
	}
	if !g.emptySince.IsZero() {
		at := g.emptySince.UTC()
		s.EmptySince = &at
	}
	return encodeJSON(s)
}

func encodeJSON(of any) []byte {
	v, err := json.Marshal(of)
	if err != nil {
		panic("group: plain data does not encode: " + err.Error())
	}
	return v
}

func (g *Modern) encodeMember(m *modernMember) []byte {
	s := storedModernMember{
		Version: storedMemberVersion, Nth: m.nth, InstanceID: m.instance, Rack: m.rack, ClientID: m.clientID, ClientHost: m.clientHost,
		RebalanceMs: m.rebalance.Milliseconds(), Topics: m.topics, Regex: m.regex, Assignor: m.assignor,
		Epoch: m.Epoch, Previous: m.Previous, State: m.State, Assigned: storePartitions(m.Assigned), Revoking: storePartitions(m.Revoking),
	}
	for _, p := range sortPartitions(g.target[m.id]) {
		id := hex.EncodeToString(p.Topic[:])
		s.Target = addPartitions(s.Target, id, []int32{p.Index})
	}
	if m.classic != nil {
		s.Classic = &storedClassic{SessionMs: milliseconds(m.classic.session), Local: m.classic.local}
		for _, p := range m.classic.protocols {
			s.Classic.Protocols = append(s.Classic.Protocols, storedProtocol(p))
		}
	}
	return encodeJSON(s)
}

func storePartitions(of map[PartitionID]int32) storedPartitions {
	s := make(storedPartitions)
	for p, epoch := range of {
		id := hex.EncodeToString(p.Topic[:])
		if s[id] == nil {
			s[id] = make(map[int32]int32)
		}
		s[id][p.Index] = epoch
	}
	return s
}

func (s storedPartitions) load() (map[PartitionID]int32, error) {
	of := make(map[PartitionID]int32)
	for text, indexes := range s {
		id, err := topicID(text)
		if err != nil {
			return nil, err
		}
		for i, epoch := range indexes {
			if i < 0 || epoch < 0 {
				return nil, fmt.Errorf("partition %d since epoch %d", i, epoch)
			}
			of[PartitionID{id, i}] = epoch
		}
	}
	return of, nil
}

func topicID(text string) (id [16]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q", text)
	}
	return [16]byte(b), nil
}

// isModern reports whether the stored value of a group is one of the consumer protocol.
func isModern(v []byte) bool {
	var s struct {
		Version int  `json:"version"`
		Kind    Kind `json:"kind"`
	}
	return json.Unmarshal(v, &s) == nil && s.Version >= storedModernVersion && s.Kind == Consumer
}

// RestoreModern returns the group of a stored value, without its members: RestoreMember adds these. What is wrong with v is
// ErrCorruptValue.
func RestoreModern(name string, rules ModernRules, v []byte) (*Modern, error) {
	var s storedModern
	err := json.Unmarshal(v, &s)
	g := NewModern(name, rules)
	g.unstored = false
	if err == nil {
		g.shape, err = strconv.ParseUint(s.Shape, 16, 64)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	case s.Version != storedModernVersion || s.Kind != Consumer:
		return nil, fmt.Errorf("%w: version %d of a %s group", errBadSnapshot, s.Version, s.Kind)
	case s.TargetEpoch < 0 || s.Epoch < s.TargetEpoch:
		return nil, fmt.Errorf("%w: epoch %d, target of epoch %d", errBadSnapshot, s.Epoch, s.TargetEpoch)
	}
	g.epoch, g.targetOf = s.Epoch, s.TargetEpoch
	if s.EmptySince != nil {
		g.emptySince = s.EmptySince.UTC()
	}
	return g, nil
}

// RestoreMember adds a member of a stored value at now: its session begins anew. That of a member in the process that has ended is
// over. What is wrong with v, also because of what other members have, is ErrCorruptValue.
func (g *Modern) RestoreMember(now time.Time, id string, v []byte) error {
	var s storedModernMember
	if err := json.Unmarshal(v, &s); err != nil {
		return fmt.Errorf("%w: member %s: %s", errBadSnapshot, id, err.Error())
	}
	if s.Version != storedMemberVersion {
		return fmt.Errorf("%w: member %s of version %d, this library knows %d", errBadSnapshot, id, s.Version, storedMemberVersion)
	}
	m, err := g.loadMember(id, s)
	if err != nil {
		return fmt.Errorf("%w: member %s: %s", errBadSnapshot, id, err.Error())
	}
	m.deadline = now.Add(m.session(g.rules))
	switch {
	case m.classic != nil && m.classic.local:
		m.deadline = now
	case m.classic == nil && m.State == epochs.Unrevoked:
		m.revokeBy = now.Add(m.rebalance)
	}
	g.joined = max(g.joined, m.nth)
	g.emptySince = time.Time{}
	return nil
}

// loadMember adds a member as it was stored.
func (g *Modern) loadMember(id string, s storedModernMember) (*modernMember, error) {
	m := &modernMember{
		id: id, instance: s.InstanceID, nth: s.Nth, rack: s.Rack, clientID: s.ClientID, clientHost: s.ClientHost,
		topics: nameSet(s.Topics), regex: s.Regex, assignor: s.Assignor,
	}
	assigned, err := s.Assigned.load()
	revoking, err2 := s.Revoking.load()
	for _, err := range []error{err, err2, m.loadTimes(s)} {
		if err != nil {
			return nil, err
		}
	}
	switch {
	case s.Epoch < epochs.AwayEpoch || s.Epoch > g.epoch || s.State > epochs.Unreleased:
		return nil, fmt.Errorf("epoch %d of %d, state %s", s.Epoch, g.epoch, s.State)
	case g.members[id] != nil || m.instance != "" && g.byInstance[m.instance] != nil:
		return nil, fmt.Errorf("it is there twice, or instance %q", m.instance)
	}
	has := epochs.Current[PartitionID]{Epoch: s.Epoch, Previous: s.Previous, State: s.State, Assigned: assigned, Revoking: revoking}
	for _, some := range []map[PartitionID]int32{assigned, revoking} {
		for p := range some {
			if other, ok := g.owners[p]; ok {
				return nil, fmt.Errorf("it has what %s has", other)
			}
		}
	}
	target := make(epochs.Set[PartitionID])
	for text, indexes := range s.Target {
		topic, err := topicID(text)
		if err != nil {
			return nil, err
		}
		for _, i := range indexes {
			target[PartitionID{topic, i}] = struct{}{}
		}
	}
	g.hold(m, has)
	g.target[id], g.members[id] = target, m
	if m.instance != "" {
		g.byInstance[m.instance] = m
	}
	return m, nil
}

func (m *modernMember) loadTimes(s storedModernMember) error {
	if s.RebalanceMs < 0 || s.RebalanceMs > math.MaxInt32 {
		return fmt.Errorf("rebalance timeout of %d ms", s.RebalanceMs)
	}
	m.rebalance = time.Duration(s.RebalanceMs) * time.Millisecond
	if s.Classic == nil {
		return nil
	}
	m.classic = &classicPart{session: duration(s.Classic.SessionMs), local: s.Classic.Local}
	for _, p := range s.Classic.Protocols {
		m.classic.protocols = append(m.classic.protocols, Protocol(p))
	}
	if m.classic.session <= 0 || len(m.classic.protocols) == 0 {
		return fmt.Errorf("session timeout %s, %d protocols", m.classic.session, len(m.classic.protocols))
	}
	return nil
}

// MemberIDs returns the ids of the members, sorted.
func (g *Modern) MemberIDs() []string { return slices.Sorted(maps.Keys(g.members)) }
