package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// noTopic is the id of requests that name a topic.
var noTopic topic.ID

// topic returns the topic that a request names, by its id if byID, else by its name.
func (s *Server) topic(name string, id topic.ID, byID bool) (*topic.Topic, error) {
	if !byID {
		return s.in.Catalogue.Get(name)
	}
	t := s.in.Catalogue.Find(id)
	if t == nil {
		return nil, protocolError{codeUnknownTopicID, fmt.Sprintf("there is no topic with the id %s", id)}
	}
	return t, nil
}

// partition returns a partition that a request names, like topic.
func (s *Server) partition(name string, id topic.ID, byID bool, i int32) (*partition.Partition, error) {
	t, err := s.topic(name, id, byID)
	if err != nil {
		return nil, err
	}
	return t.Partition(i)
}

// create creates a topic; what config leaves out is as the broker's options say.
func (s *Server) create(ctx context.Context, name string, config topic.Config) (*topic.Topic, error) {
	return s.in.Catalogue.Create(ctx, name, topic.Merge(config, s.in.TopicDefaults))
}

// createMissing creates the topic of that name, unless somebody else has just done it.
func (s *Server) createMissing(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := s.create(ctx, name, topic.Config{})
	if errors.Is(err, log.ErrTopicExists) {
		return s.in.Catalogue.Get(name)
	}
	return t, err
}

// leaderEpoch is that of every partition: there is one node, which has always led.
const leaderEpoch = 0

// checkLeaderEpoch refuses a client that has heard of a later leader than there is; -1 stands
// for one that does not say.
func checkLeaderEpoch(epoch int32) error {
	if epoch > leaderEpoch {
		return protocolError{codeUnknownLeaderEpoch, fmt.Sprintf("leader epoch %d, it is %d", epoch, leaderEpoch)}
	}
	return nil
}
