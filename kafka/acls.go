package kafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/acl"
)

// ACL is one ACL: who may, or may not, do what. Names are Kafka's, in whatever case.
type ACL struct {
	Principal string // "User:alice", or "User:*" for everybody
	Host      string // an IP address, or a range like 10.0.0.0/8; "" is any
	Operation string // "READ", "WRITE", "ALL" and so on
	Resource  string // "TOPIC", "GROUP", "TRANSACTIONAL_ID", "CLUSTER"
	Name      string // of the resource, "*" for all; of a CLUSTER "kafka-cluster", which "" is too
	Prefixed  bool   // the resources whose names begin with Name
	Deny      bool   // it denies, which goes before all that allow
}

// String returns the ACL in words.
func (a ACL) String() string {
	r, err := a.rule()
	if err != nil {
		return err.Error()
	}
	return r.String()
}

// rule is the ACL as it is matched and kept, or ErrInvalid.
func (a ACL) rule() (acl.Rule, error) {
	r := acl.Rule{Name: a.Name, Pattern: acl.Literal, Principal: a.Principal, Host: a.Host, Permission: acl.Allow}
	if a.Host == "" {
		r.Host = acl.Wildcard
	}
	if a.Prefixed {
		r.Pattern = acl.Prefixed
	}
	if a.Deny {
		r.Permission = acl.Deny
	}
	var ok bool
	if r.Operation, ok = acl.ParseOperation(a.Operation); !ok {
		return r, fmt.Errorf("%w ACL: there is no operation %q, want one of %s", samsa.ErrInvalid, a.Operation, acl.Operations())
	}
	if r.Resource, ok = acl.ParseResource(a.Resource); !ok {
		return r, fmt.Errorf("%w ACL: there is no resource %q, want one of %s", samsa.ErrInvalid, a.Resource, acl.Resources())
	}
	if r.Resource == acl.Cluster && r.Name == "" {
		r.Name = acl.ClusterName
	}
	return r, r.Check()
}

func aclOf(r acl.Rule) ACL {
	a := ACL{
		Principal: r.Principal, Host: r.Host, Operation: r.Operation.String(), Resource: r.Resource.String(), Name: r.Name,
		Prefixed: r.Pattern == acl.Prefixed, Deny: r.Permission == acl.Deny,
	}
	if a.Host == acl.Wildcard {
		a.Host = ""
	}
	return a
}

// ACLSet is the ACLs that a broker keeps. They count where a server has Options.ACLs. Its methods may be called by anybody at any
// time.
type ACLSet struct{ rules *acl.Rules }

// ACLsOf returns the ACLs of b, whether it is served or not; ErrUnsupported of a broker that is not of this process.
func ACLsOf(b *samsa.Broker) (*ACLSet, error) {
	in, err := local(b, "ACLs")
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &ACLSet{in.ACLs}, nil
}

// List returns all ACLs, in the order of what they are about.
func (s *ACLSet) List() []ACL {
	var all []ACL
	for _, r := range s.rules.Now().Rules(acl.Filter{}) {
		all = append(all, aclOf(r))
	}
	return all
}

// Create adds ACLs, all or none of them; those that are there already stay. When it returns they are stored, and in force on all
// servers of the broker. Errors are ErrInvalid, and those of writing.
func (s *ACLSet) Create(ctx context.Context, acls ...ACL) error {
	rules := make([]acl.Rule, len(acls))
	for i, a := range acls {
		var err error
		if rules[i], err = a.rule(); err != nil {
			return err
		}
	}
	return s.rules.Create(ctx, rules...)
}

// Delete removes these very ACLs, all or none of them, and returns how many of them were there.
func (s *ACLSet) Delete(ctx context.Context, acls ...ACL) (int, error) {
	filters := make([]acl.Filter, len(acls))
	for i, a := range acls {
		r, err := a.rule()
		if err != nil {
			return 0, err
		}
		filters[i] = acl.Filter{Resource: r.Resource, Name: &r.Name, Pattern: r.Pattern, Principal: &r.Principal, Host: &r.Host, Operation: r.Operation, Permission: r.Permission}
	}
	return s.delete(ctx, filters...)
}

// DeleteAll removes all ACLs, those that are damaged too, and returns how many there were.
func (s *ACLSet) DeleteAll(ctx context.Context) (int, error) { return s.delete(ctx, acl.Filter{}) }

func (s *ACLSet) delete(ctx context.Context, filters ...acl.Filter) (n int, err error) {
	found, err := s.rules.Delete(ctx, filters...)
	for _, rules := range found {
		n += len(rules)
	}
	return n, err
}

// ParsePrincipal is the opposite of Principal.String: it wants TYPE:NAME, else it is ErrInvalid.
func ParsePrincipal(text string) (Principal, error) {
	kind, name, ok := strings.Cut(text, ":")
	if !ok || kind == "" || name == "" {
		return Principal{}, fmt.Errorf("%w principal %q, want TYPE:NAME", samsa.ErrInvalid, text)
	}
	return Principal{kind, name}, nil
}
