package group

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Snapshot is what survives a restart of the broker. Dynamic members are not part of it:
// most of them die with the process they share with the broker, and nobody should have to
// wait until their sessions end. Those that live are told ErrUnknownMember and join anew.
type Snapshot struct {
	Generation                 int32
	ProtocolType, ProtocolName string
	Leader                     string
	Stable                     bool      // the static members are all there are, and have their assignments
	EmptySince                 time.Time // zero if there are members, or never were any
	Members                    []StaticMember
}

// StaticMember is a member that keeps its place over a restart, its own or the broker's.
type StaticMember struct {
	ID, InstanceID                   string
	ClientID, ClientHost             string
	SessionTimeout, RebalanceTimeout time.Duration
	Protocols                        []Protocol
	Assignment                       []byte
}

// Snapshot returns what Restore needs.
func (g *Group) Snapshot() Snapshot {
	s := Snapshot{
		Generation:   g.generation,
		ProtocolType: g.protocolType,
		ProtocolName: g.protocolName,
		Leader:       g.leader,
		Stable:       g.state == Stable && len(g.members) == len(g.byInstance),
		EmptySince:   g.emptySince,
	}
	for _, m := range g.members {
		if m.static() {
			s.Members = append(s.Members, StaticMember{
				ID:               m.id,
				InstanceID:       m.instance,
				ClientID:         m.clientID,
				ClientHost:       m.clientHost,
				SessionTimeout:   m.session,
				RebalanceTimeout: m.rebalance,
				Protocols:        slices.Clone(m.protocols),
				Assignment:       m.assignment,
			})
		}
	}
	return s
}

// Restore returns the group of a valid snapshot after a restart at now, in its old generation:
//
//   - without static members, Empty;
//   - with static members only, and all of them assigned, Stable: they go on as if nothing
//     had happened;
//   - else PreparingRebalance: some partitions belong to members that are gone, or nobody was
//     told yet who gets them. The static members learn it with their next heartbeat, keep their
//     partitions and may commit until they have rejoined.
//
// Sessions and phases begin anew. A group that became Empty by losing its dynamic members is
// so since now; store its Snapshot if that is to outlast the next restart.
func Restore(now time.Time, name string, rules Rules, s Snapshot) *Group {
	g := NewGroup(name, rules)
	g.generation, g.protocolType = s.Generation, s.ProtocolType
	if len(s.Members) == 0 {
		if g.emptySince = s.EmptySince; s.Generation > 0 && g.emptySince.IsZero() {
			g.emptySince = now
		}
		return g
	}
	for _, sm := range s.Members {
		m := &member{
			id:         sm.ID,
			instance:   sm.InstanceID,
			clientID:   sm.ClientID,
			clientHost: sm.ClientHost,
			session:    sm.SessionTimeout,
			rebalance:  sm.RebalanceTimeout,
			protocols:  slices.Clone(sm.Protocols),
			assignment: sm.Assignment,
			told:       true,
		}
		m.alive(now)
		g.members = append(g.members, m)
		g.byID[m.id], g.byInstance[m.instance] = m, m
	}
	g.protocolName = s.ProtocolName
	if g.leader = s.Leader; g.byID[g.leader] == nil {
		g.leader = g.members[0].id
	}
	if s.Stable {
		g.state = Stable
		return g
	}
	g.state, g.why = PreparingRebalance, "the broker was opened again"
	g.joinDeadline = now.Add(g.rebalanceTimeout())
	return g
}

// storedGroup is a Snapshot in the store, as JSON: it is written seldom and a person may
// have to read it. Bytes are in base64, timeouts in milliseconds.
type storedGroup struct {
	Version      int            `json:"version"`
	Generation   int32          `json:"generation"`
	ProtocolType string         `json:"protocolType,omitempty"`
	ProtocolName string         `json:"protocolName,omitempty"`
	Leader       string         `json:"leader,omitempty"`
	Stable       bool           `json:"stable,omitempty"`
	EmptySince   *time.Time     `json:"emptySince,omitempty"`
	Members      []storedMember `json:"members,omitempty"`
}

type storedMember struct {
	ID          string           `json:"id"`
	InstanceID  string           `json:"instanceId"`
	ClientID    string           `json:"clientId,omitempty"`
	ClientHost  string           `json:"clientHost,omitempty"`
	SessionMs   int64            `json:"sessionMs"`
	RebalanceMs int64            `json:"rebalanceMs"`
	Protocols   []storedProtocol `json:"protocols"`
	Assignment  []byte           `json:"assignment,omitempty"`
}

type storedProtocol struct {
	Name     string `json:"name"`
	Metadata []byte `json:"metadata,omitempty"`
}

