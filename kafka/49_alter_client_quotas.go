package kafka

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/quota"
)

// AlterClientQuotas: sets and removes quotas of users, client ids, both, and addresses.
//
// Versions 0 and 1. Those that can be are set together, and the others are INVALID_REQUEST. A name of a host is no
// address.
func (c *call) alterClientQuotas(req *kmsg.AlterClientQuotasRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	errs := make([]error, len(req.Entries))
	var good []quota.Edit
	seen := make(map[string]bool)
	for i := range req.Entries {
		req.Entries[i].Entity = lastOfTypes(req.Entries[i].Entity)
		edit, err := quotaEdit(&req.Entries[i])
		if err == nil {
			if name := fmt.Sprint(edit.Entity); seen[name] {
				err = protocolError{codeInvalidRequest, "the request names the entity twice"}
			} else {
				seen[name] = true
			}
		}
		if errs[i] = err; err == nil {
			good = append(good, edit)
		}
	}
	var failed error
	if len(good) > 0 && !req.ValidateOnly {
		failed = c.s.in.Quotas.Change(c.s.ctx, good...)
	}
	for i, err := range errs {
		if err == nil {
			err = failed
		}
		r := kmsg.NewAlterClientQuotasResponseEntry()
		for _, p := range req.Entries[i].Entity {
			part := kmsg.NewAlterClientQuotasResponseEntryEntity()
			part.Type, part.Name = p.Type, p.Name
			r.Entity = append(r.Entity, part)
		}
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Entries = append(resp.Entries, r)
	}
	return resp
}

// lastOfTypes returns the parts of an entity without those behind which there is one of the same type, as Kafka reads them.
func lastOfTypes(parts []kmsg.AlterClientQuotasRequestEntryEntity) []kmsg.AlterClientQuotasRequestEntryEntity {
	slices.Reverse(parts)
	parts = once(parts, func(p kmsg.AlterClientQuotasRequestEntryEntity) string { return p.Type })
	slices.Reverse(parts)
	return parts
}

// quotaEdit is an edit of a request, in memory of its own.
func quotaEdit(re *kmsg.AlterClientQuotasRequestEntry) (edit quota.Edit, err error) {
	var parts []quota.Part
	for _, p := range re.Entity {
		parts = append(parts, quota.Part{Type: strings.Clone(p.Type), Name: strings.Clone(orNone(p.Name)), Default: p.Name == nil})
	}
	if edit.Entity, err = quota.NewEntity(parts...); err != nil {
		return edit, err
	}
	edit.Limits = make(map[string]*float64)
	for _, op := range re.Ops {
		if _, again := edit.Limits[op.Key]; again {
			return edit, protocolError{codeInvalidRequest, fmt.Sprintf("the quota %s is named twice", op.Key)}
		}
		if edit.Limits[strings.Clone(op.Key)] = nil; !op.Remove {
			edit.Limits[op.Key] = &op.Value
		}
	}
	return edit, edit.Check()
}
