package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// CreatePartitions: raises the number of partitions of topics.
//
// Versions 0 to 3. An assignment of the new replicas may name the nodes that there are.
func (c *call) createPartitions(req *kmsg.CreatePartitionsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	times := make(map[string]int)
	for _, rt := range req.Topics {
		times[rt.Topic]++
	}
	for _, rt := range once(req.Topics, func(rt kmsg.CreatePartitionsRequestTopic) string { return rt.Topic }) {
		t := kmsg.NewCreatePartitionsResponseTopic()
		t.Topic = rt.Topic
		var err error
		if times[rt.Topic] > 1 {
			err = protocolError{codeInvalidRequest, fmt.Sprintf("the request names the topic %q %d times", rt.Topic, times[rt.Topic])}
		} else {
			err = c.growPlaced(rt, req.ValidateOnly)
		}
		t.ErrorCode, t.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// grow gives a topic as many partitions as the request says.
func (c *call) grow(config *topic.Config, rt kmsg.CreatePartitionsRequestTopic) error {
	added := int(rt.Count) - config.Partitions
	if added <= 0 {
		return fmt.Errorf("%w: it has %d, the new total is %d", log.ErrInvalidPartitions, config.Partitions, rt.Count)
	}
	if rt.Assignment != nil && len(rt.Assignment) != added {
		return protocolError{codeInvalidReplicaAssignment, fmt.Sprintf("%d assignments for %d new partitions", len(rt.Assignment), added)}
	}
	if err := c.mutate(added); err != nil {
		return err
	}
	for _, a := range rt.Assignment {
		if err := c.checkAssignment(a.Replicas, c.factorOf(rt.Topic)); err != nil {
			return err
		}
	}
	config.Partitions = int(rt.Count)
	return nil
}

// checkAssignment refuses what cannot be the replicas of a new partition of a topic whose partitions have that many: all of one topic have
// as many, and one of them has to run.
func (c *call) checkAssignment(replicas []int32, factor int) error {
	if err := c.checkReplicas(replicas); err != nil {
		return err
	}
	if len(replicas) != factor {
		return protocolError{codeInvalidReplicaAssignment, fmt.Sprintf("replicas on %v, other partitions have %d", replicas, factor)}
	}
	if c.s.cluster != nil && len(c.s.cluster.now.Load().up(replicas)) == 0 {
		return protocolError{codeInvalidReplicaAssignment, fmt.Sprintf("replicas on %v, none of which runs", replicas)}
	}
	return nil
}

// factorOf returns how many replicas the partitions of a topic have.
func (c *call) factorOf(topic string) int {
	if c.s.cluster == nil {
		return 1
	}
	_, at, err := c.s.cluster.find(topic, 0)
	if err != nil {
		return c.s.cluster.defaultReplicas(c.s.cluster.now.Load())
	}
	return len(at.settled())
}

// checkReplicas refuses an assignment to other nodes than there are.
func (c *call) checkReplicas(replicas []int32) error {
	if c.s.cluster != nil {
		return c.s.cluster.now.Load().checkReplicas(replicas)
	}
	if len(replicas) != 1 || replicas[0] != c.s.opts.NodeID {
		return protocolError{codeInvalidReplicaAssignment, fmt.Sprintf("replicas on %v, there is only node %d", replicas, c.s.opts.NodeID)}
	}
	return nil
}
