package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
)

// wireMember is a member of the group "g" that reads "web_log" and offers range. It is told
// each step by its test.
type wireMember struct {
	*client
	id, instance string
	generation   int32
	joined       *kmsg.JoinGroupResponse
}

func (k *kit) member() *wireMember { return &wireMember{client: k.dial()} }

func (m *wireMember) joinRequest() *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = "g", m.id, orNull(m.instance), "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	metadata := group.EncodeSubscription(group.Subscription{Topics: []string{"web_log"}, Generation: -1})
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: metadata}}
	return req
}

// meet asks for a member id, as clients from JoinGroup 4 on have to.
func (m *wireMember) meet() *wireMember {
	m.t.Helper()
	resp := ask[*kmsg.JoinGroupResponse](m.client, 9, m.joinRequest())
	if resp.ErrorCode != codeMemberIDRequired || !strings.HasPrefix(resp.MemberID, "kit-") {
		m.t.Fatalf("met: %+v", resp)
	}
	m.id = resp.MemberID
	return m
}

// begin sends a Join, and end takes its answer.
func (m *wireMember) begin() { m.send(9, m.joinRequest()) }

func (m *wireMember) end() {
	m.t.Helper()
	m.joined = m.receive().(*kmsg.JoinGroupResponse)
	if m.joined.ErrorCode != 0 {
		m.t.Fatalf("joined: %+v", m.joined)
	}
	m.id, m.generation = m.joined.MemberID, m.joined.Generation
}

func (m *wireMember) syncRequest(assign map[string]group.Assignment) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "g", m.id, orNull(m.instance), m.generation
	req.ProtocolType, req.Protocol = kmsgString("consumer"), kmsgString("range")
	for id, a := range assign {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: id, MemberAssignment: group.EncodeAssignment(a),
		})
	}
	return req
}

// sync fetches the assignment, after bringing those of all if the member leads.
func (m *wireMember) sync(assign map[string]group.Assignment) []int32 {
	m.t.Helper()
	resp := ask[*kmsg.SyncGroupResponse](m.client, 5, m.syncRequest(assign))
	a, err := group.DecodeAssignment(resp.MemberAssignment)
	if resp.ErrorCode != 0 || err != nil || *resp.Protocol != "range" || *resp.ProtocolType != "consumer" {
		m.t.Fatalf("synced: %+v, error %v", resp, err)
	}
	return a["web_log"]
}

func (m *wireMember) heartbeat() int16 {
	m.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "g", m.id, orNull(m.instance), m.generation
	return ask[*kmsg.HeartbeatResponse](m.client, 4, req).ErrorCode
}

func (m *wireMember) leave(others ...kmsg.LeaveGroupRequestMember) []int16 {
	m.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = "g"
	req.Members = append(others, kmsg.LeaveGroupRequestMember{MemberID: m.id, InstanceID: orNull(m.instance), Reason: kmsgString("done")})
	var codes []int16
	for _, rm := range ask[*kmsg.LeaveGroupResponse](m.client, 5, req).Members {
		codes = append(codes, rm.ErrorCode)
	}
	return codes
}

// commit commits the offset of a partition as the member.
func (m *wireMember) commit(partition int32, offset int64) int16 {
	m.t.Helper()
	req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Partition: partition, Offset: offset, LeaderEpoch: -1})
	req.MemberID, req.InstanceID, req.Generation = m.id, orNull(m.instance), m.generation
	return ask[*kmsg.OffsetCommitResponse](m.client, 8, req).Topics[0].Partitions[0].ErrorCode
}

func commitRequest(topic string, partitions ...kmsg.OffsetCommitRequestTopicPartition) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = "g"
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: partitions}}
	return req
}

func describe(c *client, version int16, name string) kmsg.DescribeGroupsResponseGroup {
	c.t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{name}, true
	return ask[*kmsg.DescribeGroupsResponse](c, version, req).Groups[0]
}

// A group's life: it is found, joined by one and by another, described, left and deleted.
func TestGroupLife(t *testing.T) { synctest.Test(t, groupLife) }

