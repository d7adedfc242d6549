package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// UnregisterBroker: takes a node that does not run from those that there are, as Cluster.Remove does.
//
// Version 0. One that runs is INVALID_REQUEST: Kafka takes it away too, and it goes on without anybody's knowing of it.
func (c *call) unregisterBroker(req *kmsg.UnregisterBrokerRequest) kmsg.Response {
	resp := kmsg.NewPtrUnregisterBrokerResponse()
	err := c.unregister(req.BrokerID)
	resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
	return resp
}

func (c *call) unregister(id int32) error {
	runs, there := id == c.s.opts.NodeID, id == c.s.opts.NodeID
	if cluster := c.s.cluster; cluster != nil {
		var n nodeView
		n, there = cluster.now.Load().nodes[id]
		runs = n.up
	}
	switch {
	case !there:
		return protocolError{codeBrokerIDNotRegistered, fmt.Sprintf("there is no node %d", id)}
	case runs:
		return protocolError{codeInvalidRequest, fmt.Sprintf("node %d runs", id)}
	}
	return c.s.cluster.Remove(id)
}
