package fake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/kafka"
)

// cluster returns the cluster as which Kafka clients are served, and its broker.
func (k *Fake) cluster() (*kafka.Cluster, *samsa.Broker, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if err := k.open(); err != nil {
		return nil, nil, err
	}
	if k.nodes == nil {
		return nil, nil, fmt.Errorf("%w: Kafka clients are served as one broker, and not several", samsa.ErrUnsupported)
	}
	return k.nodes, k.b, nil
}

// Cluster implements api.Kit.
func (k *Fake) Cluster() (api.Cluster, error) {
	c, b, err := k.cluster()
	if err != nil {
		return api.Cluster{}, err
	}
	ctx := context.Background()
	all := api.Cluster{Controller: c.Controller(), Partitions: []api.ClusterPartition{}}
	for _, id := range c.Nodes() {
		if at := c.Addr(id); at != "" { // else it was removed meanwhile
			all.Nodes = append(all.Nodes, api.ClusterNode{ID: id, Kafka: at, Runs: c.Runs(id)})
		}
	}
	names, err := b.Topics().List(ctx)
	if err != nil {
		return all, err
	}
	for _, name := range names {
		for i := int32(0); ; i++ {
			leader, epoch, err := c.Leader(name, i)
			if err != nil {
				break // behind the last one, or the topic is gone
			}
			all.Partitions = append(all.Partitions, api.ClusterPartition{TopicPartition: api.TopicPartition{Topic: name, Partition: i}, Leader: leader, Epoch: epoch})
		}
	}
	return all, nil
}

// ChangeCluster implements api.Kit.
func (k *Fake) ChangeCluster(_ context.Context, e api.ClusterEvent) (api.Cluster, error) {
	c, _, err := k.cluster()
	if err != nil {
		return api.Cluster{}, err
	}
	if err := happen(c, e); err != nil {
		return api.Cluster{}, err
	}
	return k.Cluster()
}

// happen has something happen to a cluster.
func happen(c *kafka.Cluster, e api.ClusterEvent) error {
	on := !e.Off
	switch e.Do {
	case "stop":
		return c.Stop(e.Node)
	case "kill":
		return c.Kill(e.Node)
	case "start":
		return c.Start(e.Node)
	case "add":
		_, err := c.Add(e.Rack)
		return err
	case "remove":
		return c.Remove(e.Node)
	case "lead":
		return c.MoveLeader(e.Topic, e.Partition, e.Node)
	case "elect_unclean":
		return c.ElectUnclean(e.Topic, e.Partition, e.Node, e.Offset)
	case "elect":
		return c.ElectPreferred()
	case "reassign":
		return c.Reassign(e.Topic, e.Partition, e.Replicas...)
	case "hold_reassignments":
		return c.HoldReassignments(on)
	case "coordinate", "load":
		return coordinate(c, e)
	case "control":
		return c.MoveController(e.Node)
	case "cut_off":
		return c.CutOff(e.Node, on)
	case "slow":
		return c.Slow(e.Node, time.Duration(e.Delay))
	case "stale":
		return c.Stale(e.Node, on)
	case "rebootstrap":
		return c.Rebootstrap(e.Node, max(1, e.Next))
	}
	return fmt.Errorf("%w: a cluster cannot do %.40q, but %s", samsa.ErrInvalid, e.Do, strings.Join(api.ClusterEvents(), ", "))
}

// coordinate moves the coordinator of a group or a transactional id, or has it load.
func coordinate(c *kafka.Cluster, e api.ClusterEvent) error {
	group := e.Transaction == ""
	switch {
	case group == (e.Group == ""):
		return fmt.Errorf("%w: want a group or a transaction", samsa.ErrInvalid)
	case e.Do == "coordinate" && group:
		return c.MoveGroup(e.Group, e.Node)
	case e.Do == "coordinate":
		return c.MoveTransaction(e.Transaction, e.Node)
	case group:
		return c.LoadGroup(e.Group, !e.Off)
	}
	return c.LoadTransaction(e.Transaction, !e.Off)
}
