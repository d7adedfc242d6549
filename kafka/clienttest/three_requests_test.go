package clienttest

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// create creates a topic whose partitions have these replicas, and returns when every node knows of it and of its leaders.
func (c *three) create(topic string, assigned ...[]int32) {
	c.t.Helper()
	resp := c.send(1, 7, createTopic(topic, -1, -1, false, assigned...)).(*kmsg.CreateTopicsResponse)
	if code := resp.Topics[0].ErrorCode; code != 0 {
		c.t.Fatalf("%s: code %d", topic, code)
	}
	c.settled(topic)
}

// settled returns when every node has the partitions of a topic led, with all replicas in sync and none on their way.
func (c *three) settled(topic string) {
	c.t.Helper()
	c.until(1, 0, kmsg.NewPtrListPartitionReassignmentsRequest(), func(resp kmsg.Response) bool {
		return len(resp.(*kmsg.ListPartitionReassignmentsResponse).Topics) == 0
	})
	for node := range int32(3) {
		c.until(node+1, 12, metadata(c, topic)(12), func(resp kmsg.Response) bool {
			t := resp.(*kmsg.MetadataResponse).Topics[0]
			for _, p := range t.Partitions {
				if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
					return false
				}
			}
			return t.ErrorCode == 0
		})
	}
	for node := range int32(3) {
		c.ledBy(node+1, topic)
	}
}

// ledBy returns when a node acts by what it tells of a topic: it leads, or follows, in the epochs that it tells.
func (c *three) ledBy(node int32, topic string) {
	c.t.Helper()
	c.until(node, 12, metadata(c, topic)(12), func(resp kmsg.Response) bool {
		for _, p := range resp.(*kmsg.MetadataResponse).Topics[0].Partitions {
			if p.Leader < 0 || !slices.Contains(p.Replicas, node) {
				continue
			}
			want := int16(0)
			if p.Leader != node {
				want = 6 // NOT_LEADER_OR_FOLLOWER, and not that the epoch is another
			}
			said, ok := c.send(node, 7, listOffsets(topic, p.Partition, -1, p.LeaderEpoch)).(*kmsg.ListOffsetsResponse)
			if !ok || said.Topics[0].Partitions[0].ErrorCode != want {
				return false
			}
		}
		return true
	})
}

// placed returns when every node tells that a partition has these replicas, as they are to be.
func (c *three) placed(topic string, partition int32, replicas ...int32) {
	c.t.Helper()
	for node := range int32(3) {
		c.until(node+1, 12, metadata(c, topic)(12), arePlaced(partition, replicas))
	}
	c.settled(topic)
}

// leads returns when all nodes know that one leads a partition.
func (c *three) leads(topic string, partition, leader int32) {
	c.t.Helper()
	for node := range int32(3) {
		c.until(node+1, 12, metadata(c, topic)(12), func(resp kmsg.Response) bool {
			for _, p := range resp.(*kmsg.MetadataResponse).Topics[0].Partitions {
				if p.Partition == partition {
					return p.Leader == leader
				}
			}
			return false
		})
	}
	c.settled(topic)
}

// knows returns when a node tells that a topic's first partition has these replicas.
func (c *three) knows(node int32, topic string, replicas ...int32) {
	c.t.Helper()
	c.until(node, 12, metadata(c, topic)(12), arePlaced(0, replicas))
}

// arePlaced reports whether a partition of the topic has these replicas.
func arePlaced(partition int32, replicas []int32) func(kmsg.Response) bool {
	return func(resp kmsg.Response) bool {
		return slices.ContainsFunc(resp.(*kmsg.MetadataResponse).Topics[0].Partitions, func(p kmsg.MetadataResponseTopicPartition) bool {
			return p.Partition == partition && slices.Equal(p.Replicas, replicas)
		})
	}
}

// isWithout reports whether a node that is gone leads nothing, and is in sync with nobody.
func isWithout(gone int32) func(kmsg.Response) bool {
	return func(resp kmsg.Response) bool {
		all := resp.(*kmsg.MetadataResponse)
		for _, t := range all.Topics {
			for _, p := range t.Partitions {
				if p.Leader == gone || slices.Contains(p.ISR, gone) {
					return false
				}
			}
		}
		return len(all.Brokers) == 2
	}
}

// nothingElected reports whether no partition has got another leader.
func nothingElected(resp kmsg.Response) bool {
	return !slices.ContainsFunc(resp.(*kmsg.ElectLeadersResponse).Topics, func(t kmsg.ElectLeadersResponseTopic) bool { return len(t.Partitions) > 0 })
}

// isWhole reports whether all three nodes run, and all replicas are in sync.
func isWhole(resp kmsg.Response) bool {
	all := resp.(*kmsg.MetadataResponse)
	for _, t := range all.Topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return false
			}
		}
	}
	return len(all.Brokers) == 3
}

