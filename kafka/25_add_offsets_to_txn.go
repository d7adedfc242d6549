package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/txn"
)

// fencedAddOffsets is the version of AddOffsetsToTxn whose clients know PRODUCER_FENCED.
const fencedAddOffsets = 2

// AddOffsetsToTxn: takes a group into a transaction, which is to commit offsets of it.
//
// Versions 0 to 4. The group need not exist.
func (c *call) addOffsetsToTxn(req *kmsg.AddOffsetsToTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	err := c.s.in.Txns.AddOffsets(c.ctx, req.TransactionalID, txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}, req.Group)
	resp.ErrorCode = c.txnCode(err, fencedAddOffsets)
	return resp
}
