package kafka

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The session epochs that are none (KIP-227).
const (
	sessionNew  = 0  // begins a session
	sessionNone = -1 // ends it, and fetches without
)

// fetchSession remembers what a client fetches, so that a request says only what has changed,
// and the answer only what is new. A session lives on one connection, which has at most
// one: elsewhere its id is unknown, and the client begins another.
type fetchSession struct {
	id     int32
	epoch  int32 // of the next request
	topics []sessionTopic
}

type sessionTopic struct {
	kmsg.FetchRequestTopic
	told []toldOffsets // of its partitions
}

// toldOffsets is what the client knows about a partition.
type toldOffsets struct{ highWatermark, logStart int64 }

// openSession finds or begins the session of a request, and ends the one that it replaces. The
// session is nil for a request without.
func (c *call) openSession(req *kmsg.FetchRequest) (*fetchSession, error) {
	switch s := c.conn.session; {
	case req.SessionEpoch == sessionNone:
		if s != nil && s.id == req.SessionID {
			c.conn.session = nil
		}
		return nil, nil
	case req.SessionEpoch == sessionNew:
		c.conn.lastSession = c.conn.lastSession%math.MaxInt32 + 1
		c.conn.session = &fetchSession{id: c.conn.lastSession}
	case s == nil || s.id != req.SessionID:
		return nil, protocolError{codeFetchSessionIDNotFound, "unknown fetch session"}
	case s.epoch != req.SessionEpoch:
		return nil, protocolError{codeInvalidFetchSessionEpoch, "fetch session epoch out of order"}
	}
	s := c.conn.session
	s.epoch = s.epoch%math.MaxInt32 + 1
	return s, nil
}

// merge brings the session up to date with a request, which it makes a whole one.
func (s *fetchSession) merge(req *kmsg.FetchRequest) {
	for i := range req.Topics {
		rt := &req.Topics[i]
		t := s.topic(rt.Topic, rt.TopicID)
		for _, rp := range rt.Partitions {
			if j := t.index(rp.Partition); j >= 0 {
				t.Partitions[j] = rp
				continue
			}
			t.Partitions = append(t.Partitions, rp)
			t.told = append(t.told, toldOffsets{-1, -1})
		}
	}
	for _, ft := range req.ForgottenTopics {
		t := s.topic(ft.Topic, ft.TopicID)
		for _, partition := range ft.Partitions {
			if j := t.index(partition); j >= 0 {
				t.Partitions = slices.Delete(t.Partitions, j, j+1)
				t.told = slices.Delete(t.told, j, j+1)
			}
		}
	}
	s.topics = slices.DeleteFunc(s.topics, func(t sessionTopic) bool { return len(t.Partitions) == 0 })
	req.Topics = make([]kmsg.FetchRequestTopic, len(s.topics))
	for i := range s.topics {
		req.Topics[i] = s.topics[i].FetchRequestTopic
	}
}

// topic returns the topic of the session, which it adds if need be.
func (s *fetchSession) topic(name string, id [16]byte) *sessionTopic {
	for i := range s.topics {
		if t := &s.topics[i]; t.Topic == name && t.TopicID == id {
			return t
		}
	}
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = name, id
	s.topics = append(s.topics, sessionTopic{FetchRequestTopic: rt})
	return &s.topics[len(s.topics)-1]
}

func (t *sessionTopic) index(partition int32) int {
	return slices.IndexFunc(t.Partitions, func(p kmsg.FetchRequestTopicPartition) bool { return p.Partition == partition })
}

// prune takes out of the answer, whose partitions are those of the session in their order,
// what the client knows already.
func (s *fetchSession) prune(resp *kmsg.FetchResponse) {
	resp.SessionID = s.id
	for i := range resp.Topics {
		told := s.topics[i].told
		news := resp.Topics[i].Partitions[:0]
		for j, p := range resp.Topics[i].Partitions {
			now := toldOffsets{p.HighWatermark, p.LogStartOffset}
			if len(p.RecordBatches) > 0 || p.ErrorCode != 0 || told[j] != now {
				news = append(news, p)
			}
			told[j] = now
		}
		resp.Topics[i].Partitions = news
	}
	resp.Topics = slices.DeleteFunc(resp.Topics, func(t kmsg.FetchResponseTopic) bool { return len(t.Partitions) == 0 })
}
