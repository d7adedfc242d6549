package kafka

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// The kinds of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

// FindCoordinator: who coordinates groups. It is this node.
//
// Versions 0 to 6; many keys at a time from 4 on. Left out: share groups, and transactions. A producer
// that begins with them asks here first, and is to give up at once, with a message that says why.
// Java's shows the message of an answer unless it is about authorization; librdkafka, which
// knows versions up to 2, asks again and again unless it is about that, and shows the message with it.
func (c *call) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	err := checkCoordinator(req)
	if req.CoordinatorType == coordinatorTransaction {
		c.warnTransactions(strings.Join(append(req.CoordinatorKeys, req.CoordinatorKey), " "))
	}
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

func checkCoordinator(req *kmsg.FindCoordinatorRequest) error {
	const noTransactions = "transactions are not supported by Samsa: leave transactional.id out"
	switch kind := req.CoordinatorType; {
	case kind == coordinatorGroup:
		return nil
	case kind == coordinatorTransaction && req.Version < 3:
		return protocolError{codeTransactionalIDAuthorizationFailed, noTransactions}
	case kind == coordinatorTransaction:
		return protocolError{codeUnsupportedVersion, noTransactions}
	default:
		return protocolError{codeInvalidRequest, fmt.Sprintf("coordinator of kind %d, there are those of groups, 0", kind)}
	}
}

// warnTransactions tells the operator, once a connection, what the client will complain about.
func (c *call) warnTransactions(id string) {
	if c.conn.warned {
		return
	}
	c.conn.warned = true
	c.s.logger.Warn("kafka: a client wants transactions, which are not supported",
		zap.String("client", c.clientID), zap.Stringer("address", c.conn.nc.RemoteAddr()), zap.String("transactional id", strings.TrimSpace(id)))
}
