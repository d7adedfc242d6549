package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
)

// In every version, what can be committed is committed, by somebody who is no member, and
// everything else has its own error.
func TestOffsetCommitSplitsGoodFromBad(t *testing.T) {
	for version := int16(0); version <= 10; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			k := start(t, samsa.Options{}, Options{})
			k.create("web_log", samsa.TopicConfig{Partitions: 3})
			info, err := k.Topics().Describe(k.ctx, "web_log")
			if err != nil {
				t.Fatal(err)
			}
			c := k.dial()
			req := commitRequest("web_log",
				kmsg.OffsetCommitRequestTopicPartition{Partition: 0, Offset: 5, LeaderEpoch: 0, Metadata: kmsgString("m")},
				kmsg.OffsetCommitRequestTopicPartition{Partition: 1, Offset: 6, LeaderEpoch: -1},
				kmsg.OffsetCommitRequestTopicPartition{Partition: 2, Offset: 7, Metadata: kmsgString(strings.Repeat("m", 4097))},
				kmsg.OffsetCommitRequestTopicPartition{Partition: 3, Offset: 8},
				kmsg.OffsetCommitRequestTopicPartition{Partition: 2, Offset: -1},
			)
			req.Topics[0].TopicID = info.ID
			req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{
				Topic: "nothing", TopicID: [16]byte{1}, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0}},
			})
			resp := ask[*kmsg.OffsetCommitResponse](c, version, req)
			var codes []int16
			for _, rt := range resp.Topics {
				for _, rp := range rt.Partitions {
					codes = append(codes, rp.ErrorCode)
				}
			}
			want := "[0 0 12 3 1 3]"
			if version >= 10 {
				want = "[0 0 12 3 1 100]"
			}
			if got := fmt.Sprint(codes); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			committed, err := k.Groups().Committed(k.ctx, "g")
			if err != nil || len(committed) != 2 {
				t.Fatalf("committed %v, error %v", committed, err)
			}
			epoch := "0"
			if version < 6 {
				epoch = "-1" // was not sent
			}
			if got, want := fetchOffsets(c, 7, nil), "0@5/"+epoch+"m 1@6/-1"; got != want {
				t.Errorf("fetched %s, want %s", got, want)
			}
		})
	}
}

// fetchOffsets asks for offsets of web_log in the group g, for all without partitions, and
// returns partition@offset/epoch, metadata, and an error if there is one.
func fetchOffsets(c *client, version int16, id *[16]byte, partitions ...int32) string {
	c.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, req.Group = "g", "g"
	if len(partitions) > 0 {
		t := kmsg.OffsetFetchRequestGroupTopic{Topic: "web_log", Partitions: partitions}
		if id != nil {
			t.TopicID = *id
		}
		g.Topics = append(g.Topics, t)
		req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: "web_log", Partitions: partitions})
	}
	req.Groups = append(req.Groups, g)
	resp := ask[*kmsg.OffsetFetchResponse](c, version, req)
	var out []string
	show := func(partition int32, offset int64, epoch int32, metadata *string, code int16) {
		s := fmt.Sprintf("%d@%d/%d%s", partition, offset, epoch, *metadata)
		if code != 0 {
			s += fmt.Sprint("!", code)
		}
		out = append(out, s)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			show(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				show(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
			}
		}
	}
	return strings.Join(out, " ")
}

func TestOffsetFetch(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 3})
	info, err := k.Topics().Describe(k.ctx, "web_log")
	if err != nil {
		t.Fatal(err)
	}
	c := k.dial()
	ask[*kmsg.OffsetCommitResponse](c, 8, commitRequest("web_log",
		kmsg.OffsetCommitRequestTopicPartition{Partition: 1, Offset: 5, LeaderEpoch: 0, Metadata: kmsgString("m")}))
	unknown := &[16]byte{1}
	id := [16]byte(info.ID)
	for _, tt := range []struct {
		version    int16
		id         *[16]byte
		partitions []int32
		want       string
	}{
		{0, nil, []int32{0, 1}, "0@-1/-1 1@5/-1m"},
		{1, nil, nil, ""}, // before version 2 nothing is nothing
		{1, nil, []int32{1, 9}, "1@5/-1m 9@-1/-1"},
		{2, nil, nil, "1@5/-1m"},
		{5, nil, []int32{1}, "1@5/0m"},
		{7, nil, []int32{0, 1, 9}, "0@-1/-1 1@5/0m 9@-1/-1"},
		{7, nil, nil, "1@5/0m"},
		{8, nil, []int32{0, 1}, "0@-1/-1 1@5/0m"},
		{9, nil, nil, "1@5/0m"},
		{10, &id, []int32{0, 1}, "0@-1/-1 1@5/0m"},
		{10, nil, nil, "1@5/0m"},
		{10, unknown, []int32{1}, "1@-1/-1!100"},
	} {
		if got := fetchOffsets(c, tt.version, tt.id, tt.partitions...); got != tt.want {
			t.Errorf("version %d, %v: got %q, want %q", tt.version, tt.partitions, got, tt.want)
		}
	}
}

