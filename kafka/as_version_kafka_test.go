package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// released is what brokers of Apache Kafka have answered to ApiVersions, of the requests that are served here: started from their jars, the
// one of 2.8 with ZooKeeper, the others without.
var released = map[string]string{
	"2.8.2": `
		Produce 0-9, Fetch 0-12, ListOffsets 0-6, Metadata 0-11, OffsetCommit 0-8, OffsetFetch 0-7, FindCoordinator 0-3, JoinGroup 0-7,
		Heartbeat 0-4, LeaveGroup 0-4, SyncGroup 0-5, DescribeGroups 0-5, ListGroups 0-4, SASLHandshake 0-1, ApiVersions 0-3,
		CreateTopics 0-7, DeleteTopics 0-6, DeleteRecords 0-2, InitProducerID 0-4, OffsetForLeaderEpoch 0-4, AddPartitionsToTxn 0-3,
		AddOffsetsToTxn 0-3, EndTxn 0-3, WriteTxnMarkers 0-1, TxnOffsetCommit 0-3, DescribeACLs 0-2, CreateACLs 0-2, DeleteACLs 0-2,
		DescribeConfigs 0-4, AlterConfigs 0-2, DescribeLogDirs 0-2, SASLAuthenticate 0-2, CreatePartitions 0-3,
		CreateDelegationToken 0-2, RenewDelegationToken 0-2, ExpireDelegationToken 0-2, DescribeDelegationToken 0-2, DeleteGroups 0-2,
		ElectLeaders 0-2, IncrementalAlterConfigs 0-1, AlterPartitionAssignments 0-0, ListPartitionReassignments 0-0, OffsetDelete 0-0,
		DescribeClientQuotas 0-1, AlterClientQuotas 0-1, DescribeUserSCRAMCredentials 0-0, AlterUserSCRAMCredentials 0-0,
		UpdateFeatures 0-0, DescribeCluster 0-0, DescribeProducers 0-0,`,
	"3.9.1": `
		Produce 0-11, Fetch 0-17, ListOffsets 0-9, Metadata 0-12, OffsetCommit 0-9, OffsetFetch 0-9, FindCoordinator 0-6, JoinGroup 0-9,
		Heartbeat 0-4, LeaveGroup 0-5, SyncGroup 0-5, DescribeGroups 0-5, ListGroups 0-5, SASLHandshake 0-1, ApiVersions 0-4,
		CreateTopics 0-7, DeleteTopics 0-6, DeleteRecords 0-2, InitProducerID 0-5, OffsetForLeaderEpoch 0-4, AddPartitionsToTxn 0-5,
		AddOffsetsToTxn 0-4, EndTxn 0-4, WriteTxnMarkers 0-1, TxnOffsetCommit 0-4, DescribeACLs 0-3, CreateACLs 0-3, DeleteACLs 0-3,
		DescribeConfigs 0-4, AlterConfigs 0-2, DescribeLogDirs 0-4, SASLAuthenticate 0-2, CreatePartitions 0-3,
		CreateDelegationToken 0-3, RenewDelegationToken 0-2, ExpireDelegationToken 0-2, DescribeDelegationToken 0-3, DeleteGroups 0-2,
		ElectLeaders 0-2, IncrementalAlterConfigs 0-1, AlterPartitionAssignments 0-0, ListPartitionReassignments 0-0, OffsetDelete 0-0,
		DescribeClientQuotas 0-1, AlterClientQuotas 0-1, DescribeUserSCRAMCredentials 0-0, AlterUserSCRAMCredentials 0-0,
		DescribeQuorum 0-2, UpdateFeatures 0-1, DescribeCluster 0-1, DescribeProducers 0-0, UnregisterBroker 0-0,
		DescribeTransactions 0-0, ListTransactions 0-1, ConsumerGroupHeartbeat 0-0, ConsumerGroupDescribe 0-0, ListConfigResources 0-0,
		DescribeTopicPartitions 0-0,`,
	"4.0.0": `
		Produce 0-12, Fetch 4-17, ListOffsets 1-10, Metadata 0-13, OffsetCommit 2-9, OffsetFetch 1-9, FindCoordinator 0-6,
		JoinGroup 2-9, Heartbeat 0-4, LeaveGroup 0-5, SyncGroup 0-5, DescribeGroups 0-6, ListGroups 0-5, SASLHandshake 0-1,
		ApiVersions 0-4, CreateTopics 2-7, DeleteTopics 1-6, DeleteRecords 0-2, InitProducerID 0-5, OffsetForLeaderEpoch 2-4,
		AddPartitionsToTxn 0-5, AddOffsetsToTxn 0-4, EndTxn 0-5, WriteTxnMarkers 1-1, TxnOffsetCommit 0-5, DescribeACLs 1-3,
		CreateACLs 1-3, DeleteACLs 1-3, DescribeConfigs 1-4, AlterConfigs 0-2, DescribeLogDirs 1-4, SASLAuthenticate 0-2,
		CreatePartitions 0-3, CreateDelegationToken 1-3, RenewDelegationToken 1-2, ExpireDelegationToken 1-2,
		DescribeDelegationToken 1-3, DeleteGroups 0-2, ElectLeaders 0-2, IncrementalAlterConfigs 0-1, AlterPartitionAssignments 0-0,
		ListPartitionReassignments 0-0, OffsetDelete 0-0, DescribeClientQuotas 0-1, AlterClientQuotas 0-1,
		DescribeUserSCRAMCredentials 0-0, AlterUserSCRAMCredentials 0-0, DescribeQuorum 0-2, UpdateFeatures 0-2, DescribeCluster 0-2,
		DescribeProducers 0-0, UnregisterBroker 0-0, DescribeTransactions 0-0, ListTransactions 0-1, ConsumerGroupHeartbeat 0-1,
		ConsumerGroupDescribe 0-1, ListConfigResources 0-0, DescribeTopicPartitions 0-0,`,
	"4.1.0": `
		Produce 0-13, Fetch 4-18, ListOffsets 1-10, Metadata 0-13, OffsetCommit 2-9, OffsetFetch 1-9, FindCoordinator 0-6,
		JoinGroup 0-9, Heartbeat 0-4, LeaveGroup 0-5, SyncGroup 0-5, DescribeGroups 0-6, ListGroups 0-5, SASLHandshake 0-1,
		ApiVersions 0-4, CreateTopics 2-7, DeleteTopics 1-6, DeleteRecords 0-2, InitProducerID 0-5, OffsetForLeaderEpoch 2-4,
		AddPartitionsToTxn 0-5, AddOffsetsToTxn 0-4, EndTxn 0-5, WriteTxnMarkers 1-1, TxnOffsetCommit 0-5, DescribeACLs 1-3,
		CreateACLs 1-3, DeleteACLs 1-3, DescribeConfigs 1-4, AlterConfigs 0-2, DescribeLogDirs 1-4, SASLAuthenticate 0-2,
		CreatePartitions 0-3, CreateDelegationToken 1-3, RenewDelegationToken 1-2, ExpireDelegationToken 1-2,
		DescribeDelegationToken 1-3, DeleteGroups 0-2, ElectLeaders 0-2, IncrementalAlterConfigs 0-1, AlterPartitionAssignments 0-1,
		ListPartitionReassignments 0-0, OffsetDelete 0-0, DescribeClientQuotas 0-1, AlterClientQuotas 0-1,
		DescribeUserSCRAMCredentials 0-0, AlterUserSCRAMCredentials 0-0, DescribeQuorum 0-2, UpdateFeatures 0-2, DescribeCluster 0-2,
		DescribeProducers 0-0, UnregisterBroker 0-0, DescribeTransactions 0-0, ListTransactions 0-2, ConsumerGroupHeartbeat 0-1,
		ConsumerGroupDescribe 0-1, ListConfigResources 0-1, DescribeTopicPartitions 0-0, ShareGroupHeartbeat 1-1,
		ShareGroupDescribe 1-1, ShareFetch 1-1, ShareAcknowledge 1-1, DescribeShareGroupOffsets 0-0, AlterShareGroupOffsets 0-0,
		DeleteShareGroupOffsets 0-0,`,
}

// otherwiseReleased are the requests whose versions differ, and why.
var otherwiseReleased = map[string]string{
	"WriteTxnMarkers": "version 0 is among brokers",
	"JoinGroup":       "4.0.0 has cut off what 4.1 has again",
}

// A server that is to look like a release offers what a broker of it does.
func TestAsVersionLikeKafka(t *testing.T) {
	t.Parallel()
	for version, text := range released {
		as, err := parseRelease(version)
		if err != nil {
			t.Fatal(err)
		}
		want := make(map[string]string)
		for part := range strings.SplitSeq(text, ",") {
			name, versions, _ := strings.Cut(strings.TrimSpace(part), " ")
			want[name] = versions
		}
		delete(want, "")
		for _, e := range tableAs(table, as) {
			name, got := kmsg.NameForKey(e.key.Int16()), fmt.Sprintf("%d-%d", e.min, e.max)
			if got != want[name] && otherwiseReleased[name] == "" {
				t.Errorf("%s: %s %s, and a broker has %q", version, name, got, want[name])
			}
			delete(want, name)
		}
		for name, versions := range want {
			t.Errorf("%s: no %s, of which a broker has %s", version, name, versions)
		}
	}
}
