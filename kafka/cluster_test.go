package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/port"
	"github.com/samsa-go/samsa/log"
)

// stage is a cluster of three nodes, 1 to 3, with the topic web_log of three partitions.
type stage struct {
	*kit
	c *Cluster
}

func startCluster(t *testing.T, opts ClusterOptions) *stage {
	t.Helper()
	k := newKit(t, samsa.Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 3})
	s := &stage{kit: k}
	s.listen(opts)
	return s
}

func (s *stage) listen(opts ClusterOptions) {
	s.t.Helper()
	c, err := ListenCluster(s.Broker, 3, "127.0.0.1:0", opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.c = c
}

// must ends the test if a step has failed.
func (s *stage) must(errs ...error) {
	s.t.Helper()
	for _, err := range errs {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// at returns a client of a node.
func (s *stage) at(node int32) *client {
	s.t.Helper()
	n, err := s.c.node(node)
	s.must(err)
	s.srv = n.server
	return s.dial()
}

// leader returns the node that leads a partition of web_log.
func (s *stage) leader(partition int32) int32 {
	s.t.Helper()
	node, _, err := s.c.Leader("web_log", partition)
	s.must(err)
	return node
}

// other returns another node than that.
func (s *stage) other(node int32) int32 { return node%3 + 1 }

// told is what a node tells of web_log: leader, epoch, replicas, in-sync replicas and offline ones of each partition.
func (s *stage) told(node int32) string {
	s.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	name := "web_log"
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	resp := ask[*kmsg.MetadataResponse](s.at(node), 12, req)
	var all []string
	for _, p := range resp.Topics[0].Partitions {
		all = append(all, fmt.Sprintf("%d/%d%v%v%v", p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas))
	}
	return strings.Join(all, " ")
}

func oneProduce(partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	req := produceRequest(acks, "web_log", records)
	req.Topics[0].Partitions[0].Partition = partition
	return req
}

func TestClusterTellsItsNodes(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{Racks: []string{"a", "b"}})
	for _, node := range s.c.Nodes() {
		resp := ask[*kmsg.MetadataResponse](s.at(node), 12, kmsg.NewPtrMetadataRequest())
		var brokers []string
		for _, b := range resp.Brokers {
			brokers = append(brokers, fmt.Sprint(b.NodeID, "=", net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), orNone(b.Rack)))
		}
		addrs := s.c.Addrs()
		want := fmt.Sprint([]string{"1=" + addrs[0] + "a", "2=" + addrs[1] + "b", "3=" + addrs[2]})
		if got := fmt.Sprint(brokers); got != want || resp.ControllerID != 1 || resp.ControllerID != s.c.Controller() {
			t.Errorf("node %d tells of %s, controller %d, want %s", node, got, resp.ControllerID, want)
		}
		if got, want := s.told(node), "2/1[2 3 1][2 3 1][] 3/1[3 1 2][3 1 2][] 1/1[1 2 3][1 2 3][]"; got != want {
			t.Errorf("node %d tells %s, want %s", node, got, want)
		}
		dc := ask[*kmsg.DescribeClusterResponse](s.at(node), 2, kmsg.NewPtrDescribeClusterRequest())
		if len(dc.Brokers) != 3 || dc.ControllerID != 1 {
			t.Errorf("node %d: %+v", node, dc)
		}
	}
}

// What another node leads is refused, and the answer says who leads it from the versions on that know of it (KIP-951).
func TestClusterLeads(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	leader := s.leader(0)
	wrong := s.at(s.other(leader))
	for version, want := range map[int16]string{9: "6 -1/-1 0", 10: fmt.Sprint("6 ", leader, "/1 1"), 12: fmt.Sprint("6 ", leader, "/1 1")} {
		resp := ask[*kmsg.ProduceResponse](wrong, version, oneProduce(0, -1, batch(t, 0, record{1, "", "x"})))
		p := resp.Topics[0].Partitions[0]
		if got := fmt.Sprintf("%d %d/%d %d", p.ErrorCode, p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch, len(resp.Brokers)); got != want {
			t.Errorf("Produce %d: %s, want %s", version, got, want)
		}
		if len(resp.Brokers) > 0 && net.JoinHostPort(resp.Brokers[0].Host, strconv.Itoa(int(resp.Brokers[0].Port))) != s.c.Addrs()[leader-1] {
			t.Errorf("Produce %d: the leader is said to be at %+v", version, resp.Brokers)
		}
	}
	if p := ask[*kmsg.ProduceResponse](s.at(leader), 9, oneProduce(0, -1, batch(t, 0, record{1, "", "x"}))).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("the leader answers %+v", p)
	}
	if p := ask[*kmsg.FetchResponse](wrong, 10, fetchRequest("web_log", 0)).Topics[0].Partitions[0]; p.ErrorCode != codeNotLeaderOrFollower {
		t.Errorf("Fetch 10 of a follower: %+v", p)
	}
	if got := fetched(t, ask[*kmsg.FetchResponse](wrong, 11, fetchRequest("web_log", 0))); len(got) != 1 {
		t.Errorf("Fetch 11 of a follower: %d records", len(got))
	}
	s.must(s.c.Reassign("web_log", 0, leader))
	resp := ask[*kmsg.FetchResponse](wrong, 16, byID(s, fetchRequest("web_log", 0)))
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != codeNotLeaderOrFollower || p.CurrentLeader.LeaderID != leader || len(resp.Brokers) != 1 {
		t.Errorf("Fetch 16 of a node without a replica: %+v, %+v", p, resp.Brokers)
	}
	lo := kmsg.NewPtrListOffsetsRequest()
	lo.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: listLatest, CurrentLeaderEpoch: -1}}}}
	if p := ask[*kmsg.ListOffsetsResponse](wrong, 7, lo).Topics[0].Partitions[0]; p.ErrorCode != codeNotLeaderOrFollower {
		t.Errorf("ListOffsets: %+v", p)
	}
	dr := kmsg.NewPtrDeleteRecordsRequest()
	dr.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "web_log", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 1}}}}
	if p := ask[*kmsg.DeleteRecordsResponse](wrong, 2, dr).Topics[0].Partitions[0]; p.ErrorCode != codeNotLeaderOrFollower {
		t.Errorf("DeleteRecords: %+v", p)
	}
}

