package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/log"
)

// ACLs implements Backend.
func (k *Kafka) ACLs(ctx context.Context) ([]api.ACL, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	resp, err := req.RequestWith(ctx, k.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, explained("ACLs", err)
	}
	all := []api.ACL{}
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			one := api.ACL{
				Permission: api.Allow, Principal: a.Principal, Host: a.Host, Operation: a.Operation.String(), Resource: r.ResourceType.String(), Name: r.ResourceName,
				Prefixed: r.ResourcePatternType == kmsg.ACLResourcePatternTypePrefixed,
			}
			if a.PermissionType == kmsg.ACLPermissionTypeDeny {
				one.Permission = api.Deny
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// rule returns an ACL as requests have it.
func rule(a api.ACL) (c kmsg.CreateACLsRequestCreation, err error) {
	c = kmsg.NewCreateACLsRequestCreation()
	if c.Principal, c.Host, c.ResourceName = a.Principal, a.Host, a.Name; a.Host == "" {
		c.Host = "*"
	}
	if c.Operation, err = kmsg.ParseACLOperation(a.Operation); err != nil {
		return c, invalid(fmt.Sprintf("ACL: there is no operation %q, want one of %s", a.Operation, acl.Operations()))
	}
	if c.ResourceType, err = kmsg.ParseACLResourceType(a.Resource); err != nil {
		return c, invalid(fmt.Sprintf("ACL: there is no resource %q, want one of %s", a.Resource, acl.Resources()))
	}
	if c.ResourceType == kmsg.ACLResourceTypeCluster && a.Name == "" {
		c.ResourceName = "kafka-cluster"
	}
	c.ResourcePatternType, c.PermissionType = kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLPermissionTypeAllow
	if a.Prefixed {
		c.ResourcePatternType = kmsg.ACLResourcePatternTypePrefixed
	}
	if a.Permission == api.Deny {
		c.PermissionType = kmsg.ACLPermissionTypeDeny
	}
	return c, nil
}

// CreateACL implements Backend.
func (k *Kafka) CreateACL(ctx context.Context, a api.ACL) error {
	c, err := rule(a)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = append(req.Creations, c)
	resp, err := req.RequestWith(ctx, k.cl)
	if err == nil && len(resp.Results) == 1 {
		return refused("ACL", resp.Results[0].ErrorCode, resp.Results[0].ErrorMessage)
	}
	return explained("ACL", err)
}

// refused returns the error of a code: of an invalid request ErrInvalid, with what the cluster says of it.
func refused(what string, code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if errors.Is(err, kerr.InvalidRequest) && message != nil {
		return invalid(what + ": " + *message)
	}
	return explained(what, err)
}

// invalid is ErrInvalid as an API says it, which is a mistake in the command line.
func invalid(message string) error {
	return &api.Error{Name: log.Name(samsa.ErrInvalid), Message: message}
}

// DeleteACL implements Backend.
func (k *Kafka) DeleteACL(ctx context.Context, a api.ACL) error {
	c, err := rule(a)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = c.ResourceType, &c.ResourceName, c.ResourcePatternType
	f.Principal, f.Host, f.Operation, f.PermissionType = &c.Principal, &c.Host, c.Operation, c.PermissionType
	req.Filters = append(req.Filters, f)
	resp, err := req.RequestWith(ctx, k.cl)
	if err == nil && len(resp.Results) == 1 {
		if err = kerr.ErrorForCode(resp.Results[0].ErrorCode); err == nil && len(resp.Results[0].MatchingACLs) == 0 {
			return fmt.Errorf("%w ACL", samsa.ErrUnknown)
		}
	}
	return explained("ACL", err)
}

// Quotas implements Backend.
func (k *Kafka) Quotas(ctx context.Context) ([]api.Quota, error) {
	resp, err := kmsg.NewPtrDescribeClientQuotasRequest().RequestWith(ctx, k.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, explained("quotas", err)
	}
	all := []api.Quota{}
	for _, e := range resp.Entries {
		q := api.Quota{Limits: make(map[string]float64)}
		for _, p := range e.Entity {
			part := api.QuotaPart{Type: p.Type, Default: p.Name == nil}
			if p.Name != nil {
				part.Name = *p.Name
			}
			q.Entity = append(q.Entity, part)
		}
		for _, v := range e.Values {
			q.Limits[v.Key] = v.Value
		}
		slices.SortFunc(q.Entity, func(a, b api.QuotaPart) int { return strings.Compare(a.Type, b.Type) })
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b api.Quota) int { return strings.Compare(fmt.Sprint(a.Entity), fmt.Sprint(b.Entity)) })
	return all, nil
}

// SetQuotas implements Backend.
func (k *Kafka) SetQuotas(ctx context.Context, q api.NewQuota) error {
	e := kmsg.NewAlterClientQuotasRequestEntry()
	for _, p := range q.Entity {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		if part.Type = p.Type; !p.Default {
			part.Name = &p.Name
		}
		e.Entity = append(e.Entity, part)
	}
	for name, value := range q.Limits {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		if op.Key, op.Remove = name, value == nil; value != nil {
			op.Value = *value
		}
		e.Ops = append(e.Ops, op)
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = append(req.Entries, e)
	resp, err := req.RequestWith(ctx, k.cl)
	if err == nil && len(resp.Entries) == 1 {
		return refused("quotas", resp.Entries[0].ErrorCode, resp.Entries[0].ErrorMessage)
	}
	return explained("quotas", err)
}
