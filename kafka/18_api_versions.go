package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions: which requests are answered, in which versions.
//
// Versions 0 to 5. An unknown version is answered with version 0, UNSUPPORTED_VERSION and
// the versions of ApiVersions that there are (KIP-511), so that the client tries again. Left
// out: the names of client software go unread, features are empty, and the cluster and node
// that version 5 asks for are not compared (KIP-1242).
func (c *call) apiVersions(*kmsg.ApiVersionsRequest) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	known := c.version >= c.entry.min && c.version <= c.entry.max
	if !known {
		resp.ErrorCode = codeUnsupportedVersion
	}
	for _, e := range c.s.table {
		if !known && e.key != kmsg.ApiVersions {
			continue
		}
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = e.key.Int16(), e.min, e.max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return resp
}
