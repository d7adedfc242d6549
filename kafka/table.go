package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// entry is one kind of request that is answered.
type entry struct {
	key      kmsg.Key
	min, max int16 // versions

	// answer answers the request; nothing else of its connection runs meanwhile.
	answer func(*call, kmsg.Request) kmsg.Response
	// begin, in place of answer, begins with the request and returns; the next request may
	// be begun before what it returns is done.
	begin func(*call, kmsg.Request) pending

	// long says that a short request may have a long answer. Handlers of those wait for nobody.
	long bool
}

// table is every request that is answered, by key.
//
// The lowest versions are those that clients still fall back to, or, like Produce 0, that
// some look for in the answer to ApiVersions to know what a broker can.
var table = []entry{
	{key: kmsg.Produce, min: 0, max: 13, begin: begin((*call).produce)},
	{key: kmsg.Fetch, min: 0, max: 18, answer: answer((*call).fetch)},
	{key: kmsg.ListOffsets, min: 0, max: 11, answer: answer((*call).listOffsets)},
	{key: kmsg.Metadata, min: 0, max: 13, answer: answer((*call).metadata), long: true},
	{key: kmsg.OffsetCommit, min: 0, max: 10, answer: answer((*call).offsetCommit)},
	{key: kmsg.OffsetFetch, min: 0, max: 10, answer: answer((*call).offsetFetch), long: true},
	{key: kmsg.FindCoordinator, min: 0, max: 6, answer: answer((*call).findCoordinator)},
	{key: kmsg.JoinGroup, min: 0, max: 9, answer: answer((*call).joinGroup)},
	{key: kmsg.Heartbeat, min: 0, max: 4, answer: answer((*call).heartbeat)},
	{key: kmsg.LeaveGroup, min: 0, max: 5, answer: answer((*call).leaveGroup)},
	{key: kmsg.SyncGroup, min: 0, max: 5, answer: answer((*call).syncGroup)},
	{key: kmsg.DescribeGroups, min: 0, max: 6, answer: answer((*call).describeGroups), long: true},
	{key: kmsg.ListGroups, min: 0, max: 5, answer: answer((*call).listGroups), long: true},
	{key: kmsg.SASLHandshake, min: 0, max: 1, answer: answer((*call).saslHandshake)},
	{key: kmsg.ApiVersions, min: 0, max: 5, answer: answer((*call).apiVersions)},
	{key: kmsg.CreateTopics, min: 0, max: 7, answer: answer((*call).createTopics), long: true},
	{key: kmsg.DeleteTopics, min: 0, max: 6, answer: answer((*call).deleteTopics)},
	{key: kmsg.DeleteRecords, min: 0, max: 2, answer: answer((*call).deleteRecords)},
	{key: kmsg.InitProducerID, min: 0, max: 5, answer: answer((*call).initProducerID)},
	{key: kmsg.OffsetForLeaderEpoch, min: 0, max: 4, answer: answer((*call).offsetForLeaderEpoch)},
	{key: kmsg.AddPartitionsToTxn, min: 0, max: 5, answer: answer((*call).addPartitionsToTxn)},
	{key: kmsg.AddOffsetsToTxn, min: 0, max: 4, answer: answer((*call).addOffsetsToTxn)},
	{key: kmsg.EndTxn, min: 0, max: 5, answer: answer((*call).endTxn)},
	{key: kmsg.WriteTxnMarkers, min: 1, max: 2, answer: answer((*call).writeTxnMarkers)},
	{key: kmsg.TxnOffsetCommit, min: 0, max: 6, answer: answer((*call).txnOffsetCommit)},
	{key: kmsg.DescribeACLs, min: 0, max: 3, answer: answer((*call).describeACLs)},
	{key: kmsg.CreateACLs, min: 0, max: 3, answer: answer((*call).createACLs)},
	{key: kmsg.DeleteACLs, min: 0, max: 3, answer: answer((*call).deleteACLs)},
	{key: kmsg.DescribeConfigs, min: 0, max: 4, answer: answer((*call).describeConfigs), long: true},
	{key: kmsg.AlterConfigs, min: 0, max: 2, answer: answer((*call).alterConfigs)},
	{key: kmsg.DescribeLogDirs, min: 0, max: 5, answer: answer((*call).describeLogDirs), long: true},
	{key: kmsg.SASLAuthenticate, min: 0, max: 2, answer: answer((*call).saslAuthenticate)},
	{key: kmsg.CreatePartitions, min: 0, max: 3, answer: answer((*call).createPartitions)},
	{key: kmsg.CreateDelegationToken, min: 0, max: 3, answer: answer((*call).createDelegationToken)},
	{key: kmsg.RenewDelegationToken, min: 0, max: 2, answer: answer((*call).renewDelegationToken)},
	{key: kmsg.ExpireDelegationToken, min: 0, max: 2, answer: answer((*call).expireDelegationToken)},
	{key: kmsg.DescribeDelegationToken, min: 0, max: 3, answer: answer((*call).describeDelegationToken)},
	{key: kmsg.DeleteGroups, min: 0, max: 3, answer: answer((*call).deleteGroups)},
	{key: kmsg.ElectLeaders, min: 0, max: 2, answer: answer((*call).electLeaders)},
	{key: kmsg.IncrementalAlterConfigs, min: 0, max: 1, answer: answer((*call).incrementalAlterConfigs)},
	{key: kmsg.AlterPartitionAssignments, min: 0, max: 1, answer: answer((*call).alterPartitionReassignments)},
	{key: kmsg.ListPartitionReassignments, min: 0, max: 0, answer: answer((*call).listPartitionReassignments)},
	{key: kmsg.OffsetDelete, min: 0, max: 0, answer: answer((*call).offsetDelete)},
	{key: kmsg.DescribeClientQuotas, min: 0, max: 1, answer: answer((*call).describeClientQuotas), long: true},
	{key: kmsg.AlterClientQuotas, min: 0, max: 1, answer: answer((*call).alterClientQuotas)},
	{key: kmsg.DescribeUserSCRAMCredentials, min: 0, max: 0, answer: answer((*call).describeUserSCRAMCredentials)},
	{key: kmsg.AlterUserSCRAMCredentials, min: 0, max: 0, answer: answer((*call).alterUserSCRAMCredentials)},
	{key: kmsg.DescribeQuorum, min: 0, max: 2, answer: answer((*call).describeQuorum)},
	{key: kmsg.UpdateFeatures, min: 0, max: 2, answer: answer((*call).updateFeatures)},
	{key: kmsg.DescribeCluster, min: 0, max: 2, answer: answer((*call).describeCluster)},
	{key: kmsg.DescribeProducers, min: 0, max: 0, answer: answer((*call).describeProducers), long: true},
	{key: kmsg.UnregisterBroker, min: 0, max: 0, answer: answer((*call).unregisterBroker)},
	{key: kmsg.DescribeTransactions, min: 0, max: 0, answer: answer((*call).describeTransactions)},
	{key: kmsg.ListTransactions, min: 0, max: 2, answer: answer((*call).listTransactions)},
	{key: kmsg.ConsumerGroupHeartbeat, min: 0, max: 1, answer: answer((*call).consumerGroupHeartbeat)},
	{key: kmsg.ConsumerGroupDescribe, min: 0, max: 1, answer: answer((*call).consumerGroupDescribe), long: true},
	{key: kmsg.ListConfigResources, min: 0, max: 1, answer: answer((*call).listConfigResources), long: true},
	{key: kmsg.DescribeTopicPartitions, min: 0, max: 0, answer: answer((*call).describeTopicPartitions), long: true},
	{key: kmsg.ShareGroupHeartbeat, min: 1, max: 1, answer: answer((*call).shareGroupHeartbeat)},
	{key: kmsg.ShareGroupDescribe, min: 1, max: 1, answer: answer((*call).shareGroupDescribe), long: true},
	{key: kmsg.ShareFetch, min: 1, max: 2, answer: answer((*call).shareFetch)},
	{key: kmsg.ShareAcknowledge, min: 1, max: 2, answer: answer((*call).shareAcknowledge)},
	{key: kmsg.StreamsGroupHeartbeat, min: 0, max: 1, answer: answer((*call).streamsGroupHeartbeat)},
	{key: kmsg.StreamsGroupDescribe, min: 0, max: 1, answer: answer((*call).streamsGroupDescribe), long: true},
	{key: kmsg.DescribeShareGroupOffsets, min: 0, max: 1, answer: answer((*call).describeShareGroupOffsets), long: true},
	{key: kmsg.AlterShareGroupOffsets, min: 0, max: 0, answer: answer((*call).alterShareGroupOffsets)},
	{key: kmsg.DeleteShareGroupOffsets, min: 0, max: 0, answer: answer((*call).deleteShareGroupOffsets)},
}

// answer and begin make a handler of one kind of request a handler of any.
func answer[Q kmsg.Request](h func(*call, Q) kmsg.Response) func(*call, kmsg.Request) kmsg.Response {
	return func(c *call, r kmsg.Request) kmsg.Response { return h(c, r.(Q)) }
}

func begin[Q kmsg.Request](h func(*call, Q) pending) func(*call, kmsg.Request) pending {
	return func(c *call, r kmsg.Request) pending { return h(c, r.(Q)) }
}

// find returns the entry of a key, and what counts its requests; nil when there is none.
func (s *Server) find(key int16) (*entry, *requestTally) {
	i, ok := slices.BinarySearchFunc(s.table, key, func(e entry, key int16) int { return int(e.key) - int(key) })
	if !ok {
		return nil, nil
	}
	return &s.table[i], &s.tally.requests[i]
}
