package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/txn"
)

// The versions of EndTxn that differ.
const (
	fencedEnd = 2 // clients know PRODUCER_FENCED
	bumpEnd   = 5 // the epoch rises with each end, and the answer tells it (KIP-890)
)

// EndTxn: commits or aborts a transaction.
//
// Versions 0 to 5. When it is answered, readers of what is committed see all of the transaction or nothing, in all
// partitions and groups.
func (c *call) endTxn(req *kmsg.EndTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrEndTxnResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	// It goes on though the client has gone: it may be the last that it sent.
	p, err := c.s.in.Txns.End(context.WithoutCancel(c.ctx), req.TransactionalID, txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch},
		txn.EndOptions{Commit: req.Commit, Bump: c.version >= bumpEnd, Synced: c.s.opts.SyncAll})
	if resp.ErrorCode = c.txnCode(err, fencedEnd); err == nil {
		resp.ProducerID, resp.ProducerEpoch = p.ID, p.Epoch
	}
	return resp
}
