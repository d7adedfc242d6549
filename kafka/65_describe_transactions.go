package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// DescribeTransactions: transactional ids, and the partitions of their open transactions (KIP-664).
//
// Version 0. Topics that the client may not describe are left out.
func (c *call) describeTransactions(req *kmsg.DescribeTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range once(req.TransactionalIDs, func(id string) string { return id }) {
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID = id
		if err := cmp.Or(c.checkTxnID(acl.Describe, id), c.checkCoordinates(ofTransactions, id)); err != nil {
			s.ErrorCode = c.s.codeOf(err)
			resp.TransactionStates = append(resp.TransactionStates, s)
			continue
		}
		d, err := c.s.in.Txns.Describe(id)
		if s.ErrorCode = c.s.groupCodeOf(err); err == nil {
			s.State, s.TimeoutMillis, s.StartTimestamp = d.State.String(), int32(d.Timeout.Milliseconds()), -1
			s.ProducerID, s.ProducerEpoch = d.Producer.ID, d.Producer.Epoch
			if !d.Started.IsZero() {
				s.StartTimestamp = d.Started.UnixMilli()
			}
			for _, tp := range d.Partitions { // by topic
				if c.deniedTopic(tp.Topic) != nil {
					continue
				}
				if n := len(s.Topics); n == 0 || s.Topics[n-1].Topic != tp.Topic {
					t := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
					t.Topic = tp.Topic
					s.Topics = append(s.Topics, t)
				}
				t := &s.Topics[len(s.Topics)-1]
				t.Partitions = append(t.Partitions, tp.Partition)
			}
		}
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	return resp
}
