// Package acl says who may do what, as Kafka's ACLs do: rules that allow or deny operations on resources, how they are
// matched, and how a store keeps them. Users import package kafka.
package acl

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// Resource is a kind of thing that operations are about. The numbers are those of Kafka's protocol.
type Resource int8

// The kinds of resources. AnyResource is for filters.
const (
	AnyResource     Resource = 1
	Topic           Resource = 2
	Group           Resource = 3
	Cluster         Resource = 4 // its one name is ClusterName
	TransactionalID Resource = 5
	DelegationToken Resource = 6
	User            Resource = 7
)

// ClusterName is the name of the resource that the cluster is.
const ClusterName = "kafka-cluster"

// Pattern is how the name of a rule stands for names of resources.
type Pattern int8

// The patterns. AnyPattern and Match are for filters: Match finds each rule that is about the name.
const (
	AnyPattern Pattern = 1
	Match      Pattern = 2
	Literal    Pattern = 3 // the very name, or Wildcard for all
	Prefixed   Pattern = 4 // what begins with it
)

// Wildcard is, in a rule, the literal name of all resources, the name of all users, and the host of all clients.
const Wildcard = "*"

// EveryUser is the principal of a rule for everybody.
const EveryUser = "User:" + Wildcard

// Operation is what somebody does with a resource.
type Operation int8

// The operations. AnyOperation is for filters, and All, in a rule, stands for each.
const (
	AnyOperation    Operation = 1
	All             Operation = 2
	Read            Operation = 3
	Write           Operation = 4
	Create          Operation = 5
	Delete          Operation = 6
	Alter           Operation = 7
	Describe        Operation = 8
	ClusterAction   Operation = 9
	DescribeConfigs Operation = 10
	AlterConfigs    Operation = 11
	IdempotentWrite Operation = 12
	CreateTokens    Operation = 13
	DescribeTokens  Operation = 14
	TwoPhaseCommit  Operation = 15
)

// Permission is what a rule says of its operation.
type Permission int8

// The permissions. AnyPermission is for filters.
const (
	AnyPermission Permission = 1
	Deny          Permission = 2
	Allow         Permission = 3
)

// The names of the kinds, as Kafka's tools print them. What is not here does not exist.
var (
	resources = map[Resource]string{
		AnyResource: "ANY", Topic: "TOPIC", Group: "GROUP", Cluster: "CLUSTER", TransactionalID: "TRANSACTIONAL_ID",
		DelegationToken: "DELEGATION_TOKEN", User: "USER",
	}
	patterns   = map[Pattern]string{AnyPattern: "ANY", Match: "MATCH", Literal: "LITERAL", Prefixed: "PREFIXED"}
	operations = map[Operation]string{
		AnyOperation: "ANY", All: "ALL", Read: "READ", Write: "WRITE", Create: "CREATE", Delete: "DELETE", Alter: "ALTER",
		Describe: "DESCRIBE", ClusterAction: "CLUSTER_ACTION", DescribeConfigs: "DESCRIBE_CONFIGS", AlterConfigs: "ALTER_CONFIGS",
		IdempotentWrite: "IDEMPOTENT_WRITE", CreateTokens: "CREATE_TOKENS", DescribeTokens: "DESCRIBE_TOKENS", TwoPhaseCommit: "TWO_PHASE_COMMIT",
	}
	permissions = map[Permission]string{AnyPermission: "ANY", Deny: "DENY", Allow: "ALLOW"}
)

// String returns the name that Kafka has for it.
func (r Resource) String() string { return nameOf(resources, r) }

// String returns the name that Kafka has for it.
func (p Pattern) String() string { return nameOf(patterns, p) }

// String returns the name that Kafka has for it.
func (o Operation) String() string { return nameOf(operations, o) }

// String returns the name that Kafka has for it.
func (p Permission) String() string { return nameOf(permissions, p) }

// Operations returns the names of the operations that a rule can have, with commas, in the order of Kafka's numbers.
func Operations() string { return listed(operations) }

// Resources returns the names of the kinds of resources that a rule can have, as Operations does.
func Resources() string { return listed(resources) }

func listed[K ~int8](names map[K]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if k > 1 { // 1 is any
			all = append(all, names[k])
		}
	}
	return strings.Join(all, ", ")
}

// ParseOperation returns the operation of that name, in whatever case, of those that a rule can have.
func ParseOperation(name string) (Operation, bool) { return parse(operations, name) }

// ParseResource returns the kind of resources of that name, in whatever case, of those that a rule can have.
func ParseResource(name string) (Resource, bool) { return parse(resources, name) }

func parse[K ~int8](names map[K]string, name string) (K, bool) {
	for k, n := range names {
		if k > 1 && strings.EqualFold(n, name) { // 1 is any
			return k, true
		}
	}
	return 0, false
}

func nameOf[K ~int8](names map[K]string, k K) string {
	if name, ok := names[k]; ok {
		return name
	}
	return fmt.Sprintf("UNKNOWN(%d)", int8(k))
}

// Rule is an ACL: whether who is Principal, and comes from Host, may do Operation with the resources that Name, by
// Pattern, stands for. Two rules with the same fields are one.
type Rule struct {
	Resource   Resource
	Name       string // not empty; of a Cluster it is ClusterName
	Pattern    Pattern
	Principal  string // TYPE:NAME, or EveryUser
	Host       string // an IP address, a range of them (10.0.0.0/8), or Wildcard
	Operation  Operation
	Permission Permission
}

