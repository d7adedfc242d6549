package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments: nothing moves, as there is one node.
//
// Version 0.
func (c *call) listPartitionReassignments(*kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	return kmsg.NewPtrListPartitionReassignmentsResponse()
}
