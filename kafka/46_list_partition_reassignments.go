package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments: the partitions whose replicas are being moved. Where there is one node none are.
//
// Version 0.
func (c *call) listPartitionReassignments(req *kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	if c.s.cluster == nil {
		return resp
	}
	wanted := func(name string, i int32) bool {
		return req.Topics == nil || slices.ContainsFunc(req.Topics, func(rt kmsg.ListPartitionReassignmentsRequestTopic) bool {
			return rt.Topic == name && slices.Contains(rt.Partitions, i)
		})
	}
	for _, t := range c.s.in.Catalogue.List() {
		out := kmsg.NewListPartitionReassignmentsResponseTopic()
		out.Topic = t.Name()
		for i, p := range t.Partitions() {
			at := c.placeOf(p)
			if !at.moving() || !wanted(t.Name(), int32(i)) {
				continue
			}
			rp := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			rp.Partition, rp.Replicas, rp.AddingReplicas, rp.RemovingReplicas = int32(i), at.replicas, at.adding, at.removing
			out.Partitions = append(out.Partitions, rp)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp
}
