package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeClientQuotas: there are none.
//
// Versions 0 and 1. The filter is checked as in Kafka.
func (c *call) describeClientQuotas(req *kmsg.DescribeClientQuotasRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	if err := checkQuotaFilter(req.Components); err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
		return resp // no entries, which is null
	}
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	return resp
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
