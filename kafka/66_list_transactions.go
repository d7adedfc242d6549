package kafka

import (
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionStates are the names of Kafka's.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// ListTransactions: there are none.
//
// Versions 0 to 2. States that do not exist are given back; a pattern that cannot be read is
// INVALID_REGULAR_EXPRESSION.
func (c *call) listTransactions(req *kmsg.ListTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrListTransactionsResponse()
	if pattern := orNone(req.TransactionalIDPattern); c.version >= 2 {
		if _, err := regexp.Compile(pattern); err != nil {
			resp.ErrorCode = codeInvalidRegularExpression
			return resp
		}
	}
	for _, state := range req.StateFilters {
		if !slices.Contains(transactionStates, state) && !slices.Contains(resp.UnknownStateFilters, state) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, state)
		}
	}
	return resp
}
