package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster: the nodes, of which there is one.
//
// Versions 0 to 2. The node is a broker; asked for controllers alone, as of version 1, it is
// MISMATCHED_ENDPOINT_TYPE.
func (c *call) describeCluster(req *kmsg.DescribeClusterRequest) kmsg.Response {
	const brokers = 1
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterID, resp.ControllerID, resp.EndpointType = c.s.opts.ClusterID, c.s.opts.NodeID, brokers
	if c.version >= 1 && req.EndpointType != brokers {
		err := protocolError{codeMismatchedEndpointType, "this is a broker"}
		resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
		return resp
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = c.clusterOperations()
	}
	b := kmsg.NewDescribeClusterResponseBroker()
	b.NodeID = c.s.opts.NodeID
	b.Host, b.Port = c.advertised()
	resp.Brokers = append(resp.Brokers, b)
	return resp
}