func groupLife(t *testing.T) {
	k := startPipe(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	admin := k.dial()

	a := k.member().meet()
	a.begin()
	a.end()
	if a.joined.LeaderID != a.id || len(a.joined.Members) != 1 || *a.joined.Protocol != "range" || *a.joined.ProtocolType != "consumer" {
		t.Fatalf("joined: %+v", a.joined)
	}
	if got := a.sync(map[string]group.Assignment{a.id: {"web_log": {0, 1}}}); fmt.Sprint(got) != "[0 1]" {
		t.Errorf("a has %v", got)
	}
	d := describe(admin, 5, "g")
	sub, err := group.DecodeSubscription(d.Members[0].ProtocolMetadata)
	if err != nil || d.State != "Stable" || d.Protocol != "range" || d.ProtocolType != "consumer" || len(d.Members) != 1 ||
		fmt.Sprint(sub.Topics) != "[web_log]" || d.AuthorizedOperations != acl.Group.Every() {
		t.Errorf("described: %+v, error %v", d, err)
	}
	if m := d.Members[0]; m.MemberID != a.id || m.ClientID != "kit" || m.InstanceID != nil {
		t.Errorf("described: %+v", m)
	}

	b := k.member().meet()
	b.begin()
	synctest.Wait()
	if code := a.heartbeat(); code != codeRebalanceInProgress {
		t.Errorf("heartbeat: %d", code)
	}
	a.begin()
	a.end()
	b.end()
	if a.generation != b.generation || b.joined.LeaderID != a.id || len(a.joined.Members) != 2 || len(b.joined.Members) != 0 {
		t.Fatalf("a: %+v, b: %+v", a.joined, b.joined)
	}
	b.send(5, b.syncRequest(nil)) // waits for the leader
	if got := a.sync(map[string]group.Assignment{a.id: {"web_log": {0}}, b.id: {"web_log": {1}}}); fmt.Sprint(got) != "[0]" {
		t.Errorf("a has %v", got)
	}
	got, err := group.DecodeAssignment(b.receive().(*kmsg.SyncGroupResponse).MemberAssignment)
	if err != nil || fmt.Sprint(got) != "map[web_log:[1]]" {
		t.Errorf("b has %v, error %v", got, err)
	}
	a.generation--
	if code := a.heartbeat(); code != codeIllegalGeneration {
		t.Errorf("heartbeat of the past: %d", code)
	}
	if code := a.commit(0, 1); code != codeIllegalGeneration {
		t.Errorf("commit of the past: %d", code)
	}

	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"g", "nobody"}
	groups := ask[*kmsg.DeleteGroupsResponse](admin, 2, del).Groups
	if groups[0].ErrorCode != codeNonEmptyGroup || groups[1].ErrorCode != codeGroupIDNotFound {
		t.Errorf("deleted: %+v", groups)
	}
	if codes := a.leave(kmsg.LeaveGroupRequestMember{MemberID: b.id}, kmsg.LeaveGroupRequestMember{MemberID: "x"}); fmt.Sprint(codes) != "[0 25 0]" {
		t.Errorf("left: %v", codes)
	}
	if d := describe(admin, 6, "g"); d.ErrorCode != 0 || d.State != "Empty" {
		t.Errorf("described: %+v", d)
	}
	if g := ask[*kmsg.DeleteGroupsResponse](admin, 2, del).Groups[0]; g.ErrorCode != 0 {
		t.Errorf("deleted: %+v", g)
	}
	if d := describe(admin, 5, "g"); d.ErrorCode != 0 || d.State != "Dead" {
		t.Errorf("described in version 5: %+v", d)
	}
	if d := describe(admin, 6, "g"); d.ErrorCode != codeGroupIDNotFound || d.ErrorMessage == nil || d.State != "Dead" {
		t.Errorf("described in version 6: %+v", d)
	}
}