// byID has a Fetch name its topic by its id.
func byID(s *stage, req *kmsg.FetchRequest) *kmsg.FetchRequest {
	req.Topics[0].TopicID = s.topicID(req.Topics[0].Topic)
	return req
}

// Epochs rise with each other leader, for all nodes and in the batches, and never go back: not when the cluster begins again,
// nor when the broker is served by one node.
func TestClusterEpochs(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	produce := func() {
		t.Helper()
		if p := ask[*kmsg.ProduceResponse](s.at(s.leader(0)), 9, oneProduce(0, -1, batch(t, 0, record{1, "", "x"}))).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Fatalf("%+v", p)
		}
	}
	produce() // 0, epoch 1
	for range 2 {
		s.must(s.c.MoveLeader("web_log", 0, s.other(s.leader(0))))
	}
	s.must(s.c.MoveLeader("web_log", 0, s.leader(0))) // leads already
	produce()                                         // 1, epoch 3
	produce()                                         // 2
	s.must(s.c.Close())
	s.listen(ClusterOptions{})
	produce() // 3, epoch 4

	epochs := func(c *client) (all []int32) {
		resp := ask[*kmsg.FetchResponse](c, 12, fetchRequest("web_log", 0))
		for b := resp.Topics[0].Partitions[0].RecordBatches; len(b) > 0; {
			n, _, err := log.BatchLength(b)
			s.must(err)
			all = append(all, log.Batch(b).LeaderEpoch())
			b = b[n:]
		}
		return all
	}
	if got := fmt.Sprint(epochs(s.at(s.leader(0)))); got != "[1 3 3 4]" {
		t.Errorf("batches are of epochs %s", got)
	}
	ends := func(c *client, what string) {
		t.Helper()
		for _, tt := range []struct {
			current, epoch int32
			want           string // code, epoch, end
		}{
			{-1, 0, "0 0 0"}, {-1, 1, "0 1 1"}, {-1, 2, "0 1 1"}, {-1, 3, "0 3 3"}, {4, 4, "0 4 4"}, {-1, 5, "0 -1 -1"},
			{3, 3, "74 -1 -1"}, {5, 3, "75 -1 -1"},
		} {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rp.CurrentLeaderEpoch, rp.LeaderEpoch = tt.current, tt.epoch
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "web_log", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{rp}}}
			p := ask[*kmsg.OffsetForLeaderEpochResponse](c, 4, req).Topics[0].Partitions[0]
			if got := fmt.Sprint(p.ErrorCode, p.LeaderEpoch, p.EndOffset); got != tt.want {
				t.Errorf("%s: end of epoch %d in %d: %s, want %s", what, tt.epoch, tt.current, got, tt.want)
			}
		}
		for epoch, want := range map[int32]int16{-1: 0, 3: codeFencedLeaderEpoch, 4: 0, 5: codeUnknownLeaderEpoch} {
			req := fetchRequest("web_log", 0)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			if p := ask[*kmsg.FetchResponse](c, 12, req).Topics[0].Partitions[0]; p.ErrorCode != want {
				t.Errorf("%s: Fetch in epoch %d: %+v", what, epoch, p)
			}
		}
		for _, tt := range []struct {
			offset int64
			last   int32
			want   string // epoch and end, and whether there are records
		}{
			{2, 2, "1 1 false"}, // epoch 2 has no records
			{3, 3, "-1 -1 true"}, {4, 3, "3 3 false"}, {2, 1, "1 1 false"}, {1, 1, "-1 -1 true"}, {3, 4, "-1 -1 true"}, {1, -1, "-1 -1 true"},
		} {
			req := fetchRequest("web_log", tt.offset)
			req.Topics[0].Partitions[0].LastFetchedEpoch = tt.last
			p := ask[*kmsg.FetchResponse](c, 12, req).Topics[0].Partitions[0]
			if got := fmt.Sprint(p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset, len(p.RecordBatches) > 0); got != tt.want {
				t.Errorf("%s: Fetch from %d after epoch %d: %s, want %s", what, tt.offset, tt.last, got, tt.want)
			}
		}
		for timestamp, want := range map[int64]int32{listEarliest: 1, listLatest: 4} {
			lo := kmsg.NewPtrListOffsetsRequest()
			lo.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: timestamp, CurrentLeaderEpoch: -1}}}}
			if p := ask[*kmsg.ListOffsetsResponse](c, 7, lo).Topics[0].Partitions[0]; p.LeaderEpoch != want {
				t.Errorf("%s: ListOffsets %d: epoch %d, want %d", what, timestamp, p.LeaderEpoch, want)
			}
		}
	}
	ends(s.at(s.leader(0)), "the cluster")
	s.must(s.c.Close())
	var err error
	s.srv, err = Listen(s.Broker, "127.0.0.1:0", Options{})
	s.must(err)
	ends(s.dial(), "one node")
	if got := s.metadataEpoch(); got != 4 {
		t.Errorf("one node tells epoch %d", got)
	}
}

