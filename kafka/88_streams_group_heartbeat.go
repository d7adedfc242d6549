package kafka

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/streams"
	"github.com/samsa-go/samsa/topic"
)

// The first version of StreamsGroupHeartbeat whose clients know MISSING_CLIENT_TAGS, and lags of 64 bits.
const streamsTags = 1

// StreamsGroupHeartbeat: a member of a streams group says what it has, and is told what it is to have (KIP-1071).
//
// Versions 0 and 1. Internal topics are made before the answer, which says that they are missing; the next one has tasks.
// Left out: source topics by regular expressions, as in Kafka, and descriptions of topologies for people
// (StreamsGroupTopologyDescriptionUpdate), which stock brokers do not ask for.
func (c *call) streamsGroupHeartbeat(req *kmsg.StreamsGroupHeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrStreamsGroupHeartbeatResponse()
	refuse := func(err error) kmsg.Response {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	if c.s.in.Features.Level(feature.Streams) < 1 {
		return refuse(errNoStreams)
	}
	beat, err := c.streamsHeartbeat(req)
	if err != nil {
		return refuse(err)
	}
	if c.s.opts.ACLs != nil && !c.mayCluster(acl.Create) {
		beat.MayCreate = func(topic string) bool { return c.may(acl.Create, acl.Topic, topic) }
	}
	answer, config, err := c.s.in.Streams.Heartbeat(c.ctx, req.Group, beat)
	if err != nil {
		return refuse(err)
	}
	resp.MemberID, resp.MemberEpoch = answer.MemberID, answer.Epoch
	if req.MemberEpoch < 0 {
		resp.Status = []kmsg.StreamsGroupHeartbeatResponseStatus{}
		return resp
	}
	interval := config.HeartbeatInterval
	if answer.Due > 0 {
		interval = min(interval, answer.Due)
	}
	resp.HeartbeatIntervalMillis = heartbeatMillis(interval)
	resp.TaskOffsetIntervalMillis = int32(config.TaskOffsetInterval.Milliseconds())
	resp.AcceptableRecoveryLag = config.AcceptableLag
	resp.AcceptableRecoveryLagLegacy = int32(min(config.AcceptableLag, 1<<31-1))
	resp.EndpointInformationEpoch = answer.EndpointEpoch
	if t := answer.Tasks; t != nil {
		resp.ActiveTasks, resp.StandbyTasks, resp.WarmupTasks = taskIDs(t[streams.Active]), taskIDs(t[streams.Standby]), taskIDs(t[streams.Warmup])
	}
	resp.Status = make([]kmsg.StreamsGroupHeartbeatResponseStatus, 0, len(answer.Statuses))
	for _, s := range answer.Statuses {
		status := kmsg.NewStreamsGroupHeartbeatResponseStatus()
		status.StatusCode, status.StatusDetail = int8(s.Code), s.Detail
		resp.Status = append(resp.Status, status)
	}
	if answer.TellEndpoints {
		resp.PartitionsByUserEndpoint = endpointPartitions(answer.Endpoints)
	}
	return resp
}

var errNoStreams = protocolError{codeUnsupportedVersion, "the level of the feature " + feature.Streams + " is 0"}

// invalid is an INVALID_REQUEST with Kafka's text.
func invalid(format string, args ...any) error {
	return protocolError{codeInvalidRequest, fmt.Sprintf(format, args...)}
}

// streamsHeartbeat reads a request, and refuses what no member says.
func (c *call) streamsHeartbeat(req *kmsg.StreamsGroupHeartbeatRequest) (beat streams.Heartbeat, err error) {
	if err = checkTopicNames(req.Topology); err == nil {
		err = checkStreamsHeartbeat(req)
	}
	if err != nil {
		return beat, err
	}
	beat = streams.Heartbeat{
		MemberID: req.MemberID, InstanceID: orNone(req.InstanceID), Epoch: req.MemberEpoch, RackID: orNone(req.RackID),
		ClientID: c.clientID, ClientHost: c.host(), ProcessID: orNone(req.ProcessID), EndpointEpoch: req.EndpointInformationEpoch,
		RebalanceTimeout: max(0, time.Duration(req.RebalanceTimeoutMillis)*time.Millisecond),
		Shutdown:         req.ShutdownApplication, CheckTags: c.version >= streamsTags,
	}
	if req.Topology != nil {
		t, err := streamsTopology(req.Topology)
		if err != nil {
			return beat, err
		}
		beat.Topology = &t
	}
	if req.ActiveTasks != nil {
		beat.Owned = &streams.Tasks{taskSet(req.ActiveTasks), taskSet(req.StandbyTasks), taskSet(req.WarmupTasks)}
	}
	if e := req.UserEndpoint; e != nil {
		beat.Endpoint = &streams.Endpoint{Host: e.Host, Port: e.Port}
	}
	if req.ClientTags != nil {
		beat.Tags = make(map[string]string)
		for _, t := range req.ClientTags {
			beat.Tags[t.Key] = t.Value
		}
	}
	if beat.Offsets, err = taskOffsets(req.TaskOffsets); err == nil {
		beat.Ends, err = taskOffsets(req.TaskEndOffsets)
	}
	return beat, err
}

// checkTopicNames refuses topologies over topics that cannot be, or that are Kafka's own.
func checkTopicNames(t *kmsg.StreamsGroupHeartbeatRequestTopology) error {
	if t == nil {
		return nil
	}
	var names, internal, bad []string
	for _, s := range t.Subtopologies {
		names = append(append(names, s.SourceTopics...), s.RepartitionSinkTopics...)
		for _, it := range slices.Concat(s.RepartitionSourceTopics, s.StateChangelogTopics) {
			names = append(names, it.Topic)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		switch name {
		case "__consumer_offsets", "__transaction_state", "__share_group_state":
			internal = append(internal, name)
		}
		if topic.CheckName(name) != nil {
			bad = append(bad, fmt.Sprintf("%.249s", name))
		}
	}
	if len(internal) > 0 {
		return badTopology("Use of Kafka internal topics %s in a Kafka Streams topology is prohibited.", internal)
	}
	if len(bad) > 0 {
		return badTopology("Topic names %s are not valid topic names.", bad)
	}
	return nil
}

// badTopology is a STREAMS_INVALID_TOPOLOGY with Kafka's text about topics.
func badTopology(format string, topics []string) error {
	return protocolError{codeStreamsInvalidTopology, fmt.Sprintf(format, strings.Join(topics, ","))}
}

// checkStreamsHeartbeat is the rules of the request alone.
func checkStreamsHeartbeat(req *kmsg.StreamsGroupHeartbeatRequest) error {
	if req.Topology != nil {
		for _, s := range req.Topology.Subtopologies {
			if len(s.SourceTopicRegex) > 0 {
				return invalid("Regular expressions for source topics are not supported yet.")
			}
		}
	}
	empty := func(s *string) bool { return s != nil && *s == "" }
	tasks := [3][]kmsg.TaskIDs{req.ActiveTasks, req.StandbyTasks, req.WarmupTasks}
	joins := req.MemberEpoch == 0
	switch {
	case req.MemberID == "":
		return invalid("MemberId can't be empty.")
	case req.Group == "":
		return invalid("GroupId can't be empty.")
	case empty(req.InstanceID):
		return invalid("InstanceId can't be empty.")
	case empty(req.RackID):
		return invalid("RackId can't be empty.")
	case joins && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	}
	for i, name := range []string{"ActiveTasks", "StandbyTasks", "WarmupTasks"} {
		if joins && (tasks[i] == nil || len(tasks[i]) > 0) {
			return invalid("%s must be empty when (re-)joining.", name)
		}
	}
	set := 0
	for _, t := range tasks {
		if t != nil {
			set++
		}
	}
	switch {
	case joins && req.Topology == nil:
		return invalid("Topology must be non-null when (re-)joining.")
	case req.MemberEpoch == -2 && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case req.MemberEpoch < -2:
		return invalid("MemberEpoch is %d, but must be greater than or equal to -2.", req.MemberEpoch)
	case set > 0 && set < len(tasks):
		return invalid("If one task-type is non-null, all must be non-null.")
	case !joins && req.Topology != nil:
		return invalid("Topology can only be provided when (re-)joining.")
	}
	return nil
}

// streamsTopology reads a topology. Copartitioned topics are told by their places in the lists of topics.
func streamsTopology(rt *kmsg.StreamsGroupHeartbeatRequestTopology) (streams.Topology, error) {
	t := streams.Topology{Epoch: rt.Epoch}
	for _, rs := range rt.Subtopologies {
		s := streams.Subtopology{
			ID: rs.SubtopologyID, Sources: rs.SourceTopics, Sinks: rs.RepartitionSinkTopics,
			Repartition: internalTopics(rs.RepartitionSourceTopics), Changelogs: internalTopics(rs.StateChangelogTopics),
		}
		for _, rg := range rs.CopartitionGroups {
			var set []string
			for _, i := range rg.SourceTopics {
				if i < 0 || int(i) >= len(s.Sources) {
					return t, fmt.Errorf("%w: subtopology %q has no source topic %d", log.ErrInvalidTopology, s.ID, i)
				}
				set = append(set, s.Sources[i])
			}
			for _, i := range rg.RepartitionSourceTopics {
				if i < 0 || int(i) >= len(s.Repartition) {
					return t, fmt.Errorf("%w: subtopology %q has no repartition source topic %d", log.ErrInvalidTopology, s.ID, i)
				}
				set = append(set, s.Repartition[i].Name)
			}
			s.Copartition = append(s.Copartition, set)
		}
		t.Subtopologies = append(t.Subtopologies, s)
	}
	return t.Normal()
}

func internalTopics(from []kmsg.TopicInfo) (topics []streams.InternalTopic) {
	for _, rt := range from {
		t := streams.InternalTopic{Name: rt.Topic, Partitions: rt.NumPartitions, Replication: rt.ReplicationFactor}
		for _, rc := range rt.Configs {
			t.Configs = append(t.Configs, streams.TopicConfig{Name: rc.Key, Value: rc.Value})
		}
		topics = append(topics, t)
	}
	return topics
}

func taskSet(from []kmsg.TaskIDs) streams.TaskSet {
	s := make(streams.TaskSet)
	for _, t := range from {
		for _, p := range t.Partitions {
			s[streams.TaskID{Subtopology: t.SubtopologyID, Partition: p}] = 0
		}
	}
	return s
}

// taskIDs is the opposite of taskSet; never null.
func taskIDs(s streams.TaskSet) []kmsg.TaskIDs {
	ids := []kmsg.TaskIDs{}
	for _, t := range s.Sorted() {
		if len(ids) == 0 || ids[len(ids)-1].SubtopologyID != t.Subtopology {
			next := kmsg.NewTaskIDs()
			next.SubtopologyID = t.Subtopology
			ids = append(ids, next)
		}
		last := &ids[len(ids)-1]
		last.Partitions = append(last.Partitions, t.Partition)
	}
	return ids
}

func taskOffsets(from []kmsg.TaskOffset) (map[streams.TaskID]int64, error) {
	if from == nil {
		return nil, nil
	}
	offsets := make(map[streams.TaskID]int64, len(from))
	for _, o := range from {
		id := streams.TaskID{Subtopology: o.SubtopologyID, Partition: o.Partition}
		if _, ok := offsets[id]; ok {
			return nil, invalid("Task offsets contain a duplicate entry for subtopology %s and partition %d.", o.SubtopologyID, o.Partition)
		}
		offsets[id] = o.Offset
	}
	return offsets, nil
}

func endpointPartitions(from []streams.EndpointTasks) []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint {
	all := []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint{}
	for _, e := range from {
		p := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpoint()
		p.UserEndpoint.Host, p.UserEndpoint.Port = e.Endpoint.Host, e.Endpoint.Port
		for _, tp := range e.Active {
			n := len(p.ActivePartitions)
			if n == 0 || p.ActivePartitions[n-1].Topic != tp.Topic {
				t := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointActivePartition()
				t.Topic = tp.Topic
				p.ActivePartitions, n = append(p.ActivePartitions, t), n+1
			}
			p.ActivePartitions[n-1].Partitions = append(p.ActivePartitions[n-1].Partitions, tp.Partition)
		}
		for _, tp := range e.Standby {
			n := len(p.StandbyPartitions)
			if n == 0 || p.StandbyPartitions[n-1].Topic != tp.Topic {
				t := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpointStandbyPartition()
				t.Topic = tp.Topic
				p.StandbyPartitions, n = append(p.StandbyPartitions, t), n+1
			}
			p.StandbyPartitions[n-1].Partitions = append(p.StandbyPartitions[n-1].Partitions, tp.Partition)
		}
		all = append(all, p)
	}
	return all
}
