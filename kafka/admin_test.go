package kafka

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// A topic's life, as an admin client leads it: created, described, changed, emptied, grown,
// deleted, and each step seen through the Go API.
func TestTopicLife(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()

	create := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "orders", 2, -1
	rt.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: kmsgString("1000")}}
	create.Topics = append(create.Topics, rt)
	create.ValidateOnly = true
	created := ask[*kmsg.CreateTopicsResponse](c, 7, create).Topics[0]
	if _, err := k.Topics().Describe(k.ctx, "orders"); created.ErrorCode != 0 || err == nil {
		t.Fatalf("validated: %+v, there is one: %v", created, err == nil)
	}
	create.ValidateOnly = false
	created = ask[*kmsg.CreateTopicsResponse](c, 7, create).Topics[0]
	info, err := k.Topics().Describe(k.ctx, "orders")
	if err != nil || created.ErrorCode != 0 || created.TopicID != info.ID || created.NumPartitions != 2 || created.ReplicationFactor != 1 {
		t.Fatalf("created: %+v, error %v", created, err)
	}
	for _, tc := range created.Configs {
		if want := int8(kmsg.ConfigSourceDynamicTopicConfig); tc.Name == "retention.ms" && (*tc.Value != "1000" || tc.Source != want) {
			t.Errorf("got %+v", tc)
		}
	}
	if again := ask[*kmsg.CreateTopicsResponse](c, 7, create).Topics[0]; again.ErrorCode != codeTopicAlreadyExists || again.ErrorMessage == nil {
		t.Errorf("created again: %+v", again)
	}

	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{
			{Name: "retention.ms", Op: kmsg.IncrementalAlterConfigOpDelete},
			{Name: "cleanup.policy", Op: kmsg.IncrementalAlterConfigOpAppend, Value: kmsgString("compact")},
		},
	}}
	if r := ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, alter).Resources[0]; r.ErrorCode != 0 {
		t.Fatalf("altered: %+v", r)
	}
	if got := configs(t, c, "orders"); got["retention.ms"] != "604800000" || got["cleanup.policy"] != "compact,delete" {
		t.Errorf("got %v", got)
	}
	replace := kmsg.NewPtrAlterConfigsRequest()
	replace.Resources = []kmsg.AlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders",
		Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.bytes", Value: kmsgString("5000")}},
	}}
	if r := ask[*kmsg.AlterConfigsResponse](c, 2, replace).Resources[0]; r.ErrorCode != 0 {
		t.Fatalf("replaced: %+v", r)
	}
	if got := configs(t, c, "orders"); got["retention.bytes"] != "5000" || got["cleanup.policy"] != "delete" {
		t.Errorf("got %v", got)
	}

	now := time.Now().UnixMilli() // else retention removes them
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, 0, record{now, "", "x"}, record{now, "", "y"})))
	remove := kmsg.NewPtrDeleteRecordsRequest()
	remove.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "orders", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{
		{Partition: 0, Offset: 1}, {Partition: 0, Offset: 9}, {Partition: 7, Offset: 0},
	}}}
	got := ask[*kmsg.DeleteRecordsResponse](c, 2, remove).Topics[0].Partitions
	if s := fmt.Sprint(got[0].ErrorCode, got[0].LowWatermark, got[1].ErrorCode, got[2].ErrorCode); s != "0 1 1 3" {
		t.Errorf("removed: %s", s)
	}

	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "orders", Count: 5}}
	for _, want := range []int16{0, codeInvalidPartitions} { // 5 again is no growth
		if r := ask[*kmsg.CreatePartitionsResponse](c, 3, grow).Topics[0]; r.ErrorCode != want {
			t.Errorf("grown: %+v", r)
		}
	}
	if info, err = k.Topics().Describe(k.ctx, "orders"); err != nil || len(info.Partitions) != 5 || info.Partitions[0].LogStart != 1 {
		t.Errorf("got %+v, error %v", info, err)
	}

	gone := kmsg.NewPtrDeleteTopicsRequest()
	gone.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: info.ID}, {Topic: kmsgString("nobody")}, {}}
	deleted := ask[*kmsg.DeleteTopicsResponse](c, 6, gone).Topics
	if s := fmt.Sprintln(deleted[0].ErrorCode, *deleted[0].Topic, deleted[1].ErrorCode, deleted[2].ErrorCode); s != "0 orders 3 42\n" {
		t.Errorf("deleted: %s", s)
	}
	if names, err := k.Topics().List(k.ctx); err != nil || len(names) != 0 {
		t.Errorf("left: %v, error %v", names, err)
	}
}

