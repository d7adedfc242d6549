package cluster_test

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// asked is requests, and what each needs. Topic t, groups g and transactional id x are there; u and the like are not.
var asked = []struct {
	what    string
	needs   []string // ACLs
	also    []string // others that make a difference
	request func(t [16]byte, fresh string) kmsg.Request
}{
	{"Metadata of one", []string{"DESCRIBE TOPIC t"}, []string{"READ TOPIC t", "ALTER_CONFIGS TOPIC t"}, func([16]byte, string) kmsg.Request { return metadataOf("t", nil) }},
	{"Metadata of one that is not there", []string{"DESCRIBE TOPIC u", "CREATE TOPIC u"}, nil, func([16]byte, string) kmsg.Request { return metadataOf("u", nil) }},
	{"Metadata by id", []string{"DESCRIBE TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request { return metadataOf("", &t) }},
	{"Metadata by an unknown id", nil, nil, func([16]byte, string) kmsg.Request { return metadataOf("", &[16]byte{1}) }},
	{"Metadata of all", []string{"DESCRIBE TOPIC t"}, []string{"DESCRIBE TOPIC *", "READ TOPIC o*", "ALL TOPIC t"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrMetadataRequest()
		r.IncludeTopicAuthorizedOperations = true
		return r
	}},
	{"DescribeCluster", []string{"DESCRIBE CLUSTER kafka-cluster"}, []string{"ALTER CLUSTER kafka-cluster", "CREATE CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeClusterRequest()
		r.IncludeClusterAuthorizedOperations, r.EndpointType = true, 1
		return r
	}},
	{"DescribeTopicPartitions", []string{"DESCRIBE TOPIC t"}, nil, func([16]byte, string) kmsg.Request { return describeTopics("t", "other", "u") }},
	{"DescribeTopicPartitions of all", []string{"DESCRIBE TOPIC t"}, []string{"ALL TOPIC other"}, func([16]byte, string) kmsg.Request { return describeTopics() }},
	{"Produce", []string{"WRITE TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrProduceRequest()
		r.Acks, r.TimeoutMillis = -1, 1000
		for _, id := range [][16]byte{t, {1}} {
			rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
			rt.TopicID, rp.Records = id, recordBatch
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"Fetch", []string{"READ TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrFetchRequest()
		r.MaxBytes, r.SessionEpoch = 1<<20, -1
		for _, id := range [][16]byte{t, {1}} {
			rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
			rt.TopicID, rp.PartitionMaxBytes, rp.FetchOffset = id, 1<<20, 0
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"ListOffsets", []string{"DESCRIBE TOPIC t"}, []string{"DESCRIBE TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrListOffsetsRequest()
		for _, name := range []string{"t", "u"} {
			rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
			rt.Topic, rp.Timestamp = name, -1
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"OffsetForLeaderEpoch", []string{"DESCRIBE TOPIC t"}, []string{"CLUSTER_ACTION CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrOffsetForLeaderEpochRequest()
		r.ReplicaID = -1
		for _, name := range []string{"t", "u"} {
			rt, rp := kmsg.NewOffsetForLeaderEpochRequestTopic(), kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rt.Topic = name
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"CreateTopics", []string{"CREATE CLUSTER kafka-cluster", "DESCRIBE_CONFIGS TOPIC *"}, []string{"CREATE TOPIC new-*"}, func(_ [16]byte, fresh string) kmsg.Request {
		r := kmsg.NewPtrCreateTopicsRequest()
		r.TimeoutMillis = 5000
		for _, name := range []string{fresh, "t"} {
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"DeleteTopics", []string{"DELETE TOPIC u"}, []string{"DELETE CLUSTER kafka-cluster", "DESCRIBE TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDeleteTopicsRequest()
		name := "u"
		byName, byID := kmsg.NewDeleteTopicsRequestTopic(), kmsg.NewDeleteTopicsRequestTopic()
		byName.Topic, byID.TopicID = &name, [16]byte{1}
		r.Topics, r.TimeoutMillis = append(r.Topics, byName, byID), 5000
		return r
	}},
	{"DeleteTopics that describes", []string{"DESCRIBE TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrDeleteTopicsRequest()
		name := "other"
		byName, byID := kmsg.NewDeleteTopicsRequestTopic(), kmsg.NewDeleteTopicsRequestTopic()
		byName.Topic, byID.TopicID = &name, t
		r.Topics, r.TimeoutMillis = append(r.Topics, byName, byID), 5000
		return r
	}},
	{"DeleteRecords", []string{"DELETE TOPIC t"}, []string{"DELETE TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDeleteRecordsRequest()
		r.TimeoutMillis = 5000
		for _, name := range []string{"t", "u"} {
			rt, rp := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
			rt.Topic, rp.Offset = name, -1
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"CreatePartitions", []string{"ALTER TOPIC t"}, []string{"ALTER TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrCreatePartitionsRequest()
		r.TimeoutMillis, r.ValidateOnly = 5000, true
		for _, name := range []string{"t", "u"} {
			rt := kmsg.NewCreatePartitionsRequestTopic()
			rt.Topic, rt.Count = name, 2
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"DescribeProducers", []string{"READ TOPIC t"}, []string{"READ TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeProducersRequest()
		for _, name := range []string{"t", "u"} {
			rt := kmsg.NewDescribeProducersRequestTopic()
			rt.Topic, rt.Partitions = name, []int32{0}
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"DescribeConfigs", []string{"DESCRIBE_CONFIGS TOPIC t", "DESCRIBE_CONFIGS GROUP g", "DESCRIBE_CONFIGS CLUSTER kafka-cluster"}, []string{"ALTER_CONFIGS TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeConfigsRequest()
		for _, c := range configured {
			rr := kmsg.NewDescribeConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = c.kind, c.name
			r.Resources = append(r.Resources, rr)
		}
		return r
	}},
	{"IncrementalAlterConfigs", []string{"ALTER_CONFIGS TOPIC t", "ALTER_CONFIGS GROUP g", "ALTER_CONFIGS CLUSTER kafka-cluster"}, []string{"ALTER_CONFIGS TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r.ValidateOnly = true
		for _, c := range configured {
			rr := kmsg.NewIncrementalAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = c.kind, c.name
			r.Resources = append(r.Resources, rr)
		}
		return r
	}},
	{"AlterConfigs", []string{"ALTER_CONFIGS TOPIC t", "ALTER_CONFIGS GROUP g"}, []string{"ALTER_CONFIGS TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrAlterConfigsRequest()
		r.ValidateOnly = true
		for _, c := range configured {
			if c.kind == kmsg.ConfigResourceTypeBroker {
				continue
			}
			rr := kmsg.NewAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = c.kind, c.name
			r.Resources = append(r.Resources, rr)
		}
		return r
	}},
	{"ListConfigResources", []string{"DESCRIBE_CONFIGS CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrListConfigResourcesRequest()
		r.ResourceTypes = []int8{32}
		return r
	}},

	{"FindCoordinator", []string{"DESCRIBE GROUP g"}, []string{"DELETE GROUP h"}, func([16]byte, string) kmsg.Request { return findCoordinator(0, "g", "h") }},
	{"FindCoordinator of transactions", []string{"DESCRIBE TRANSACTIONAL_ID x"}, []string{"WRITE TRANSACTIONAL_ID y"}, func([16]byte, string) kmsg.Request { return findCoordinator(1, "x", "y") }},
	{"OffsetFetch", []string{"DESCRIBE GROUP g", "DESCRIBE TOPIC t"}, []string{"READ TOPIC other"}, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrOffsetFetchRequest()
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group, rg.MemberEpoch = "g", -1
		for _, id := range [][16]byte{t, {1}} {
			rt := kmsg.NewOffsetFetchRequestGroupTopic()
			rt.TopicID, rt.Partitions = id, []int32{0}
			rg.Topics = append(rg.Topics, rt)
		}
		r.Groups = append(r.Groups, rg)
		return r
	}},
	{"OffsetFetch of all", []string{"DESCRIBE GROUP g", "DESCRIBE TOPIC t"}, []string{"READ TOPIC other"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrOffsetFetchRequest()
		for _, name := range []string{"g", "hidden"} {
			rg := kmsg.NewOffsetFetchRequestGroup()
			rg.Group, rg.MemberEpoch = name, -1
			r.Groups = append(r.Groups, rg)
		}
		return r
	}},
	{"OffsetCommit", []string{"READ GROUP g", "READ TOPIC t"}, []string{"DESCRIBE TOPIC other"}, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Group, r.Generation = "g", -1
		for _, id := range [][16]byte{t, {1}} {
			rt, rp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
			rt.TopicID = id
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"OffsetDelete", []string{"DELETE GROUP h", "READ TOPIC t"}, []string{"READ TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = "h"
		for _, name := range []string{"t", "u"} {
			rt, rp := kmsg.NewOffsetDeleteRequestTopic(), kmsg.NewOffsetDeleteRequestTopicPartition()
			rt.Topic = name
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"JoinGroup", []string{"READ GROUP __j"}, []string{"DESCRIBE GROUP __j"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrJoinGroupRequest()
		r.Group, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = "__j", 10000, 10000, "consumer"
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = "range"
		r.Protocols = append(r.Protocols, p)
		return r
	}},
	{"SyncGroup", []string{"READ GROUP __j"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrSyncGroupRequest()
		kind, protocol := "consumer", "range"
		r.Group, r.MemberID, r.ProtocolType, r.Protocol = "__j", "m", &kind, &protocol
		return r
	}},
	{"Heartbeat", []string{"READ GROUP __j"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrHeartbeatRequest()
		r.Group, r.MemberID = "__j", "m"
		return r
	}},
	{"LeaveGroup", []string{"READ GROUP __j"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrLeaveGroupRequest()
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = "m"
		r.Group, r.Members = "__j", append(r.Members, m)
		return r
	}},
	{"DescribeGroups", []string{"DESCRIBE GROUP g"}, []string{"DELETE GROUP g", "READ GROUP h"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups, r.IncludeAuthorizedOperations = []string{"g", "h"}, true
		return r
	}},
	{"ListGroups", []string{"DESCRIBE GROUP g"}, []string{"DESCRIBE CLUSTER kafka-cluster", "READ GROUP hid*"}, func([16]byte, string) kmsg.Request { return kmsg.NewPtrListGroupsRequest() }},
	{"DeleteGroups", []string{"DELETE GROUP h"}, []string{"DELETE GROUP i"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Groups = []string{"h", "i"}
		return r
	}},
	{"ConsumerGroupHeartbeat", []string{"READ GROUP c", "DESCRIBE TOPIC t"}, []string{"DESCRIBE TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		r.Group, r.MemberID, r.MemberEpoch, r.SubscribedTopicNames = "c", "m", 7, []string{"t"}
		return r
	}},
	{"ConsumerGroupDescribe", []string{"DESCRIBE GROUP c"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = []string{"c", "h"}, true
		return r
	}},
	{"ConsumerGroupDescribe of one that is live", []string{"DESCRIBE GROUP cl", "DESCRIBE TOPIC t"}, []string{"READ TOPIC other", "READ GROUP cl"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = []string{"cl", "h"}, true
		return r
	}},
	{"ShareGroupDescribe of one that is live", []string{"DESCRIBE GROUP sl", "DESCRIBE TOPIC t"}, []string{"READ TOPIC other", "READ GROUP sl"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrShareGroupDescribeRequest()
		r.GroupIDs, r.IncludeAuthorizedOperations = []string{"sl", "h"}, true
		return r
	}},
	{"StreamsGroupDescribe of one that is live", []string{"DESCRIBE GROUP wl", "DESCRIBE TOPIC t"}, []string{"READ TOPIC other", "READ GROUP wl"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrStreamsGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = []string{"wl", "h"}, true
		return r
	}},
	{"ShareGroupHeartbeat", []string{"READ GROUP s", "DESCRIBE TOPIC t"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrShareGroupHeartbeatRequest()
		r.GroupID, r.MemberID, r.MemberEpoch, r.SubscribedTopicNames = "s", "AAAAAAAAAAAAAAAAAAAAAQ", 7, []string{"t"}
		return r
	}},
	{"ShareGroupDescribe", []string{"DESCRIBE GROUP s"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrShareGroupDescribeRequest()
		r.GroupIDs, r.IncludeAuthorizedOperations = []string{"s", "h"}, true
		return r
	}},
	{"ShareFetch", []string{"READ GROUP s", "READ TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrShareFetchRequest()
		group, member := "s", "AAAAAAAAAAAAAAAAAAAAAQ"
		r.GroupID, r.MemberID, r.MaxBytes, r.MaxRecords = &group, &member, 1<<20, 10
		for _, id := range [][16]byte{t} {
			rt, rp := kmsg.NewShareFetchRequestTopic(), kmsg.NewShareFetchRequestTopicPartition()
			rt.TopicID = id
			rt.Partitions = append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"ShareAcknowledge", []string{"READ GROUP s", "READ TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrShareAcknowledgeRequest()
		group, member := "s", "AAAAAAAAAAAAAAAAAAAAAg"
		r.GroupID, r.MemberID, r.ShareSessionEpoch = &group, &member, 1
		rt, rp := kmsg.NewShareAcknowledgeRequestTopic(), kmsg.NewShareAcknowledgeRequestTopicPartition()
		rt.TopicID, rt.Partitions = t, append(rt.Partitions, rp)
		r.Topics = append(r.Topics, rt)
		return r
	}},
	{"AlterShareGroupOffsets", []string{"READ GROUP s", "READ TOPIC t"}, []string{"READ TOPIC u"}, func(_ [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		r.GroupID = "s"
		for _, name := range []string{"t", "u"} {
			rt, rp := kmsg.NewAlterShareGroupOffsetsRequestTopic(), kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
			rt.Topic, rt.Partitions = name, append(rt.Partitions, rp)
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"DeleteShareGroupOffsets", []string{"DELETE GROUP s", "READ TOPIC t"}, []string{"READ TOPIC u"}, func(_ [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		r.GroupID = "s"
		for _, name := range []string{"u"} {
			rt := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
			rt.Topic = name
			r.Topics = append(r.Topics, rt)
		}
		return r
	}},
	{"AlterPartitionReassignments", []string{"ALTER CLUSTER kafka-cluster"}, []string{"DESCRIBE CLUSTER kafka-cluster"}, func(_ [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		rt, rp := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		rt.Topic, rt.Partitions, r.TimeoutMillis = "t", append(rt.Partitions, rp), 5000
		r.Topics = append(r.Topics, rt)
		return r
	}},
	{"WriteTxnMarkers", []string{"ALTER CLUSTER kafka-cluster"}, []string{"CLUSTER_ACTION CLUSTER kafka-cluster"}, func(_ [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrWriteTxnMarkersRequest()
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		mt.Topic, mt.Partitions = "u", []int32{0}
		m.ProducerID, m.Topics = 1, append(m.Topics, mt)
		r.Markers = append(r.Markers, m)
		return r
	}},
	{"StreamsGroupHeartbeat", []string{"READ GROUP w", "DESCRIBE TOPIC t", "DESCRIBE TOPIC w-log"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrStreamsGroupHeartbeatRequest()
		r.Group, r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = "w", "AAAAAAAAAAAAAAAAAAAAAQ", 7, 10000
		r.Topology = new(kmsg.StreamsGroupHeartbeatRequestTopology)
		s := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		s.SubtopologyID, s.SourceTopics = "0", []string{"t"}
		log := kmsg.NewTopicInfo()
		log.Topic = "w-log"
		s.StateChangelogTopics = append(s.StateChangelogTopics, log)
		r.Topology.Subtopologies = append(r.Topology.Subtopologies, s)
		return r
	}},
	{"StreamsGroupDescribe", []string{"DESCRIBE GROUP w"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrStreamsGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = []string{"w", "h"}, true
		return r
	}},
	{"DescribeShareGroupOffsets", []string{"DESCRIBE GROUP s", "DESCRIBE TOPIC t"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		rt := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
		rt.Topic, rt.Partitions = "t", []int32{0}
		rg.GroupID, rg.Topics = "s", append(rg.Topics, rt)
		r.Groups = append(r.Groups, rg)
		return r
	}},

	{"InitProducerID of all", []string{"IDEMPOTENT_WRITE CLUSTER kafka-cluster"}, []string{"WRITE TOPIC any", "READ TOPIC any", "WRITE TOPIC a*", "deny WRITE TOPIC *"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrInitProducerIDRequest()
		r.ProducerID, r.ProducerEpoch = -1, -1
		return r
	}},
	{"InitProducerID", []string{"WRITE TRANSACTIONAL_ID i"}, []string{"DESCRIBE TRANSACTIONAL_ID i"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrInitProducerIDRequest()
		id := "i"
		r.TransactionalID, r.TransactionTimeoutMillis, r.ProducerID, r.ProducerEpoch = &id, 60000, -1, -1
		return r
	}},
	{"AddPartitionsToTxn", []string{"WRITE TRANSACTIONAL_ID y", "WRITE TOPIC t"}, []string{"WRITE TOPIC u"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrAddPartitionsToTxnRequest()
		r.TransactionalID = "y"
		for _, name := range []string{"t", "u"} {
			rt := kmsg.NewAddPartitionsToTxnRequestTopic()
			rt.Topic, rt.Partitions = name, []int32{0}
			r.Topics = append(r.Topics, rt)
		}
		r.SetVersion(3)
		return pinned{r}
	}},
	{"AddPartitionsToTxn of brokers", []string{"CLUSTER_ACTION CLUSTER kafka-cluster"}, []string{"ALTER CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrAddPartitionsToTxnRequest()
		rt := kmsg.NewAddPartitionsToTxnRequestTransaction()
		rtt := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
		rtt.Topic, rtt.Partitions = "t", []int32{0}
		rt.TransactionalID, rt.Topics = "y", append(rt.Topics, rtt)
		r.Transactions = append(r.Transactions, rt)
		return r
	}},
	{"AddOffsetsToTxn", []string{"WRITE TRANSACTIONAL_ID y", "READ GROUP g"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrAddOffsetsToTxnRequest()
		r.TransactionalID, r.Group = "y", "g"
		return r
	}},
	{"EndTxn", []string{"WRITE TRANSACTIONAL_ID y"}, []string{"DESCRIBE TRANSACTIONAL_ID y"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrEndTxnRequest()
		r.TransactionalID = "y"
		return r
	}},
	{"TxnOffsetCommit", []string{"WRITE TRANSACTIONAL_ID y", "READ GROUP g", "READ TOPIC t"}, nil, func(t [16]byte, _ string) kmsg.Request {
		r := kmsg.NewPtrTxnOffsetCommitRequest()
		r.TransactionalID, r.Group, r.Generation = "y", "g", 5
		rt, rp := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rt.Topic, rt.TopicID = "t", t
		rt.Partitions = append(rt.Partitions, rp)
		r.Topics = append(r.Topics, rt)
		return r
	}},
	{"DescribeTransactions", []string{"DESCRIBE TRANSACTIONAL_ID x"}, []string{"WRITE TRANSACTIONAL_ID hidden"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeTransactionsRequest()
		r.TransactionalIDs = []string{"x", "hidden", "y"}
		return r
	}},
	{"ListTransactions", []string{"DESCRIBE TRANSACTIONAL_ID x"}, []string{"WRITE TRANSACTIONAL_ID hid*", "DESCRIBE CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrListTransactionsRequest()
		r.DurationFilterMillis = -1
		return r
	}},

	{"ElectLeaders", []string{"ALTER CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrElectLeadersRequest()
		rt := kmsg.NewElectLeadersRequestTopic()
		rt.Topic, rt.Partitions = "t", []int32{0}
		r.Topics, r.TimeoutMillis = append(r.Topics, rt), 5000
		return r
	}},
	{"ListPartitionReassignments", []string{"DESCRIBE CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrListPartitionReassignmentsRequest()
		r.TimeoutMillis = 5000
		return r
	}},
	{"DescribeLogDirs", []string{"DESCRIBE CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeLogDirsRequest()
		rt := kmsg.NewDescribeLogDirsRequestTopic()
		rt.Topic, rt.Partitions = "t", []int32{0}
		r.Topics = append(r.Topics, rt)
		return r
	}},
	{"UnregisterBroker", []string{"ALTER CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		return &kmsg.UnregisterBrokerRequest{BrokerID: 99}
	}},
	{"DescribeQuorum", []string{"DESCRIBE CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeQuorumRequest()
		rt, rp := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
		rt.Topic = "__cluster_metadata"
		rt.Partitions = append(rt.Partitions, rp)
		r.Topics = append(r.Topics, rt)
		return r
	}},
	{"DescribeClientQuotas", []string{"DESCRIBE_CONFIGS CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request { return kmsg.NewPtrDescribeClientQuotasRequest() }},
	{"AlterClientQuotas", []string{"ALTER_CONFIGS CLUSTER kafka-cluster"}, []string{"ALTER CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrAlterClientQuotasRequest()
		r.ValidateOnly = true
		user, empty, ip, noIP := "bob", "", "10.0.0.1", "10.0.0.256"
		for _, one := range []struct {
			kind string
			name *string
			key  string
			to   float64
		}{
			{"user", &user, "producer_byte_rate", 10}, {"user", nil, "producer_byte_rate", 1.5}, {"user", &empty, "producer_byte_rate", 10},
			{"client-id", nil, "request_percentage", 0.5}, {"client-id", &user, "request_percentage", 0}, {"client-id", &ip, "none", 1},
			{"ip", &ip, "connection_creation_rate", 10}, {"ip", nil, "producer_byte_rate", 10}, {"ip", &noIP, "connection_creation_rate", 10},
			{"group", &user, "producer_byte_rate", 10},
		} {
			e := kmsg.NewAlterClientQuotasRequestEntry()
			e.Entity = append(e.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: one.kind, Name: one.name})
			e.Ops = append(e.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: one.key, Value: one.to})
			r.Entries = append(r.Entries, e)
		}
		return r
	}},
	{"DescribeUserScramCredentials", []string{"DESCRIBE CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		r.Users = append(r.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: "nobody"})
		return r
	}},
	{"UpdateFeatures", []string{"ALTER CLUSTER kafka-cluster"}, nil, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrUpdateFeaturesRequest()
		r.ValidateOnly, r.TimeoutMillis = true, 5000
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = "group.version", 1, 1
		r.FeatureUpdates = append(r.FeatureUpdates, u)
		return r
	}},
	{"DescribeAcls", []string{"DESCRIBE CLUSTER kafka-cluster"}, []string{"ALTER CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDescribeACLsRequest()
		r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = 2, 1, 1, 1
		return r
	}},
	{"CreateAcls", []string{"ALTER CLUSTER kafka-cluster"}, []string{"DESCRIBE CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrCreateACLsRequest()
		r.Creations = []kmsg.CreateACLsRequestCreation{
			{ResourceType: 4, ResourceName: "other", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 8, PermissionType: 3},
			{ResourceType: 2, ResourceName: "other", ResourcePatternType: 3, Principal: "a", Host: "*", Operation: 8, PermissionType: 3},
			{ResourceType: 2, ResourceName: "other", ResourcePatternType: 3, Principal: "User:a", Host: "10.0.0.0/99", Operation: 8, PermissionType: 3},
			{ResourceType: 2, ResourceName: "", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 8, PermissionType: 3},
		}
		return r
	}},
	{"DeleteAcls", []string{"ALTER CLUSTER kafka-cluster"}, []string{"DESCRIBE CLUSTER kafka-cluster"}, func([16]byte, string) kmsg.Request {
		r := kmsg.NewPtrDeleteACLsRequest()
		nobody := "User:nobody"
		for range 2 {
			r.Filters = append(r.Filters, kmsg.DeleteACLsRequestFilter{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1, Principal: &nobody})
		}
		return r
	}},
}

// configured are resources with configs.
var configured = []struct {
	kind kmsg.ConfigResourceType
	name string
}{
	{kmsg.ConfigResourceTypeTopic, "t"}, {kmsg.ConfigResourceTypeTopic, "u"}, {kmsg.ConfigResourceTypeBroker, "1"}, {kmsg.ConfigResourceTypeGroupConfig, "g"},
}

// recordBatch is a batch of one record.
var recordBatch = func() []byte {
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte("v"), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		panic(err)
	}
	return batch
}()

// pinned is a request in its very version.
type pinned struct{ kmsg.Request }

func (p pinned) MaxVersion() int16 { return p.GetVersion() }

func metadataOf(name string, id *[16]byte) kmsg.Request {
	r := kmsg.NewPtrMetadataRequest()
	r.IncludeTopicAuthorizedOperations = true
	rt := kmsg.NewMetadataRequestTopic()
	if rt.Topic = &name; id != nil {
		rt.Topic, rt.TopicID = nil, *id
	}
	r.Topics = append(r.Topics, rt)
	return r
}

func describeTopics(names ...string) kmsg.Request {
	r := kmsg.NewPtrDescribeTopicPartitionsRequest()
	r.ResponsePartitionLimit = 100
	for _, name := range names {
		r.Topics = append(r.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
	}
	return r
}

func findCoordinator(kind int8, keys ...string) kmsg.Request {
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.CoordinatorType, r.CoordinatorKeys = kind, keys
	return r
}
