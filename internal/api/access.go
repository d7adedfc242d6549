package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/quota"
)

// ACLPage is the ACLs of a broker.
type ACLPage struct {
	ACLs []ACL `json:"acls"`
}

// ACL is who may, or may not, do what. Names are Kafka's.
type ACL struct {
	Permission string `json:"permission"` // "allow" or "deny"
	Principal  string `json:"principal"`
	Host       string `json:"host"` // "*" for any, which "" is too
	Operation  string `json:"operation"`
	Resource   string `json:"resource"`
	Name       string `json:"name"` // of a CLUSTER it may be ""
	Prefixed   bool   `json:"prefixed,omitempty"`
}

// Allow and Deny are the permissions of an ACL.
const (
	Allow = "allow"
	Deny  = "deny"
)

// rule is the ACL as it is matched and kept, or ErrInvalid.
func (a ACL) rule() (acl.Rule, error) {
	bad := func(what, name, wanted string) (acl.Rule, error) {
		return acl.Rule{}, fmt.Errorf("%w ACL: there is no %s %q, want one of %s", samsa.ErrInvalid, what, name, wanted)
	}
	r := acl.Rule{Name: a.Name, Pattern: acl.Literal, Principal: a.Principal, Host: cmp.Or(a.Host, acl.Wildcard), Permission: acl.Allow}
	switch a.Permission {
	case Allow:
	case Deny:
		r.Permission = acl.Deny
	default:
		return bad("permission", a.Permission, Allow+", "+Deny)
	}
	if a.Prefixed {
		r.Pattern = acl.Prefixed
	}
	var ok bool
	if r.Operation, ok = acl.ParseOperation(a.Operation); !ok {
		return bad("operation", a.Operation, acl.Operations())
	}
	if r.Resource, ok = acl.ParseResource(a.Resource); !ok {
		return bad("resource", a.Resource, acl.Resources())
	}
	if r.Resource == acl.Cluster {
		r.Name = cmp.Or(r.Name, acl.ClusterName)
	}
	return r, r.Check()
}

// aclsOf returns the ACLs of the broker.
func (c *call) aclsOf() (*acl.Rules, error) {
	in := inside.Of(c.b)
	return in.ACLs, in.Local("ACLs")
}

func listACLs(c *call) (any, error) {
	rules, err := c.aclsOf()
	if err := errors.Join(err, c.none()); err != nil {
		return nil, err
	}
	p := ACLPage{ACLs: []ACL{}}
	for _, r := range rules.Now().Rules(acl.Filter{}) {
		a := ACL{Allow, r.Principal, r.Host, r.Operation.String(), r.Resource.String(), r.Name, r.Pattern == acl.Prefixed}
		if r.Permission == acl.Deny {
			a.Permission = Deny
		}
		p.ACLs = append(p.ACLs, a)
	}
	return p, nil
}

func createACL(c *call) (any, error) {
	var a ACL
	if err := c.decode(&a); err != nil {
		return nil, err
	}
	r, err := a.rule()
	if err != nil {
		return nil, err
	}
	rules, err := c.aclsOf()
	if err != nil {
		return nil, err
	}
	return nil, rules.Create(c.limited, r)
}

func deleteACL(c *call) (any, error) {
	q := c.query
	a := ACL{q.text("permission"), q.text("principal"), q.text("host"), q.text("operation"), q.text("resource"), q.text("name"), q.flag("prefixed")}
	r, err := a.rule()
	if err := errors.Join(c.none(), err); err != nil {
		return nil, err
	}
	rules, err := c.aclsOf()
	if err != nil {
		return nil, err
	}
	found, err := rules.Delete(c.limited, acl.Filter{
		Resource: r.Resource, Name: &r.Name, Pattern: r.Pattern, Principal: &r.Principal, Host: &r.Host, Operation: r.Operation, Permission: r.Permission,
	})
	if err == nil && len(found[0]) == 0 {
		err = fmt.Errorf("%w ACL: %s", samsa.ErrUnknown, r)
	}
	return nil, err
}

// QuotaPage is the quotas of a broker.
type QuotaPage struct {
	Quotas []Quota `json:"quotas"`
}

// Quota is the limits of an entity.
type Quota struct {
	Entity []QuotaPart        `json:"entity"`
	Limits map[string]float64 `json:"limits"`
}

// QuotaPart is a part of an entity: a user, a client id or an address, or the default for all that have no limit of their own.
type QuotaPart struct {
	Type    string `json:"type"` // "user", "client-id" or "ip"
	Name    string `json:"name,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// NewQuota is new limits of an entity; null removes one.
type NewQuota struct {
	Entity []QuotaPart         `json:"entity"`
	Limits map[string]*float64 `json:"limits"`
}

func listQuotas(c *call) (any, error) {
	in := inside.Of(c.b)
	if err := errors.Join(in.Local("quotas"), c.none()); err != nil {
		return nil, err
	}
	p := QuotaPage{Quotas: []Quota{}}
	for _, e := range in.Quotas.Now().Entries() {
		q := Quota{Limits: e.Limits}
		for _, part := range e.Entity {
			q.Entity = append(q.Entity, QuotaPart(part))
		}
		p.Quotas = append(p.Quotas, q)
	}
	return p, nil
}

func setQuotas(c *call) (any, error) {
	var q NewQuota
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	in := inside.Of(c.b)
	if err := in.Local("quotas"); err != nil {
		return nil, err
	}
	var parts []quota.Part
	for _, p := range q.Entity {
		if p.Default && p.Name != "" {
			return nil, fmt.Errorf("%w quota entity: %s has a name, and is the default", samsa.ErrInvalid, p.Type)
		}
		parts = append(parts, quota.Part(p))
	}
	entity, err := quota.NewEntity(parts...)
	if err != nil {
		return nil, err
	}
	edit := quota.Edit{Entity: entity, Limits: q.Limits}
	if err := edit.Check(); err != nil {
		return nil, err
	}
	return nil, in.Quotas.Change(c.limited, edit)
}

// ACLs returns the ACLs of a broker, in the order of what they are about.
func (c *Client) ACLs(ctx context.Context) ([]ACL, error) {
	var p ACLPage
	return p.ACLs, c.get(ctx, "acls", nil, &p)
}

// CreateACL adds an ACL, which may be there.
func (c *Client) CreateACL(ctx context.Context, a ACL) error {
	return c.call(ctx, request{http.MethodPost, "acls", nil, a}, nil)
}

// DeleteACL removes that very ACL, or is ErrUnknown.
func (c *Client) DeleteACL(ctx context.Context, a ACL) error {
	q := query{}.text("permission", a.Permission).text("principal", a.Principal).text("host", a.Host).text("operation", a.Operation).
		text("resource", a.Resource).text("name", a.Name)
	if a.Prefixed {
		q = q.text("prefixed", "true")
	}
	return c.call(ctx, request{http.MethodDelete, "acls", url.Values(q), nil}, nil)
}

// Quotas returns the entities of a broker that have limits.
func (c *Client) Quotas(ctx context.Context) ([]Quota, error) {
	var p QuotaPage
	return p.Quotas, c.get(ctx, "quotas", nil, &p)
}

// SetQuotas sets and removes limits of an entity.
func (c *Client) SetQuotas(ctx context.Context, q NewQuota) error {
	return c.call(ctx, request{http.MethodPatch, "quotas", nil, q}, nil)
}
