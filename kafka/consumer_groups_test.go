package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/feature"
)

// newMember is a member of the consumer protocol of the group "g", which subscribes to web_log and does as it is told.
type newMember struct {
	*client
	id    string
	epoch int32
	has   map[[16]byte][]int32
}

// beat sends a heartbeat, after edit has changed it, and returns its answer in words.
func (m *newMember) beat(edit ...func(*kmsg.ConsumerGroupHeartbeatRequest)) string {
	m.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = "g", m.id, m.epoch, -1
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if m.epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 60_000, []string{"web_log"}
	} else {
		for id, partitions := range m.has {
			t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			t.TopicID, t.Partitions = id, partitions
			req.Topics = append(req.Topics, t)
		}
	}
	for _, e := range edit {
		e(req)
	}
	resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](m.client, 1, req)
	if resp.ErrorCode != 0 {
		if resp.MemberID != nil || resp.Assignment != nil {
			m.t.Errorf("an error with %+v", resp)
		}
		return fmt.Sprint(Code(resp.ErrorCode))
	}
	m.id, m.epoch = *resp.MemberID, resp.MemberEpoch
	words := fmt.Sprint("epoch ", resp.MemberEpoch)
	if resp.Assignment != nil {
		m.has = make(map[[16]byte][]int32)
		n := 0
		for _, t := range resp.Assignment.Topics {
			m.has[t.TopicID] = t.Partitions
			n += len(t.Partitions)
		}
		words += fmt.Sprintf(", %d partitions", n)
	}
	return words
}

func (m *newMember) want(what, got, want string) {
	m.t.Helper()
	if !strings.Contains(got, want) || want == "" && got != "" {
		m.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Members of the consumer protocol share a topic, commit in their epochs, and are described and listed.
func TestConsumerProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{Partitions: 4})
		a, b := &newMember{client: k.dial(), id: "a"}, &newMember{client: k.dial(), id: "b"}
		a.want("a joins", a.beat(), "epoch 2, 4 partitions")
		time.Sleep(2 * time.Second)
		b.want("b joins", b.beat(), "epoch 3, 0 partitions")
		a.want("a is to give up", a.beat(), "epoch 2, 2 partitions")
		a.want("a has given up", a.beat(), "epoch 3")
		b.want("b gets it", b.beat(), "epoch 3, 2 partitions")

		commit := func(version int16, member string, epoch int32) string {
			req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Partition: a.has[one(a.has)][0], Offset: 0, LeaderEpoch: -1})
			req.MemberID, req.Generation = member, epoch
			req.Topics[0].TopicID = one(a.has)
			return said(ask[*kmsg.OffsetCommitResponse](a.client, version, req).Topics[0].Partitions[0].ErrorCode)
		}
		for _, tt := range []struct {
			version int16
			member  string
			epoch   int32
			want    string
		}{
			{9, "a", 3, "NONE"}, {10, "a", 3, "NONE"}, {9, "a", 2, "NONE"}, {9, "a", 1, "STALE_MEMBER_EPOCH"}, {9, "a", 4, "STALE_MEMBER_EPOCH"},
			{8, "a", 3, "UNSUPPORTED_VERSION"}, {9, "z", 3, "UNKNOWN_MEMBER_ID"}, {9, "", -1, "UNKNOWN_MEMBER_ID"},
		} {
			a.want(fmt.Sprint("commit ", tt), commit(tt.version, tt.member, tt.epoch), tt.want)
		}
		fetch := func(member *string, epoch int32) string {
			req := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.MemberID, g.MemberEpoch = "g", member, epoch
			req.Groups = append(req.Groups, g)
			return said(ask[*kmsg.OffsetFetchResponse](a.client, 9, req).Groups[0].ErrorCode)
		}
		a.want("fetch as a", fetch(&a.id, 3), "NONE")
		a.want("fetch as a of the past", fetch(&a.id, 2), "STALE_MEMBER_EPOCH")
		a.want("fetch as nobody", fetch(nil, -1), "NONE")

		describe := kmsg.NewPtrConsumerGroupDescribeRequest()
		describe.Groups, describe.IncludeAuthorizedOperations = []string{"g", "none", "g"}, true
		groups := ask[*kmsg.ConsumerGroupDescribeResponse](a.client, 1, describe).Groups
		if g := groups[0]; len(groups) != 2 || g.State != "Stable" || g.Epoch != 3 || g.AssignmentEpoch != 3 || g.AssignorName != "uniform" ||
			len(g.Members) != 2 || g.Members[0].MemberType != memberConsumer || g.Members[0].Assignment.TopicPartitions[0].Topic != "web_log" ||
			!slices.Equal(g.Members[1].TargetAssignment.TopicPartitions[0].Partitions, b.has[one(b.has)]) || g.AuthorizedOperations != acl.Group.Every() ||
			Code(groups[1].ErrorCode) != Code(codeGroupIDNotFound) {
			t.Errorf("described are %+v", groups)
		}
		if l := ask[*kmsg.ListGroupsResponse](a.client, 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"Consumer"}}).Groups; len(l) != 1 || l[0].GroupType != "consumer" {
			t.Errorf("listed are %+v", l)
		}
		if g := ask[*kmsg.DescribeGroupsResponse](a.client, 6, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}}).Groups[0]; g.ErrorCode != codeGroupIDNotFound || g.State != "Dead" {
			t.Errorf("as a classic group it is %+v", g)
		}
		info, err := k.Groups().Describe(t.Context(), "g")
		if err != nil || info.Kind != samsa.GroupConsumer || info.Generation != 3 || len(info.Members) != 2 || len(info.Members[0].Assigned) != 2 ||
			!slices.Equal(info.Members[0].Topics, []string{"web_log"}) {
			t.Errorf("the Go API describes %+v, %v", info, err)
		}
		a.want("a leaves", a.beat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = group.LeaveEpoch }), "epoch -1")
		time.Sleep(time.Minute) // of silence
		if info, err := k.Groups().Describe(t.Context(), "g"); err != nil || info.State != samsa.GroupEmpty {
			t.Errorf("without a sign of life it is %+v, %v", info, err)
		}
	})
}

