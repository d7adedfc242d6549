package kafka

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/quota"
)

// DescribeClientQuotas: the entities that a filter finds, and their quotas.
//
// Versions 0 and 1. The filter is checked as in Kafka.
func (c *call) describeClientQuotas(req *kmsg.DescribeClientQuotasRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	if err := checkQuotaFilter(req.Components); err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
		return resp // no entries, which is null
	}
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	for _, e := range c.s.in.Quotas.Now().Entries() {
		if !quotaMatches(req, e.Entity) {
			continue
		}
		out := kmsg.NewDescribeClientQuotasResponseEntry()
		for _, p := range e.Entity {
			part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
			if part.Type = p.Type; !p.Default {
				part.Name = kmsgString(p.Name)
			}
			out.Entity = append(out.Entity, part)
		}
		for _, name := range slices.Sorted(maps.Keys(e.Limits)) {
			v := kmsg.NewDescribeClientQuotasResponseEntryValue()
			v.Key, v.Value = name, e.Limits[name]
			out.Values = append(out.Values, v)
		}
		resp.Entries = append(resp.Entries, out)
	}
	return resp
}

// quotaMatches reports whether a filter, which was checked, finds an entity: each of its components does, and where it is
// strict the entity has no other parts.
func quotaMatches(req *kmsg.DescribeClientQuotasRequest, e quota.Entity) bool {
	for _, f := range req.Components {
		i := slices.IndexFunc(e, func(p quota.Part) bool { return p.Type == f.EntityType })
		switch {
		case i < 0,
			f.MatchType == kmsg.QuotasMatchTypeExact && (e[i].Default || e[i].Name != *f.Match),
			f.MatchType == kmsg.QuotasMatchTypeDefault && !e[i].Default:
			return false
		}
	}
	return !req.Strict || len(e) == len(req.Components)
}

func checkQuotaFilter(components []kmsg.DescribeClientQuotasRequestComponent) error {
	seen := make(map[string]bool)
	for _, f := range components {
		switch {
		case f.EntityType == "":
			return protocolError{codeInvalidRequest, "the filter has an empty entity type"}
		case !slices.Contains([]string{"ip", "user", "client-id"}, f.EntityType):
			return protocolError{codeUnsupportedVersion, fmt.Sprintf("the entity type %q does not exist", f.EntityType)}
		case seen[f.EntityType]:
			return protocolError{codeInvalidRequest, fmt.Sprintf("the filter names %s twice", f.EntityType)}
		case f.MatchType < kmsg.QuotasMatchTypeExact || f.MatchType > kmsg.QuotasMatchTypeAny:
			return protocolError{codeInvalidRequest, fmt.Sprintf("the match type %d does not exist", f.MatchType)}
		case (f.MatchType == kmsg.QuotasMatchTypeExact) != (f.Match != nil):
			return protocolError{codeInvalidRequest, fmt.Sprintf("only an exact match of %s, and each of them, has a text", f.EntityType)}
		}
		seen[f.EntityType] = true
	}
	if seen["ip"] && len(seen) > 1 {
		return protocolError{codeInvalidRequest, "ip goes with no other entity type"}
	}
	return nil
}
