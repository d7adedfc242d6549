package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// What TestThreeLikeKafka of clienttest compares with Kafka is kept here where there is no Java: replicas that are to come wait for their node.
func TestClusterReassignmentsWait(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	place := func() string {
		_, at, err := s.c.find("web_log", 0)
		s.must(err)
		return fmt.Sprint(at.leader, at.replicas, at.isr)
	}
	s.must(s.c.Reassign("web_log", 0, 1, 2), s.c.MoveLeader("web_log", 0, 1))
	_, before, err := s.c.Leader("web_log", 0)
	s.must(err, s.c.Stop(3), s.c.Reassign("web_log", 0, 1, 3))
	if got, want := place(), "1 [1 3 2] [1 2]"; got != want {
		t.Errorf("3 is to be a replica, and does not run: %s, want %s", got, want)
	}
	s.must(s.c.Start(3))
	if got, want := place(), "1 [1 3] [1 3]"; got != want {
		t.Errorf("3 runs: %s, want %s", got, want)
	}
	if _, epoch, err := s.c.Leader("web_log", 0); epoch != before+1 || err != nil {
		t.Errorf("epoch %d where a replica has gone, and it was %d: %v", epoch, before, err)
	}
}

func TestUnregisterBroker(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	unregister := func(id int32, want int16) {
		t.Helper()
		if got := ask[*kmsg.UnregisterBrokerResponse](s.at(1), 0, &kmsg.UnregisterBrokerRequest{BrokerID: id}); got.ErrorCode != want {
			t.Errorf("node %d: code %d, want %d", id, got.ErrorCode, want)
		}
	}
	unregister(9, codeBrokerIDNotRegistered)
	unregister(3, codeInvalidRequest)
	s.must(s.c.Stop(3))
	unregister(3, 0)
	unregister(3, codeBrokerIDNotRegistered)
	if got := len(s.c.Nodes()); got != 2 {
		t.Errorf("%d nodes, want 2", got)
	}
}

// What is unregistered runs not: a server that is alone stays.
func TestUnregisterBrokerAlone(t *testing.T) {
	t.Parallel()
	k := start(t, samsa.Options{}, Options{})
	for id, want := range map[int32]int16{1: codeInvalidRequest, 2: codeBrokerIDNotRegistered} {
		if got := ask[*kmsg.UnregisterBrokerResponse](k.dial(), 0, &kmsg.UnregisterBrokerRequest{BrokerID: id}); got.ErrorCode != want {
			t.Errorf("node %d: code %d, want %d", id, got.ErrorCode, want)
		}
	}
}

// A partition that is not there has no epoch either.
func TestEpochOfNoPartition(t *testing.T) {
	t.Parallel()
	k := start(t, samsa.Options{}, Options{})
	req := kmsg.NewPtrListOffsetsRequest()
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "nobody", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: 5, Timestamp: -1}}}}
	if p := ask[*kmsg.ListOffsetsResponse](k.dial(), 7, req).Topics[0].Partitions[0]; p.ErrorCode != codeUnknownTopicOrPartition {
		t.Errorf("%+v", p)
	}
}