// fill has a partition have two records, by its leader.
func (c *three) fill(topic string, partition, leader int32) {
	c.t.Helper()
	c.until(leader, 12, produce(c, -1, topic, partition), func(resp kmsg.Response) bool {
		return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode == 0
	})
}

// untilRead returns when a follower tells of all records.
func (c *three) untilRead(topic string, follower int32) {
	c.t.Helper()
	c.until(follower, 13, fetch(c, topic, 0, 0, -1, ""), func(resp kmsg.Response) bool {
		return resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].HighWatermark == 2
	})
}

// coordinator returns the node that coordinates something, once all nodes know one.
func (c *three) coordinator(kind int8, key string) (node int32) {
	c.t.Helper()
	if kind > 2 {
		return -1
	}
	for asked := range int32(3) {
		c.until(asked+1, 6, find(kind, key)(6), func(resp kmsg.Response) bool {
			found := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
			node = found.NodeID
			return found.ErrorCode == 0
		})
	}
	return node
}

// share has a group read a new topic, from its start on: its end may be found out after the first records are there.
func (c *three) share(topic string, assigned ...[]int32) {
	c.t.Helper()
	alter, value := kmsg.NewPtrIncrementalAlterConfigsRequest(), "earliest"
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: "sharers", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "share.auto.offset.reset", Value: &value}}}}
	c.until(1, 1, alter, func(resp kmsg.Response) bool {
		return resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode == 0
	})
	c.create(topic, assigned...) // a node that leads it knows what came before
	at := c.coordinator(0, "sharers")
	c.coordinator(2, "sharers:"+idText(c.id(topic))+":0")
	member, epoch := "AQIDAAAAAAAAAAAAAAAAAA", int32(0)
	for assigned := false; !assigned; {
		req := &kmsg.ShareGroupHeartbeatRequest{GroupID: "sharers", MemberID: member, MemberEpoch: epoch, SubscribedTopicNames: []string{topic}}
		c.until(at, 1, req, func(resp kmsg.Response) bool { return resp.(*kmsg.ShareGroupHeartbeatResponse).ErrorCode == 0 })
		resp := c.send(at, 1, req).(*kmsg.ShareGroupHeartbeatResponse)
		epoch, assigned = resp.MemberEpoch, resp.Assignment != nil && len(resp.Assignment.TopicPartitions) > 0
	}
	c.until(1, 1, shareFetch(c, member, 0, topic, 0), func(resp kmsg.Response) bool {
		topics := resp.(*kmsg.ShareFetchResponse).Topics
		return len(topics) > 0 && topics[0].Partitions[0].ErrorCode == 0
	})
}

// sameEverywhere asks all nodes, and notes what they say, in which one node is as good as another, and whether it is the same.
func (c *three) sameEverywhere(version int16, req func(int16) kmsg.Request) {
	c.t.Helper()
	asked := req(version)
	question := fmt.Sprint(kmsg.NameForKey(asked.Key()), " ", version, ": ", c.told(reflect.ValueOf(asked).Elem()))
	c.hear(question, true, func() string {
		var said []string
		for node := range int32(3) {
			said = append(said, c.told(reflect.ValueOf(c.send(node+1, version, req(version))).Elem()))
		}
		if said[0] != said[1] || said[0] != said[2] {
			said[0] += " and not the same everywhere"
		}
		return oneOfThree.ReplaceAllString(said[0], "$1=one of three")
	})
}

var (
	oneOfThree = regexp.MustCompile(`(NodeID|Port|LeaderID)=(that of )?[123]\b`)
	ports      = regexp.MustCompile(`Port=(that of \d|\d+)`)
	internal   = regexp.MustCompile(`\{Topic=__\w+ Partitions=\[\]\} `)
	logOffsets = regexp.MustCompile(`(LeaderEpoch|HighWatermark|LogEndOffset)=\d+`)
)

// quorum leaves out who happens to lead it, and how far it is.
func quorum(line string) string {
	line = ports.ReplaceAllString(line, "Port=of a controller")
	return logOffsets.ReplaceAllString(regexp.MustCompile(`LeaderID=[123]\b`).ReplaceAllString(line, "LeaderID=one of three"), "$1=some")
}

// writeWithin is how many milliseconds a node has for what is asked of it. No story waits for their end.
const writeWithin = 50_000

func metadata(c *three, topics ...string) func(int16) kmsg.Request {
	return func(int16) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		for _, name := range topics {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
		return req
	}
}

func find(kind int8, keys ...string) func(int16) kmsg.Request {
	return func(int16) kmsg.Request {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, keys[0], keys
		return req
	}
}

