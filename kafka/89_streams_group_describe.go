package kafka

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/streams"
)

// descriptionNotStored is what is said of a topology's description for people.
const descriptionNotStored = 1

// StreamsGroupDescribe: streams groups with their topologies and members.
//
// Versions 0 and 1. A group that is none of streams is GROUP_ID_NOT_FOUND. Left out: descriptions of topologies for people,
// of which nobody has one.
func (c *call) streamsGroupDescribe(req *kmsg.StreamsGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrStreamsGroupDescribeResponse()
	for _, name := range once(req.Groups, func(name string) string { return name }) {
		g := kmsg.NewStreamsGroupDescribeResponseGroup()
		g.Group = name
		d, err := c.describeStreams(name)
		if err != nil {
			g.ErrorCode, g.ErrorMessage = c.s.groupCodeOf(err), message(err)
			resp.Groups = append(resp.Groups, g)
			continue
		}
		if req.IncludeAuthorizedOperations {
			g.AuthorizedOperations = c.operations(acl.Group, name)
		}
		if req.IncludeTopologyDescription {
			g.TopologyDescriptionStatus = descriptionNotStored
		}
		g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = d.State.String(), d.Epoch, d.AssignmentEpoch, kmsgString(streams.AssignorName)
		g.Topology = describedTopology(d)
		for _, m := range d.Members {
			g.Members = append(g.Members, describedMember(m))
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// describeStreams describes a group, if the client may describe it and all topics of its topology.
func (c *call) describeStreams(name string) (streams.Description, error) {
	if err := cmp.Or(c.checkGroup(acl.Describe, name), c.coordinatesGroup(name)); err != nil {
		return streams.Description{}, err
	}
	d, err := c.s.in.Streams.DescribeGroup(name)
	for _, s := range d.Subtopologies {
		names := slices.Concat(s.Sources, s.Sinks)
		for _, t := range slices.Concat(s.Repartition, s.Changelogs) {
			names = append(names, t.Name)
		}
		for _, topic := range names {
			if c.deniedTopic(topic) != nil {
				return streams.Description{}, errTopicDenied
			}
		}
	}
	return d, err
}

func describedTopology(d streams.Description) *kmsg.StreamsGroupDescribeResponseGroupTopology {
	t := kmsg.NewStreamsGroupDescribeResponseGroupTopology()
	t.Epoch = d.TopologyEpoch
	for _, s := range d.Subtopologies {
		rs := kmsg.NewStreamsGroupDescribeResponseGroupTopologySubtopology()
		rs.SubtopologyID = s.ID
		rs.SourceTopics, rs.RepartitionSinkTopics = slices.Sorted(slices.Values(s.Sources)), slices.Sorted(slices.Values(s.Sinks))
		rs.StateChangelogTopics, rs.RepartitionSourceTopics = topicInfos(s.Changelogs), topicInfos(s.Repartition)
		t.Subtopologies = append(t.Subtopologies, rs)
	}
	return &t
}

// topicInfos is the opposite of internalTopics, by name.
func topicInfos(from []streams.InternalTopic) []kmsg.TopicInfo {
	var infos []kmsg.TopicInfo
	byName := make(map[string]streams.InternalTopic)
	for _, t := range from {
		byName[t.Name] = t
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		t := byName[name]
		info := kmsg.NewTopicInfo()
		info.Topic, info.NumPartitions, info.ReplicationFactor = t.Name, t.Partitions, t.Replication
		for _, tc := range t.Configs {
			config := kmsg.NewTopicInfoConfig()
			config.Key, config.Value = tc.Name, tc.Value
			info.Configs = append(info.Configs, config)
		}
		infos = append(infos, info)
	}
	return infos
}

func describedMember(m streams.MemberDescription) kmsg.StreamsGroupDescribeResponseGroupMember {
	rm := kmsg.NewStreamsGroupDescribeResponseGroupMember()
	rm.MemberID, rm.MemberEpoch, rm.InstanceID, rm.RackID = m.ID, m.Epoch, orNull(m.InstanceID), orNull(m.RackID)
	rm.ClientID, rm.ClientHost, rm.TopologyEpoch, rm.ProcessID = m.ClientID, m.ClientHost, m.TopologyEpoch, m.ProcessID
	if m.Endpoint != nil {
		e := kmsg.NewStreamsGroupDescribeResponseGroupMemberUserEndpoint()
		e.Host, e.Port = m.Endpoint.Host, m.Endpoint.Port
		rm.UserEndpoint = &e
	}
	for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
		tag := kmsg.NewStreamsGroupDescribeResponseGroupMemberClientTag()
		tag.Key, tag.Value = key, m.Tags[key]
		rm.ClientTags = append(rm.ClientTags, tag)
	}
	rm.TaskOffsets, rm.TaskEndOffsets = describedOffsets(m.Offsets), describedOffsets(m.Ends)
	assignment := func(t streams.Tasks) kmsg.StreamsAssignment {
		a := kmsg.NewStreamsAssignment()
		a.ActiveTasks, a.StandbyTasks, a.WarmupTasks = taskIDs(t[streams.Active]), taskIDs(t[streams.Standby]), taskIDs(t[streams.Warmup])
		return a
	}
	rm.Assignment, rm.TargetAssignment = assignment(m.Has), assignment(m.Target)
	return rm
}

func describedOffsets(offsets map[streams.TaskID]int64) []kmsg.TaskOffset {
	var all []kmsg.TaskOffset
	set := make(streams.TaskSet, len(offsets))
	for id := range offsets {
		set[id] = 0
	}
	for _, id := range set.Sorted() {
		o := kmsg.NewTaskOffset()
		o.SubtopologyID, o.Partition, o.Offset = id.Subtopology, id.Partition, offsets[id]
		all = append(all, o)
	}
	return all
}
