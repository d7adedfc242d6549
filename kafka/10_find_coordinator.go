package kafka

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// The kinds of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
	coordinatorShare       = 2 // of a partition that a share group reads, from version 6 on
)

// FindCoordinator: who coordinates groups and transactions.
//
// Versions 0 to 6; many keys at a time from 4 on. That of a partition of a share group, which only brokers ask for, is that of the group.
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
	case coordinatorShare:
		if !c.mayCluster(acl.ClusterAction) {
			err = errClusterDenied
		}
	}
	if err == nil {
		return found
	}
	denied := kmsg.NewFindCoordinatorResponseCoordinator()
	denied.ErrorCode, denied.ErrorMessage = c.s.codeOf(err), message(err)
	denied.NodeID, denied.Port = -1, -1
	return denied
}

func checkCoordinator(req *kmsg.FindCoordinatorRequest, key string) error {
	switch kind := req.CoordinatorType; {
	case kind == coordinatorGroup, kind == coordinatorTransaction:
		return nil
	case kind != coordinatorShare || req.Version < 6:
		return protocolError{codeInvalidRequest, fmt.Sprintf("coordinator of kind %d, there are those of groups, 0, of transactions, 1, and of share groups, 2", kind)}
	case !isSharePartition(key):
		return protocolError{codeInvalidRequest, fmt.Sprintf("%q is not group:topic id:partition", key)}
	}
	return nil
}

// isSharePartition reports whether key names a partition of a share group: group:topic id:partition.
func isSharePartition(key string) bool {
	parts := strings.Split(key, ":")
	if len(parts) != 3 || parts[0] == "" {
		return false
	}
	id, bad := base64.RawURLEncoding.DecodeString(parts[1])
	n, err := strconv.ParseInt(parts[2], 10, 32)
	return bad == nil && len(id) == len(noTopic) && err == nil && n >= 0
}

// coordinator returns who coordinates the group or the transactional id that key is.
func (c *call) coordinator(req *kmsg.FindCoordinatorRequest, key string) kmsg.FindCoordinatorResponseCoordinator {
	found := kmsg.NewFindCoordinatorResponseCoordinator()
	found.Key, found.NodeID, found.Port = key, -1, -1
	err := checkCoordinator(req, key)
	if err == nil {
		if req.CoordinatorType == coordinatorShare {
			key, _, _ = strings.Cut(key, ":")
		}
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