// metadataEpoch returns the epoch of the first partition of web_log that the server tells.
func (s *stage) metadataEpoch() int32 {
	return ask[*kmsg.MetadataResponse](s.dial(), 12, kmsg.NewPtrMetadataRequest()).Topics[0].Partitions[0].LeaderEpoch
}

// Groups and transactions have their coordinators: FindCoordinator says which, the others refuse, and a member that waits hears that it
// has moved.
func TestClusterCoordinates(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	find := func(node int32, kind int8, key string) int32 {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKeys = kind, []string{key}
		return ask[*kmsg.FindCoordinatorResponse](s.at(node), 4, req).Coordinators[0].NodeID
	}
	beat := func(node int32) int16 {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID = "readers", "nobody"
		return ask[*kmsg.HeartbeatResponse](s.at(node), 4, req).ErrorCode
	}
	begin := func(node int32) int16 {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = kmsgString("bank"), 1000
		return ask[*kmsg.InitProducerIDResponse](s.at(node), 4, req).ErrorCode
	}
	for _, to := range []int32{3, 1, 2} {
		s.must(s.c.MoveGroup("readers", to), s.c.MoveTransaction("bank", to))
		for _, node := range s.c.Nodes() {
			if g, x := find(node, 0, "readers"), find(node, 1, "bank"); g != to || x != to || s.c.GroupCoordinator("readers") != to || s.c.TransactionCoordinator("bank") != to {
				t.Errorf("node %d finds %d and %d, want %d", node, g, x, to)
			}
			group, txn := codeNotCoordinator, codeNotCoordinator
			if node == to {
				group, txn = codeUnknownMemberID, codeNone
			}
			if g, x := beat(node), begin(node); g != group || x != txn {
				t.Errorf("node %d, of %d, answers %d and %d, want %d and %d", node, to, g, x, group, txn)
			}
		}
	}
	s.must(s.c.LoadGroup("readers", true), s.c.LoadTransaction("bank", true))
	if g, x := beat(2), begin(2); g != codeCoordinatorLoadInProgress || x != codeCoordinatorLoadInProgress {
		t.Errorf("while it loads: %d and %d", g, x)
	}
	s.must(s.c.LoadGroup("readers", false), s.c.LoadTransaction("bank", false))
	if g, x := beat(2), begin(2); g != codeUnknownMemberID || x != codeNone {
		t.Errorf("when it has loaded: %d and %d", g, x)
	}
	dg := kmsg.NewPtrDescribeGroupsRequest()
	dg.Groups = []string{"readers"}
	if got := ask[*kmsg.DescribeGroupsResponse](s.at(1), 5, dg).Groups[0].ErrorCode; got != codeNotCoordinator {
		t.Errorf("DescribeGroups: %d", got)
	}
	listed := 0
	for _, node := range s.c.Nodes() {
		listed += len(ask[*kmsg.ListTransactionsResponse](s.at(node), 0, kmsg.NewPtrListTransactionsRequest()).TransactionStates)
	}
	if listed != 1 {
		t.Errorf("the transactional id is listed %d times", listed)
	}
}

