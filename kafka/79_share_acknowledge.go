package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// ShareAcknowledge: what became of records that a member of a share group has acquired (KIP-932).
//
// Versions 1 and 2, which has locks that begin anew (KIP-1222). All acknowledgements of a partition are carried out, or
// none of them.
func (c *call) shareAcknowledge(req *kmsg.ShareAcknowledgeRequest) kmsg.Response {
	resp := kmsg.NewPtrShareAcknowledgeResponse()
	err := c.checkShare(req.GroupID, req.MemberID)
	if err == nil {
		err = c.s.shares.advance(shareMember{*req.GroupID, *req.MemberID}, req.ShareSessionEpoch)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	member := shareMember{*req.GroupID, *req.MemberID}
	resp.AcquisitionLockTimeoutMillis = int32(c.s.in.Configs.Values(member.group).ShareLock().Milliseconds())
	var leaders []int32 // of the partitions that others lead
	for i := range req.Topics {
		rt := &req.Topics[i]
		t := kmsg.NewShareAcknowledgeResponseTopic()
		t.TopicID = rt.TopicID
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			batches := make([]ackBatch, len(rp.AcknowledgementBatches))
			for k, b := range rp.AcknowledgementBatches {
				batches[k] = ackBatch{b.FirstOffset, b.LastOffset, b.AcknowledgeTypes}
			}
			err := c.acknowledge(member, sharePartition{rt.TopicID, rp.Partition}, batches, req.IsRenewAck)
			p := kmsg.NewShareAcknowledgeResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = rp.Partition, c.ackCode(err), messageOf(err, maxPartitionMessageBytes)
			if at, is := c.currentLeaderByID(rt.TopicID, rp.Partition, p.ErrorCode); is {
				p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = at.leader, at.epoch
				leaders = append(leaders, at.leader)
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(leaders) > 0 {
		for _, b := range c.endpoints(leaders) {
			resp.NodeEndpoints = append(resp.NodeEndpoints, kmsg.ShareAcknowledgeResponseNodeEndpoint{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
		}
	}
	if req.ShareSessionEpoch == sessionNone && c.s.shares.end(c.s.memory, member, nil) {
		c.s.in.Shares.ReleaseAll(member.group, member.id)
	}
	return resp
}

// ackBatch is what became of the records of some offsets, as it is in requests.
type ackBatch struct {
	first, last int64
	types       []int8
}

// ackedTopic is what became of acknowledgements of a topic.
type ackedTopic struct {
	id         [16]byte
	partitions []ackedPartition
}

type ackedPartition struct {
	index int32
	err   error
}

// acknowledgeFetch carries out the acknowledgements of a ShareFetch.
func (c *call) acknowledgeFetch(req *kmsg.ShareFetchRequest, member shareMember) []ackedTopic {
	var all []ackedTopic
	for i := range req.Topics {
		rt := &req.Topics[i]
		t := ackedTopic{id: rt.TopicID}
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			if len(rp.AcknowledgementBatches) == 0 {
				continue
			}
			batches := make([]ackBatch, len(rp.AcknowledgementBatches))
			for k, b := range rp.AcknowledgementBatches {
				batches[k] = ackBatch{b.FirstOffset, b.LastOffset, b.AcknowledgeTypes}
			}
			err := c.acknowledge(member, sharePartition{rt.TopicID, rp.Partition}, batches, req.IsRenewAck)
			t.partitions = append(t.partitions, ackedPartition{rp.Partition, err})
		}
		all = append(all, t)
	}
	return all
}

// acknowledge carries out the acknowledgements of a partition.
func (c *call) acknowledge(member shareMember, of sharePartition, batches []ackBatch, renews bool) error {
	p, err := c.led("", of.topic, true, of.index)
	if err != nil {
		return err
	}
	acks, err := c.checkAcks(member, batches, renews)
	if err != nil || len(acks) == 0 {
		return err
	}
	return c.s.in.Shares.Acknowledge(c.s.ctx, share.Key{Group: member.group, TopicPartition: p.TopicPartition()}, member.id, c.s.opts.SyncAll, acks...)
}

// firstRenew is the version of ShareFetch and ShareAcknowledge in which locks begin anew.
const firstRenew = 2

// checkAcks returns acknowledgements as they are carried out.
func (c *call) checkAcks(member shareMember, batches []ackBatch, renews bool) ([]share.Ack, error) {
	bad := func(format string, args ...any) ([]share.Ack, error) {
		return nil, protocolError{codeInvalidRequest, fmt.Sprintf(format, args...)}
	}
	most := share.Reject
	if c.version >= firstRenew {
		most = share.Renew
	}
	acks := make([]share.Ack, 0, len(batches))
	before := int64(-1)
	for _, b := range batches {
		switch {
		case b.first > b.last:
			return bad("offsets from %d to %d", b.first, b.last)
		case b.first < before:
			return bad("offset %d behind %d", b.first, before)
		case b.first == before:
			return nil, fmt.Errorf("offset %d, twice: %w", b.first, log.ErrInvalidRecordState)
		case len(b.types) == 0 || len(b.types) > 1 && b.last-b.first != int64(len(b.types)-1):
			return bad("%d acknowledgements for the offsets from %d to %d", len(b.types), b.first, b.last)
		}
		types := make([]share.AckType, len(b.types))
		for i, t := range b.types {
			types[i] = share.AckType(t)
			switch {
			case t < 0 || types[i] > most:
				return bad("there is no acknowledgement of type %d", t)
			case types[i] == share.Renew && !renews:
				return bad("locks begin anew only where IsRenewAck is true")
			case types[i] == share.Renew && !c.s.in.Configs.Values(member.group).ShareRenew():
				return nil, fmt.Errorf("group %s: %w: share.renew.acknowledge.enable is false", member.group, log.ErrInvalidRecordState)
			}
		}
		acks = append(acks, share.Ack{First: b.first, Last: b.last, Types: types})
		before = b.last
	}
	return acks, nil
}

// ackCode is the code of an acknowledgement that has failed.
func (c *call) ackCode(err error) int16 {
	if errors.Is(err, share.ErrDeadLetter) && errors.Is(err, log.ErrUnknownTopic) {
		return codeInvalidConfig // of the group, which names it; and not the topic that the member reads
	}
	if errors.Is(err, log.ErrUnknownTopic) {
		return c.s.topicCode(err, true)
	}
	return c.s.codeOf(err)
}
