package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// The kinds of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

// FindCoordinator: who coordinates groups and transactions.
//
// Versions 0 to 6; many keys at a time from 4 on. Left out: share groups.
func (c *call) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, c.foundFor(req, key, c.coordinator(req, key)))
	}
	found := c.foundFor(req, req.CoordinatorKey, c.coordinator(req, req.CoordinatorKey))
	resp.ErrorCode, resp.ErrorMessage = found.ErrorCode, found.ErrorMessage
	resp.NodeID, resp.Host, resp.Port = found.NodeID, found.Host, found.Port
	return resp
}

// foundFor is found, unless the client may not describe what it asks the coordinator of.
func (c *call) foundFor(req *kmsg.FindCoordinatorRequest, key string, found kmsg.FindCoordinatorResponseCoordinator) kmsg.FindCoordinatorResponseCoordinator {
	var err error
	switch req.CoordinatorType {
	case coordinatorGroup:
		err = c.checkGroup(acl.Describe, key)
	case coordinatorTransaction:
		err = c.checkTxnID(acl.Describe, key)
	}
	if err == nil {
		return found
	}
	denied := kmsg.NewFindCoordinatorResponseCoordinator()
	denied.ErrorCode, denied.ErrorMessage = c.s.codeOf(err), message(err)
	denied.NodeID, denied.Port = -1, -1
	return denied
}

func checkCoordinator(req *kmsg.FindCoordinatorRequest) error {
	if kind := req.CoordinatorType; kind != coordinatorGroup && kind != coordinatorTransaction {
		return protocolError{codeInvalidRequest, fmt.Sprintf("coordinator of kind %d, there are those of groups, 0, and of transactions, 1", kind)}
	}
	return nil
}

// coordinator returns who coordinates the group or the transactional id that key is.
func (c *call) coordinator(req *kmsg.FindCoordinatorRequest, key string) kmsg.FindCoordinatorResponseCoordinator {
	found := kmsg.NewFindCoordinatorResponseCoordinator()
	found.Key, found.NodeID, found.Port = key, -1, -1
	err := checkCoordinator(req)
	if err == nil {
		found.NodeID = c.coordinates(req.CoordinatorType, key)
	}
	switch {
	case err != nil:
	case found.NodeID < 0:
		err = protocolError{codeCoordinatorNotAvailable, "no node that could coordinate it runs"}
	case c.s.cluster == nil:
		found.Host, found.Port = c.advertised()
	default:
		found.Host, found.Port = c.addressOf(c.view(), found.NodeID)
	}
	found.ErrorCode, found.ErrorMessage = c.s.codeOf(err), message(err)
	return found
}
