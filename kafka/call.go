package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// call is one request on its way from its frame to its answer.
type call struct {
	header
	s     *Server
	conn  *conn
	ctx   context.Context // ends when the client has gone or the server closes
	entry *entry
	req   kmsg.Request

	bytes  int     // of the frame
	frame  *buffer // pooled memory that req refers to; nil if that is its own
	blanks []blank // of the answer
	arena  arena   // pooled memory that they refer to
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
)

// parse makes a call of a frame. An error ends the connection: what cannot be read cannot be
// answered either, as in Kafka.
func (c *conn) parse(frame []byte, buf *buffer) (*call, error) {
	h, body, err := cutHeader(frame)
	if err != nil {
		return nil, err
	}
	cl := &call{header: h, s: c.s, conn: c, ctx: c.ctx, bytes: len(frame), frame: buf}
	if cl.entry = c.s.find(h.key); cl.entry == nil {
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
	if cl.entry.key == kmsg.Produce {
		if err := checkProduceSize(body, h.version); err != nil {
			return nil, err
		}
	}
	if err := c.s.decode(cl.req, body); err != nil {
		return nil, fmt.Errorf("%w: %s %d: %w", errMalformed, cl.entry.key.Name(), h.version, err)
	}
	return cl, nil
}

// largeBytes is the length from which on requests without records are decoded one at a time.
const largeBytes = 64 << 10

// decode reads the body of a request. The codec may take some hundred times the memory of a
// body that claims to have what it has not, and drop it again; of large ones, one at a time.
func (s *Server) decode(req kmsg.Request, body []byte) error {
	if len(body) >= largeBytes && req.Key() != int16(kmsg.Produce) {
		s.decoding.Lock()
		defer s.decoding.Unlock()
	}
	return req.ReadFrom(body)
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
	c.frame, c.blanks, c.req = nil, nil, nil
}