// A group that nobody knows, and one that cannot be, in every request that names one.
func TestUnknownGroup(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for name, want := range map[string]string{
		"nobody":                 "join 25, sync 25, heartbeat 25, old leave 25, leave 0 [25], old commit 22, commit 69, delete offsets 69, delete 69, fetch 0",
		strings.Repeat("g", 513): "join 24, sync 24, heartbeat 24, old leave 24, leave 24 [], old commit 24, commit 24, delete offsets 24, delete 24, fetch 24",
	} {
		join := (&wireMember{id: "m"}).joinRequest()
		join.Group = name
		sync := (&wireMember{id: "m"}).syncRequest(nil)
		sync.Group = name
		heartbeat := kmsg.NewPtrHeartbeatRequest()
		heartbeat.Group, heartbeat.MemberID = name, "m"
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.MemberID, leave.Members = name, "m", []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}
		commit := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{})
		commit.Group, commit.MemberID, commit.Generation = name, "m", 1
		offsetDelete := kmsg.NewPtrOffsetDeleteRequest()
		offsetDelete.Group = name
		del := kmsg.NewPtrDeleteGroupsRequest()
		del.Groups = []string{name}
		fetch := kmsg.NewPtrOffsetFetchRequest()
		fetch.Group = name
		newLeave := func() string {
			resp := ask[*kmsg.LeaveGroupResponse](c, 3, leave)
			codes := []int16{}
			for _, m := range resp.Members {
				codes = append(codes, m.ErrorCode)
			}
			return fmt.Sprint(resp.ErrorCode, codes)
		}
		got := fmt.Sprintf("join %d, sync %d, heartbeat %d, old leave %d, leave %s, old commit %d, commit %d, delete offsets %d, delete %d, fetch %d",
			ask[*kmsg.JoinGroupResponse](c, 5, join).ErrorCode,
			ask[*kmsg.SyncGroupResponse](c, 5, sync).ErrorCode,
			ask[*kmsg.HeartbeatResponse](c, 4, heartbeat).ErrorCode,
			ask[*kmsg.LeaveGroupResponse](c, 2, leave).ErrorCode,
			newLeave(),
			ask[*kmsg.OffsetCommitResponse](c, 8, commit).Topics[0].Partitions[0].ErrorCode,
			ask[*kmsg.OffsetCommitResponse](c, 9, commit).Topics[0].Partitions[0].ErrorCode,
			ask[*kmsg.OffsetDeleteResponse](c, 0, offsetDelete).ErrorCode,
			ask[*kmsg.DeleteGroupsResponse](c, 2, del).Groups[0].ErrorCode,
			ask[*kmsg.OffsetFetchResponse](c, 7, fetch).ErrorCode,
		)
		if got != want {
			t.Errorf("%.10s: got %s, want %s", name, got, want)
		}
	}
	if groups := ask[*kmsg.ListGroupsResponse](c, 4, kmsg.NewPtrListGroupsRequest()).Groups; len(groups) != 0 {
		t.Errorf("asking has made groups: %+v", groups)
	}
}

// A commit without a generation makes the group, whoever says to be its member; while it is
// empty, anybody may commit.
func TestCommitMakesTheGroup(t *testing.T) {
	for version := int16(1); version <= 9; version++ {
		k := start(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		for _, member := range []string{"m", "", "somebody else"} {
			req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Offset: int64(len(member)), LeaderEpoch: -1})
			req.MemberID, req.Generation = member, -1
			if code := ask[*kmsg.OffsetCommitResponse](c, version, req).Topics[0].Partitions[0].ErrorCode; code != 0 {
				t.Errorf("version %d, member %q: code %d", version, member, code)
			}
			tp := samsa.TopicPartition{Topic: "web_log"}
			if got, err := k.Groups().Committed(k.ctx, "g"); err != nil || got[tp].Offset != int64(len(member)) {
				t.Errorf("version %d, member %q: committed %v, error %v", version, member, got, err)
			}
		}
		req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{})
		req.MemberID, req.Generation = "m", 0
		if code := ask[*kmsg.OffsetCommitResponse](c, version, req).Topics[0].Partitions[0].ErrorCode; code != codeUnknownMemberID {
			t.Errorf("version %d, with a generation: code %d", version, code)
		}
	}
}