const storedGroupVersion = 1

// Encode returns the snapshot's stored form.
func (s Snapshot) Encode() []byte {
	stored := storedGroup{
		Version:      storedGroupVersion,
		Generation:   s.Generation,
		ProtocolType: s.ProtocolType,
		ProtocolName: s.ProtocolName,
		Leader:       s.Leader,
		Stable:       s.Stable,
	}
	if !s.EmptySince.IsZero() {
		at := s.EmptySince.UTC()
		stored.EmptySince = &at
	}
	for _, m := range s.Members {
		sm := storedMember{
			ID:          m.ID,
			InstanceID:  m.InstanceID,
			ClientID:    m.ClientID,
			ClientHost:  m.ClientHost,
			SessionMs:   milliseconds(m.SessionTimeout),
			RebalanceMs: milliseconds(m.RebalanceTimeout),
			Assignment:  m.Assignment,
		}
		for _, p := range m.Protocols {
			sm.Protocols = append(sm.Protocols, storedProtocol(p))
		}
		stored.Members = append(stored.Members, sm)
	}
	v, err := json.Marshal(stored)
	if err != nil {
		panic("group: plain data does not encode: " + err.Error())
	}
	return v
}

// milliseconds is never 0 for what is more than 0.
func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

// duration is 0, which is not valid, for what is out of range.
func duration(ms int64) time.Duration {
	if ms < 1 || ms > math.MaxInt64/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

var errBadSnapshot = fmt.Errorf("%w: group snapshot", log.ErrCorruptValue)

// DecodeSnapshot undoes Encode. A snapshot that it returns can be restored. What is wrong with
// v is ErrCorruptValue.
func DecodeSnapshot(v []byte) (Snapshot, error) {
	var stored storedGroup
	if err := json.Unmarshal(v, &stored); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	if stored.Version != storedGroupVersion {
		return Snapshot{}, fmt.Errorf("%w: version %d, this library knows %d", errBadSnapshot, stored.Version, storedGroupVersion)
	}
	s := Snapshot{
		Generation:   stored.Generation,
		ProtocolType: stored.ProtocolType,
		ProtocolName: stored.ProtocolName,
		Leader:       stored.Leader,
		Stable:       stored.Stable,
	}
	if stored.EmptySince != nil {
		s.EmptySince = stored.EmptySince.UTC()
	}
	for _, sm := range stored.Members {
		m := StaticMember{
			ID:               sm.ID,
			InstanceID:       sm.InstanceID,
			ClientID:         sm.ClientID,
			ClientHost:       sm.ClientHost,
			SessionTimeout:   duration(sm.SessionMs),
			RebalanceTimeout: duration(sm.RebalanceMs),
			Assignment:       sm.Assignment,
		}
		for _, p := range sm.Protocols {
			m.Protocols = append(m.Protocols, Protocol(p))
		}
		s.Members = append(s.Members, m)
	}
	if err := s.validate(); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	return s, nil
}

// validate checks what the state machine takes for granted.
func (s Snapshot) validate() error {
	if s.Generation < 0 {
		return fmt.Errorf("generation %d", s.Generation)
	}
	if year := s.EmptySince.Year(); year < 1 || year > 9999 {
		return fmt.Errorf("empty since %s", s.EmptySince) // JSON knows no other years
	}
	ids, instances := make(map[string]bool), make(map[string]bool)
	common := make(map[string]int)
	for _, m := range s.Members {
		if m.ID == "" || m.InstanceID == "" || ids[m.ID] || instances[m.InstanceID] {
			return fmt.Errorf("member %q, instance %q", m.ID, m.InstanceID)
		}
		ids[m.ID], instances[m.InstanceID] = true, true
		if m.SessionTimeout <= 0 || m.RebalanceTimeout <= 0 {
			return fmt.Errorf("member %s: session timeout %s, rebalance timeout %s", m.ID, m.SessionTimeout, m.RebalanceTimeout)
		}
		seen := make(map[string]bool)
		for _, p := range m.Protocols {
			if !seen[p.Name] {
				common[p.Name]++
			}
			seen[p.Name] = true
		}
	}
	if len(s.Members) == 0 {
		if s.Stable {
			return errors.New("stable without members")
		}
		return nil
	}
	shared := false
	for _, n := range common {
		shared = shared || n == len(s.Members)
	}
	switch {
	case s.ProtocolType == "" || !shared:
		return errors.New("members without a common protocol")
	case s.Stable && (common[s.ProtocolName] != len(s.Members) || !ids[s.Leader]):
		return fmt.Errorf("stable with protocol %q, leader %q", s.ProtocolName, s.Leader)
	}
	return nil
}
