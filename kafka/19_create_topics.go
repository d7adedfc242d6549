package kafka

import (
	"cmp"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// CreateTopics.
//
// Versions 0 to 7. -1 partitions and -1 replicas mean the defaults, in older versions than 4 too.
// An assignment of replicas may name the nodes that there are. The timeout is not looked at: a topic
// is created, or not, when the answer comes.
func (c *call) createTopics(req *kmsg.CreateTopicsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateTopicsResponse()
	times := make(map[string]int)
	for _, rt := range req.Topics {
		times[rt.Topic]++
	}
	for _, rt := range req.Topics {
		if times[rt.Topic] == 0 {
			continue // was answered
		}
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic = rt.Topic
		t.ConfigErrorCode = codeNone
		var err error
		if times[rt.Topic] > 1 {
			err = protocolError{codeInvalidRequest, fmt.Sprintf("the request names the topic %q %d times", rt.Topic, times[rt.Topic])}
			times[rt.Topic] = 0
		} else {
			err = c.createTopic(&t, rt, req.ValidateOnly)
		}
		if err != nil {
			t.ErrorCode, t.ErrorMessage = c.s.codeOf(err), message(err)
			t.NumPartitions, t.ReplicationFactor, t.TopicID = -1, -1, noTopic
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// createTopic creates one topic, unless it is only to be validated, and fills in t.
func (c *call) createTopic(t *kmsg.CreateTopicsResponseTopic, rt kmsg.CreateTopicsRequestTopic, validateOnly bool) error {
	config, err := c.topicConfig(rt)
	if err = cmp.Or(c.refusal(rt.Topic, wholeTopic), err); err != nil {
		return err
	}
	checked, err := c.s.in.Catalogue.Check(rt.Topic, config)
	if err == nil {
		err = c.mutate(checked.Partitions)
	}
	if err != nil {
		return err
	}
	t.TopicID = uuid.New() // also where nothing is created
	if config = checked; !validateOnly {
		created, err := c.createPlaced(rt, config)
		if err != nil {
			return err
		}
		config, t.TopicID = created.Config(), created.ID()
	}
	if !c.may(acl.DescribeConfigs, acl.Topic, rt.Topic) {
		t.ConfigErrorCode = codeTopicAuthorizationFailed
		t.NumPartitions, t.ReplicationFactor = -1, -1
		return nil
	}
	t.NumPartitions, t.ReplicationFactor = int32(config.Partitions), c.replicationFactor(rt)
	for _, e := range c.topicConfigs(config) {
		tc := kmsg.NewCreateTopicsResponseTopicConfig()
		tc.Name, tc.Value, tc.Source = e.name, &e.value, int8(e.source)
		t.Configs = append(t.Configs, tc)
	}
	return nil
}

// topicConfig reads what the request says about a topic; the rest is as the broker's options say.
func (c *call) topicConfig(rt kmsg.CreateTopicsRequestTopic) (topic.Config, error) {
	config := c.s.in.TopicDefaults
	partitions, err := 0, error(nil)
	if len(rt.ReplicaAssignment) > 0 {
		partitions, err = c.assignedPartitions(rt)
	} else {
		partitions, err = partitionCount(rt.NumPartitions)
		if err == nil {
			err = c.checkReplicationFactor(rt.ReplicationFactor)
		}
	}
	if err != nil {
		return config, err
	}
	config.Partitions = cmp.Or(partitions, config.Partitions)
	for _, rc := range rt.Configs {
		if rc.Value == nil {
			return config, fmt.Errorf("%w: %s has no value", log.ErrInvalidConfig, rc.Name)
		}
		if err := config.SetConfig(rc.Name, *rc.Value); err != nil {
			return config, err
		}
	}
	return config, nil
}

// partitionCount returns the number of partitions as TopicConfig has it.
func partitionCount(n int32) (int, error) {
	switch {
	case n == -1:
		return 0, nil // the default
	case n < 1 || n > topic.MaxPartitions:
		return 0, fmt.Errorf("%w: %d, want 1 to %d, or -1 for the default", log.ErrInvalidPartitions, n, topic.MaxPartitions)
	}
	return int(n), nil
}

func (c *call) checkReplicationFactor(n int16) error {
	nodes := c.nodes()
	if n >= 1 && int(n) <= nodes || n == -1 || n > 1 && c.s.opts.AnyReplicationFactor {
		return nil
	}
	return protocolError{codeInvalidReplicationFactor, fmt.Sprintf("replication factor %d, there are %d nodes", n, nodes)}
}

// assignedPartitions checks an assignment of replicas, and
// returns the number of partitions.
func (c *call) assignedPartitions(rt kmsg.CreateTopicsRequestTopic) (int, error) {
	if rt.NumPartitions != -1 || rt.ReplicationFactor != -1 {
		return 0, protocolError{codeInvalidRequest, "an assignment of replicas and numbers exclude each other"}
	}
	seen := make(map[int32]bool)
	for _, a := range rt.ReplicaAssignment {
		if err := c.checkAssignment(a.Replicas, len(rt.ReplicaAssignment[0].Replicas)); err != nil {
			return 0, err
		}
		if seen[a.Partition] || a.Partition < 0 || int(a.Partition) >= len(rt.ReplicaAssignment) {
			return 0, protocolError{codeInvalidReplicaAssignment,
				fmt.Sprintf("partition %d of %d, want each from 0 on once", a.Partition, len(rt.ReplicaAssignment))}
		}
		seen[a.Partition] = true
	}
	return partitionCount(int32(len(rt.ReplicaAssignment)))
}