// A member that waits for others to join hears NOT_COORDINATOR when its group moves, and goes on at the other node as the member
// that it is.
func TestClusterMovesWaitingMembers(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	s.must(s.c.MoveGroup("readers", 1))
	join := func(id string) *kmsg.JoinGroupRequest {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType = "readers", id, "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 60_000, 60_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0}}}
		return req
	}
	first := s.at(1)
	id := ask[*kmsg.JoinGroupResponse](first, 5, join("")).MemberID
	if got := ask[*kmsg.JoinGroupResponse](first, 5, join(id)); got.ErrorCode != 0 || got.Generation != 1 {
		t.Fatalf("%+v", got)
	}
	other := s.at(1)
	id2 := ask[*kmsg.JoinGroupResponse](other, 5, join("")).MemberID
	other.send(5, join(id2)) // waits for the first
	s.waitState("readers", "PreparingRebalance")
	s.must(s.c.MoveGroup("readers", 2))
	if got := other.receive().(*kmsg.JoinGroupResponse).ErrorCode; got != codeNotCoordinator {
		t.Errorf("who waited hears %d", got)
	}
	first, other = s.at(2), s.at(2)
	first.send(5, join(id))
	if got := ask[*kmsg.JoinGroupResponse](other, 5, join(id2)); got.ErrorCode != 0 || got.Generation != 2 {
		t.Errorf("at the other node: %+v", got)
	}
	if got := first.receive().(*kmsg.JoinGroupResponse); got.ErrorCode != 0 || got.MemberID != id || len(got.Members) != 2 {
		t.Errorf("at the other node: %+v", got)
	}
}