// What JoinGroup and SyncGroup refuse, by version.
func TestJoinIsChecked(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for name, tt := range map[string]struct {
		version int16
		change  func(*kmsg.JoinGroupRequest)
		want    int16
	}{
		"an old client joins at once":  {3, func(*kmsg.JoinGroupRequest) {}, 0},
		"a new one is given an id":     {4, func(*kmsg.JoinGroupRequest) {}, codeMemberIDRequired},
		"a static one joins at once":   {5, func(r *kmsg.JoinGroupRequest) { r.InstanceID = kmsgString("i") }, 0},
		"an empty instance id is none": {5, func(r *kmsg.JoinGroupRequest) { r.InstanceID = kmsgString("") }, codeMemberIDRequired},
		"an endless instance id":       {5, func(r *kmsg.JoinGroupRequest) { r.InstanceID = kmsgString(strings.Repeat("i", 250)) }, codeInvalidRequest},
		"no session":                   {5, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 0 }, codeInvalidSessionTimeout},
		"a negative session":           {0, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = -1 }, codeInvalidSessionTimeout},
		"no protocol":                  {5, func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }, codeInconsistentGroupProtocol},
		"no group":                     {5, func(r *kmsg.JoinGroupRequest) { r.Group = "" }, codeInvalidGroupID},
		"an id of somebody else":       {9, func(r *kmsg.JoinGroupRequest) { r.MemberID = "x" }, codeUnknownMemberID},
	} {
		req := (&wireMember{}).joinRequest()
		req.Group = name
		tt.change(req)
		resp := ask[*kmsg.JoinGroupResponse](k.dial(), tt.version, req)
		if resp.ErrorCode != tt.want || tt.want == 0 && (resp.Generation != 1 || resp.MemberID == "") || tt.want != 0 && resp.Generation != -1 {
			t.Errorf("%s: got %+v", name, resp)
		}
	}
	req := (&wireMember{id: "m"}).syncRequest(nil)
	req.ProtocolType = nil
	if resp := ask[*kmsg.SyncGroupResponse](k.dial(), 5, req); resp.ErrorCode != codeInconsistentGroupProtocol {
		t.Errorf("sync without a protocol type: %+v", resp)
	}
}

// A static member comes back without its id and keeps its place; who used the place before is
// fenced. An admin takes it out by its instance id.
func TestStaticMember(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 1})
	before := k.member()
	before.instance = "i"
	before.begin()
	before.end()
	before.sync(map[string]group.Assignment{before.id: {"web_log": {0}}})
	after := k.member()
	after.instance = "i"
	after.begin()
	after.end()
	if after.generation != before.generation || !after.joined.SkipAssignment || !strings.HasPrefix(after.id, "i-") {
		t.Errorf("came back: %+v", after.joined)
	}
	if got := after.sync(nil); fmt.Sprint(got) != "[0]" {
		t.Errorf("has %v", got)
	}
	if code := before.heartbeat(); code != codeFencedInstanceID {
		t.Errorf("the old one: %d", code)
	}
	if m := describe(k.dial(), 5, "g").Members[0]; m.InstanceID == nil || *m.InstanceID != "i" || m.ClientHost != "/127.0.0.1" {
		t.Errorf("described: %+v", m)
	}
	admin := k.member()
	admin.instance = "i"
	if codes := admin.leave(); fmt.Sprint(codes) != "[0]" {
		t.Errorf("left: %v", codes)
	}
	if code := after.heartbeat(); code != codeUnknownMemberID {
		t.Errorf("the one that was taken out: %d", code)
	}
}

// The memory of a request is used again: what a group keeps is its own.
func TestGroupKeepsCopies(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	cl := &call{header: header{version: 3}, s: k.srv, conn: &conn{nc: k.dial()}, ctx: k.ctx, lease: k.lease(),
		answer: lease{pool: &k.srv.memory.answers}}
	m := &wireMember{}
	join := m.joinRequest()
	metadata := string(join.Protocols[0].Metadata)
	joined := cl.joinGroup(join).(*kmsg.JoinGroupResponse)
	clear(join.Protocols[0].Metadata)
	m.id, m.generation = joined.MemberID, joined.Generation
	sync := m.syncRequest(map[string]group.Assignment{m.id: {"web_log": {0}}})
	assignment := string(sync.GroupAssignment[0].MemberAssignment)
	if resp := cl.syncGroup(sync).(*kmsg.SyncGroupResponse); resp.ErrorCode != 0 {
		t.Fatalf("synced: %+v", resp)
	}
	clear(sync.GroupAssignment[0].MemberAssignment)
	got := describe(k.dial(), 5, "g").Members[0]
	if string(got.ProtocolMetadata) != metadata || string(got.MemberAssignment) != assignment {
		t.Errorf("got %+v", got)
	}
}

