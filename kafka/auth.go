package kafka

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/sasl"
)

// auth is how far a connection is in saying who it is by SASL:
//
//	start -> ApiVersions* -> SaslHandshake -> token* -> open -> requests
//	           open -> SaslHandshake -> token* -> open             again, on the same connection (KIP-368)
//
// Until it is open the reader takes one frame at a time, and waits for its answer. So what stands here is the server's, and the reader's
// while nothing is in flight.
type auth struct {
	o    *SASL
	open atomic.Bool // requests of all kinds are taken; the reader closes it with a SaslHandshake

	exchange  sasl.Exchange // nil where no token is expected
	mechanism string
	bare      bool // tokens come without a header, as SaslHandshake 0 announces
	failed    bool // nothing more is taken
	began     time.Time

	known bool      // somebody has logged in
	who   Principal // and that is he
	by    string    // by this mechanism
	until time.Time // when he has to do so anew; zero for never
	again time.Time // when that has begun last
}

// Limits, as in Kafka.
const (
	maxLoginBytes = 512 << 10              // of a frame before (sasl.server.max.receive.size)
	failedDelay   = 100 * time.Millisecond // until a failure is told (connection.failed.authentication.delay.ms)
	minReauth     = time.Second            // between two logins of a connection
)

// loginTimeout is how long a connection may take until the last message of its first login begins: one that says nothing takes the place of
// another. Kafka has none but that of idle connections.
const loginTimeout = 30 * time.Second

var (
	// errLogin is for connections whose clients are not who they say, or do not say it.
	errLogin      = errors.New("not authenticated")
	errNotYet     = fmt.Errorf("%w: a request before", errLogin)
	errNoLogin    = fmt.Errorf("%w: no login within %v", errLogin, loginTimeout)
	errSession    = fmt.Errorf("%w: the session has ended, and the client has not logged in again", errLogin)
	errMechanism  = fmt.Errorf("%w: a mechanism that is not enabled", errLogin)
	errTwice      = fmt.Errorf("%w: a handshake in the place of a token", errLogin)
	errOtherMeans = fmt.Errorf("%w: another mechanism than before", errLogin)
)

// newAuth returns how a connection begins; nil where nobody is asked.
func (s *Server) newAuth() *auth {
	if s.opts.Security.SASL == nil {
		return nil
	}
	return &auth{o: s.opts.Security.SASL, began: time.Now()}
}

// hold waits until a connection that is not open has its answers.
func (c *conn) hold() error {
	for !c.auth.open.Load() && c.inFlight.Load() > 0 {
		if err := c.untilAnswered(); err != nil {
			return err
		}
	}
	return nil
}

// allows returns whether a request may be read, by its header. A SaslHandshake closes an open connection until it has been answered.
func (a *auth) allows(h header) error {
	key := kmsg.Key(h.key)
	if a.open.Load() {
		if key == kmsg.SASLHandshake {
			a.open.Store(false)
		} else if a.late() {
			return errSession
		}
		return nil
	}
	expected := key == kmsg.SASLHandshake || key == kmsg.ApiVersions
	if a.exchange != nil {
		expected = key == kmsg.SASLAuthenticate || key == kmsg.SASLHandshake || key == kmsg.ApiVersions && !a.known
	}
	if a.failed || !expected {
		return fmt.Errorf("%w: %s", errNotYet, key.Name())
	}
	return nil
}

// patience returns how long the next request may take to begin, and what it is if it does not.
func (c *conn) patience() (time.Duration, error) {
	idle := c.s.opts.IdleTimeout
	if a := c.auth; a != nil && !a.known {
		if left := max(0, loginTimeout-time.Since(a.began)); left < idle {
			return left, errNoLogin
		}
	}
	return idle, errIdle
}

// late reports whether the client should have logged in again.
func (a *auth) late() bool { return !a.until.IsZero() && time.Now().After(a.until) }

// expectsBare reports whether a token without a header comes next.
func (a *auth) expectsBare() bool { return !a.open.Load() && a.exchange != nil && a.bare }

// readToken reads a token without a header, as a SaslAuthenticate of version 0.
func (c *conn) readToken(r *bufio.Reader, l *lease) (*call, error) {
	head, err := r.Peek(frameLengthSize)
	if err != nil {
		return nil, c.slow(err)
	}
	n := int64(int32(binary.BigEndian.Uint32(head)))
	if n < 0 || n > maxLoginBytes {
		return nil, fmt.Errorf("%w: %d, want 0 to %d", errFrameLength, n, maxLoginBytes)
	}
	if _, err := r.Discard(frameLengthSize); err != nil {
		return nil, err
	}
	if err := c.reserve(int(n)); err != nil {
		return nil, err
	}
	pace := pace{c: c, lease: l}
	a := arrival{take: pace.take, give: l.shrink, alive: pace.alive, late: pace.late}
	buf, err := a.read(r, int(n))
	if err != nil {
		buf.put()
		return nil, c.slow(err)
	}
	cl := &call{header: header{key: kmsg.SASLAuthenticate.Int16()}, s: c.s, conn: c, ctx: c.requests, from: c.principal, bare: true,
		bytes: int(n), lease: l, frame: buf, answer: lease{pool: &c.s.memory.answers}}
	cl.entry, cl.tally = c.s.find(cl.key)
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = buf.b
	cl.req = req
	return cl, nil
}