// waitState waits until a group is in a state.
func (s *stage) waitState(group, state string) {
	s.t.Helper()
	for {
		d, err := s.in().Groups.Describe(group)
		if err == nil && d.State.String() == state {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// A node that stops, or is killed, leads and coordinates nothing any more, its connections end, and when it starts it is in sync and
// leads what it is elected for. A partition of which no replica runs has no leader.
func TestClusterStops(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{ReplicationFactor: 2})
	if got, want := s.told(1), "2/1[2 3][2 3][] 3/1[3 1][3 1][] 1/1[1 2][1 2][]"; got != want {
		t.Fatalf("at first %s, want %s", got, want)
	}
	gone := s.at(2)
	s.must(s.c.Stop(2))
	gone.ended()
	if got, want := s.told(1), "3/2[2 3][3][2] 3/1[3 1][3 1][] 1/1[1 2][1][2]"; got != want {
		t.Errorf("2 stopped: %s, want %s", got, want)
	}
	if resp := ask[*kmsg.MetadataResponse](s.at(1), 12, kmsg.NewPtrMetadataRequest()); len(resp.Brokers) != 2 {
		t.Errorf("2 stopped: %d brokers", len(resp.Brokers))
	}
	gone = s.at(3)
	s.must(s.c.Kill(3))
	gone.ended()
	if got, want := s.told(1), "-1/3[2 3][][2 3] 1/2[3 1][1][3] 1/1[1 2][1][2]"; got != want {
		t.Errorf("3 killed: %s, want %s", got, want)
	}
	s.must(s.c.Start(2))
	if got, want := s.told(2), "-1/3[2 3][][3] 1/2[3 1][1][3] 1/1[1 2][1 2][]"; got != want {
		t.Errorf("2 started, which was not in sync: %s, want %s", got, want)
	}
	s.must(s.c.Start(3), s.c.ElectPreferred())
	if got, want := s.told(3), "2/5[2 3][2 3][] 3/3[3 1][3 1][] 1/1[1 2][1 2][]"; got != want {
		t.Errorf("all run: %s, want %s", got, want)
	}
	for _, err := range []error{s.c.Start(1), s.c.Start(9), s.c.Stop(9), s.c.MoveLeader("web_log", 0, 1), s.c.MoveLeader("web_log", 7, 1), s.c.MoveController(9)} {
		if err == nil {
			t.Error("what cannot be was done")
		}
	}
	s.must(s.c.Stop(1))
	if s.c.Controller() != 2 {
		t.Errorf("the controller is %d", s.c.Controller())
	}
}

func TestClusterAddsAndRemoves(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	id, err := s.c.Add("far")
	s.must(err)
	if id != 4 || len(s.c.Addrs()) != 4 {
		t.Fatalf("node %d of %v", id, s.c.Addrs())
	}
	s.must(s.c.Reassign("web_log", 0, 4, 1), s.c.HoldReassignments(true), s.c.Reassign("web_log", 1, 4, 3))
	if got, want := s.told(4), "4/2[4 1][4 1][] 3/1[4 3 1 2][3 1 2][] 1/1[1 2 3][1 2 3][]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	list := func() string {
		var all []string
		for _, rt := range ask[*kmsg.ListPartitionReassignmentsResponse](s.at(1), 0, kmsg.NewPtrListPartitionReassignmentsRequest()).Topics {
			for _, p := range rt.Partitions {
				all = append(all, fmt.Sprintf("%s%d%v%v%v", rt.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas))
			}
		}
		return fmt.Sprint(all)
	}
	if got, want := list(), "[web_log1[4 3 1 2][4][1 2]]"; got != want {
		t.Errorf("under way: %s, want %s", got, want)
	}
	alter := func(partition int32, replicas []int32) int16 {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "web_log", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: replicas}}}}
		return ask[*kmsg.AlterPartitionAssignmentsResponse](s.at(2), 0, req).Topics[0].Partitions[0].ErrorCode
	}
	for _, tt := range []struct {
		partition int32
		replicas  []int32
		want      int16
	}{
		{1, nil, 0}, {1, nil, codeNoReassignmentInProgress}, {1, []int32{9}, codeInvalidReplicaAssignment}, {1, []int32{1, 1}, codeInvalidReplicaAssignment},
		{2, []int32{4}, 0}, {9, nil, codeUnknownTopicOrPartition},
	} {
		if got := alter(tt.partition, tt.replicas); got != tt.want {
			t.Errorf("partition %d to %v: %d, want %d", tt.partition, tt.replicas, got, tt.want)
		}
	}
	s.must(s.c.HoldReassignments(false))
	if got, want := s.told(4), "4/2[4 1][4 1][] 3/1[3 1 2][3 1 2][] 4/2[4][4][]"; got != want || list() != "[]" {
		t.Errorf("at the end: %s, want %s; %s", got, want, list())
	}
	s.must(s.c.Remove(4))
	if got, want := s.told(1), "1/3[4 1][1][4] 3/1[3 1 2][3 1 2][] -1/3[4][][4]"; got != want {
		t.Errorf("4 removed: %s, want %s", got, want)
	}
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "web_log", Partitions: []int32{0, 1, 2}}}
	var codes []int16
	for _, p := range ask[*kmsg.ElectLeadersResponse](s.at(1), 2, elect).Topics[0].Partitions {
		codes = append(codes, p.ErrorCode)
	}
	if want := []int16{codePreferredLeaderNotAvailable, codeElectionNotNeeded, codePreferredLeaderNotAvailable}; !slices.Equal(codes, want) {
		t.Errorf("elections: %v, want %v", codes, want)
	}
}

