package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartitionReassignments: every partition is on the one node, and stays there.
//
// Versions 0 and 1. An assignment to this node is done already; one to others is
// INVALID_REPLICA_ASSIGNMENT, and to cancel one NO_REASSIGNMENT_IN_PROGRESS.
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
