package acl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive is what Allows is to say: StandardAuthorizer's rules, one by one.
func naive(rules []Rule, who Subject, op Operation, r Resource, name string, otherwise bool) bool {
	met, allowed := false, false
	for _, rule := range rules {
		about := rule.Resource == r && (rule.Pattern == Prefixed && strings.HasPrefix(name, rule.Name) || rule.Pattern == Literal && (rule.Name == name || rule.Name == "*"))
		if !about {
			continue
		}
		met = true
		if rule.Principal != who.Principal && rule.Principal != "User:*" {
			continue
		}
		if rule.Host != "*" && rule.Host != who.Host.String() {
			if p, err := netip.ParsePrefix(rule.Host); err != nil || !p.Contains(who.Host) {
				continue
			}
		}
		same := rule.Operation == All || rule.Operation == op
		switch {
		case rule.Permission == Deny && same:
			return false
		case rule.Permission == Deny:
		case same, op == Describe && slices.Contains([]Operation{Read, Write, Delete, Alter}, rule.Operation), op == DescribeConfigs && rule.Operation == AlterConfigs:
			allowed = true
		}
	}
	return allowed || !met && otherwise
}

// What rules, subjects and names of tests are made of: few enough that they meet.
var (
	names      = []string{"a", "ab", "abc", "b", "*", "*a", "hardcode"}
	principals = []string{"User:alice", "User:bob", "User:*", "Role:alice"}
	hosts      = []string{"*", "10.0.0.1", "10.0.0.0/8", "10.0.0.2", "no.address", "::1"}
	addresses  = []string{"10.0.0.1", "10.0.0.2", "192.168.0.1", "::1"}
	opsOfTests = []Operation{All, Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs}
)

func drawRule(t *rapid.T) Rule {
	return Rule{
		Resource: rapid.SampledFrom([]Resource{Topic, Topic, Group}).Draw(t, "resource"), Name: rapid.SampledFrom(names).Draw(t, "name"),
		Pattern:   rapid.SampledFrom([]Pattern{Literal, Prefixed}).Draw(t, "pattern"),
		Principal: rapid.SampledFrom(principals).Draw(t, "principal"), Host: rapid.SampledFrom(hosts).Draw(t, "host"),
		Operation: rapid.SampledFrom(opsOfTests).Draw(t, "operation"), Permission: rapid.SampledFrom([]Permission{Allow, Allow, Deny}).Draw(t, "permission"),
	}
}

// A set says of any rules what they say one by one, and of a kind of resources at least what it says of one that there is.
func TestAllowsIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 0, 8).Draw(t, "rules")
		s := NewSet(rules)
		otherwise := rapid.Bool().Draw(t, "otherwise")
		for _, p := range principals[:2] {
			for _, a := range addresses {
				who := Subject{p, netip.MustParseAddr(a)}
				for _, name := range append(names, "abcd", "*b") {
					for _, op := range opsOfTests[1:] {
						for _, r := range []Resource{Topic, Group, TransactionalID} {
							want := naive(rules, who, op, r, name, otherwise)
							if got := s.Allows(who, op, r, name, otherwise); got != want {
								t.Fatalf("%v, %s on %s %q: %t, want %t; rules %v, else %t", who, op, r, name, got, want, rules, otherwise)
							}
						}
					}
				}
			}
		}
	})
}

// Filters find what their fields say, and Match what is about a name.
func TestFilterIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		name := rapid.SampledFrom(names).Draw(t, "wanted name")
		about := Filter{Resource: r.Resource, Name: &name, Pattern: Match}
		meets := r.Name == name || r.Pattern == Literal && r.Name == "*" || r.Pattern == Prefixed && strings.HasPrefix(name, r.Name)
		if about.Matches(r) != meets {
			t.Fatalf("%v and the name %q: %t, want %t", r, name, !meets, meets)
		}
		own := Filter{r.Resource, &r.Name, r.Pattern, &r.Principal, &r.Host, r.Operation, r.Permission}
		if !own.Matches(r) || !(Filter{}).Matches(r) || !(Filter{AnyResource, nil, AnyPattern, nil, nil, AnyOperation, AnyPermission}).Matches(r) {
			t.Fatalf("%v does not find itself", r)
		}
		other := drawRule(t)
		if own.Matches(other) != (other == r) {
			t.Fatalf("the filter of %v and %v", r, other)
		}
		if got := NewSet([]Rule{r, other, r}).Rules(own); len(got) != 1 || got[0] != r {
			t.Fatalf("found %v", got)
		}
	})
}
