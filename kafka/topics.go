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

// topic returns the topic that the request names, as Server.topic does, unless it is refused.
func (c *call) topic(name string, id topic.ID, byID bool) (*topic.Topic, error) {
	return c.found(name, id, byID, wholeTopic)
}

// partition returns a partition that the request names, like topic.
func (c *call) partition(name string, id topic.ID, byID bool, i int32) (*partition.Partition, error) {
	t, err := c.found(name, id, byID, i)
	if err != nil {
		return nil, err
	}
	return t.Partition(i)
}

func (c *call) found(name string, id topic.ID, byID bool, i int32) (*topic.Topic, error) {
	t, err := c.s.topic(name, id, byID)
	if t != nil {
		name = t.Name()
	}
	if refused := c.refusal(name, i); refused != nil {
		return nil, refused
	}
	return t, err
}

// wholeTopic is the partition that stands for the topic itself.
const wholeTopic = -1

// refusal returns the error that a partition fails with before anybody looks for it, as the client may not do with the
// topic what it asks for, or the test kit has it fail; most have none.
func (c *call) refusal(topic string, partition int32) error {
	if err := c.deniedTopic(topic); err != nil {
		return err
	}
	return c.refused[log.TopicPartition{Topic: topic, Partition: partition}]
}

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

// createMissing creates the topic of that name with the broker's defaults, unless somebody else has just done it.
func (s *Server) createMissing(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := s.in.Catalogue.Create(ctx, name, s.in.TopicDefaults)
	if errors.Is(err, log.ErrTopicExists) {
		return s.in.Catalogue.Get(name)
	}
	return t, err
}

// change edits the config of a topic, or only tells whether that could be done.
func (c *call) change(name string, validateOnly bool, edit func(*topic.Config) error) error {
	t, err := c.topic(name, noTopic, false)
	if err != nil {
		return err
	}
	if !validateOnly {
		return c.s.b.Topics().Alter(c.s.ctx, name, edit)
	}
	config := t.Config()
	if err := edit(&config); err != nil {
		return err
	}
	return config.Validate()
}
