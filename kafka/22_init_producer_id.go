package kafka

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerID: gives an idempotent producer its id.
//
// Versions 0 to 5. Left out: transactions; a transactional id is TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
// the one answer that makes every client give up. Who brings an id that it has, to have its
// epoch raised, gets a new one, of epoch 0, which serves the same end.
func (c *call) initProducerID(req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		resp.ErrorCode = codeTransactionalIDAuthorizationFailed
		return resp
	}
	id, err := c.s.ids.NewProducerID()
	if err != nil {
		resp.ErrorCode = c.s.codeOf(err)
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}

// producerIDs gives ids to producers, each once.
type producerIDs interface {
	NewProducerID() (int64, error)
}

// countedIDs are good for as long as nobody compares them with those of an earlier process.
type countedIDs struct{ last atomic.Int64 }

func (c *countedIDs) NewProducerID() (int64, error) { return c.last.Add(1), nil }
