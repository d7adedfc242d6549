package kafka

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/quota"
)

// Quotas, as Kafka has them: who takes more than its limit is answered at once, and told how long to be still; until then
// its connection is not read, nor is carried out what was read of it (KIP-219). What somebody takes is counted for the door:
// the servers of a store have the same limits, and each counts for itself, as brokers do.

// cost is what a request has taken, as far as there are quotas.
type cost struct {
	began  time.Time     // of its handler; zero where nobody counts time
	spent  time.Duration // by the handler, without what it has waited
	waited time.Duration
	still  time.Duration // how long the client is to be still
}

// clock begins to count the time that a handler takes, if somebody has a limit of that.
func (c *call) clock() {
	if c.s.in.Quotas.Now().Has(quota.RequestPercent) {
		c.cost.began = time.Now()
	}
}

// handled ends what clock has begun. Who waits for others in a group takes no time.
func (c *call) handled() {
	if c.cost.began.IsZero() || c.entry.key == kmsg.JoinGroup || c.entry.key == kmsg.SyncGroup {
		return
	}
	c.cost.spent = max(0, time.Since(c.cost.began)-c.cost.waited)
}

// run carries a request out.
func (c *call) run() kmsg.Response {
	c.clock()
	resp := c.entry.answer(c, c.req)
	c.handled()
	return resp
}

// idled returns what a handler that has waited calls when that is over.
func (c *call) idled() func() {
	if c.cost.began.IsZero() {
		return func() {}
	}
	began := time.Now()
	return func() { c.cost.waited += time.Since(began) }
}

// take notes that the client has taken n of what limit is about, and returns how long it is to be still for that.
func (c *call) take(limit string, n float64) time.Duration {
	return c.s.meters.Take(c.s.in.Quotas.Now(), limit, c.from.Name, c.clientID, time.Now(), n)
}

// strictSince is the version from which on a request is refused what its client may not change by controller_mutation_rate, as in Kafka; before, it is
// carried out, and the client is to be still.
var strictSince = map[kmsg.Key]int16{kmsg.CreateTopics: 6, kmsg.DeleteTopics: 5, kmsg.CreatePartitions: 3, kmsg.Metadata: 0}

// mutate counts partitions that the request is about to create or delete, also where it only asks whether it could. It returns an error where
// they are too many.
func (c *call) mutate(partitions int) error {
	strict := c.version >= strictSince[c.entry.key]
	still, ok := c.s.meters.Change(c.s.in.Quotas.Now(), c.from.Name, c.clientID, time.Now(), float64(partitions), strict)
	c.cost.still = max(c.cost.still, still)
	if ok {
		return nil
	}
	return protocolError{codeThrottlingQuotaExceeded, fmt.Sprintf("the controller_mutation_rate has been exceeded, try again in %v", still)}
}

// fetchQuota counts the bytes of a Fetch, and reports whether they may be sent: those of who has taken too much are kept
// back, and do not count, as in Kafka, unless they are more than its limit could ever give at once.
func (c *call) fetchQuota(bytes int) bool {
	limits := c.s.in.Quotas.Now()
	value, _, ok := limits.Of(quota.FetchBytes, c.from.Name, c.clientID)
	if !ok {
		return true
	}
	now := time.Now()
	c.cost.still = c.s.meters.Take(limits, quota.FetchBytes, c.from.Name, c.clientID, now, float64(bytes))
	if c.cost.still == 0 || float64(bytes) > value*quota.Window.Seconds() {
		return true
	}
	c.s.meters.Return(limits, quota.FetchBytes, c.from.Name, c.clientID, now, float64(bytes))
	return false
}

// fetchMost bounds the bytes of a Fetch by what its client may have in all of a window.
func (c *call) fetchMost(most int) int {
	if value, _, ok := c.s.in.Quotas.Now().Of(quota.FetchBytes, c.from.Name, c.clientID); ok {
		return int(min(float64(most), value*quota.Window.Seconds()))
	}
	return most
}

// charge counts what a request has taken, and has the answer, nil for none, say how long the client is to be still.
func (c *call) charge(resp kmsg.Response) {
	limits := c.s.in.Quotas.Now()
	if !limits.Any() {
		return
	}
	switch {
	case c.entry.key == kmsg.Produce && limits.Has(quota.ProduceBytes):
		c.cost.still = max(c.cost.still, c.take(quota.ProduceBytes, float64(c.bytes)))
	case c.entry.key == kmsg.ShareFetch && limits.Has(quota.FetchBytes):
		c.cost.still = max(c.cost.still, c.take(quota.FetchBytes, float64(c.arena.bytes())))
	}
	if c.cost.spent > 0 {
		c.cost.still = max(c.cost.still, c.take(quota.RequestPercent, 100*c.cost.spent.Seconds()))
	}
	if t, ok := resp.(kmsg.SetThrottleResponse); ok && c.cost.still > 0 {
		t.SetThrottle(int32(c.cost.still.Milliseconds()))
	}
}

// mute has the connection be still from now on for a while.
func (c *conn) mute(d time.Duration) {
	if d > 0 {
		c.muted.Store(time.Now().Add(d).UnixNano())
	}
}

// unmuted returns when the connection may be heard again. It reports false when the connection, or the server, ends before, and so it does
// when it has been still for IdleTimeout, as in Kafka: nobody notices meanwhile that the client has gone, and the time may be weeks.
func (c *conn) unmuted() bool {
	idle := time.Now().Add(c.s.opts.IdleTimeout)
	for {
		until := c.muted.Load()
		if until == 0 {
			return true
		}
		d := time.Until(time.Unix(0, until))
		if d <= 0 {
			c.muted.CompareAndSwap(until, 0)
			continue
		}
		left := time.Until(idle)
		if left <= 0 {
			c.end(errIdle)
			return false
		}
		timer := time.NewTimer(min(d, left))
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// tooSoon reports whether a connection is more than its address may make (connection_creation_rate), and has it end then: not at once, as its client
// would be back at once, but as in Kafka after what it takes to be within the limit, a second at most. Meanwhile it is not read. The lock is held.
func (s *Server) tooSoon(nc net.Conn) bool {
	still := s.meters.Connect(s.in.Quotas.Now(), hostOf(nc.RemoteAddr()), time.Now())
	if still == 0 || s.closing {
		return false
	}
	s.tally.refused.Add(1)
	if s.held >= s.opts.MaxConnections {
		_ = nc.Close()
		return true
	}
	s.logger.Debug("kafka: a connection has come too soon", zap.Stringer("client", nc.RemoteAddr()), zap.Duration("ends in", still))
	s.held++
	s.wg.Go(func() {
		timer := time.NewTimer(still)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
		}
		_ = nc.Close()
		s.mu.Lock()
		s.held--
		s.mu.Unlock()
	})
	return true
}