func produce(c *three, acks int16, topic string, partition int32) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, writeWithin
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: c.id(topic), Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch("one", "two")}}}}
	return req
}

func fetch(c *three, topic string, partition int32, offset int64, epoch int32, rack string) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch, req.Rack = -1, 1<<20, -1, rack
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = partition, offset, epoch, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: c.id(topic), Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return req
}

func listOffsets(topic string, partition int32, timestamp int64, epoch int32) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: partition, CurrentLeaderEpoch: epoch, Timestamp: timestamp}}}}
	return req
}

func epochEnd(topic string, partition, epoch, of int32) *kmsg.OffsetForLeaderEpochRequest {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: partition, CurrentLeaderEpoch: epoch, LeaderEpoch: of}}}}
	return req
}

func deleteRecords(topic string, partition int32, offset int64) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = writeWithin
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: offset}}}}
	return req
}

func idText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func shareFetch(c *three, member string, epoch int32, topic string, partitions ...int32) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	group := "sharers"
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.MaxBytes, req.MaxRecords, req.BatchSize = &group, &member, epoch, 1<<20, 100, 100
	t := kmsg.ShareFetchRequestTopic{TopicID: c.id(topic)}
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, kmsg.ShareFetchRequestTopicPartition{Partition: p, PartitionMaxBytes: 1 << 20})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func shareAcknowledge(c *three, member string, epoch int32, topic string, partitions ...int32) *kmsg.ShareAcknowledgeRequest {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	group := "sharers"
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &group, &member, epoch
	t := kmsg.ShareAcknowledgeRequestTopic{TopicID: c.id(topic)}
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, kmsg.ShareAcknowledgeRequestTopicPartition{Partition: p, AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{FirstOffset: 0, LastOffset: 0, AcknowledgeTypes: []int8{1}}}})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func elect(kind int8, topic string, partitions ...int32) *kmsg.ElectLeadersRequest {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = kind, writeWithin
	req.Topics = []kmsg.ElectLeadersRequestTopic{}
	if topic != "" {
		req.Topics = append(req.Topics, kmsg.ElectLeadersRequestTopic{Topic: topic, Partitions: partitions})
	}
	return req
}

func reassign(topic string, partition int32, replicas ...int32) *kmsg.AlterPartitionAssignmentsRequest {
	if replicas == nil {
		replicas = []int32{}
	}
	req := cancel(topic, partition)
	req.AllowReplicationFactorChange = true
	req.Topics[0].Partitions[0].Replicas = replicas
	return req
}

func cancel(topic string, partition int32) *kmsg.AlterPartitionAssignmentsRequest {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = writeWithin
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: topic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition}}}}
	return req
}

func createTopic(topic string, partitions int32, replicas int16, validateOnly bool, assigned ...[]int32) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly = writeWithin, validateOnly
	t := kmsg.CreateTopicsRequestTopic{Topic: topic, NumPartitions: partitions, ReplicationFactor: replicas}
	for i, on := range assigned {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: on})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func grow(topic string, count int32, validateOnly bool, assigned ...[]int32) *kmsg.CreatePartitionsRequest {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.ValidateOnly = writeWithin, validateOnly
	t := kmsg.CreatePartitionsRequestTopic{Topic: topic, Count: count}
	for _, on := range assigned {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: on})
	}
	req.Topics = append(req.Topics, t)
	return req
}

// versioned is a request in some versions.
type versioned struct {
	from, to int16
	req      func(version int16) kmsg.Request
}

// filled returns how to make a request with some fields set, those that it has.
func filled(key kmsg.Key, from, to int16, fields map[string]any) versioned {
	return versioned{from, to, func(int16) kmsg.Request {
		req := kmsg.RequestForKey(key.Int16())
		v := reflect.ValueOf(req).Elem()
		for name, value := range fields {
			f := v.FieldByName(name)
			if f.Kind() == reflect.Pointer {
				p := reflect.New(f.Type().Elem())
				p.Elem().Set(reflect.ValueOf(value))
				f.Set(p)
				continue
			}
			f.Set(reflect.ValueOf(value))
		}
		return req
	}}
}