// String returns the rule in words.
func (r Rule) String() string {
	return fmt.Sprintf("%s %s from %s %s on %s %s %q", r.Permission, r.Principal, r.Host, r.Operation, r.Resource, r.Pattern, r.Name)
}

// Limits of a rule, in bytes.
const (
	maxName      = 512
	maxPrincipal = 1 << 10
)

// Check refuses what cannot be a rule: ErrInvalid, as Kafka does (AclControlManager.validateNewAcl). Longer names and
// principals than any that there can be are refused too, which Kafka takes.
func (r Rule) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w ACL: %s", log.ErrInvalid, fmt.Sprintf(format, args...))
	}
	_, host := r.hosts()
	switch {
	case r.Resource < Topic || r.Resource > User:
		return bad("invalid resource type %s", r.Resource)
	case r.Pattern != Literal && r.Pattern != Prefixed:
		return bad("invalid pattern type %s", r.Pattern)
	case r.Operation < All || r.Operation > TwoPhaseCommit:
		return bad("invalid operation %s", r.Operation)
	case r.Permission != Allow && r.Permission != Deny:
		return bad("invalid permission %s", r.Permission)
	case r.Name == "":
		return bad("invalid empty resource name")
	case len(r.Name) > maxName || len(r.Principal) > maxPrincipal:
		return bad("a name of %d bytes and a principal of %d, at most %d and %d", len(r.Name), len(r.Principal), maxName, maxPrincipal)
	case r.Resource == Cluster && r.Name != ClusterName:
		return bad("the only valid name for the CLUSTER resource is %s", ClusterName)
	case !strings.Contains(r.Principal, ":"):
		return bad("could not parse principal from %q, want TYPE:NAME", r.Principal)
	case r.Host == "":
		return bad("the host pattern is empty")
	case host != nil:
		return bad("invalid host %q: %v", r.Host, host)
	}
	return nil
}

// hosts returns the addresses that the rule is about, the zero prefix for one that never is: a name of a host is none,
// as in Kafka, which takes it all the same. An error is a range that is none.
func (r Rule) hosts() (netip.Prefix, error) {
	if strings.Contains(r.Host, "/") {
		p, err := netip.ParsePrefix(r.Host)
		if mapped := 128 - 32; p.Addr().Is4In6() && p.Bits() >= mapped { // addresses of clients are told as those of IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
		}
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(r.Host)
	if err != nil {
		return netip.Prefix{}, nil
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// compare orders rules by what they are about.
func compare(a, b Rule) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Pattern, b.Pattern),
		cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Permission, b.Permission))
}

// Filter finds rules: those whose fields are its own, where it has one. Zero numbers and nil mean any, as the numbers
// for any do.
type Filter struct {
	Resource   Resource
	Name       *string
	Pattern    Pattern // with Match those that a resource called Name meets: literal, Wildcard, prefixed
	Principal  *string
	Host       *string
	Operation  Operation
	Permission Permission
}

// Matches reports whether the filter finds r (Kafka's AclBindingFilter).
func (f Filter) Matches(r Rule) bool {
	same := func(want *string, is string) bool { return want == nil || *want == is }
	return (f.Resource <= AnyResource || f.Resource == r.Resource) && f.names(r) &&
		same(f.Principal, r.Principal) && same(f.Host, r.Host) &&
		(f.Operation <= AnyOperation || f.Operation == r.Operation) && (f.Permission <= AnyPermission || f.Permission == r.Permission)
}

func (f Filter) names(r Rule) bool {
	switch {
	case f.Pattern != Match:
		return (f.Pattern <= AnyPattern || f.Pattern == r.Pattern) && (f.Name == nil || *f.Name == r.Name)
	case f.Name == nil:
		return true
	case r.Pattern == Literal:
		return r.Name == *f.Name || r.Name == Wildcard
	}
	return strings.HasPrefix(*f.Name, r.Name)
}

// Check refuses a filter for what does not exist: ErrInvalid.
func (f Filter) Check() error {
	if f.Resource > User || f.Pattern > Prefixed || f.Operation > TwoPhaseCommit || f.Permission > Allow ||
		f.Resource < 0 || f.Pattern < 0 || f.Operation < 0 || f.Permission < 0 {
		return fmt.Errorf("%w filter of ACLs: it asks for what does not exist", log.ErrInvalid)
	}
	return nil
}

// operations returns what the operations of a resource are, in the order of their numbers (Kafka's AclEntry.supportedOperations).
func (r Resource) operations() []Operation {
	switch r {
	case Topic:
		return []Operation{Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs}
	case Group:
		return []Operation{Read, Delete, Describe, DescribeConfigs, AlterConfigs}
	case Cluster:
		return []Operation{Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite}
	}
	return nil
}

// implied are the operations that who may do the key may do too, as far as a rule allows it; one that denies is about
// its own operation.
var implied = map[Operation]Operation{Read: Describe, Write: Describe, Delete: Describe, Alter: Describe, AlterConfigs: DescribeConfigs}

// is reports whether the rule is about the operation.
func (r Rule) is(op Operation) bool {
	return r.Operation == op || r.Operation == All || r.Permission == Allow && implied[r.Operation] == op
}

// sorted returns rules in order, each once.
func sorted(rules []Rule) []Rule {
	rules = slices.Clone(rules)
	slices.SortFunc(rules, compare)
	return slices.Compact(rules)
}