// configs asks for the configs of a topic.
func configs(t *testing.T, c *client, topic string) map[string]string {
	t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic}}
	r := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]
	if r.ErrorCode != 0 {
		t.Fatalf("got %+v", r)
	}
	m := make(map[string]string)
	for _, e := range r.Configs {
		m[e.Name] = *e.Value
	}
	return m
}

// A topic that is missing is created when the broker and the request agree to it; requests
// before version 4 always do.
func TestMetadataCreatesTopics(t *testing.T) {
	for _, tt := range []struct {
		auto    bool
		version int16
		allow   bool
		want    int16
	}{
		{true, 3, false, 0}, {true, 4, true, 0}, {true, 4, false, codeUnknownTopicOrPartition},
		{false, 3, false, codeUnknownTopicOrPartition}, {false, 12, true, codeUnknownTopicOrPartition},
	} {
		k := start(t, samsa.Options{AutoCreateTopics: tt.auto}, Options{NodeID: 7, Advertise: "kafka.test:1234"})
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = tt.allow
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsgString("web_log")}}
		resp := ask[*kmsg.MetadataResponse](k.dial(), tt.version, req)
		if got := resp.Topics[0]; got.ErrorCode != tt.want || tt.want == 0 && (len(got.Partitions) != 1 || got.Partitions[0].Leader != 7) {
			t.Errorf("%+v: got %+v", tt, got)
		}
		if b := resp.Brokers[0]; b.NodeID != 7 || b.Host != "kafka.test" || b.Port != 1234 {
			t.Errorf("got %+v", b)
		}
	}
}

// DescribeTopicPartitions goes on where the page before has ended.
func TestDescribeTopicPartitionsInPages(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for _, name := range []string{"a", "b", "c"} {
		k.create(name, samsa.TopicConfig{Partitions: 3})
	}
	c := k.dial()
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 3
	req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "a", Partition: 1}
	got := ""
	for page := 0; ; page++ {
		resp := ask[*kmsg.DescribeTopicPartitionsResponse](c, 0, req)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				got += fmt.Sprint(" ", *topic.Topic, p.Partition)
			}
		}
		if resp.NextCursor == nil {
			break
		}
		got += " |"
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	if want := " a1 a2 b0 | b1 b2 c0 | c1 c2"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestListOffsets(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, 0, record{10, "", "a"}, record{30, "", "b"}, record{20, "", "c"})))
	if err := k.Topics().DeleteRecords(k.ctx, "web_log", map[int32]int64{0: 1}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		version           int16
		ts                int64
		code              int16
		offset, timestamp int64
	}{
		{11, listLatest, 0, 3, -1}, {11, listEarliest, 0, 1, -1}, {11, listEarliestLocal, 0, 1, -1},
		{11, listMaxTimestamp, 0, 1, 30}, {11, listLatestTiered, 0, -1, -1}, {11, -9, codeUnsupportedVersion, -1, -1},
		{1, 0, 0, 1, 30}, {1, 15, 0, 1, 30}, {1, 31, 0, -1, -1},
	} {
		req := kmsg.NewPtrListOffsetsRequest()
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp = tt.ts
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
		p := ask[*kmsg.ListOffsetsResponse](c, tt.version, req).Topics[0].Partitions[0]
		if p.ErrorCode != tt.code || p.Offset != tt.offset || p.Timestamp != tt.timestamp {
			t.Errorf("%+v: got %+v", tt, p)
		}
	}
}

