package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/partition"
)

// conn is one connection. Its reader hands requests to its server in order, and its server
// answers them in that order.
type conn struct {
	s      *Server
	nc     net.Conn
	remote string          // the address of nc, for hooks
	ctx    context.Context // ends when the client has gone or the server closes
	cancel context.CancelFunc

	principal Principal       // who it is; changed by become
	requests  context.Context // ctx, with the principal
	auth      *auth           // how far it is in saying so; nil where nobody is asked

	calls    chan *call        // what was read; closed by the reader at its end
	inFlight atomic.Int32      // requests that were read and are not answered
	buffered atomic.Int64      // and their bytes
	muted    atomic.Int64      // until when the client is to be still, in ns since the epoch; 0 for not
	answered *partition.Waiter // one of those has become less

	ended  atomic.Bool // the reason was logged
	broken bool        // the server's own: nothing more is carried out or written

	session     *fetchSession // the server's own
	lastSession int32
}

const (
	readBufferBytes = 4 << 10         // of a connection that is idle; large frames go past it
	writeChunkBytes = 1 << 20         // that a client must have read, each, within WriteTimeout
	closeGrace      = 1 * time.Second // for the last answers, when the server closes
	pressedTimeout  = 2 * time.Second // in place of WriteTimeout, while others wait for the memory
)

var (
	errIdle = errors.New("idle for too long")
	errSlow = errors.New("the client does not read its answers")

	errHalfSent = fmt.Errorf("%w, in the middle of a request", errIdle)
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		s: s, nc: nc, remote: nc.RemoteAddr().String(),
		calls:    make(chan *call, s.opts.MaxInFlight),
		answered: partition.NewWaiter(),
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.become(Anonymous)
	c.auth = s.newAuth()
	return c
}

// stop ends reading, and what waits, now, and writing soon. It is called when the server
// closes, whose context has ended.
func (c *conn) stop() {
	now := time.Now()
	_ = c.nc.SetReadDeadline(now)
	_ = c.nc.SetWriteDeadline(now.Add(closeGrace))
}

// end makes what waits for the connection end, and logs why it ends, once. That the client has
// gone or that the server closes is no news.
func (c *conn) end(err error) {
	c.cancel()
	if !c.ended.CompareAndSwap(false, true) || c.s.ctx.Err() != nil {
		return
	}
	level := zap.WarnLevel
	var netErr net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		level = zap.DebugLevel
	case errors.Is(err, errIdle), errors.Is(err, errLogin), errors.Is(err, errHandshake):
		level = zap.InfoLevel
	case errors.As(err, &netErr):
		level = zap.DebugLevel
	}
	if level == zap.WarnLevel {
		c.s.tally.broken.Add(1)
	}
	c.s.logger.Log(level, "kafka: connection ended", zap.Stringer("client", c.nc.RemoteAddr()), zap.Error(err))
}

// serve is the goroutine that carries requests out.
func (c *conn) serve() {
	defer c.s.forget(c)
	defer func() { _ = c.nc.Close() }()
	defer func() { c.session.end(c.s.memory) }()
	defer c.releaseShares()
	var q queue
	for {
		var done <-chan struct{}
		if len(q) > 0 {
			done = q[0].pending.done()
		}
		select {
		case <-done:
			c.finish(&q, false)
		case cl, ok := <-c.calls:
			if !ok {
				c.finish(&q, true)
				return
			}
			if c.muted.Load() != 0 {
				c.finish(&q, true)
				c.unmuted()
			}
			c.carryOut(cl, &q)
		}
	}
}

// queue is the requests that were begun and are not answered, oldest first.
type queue []begun

type begun struct {
	call    *call
	pending pending
}

// carryOut answers a request, or begins with it.
func (c *conn) carryOut(cl *call, q *queue) {
	if c.broken {
		c.forget(cl)
		return
	}
	if err := c.meetFaults(cl, q); err != nil {
		c.fail(cl, err)
		return
	}
	if !c.admitted(cl, q) {
		return
	}
	if c.s.cluster != nil && c.meetCluster(cl, q) {
		return
	}
	if cl.entry.begin != nil {
		cl.clock()
		*q = append(*q, begun{cl, cl.entry.begin(cl, cl.req)})
		cl.handled()
		return
	}
	c.finish(q, true)
	if cl.entry.long {
		c.answerLong(cl)
		return
	}
	resp := cl.run()
	if cl.ends != nil {
		c.conclude(cl, resp)
		return
	}
	c.reply(cl, resp)
}