// A consumer is sent to a replica in its rack, which answers it; the leader's own rack, and one that nobody is in, stay (KIP-392).
func TestClusterRacks(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{Racks: []string{"a", "b", "c"}})
	leader := s.leader(0)
	ask[*kmsg.ProduceResponse](s.at(leader), 9, oneProduce(0, -1, batch(t, 0, record{1, "", "x"})))
	for rack, want := range map[string]int32{"": -1, "a": 1, "b": 2, "c": 3, "d": -1} {
		if want == leader {
			want = -1
		}
		req := fetchRequest("web_log", 0)
		req.Rack, req.MaxWaitMillis = rack, 60_000
		p := ask[*kmsg.FetchResponse](s.at(leader), 11, req).Topics[0].Partitions[0]
		if p.PreferredReadReplica != want || (len(p.RecordBatches) == 0) != (want >= 0) {
			t.Errorf("rack %q: replica %d, %d bytes, want %d", rack, p.PreferredReadReplica, len(p.RecordBatches), want)
		}
		if want >= 0 {
			if got := fetched(t, ask[*kmsg.FetchResponse](s.at(want), 11, req)); len(got) != 1 {
				t.Errorf("replica %d: %d records", want, len(got))
			}
		}
	}
}

// Nobody is sent to a replica that is not in sync, which is one that is being added, and it sends whoever comes to the leader. When it is in sync it
// serves.
func TestClusterOutOfSync(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	leader := s.leader(0)
	ask[*kmsg.ProduceResponse](s.at(leader), 9, oneProduce(0, -1, batch(t, 0, record{1, "", "x"})))
	added, err := s.c.Add("far")
	s.must(err, s.c.HoldReassignments(true), s.c.Reassign("web_log", 0, leader, added))
	req := fetchRequest("web_log", 0)
	req.Rack = "far"
	at := func(node int32) kmsg.FetchResponseTopicPartition {
		return ask[*kmsg.FetchResponse](s.at(node), 11, req).Topics[0].Partitions[0]
	}
	if p := at(leader); p.PreferredReadReplica != -1 || len(p.RecordBatches) == 0 {
		t.Errorf("the leader: %+v", p)
	}
	if p := at(added); p.ErrorCode != codeNotLeaderOrFollower {
		t.Errorf("a replica that is not in sync: %+v", p)
	}
	s.must(s.c.HoldReassignments(false))
	if p := at(leader); p.PreferredReadReplica != added {
		t.Errorf("the leader: %+v", p)
	}
	if p := at(added); p.ErrorCode != codeNone || len(p.RecordBatches) == 0 {
		t.Errorf("a replica that is in sync: %+v", p)
	}
}

