package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// checks is what each kind of request needs, as in Kafka 4.4 (KafkaApis, ControllerApis, AclApis, ConfigHelper). Who adds a
// kind of request to the table says here what it needs: without that nobody but super users may send it.
var checks = map[kmsg.Key]check{
	// Everybody: they say who one is, or what there is to be said. What of them is about a resource the handler asks for.
	kmsg.ApiVersions:      open,
	kmsg.SASLHandshake:    open,
	kmsg.SASLAuthenticate: open,
	kmsg.DescribeCluster:  open, // tells the operations

	// Tokens are refused to all: see 38_create_delegation_token.go.
	kmsg.CreateDelegationToken:   open,
	kmsg.RenewDelegationToken:    open,
	kmsg.ExpireDelegationToken:   open,
	kmsg.DescribeDelegationToken: open,

	// The cluster.
	kmsg.DescribeACLs:                 cluster(acl.Describe),
	kmsg.CreateACLs:                   cluster(acl.Alter),
	kmsg.DeleteACLs:                   cluster(acl.Alter),
	kmsg.DescribeLogDirs:              cluster(acl.Describe),
	kmsg.ElectLeaders:                 cluster(acl.Alter),
	kmsg.AlterPartitionAssignments:    cluster(acl.Alter),
	kmsg.ListPartitionReassignments:   cluster(acl.Describe),
	kmsg.DescribeClientQuotas:         cluster(acl.DescribeConfigs),
	kmsg.AlterClientQuotas:            cluster(acl.AlterConfigs),
	kmsg.DescribeUserSCRAMCredentials: cluster(acl.Describe),
	kmsg.AlterUserSCRAMCredentials:    cluster(acl.Alter),
	kmsg.DescribeQuorum:               cluster(acl.Describe),
	kmsg.UpdateFeatures:               cluster(acl.Alter),
	kmsg.UnregisterBroker:             cluster(acl.Alter),
	kmsg.WriteTxnMarkers:              cluster(acl.Alter, acl.ClusterAction),
	kmsg.ListConfigResources:          cluster(acl.DescribeConfigs),

	// Topics.
	kmsg.Produce:                 checkOf(checkProduce),
	kmsg.Fetch:                   topics(acl.Read),
	kmsg.ListOffsets:             topics(acl.Describe),
	kmsg.Metadata:                topics(acl.Describe),
	kmsg.DescribeTopicPartitions: topics(acl.Describe),
	kmsg.CreateTopics:            checkCreateTopics,
	kmsg.DeleteTopics:            topicsUnless(acl.Delete, acl.Delete),
	kmsg.DeleteRecords:           topics(acl.Delete),
	kmsg.CreatePartitions:        topics(acl.Alter),
	kmsg.OffsetForLeaderEpoch:    topicsUnless(acl.ClusterAction, acl.Describe),
	kmsg.DescribeProducers:       topics(acl.Read),

	// Configs, of which each has a resource of its own: topics here, the others in the handlers.
	kmsg.DescribeConfigs:         topics(acl.DescribeConfigs),
	kmsg.AlterConfigs:            topics(acl.AlterConfigs),
	kmsg.IncrementalAlterConfigs: topics(acl.AlterConfigs),

	// Groups, and the topics that are read in them.
	kmsg.OffsetCommit:     groupOf(acl.Read, func(r *kmsg.OffsetCommitRequest) string { return r.Group }, acl.Read),
	kmsg.JoinGroup:        groupOf(acl.Read, func(r *kmsg.JoinGroupRequest) string { return r.Group }, 0),
	kmsg.SyncGroup:        groupOf(acl.Read, func(r *kmsg.SyncGroupRequest) string { return r.Group }, 0),
	kmsg.Heartbeat:        groupOf(acl.Read, func(r *kmsg.HeartbeatRequest) string { return r.Group }, 0),
	kmsg.LeaveGroup:       groupOf(acl.Read, func(r *kmsg.LeaveGroupRequest) string { return r.Group }, 0),
	kmsg.OffsetDelete:     groupOf(acl.Delete, func(r *kmsg.OffsetDeleteRequest) string { return r.Group }, acl.Read),
	kmsg.ShareFetch:       groupOf(acl.Read, func(r *kmsg.ShareFetchRequest) string { return orNone(r.GroupID) }, acl.Read),
	kmsg.ShareAcknowledge: groupOf(acl.Read, func(r *kmsg.ShareAcknowledgeRequest) string { return orNone(r.GroupID) }, acl.Read),
	kmsg.AlterShareGroupOffsets: groupOf(acl.Read, func(r *kmsg.AlterShareGroupOffsetsRequest) string { return r.GroupID },
		acl.Read),
	kmsg.DeleteShareGroupOffsets: groupOf(acl.Delete, func(r *kmsg.DeleteShareGroupOffsetsRequest) string { return r.GroupID },
		acl.Read),
	kmsg.ConsumerGroupHeartbeat: checkOf(func(c *call, r *kmsg.ConsumerGroupHeartbeatRequest) error {
		return c.checkMember(r.Group, r.SubscribedTopicNames)
	}),
	kmsg.ShareGroupHeartbeat: checkOf(func(c *call, r *kmsg.ShareGroupHeartbeatRequest) error {
		return c.checkMember(r.GroupID, r.SubscribedTopicNames)
	}),
	kmsg.StreamsGroupHeartbeat: checkOf(func(c *call, r *kmsg.StreamsGroupHeartbeatRequest) error {
		return c.checkMember(r.Group, topologyTopics(r.Topology))
	}),

	// Groups, each for itself, and lists of them: their handlers ask, for each group and what is in it.
	kmsg.OffsetFetch:               topics(acl.Describe),
	kmsg.FindCoordinator:           open,
	kmsg.DescribeGroups:            open,
	kmsg.ConsumerGroupDescribe:     topics(acl.Describe),
	kmsg.ShareGroupDescribe:        topics(acl.Describe),
	kmsg.StreamsGroupDescribe:      topics(acl.Describe),
	kmsg.DescribeShareGroupOffsets: topics(acl.Describe),
	kmsg.DeleteGroups:              open,
	kmsg.ListGroups:                open,

	// Transactions.
	kmsg.InitProducerID:       checkOf(checkInitProducerID),
	kmsg.AddPartitionsToTxn:   checkOf(checkAddPartitions),
	kmsg.AddOffsetsToTxn:      checkOf(checkAddOffsets),
	kmsg.EndTxn:               checkOf(func(c *call, r *kmsg.EndTxnRequest) error { return c.checkTxnID(acl.Write, r.TransactionalID) }),
	kmsg.TxnOffsetCommit:      checkOf(checkTxnOffsetCommit),
	kmsg.DescribeTransactions: topics(acl.Describe),
	kmsg.ListTransactions:     open,
}

