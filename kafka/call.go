package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// call is one request on its way from its frame to its answer.
type call struct {
	header
	s     *Server
	conn  *conn
	ctx   context.Context // ends when the client has gone or the server closes, and knows who asks: PrincipalOf
	from  Principal       // who asks
	bare  bool            // it is a token without a header, and so is its answer
	ends  error           // why the connection ends behind its answer
	entry *entry
	tally *requestTally // of the entry
	req   kmsg.Request
	began time.Time // when it was read

	answerBytes int   // of the answer, once it is encoded
	errors      int   // error codes in it
	firstError  int16 // of these

	refused map[log.TopicPartition]error // by the test kit; -1 is the topic itself
	access  access                       // that the client has
	cost    cost

	bytes  int     // of the frame
	lease  *lease  // of the memory for requests
	frame  *buffer // pooled memory that req refers to; nil if that is its own
	blanks []blank // of the answer
	arena  arena   // pooled memory that they refer to
	answer lease   // of the memory for answers
}

// pending is a request that was begun.
type pending interface {
	// done is closed once answer may be called.
	done() <-chan struct{}
	// answer returns the answer; nil when the client expects none. An error ends the
	// connection.
	answer() (kmsg.Response, error)
}

var (
	errUnknownKey     = errors.New("request of an unknown kind")
	errUnknownVersion = errors.New("request of an unknown version")
	errMalformed      = errors.New("malformed request")
	errTooMuch        = errors.New("request names more than there is memory for")
)

// parse makes a call of a frame, which l has taken the memory for, and takes what is needed
// besides until the call is answered. An error ends the connection: what cannot be read cannot
// be answered either, as in Kafka.
func (c *conn) parse(frame []byte, buf *buffer, l *lease) (*call, error) {
	h, body, err := cutHeader(frame)
	if err != nil {
		return nil, err
	}
	cl := &call{header: h, s: c.s, conn: c, ctx: c.requests, from: c.principal, bytes: len(frame), lease: l, frame: buf,
		answer: lease{pool: &c.s.memory.answers}}
	if c.auth != nil {
		if err := c.auth.allows(h); err != nil {
			return nil, err
		}
	}
	if cl.entry, cl.tally = c.s.find(h.key); cl.entry == nil {
		return nil, fmt.Errorf("%w: key %d", errUnknownKey, h.key)
	}
	cl.req = cl.entry.key.Request()
	if h.version < cl.entry.min || h.version > cl.entry.max {
		if cl.entry.key == kmsg.ApiVersions {
			return cl, nil // answered by its handler, whatever the body
		}
		return nil, fmt.Errorf("%w: %s %d, there are %d to %d", errUnknownVersion,
			cl.entry.key.Name(), h.version, cl.entry.min, cl.entry.max)
	}
	cl.req.SetVersion(h.version)
	if cl.req.IsFlexible() {
		if body, err = skipTags(body); err != nil {
			return nil, err
		}
	}
	if err := c.decode(cl.req, body, l); err != nil {
		return nil, fmt.Errorf("%s %d: %w", cl.entry.key.Name(), h.version, err)
	}
	return cl, nil
}

// decode reads the body of a request, once there is memory for all that it becomes.
func (c *conn) decode(req kmsg.Request, body []byte, l *lease) error {
	mem := c.s.memory
	if req.Key() == int16(kmsg.Produce) {
		n, err := produceSize(body, req.GetVersion(), mem.mostPlaces())
		if err != nil {
			return err
		}
		if err := c.take(l, n+copiedRecords(len(body))); err != nil {
			return err
		}
		return wrapMalformed(req.ReadFrom(body))
	}
	claim := decodeRatio(req) * len(body)
	if err := c.take(l, claim); err != nil {
		return err
	}
	if err := req.ReadFrom(body); err != nil {
		return wrapMalformed(err)
	}
	is := requestSize(req)
	if is+len(body) > mem.mostRequest() {
		return fmt.Errorf("%w: %d bytes for one of %d, at most %d are given", errTooMuch, is, len(body), mem.mostRequest())
	}
	if is <= claim {
		l.shrink(claim - is)
		return nil
	}
	return c.take(l, is-claim)
}

func wrapMalformed(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// forgetRequest gives the memory of the request back before the call is answered: the group for
// which it waits, for as long as another client likes, has copied what it keeps. The test kit may
// want to know what was asked.
func (c *call) forgetRequest() {
	if c.s.in.Committer.Probes().Get() == nil {
		c.req = nil
	}
	c.lease.end()
}

// answerVersion is the version of the answer, that of the request but in one case: a version
// of ApiVersions that we do not know is answered with version 0, which every client reads.
func (c *call) answerVersion() int16 {
	if c.version < c.entry.min || c.version > c.entry.max {
		return 0
	}
	return c.version
}

// release gives the memory of the call back.
func (c *call) release() {
	c.frame.put()
	c.arena.release()
	c.lease.end()
	c.answer.end()
	c.frame, c.blanks, c.req = nil, nil, nil
}
