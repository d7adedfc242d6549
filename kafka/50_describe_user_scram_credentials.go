package kafka

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/internal/users"
)

// The mechanisms of SCRAM by their numbers, as Kafka has them.
var scramNumbers = map[string]int8{sasl.ScramSHA256: 1, sasl.ScramSHA512: 2}

// DescribeUserScramCredentials: the users, and for which mechanisms they have a password.
//
// Version 0. No names mean all users. A user who does not exist is RESOURCE_NOT_FOUND, one that is named twice DUPLICATE_RESOURCE.
func (c *call) describeUserSCRAMCredentials(req *kmsg.DescribeUserSCRAMCredentialsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	if len(req.Users) == 0 {
		for _, u := range c.s.in.Users.List() {
			resp.Results = append(resp.Results, describeUser(u))
		}
		return resp
	}
	times := make(map[string]int)
	for _, u := range req.Users {
		times[u.Name]++
	}
	for _, u := range req.Users {
		var err error
		found, unknown := c.s.in.Users.Find(u.Name)
		switch n := times[u.Name]; {
		case n == 0:
			continue // was answered
		case n > 1:
			err = protocolError{codeDuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: " + u.Name}
		case unknown != nil:
			err = protocolError{codeResourceNotFound, "Attempt to describe a user credential that does not exist: " + u.Name}
		}
		times[u.Name] = 0
		r := describeUser(found)
		r.User = u.Name
		if err != nil {
			r.ErrorCode, r.ErrorMessage, r.CredentialInfos = c.s.codeOf(err), message(err), nil
		}
		resp.Results = append(resp.Results, r)
	}
	return resp
}

// noMessage is what Kafka says, in some answers, where there is no error.
func noMessage() *string { return new(string) }

func describeUser(u users.User) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	r.User, r.ErrorMessage = u.Name, noMessage()
	for _, mechanism := range slices.SortedFunc(maps.Keys(u.Iterations), cmp.Compare) {
		info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
		info.Mechanism, info.Iterations = scramNumbers[mechanism], int32(u.Iterations[mechanism])
		r.CredentialInfos = append(r.CredentialInfos, info)
	}
	return r
}
