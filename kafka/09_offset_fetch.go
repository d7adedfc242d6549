package kafka

import (
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
)

// The versions of OffsetFetch that differ.
const (
	fetchGroupError = 2 // the answer has an error for the group; null topics mean all
	fetchManyGroups = 8 // many groups at a time
)

// OffsetFetch: the committed offsets of groups.
//
// Versions 0 to 10. A partition without an offset has -1 and no error, also when nobody knows
// the topic or the group. With RequireStable a partition for which an open transaction has offsets is
// UNSTABLE_OFFSET_COMMIT. From version 9 on who says that it is a member of a group of the consumer protocol (KIP-848) is one, and in
// its present epoch.
func (c *call) offsetFetch(req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	if c.version >= fetchManyGroups {
		for _, rg := range once(req.Groups, func(rg kmsg.OffsetFetchRequestGroup) string { return rg.Group }) {
			resp.Groups = append(resp.Groups, c.fetchGroup(rg, req.RequireStable))
		}
		return resp
	}
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = req.Group
	if req.Topics != nil {
		rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = rt.Topic, rt.Partitions
		rg.Topics = append(rg.Topics, t)
	}
	g := c.fetchGroup(rg, req.RequireStable)
	resp.ErrorCode = g.ErrorCode
	for _, gt := range g.Topics {
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = gt.Topic
		for _, gp := range gt.Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = gp.Partition, gp.Offset, gp.LeaderEpoch
			p.Metadata, p.ErrorCode = gp.Metadata, gp.ErrorCode
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// fetchGroup answers for one group; with stable nothing for what an open transaction is about to change.
func (c *call) fetchGroup(rg kmsg.OffsetFetchRequestGroup, stable bool) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = rg.Group
	if !c.may(acl.Describe, acl.Group, rg.Group) {
		return c.deniedGroup(out, rg)
	}
	if err := c.coordinatesGroup(rg.Group); err != nil {
		out.ErrorCode = c.s.codeOf(err)
		if c.version < fetchGroupError { // it has no place for that
			for _, rt := range rg.Topics {
				out.Topics = append(out.Topics, c.fetchOffsets(rt, nil, err))
			}
		}
		return out
	}
	if rg.MemberID != nil || rg.MemberEpoch >= 0 {
		if err := c.s.in.Groups.CheckFetch(rg.Group, orNone(rg.MemberID), rg.MemberEpoch); err != nil {
			out.ErrorCode = c.s.groupCodeOf(err)
			return out
		}
	}
	tps := c.namedPartitions(rg.Topics)
	var unstable map[log.TopicPartition]bool
	if stable && (rg.Topics == nil || len(tps) > 0) {
		unstable = make(map[log.TopicPartition]bool)
		for _, tp := range c.s.in.Groups.Pending(rg.Group, tps...) { // before the offsets, which its end changes
			unstable[tp] = true
		}
	}
	offsets, err := c.s.in.Groups.Fetch(rg.Group, tps...)
	if errors.Is(err, log.ErrGroupKind) {
		offsets, err = nil, nil // a share group has none
	}
	out.ErrorCode = c.s.groupCodeOf(err)
	switch {
	case err != nil && c.version >= fetchGroupError:
	case rg.Topics == nil:
		out.Topics = c.allOffsets(offsets)
	default:
		for _, rt := range rg.Topics {
			out.Topics = append(out.Topics, c.fetchOffsets(rt, offsets, err))
		}
	}
	if len(unstable) > 0 {
		c.hideUnstable(&out, unstable)
	}
	return out
}

// deniedGroup answers for a group that the client may not describe.
func (c *call) deniedGroup(out kmsg.OffsetFetchResponseGroup, rg kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	out.ErrorCode = codeGroupAuthorizationFailed
	for _, rt := range rg.Topics {
		if c.version >= fetchGroupError {
			break
		}
		t := kmsg.NewOffsetFetchResponseGroupTopic()
		t.Topic = rt.Topic
		for _, i := range rt.Partitions {
			p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			p.Partition, p.Offset, p.ErrorCode = i, -1, codeGroupAuthorizationFailed
			t.Partitions = append(t.Partitions, p)
		}
		out.Topics = append(out.Topics, t)
	}
	return out
}

// hideUnstable takes back the offsets of partitions that an open transaction is about to change.
func (c *call) hideUnstable(out *kmsg.OffsetFetchResponseGroup, unstable map[log.TopicPartition]bool) {
	for i := range out.Topics {
		t := &out.Topics[i]
		name, _, err := c.topicName(t.Topic, t.TopicID)
		for j := range t.Partitions {
			if p := &t.Partitions[j]; err == nil && p.ErrorCode == codeNone && unstable[log.TopicPartition{Topic: name, Partition: p.Partition}] {
				*p = c.committedOffset(log.TopicPartition{Topic: name, Partition: p.Partition}, noOffset, errUnstable)
			}
		}
	}
}

// errUnstable has clients ask again.
var errUnstable = protocolError{codeUnstableOffsetCommit, "an open transaction has offsets for the partition"}

// namedPartitions are those that a request names, as far as there are such topics.
func (c *call) namedPartitions(topics []kmsg.OffsetFetchRequestGroupTopic) []log.TopicPartition {
	var tps []log.TopicPartition
	for _, rt := range topics {
		name, _, err := c.topicName(rt.Topic, rt.TopicID)
		if err != nil {
			continue
		}
		for _, i := range rt.Partitions {
			tps = append(tps, log.TopicPartition{Topic: name, Partition: i})
		}
	}
	return tps
}

// fetchOffsets picks those of one topic; err is the error of the group.
func (c *call) fetchOffsets(rt kmsg.OffsetFetchRequestGroupTopic, offsets map[log.TopicPartition]group.Offset, err error) kmsg.OffsetFetchResponseGroupTopic {
	t := kmsg.NewOffsetFetchResponseGroupTopic()
	t.Topic, t.TopicID = rt.Topic, rt.TopicID
	name, id := rt.Topic, noTopic
	if err == nil {
		name, id, err = c.topicName(rt.Topic, rt.TopicID)
	}
	for _, i := range rt.Partitions {
		tp := log.TopicPartition{Topic: name, Partition: i}
		o, ok := offsets[tp]
		if !ok || id != noTopic && o.TopicID != id {
			o = noOffset
		}
		t.Partitions = append(t.Partitions, c.committedOffset(tp, o, err))
	}
	return t
}

// allOffsets is everything that a group has committed, in order.
func (c *call) allOffsets(offsets map[log.TopicPartition]group.Offset) []kmsg.OffsetFetchResponseGroupTopic {
	byTopic := make(map[string][]int32)
	for tp := range offsets {
		byTopic[tp.Topic] = append(byTopic[tp.Topic], tp.Partition)
	}
	var all []kmsg.OffsetFetchResponseGroupTopic
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		if c.deniedTopic(name) != nil {
			continue
		}
		t := kmsg.NewOffsetFetchResponseGroupTopic()
		t.Topic = name
		for _, i := range slices.Sorted(slices.Values(byTopic[name])) {
			tp := log.TopicPartition{Topic: name, Partition: i}
			t.TopicID = offsets[tp].TopicID
			t.Partitions = append(t.Partitions, c.committedOffset(tp, offsets[tp], nil))
		}
		all = append(all, t)
	}
	return all
}

// noOffset is what a partition has for which none is committed.
var noOffset = group.Offset{Offset: -1, LeaderEpoch: -1}

func (c *call) committedOffset(tp log.TopicPartition, o group.Offset, err error) kmsg.OffsetFetchResponseGroupTopicPartition {
	if refused := c.refusal(tp.Topic, tp.Partition); refused != nil {
		o, err = noOffset, refused
	}
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = tp.Partition, o.Offset, o.LeaderEpoch, &o.Metadata, c.s.groupCodeOf(err)
	return p
}
