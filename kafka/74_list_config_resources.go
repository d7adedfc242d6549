package kafka

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListConfigResources: what can have configs.
//
// Versions 0 and 1. Version 0 asks for client metrics, of which there are none; as of version 1
// for topics, the broker, its logger and the groups that have configs, unless it says for which. A
// type that does not exist is UNSUPPORTED_VERSION.
func (c *call) listConfigResources(req *kmsg.ListConfigResourcesRequest) kmsg.Response {
	const clientMetrics, groups = kmsg.ConfigResourceType(16), kmsg.ConfigResourceType(32)
	resp := kmsg.NewPtrListConfigResourcesResponse()
	resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
	if c.version == 0 {
		return resp
	}
	types := []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, clientMetrics, groups}
	for _, t := range req.ResourceTypes {
		if !slices.Contains(types, kmsg.ConfigResourceType(t)) {
			resp.ErrorCode = codeUnsupportedVersion
			return resp
		}
	}
	add := func(t kmsg.ConfigResourceType, name string) {
		if len(req.ResourceTypes) > 0 && !slices.Contains(req.ResourceTypes, int8(t)) {
			return
		}
		r := kmsg.NewListConfigResourcesResponseConfigResource()
		r.Type, r.Name = int8(t), name
		resp.ConfigResources = append(resp.ConfigResources, r)
	}
	node := strconv.Itoa(int(c.s.opts.NodeID))
	add(kmsg.ConfigResourceTypeBroker, node)
	add(kmsg.ConfigResourceTypeBrokerLogger, node)
	for _, name := range c.s.in.Configs.List() {
		add(groups, name)
	}
	for _, t := range c.s.in.Catalogue.List() {
		add(kmsg.ConfigResourceTypeTopic, t.Name())
	}
	return resp
}