// A client that goes away while its Join waits does not hold up the others.
func TestDisconnectDuringJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{})
		a := k.member().meet()
		a.begin()
		a.end()
		a.sync(map[string]group.Assignment{a.id: {"web_log": {0}}})
		gone := k.member()
		gone.send(3, gone.joinRequest()) // it would have learned its id from the answer
		synctest.Wait()
		if code := a.heartbeat(); code != codeRebalanceInProgress {
			t.Errorf("heartbeat: %d", code)
		}
		_ = gone.Close()
		synctest.Wait()
		began := time.Now()
		a.begin()
		a.end()
		if len(a.joined.Members) != 1 || time.Since(began) != 0 {
			t.Errorf("after %v: %+v", time.Since(began), a.joined)
		}
	})
}

// goMember is a consumer of the Go API that polls all the time.
type goMember struct {
	*samsa.Consumer
	stop func()
	mu   sync.Mutex // guards took
	took []string
}

func (k *kit) goMember() *goMember {
	k.t.Helper()
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{
		Group: "g", Topics: []string{"web_log"}, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{samsa.RangeAssignor()}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(k.ctx)
	m := &goMember{Consumer: c}
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			recs, _ := c.Poll(ctx)
			m.mu.Lock()
			for _, r := range recs {
				m.took = append(m.took, string(r.Value))
			}
			m.mu.Unlock()
		}
	})
	m.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := c.Close(); err != nil {
			k.t.Error(err)
		}
	})
	k.t.Cleanup(m.stop)
	return m
}

// consume reads what the partition has after what the group has committed, and commits.
func (m *wireMember) consume(partition int32) []string {
	m.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "web_log", Partitions: []int32{partition}}}}}
	offset := max(0, ask[*kmsg.OffsetFetchResponse](m.client, 8, req).Groups[0].Topics[0].Partitions[0].Offset)
	fetch := fetchRequest("web_log", offset)
	fetch.MaxWaitMillis, fetch.Topics[0].Partitions[0].Partition = 0, partition
	var took []string
	for _, r := range fetched(m.t, ask[*kmsg.FetchResponse](m.client, 12, fetch)) {
		took = append(took, string(r.Value))
	}
	if code := m.commit(partition, offset+int64(len(took))); code != 0 {
		m.t.Fatalf("commit: %d", code)
	}
	return took
}

// A Go consumer and members on the wire share a topic: each record is consumed once, before
// one of them leaves, before the other dies, and after that.
func TestMixedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{Partitions: 3})
		seen := make(map[string]int)
		producer, produced := k.dial(), 0
		produce := func() {
			for i := range int32(3) {
				produced++
				req := produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", fmt.Sprint("r", produced)}))
				req.Topics[0].Partitions[0].Partition = i
				ask[*kmsg.ProduceResponse](producer, 9, req)
			}
		}
		note := func(values []string) {
			for _, v := range values {
				seen[v]++
			}
		}
		goes := k.goMember()
		synctest.Wait()
		dies, leaves := k.member().meet(), k.member().meet()
		dies.begin()
		leaves.begin()
		dies.end()
		leaves.end()
		part := dies.sync(nil)
		rest := leaves.sync(nil)
		if len(part) != 1 || len(rest) != 1 {
			t.Fatalf("the members on the wire have %v and %v", part, rest)
		}
		produce()
		synctest.Wait()
		note(dies.consume(part[0]))
		note(leaves.consume(rest[0]))
		if codes := leaves.leave(); fmt.Sprint(codes) != "[0]" {
			t.Fatalf("left: %v", codes)
		}
		dies.begin()
		dies.end()
		part = dies.sync(nil)
		produce()
		synctest.Wait()
		for _, p := range part {
			note(dies.consume(p))
		}
		_ = dies.Close()
		produce()
		time.Sleep(11 * time.Second) // in the bubble: its session ends
		synctest.Wait()
		goes.stop()
		note(goes.took)
		if len(seen) != produced {
			t.Errorf("consumed %d records of %d", len(seen), produced)
		}
		for _, v := range slices.Sorted(maps.Keys(seen)) {
			if seen[v] != 1 {
				t.Errorf("%s was consumed %d times", v, seen[v])
			}
		}
		committed, err := k.Groups().Committed(k.ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		for tp, o := range committed {
			if o.Offset != 3 {
				t.Errorf("%s: committed %d, want 3", tp, o.Offset)
			}
		}
	})
}