// A fetch that waits at a leader hears that another leads by now.
func TestClusterWakesFetches(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	leader := s.leader(0)
	c := s.at(leader)
	req := fetchRequest("web_log", 0)
	req.MaxWaitMillis, req.MinBytes = 600_000, 1
	c.send(10, req)
	s.must(s.c.MoveLeader("web_log", 0, s.other(leader)))
	if p := c.receive().(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != codeNotLeaderOrFollower {
		t.Errorf("%+v", p)
	}
}

// Metadata of a node may be as it was, whatever happens, and say that clients begin again.
func TestClusterStale(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	s.must(s.c.Stale(3, true))
	was := s.told(3)
	s.create("new", samsa.TopicConfig{})
	s.must(s.c.MoveLeader("web_log", 0, 1), s.c.Stop(2))
	if got := s.told(3); got != was || got == s.told(1) {
		t.Errorf("node 3 tells %s, was %s, and 1 %s", got, was, s.told(1))
	}
	req := kmsg.NewPtrMetadataRequest()
	name := "new"
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	if got := ask[*kmsg.MetadataResponse](s.at(3), 12, req).Topics[0].ErrorCode; got != codeUnknownTopicOrPartition {
		t.Errorf("a topic that it has not heard of: %d", got)
	}
	s.must(s.c.Stale(3, false))
	if got, want := s.told(3), s.told(1); got != want {
		t.Errorf("node 3 tells %s, and 1 %s", got, want)
	}
	s.must(s.c.Rebootstrap(1, 1))
	var codes []int16
	for _, version := range []int16{12, 13, 13} {
		codes = append(codes, ask[*kmsg.MetadataResponse](s.at(1), version, kmsg.NewPtrMetadataRequest()).ErrorCode)
	}
	if !slices.Equal(codes, []int16{0, codeRebootstrapRequired, 0}) {
		t.Errorf("Metadata 12, 13, 13: %v", codes)
	}
}

// Nothing goes through a network that is cut off, until it is there again; and closing does not wait for that.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	c := s.at(1)
	s.must(s.c.CutOff(1, true))
	c.send(12, kmsg.NewPtrMetadataRequest())
	answered := make(chan struct{})
	go func() { defer close(answered); c.receive() }()
	select {
	case <-answered:
		t.Error("an answer came through")
	case <-time.After(20 * time.Millisecond):
	}
	s.must(s.c.CutOff(1, false))
	<-answered
	c = s.at(2)
	s.must(s.c.Slow(1, time.Millisecond), s.c.CutOff(2, true), s.c.CutOff(3, true))
	s.told(1)
	c.send(12, kmsg.NewPtrMetadataRequest())
	s.must(s.c.Stop(2), s.c.Close(), s.c.Close())
	if err := s.c.Stop(1); err == nil {
		t.Error("a node of a closed cluster was stopped")
	}
}

// The replicas of a topic are those that its creation asks for.
func TestClusterCreates(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	create := func(name string, edit func(*kmsg.CreateTopicsRequestTopic)) int16 {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 2, -1
		edit(&rt)
		req.Topics = append(req.Topics, rt)
		return ask[*kmsg.CreateTopicsResponse](s.at(1), 5, req).Topics[0].ErrorCode
	}
	assign := func(replicas ...[]int32) func(*kmsg.CreateTopicsRequestTopic) {
		return func(rt *kmsg.CreateTopicsRequestTopic) {
			rt.NumPartitions, rt.ReplicationFactor = -1, -1
			for i, r := range replicas {
				rt.ReplicaAssignment = append(rt.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
			}
		}
	}
	factor := func(n int16) func(*kmsg.CreateTopicsRequestTopic) {
		return func(rt *kmsg.CreateTopicsRequestTopic) { rt.ReplicationFactor = n }
	}
	for name, tt := range map[string]struct {
		edit     func(*kmsg.CreateTopicsRequestTopic)
		code     int16
		replicas string
	}{
		"default": {factor(-1), 0, "3 3"}, "one": {factor(1), 0, "1 1"}, "two": {factor(2), 0, "2 2"}, "four": {factor(4), codeInvalidReplicationFactor, ""},
		"assigned": {assign([]int32{3, 1}, []int32{2, 3}), 0, "2 2"}, "of two sizes": {assign([]int32{3, 1}, []int32{2}), codeInvalidReplicaAssignment, ""}, "nowhere": {assign([]int32{9}), codeInvalidReplicaAssignment, ""},
	} {
		if code := create(name, tt.edit); code != tt.code {
			t.Errorf("%s: code %d, want %d", name, code, tt.code)
		}
		if tt.code != 0 {
			continue
		}
		var got []string
		for i := range int32(2) {
			_, at, err := s.c.find(name, i)
			s.must(err)
			got = append(got, strconv.Itoa(len(at.replicas)))
		}
		if strings.Join(got, " ") != tt.replicas {
			t.Errorf("%s: %v replicas, want %s", name, got, tt.replicas)
		}
	}
	if leader, epoch, err := s.c.Leader("assigned", 0); leader != 3 || epoch != 0 || err != nil {
		t.Errorf("the assigned topic is led by %d in %d: %v", leader, epoch, err)
	}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "assigned", Count: 3, Assignment: []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{2, 3}}}}}
	if got := ask[*kmsg.CreatePartitionsResponse](s.at(2), 2, grow).Topics[0]; got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
	if leader, _, err := s.c.Leader("assigned", 2); leader != 2 || err != nil {
		t.Errorf("the third partition is led by %d: %v", leader, err)
	}
	s.must(s.Topics().Delete(context.Background(), "assigned"), s.Topics().Create(context.Background(), "assigned", samsa.TopicConfig{}))
	if _, epoch, err := s.c.Leader("assigned", 0); epoch != 0 || err != nil {
		t.Errorf("created again it is in epoch %d: %v", epoch, err)
	}
	if _, _, err := s.c.Leader("nobody", 0); err == nil {
		t.Error("a topic that is not there has a leader")
	}
}

