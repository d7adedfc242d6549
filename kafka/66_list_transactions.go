package kafka

import (
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/pattern"
	"github.com/samsa-go/samsa/txn"
)

// transactionStates are the names of Kafka's.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// ListTransactions: the transactional ids, those that the request's filters let through (KIP-664).
//
// Versions 0 to 2. States that do not exist are given back; a pattern that cannot be read, or is very large, is
// INVALID_REGULAR_EXPRESSION.
func (c *call) listTransactions(req *kmsg.ListTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrListTransactionsResponse()
	var wanted *regexp.Regexp
	if text := orNone(req.TransactionalIDPattern); c.version >= 2 && text != "" {
		var err error
		if wanted, err = pattern.Whole(text); err != nil {
			resp.ErrorCode = codeInvalidRegularExpression
			return resp
		}
	}
	states, ids := setOf(req.StateFilters), setOf(req.ProducerIDFilters)
	for _, state := range once(req.StateFilters, func(state string) string { return state }) {
		if !slices.Contains(transactionStates, state) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, state)
		}
	}
	now := time.Now().UnixMilli()
	for _, l := range c.s.in.Txns.List() {
		state := l.State.String()
		switch {
		case l.Damaged != nil,
			c.coordinates(coordinatorTransaction, l.ID) != c.s.opts.NodeID, // the other node lists it
			len(states) > 0 && !states[state],
			len(ids) > 0 && !ids[l.Producer.ID],
			c.version >= 1 && req.DurationFilterMillis >= 0 && now-startedMs(l) <= req.DurationFilterMillis,
			wanted != nil && !wanted.MatchString(l.ID),
			!c.may(acl.Describe, acl.TransactionalID, l.ID):
			continue
		}
		s := kmsg.NewListTransactionsResponseTransactionState()
		s.TransactionalID, s.ProducerID, s.TransactionState = l.ID, l.Producer.ID, state
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	return resp
}

// setOf returns the set of what is in a list. Lists of clients are long if they like, and are not searched again and again.
func setOf[E comparable](list []E) map[E]bool {
	set := make(map[E]bool, len(list))
	for _, e := range list {
		set[e] = true
	}
	return set
}

// startedMs is when the present or the last transaction began, in ms since the epoch; as in Kafka, -1 for none.
func startedMs(l txn.Listing) int64 {
	if l.Started.IsZero() {
		return -1
	}
	return l.Started.UnixMilli()
}
