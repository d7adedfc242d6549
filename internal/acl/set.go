package acl

import (
	"net/netip"
	"slices"
	"strings"
)

// Subject is who asks, and from where.
type Subject struct {
	Principal string     // TYPE:NAME
	Host      netip.Addr // the zero Addr is on no list but that of all hosts
}

// Set is rules that do not change, as they are looked up. The zero value, and nil, have none. Its methods may be called
// by anybody at any time.
type Set struct {
	rules  []Rule // in order
	byName map[Resource]*named
	broken bool // a rule is lost, which may have denied: nobody may do anything
}

// named is the rules about a kind of resources.
type named struct {
	literal  map[string][]entry // by name; those of Wildcard are of all
	prefixed map[string][]entry // by prefix
	lengths  []int              // of those prefixes, rising
}

// entry is a rule, and the addresses that it is about.
type entry struct {
	Rule
	hosts netip.Prefix
}

// NewSet returns the set of these rules, which Check takes.
func NewSet(rules []Rule) *Set {
	s := &Set{rules: sorted(rules), byName: make(map[Resource]*named)}
	for _, r := range s.rules {
		n := s.byName[r.Resource]
		if n == nil {
			n = &named{literal: make(map[string][]entry), prefixed: make(map[string][]entry)}
			s.byName[r.Resource] = n
		}
		e := entry{Rule: r}
		e.hosts, _ = r.hosts()
		if r.Pattern == Literal {
			n.literal[r.Name] = append(n.literal[r.Name], e)
			continue
		}
		n.prefixed[r.Name] = append(n.prefixed[r.Name], e)
		if i, ok := slices.BinarySearch(n.lengths, len(r.Name)); !ok {
			n.lengths = slices.Insert(n.lengths, i, len(r.Name))
		}
	}
	return s
}

// Rules returns those of the set that f finds, in order.
func (s *Set) Rules(f Filter) []Rule {
	var found []Rule
	if s == nil {
		return nil
	}
	for _, r := range s.rules {
		if f.Matches(r) {
			found = append(found, r)
		}
	}
	return found
}

// verdict is what rules say about an operation.
type verdict struct{ denied, allowed, met bool } // met: there is a rule about the resource, whoever it is for

// Allows reports whether the rules let who do op with the resource of that name: a rule that denies goes before all that
// allow, and without either nobody may, unless no rule is about the resource at all and otherwise says yes.
func (s *Set) Allows(who Subject, op Operation, r Resource, name string, otherwise bool) bool {
	if s == nil {
		return otherwise
	}
	if s.broken {
		return false
	}
	n := s.byName[r]
	if n == nil {
		return otherwise
	}
	var v verdict
	v.add(n.literal[name], who, op)
	v.add(n.literal[Wildcard], who, op)
	for _, length := range n.lengths {
		if length > len(name) {
			break
		}
		v.add(n.prefixed[name[:length]], who, op)
	}
	if v.denied || v.allowed || v.met {
		return v.allowed && !v.denied
	}
	return otherwise
}

func (v *verdict) add(rules []entry, who Subject, op Operation) {
	for i := range rules {
		v.met = true
		if e := &rules[i]; e.is(op) && e.concerns(who) {
			v.denied = v.denied || e.Permission == Deny
			v.allowed = v.allowed || e.Permission == Allow
		}
	}
}

// concerns reports whether the rule is for who.
func (e *entry) concerns(who Subject) bool {
	return (e.Principal == who.Principal || e.Principal == EveryUser) && (e.Host == Wildcard || e.hosts.IsValid() && e.hosts.Contains(who.Host))
}

// hardcode is the name of a resource that Kafka asks for in place of any.
const hardcode = "hardcode"

// AllowsAny reports whether the rules let who do op with any resource of a kind: there is one that they allow and
// do not deny. It is Kafka's authorizeByResourceType, with what that leaves out: what an operation implies does not count,
// and a rule that allows all names is not asked what others deny.
func (s *Set) AllowsAny(who Subject, op Operation, r Resource, otherwise bool) bool {
	if s.Allows(who, op, r, hardcode, otherwise) {
		return true
	}
	if s == nil || s.broken || s.byName[r] == nil {
		return false
	}
	var allow, deny []Rule
	for _, rule := range s.rules {
		if rule.Resource != r || rule.Operation != op && rule.Operation != All || rule.Principal != who.Principal && rule.Principal != EveryUser {
			continue
		}
		e := entry{Rule: rule}
		if e.hosts, _ = rule.hosts(); !e.concerns(who) {
			continue
		}
		if rule.Permission == Deny {
			deny = append(deny, rule)
		} else {
			allow = append(allow, rule)
		}
	}
	isWildcard := func(r Rule) bool { return r.Pattern == Literal && r.Name == Wildcard }
	if slices.ContainsFunc(deny, isWildcard) {
		return false
	}
	return slices.ContainsFunc(allow, func(a Rule) bool {
		return isWildcard(a) || !slices.ContainsFunc(deny, func(d Rule) bool {
			if d.Pattern == Literal {
				return a.Pattern == Literal && a.Name == d.Name
			}
			return strings.HasPrefix(a.Name, d.Name)
		})
	})
}

// Operations returns those that the rules let who do with a resource, as bits by their numbers.
func (s *Set) Operations(who Subject, r Resource, name string, otherwise bool) (bits int32) {
	for _, op := range r.operations() {
		if s.Allows(who, op, r, name, otherwise) {
			bits |= 1 << op
		}
	}
	return bits
}

// Every returns all operations of a kind of resources, as bits by their numbers.
func (r Resource) Every() (bits int32) {
	for _, op := range r.operations() {
		bits |= 1 << op
	}
	return bits
}
