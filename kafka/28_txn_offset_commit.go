package kafka

import (
	"cmp"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// The versions of TxnOffsetCommit that differ.
const (
	abortableTxnCommit = 4 // clients know TRANSACTION_ABORTABLE
	implicitTxnCommit  = 5 // the group need not be added before (KIP-890)
	txnCommitByID      = 6 // topics have ids
)

// TxnOffsetCommit: the offsets of a group that a transaction commits when it ends.
//
// Versions 0 to 6. What can be committed is, as from OffsetCommit. Before version 3 nobody is asked whether the group allows
// it.
func (c *call) txnOffsetCommit(req *kmsg.TxnOffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	good := make(map[log.TopicPartition]group.Offset)
	for _, rt := range req.Topics {
		t := kmsg.NewTxnOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		name, id, err := c.topicNamed(rt.Topic, rt.TopicID, c.version >= txnCommitByID)
		for _, rp := range rt.Partitions {
			tp := log.TopicPartition{Topic: name, Partition: rp.Partition}
			o := group.Offset{Offset: rp.Offset, LeaderEpoch: rp.LeaderEpoch, Metadata: orNone(rp.Metadata), TopicID: id}
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, c.s.codeOf(c.commitable(good, tp, o, err))
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(good) == 0 {
		return resp
	}
	if err := c.commitInTxn(req, good); err != nil {
		code := c.notAdded(err, c.txnCommitCode(err), abortableTxnCommit)
		for _, t := range resp.Topics {
			for i := range t.Partitions {
				t.Partitions[i].ErrorCode = cmp.Or(t.Partitions[i].ErrorCode, code)
			}
		}
	}
	return resp
}

// txnCommitCode is the code for a commit that failed. Older clients know no other answer to a generation of a
// group that does not exist, or to the wrong epoch of a member, than that the generation is wrong.
func (c *call) txnCommitCode(err error) int16 {
	_, chosen := chosenCode(err)
	switch {
	case chosen:
	case c.version < txnCommitByID && (errors.Is(err, log.ErrUnknownGroup) || errors.Is(err, log.ErrStaleMemberEpoch)):
		return codeIllegalGeneration
	case errors.Is(err, log.ErrUnknownGroup):
		return codeGroupIDNotFound
	}
	return coordinatorCode(err, c.s.topicCode(err, c.version >= txnCommitByID))
}

func (c *call) commitInTxn(req *kmsg.TxnOffsetCommitRequest, offsets map[log.TopicPartition]group.Offset) error {
	return c.s.in.Txns.CommitOffsets(context.WithoutCancel(c.ctx), req.TransactionalID, txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch},
		c.version >= implicitTxnCommit, req.Group, group.CommitRequest{
			MemberID:   req.MemberID,
			InstanceID: orNone(req.InstanceID),
			Generation: req.Generation,
			Offsets:    offsets,
		})
}
