package kafka

import (
	"errors"

	"github.com/samsa-go/samsa/log"
)

// txnCode is the code for an error of a request about a transaction. Older versions, before knowsFenced, know no other word for a
// producer that another has replaced than that its epoch is wrong.
func (c *call) txnCode(err error, knowsFenced int16) int16 {
	if _, chosen := chosenCode(err); !chosen && errors.Is(err, log.ErrProducerFenced) && c.version >= knowsFenced {
		return codeProducerFenced
	}
	return c.s.groupCodeOf(err)
}

// notAdded is the code for a write to what the transaction does not have: from the version on whose clients know it, that it has
// to be aborted (KIP-890). Other errors have the code given.
func (c *call) notAdded(err error, code, knowsAbortable int16) int16 {
	if code == codeTransactionAbortable && c.version < knowsAbortable && errors.Is(err, log.ErrNotInTransaction) {
		return codeInvalidTxnState
	}
	return code
}
