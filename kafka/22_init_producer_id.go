package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerID: gives an idempotent producer its id.
//
// Versions 0 to 5. Left out: transactions; a transactional id is UNSUPPORTED_VERSION, and a line in
// the log. Clients ask for the coordinator before, and hear it there. Who brings an id that it has, to have its
// epoch raised, gets a new one, of epoch 0, as from Kafka.
func (c *call) initProducerID(req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		c.warnTransactions(*req.TransactionalID)
		resp.ErrorCode = codeUnsupportedVersion
		return resp
	}
	id, err := c.s.in.Producers.NextID()
	if err != nil {
		resp.ErrorCode = c.s.codeOf(err)
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}