// encodeToken returns the answer to a token without a header.
func encodeToken(resp kmsg.Response, buf *buffer) [][]byte {
	token := resp.(*kmsg.SASLAuthenticateResponse).SASLAuthBytes
	buf.b = append(binary.BigEndian.AppendUint32(buf.b[:0], uint32(len(token))), token...)
	return [][]byte{buf.b}
}

// conclude answers a call behind which the connection ends, if it is to be answered, after the time that failures take.
func (c *conn) conclude(cl *call, resp kmsg.Response) {
	c.pause()
	err := cl.ends
	c.reply(cl, resp)
	if !c.broken {
		c.breakOff(err)
	}
}

// pause waits for the time that failures take, or for the end of the connection.
func (c *conn) pause() {
	t := time.NewTimer(failedDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// fail ends the try, and the connection with it.
func (a *auth) fail(c *call, err error) {
	a.exchange, a.failed = nil, true
	c.s.tally.failedLogins.Add(1)
	c.ends = err
}

// begin begins a try by a mechanism.
func (a *auth) begin(c *call, mechanism string) {
	a.mechanism = mechanism
	users := c.s.in.Users.For(c.conn.ctx, c.conn.address())
	switch mechanism {
	case sasl.Plain:
		a.exchange = sasl.NewPlain(users)
	case sasl.OAuthBearer:
		a.exchange = sasl.NewOAuthBearer(func(token string) (sasl.Identity, error) {
			id, err := a.o.Token(c.conn.ctx, token)
			if err == nil && id.late() {
				err = errors.New("a token that has ended")
			}
			if err != nil {
				c.s.logger.Info("kafka: a token is refused", zap.String("client", c.conn.remote), zap.Error(err))
			}
			return sasl.Identity{Type: id.Principal.Type, Name: id.Principal.Name, Expires: id.Expires}, err
		})
	default:
		a.exchange = sasl.NewScram(mechanism, users)
	}
}

func (id Identity) late() bool { return !id.Expires.IsZero() && !time.Now().Before(id.Expires) }

// next takes a token and answers it; nil where the client gets no answer.
func (a *auth) next(c *call, token []byte) kmsg.Response {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	if a.known && a.mechanism != a.by {
		a.fail(c, errOtherMeans) // Kafka says nothing either
		return nil
	}
	answer, who, err := a.exchange.Next(token)
	if err == nil && who != nil {
		err = a.enter(c, resp, who)
	}
	if err != nil {
		what := "authentication"
		if a.known {
			what = "re-authentication"
		}
		told := fmt.Sprintf("Authentication failed during %s due to invalid credentials with SASL mechanism %s", what, a.mechanism)
		if t := sasl.Told(""); errors.As(err, &t) {
			told = string(t)
		}
		a.fail(c, fmt.Errorf("%w: %s by %s: %w", errLogin, what, a.mechanism, err))
		if c.bare {
			return nil // there is no place for a code
		}
		resp.ErrorCode, resp.ErrorMessage = codeSASLAuthenticationFailed, &told
		return resp
	}
	resp.SASLAuthBytes, resp.ErrorMessage = answer, noMessage()
	return resp
}

// enter opens the connection to who has logged in.
func (a *auth) enter(c *call, resp *kmsg.SASLAuthenticateResponse, id *sasl.Identity) error {
	who := Principal{cmp.Or(id.Type, UserType), id.Name}
	if a.known && who != a.who {
		return sasl.Told(fmt.Sprintf("Cannot change principals during re-authentication from %s.%s: %s.%s", a.who.Type, a.who.Name, who.Type, who.Name))
	}
	now, session := time.Now(), a.o.MaxReauth
	if !id.Expires.IsZero() {
		if left := max(id.Expires.Sub(now), time.Millisecond); session == 0 || left < session {
			session = left
		}
	}
	a.until = time.Time{}
	if session > 0 {
		a.until = now.Add(session)
	}
	resp.SessionLifetimeMillis = session.Milliseconds()
	a.known, a.who, a.by, a.exchange = true, who, a.mechanism, nil
	c.s.tally.logins.Add(1)
	c.conn.become(who)
	a.open.Store(true)
	return nil
}
