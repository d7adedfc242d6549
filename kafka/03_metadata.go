package kafka

import (
	"cmp"
	"errors"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// Metadata: the brokers, and the topics.
//
// Versions 0 to 13. A topic that does not exist is created when the broker's
// AutoCreateTopics and the request agree; before version 4 every request does. Unlike Kafka's the answer has
// it at once, without LEADER_NOT_AVAILABLE. What the client may not describe is left out where it asks for all topics.
func (c *call) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	if c.mustRebootstrap() {
		resp.ErrorCode = codeRebootstrapRequired
		return resp
	}
	resp.Brokers = c.brokers()
	resp.ClusterID = &c.s.opts.ClusterID
	resp.ControllerID = c.controller()
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = c.clusterOperations()
	}
	if req.Topics == nil || c.version == 0 && len(req.Topics) == 0 {
		for _, t := range c.s.in.Catalogue.List() {
			if c.deniedTopic(t.Name()) == nil {
				resp.Topics = append(resp.Topics, c.describe(req, t))
			}
		}
		for _, name := range c.s.in.Catalogue.Damaged() {
			if c.deniedTopic(name) != nil {
				continue
			}
			mt := kmsg.NewMetadataResponseTopic()
			mt.Topic, mt.ErrorCode = &name, codeUnknownServerError
			resp.Topics = append(resp.Topics, mt)
		}
		return resp
	}
	create := c.s.in.AutoCreateTopics && (req.AllowAutoTopicCreation || c.version < 4)
	named := once(req.Topics, func(rt kmsg.MetadataRequestTopic) topicRef {
		if rt.TopicID != noTopic { // it counts; Java clients of 4.4 say an empty name besides
			return topicRef{id: rt.TopicID}
		}
		return refTo(rt.Topic, noTopic)
	})
	resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(named))
	for _, rt := range named {
		t, err := c.metadataTopic(rt, create)
		if err != nil {
			mt := kmsg.NewMetadataResponseTopic()
			mt.Topic, mt.TopicID, mt.ErrorCode = rt.Topic, rt.TopicID, c.s.codeOf(err)
			if rt.TopicID != noTopic {
				mt.Topic = nil
			} else if req.IncludeTopicAuthorizedOperations && mt.ErrorCode != codeTopicAuthorizationFailed {
				mt.AuthorizedOperations = c.operations(acl.Topic, orNone(rt.Topic))
			}
			resp.Topics = append(resp.Topics, mt)
			continue
		}
		resp.Topics = append(resp.Topics, c.describe(req, t))
	}
	return resp
}

// once returns those of all that are the first with their key, in the memory of all. Some requests
// name a thing to describe; naming it again and again would make an answer of any length. Of topics
// Kafka does the same.
func once[E any, K comparable](all []E, key func(E) K) []E {
	seen := make(map[K]bool, len(all))
	return slices.DeleteFunc(all, func(e E) bool {
		k := key(e)
		again := seen[k]
		seen[k] = true
		return again
	})
}

// topicRef is how a request names a topic.
type topicRef struct {
	name string
	id   topic.ID
}

func refTo(name *string, id topic.ID) topicRef {
	if name == nil {
		return topicRef{id: id}
	}
	return topicRef{name: *name}
}

// metadataTopic finds, or creates, a topic that was asked for.
func (c *call) metadataTopic(rt kmsg.MetadataRequestTopic, create bool) (*topic.Topic, error) {
	if rt.Topic == nil || rt.TopicID != noTopic {
		return c.topic("", rt.TopicID, true)
	}
	if err := cmp.Or(c.refusal(*rt.Topic, wholeTopic), topic.CheckName(*rt.Topic)); err != nil {
		return nil, err
	}
	t, err := c.s.in.Catalogue.Get(*rt.Topic)
	if create && errors.Is(err, log.ErrUnknownTopic) {
		if !c.mayCluster(acl.Create) && (c.s.before(firstTopicCreate) || !c.may(acl.Create, acl.Topic, *rt.Topic)) {
			return nil, errTopicDenied
		}
		if c.mutate(max(1, c.s.in.TopicDefaults.Partitions)) != nil {
			c.cost.still = 0
			return nil, err // as in Kafka the client learns no more, and asks again
		}
		return c.s.createMissing(c.s.ctx, *rt.Topic)
	}
	return t, err
}

func (c *call) describe(req *kmsg.MetadataRequest, t *topic.Topic) kmsg.MetadataResponseTopic {
	name := t.Name()
	mt := kmsg.NewMetadataResponseTopic()
	mt.Topic, mt.TopicID = &name, t.ID()
	if err := c.refusal(name, wholeTopic); err != nil {
		mt.ErrorCode = c.s.codeOf(err)
		return mt
	}
	if c.unheard(t) {
		mt.TopicID, mt.ErrorCode = noTopic, codeUnknownTopicOrPartition
		return mt
	}
	if req.IncludeTopicAuthorizedOperations {
		mt.AuthorizedOperations = c.operations(acl.Topic, name)
	}
	for i, p := range t.Partitions() {
		at, ok := c.told(p)
		if !ok {
			continue // it has come since the node has stopped to learn
		}
		mp := kmsg.NewMetadataResponseTopicPartition()
		mp.Partition, mp.Leader, mp.LeaderEpoch = int32(i), at.leader, at.epoch
		mp.Replicas, mp.ISR, mp.OfflineReplicas = at.replicas, c.inSync(at), c.offline(at)
		if c.version == 0 {
			mp.Replicas, mp.ISR = without(mp.Replicas, mp.OfflineReplicas), without(mp.ISR, mp.OfflineReplicas)
		}
		switch {
		case at.leader < 0:
			mp.ErrorCode = codeLeaderNotAvailable
		case c.version == 0 && len(mp.OfflineReplicas) > 0:
			mp.ErrorCode = codeReplicaNotAvailable
		}
		if err := c.refusal(name, int32(i)); err != nil {
			mp.ErrorCode, mp.Leader, mp.LeaderEpoch = c.s.codeOf(err), -1, -1
		}
		mt.Partitions = append(mt.Partitions, mp)
	}
	return mt
}

// broker is the one node, at the address that the client is to use.
func (c *call) broker() kmsg.MetadataResponseBroker {
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID = c.s.opts.NodeID
	b.Host, b.Port = c.advertised()
	return b
}

// advertised is the address of the option, else the one that the client has reached.
func (c *call) advertised() (host string, port int32) {
	if c.s.opts.Advertise != "" {
		host, port, _ = splitAddress(c.s.opts.Advertise) // was validated
		return host, port
	}
	if a, ok := c.conn.nc.LocalAddr().(*net.TCPAddr); ok {
		return a.IP.String(), int32(a.Port)
	}
	host, port, _ = splitAddress(c.conn.nc.LocalAddr().String()) // of a Pipe, say
	return host, port
}
