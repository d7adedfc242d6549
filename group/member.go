package group

import (
	"bytes"
	"slices"
	"time"
)

// member is one member of a group.
type member struct {
	id                   string
	instance             string // "" for a dynamic member
	clientID, clientHost string
	session, rebalance   time.Duration
	protocols            []Protocol // never empty
	assignment           []byte     // of the current generation; nil until the leader has synced

	// deadline ends the session. It does not count while the member waits: who waits in
	// a call is alive, and who went away is cancelled.
	deadline time.Time
	local    bool   // is in the broker's process
	join     Ticket // the Join that waits, 0 for none; not 0 only in PreparingRebalance
	sync     Ticket // the Sync that waits, 0 for none; not 0 only in CompletingRebalance
	due      bool   // was told of the current generation and has not synced in it
	told     bool   // knows its id
}

func (m *member) static() bool  { return m.instance != "" }
func (m *member) waiting() bool { return m.join != 0 || m.sync != 0 }

// alive restarts the session.
func (m *member) alive(now time.Time) { m.deadline = now.Add(m.session) }

func (m *member) expired(now time.Time) bool {
	return !m.waiting() && !now.Before(m.deadline)
}

// update takes over what the member says about itself.
func (m *member) update(req JoinRequest) {
	m.clientID, m.clientHost, m.local = req.ClientID, req.ClientHost, req.Local
	m.session, m.rebalance = req.SessionTimeout, req.RebalanceTimeout
	if m.rebalance <= 0 {
		m.rebalance = m.session
	}
	m.protocols = slices.Clone(req.Protocols)
}

func (m *member) supports(protocol string) bool {
	return slices.ContainsFunc(m.protocols, func(p Protocol) bool { return p.Name == protocol })
}

// metadata returns what the member says under the protocol, nil if it does not support it.
func (m *member) metadata(protocol string) []byte { return metadata(m.protocols, protocol) }

func metadata(protocols []Protocol, name string) []byte {
	for _, p := range protocols {
		if p.Name == name {
			return p.Metadata
		}
	}
	return nil
}

func sameProtocols(a, b []Protocol) bool {
	return slices.EqualFunc(a, b, func(p, q Protocol) bool {
		return p.Name == q.Name && bytes.Equal(p.Metadata, q.Metadata)
	})
}

// consumerType is the protocol type of consumers, whose metadata the group can read.
const consumerType = "consumer"

// sameSubscription says whether two metadata want the same topics. A consumer that comes
// back owns nothing and says so in its metadata, which must not count as a change;
// metadata of other types is compared as a whole.
func sameSubscription(protocolType string, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if protocolType != consumerType {
		return false
	}
	subscribed, errA := DecodeSubscription(a)
	wanted, errB := DecodeSubscription(b)
	return errA == nil && errB == nil && slices.Equal(nameSet(subscribed.Topics), nameSet(wanted.Topics))
}

// nameSet returns the names in order, each once.
func nameSet(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
