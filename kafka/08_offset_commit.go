package kafka

import (
	"cmp"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// commitByID is the version of OffsetCommit and OffsetFetch from which topics have ids.
const commitByID = 10

// commitUnknownGroup is the version of OffsetCommit whose clients know GROUP_ID_NOT_FOUND.
const commitUnknownGroup = 9

// OffsetCommit: where a group goes on, by partition.
//
// Versions 0 to 10. What can be committed is, all or none of it, in one transaction; each
// other partition has an error of its own. Retention times and timestamps of the client are
// not looked at: offsets stay for as long as the broker keeps them. Generation -1 makes a group
// that nobody knows. Members of the consumer protocol (KIP-848) commit in their epoch, by version 9 or later; for what they have had
// since, an older one does (KIP-1251).
func (c *call) offsetCommit(req *kmsg.OffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetCommitResponse()
	good := make(map[log.TopicPartition]group.Offset)
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		name, id, err := c.topicName(rt.Topic, rt.TopicID)
		for _, rp := range rt.Partitions {
			tp := log.TopicPartition{Topic: name, Partition: rp.Partition}
			o := group.Offset{Offset: rp.Offset, LeaderEpoch: rp.LeaderEpoch, Metadata: orNone(rp.Metadata), TopicID: id}
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, c.s.codeOf(c.commitable(good, tp, o, err))
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(good) == 0 {
		return resp
	}
	if err := c.commit(req, good); err != nil {
		failGood(resp, c.commitCode(err))
	}
	return resp
}

// commitable adds an offset to the good ones, or returns why it cannot be committed: err, if its topic was not found.
func (c *call) commitable(good map[log.TopicPartition]group.Offset, tp log.TopicPartition, o group.Offset, err error) error {
	if err = cmp.Or(c.refusal(tp.Topic, tp.Partition), err); err == nil {
		err = c.s.in.Groups.CheckOffset(tp, o)
	}
	if err == nil {
		good[tp] = o
	}
	return err
}

// commitCode is the code for a commit that failed. Older clients know no other answer to a
// generation of a group that does not exist than that the generation is wrong.
func (c *call) commitCode(err error) int16 {
	_, chosen := chosenCode(err)
	switch unknown := errors.Is(err, log.ErrUnknownGroup) && !chosen; {
	case unknown && c.version < commitUnknownGroup:
		return codeIllegalGeneration
	case unknown:
		return codeGroupIDNotFound
	}
	return coordinatorCode(err, c.s.topicCode(err, c.version >= commitByID))
}

// commit commits offsets, whatever the client does meanwhile: it may have sent its last
// commit and gone.
func (c *call) commit(req *kmsg.OffsetCommitRequest, offsets map[log.TopicPartition]group.Offset) error {
	return c.s.in.Groups.Commit(context.WithoutCancel(c.ctx), req.Group, group.CommitRequest{
		MemberID:   req.MemberID,
		InstanceID: orNone(req.InstanceID),
		Generation: req.Generation,
		Offsets:    offsets,
		Synced:     c.s.opts.SyncAll,
		Epochless:  c.version < commitUnknownGroup,
	})
}

// failGood gives the error of the commit to every partition that had none of its own.
func failGood(resp *kmsg.OffsetCommitResponse, code int16) {
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.ErrorCode == codeNone {
				p.ErrorCode = code
			}
		}
	}
}

// topicName is the name of the topic of an offset, which newer requests tell by its id. The id is
// zero for whatever topic has the name.
func (c *call) topicName(name string, id [16]byte) (string, [16]byte, error) {
	return c.topicNamed(name, id, c.version >= commitByID)
}

// topicNamed is topicName for a request that tells the topic by its id, or does not.
func (c *call) topicNamed(name string, id [16]byte, byID bool) (string, [16]byte, error) {
	if !byID {
		return name, noTopic, nil
	}
	t, err := c.s.topic("", id, true)
	if err != nil {
		return "", id, err
	}
	return t.Name(), id, nil
}
