package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/feature"
)

// ApiVersions: which requests are answered, in which versions.
//
// Versions 0 to 5. An unknown version is answered with version 0, UNSUPPORTED_VERSION and
// the versions of ApiVersions that there are (KIP-511), so that the client tries again. Which features there are is told from
// version 4 on, as older clients cannot read a least level of 0, and their levels from 3 on. Left
// out: the names of client software go unread, and the cluster and node
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
	if known && c.version >= firstFeatures {
		c.tellFeatures(resp)
	}
	return resp
}

// The versions of ApiVersions that tell of the levels of features, and of features whose least level is 0.
const (
	firstFeatures     = 3
	firstZeroFeatures = 4
)

func (c *call) tellFeatures(resp *kmsg.ApiVersionsResponse) {
	levels, epoch := c.s.in.Features.Now()
	resp.FinalizedFeaturesEpoch = epoch
	for _, f := range feature.All {
		if !c.s.hasFeature(f.Name) {
			continue
		}
		if c.version >= firstZeroFeatures {
			s := kmsg.NewApiVersionsResponseSupportedFeature()
			s.Name, s.MaxVersion = f.Name, f.Max
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
		if level := levels[f.Name]; level > 0 {
			e := kmsg.NewApiVersionsResponseFinalizedFeature()
			e.Name, e.MaxVersionLevel, e.MinVersionLevel = f.Name, level, level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, e)
		}
	}
}
