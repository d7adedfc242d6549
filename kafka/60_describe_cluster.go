package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster: the nodes.
//
// Versions 0 to 2. They are brokers; asked for controllers alone, as of version 1, that is
// MISMATCHED_ENDPOINT_TYPE.
func (c *call) describeCluster(req *kmsg.DescribeClusterRequest) kmsg.Response {
	const brokers = 1
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterID, resp.ControllerID, resp.EndpointType = c.s.opts.ClusterID, c.controller(), brokers
	if c.version >= 1 && req.EndpointType != brokers {
		err := protocolError{codeMismatchedEndpointType, "this is a broker"}
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
	return resp
}