// groupRequests are requests about a group.
func groupRequests(group string) []versioned {
	member := "AQIDAAAAAAAAAAAAAAAAAA"
	return []versioned{
		filled(kmsg.JoinGroup, 0, 9, map[string]any{"Group": group, "SessionTimeoutMillis": int32(10_000), "RebalanceTimeoutMillis": int32(10_000), "ProtocolType": "consumer", "Protocols": []kmsg.JoinGroupRequestProtocol{{Name: "range"}}}),
		filled(kmsg.SyncGroup, 0, 5, map[string]any{"Group": group, "MemberID": member, "Generation": int32(1), "ProtocolType": "consumer", "Protocol": "range"}),
		filled(kmsg.Heartbeat, 0, 4, map[string]any{"Group": group, "MemberID": member, "Generation": int32(1)}),
		filled(kmsg.LeaveGroup, 0, 5, map[string]any{"Group": group, "MemberID": member, "Members": []kmsg.LeaveGroupRequestMember{{MemberID: member}}}),
		filled(kmsg.OffsetCommit, 2, 9, map[string]any{"Group": group, "Generation": int32(-1), "Topics": []kmsg.OffsetCommitRequestTopic{{Topic: "spread", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: 1, LeaderEpoch: -1}}}}}),
		filled(kmsg.OffsetFetch, 1, 7, map[string]any{"Group": group, "Topics": []kmsg.OffsetFetchRequestTopic{{Topic: "spread", Partitions: []int32{0}}}}),
		filled(kmsg.OffsetFetch, 8, 9, map[string]any{"Groups": []kmsg.OffsetFetchRequestGroup{{Group: group, MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "spread", Partitions: []int32{0}}}}}}),
		filled(kmsg.OffsetDelete, 0, 0, map[string]any{"Group": group, "Topics": []kmsg.OffsetDeleteRequestTopic{{Topic: "spread", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}}),
		filled(kmsg.DescribeGroups, 0, 6, map[string]any{"Groups": []string{group}}),
		filled(kmsg.DeleteGroups, 0, 2, map[string]any{"Groups": []string{group}}),
		filled(kmsg.TxnOffsetCommit, 0, 3, map[string]any{"TransactionalID": "away", "Group": group, "ProducerID": int64(1), "Generation": int32(-1), "Topics": []kmsg.TxnOffsetCommitRequestTopic{{Topic: "spread", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1}}}}}),
		filled(kmsg.ConsumerGroupHeartbeat, 0, 1, map[string]any{"Group": group, "MemberID": member, "RebalanceTimeoutMillis": int32(10_000), "SubscribedTopicNames": []string{"spread"}, "Topics": []kmsg.ConsumerGroupHeartbeatRequestTopic{}}),
		filled(kmsg.ConsumerGroupDescribe, 0, 1, map[string]any{"Groups": []string{group}}),
		filled(kmsg.ShareGroupHeartbeat, 1, 1, map[string]any{"GroupID": group, "MemberID": member, "SubscribedTopicNames": []string{"spread"}}),
		filled(kmsg.ShareGroupDescribe, 1, 1, map[string]any{"GroupIDs": []string{group}}),
		filled(kmsg.StreamsGroupHeartbeat, 0, 0, map[string]any{"Group": group, "MemberID": member, "RebalanceTimeoutMillis": int32(10_000), "Topology": kmsg.StreamsGroupHeartbeatRequestTopology{Epoch: 1, Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{{SubtopologyID: "1", SourceTopics: []string{"spread"}}}}, "ActiveTasks": []kmsg.TaskIDs{}, "StandbyTasks": []kmsg.TaskIDs{}, "WarmupTasks": []kmsg.TaskIDs{}, "ProcessID": "p", "ClientTags": []kmsg.StreamsGroupHeartbeatRequestClientTag{}}),
		filled(kmsg.StreamsGroupDescribe, 0, 0, map[string]any{"Groups": []string{group}}),
		filled(kmsg.DescribeShareGroupOffsets, 0, 1, map[string]any{"Groups": []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: group}}}),
		filled(kmsg.AlterShareGroupOffsets, 0, 0, map[string]any{"GroupID": group, "Topics": []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: "spread", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{}}}}}),
		filled(kmsg.DeleteShareGroupOffsets, 0, 0, map[string]any{"GroupID": group, "Topics": []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "spread"}}}),
	}
}

// txnRequests are requests about a transactional id.
func txnRequests(id string) []versioned {
	return []versioned{
		filled(kmsg.InitProducerID, 0, 5, map[string]any{"TransactionalID": id, "TransactionTimeoutMillis": int32(10_000), "ProducerID": int64(-1), "ProducerEpoch": int16(-1)}),
		filled(kmsg.AddPartitionsToTxn, 0, 3, map[string]any{"TransactionalID": id, "ProducerID": int64(1), "Topics": []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "txn", Partitions: []int32{0}}}}),
		filled(kmsg.AddOffsetsToTxn, 0, 4, map[string]any{"TransactionalID": id, "ProducerID": int64(1), "Group": "away"}),
		filled(kmsg.EndTxn, 0, 5, map[string]any{"TransactionalID": id, "ProducerID": int64(1)}),
		filled(kmsg.DescribeTransactions, 0, 0, map[string]any{"TransactionalIDs": []string{id}}),
		filled(kmsg.ListTransactions, 0, 1, map[string]any{}),
	}
}
