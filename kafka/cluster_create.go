package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// nodes returns how many nodes there are.
func (c *call) nodes() int {
	if c.s.cluster == nil {
		return 1
	}
	return len(c.s.cluster.now.Load().nodes)
}

// replicationFactor returns how many replicas the partitions of a topic get that is created.
func (c *call) replicationFactor(rt kmsg.CreateTopicsRequestTopic) int16 {
	switch {
	case c.s.cluster == nil:
		return 1
	case len(rt.ReplicaAssignment) > 0:
		return int16(len(rt.ReplicaAssignment[0].Replicas))
	case rt.ReplicationFactor < 0:
		cluster := c.s.cluster
		return int16(min(cluster.defaultReplicas(cluster.now.Load()), max(1, c.nodes())))
	}
	return min(rt.ReplicationFactor, int16(max(1, c.nodes())))
}

// createPlaced creates a topic, with its partitions where the request wants them.
func (c *call) createPlaced(rt kmsg.CreateTopicsRequestTopic, config topic.Config) (*topic.Topic, error) {
	cluster := c.s.cluster
	if cluster == nil {
		return c.s.in.Catalogue.Create(c.s.ctx, rt.Topic, config)
	}
	want := planned{replicas: int(c.replicationFactor(rt)), assigned: make([][]int32, len(rt.ReplicaAssignment))}
	for _, a := range rt.ReplicaAssignment {
		want.assigned[a.Partition] = a.Replicas
	}
	cluster.setPlan(rt.Topic, &want)
	t, err := c.s.in.Catalogue.Create(c.s.ctx, rt.Topic, config)
	if err == nil {
		err = cluster.learn(rt.Topic)
	}
	cluster.setPlan(rt.Topic, nil)
	return t, err
}

// growPlaced gives a topic more partitions, where the request wants them.
func (c *call) growPlaced(rt kmsg.CreatePartitionsRequestTopic, validateOnly bool) error {
	grow := func(config *topic.Config) error { return c.grow(config, rt) }
	cluster := c.s.cluster
	if cluster == nil || validateOnly {
		return c.change(rt.Topic, validateOnly, grow)
	}
	if err := cluster.learn(rt.Topic); err != nil { // as it is
		return c.change(rt.Topic, validateOnly, grow)
	}
	want := planned{behind: true}
	for _, a := range rt.Assignment {
		want.assigned = append(want.assigned, a.Replicas)
	}
	cluster.setPlan(rt.Topic, &want)
	err := c.change(rt.Topic, validateOnly, grow)
	if err == nil {
		err = cluster.learn(rt.Topic)
	}
	cluster.setPlan(rt.Topic, nil)
	return err
}

// planned is where the partitions of a topic are to be that is created, or grows.
type planned struct {
	replicas int       // how many; 0 for as many as its others have, or the default
	assigned [][]int32 // of each partition, as far as somebody has said
	behind   bool      // behind those that are there
}

// setPlan has the partitions of a topic that are new be placed as planned; nil ends that.
func (c *Cluster) setPlan(topic string, p *planned) {
	c.turn.Take()
	defer c.turn.Give()
	if p == nil {
		delete(c.plan, topic)
	} else {
		c.plan[topic] = *p
	}
}

// placeTopic gives those partitions of a topic a place that have none: as it was planned, else spread.
func (c *Cluster) placeTopic(v *view, t *topic.Topic) {
	ps := t.Partitions()
	number := ps[0].ID().Topic
	at := v.topics[number]
	plan := c.plan[t.Name()]
	replicas := cmp.Or(plan.replicas, c.defaultReplicas(v))
	if len(at) > 0 {
		replicas = len(at[0].settled())
	}
	first := 0
	if plan.behind {
		first = len(at)
	}
	fresh := v.spread(len(ps), int(number), replicas)
	for i := len(at); i < len(ps); i++ {
		if i-first < len(plan.assigned) {
			fresh[i] = v.newPlace(plan.assigned[i-first])
		}
		fresh[i].epoch = ps[i].Log().LeaderEpoch()
		at = append(at, fresh[i])
	}
	v.topics[number] = at
}
