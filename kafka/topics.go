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

// topicCode is codeOf where a request may have named its topic by its id: it was there, and is
// deleted by now.
func (s *Server) topicCode(err error, byID bool) int16 {
	if _, chosen := chosenCode(err); !chosen && byID && errors.Is(err, log.ErrUnknownTopic) {
		return codeUnknownTopicID
	}
	return s.codeOf(err)
}

// partition returns a partition that a request names, like topic.
func (s *Server) partition(name string, id topic.ID, byID bool, i int32) (*partition.Partition, error) {
	t, err := s.topic(name, id, byID)
	if err != nil {
		return nil, err
	}
	return t.Partition(i)
}

// createMissing creates the topic of that name with the broker's defaults, unless somebody else has just done it.
func (s *Server) createMissing(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := s.in.Catalogue.Create(ctx, name, s.in.TopicDefaults)
	if errors.Is(err, log.ErrTopicExists) {
		return s.in.Catalogue.Get(name)
	}
	return t, err
}

// change edits the config of a topic, or only tells whether that could be done.
func (s *Server) change(ctx context.Context, name string, validateOnly bool, edit func(*topic.Config) error) error {
	if !validateOnly {
		return s.b.Topics().Alter(ctx, name, edit)
	}
	t, err := s.in.Catalogue.Get(name)
	if err != nil {
		return err
	}
	config := t.Config()
	if err := edit(&config); err != nil {
		return err
	}
	return config.Validate()
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