// answerLong carries out a request whose answer may be long though it is short. Such answers are
// made one at a time, and each waits for its memory before the next is made.
func (c *conn) answerLong(cl *call) {
	mem := c.s.memory
	if mem.making.TakeUntil(c.s.ctx) != nil {
		c.breakOff(net.ErrClosed)
		c.forget(cl)
		return
	}
	resp := cl.run()
	buf := getBuffer(firstAnswerBytes)
	pieces := c.encode(cl, resp, buf)
	_, err := cl.answer.takeUpTo(c.s.ctx, cap(buf.b), 0)
	mem.making.Give()
	if err != nil {
		err = net.ErrClosed
	} else if err := c.meetAnswer(cl); err != nil {
		buf.put()
		c.fail(cl, err)
		return
	}
	c.send(cl, pieces, buf, err)
}

// finish answers the requests at the head of q that are done; with all it waits for the others
// too.
func (c *conn) finish(q *queue, all bool) {
	n := 0
	for _, b := range *q {
		if !all && n > 0 && !isDone(b.pending) {
			break
		}
		if all {
			<-b.pending.done()
		}
		n++
		resp, err := b.pending.answer()
		if err != nil {
			c.breakOff(err)
		}
		c.reply(b.call, resp)
	}
	left := copy(*q, (*q)[n:])
	clear((*q)[left:])
	*q = (*q)[:left]
}

func isDone(p pending) bool {
	select {
	case <-p.done():
		return true
	default:
		return false
	}
}

// firstAnswerBytes is what most answers need.
const firstAnswerBytes = 1 << 10

// reply gives an answer, which the test kit may hold up or lose.
func (c *conn) reply(cl *call, resp kmsg.Response) {
	if resp != nil && !c.broken {
		if err := c.meetAnswer(cl); err != nil {
			c.fail(cl, err)
			return
		}
	}
	c.give(cl, resp)
}

// give writes an answer, unless it is nil, and forgets the call.
func (c *conn) give(cl *call, resp kmsg.Response) {
	if resp == nil || c.broken {
		cl.charge(nil)
		c.forget(cl)
		return
	}
	buf := getBuffer(firstAnswerBytes)
	c.send(cl, c.encode(cl, resp, buf), buf, nil)
}

// encode returns the frame of an answer, in memory of buf and of the call.
func (c *conn) encode(cl *call, resp kmsg.Response, buf *buffer) [][]byte {
	c.s.tally.answered(cl, resp)
	cl.charge(resp)
	resp.SetVersion(cl.answerVersion())
	if cl.bare {
		return encodeToken(resp, buf)
	}
	return splice(nil, buf, cl.correlationID, resp, cl.blanks)
}

// send writes the frame of an answer, unless there is an error, and forgets the call.
func (c *conn) send(cl *call, frame [][]byte, buf *buffer, err error) {
	if err == nil {
		for _, piece := range frame {
			cl.answerBytes += len(piece)
		}
		err = c.write(frame)
	}
	if err != nil {
		c.breakOff(err)
	}
	buf.put()
	c.forget(cl)
}

// breakOff ends the connection at once.
func (c *conn) breakOff(err error) {
	c.broken = true
	c.end(err)
	_ = c.nc.Close() // ends the reader
}

// forget makes room for another request.
func (c *conn) forget(cl *call) {
	c.s.tally.went(cl, c.broken)
	c.mute(cl.cost.still)
	cl.release()
	c.inFlight.Add(-1)
	c.buffered.Add(-int64(cl.bytes))
	c.answered.Wake()
}

// write writes an answer, which the client has to read part by part.
func (c *conn) write(answer [][]byte) error {
	var part net.Buffers
	for len(answer) > 0 {
		timeout := c.s.opts.WriteTimeout
		if c.s.memory.answers.isPressed() {
			timeout = min(timeout, pressedTimeout)
		}
		if err := c.nc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if c.s.ctx.Err() != nil && timeout > closeGrace {
			_ = c.nc.SetWriteDeadline(time.Now().Add(closeGrace)) // stop may have set its own before ours
		}
		part, answer = cutPieces(answer, writeChunkBytes)
		n, err := c.writePart(part)
		c.s.tally.out.Add(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errSlow
		}
		if err != nil {
			return err
		}
	}
	return nil
}
