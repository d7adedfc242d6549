package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeUserScramCredentials: nobody has any.
//
// Version 0. Users that are named are RESOURCE_NOT_FOUND, or, named twice, DUPLICATE_RESOURCE.
func (c *call) describeUserSCRAMCredentials(req *kmsg.DescribeUserSCRAMCredentialsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	times := make(map[string]int)
	for _, u := range req.Users {
		times[u.Name]++
	}
	for _, u := range req.Users {
		err := protocolError{codeResourceNotFound, "there is no user " + u.Name}
		switch times[u.Name] {
		case 0:
			continue // was answered
		case 1:
		default:
			err = protocolError{codeDuplicateResource, "the request names the user more than once: " + u.Name}
		}
		times[u.Name] = 0
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		r.User, r.ErrorCode, r.ErrorMessage = u.Name, c.s.codeOf(err), message(err)
		resp.Results = append(resp.Results, r)
	}
	return resp
}
