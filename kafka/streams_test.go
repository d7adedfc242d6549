package kafka

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/acl"
)

// streamsJoin is how a member of the group app joins: subtopology 0 reads lines and writes words, 1 reads words and has a
// state.
func streamsJoin(id string) *kmsg.StreamsGroupHeartbeatRequest {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis = "app", id, 10_000
	req.ProcessID, req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = kmsgString("of "+id), []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	topology := kmsg.NewStreamsGroupHeartbeatRequestTopology()
	first, second := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology(), kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	first.SubtopologyID, first.SourceTopics, first.RepartitionSinkTopics = "0", []string{"lines"}, []string{"words"}
	words, counts, compact := kmsg.NewTopicInfo(), kmsg.NewTopicInfo(), kmsg.NewTopicInfoConfig()
	words.Topic, counts.Topic = "words", "counts"
	compact.Key, compact.Value = "cleanup.policy", "compact"
	counts.Configs = append(counts.Configs, compact)
	second.SubtopologyID, second.RepartitionSourceTopics, second.StateChangelogTopics = "1", []kmsg.TopicInfo{words}, []kmsg.TopicInfo{counts}
	topology.Subtopologies = append(topology.Subtopologies, second, first)
	req.Topology = &topology
	return req
}

// streamsBeat is the heartbeat of a member that has what it was told.
func streamsBeat(id string, told *kmsg.StreamsGroupHeartbeatResponse) *kmsg.StreamsGroupHeartbeatRequest {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.EndpointInformationEpoch = "app", id, told.MemberEpoch, told.EndpointInformationEpoch
	req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = told.ActiveTasks, told.StandbyTasks, told.WarmupTasks
	return req
}

// streamsTold is an answer, for people.
func streamsTold(r *kmsg.StreamsGroupHeartbeatResponse) string {
	text := fmt.Sprintf("%d at %d", r.ErrorCode, r.MemberEpoch)
	for _, t := range r.ActiveTasks {
		text += fmt.Sprintf(" %s%v", t.SubtopologyID, t.Partitions)
	}
	for _, t := range r.StandbyTasks {
		text += fmt.Sprintf(" /%s%v", t.SubtopologyID, t.Partitions)
	}
	for _, s := range r.Status {
		text += fmt.Sprintf(" status %d", s.StatusCode)
	}
	return text
}

// A streams group's life over the wire: topics are made, tasks are given, and committed offsets are those of the epoch.
func TestStreamsGroup(t *testing.T) { synctest.Test(t, streamsGroup) }

func streamsGroup(t *testing.T) {
	k := startPipe(t, samsa.Options{}, Options{})
	k.create("lines", samsa.TopicConfig{Partitions: 2})
	c := k.dial()
	beat := func(version int16, req *kmsg.StreamsGroupHeartbeatRequest, want string) *kmsg.StreamsGroupHeartbeatResponse {
		t.Helper()
		r := ask[*kmsg.StreamsGroupHeartbeatResponse](c, version, req)
		if got := streamsTold(r); got != want {
			t.Fatalf("told %q, want %q: %+v", got, want, r)
		}
		return r
	}
	r := beat(1, streamsJoin("a"), "0 at 1 status 5 status 3")
	if r.HeartbeatIntervalMillis != 3000 || r.TaskOffsetIntervalMillis != 60_000 || r.AcceptableRecoveryLag != 10_000 || r.ActiveTasks == nil {
		t.Errorf("told %+v", r)
	}
	r = beat(0, streamsBeat("a", r), "0 at 1 status 5")
	time.Sleep(3 * time.Second)
	synctest.Wait()
	r = beat(1, streamsBeat("a", r), "0 at 3 0[0 1] 1[0 1]")

	topics, err := k.Topics().Describe(t.Context(), "counts")
	if err != nil || len(topics.Partitions) != 2 {
		t.Errorf("counts: %+v, %v", topics, err)
	}
	d := ask[*kmsg.StreamsGroupDescribeResponse](c, 1, &kmsg.StreamsGroupDescribeRequest{Groups: []string{"app", "none"}, IncludeAuthorizedOperations: true}).Groups
	app := d[0]
	if app.State != "Stable" || app.Epoch != 3 || app.AssignmentEpoch != 3 || *app.AssignorName != "sticky" || len(app.Members) != 1 ||
		len(app.Topology.Subtopologies) != 2 || app.Topology.Subtopologies[1].StateChangelogTopics[0].NumPartitions != 2 ||
		app.AuthorizedOperations != acl.Group.Every() || d[1].ErrorCode != codeGroupIDNotFound {
		t.Errorf("described: %+v", d)
	}
	if m := app.Members[0]; m.MemberID != "a" || m.ProcessID != "of a" || m.ClientID != "kit" || len(m.Assignment.ActiveTasks) != 2 {
		t.Errorf("described: %+v", m)
	}
	listed := ask[*kmsg.ListGroupsResponse](c, 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"Streams"}}).Groups
	if len(listed) != 1 || listed[0].GroupType != "streams" || listed[0].GroupState != "Stable" || listed[0].ProtocolType != "streams" {
		t.Errorf("listed: %+v", listed)
	}
	info, err := k.Groups().Describe(t.Context(), "app")
	if err != nil || len(info.Members) != 1 || fmt.Sprint(info.Members[0].Assigned) != "[lines/0 lines/1 words/0 words/1]" {
		t.Errorf("described in Go: %+v, %v", info, err)
	}

	commit := func(version int16, epoch int32) int16 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = "app", "a", epoch
		rt, rp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
		rt.Topic, rp.Offset = "lines", 0
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return ask[*kmsg.OffsetCommitResponse](c, version, req).Topics[0].Partitions[0].ErrorCode
	}
	fetch := func(epoch int32) int16 {
		req, rg := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewOffsetFetchRequestGroup()
		rg.Group, rg.MemberID, rg.MemberEpoch = "app", kmsgString("a"), epoch
		req.Groups = append(req.Groups, rg)
		return ask[*kmsg.OffsetFetchResponse](c, 9, req).Groups[0].ErrorCode
	}
	for what, codes := range map[string][2]int16{
		"commit":                   {commit(9, r.MemberEpoch), codeNone},
		"commit of the past":       {commit(9, r.MemberEpoch-1), codeStaleMemberEpoch},
		"commit of the future":     {commit(9, r.MemberEpoch+1), codeStaleMemberEpoch},
		"commit of an old version": {commit(8, r.MemberEpoch), codeUnsupportedVersion},
		"fetch":                    {fetch(r.MemberEpoch), codeNone},
		"fetch of the past":        {fetch(r.MemberEpoch - 1), codeStaleMemberEpoch},
	} {
		if codes[0] != codes[1] {
			t.Errorf("%s: %d, want %d", what, codes[0], codes[1])
		}
	}
	if r := ask[*kmsg.DeleteGroupsResponse](c, 2, &kmsg.DeleteGroupsRequest{Groups: []string{"app"}}).Groups[0]; r.ErrorCode != codeNonEmptyGroup {
		t.Errorf("deleted: %d", r.ErrorCode)
	}
	leave := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	leave.Group, leave.MemberID, leave.MemberEpoch = "app", "a", -1
	beat(1, leave, "0 at -1")
	if r := ask[*kmsg.DeleteGroupsResponse](c, 2, &kmsg.DeleteGroupsRequest{Groups: []string{"app"}}).Groups[0]; r.ErrorCode != 0 {
		t.Errorf("deleted: %d", r.ErrorCode)
	}
}

