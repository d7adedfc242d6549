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
	at     map[sessionKey]place // where each partition is
	size   int                  // partitions
	names  int                  // bytes of the topics' names

	charged int64 // to the memory of sessions
}

type sessionTopic struct {
	kmsg.FetchRequestTopic
	told []toldOffsets // of its partitions
}

// sessionKey names a partition, or its topic as a whole.
type sessionKey struct {
	topic     string
	id        [16]byte
	whole     bool
	partition int32
}

// place is an index of the topics, and for a partition one of the topic's partitions.
type place struct{ topic, partition int }

// maxSessionPartitions bounds what a client can make a session remember. One that outgrows it
// ends, as Kafka ends sessions that it has no room for.
const maxSessionPartitions = 50_000

// What a partition and a topic of a session take, while it is used too.
const (
	sessionPartitionBytes = 768
	sessionTopicBytes     = 512
)

// fits reports whether the session may remember what it does.
func (s *fetchSession) fits(m *memory) bool {
	bytes := int64(s.size)*sessionPartitionBytes + int64(len(s.topics))*sessionTopicBytes + int64(s.names)
	if s.size > maxSessionPartitions || !m.growSessions(bytes-s.charged) {
		return false
	}
	s.charged = bytes
	return true
}

// end forgets the session, which may be nil.
func (s *fetchSession) end(m *memory) {
	if s != nil {
		m.growSessions(-s.charged)
		s.charged = 0
	}
}

// toldOffsets is what the client knows about a partition.
type toldOffsets struct{ highWatermark, logStart int64 }

// openSession finds or begins the session of a request, and ends the one that it replaces. The
// session is nil for a request without.
func (c *call) openSession(req *kmsg.FetchRequest) (*fetchSession, error) {
	switch s := c.conn.session; {
	case req.SessionEpoch == sessionNone:
		if s != nil && s.id == req.SessionID {
			s.end(c.s.memory)
			c.conn.session = nil
		}
		return nil, nil
	case req.SessionEpoch == sessionNew:
		s.end(c.s.memory)
		c.conn.lastSession = c.conn.lastSession%math.MaxInt32 + 1
		c.conn.session = &fetchSession{id: c.conn.lastSession, at: make(map[sessionKey]place)}
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
		for _, rp := range rt.Partitions {
			s.put(rt, rp)
		}
	}
	s.forget(req.ForgottenTopics)
	req.Topics = make([]kmsg.FetchRequestTopic, len(s.topics))
	for i := range s.topics {
		req.Topics[i] = s.topics[i].FetchRequestTopic
	}
}

// put adds a partition, or replaces what was said of it.
func (s *fetchSession) put(rt *kmsg.FetchRequestTopic, rp kmsg.FetchRequestTopicPartition) {
	key := sessionKey{topic: rt.Topic, id: rt.TopicID, partition: rp.Partition}
	if at, ok := s.at[key]; ok {
		s.topics[at.topic].Partitions[at.partition] = rp
		return
	}
	topicKey := sessionKey{topic: rt.Topic, id: rt.TopicID, whole: true}
	at, ok := s.at[topicKey]
	if !ok {
		at.topic = len(s.topics)
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		s.names += len(rt.Topic)
		s.topics = append(s.topics, sessionTopic{FetchRequestTopic: t})
		s.at[topicKey] = at
	}
	t := &s.topics[at.topic]
	s.at[key] = place{at.topic, len(t.Partitions)}
	t.Partitions = append(t.Partitions, rp)
	t.told = append(t.told, toldOffsets{-1, -1})
	s.size++
}

// forget removes partitions, in one pass over the session.
func (s *fetchSession) forget(topics []kmsg.FetchRequestForgottenTopic) {
	gone := make(map[place]bool)
	for _, ft := range topics {
		for _, partition := range ft.Partitions {
			if at, ok := s.at[sessionKey{topic: ft.Topic, id: ft.TopicID, partition: partition}]; ok {
				gone[at] = true
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	old := s.topics
	s.topics, s.at, s.size, s.names = nil, make(map[sessionKey]place), 0, 0
	for i := range old {
		for j, rp := range old[i].Partitions {
			if !gone[place{i, j}] {
				s.put(&old[i].FetchRequestTopic, rp)
				t := &s.topics[len(s.topics)-1]
				t.told[len(t.told)-1] = old[i].told[j]
			}
		}
	}
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
			if len(p.RecordBatches) > 0 || p.ErrorCode != 0 || told[j] != now || p.PreferredReadReplica >= 0 || p.DivergingEpoch.Epoch >= 0 {
				news = append(news, p)
			}
			told[j] = now
		}
		resp.Topics[i].Partitions = news
	}
	resp.Topics = slices.DeleteFunc(resp.Topics, func(t kmsg.FetchResponseTopic) bool { return len(t.Partitions) == 0 })
}
