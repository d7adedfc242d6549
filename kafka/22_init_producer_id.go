package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/txn"
)

// fencedInit is the version of InitProducerID whose clients know PRODUCER_FENCED.
const fencedInit = 4

// InitProducerID: gives an idempotent producer its id, and a transactional one its id and epoch.
//
// Versions 0 to 5. Who brings an id that it has, to have its epoch raised, gets a new one, of epoch 0, as from Kafka,
// unless it has a transactional id: then it goes on with that (KIP-360). An open transaction is aborted before the answer,
// where Kafka answers CONCURRENT_TRANSACTIONS and has the client ask again.
func (c *call) initProducerID(req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	p, err := c.newProducer(req)
	if resp.ErrorCode = c.txnCode(err, fencedInit); err == nil {
		resp.ProducerID, resp.ProducerEpoch = p.ID, p.Epoch
	}
	return resp
}

func (c *call) newProducer(req *kmsg.InitProducerIDRequest) (p txn.Producer, err error) {
	if req.TransactionalID == nil {
		p.ID, err = c.s.in.Producers.NextID(c.ctx)
		return p, err
	}
	var expected *txn.Producer
	switch {
	case (req.ProducerID < 0) != (req.ProducerEpoch < 0):
		return p, protocolError{codeInvalidRequest, "a producer id without an epoch, or an epoch without an id"}
	case req.ProducerID >= 0:
		expected = &txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}
	}
	timeout := time.Duration(req.TransactionTimeoutMillis) * time.Millisecond
	return c.s.in.Txns.Init(c.ctx, *req.TransactionalID, timeout, expected)
}
