package kafka

import (
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// shareSessions are the share sessions of a server. A member of a share group has at most one, which lives as long as
// the connection on which it has begun. What the member has acquired is released with it.
type shareSessions struct {
	mu    sync.Mutex // guards what follows, and what the sessions hold
	byKey map[shareMember]*shareSession
}

// shareMember names a member of a share group.
type shareMember struct{ group, id string }

// shareSession remembers which partitions a member reads, so that a request says only what has changed, and an answer
// only what is new.
type shareSession struct {
	member  shareMember
	conn    *conn
	epoch   int32 // of the next request
	parts   []*sharePart
	at      map[sharePartition]*sharePart
	charged int64 // to the memory of sessions
}

// sharePartition names a partition of a topic that may be gone.
type sharePartition struct {
	topic topic.ID
	index int32
}

// sharePart is a partition of a session.
type sharePart struct {
	sharePartition
	news bool // the member is to be told of it, even if there is nothing to be told
}

// open finds or begins the session of a ShareFetch, brings it up to date with the request, and returns the partitions
// that are to be read: those that were given nothing for the longest time first. For the last request of a session there
// are none.
func (s *shareSessions) open(c *call, req *kmsg.ShareFetchRequest, most int) (*shareSession, []sharePart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	member := shareMember{*req.GroupID, *req.MemberID}
	ss := s.byKey[member]
	switch {
	case req.ShareSessionEpoch != sessionNew && ss == nil:
		return nil, nil, errShareSessionNotFound
	case req.ShareSessionEpoch == sessionNone:
		return ss, nil, nil
	case req.ShareSessionEpoch == sessionNew:
		if acknowledges(req) {
			return nil, nil, protocolError{codeInvalidRequest, "a session does not begin with acknowledgements"}
		}
		s.removeLocked(c.s.memory, ss)
		if len(s.byKey) >= most {
			return nil, nil, errShareLimit
		}
		ss = &shareSession{member: member, conn: c.conn, at: make(map[sharePartition]*sharePart)}
	case req.ShareSessionEpoch != ss.epoch:
		return nil, nil, errShareSessionEpoch
	}
	ss.merge(req)
	if !ss.fits(c.s.memory) {
		s.removeLocked(c.s.memory, ss)
		return nil, nil, protocolError{codeShareSessionLimitReached, "the share session has too many partitions"}
	}
	s.byKey[member] = ss
	ss.epoch = ss.epoch%math.MaxInt32 + 1
	parts := make([]sharePart, len(ss.parts))
	for i, p := range ss.parts {
		parts[i] = *p
	}
	return ss, parts, nil
}

var (
	errShareSessionNotFound = protocolError{codeShareSessionNotFound, "unknown share session"}
	errShareLimit           = protocolError{codeShareSessionLimitReached, "there are too many share sessions"}
	errShareSessionEpoch    = protocolError{codeInvalidShareSessionEpoch, "share session epoch out of order"}
)

// acknowledges reports whether a ShareFetch has acknowledgements.
func acknowledges(req *kmsg.ShareFetchRequest) bool {
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if len(req.Topics[i].Partitions[j].AcknowledgementBatches) > 0 {
				return true
			}
		}
	}
	return false
}

// advance is open for a ShareAcknowledge, which has no partitions to read.
func (s *shareSessions) advance(member shareMember, epoch int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.byKey[member]
	switch {
	case epoch == sessionNew:
		return errShareSessionEpoch
	case ss == nil:
		return errShareSessionNotFound
	case epoch == sessionNone:
		return nil
	case epoch != ss.epoch:
		return errShareSessionEpoch
	}
	ss.epoch = ss.epoch%math.MaxInt32 + 1
	return nil
}

// end ends the session of a member, and reports whether there was one. With a connection it is only that which has
// begun there.
func (s *shareSessions) end(m *memory, member shareMember, of *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.byKey[member]
	if ss == nil || of != nil && ss.conn != of {
		return false
	}
	s.removeLocked(m, ss)
	return true
}

// has reports whether a member has a session.
func (s *shareSessions) has(member shareMember) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[member] != nil
}

// of returns the members whose sessions have begun on a connection.
func (s *shareSessions) of(c *conn) []shareMember {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []shareMember
	for member, ss := range s.byKey {
		if ss.conn == c {
			all = append(all, member)
		}
	}
	return all
}

func (s *shareSessions) removeLocked(m *memory, ss *shareSession) {
	if ss == nil {
		return
	}
	m.growSessions(-ss.charged)
	ss.charged = 0
	if s.byKey[ss.member] == ss {
		delete(s.byKey, ss.member)
	}
}

// merge brings a session up to date with a request.
func (ss *shareSession) merge(req *kmsg.ShareFetchRequest) {
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			key := sharePartition{req.Topics[i].TopicID, req.Topics[i].Partitions[j].Partition}
			if ss.at[key] == nil {
				p := &sharePart{key, true}
				ss.at[key] = p
				ss.parts = append(ss.parts, p)
			}
		}
	}
	gone := false
	for _, f := range req.ForgottenTopicsData {
		for _, index := range f.Partitions {
			key := sharePartition{f.TopicID, index}
			gone = gone || ss.at[key] != nil
			delete(ss.at, key)
		}
	}
	if !gone {
		return
	}
	old := ss.parts
	ss.parts = nil
	for _, p := range old {
		if ss.at[p.sharePartition] == p {
			ss.parts = append(ss.parts, p)
		}
	}
}

// fits reports whether the session may remember what it does.
func (ss *shareSession) fits(m *memory) bool {
	bytes := int64(len(ss.parts))*sessionPartitionBytes + sessionTopicBytes + int64(len(ss.member.group)+len(ss.member.id))
	if len(ss.parts) > maxSessionPartitions || !m.growSessions(bytes-ss.charged) {
		return false
	}
	ss.charged = bytes
	return true
}

// tell reports whether an answer is to have a partition, with records or an error or neither. One that was given records
// comes last the next time.
func (s *shareSessions) tell(ss *shareSession, key sharePartition, records, failed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := ss.at[key]
	if p == nil {
		return records || failed
	}
	told := records || failed || p.news
	p.news = failed
	if records {
		for i := range ss.parts {
			if ss.parts[i] == p {
				ss.parts = append(append(ss.parts[:i], ss.parts[i+1:]...), p)
				break
			}
		}
	}
	return told
}

// releaseShares gives back all that the members have acquired whose sessions have begun on the connection, which has
// ended.
func (c *conn) releaseShares() {
	for _, m := range c.s.shares.of(c) {
		if c.s.shares.end(c.s.memory, m, c) {
			c.s.in.Shares.ReleaseAll(m.group, m.id)
		}
	}
}

// memberGone ends the session of a member that was silent for too long. The session of one that has left goes on until
// the member or its connection ends it: librdkafka leaves while its last acknowledgements are still on their way.
func (s *Server) memberGone(group, id string, left bool) {
	if left && s.shares.has(shareMember{group, id}) {
		return
	}
	s.shares.end(s.memory, shareMember{group, id}, nil)
	s.in.Shares.ReleaseAll(group, id)
}
