// Package quota limits what clients may take of a broker, as Kafka's client quotas do: which limit a client has, how long it
// is to be still once it has taken more, and how a store keeps the limits. Users import package kafka.
package quota

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// The types of the parts of an entity.
const (
	User     = "user"
	ClientID = "client-id"
	IP       = "ip"
)

// Part is a part of an entity: a name, or the default for all that have no limit of their own.
type Part struct {
	Type    string
	Name    string
	Default bool
}

// Entity is who has limits: a user, a client id, both, or an address. Its parts are in the order of their types, each of
// which is there once.
type Entity []Part

// NewEntity returns the entity of these parts, or ErrInvalid, as Kafka says it (ClientQuotaControlManager).
func NewEntity(parts ...Part) (Entity, error) {
	bad := func(format string, args ...any) (Entity, error) {
		return nil, fmt.Errorf("%w quota entity: %s", log.ErrInvalid, fmt.Sprintf(format, args...))
	}
	e := slices.Clone(Entity(parts))
	slices.SortFunc(e, func(a, b Part) int { return strings.Compare(a.Type, b.Type) })
	has := make(map[string]bool)
	for _, p := range e {
		switch {
		case p.Type != User && p.Type != ClientID && p.Type != IP:
			return bad("unhandled client quota entity type: %s", p.Type)
		case has[p.Type]:
			return bad("duplicate entity entry %s", p.Type)
		case !utf8.ValidString(p.Name):
			return bad("%s %q is no text", p.Type, p.Name)
		case p.Name == "" && !p.Default:
			return bad("empty %s not supported", p.Type)
		case p.Type == IP && !p.Default && net.ParseIP(p.Name) == nil:
			return bad("%s is not a valid IP", p.Name)
		}
		has[p.Type] = true
	}
	switch {
	case len(e) == 0:
		return bad("it is empty")
	case has[IP] && len(e) > 1:
		return bad("IP entity should not be combined with User or ClientId")
	case len(e.key()) > store.MaxQuotaEntity:
		return bad("it is too long")
	}
	return e, nil
}

// key is the entity as text, which no other has.
func (e Entity) key() string {
	var b strings.Builder
	for _, p := range e {
		if p.Default {
			fmt.Fprintf(&b, "%s;", p.Type)
		} else {
			fmt.Fprintf(&b, "%s=%q;", p.Type, p.Name)
		}
	}
	return b.String()
}

// part returns the part of a type.
func (e Entity) part(of string) (Part, bool) {
	i := slices.IndexFunc(e, func(p Part) bool { return p.Type == of })
	if i < 0 {
		return Part{}, false
	}
	return e[i], true
}

// The limits that there are.
const (
	ProduceBytes       = "producer_byte_rate"       // a second, of requests
	FetchBytes         = "consumer_byte_rate"       // a second, of answers
	RequestPercent     = "request_percentage"       // of the time of one thread
	ControllerMutation = "controller_mutation_rate" // partitions that are created and deleted, a second
	Connections        = "connection_creation_rate" // of an address, a second
)

// Limits are the limits of an entity, by name.
type Limits map[string]float64

// check refuses what cannot be a limit of the entity, as Kafka does: ErrInvalid.
func (e Entity) check(name string, value float64) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w quota: %s", log.ErrInvalid, fmt.Sprintf(format, args...))
	}
	_, ip := e.part(IP)
	whole := name == ProduceBytes || name == FetchBytes || name == Connections
	switch {
	case ip != (name == Connections), name != RequestPercent && name != ControllerMutation && !whole:
		return bad("invalid configuration key %s", name)
	case math.IsNaN(value) || math.IsInf(value, 0):
		return bad("%s must be a finite number", name)
	case value <= 0:
		return bad("%s must be greater than 0", name)
	case name == Connections && value > math.MaxInt32, value > math.MaxInt64 && whole:
		return bad("the value of %s is too large", name)
	case whole && math.Abs(math.Mod(value, 1)) > 1e-6:
		return bad("%s cannot be a fractional value", name)
	}
	return nil
}

// Table is the limits of all entities, which do not change. nil has none.
type Table struct {
	entries map[string]Entry // by the entity's key
	has     map[string]bool  // limits that some entity has

	addresses map[netip.Addr]float64 // Connections of each that has its own; the zero Addr is the default
}

// Entry is an entity and its limits.
type Entry struct {
	Entity Entity
	Limits Limits
}

func newTable(entries map[string]Entry) *Table {
	t := &Table{entries: entries, has: make(map[string]bool), addresses: make(map[netip.Addr]float64)}
	for _, e := range entries {
		for name := range e.Limits {
			t.has[name] = true
		}
		if value, ok := e.Limits[Connections]; ok {
			address, _ := netip.ParseAddr(e.Entity[0].Name) // the zero Addr of the default
			address = address.Unmap()
			if before, again := t.addresses[address]; !again || value < before { // one address may be written in two ways
				t.addresses[address] = value
			}
		}
	}
	return t
}

// ofAddress returns how many connections a second an address may make. ok is false without a limit, and for the zero Addr.
func (t *Table) ofAddress(address netip.Addr) (value float64, ok bool) {
	if !t.Has(Connections) || !address.IsValid() {
		return 0, false
	}
	value, ok = t.addresses[address]
	if !ok {
		value, ok = t.addresses[netip.Addr{}]
	}
	return value, ok
}

// Has reports whether some entity has a limit of that name.
func (t *Table) Has(limit string) bool { return t != nil && t.has[limit] }

// Any reports whether some entity has a limit.
func (t *Table) Any() bool { return t != nil && len(t.entries) > 0 }

// Entries returns all entities that have limits, in the order of their keys.
func (t *Table) Entries() []Entry {
	if t == nil {
		return nil
	}
	var all []Entry
	for _, e := range t.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Entity.key(), b.Entity.key()) })
	return all
}

// precedence is where the limit of a client is looked for, the first that has it counts (ClientQuotaManager). shares says
// which clients take from the same: all of the user, all of the client id, or those of both.
var precedence = []struct {
	user, client string // "name", "default", or "" for an entity without
	shares       string
}{
	{"name", "name", "both"}, {"name", "default", "both"}, {"name", "", "user"},
	{"default", "name", "both"}, {"default", "default", "both"}, {"default", "", "user"},
	{"", "name", "client"}, {"", "default", "client"},
}

// Of returns the limit of that name of a client, and the key of those that take from it together. ok is false without one.
func (t *Table) Of(limit, user, client string) (value float64, together string, ok bool) {
	if !t.Has(limit) {
		return 0, "", false
	}
	for _, p := range precedence {
		var e Entity
		if p.client != "" {
			e = append(e, Part{Type: ClientID, Name: client, Default: p.client == "default"})
		}
		if p.user != "" {
			e = append(e, Part{Type: User, Name: user, Default: p.user == "default"})
		}
		value, ok := t.entries[e.key()].Limits[limit]
		if !ok {
			continue
		}
		switch p.shares {
		case "user":
			client = ""
		case "client":
			user = ""
		}
		return value, meterKey(limit, user, client), true
	}
	return 0, "", false
}

// meterKey is the key of those that take from the same limit. It is short, for names that are not: clients choose their ids, also before
// they have logged in, and maxMeters of the keys are kept.
func meterKey(limit, user, client string) string {
	if len(user)+len(client) > sha256.Size {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", user, client))
		return limit + " " + string(sum[:])
	}
	return fmt.Sprintf("%s %q %q", limit, user, client)
}
