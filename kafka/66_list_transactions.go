package kafka

import (
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/txn"
)

// transactionStates are the names of Kafka's.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// ListTransactions: the transactional ids, those that the request's filters let through (KIP-664).
//
// Versions 0 to 2. States that do not exist are given back; a pattern that cannot be read is
// INVALID_REGULAR_EXPRESSION.
func (c *call) listTransactions(req *kmsg.ListTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrListTransactionsResponse()
	var pattern *regexp.Regexp
	if text := orNone(req.TransactionalIDPattern); c.version >= 2 && text != "" {
		if _, err := regexp.Compile(text); err != nil {
			resp.ErrorCode = codeInvalidRegularExpression
			return resp
		}
		pattern = regexp.MustCompile("^(?:" + text + ")$")
	}
	for _, state := range req.StateFilters {
		if !slices.Contains(transactionStates, state) && !slices.Contains(resp.UnknownStateFilters, state) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, state)
		}
	}
	now := time.Now().UnixMilli()
	for _, l := range c.s.in.Txns.List() {
		state := l.State.String()
		switch {
		case l.Damaged != nil,
			c.coordinates(coordinatorTransaction, l.ID) != c.s.opts.NodeID, // the other node lists it
			len(req.StateFilters) > 0 && !slices.Contains(req.StateFilters, state),
			len(req.ProducerIDFilters) > 0 && !slices.Contains(req.ProducerIDFilters, l.Producer.ID),
			c.version >= 1 && req.DurationFilterMillis >= 0 && now-startedMs(l) <= req.DurationFilterMillis,
			pattern != nil && !pattern.MatchString(l.ID),
			!c.may(acl.Describe, acl.TransactionalID, l.ID):
			continue
		}
		s := kmsg.NewListTransactionsResponseTransactionState()
		s.TransactionalID, s.ProducerID, s.TransactionState = l.ID, l.Producer.ID, state
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	return resp
}

// startedMs is when the present or the last transaction began, in ms since the epoch; as in Kafka, -1 for none.
func startedMs(l txn.Listing) int64 {
	if l.Started.IsZero() {
		return -1
	}
	return l.Started.UnixMilli()
}
