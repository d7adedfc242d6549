package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster: the nodes.
//
// Versions 0 to 2. They are brokers; asked for controllers alone, as of version 1, that is
// MISMATCHED_ENDPOINT_TYPE. Those that do not run are told, as fenced, to who asks for them.
func (c *call) describeCluster(req *kmsg.DescribeClusterRequest) kmsg.Response {
	const brokers, controllers = 1, 2
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterID, resp.ControllerID, resp.EndpointType = c.s.opts.ClusterID, c.controller(), brokers
	if c.version >= 1 && req.EndpointType != brokers {
		err := protocolError{codeMismatchedEndpointType, "this is a broker"}
		if req.EndpointType != controllers {
			err = protocolError{codeUnsupportedEndpointType, "there are brokers, 1, and controllers, 2"}
		}
		resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
		return resp
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = c.clusterOperations()
	}
	for _, of := range c.brokers() {
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = of.NodeID, of.Host, of.Port, of.Rack
		resp.Brokers = append(resp.Brokers, b)
	}
	if req.IncludeFencedBrokers && c.s.cluster != nil {
		resp.Brokers = append(resp.Brokers, c.fencedBrokers()...)
	}
	return resp
}

// fencedBrokers returns the nodes that do not run.
func (c *call) fencedBrokers() []kmsg.DescribeClusterResponseBroker {
	var fenced []kmsg.DescribeClusterResponseBroker
	v := c.view()
	for _, id := range v.ids(false) {
		if v.isUp(id) {
			continue
		}
		of := c.brokerOf(v, id)
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack, b.IsFenced = of.NodeID, of.Host, of.Port, of.Rack, true
		fenced = append(fenced, b)
	}
	return fenced
}
