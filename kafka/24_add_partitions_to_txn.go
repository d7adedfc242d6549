package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// The versions of AddPartitionsToTxn that differ.
const (
	fencedAddPartitions = 2 // clients know PRODUCER_FENCED
	addPartitionsBatch  = 4 // many transactions at a time, from other brokers
)

// AddPartitionsToTxn: takes partitions into a transaction, all that are named or none.
//
// Versions 0 to 5; clients use up to 3. From 4 on there are many transactions in a request, and partitions can be verified
// only. If a partition does not exist the others are OPERATION_NOT_ATTEMPTED.
func (c *call) addPartitionsToTxn(req *kmsg.AddPartitionsToTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	if c.version >= addPartitionsBatch {
		for i := range req.Transactions {
			t := &req.Transactions[i]
			rt := kmsg.NewAddPartitionsToTxnResponseTransaction()
			rt.TransactionalID = t.TransactionalID
			rt.Topics = c.addPartitions(t)
			resp.Transactions = append(resp.Transactions, rt)
		}
		return resp
	}
	one := kmsg.AddPartitionsToTxnRequestTransaction{TransactionalID: req.TransactionalID, ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch}
	for _, t := range req.Topics {
		one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	for _, t := range c.addPartitions(&one) {
		rt := kmsg.NewAddPartitionsToTxnResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, p.ErrorCode
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// addPartitions takes what one transaction names into it, and answers for each partition.
func (c *call) addPartitions(t *kmsg.AddPartitionsToTxnRequestTransaction) []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	var tps []log.TopicPartition
	var bad []error // of each
	refused := false
	for _, rt := range t.Topics {
		for _, i := range rt.Partitions {
			_, err := c.partition(rt.Topic, noTopic, false, i)
			tps, bad = append(tps, log.TopicPartition{Topic: rt.Topic, Partition: i}), append(bad, err)
			refused = refused || err != nil
		}
	}
	var all error // of all that have none of their own
	switch p := (txn.Producer{ID: t.ProducerID, Epoch: t.ProducerEpoch}); {
	case refused:
		all = protocolError{codeOperationNotAttempted, "another partition of the request cannot be added"}
	case t.VerifyOnly:
		bad, all = c.s.in.Txns.Verify(t.TransactionalID, p, tps...)
	default:
		all = c.s.in.Txns.AddPartitions(c.ctx, t.TransactionalID, p, tps...)
	}
	return c.addedPartitions(t, bad, all)
}

func (c *call) addedPartitions(t *kmsg.AddPartitionsToTxnRequestTransaction, bad []error, all error) []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	var topics []kmsg.AddPartitionsToTxnResponseTransactionTopic
	n := 0
	for _, rt := range t.Topics {
		out := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		out.Topic = rt.Topic
		for _, i := range rt.Partitions {
			p := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			err := all
			if n < len(bad) && bad[n] != nil {
				err = bad[n]
			}
			n++
			p.Partition, p.ErrorCode = i, c.txnCode(err, fencedAddPartitions)
			out.Partitions = append(out.Partitions, p)
		}
		topics = append(topics, out)
	}
	return topics
}
