package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

// FindCoordinator: who coordinates groups. It is this node.
//
// Versions 0 to 6; many keys at a time from 4 on. Left out: transactions, whose coordinators
// are TRANSACTIONAL_ID_AUTHORIZATION_FAILED, as in InitProducerID, and share groups.
func (c *call) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	err := checkCoordinator(req.CoordinatorType)
	found := kmsg.NewFindCoordinatorResponseCoordinator()
	found.ErrorCode, found.ErrorMessage = c.s.codeOf(err), message(err)
	found.NodeID, found.Port = -1, -1
	if err == nil {
		found.NodeID = c.s.opts.NodeID
		found.Host, found.Port = c.advertised()
	}
	for _, key := range req.CoordinatorKeys {
		found.Key = key
		resp.Coordinators = append(resp.Coordinators, found)
	}
	resp.ErrorCode, resp.ErrorMessage = found.ErrorCode, found.ErrorMessage
	resp.NodeID, resp.Host, resp.Port = found.NodeID, found.Host, found.Port
	return resp
}

func checkCoordinator(kind int8) error {
	switch kind {
	case coordinatorGroup:
		return nil
	case coordinatorTransaction:
		return protocolError{codeTransactionalIDAuthorizationFailed, "transactions are not supported"}
	default:
		return protocolError{codeInvalidRequest, fmt.Sprintf("coordinator of kind %d, there are those of groups, 0", kind)}
	}
}