// What no member says is refused with Kafka's words.
func TestStreamsHeartbeatsThatCannotBe(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("lines", samsa.TopicConfig{Partitions: 2})
	c := k.dial()
	task := []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{0}}}
	for want, change := range map[string]func(*kmsg.StreamsGroupHeartbeatRequest){
		"42 MemberId can't be empty.":                                   func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberID = "" },
		"42 GroupId can't be empty.":                                    func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Group = "" },
		"42 InstanceId can't be empty.":                                 func(r *kmsg.StreamsGroupHeartbeatRequest) { r.InstanceID = kmsgString("") },
		"42 RackId can't be empty.":                                     func(r *kmsg.StreamsGroupHeartbeatRequest) { r.RackID = kmsgString("") },
		"42 RebalanceTimeoutMs must be provided":                        func(r *kmsg.StreamsGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 },
		"42 ActiveTasks must be empty":                                  func(r *kmsg.StreamsGroupHeartbeatRequest) { r.ActiveTasks = task },
		"42 StandbyTasks must be empty":                                 func(r *kmsg.StreamsGroupHeartbeatRequest) { r.StandbyTasks = nil },
		"42 WarmupTasks must be empty":                                  func(r *kmsg.StreamsGroupHeartbeatRequest) { r.WarmupTasks = task },
		"42 Topology must be non-null":                                  func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Topology = nil },
		"42 InstanceId can't be null.":                                  func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology = -2, nil },
		"42 MemberEpoch is -3, but must be greater than or equal to -2": func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology = -3, nil },
		"42 If one task-type is non-null, all must be non-null.": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.MemberEpoch, r.Topology, r.WarmupTasks = 1, nil, nil
		},
		"42 Topology can only be provided": func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch = 1 },
		"42 Regular expressions for source topics": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[0].SourceTopicRegex = []string{"l.*"}
		},
		"42 Task offsets contain a duplicate entry for subtopology 0 and partition 1.": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.TaskOffsets = []kmsg.TaskOffset{{SubtopologyID: "0", Partition: 1}, {SubtopologyID: "0", Partition: 1}}
		},
		"130 Use of Kafka internal topics __consumer_offsets in a": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[1].SourceTopics = []string{"__consumer_offsets"}
		},
		"130 Topic names a b,c/d are not valid": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[1].SourceTopics = []string{"a b", "c/d"}
		},
		`130 group app: member "a": invalid topology: nobody writes repartition topic words`: func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[1].RepartitionSinkTopics = nil
		},
		`130 invalid topology: subtopology "0" has no source topic 3`: func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[1].CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{{SourceTopics: []int16{3}}}
		},
		"130 invalid topology: changelog topic counts": func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[0].StateChangelogTopics[0].NumPartitions = 3
		},
		"69 group app: unknown group": func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology = 1, nil },
	} {
		req := streamsJoin("a")
		change(req)
		r := ask[*kmsg.StreamsGroupHeartbeatResponse](c, 1, req)
		if got := fmt.Sprint(r.ErrorCode, " ", orNone(r.ErrorMessage)); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if groups, err := k.Groups().List(t.Context()); err != nil || len(groups) != 0 {
		t.Errorf("there are groups %v, %v", groups, err)
	}
}

// With the feature set back, clients fall back to the classic protocol.
func TestStreamsFeature(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	req := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = "streams.version", 0, 2
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	if r := ask[*kmsg.UpdateFeaturesResponse](c, 2, req); r.ErrorCode != 0 {
		t.Fatal(r.ErrorCode)
	}
	if r := ask[*kmsg.StreamsGroupHeartbeatResponse](c, 1, streamsJoin("a")); r.ErrorCode != codeUnsupportedVersion {
		t.Errorf("joined with %d", r.ErrorCode)
	}
}