// Who is no member commits only while there is none, and offsets that members go on from stay.
func TestOffsetsOfAGroupWithMembers(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	k.create("former", samsa.TopicConfig{})
	c := k.dial()
	simple := func() int16 {
		req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Offset: 1})
		req.Topics = append(req.Topics, commitRequest("former", kmsg.OffsetCommitRequestTopicPartition{Offset: 1}).Topics...)
		return ask[*kmsg.OffsetCommitResponse](c, 8, req).Topics[0].Partitions[0].ErrorCode
	}
	forget := func() string {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = "g"
		partitions := []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 4}}
		req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "web_log", Partitions: partitions}, {Topic: "former", Partitions: partitions}}
		resp := ask[*kmsg.OffsetDeleteResponse](c, 0, req)
		s := fmt.Sprint(resp.ErrorCode)
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				s += fmt.Sprint(" ", rp.ErrorCode)
			}
		}
		return s
	}
	if code := simple(); code != 0 {
		t.Fatalf("commit: %d", code)
	}
	m := k.member().meet()
	m.begin()
	m.end()
	if code := m.commit(0, 2); code != codeRebalanceInProgress {
		t.Errorf("commit before the assignments are known: %d", code)
	}
	m.sync(map[string]group.Assignment{m.id: {"web_log": {0}}})
	if code := m.commit(0, 2); code != 0 {
		t.Errorf("commit of the member: %d", code)
	}
	if code := simple(); code != codeUnknownMemberID {
		t.Errorf("commit of somebody else: %d", code)
	}
	if got := forget(); got != "0 86 3 0 3" {
		t.Errorf("forget with a member: %s", got)
	}
	if left, err := k.Groups().Committed(k.ctx, "g"); err != nil || len(left) != 1 {
		t.Errorf("with a member are left %v, error %v", left, err)
	}
	m.leave()
	if got := fetchOffsets(c, 7, nil); got != "0@2/-1" {
		t.Errorf("committed %s", got)
	}
	if got := forget(); got != "0 0 3 0 3" {
		t.Errorf("forget: %s", got)
	}
	if got := fetchOffsets(c, 7, nil); got != "" {
		t.Errorf("still committed: %s", got)
	}
	other := k.member()
	join := other.joinRequest()
	join.ProtocolType = "connect"
	if resp := ask[*kmsg.JoinGroupResponse](other.client, 3, join); resp.ErrorCode != 0 {
		t.Fatalf("joined: %+v", resp)
	}
	if got := forget(); got != "68" {
		t.Errorf("forget with a member that is no consumer: %s", got)
	}
}

func TestFindCoordinator(t *testing.T) {
	k := start(t, samsa.Options{}, Options{NodeID: 7, Advertise: "kafka.local:9092"})
	c := k.dial()
	for version := int16(0); version <= 6; version++ {
		for kind, want := range map[int8]string{0: "7 kafka.local:9092 0", 1: "7 kafka.local:9092 0", 2: "-1 :-1 42"} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = "g", []string{"g", "h"}, kind
			if version == 0 && kind != 0 {
				continue // there are groups only
			}
			resp := ask[*kmsg.FindCoordinatorResponse](c, version, req)
			var got []string
			if version < 4 {
				got = []string{fmt.Sprintf("%d %s:%d %d", resp.NodeID, resp.Host, resp.Port, resp.ErrorCode)}
			}
			for i, co := range resp.Coordinators {
				got = append(got, fmt.Sprintf("%d %s:%d %d", co.NodeID, co.Host, co.Port, co.ErrorCode))
				if co.Key != req.CoordinatorKeys[i] {
					t.Errorf("version %d: key %s", version, co.Key)
				}
			}
			if len(got) == 0 || version >= 4 && len(got) != 2 {
				t.Fatalf("version %d: got %v", version, got)
			}
			for _, g := range got {
				if g != want {
					t.Errorf("version %d, kind %d: got %s, want %s", version, kind, g, want)
				}
			}
		}
	}
}

func TestListGroups(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	m := k.member().meet()
	m.begin()
	m.end()
	offsets := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Offset: 1})
	offsets.Group = "simple"
	ask[*kmsg.OffsetCommitResponse](c, 8, offsets)
	for _, tt := range []struct {
		version       int16
		states, types []string
		want          string
	}{
		{0, nil, nil, "[g/consumer// simple///]"},
		{4, nil, nil, "[g/consumer/CompletingRebalance/ simple//Empty/]"},
		{4, []string{"empty", "Dead"}, nil, "[simple//Empty/]"},
		{5, nil, []string{"Classic"}, "[g/consumer/CompletingRebalance/classic simple//Empty/classic]"},
		{5, nil, []string{"consumer"}, "[]"},
		{5, []string{"Stable"}, []string{"classic"}, "[]"},
	} {
		req := kmsg.NewPtrListGroupsRequest()
		req.StatesFilter, req.TypesFilter = tt.states, tt.types
		got := []string{}
		for _, g := range ask[*kmsg.ListGroupsResponse](c, tt.version, req).Groups {
			got = append(got, fmt.Sprintf("%s/%s/%s/%s", g.Group, g.ProtocolType, g.GroupState, g.GroupType))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("version %d, %v %v: got %v, want %s", tt.version, tt.states, tt.types, got, tt.want)
		}
	}
}