func said(code int16) string {
	if code == codeNone {
		return "NONE"
	}
	return Code(code).Error()
}

func one(of map[[16]byte][]int32) (id [16]byte) {
	for id = range of {
		break
	}
	return id
}

// What cannot be is refused with the code that Kafka has for it.
func TestConsumerProtocolBadInput(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 1})
	c := k.dial()
	text := func(s string) *string { return &s }
	for what, tt := range map[string]struct {
		edit func(*kmsg.ConsumerGroupHeartbeatRequest)
		want string
	}{
		"no member id":    {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" }, "INVALID_REQUEST"},
		"a long one":      {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = strings.Repeat("m", 510) }, "INVALID_REQUEST"},
		"not text":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "\xff" }, "INVALID_REQUEST"},
		"no group":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" }, "INVALID_REQUEST"},
		"a long group":    {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = strings.Repeat("g", 513) }, "INVALID_GROUP_ID"},
		"empty instance":  {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = text("") }, "INVALID_REQUEST"},
		"empty rack":      {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = text("") }, "INVALID_REQUEST"},
		"epoch -3":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 }, "INVALID_REQUEST"},
		"unknown group":   {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 3 }, "GROUP_ID_NOT_FOUND"},
		"no expression":   {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = text("(") }, "INVALID_REGULAR_EXPRESSION"},
		"another's trick": {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = text("a)|(b") }, "INVALID_REGULAR_EXPRESSION"},
		"assignor":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = text("best") }, "UNSUPPORTED_ASSIGNOR"},
	} {
		m := &newMember{client: c, id: "m"}
		m.want(what, m.beat(tt.edit), tt.want)
	}
	if names, err := k.Groups().List(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("what was refused has made groups %q, %v", names, err)
	}
	old := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	old.Group, old.RebalanceTimeoutMillis, old.SubscribedTopicNames, old.Topics = "g", 1000, []string{"web_log"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 0, old); resp.ErrorCode != 0 || !strings.HasPrefix(*resp.MemberID, "kit-") {
		t.Errorf("an id of the broker: %+v", resp)
	}
	if err := k.in().Features.Set(t.Context(), map[string]int16{feature.Groups: 0}); err != nil {
		t.Fatal(err)
	}
	m := &newMember{client: c, id: "m"}
	m.want("without the feature", m.beat(), "UNSUPPORTED_VERSION")
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{"g"}
	if code := ask[*kmsg.ConsumerGroupDescribeResponse](c, 1, describe).Groups[0].ErrorCode; code != codeUnsupportedVersion {
		t.Errorf("described without the feature: %v", Code(code))
	}
}

// Members ask for the topics of their partitions by ids. Java clients of 4.4 say an empty name besides, others none.
func TestMetadataByID(t *testing.T) {
	k := start(t, samsa.Options{AutoCreateTopics: true}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	id := k.in().Catalogue.List()[0].ID()
	for _, name := range []*string{nil, kmsgString("")} {
		for _, tt := range []struct {
			id   [16]byte
			want string
		}{{id, "web_log 2 0"}, {[16]byte{1}, "none 0 100"}} {
			req := kmsg.NewPtrMetadataRequest()
			req.AllowAutoTopicCreation = true
			req.Topics = []kmsg.MetadataRequestTopic{{Topic: name, TopicID: tt.id}}
			got := ask[*kmsg.MetadataResponse](k.dial(), 13, req).Topics[0]
			said := "none"
			if got.Topic != nil {
				said = *got.Topic
			}
			if s := fmt.Sprint(said, " ", len(got.Partitions), " ", got.ErrorCode); s != tt.want || got.TopicID != tt.id {
				t.Errorf("asked for %x it answers %s of %x, want %s", tt.id, s, got.TopicID, tt.want)
			}
		}
	}
}