// What a request names twice is not done twice, nor half: a topic to delete stays, a group is
// deleted, and told once.
func TestNamedTwice(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	name := kmsgString("web_log")
	info, err := k.Topics().Describe(k.ctx, *name)
	if err != nil {
		t.Fatal(err)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	for _, topics := range [][]kmsg.DeleteTopicsRequestTopic{{{Topic: name}, {Topic: name}}, {{TopicID: info.ID}, {TopicID: info.ID}}} {
		del.Topics = topics
		if got := ask[*kmsg.DeleteTopicsResponse](c, 6, del).Topics; len(got) != 1 || got[0].ErrorCode != codeInvalidRequest {
			t.Errorf("delete a topic twice: %+v", got)
		}
	}
	del.TopicNames = []string{*name, *name}
	if got := ask[*kmsg.DeleteTopicsResponse](c, 5, del).Topics; len(got) != 1 || got[0].ErrorCode != codeInvalidRequest {
		t.Errorf("delete a topic twice, version 5: %+v", got)
	}
	if _, err := k.Topics().Describe(k.ctx, *name); err != nil {
		t.Error(err)
	}

	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: *name, Count: 2}, {Topic: *name, Count: 3}}
	if got := ask[*kmsg.CreatePartitionsResponse](c, 3, grow).Topics; len(got) != 1 || got[0].ErrorCode != codeInvalidRequest {
		t.Errorf("add partitions twice: %+v", got)
	}

	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "bills", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: *name, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
	ask[*kmsg.OffsetCommitResponse](c, 8, commit)
	groups := kmsg.NewPtrDeleteGroupsRequest()
	groups.Groups = []string{"bills", "bills"}
	if got := ask[*kmsg.DeleteGroupsResponse](c, 2, groups).Groups; len(got) != 1 || got[0].ErrorCode != codeNone {
		t.Errorf("delete a group twice: %+v", got)
	}
}

// A version of ListOffsets refuses the negative timestamps that later ones gave a meaning.
func TestListOffsetsOfLaterVersions(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for ts, since := range map[int64]int16{-1: 0, -2: 0, -3: 7, -4: 8, -5: 9, -6: 11, -7: 12, math.MinInt64: 12} {
		for version := int16(0); version <= 11; version++ {
			req := kmsg.NewPtrListOffsetsRequest()
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: ts, MaxNumOffsets: 1, CurrentLeaderEpoch: -1}}}}
			want := codeNone
			if version < since {
				want = codeUnsupportedVersion
			}
			if got := ask[*kmsg.ListOffsetsResponse](c, version, req).Topics[0].Partitions[0].ErrorCode; got != want {
				t.Errorf("timestamp %d, version %d: got %d, want %d", ts, version, got, want)
			}
		}
	}
}

// Records of a topic that only compaction removes are not deleted by clients.
func TestDeleteRecordsOfCompactedTopics(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	for policy, want := range map[samsa.CleanupPolicy]int16{
		samsa.CleanupCompact: codePolicyViolation, samsa.CleanupCompact | samsa.CleanupDelete: 0, samsa.CleanupDelete: 0, samsa.CleanupConsumed: 0,
	} {
		name := strings.ReplaceAll(policy.String(), ",", "-")
		k.create(name, samsa.TopicConfig{CleanupPolicy: policy})
		if _, err := k.Produce(k.ctx, samsa.Record{Topic: name, Key: []byte("k")}); err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrDeleteRecordsRequest()
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Offset = -1
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{rp}}}
		got := ask[*kmsg.DeleteRecordsResponse](c, 2, req).Topics[0].Partitions[0]
		low := map[bool]int64{true: 1, false: -1}[want == 0]
		if got.ErrorCode != want || got.LowWatermark != low {
			t.Errorf("%s: code %d, begins at %d, want %d, %d", policy, got.ErrorCode, got.LowWatermark, want, low)
		}
	}
}
