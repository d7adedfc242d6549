package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// DeleteTopics.
//
// Versions 0 to 6. A topic is gone when the answer comes, whatever the timeout. One that is
// named twice is INVALID_REQUEST, and stays.
func (c *call) deleteTopics(req *kmsg.DeleteTopicsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	topics := req.Topics
	for _, name := range req.TopicNames { // before version 6
		topics = append(topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	times := make(map[topicRef]int)
	for _, rt := range topics {
		times[refTo(rt.Topic, rt.TopicID)]++
	}
	for _, rt := range once(topics, func(rt kmsg.DeleteTopicsRequestTopic) topicRef { return refTo(rt.Topic, rt.TopicID) }) {
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		found, err := c.toDelete(rt)
		if errors.Is(err, errTopicDenied) {
			t.Topic = c.describable(rt)
		}
		switch n := times[refTo(rt.Topic, rt.TopicID)]; {
		case n > 1:
			err = protocolError{codeInvalidRequest, fmt.Sprintf("the request names the topic %d times", n)}
		case err == nil:
			name := found.Name()
			t.Topic, t.TopicID = &name, found.ID()
			if err = c.mutate(len(found.Partitions())); err == nil {
				err = c.s.b.Topics().Delete(c.s.ctx, name)
			}
		case errors.Is(err, log.ErrCorruptValue): // has a name, and nothing else
			err = c.s.b.Topics().Delete(c.s.ctx, *rt.Topic)
		}
		t.ErrorCode, t.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// describable returns the name of a topic that the client may not delete: one that it has asked for by its id it is told if it
// may describe it.
func (c *call) describable(rt kmsg.DeleteTopicsRequestTopic) *string {
	if rt.Topic == nil {
		if t := c.s.in.Catalogue.Find(rt.TopicID); t != nil && c.may(acl.Describe, acl.Topic, t.Name()) {
			return kmsgString(t.Name())
		}
	}
	return rt.Topic
}

// toDelete finds a topic by its name or its id, of which the request has one.
func (c *call) toDelete(rt kmsg.DeleteTopicsRequestTopic) (*topic.Topic, error) {
	byID := topic.ID(rt.TopicID) != noTopic
	if byID == (rt.Topic != nil) {
		return nil, protocolError{codeInvalidRequest, "want the name of a topic or its id, and not both"}
	}
	if byID {
		return c.topic("", rt.TopicID, true)
	}
	if c.deniedTopic(*rt.Topic) != nil && c.may(acl.Describe, acl.Topic, *rt.Topic) {
		if _, err := c.s.topic(*rt.Topic, noTopic, false); errors.Is(err, log.ErrUnknownTopic) {
			return nil, err // who may describe it learns that it is not there
		}
	}
	return c.topic(*rt.Topic, noTopic, false)
}
