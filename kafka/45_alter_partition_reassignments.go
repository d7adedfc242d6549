package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartitionReassignments: moves partitions to other nodes.
//
// Versions 0 and 1. It is done at once, unless Cluster.HoldReassignments says otherwise. An assignment to nodes that are not there is
// INVALID_REPLICA_ASSIGNMENT, and to cancel one where nothing moves NO_REASSIGNMENT_IN_PROGRESS. On a server that is alone every
// partition is where it may be.
func (c *call) alterPartitionReassignments(req *kmsg.AlterPartitionAssignmentsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	for _, rt := range req.Topics {
		t := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			_, err := c.partition(rt.Topic, noTopic, false, rp.Partition)
			switch {
			case err != nil:
			case c.s.cluster != nil:
				err = c.reassign(rt.Topic, rp, req.AllowReplicationFactorChange || c.version < 1)
			case rp.Replicas == nil:
				err = protocolError{codeNoReassignmentInProgress, "nothing moves"}
			default:
				err = c.checkReplicas(rp.Replicas)
			}
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = rp.Partition, c.s.codeOf(err), message(err)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// reassign moves a partition, or with null replicas ends that.
func (c *call) reassign(topic string, rp kmsg.AlterPartitionAssignmentsRequestTopicPartition, mayChangeFactor bool) error {
	cluster := c.s.cluster
	if rp.Replicas == nil {
		return cluster.reassign(topic, rp.Partition, nil)
	}
	if len(rp.Replicas) == 0 {
		return protocolError{codeInvalidReplicaAssignment, "no replicas"}
	}
	_, at, err := cluster.find(topic, rp.Partition)
	if err != nil {
		return err
	}
	if n := len(at.settled()); n != len(rp.Replicas) && !mayChangeFactor {
		return protocolError{codeInvalidReplicationFactor, fmt.Sprintf("%d replicas, there are %d, and the request says not to change that", len(rp.Replicas), n)}
	}
	return cluster.reassign(topic, rp.Partition, rp.Replicas)
}