// open lets everybody send a request, of which the handler checks what needs it.
func open(*call, kmsg.Request) error { return nil }

// checkOf makes a check of one kind of request a check of any.
func checkOf[Q kmsg.Request](f func(*call, Q) error) check {
	return func(c *call, r kmsg.Request) error { return f(c, r.(Q)) }
}

// cluster wants one of the operations on the cluster for the whole request.
func cluster(ops ...acl.Operation) check {
	return func(c *call, _ kmsg.Request) error {
		if !c.mayCluster(ops...) {
			return errClusterDenied
		}
		return nil
	}
}

// topics wants an operation on each topic of the request.
func topics(op acl.Operation) check {
	return func(c *call, _ kmsg.Request) error {
		c.access.needTopics = op
		return nil
	}
}

// topicsUnless is topics for who may not do onCluster with the cluster.
func topicsUnless(onCluster, op acl.Operation) check {
	return func(c *call, _ kmsg.Request) error {
		if !c.mayCluster(onCluster) {
			c.access.needTopics = op
		}
		return nil
	}
}

func checkCreateTopics(c *call, r kmsg.Request) error {
	if c.s.before(firstTopicCreate) {
		return cluster(acl.Create)(c, r)
	}
	return topicsUnless(acl.Create, acl.Create)(c, r)
}