func TestClusterOptions(t *testing.T) {
	t.Parallel()
	k := newKit(t, samsa.Options{})
	for what, listen := range map[string]func() (*Cluster, error){
		"no nodes":    func() (*Cluster, error) { return ListenCluster(k.Broker, 0, "127.0.0.1:0", ClusterOptions{}) },
		"no broker":   func() (*Cluster, error) { return ListenCluster(nil, 1, "127.0.0.1:0", ClusterOptions{}) },
		"any address": func() (*Cluster, error) { return ListenCluster(k.Broker, 1, "0.0.0.0:0", ClusterOptions{}) },
		"high port":   func() (*Cluster, error) { return ListenCluster(k.Broker, 3, "127.0.0.1:65534", ClusterOptions{}) },
		"many racks": func() (*Cluster, error) {
			return ListenCluster(k.Broker, 1, "127.0.0.1:0", ClusterOptions{Racks: []string{"a", "b"}})
		},
		"replication": func() (*Cluster, error) {
			return ListenCluster(k.Broker, 1, "127.0.0.1:0", ClusterOptions{ReplicationFactor: 2})
		},
		"high id": func() (*Cluster, error) {
			return ListenCluster(k.Broker, 3, "127.0.0.1:0", ClusterOptions{Options: Options{NodeID: math.MaxInt32 - 1}})
		},
		"bad advertise": func() (*Cluster, error) {
			return ListenCluster(k.Broker, 1, "127.0.0.1:0", ClusterOptions{Options: Options{Advertise: "x"}})
		},
	} {
		if c, err := listen(); err == nil {
			t.Errorf("%s: listens at %v", what, c.Addrs())
		}
	}
	c, err := ListenCluster(k.Broker, 2, "127.0.0.1:0", ClusterOptions{Options: Options{Advertise: "kafka.test:9092", NodeID: 5}})
	if err != nil {
		t.Fatal(err)
	}
	k.srv = c.nodes[6].server
	var got []string
	for _, b := range ask[*kmsg.MetadataResponse](k.dial(), 12, kmsg.NewPtrMetadataRequest()).Brokers {
		got = append(got, fmt.Sprintf("%d %s %d", b.NodeID, b.Host, b.Port))
	}
	if want := "[5 kafka.test 9092 6 kafka.test 9093]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if n := len(Servers(k.Broker)); n != 2 {
		t.Errorf("%d servers", n)
	}
	if _, err := ListenCluster(k.Broker, 2, "127.0.0.1:0", ClusterOptions{}); !errors.Is(err, samsa.ErrInvalid) {
		t.Errorf("a second cluster: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	again, err := ListenCluster(k.Broker, 2, "127.0.0.1:0", ClusterOptions{})
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	defer func() { _ = again.Close() }()
}

// A node that is added is told to clients at the port behind the last one: it must listen there.
func TestClusterAddsWhereItIsTold(t *testing.T) {
	t.Parallel()
	k := newKit(t, samsa.Options{})
	var c *Cluster
	var taken net.Listener
	for c == nil { // two ports one behind the other, of which the second is ours
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := ln.Addr().String()
		if taken, err = net.Listen("tcp", port.Behind(at, 1)); err != nil {
			_ = ln.Close()
			continue
		}
		_ = ln.Close()
		c, err = ListenCluster(k.Broker, 1, at, ClusterOptions{Options: Options{Advertise: "kafka.test:9092"}})
		if err != nil {
			_ = taken.Close()
		}
	}
	defer func() { _ = c.Close() }()
	if id, err := c.Add(""); err == nil {
		t.Errorf("node %d listens at %s, and its port is taken", id, c.Addr(id))
	}
	_ = taken.Close()
	if id, err := c.Add(""); err != nil || c.Addr(id) != port.Behind(c.Addr(1), 1) {
		t.Errorf("node %d at %s: %v", id, c.Addr(id), err)
	}
}
