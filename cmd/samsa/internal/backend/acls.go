package backend

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// ACLs is what has ACLs: a Kafka cluster, a broker of Samsa at its address for Kafka's clients, and a directory that no other
// process has open.
type ACLs interface {
	ACLs(ctx context.Context) ([]kafka.ACL, error)
	CreateACL(ctx context.Context, a kafka.ACL) error
	DeleteACL(ctx context.Context, a kafka.ACL) (int, error)
}

var _, _ ACLs = (*Kafka)(nil), (*opened)(nil)

// AsACLs returns b as what has ACLs; of others it is ErrUnsupported.
func AsACLs(b Backend) (ACLs, error) {
	if a, ok := b.(ACLs); ok {
		return a, nil
	}
	return nil, fmt.Errorf("%w: another process has the data, which is asked for ACLs at its address for Kafka's clients: give -b", samsa.ErrUnsupported)
}

// ACLs implements ACLs.
func (o *opened) ACLs(context.Context) ([]kafka.ACL, error) {
	set, err := kafka.ACLsOf(o.b)
	if err != nil {
		return nil, err
	}
	return set.List(), nil
}

// CreateACL implements ACLs.
func (o *opened) CreateACL(ctx context.Context, a kafka.ACL) error {
	set, err := kafka.ACLsOf(o.b)
	if err != nil {
		return err
	}
	return set.Create(ctx, a)
}

// DeleteACL implements ACLs.
func (o *opened) DeleteACL(ctx context.Context, a kafka.ACL) (int, error) {
	set, err := kafka.ACLsOf(o.b)
	if err != nil {
		return 0, err
	}
	return set.Delete(ctx, a)
}

// ACLs implements ACLs.
func (k *Kafka) ACLs(ctx context.Context) ([]kafka.ACL, error) {
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
	var all []kafka.ACL
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			one := kafka.ACL{
				Principal: a.Principal, Host: a.Host, Operation: a.Operation.String(), Resource: r.ResourceType.String(), Name: r.ResourceName,
				Prefixed: r.ResourcePatternType == kmsg.ACLResourcePatternTypePrefixed, Deny: a.PermissionType == kmsg.ACLPermissionTypeDeny,
			}
			if one.Host == "*" {
				one.Host = ""
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// rule returns an ACL as requests have it.
func rule(a kafka.ACL) (c kmsg.CreateACLsRequestCreation, err error) {
	c = kmsg.NewCreateACLsRequestCreation()
	if c.Principal, c.Host, c.ResourceName = a.Principal, a.Host, a.Name; a.Host == "" {
		c.Host = "*"
	}
	if c.Operation, err = kmsg.ParseACLOperation(a.Operation); err == nil {
		c.ResourceType, err = kmsg.ParseACLResourceType(a.Resource)
	}
	if err != nil {
		return c, fmt.Errorf("%w ACL: %w", samsa.ErrInvalid, err)
	}
	if c.ResourceType == kmsg.ACLResourceTypeCluster && a.Name == "" {
		c.ResourceName = "kafka-cluster"
	}
	c.ResourcePatternType, c.PermissionType = kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLPermissionTypeAllow
	if a.Prefixed {
		c.ResourcePatternType = kmsg.ACLResourcePatternTypePrefixed
	}
	if a.Deny {
		c.PermissionType = kmsg.ACLPermissionTypeDeny
	}
	return c, nil
}

// CreateACL implements ACLs.
func (k *Kafka) CreateACL(ctx context.Context, a kafka.ACL) error {
	c, err := rule(a)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = append(req.Creations, c)
	resp, err := req.RequestWith(ctx, k.cl)
	if err == nil && len(resp.Results) == 1 {
		err = kerr.ErrorForCode(resp.Results[0].ErrorCode)
	}
	return explained("ACL", err)
}

// DeleteACL implements ACLs.
func (k *Kafka) DeleteACL(ctx context.Context, a kafka.ACL) (int, error) {
	c, err := rule(a)
	if err != nil {
		return 0, err
	}
	req := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = c.ResourceType, &c.ResourceName, c.ResourcePatternType
	f.Principal, f.Host, f.Operation, f.PermissionType = &c.Principal, &c.Host, c.Operation, c.PermissionType
	req.Filters = append(req.Filters, f)
	resp, err := req.RequestWith(ctx, k.cl)
	if err != nil || len(resp.Results) != 1 {
		return 0, explained("ACL", err)
	}
	return len(resp.Results[0].MatchingACLs), explained("ACL", kerr.ErrorForCode(resp.Results[0].ErrorCode))
}