// groupOf wants an operation on the group of the request for all of it, and one on each of its topics, if that is not 0.
func groupOf[Q kmsg.Request](op acl.Operation, name func(Q) string, onTopics acl.Operation) check {
	return checkOf(func(c *call, r Q) error {
		c.access.needTopics = onTopics
		return c.checkGroup(op, name(r))
	})
}

func (c *call) checkGroup(op acl.Operation, name string) error {
	if !c.may(op, acl.Group, name) {
		return errGroupDenied
	}
	return nil
}

func (c *call) checkTxnID(op acl.Operation, id string) error {
	if !c.may(op, acl.TransactionalID, id) {
		return errTxnIDDenied
	}
	return nil
}

// checkMember wants what a heartbeat needs by which a member says what it reads: all of its topics, or none.
func (c *call) checkMember(group string, topics []string) error {
	if err := c.checkGroup(acl.Read, group); err != nil {
		return err
	}
	if slices.ContainsFunc(topics, func(name string) bool { return !c.may(acl.Describe, acl.Topic, name) }) {
		return errTopicDenied
	}
	return nil
}

// topologyTopics returns the topics that a topology reads and writes.
func topologyTopics(t *kmsg.StreamsGroupHeartbeatRequestTopology) (names []string) {
	if t == nil {
		return nil
	}
	for _, s := range t.Subtopologies {
		names = append(append(names, s.SourceTopics...), s.RepartitionSinkTopics...)
		for _, internal := range [][]kmsg.TopicInfo{s.RepartitionSourceTopics, s.StateChangelogTopics} {
			for _, info := range internal {
				names = append(names, info.Topic)
			}
		}
	}
	return names
}

// checkProduce wants the transactional id only where there is a transactional batch, as Kafka does.
func checkProduce(c *call, r *kmsg.ProduceRequest) error {
	c.access.needTopics = acl.Write
	txnDenied := r.TransactionID != nil && !c.may(acl.Write, acl.TransactionalID, *r.TransactionID)
	idempotenceDenied := c.s.before(firstIdempotence) && !c.mayCluster(acl.IdempotentWrite)
	if !txnDenied && !idempotenceDenied {
		return nil
	}
	var idempotent, transactional bool
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			producer, transaction := claimsProducer(r.Topics[i].Partitions[j].Records)
			idempotent, transactional = idempotent || producer, transactional || transaction
		}
	}
	switch {
	case transactional && txnDenied:
		return errTxnIDDenied
	case !transactional && idempotent && idempotenceDenied:
		return errClusterDenied
	}
	return nil
}

func checkInitProducerID(c *call, r *kmsg.InitProducerIDRequest) error {
	switch {
	case r.TransactionalID != nil:
		return c.checkTxnID(acl.Write, *r.TransactionalID)
	case !c.mayCluster(acl.IdempotentWrite) && (c.s.before(firstIdempotence) || !c.mayAnyTopic(acl.Write)):
		return errClusterDenied
	}
	return nil
}

// checkAddPartitions wants the cluster where brokers ask, which say many transactions at a time.
func checkAddPartitions(c *call, r *kmsg.AddPartitionsToTxnRequest) error {
	if c.version >= addPartitionsBatch {
		return cluster(acl.ClusterAction)(c, r)
	}
	c.access.needTopics = acl.Write
	return c.checkTxnID(acl.Write, r.TransactionalID)
}

func checkAddOffsets(c *call, r *kmsg.AddOffsetsToTxnRequest) error {
	if err := c.checkTxnID(acl.Write, r.TransactionalID); err != nil {
		return err
	}
	return c.checkGroup(acl.Read, r.Group)
}

func checkTxnOffsetCommit(c *call, r *kmsg.TxnOffsetCommitRequest) error {
	c.access.needTopics = acl.Read
	if err := c.checkTxnID(acl.Write, r.TransactionalID); err != nil {
		return err
	}
	return c.checkGroup(acl.Read, r.Group)
}
