package kafka

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/quota"
	"github.com/samsa-go/samsa/log"
)

// limit sets a quota by a request; a name of "" is the default.
func (c *client) limit(entity, name, quota string, value float64) {
	c.t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	part := kmsg.AlterClientQuotasRequestEntryEntity{Type: entity}
	if name != "" {
		part.Name = &name
	}
	e.Entity = append(e.Entity, part)
	e.Ops = append(e.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: quota, Value: value, Remove: value == 0})
	req.Entries = append(req.Entries, e)
	for _, r := range ask[*kmsg.AlterClientQuotasResponse](c, 1, req).Entries {
		if r.ErrorCode != codeNone {
			c.t.Fatalf("%s %s %s: %d, %s", entity, name, quota, r.ErrorCode, orNone(r.ErrorMessage))
		}
	}
}

// Whoever has produced too much is answered at once, and heard again when the time is over that it was told; so are requests that it
// has sent meanwhile, and others are heard as before.
func TestProduceQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("orders", samsa.TopicConfig{})
		other, c := k.dial(), k.dial()
		other.limit("user", "ANONYMOUS", quota.ProduceBytes, 1000)
		large := batch(t, log.CodecNone, record{1, "", strings.Repeat("x", 15_000)})
		for _, acks := range []int16{1, 0} {
			began := time.Now()
			var still time.Duration
			if acks == 0 {
				c.send(9, produceRequest(0, "orders", large))
				c.sent = c.sent[1:]
			} else {
				resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(acks, "orders", large))
				still = time.Duration(resp.ThrottleMillis) * time.Millisecond
				if still < 5*time.Second || time.Since(began) > 0 {
					t.Errorf("told to be still for %v after %v", still, time.Since(began))
				}
			}
			synctest.Wait()
			meanwhile := k.dial()
			ask[*kmsg.HeartbeatResponse](meanwhile, 4, kmsg.NewPtrHeartbeatRequest())
			if d := time.Since(began); d > 0 {
				t.Errorf("others wait %v", d)
			}
			c.send(4, kmsg.NewPtrHeartbeatRequest())
			c.send(4, kmsg.NewPtrHeartbeatRequest())
			c.receive()
			c.receive()
			if d := time.Since(began); acks != 0 && d != still || acks == 0 && d < 5*time.Second {
				t.Errorf("acks %d: was heard again after %v, not %v", acks, d, still)
			}
			time.Sleep(time.Minute)
		}
		other.limit("user", "ANONYMOUS", quota.ProduceBytes, 0)
		if resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", large)); resp.ThrottleMillis != 0 {
			t.Errorf("without a quota: %d", resp.ThrottleMillis)
		}
		if n := len(k.values("orders", 3)); n != 3 {
			t.Errorf("%d records", n)
		}
	})
}

// Whoever has fetched too much gets nothing, and the same records once it has been still; a batch that is larger than all that its
// limit could give comes all the same.
func TestFetchQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("orders", samsa.TopicConfig{})
		c := k.dial()
		for _, n := range []int{8000, 8000, 20_000} {
			ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, log.CodecNone, record{1, "", strings.Repeat("x", n)})))
		}
		c.limit("client-id", "", quota.FetchBytes, 1000)
		read, empty := 0, 0
		for offset := int64(0); offset < 3; {
			began := time.Now()
			resp := ask[*kmsg.FetchResponse](c, 11, fetchRequest("orders", offset))
			if d := time.Since(began); d > 0 {
				t.Errorf("the answer came after %v", d)
			}
			still := time.Duration(resp.ThrottleMillis) * time.Millisecond
			if len(resp.Topics) == 0 {
				if empty++; still == 0 {
					t.Fatal("nothing, and nobody says why")
				}
			} else {
				n := len(fetched(t, resp))
				read, offset = read+n, offset+int64(n)
			}
			ask[*kmsg.HeartbeatResponse](c, 4, kmsg.NewPtrHeartbeatRequest())
			if d := time.Since(began); d != still {
				t.Errorf("told to be still for %v, and heard after %v", still, d)
			}
		}
		if read != 3 || empty == 0 {
			t.Errorf("%d records, %d times nothing", read, empty)
		}
	})
}

// Quotas that were set are told by filters, and what cannot be one is refused.
func TestQuotasAreTold(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	c.limit("user", "alice", quota.RequestPercent, 50)
	c.limit("user", "", quota.ProduceBytes, 1000)
	c.limit("ip", "10.0.0.1", quota.Connections, 3)
	told := func(strict bool, components ...kmsg.DescribeClientQuotasRequestComponent) (lines []string) {
		req := kmsg.NewPtrDescribeClientQuotasRequest()
		req.Components, req.Strict = components, strict
		for _, e := range ask[*kmsg.DescribeClientQuotasResponse](c, 1, req).Entries {
			line := ""
			for _, p := range e.Entity {
				line += p.Type + "=" + orNone(p.Name) + " "
			}
			for _, v := range e.Values {
				line += v.Key
			}
			lines = append(lines, line)
		}
		return lines
	}
	alice := "alice"
	for want, got := range map[string][]string{
		"ip=10.0.0.1 connection_creation_rate|user= producer_byte_rate|user=alice request_percentage": told(false),
		"user=alice request_percentage":                          told(true, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", Match: &alice}),
		"user= producer_byte_rate":                               told(true, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", MatchType: 1}),
		"user= producer_byte_rate|user=alice request_percentage": told(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", MatchType: 2}),
		"": told(true, kmsg.DescribeClientQuotasRequestComponent{EntityType: "client-id", MatchType: 2}),
	} {
		if strings.Join(got, "|") != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	for _, key := range []string{"none", quota.ProduceBytes, quota.ProduceBytes} {
		e := kmsg.NewAlterClientQuotasRequestEntry()
		e.Entity = []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: kmsgString("bob")}}
		e.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: 1}}
		req.Entries = append(req.Entries, e)
	}
	req.ValidateOnly = true
	resp := ask[*kmsg.AlterClientQuotasResponse](c, 1, req)
	if resp.Entries[0].ErrorCode != codeInvalidRequest || resp.Entries[1].ErrorCode != codeNone || resp.Entries[2].ErrorCode != codeInvalidRequest || len(told(false)) != 3 {
		t.Errorf("got %+v", resp.Entries)
	}
}

// The time that a handler takes counts, what it waits for does not; and what is told is bounded by a window.
func TestRequestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		c := k.dial()
		c.limit("user", "ANONYMOUS", quota.RequestPercent, 1)
		cl := &call{s: k.srv, from: Anonymous, entry: &table[0]}
		cl.clock()
		time.Sleep(time.Hour)
		waited := cl.idled()
		time.Sleep(time.Hour)
		waited()
		if cl.handled(); cl.cost.spent != time.Hour {
			t.Errorf("took %v", cl.cost.spent)
		}
		resp := kmsg.NewPtrHeartbeatResponse()
		if cl.charge(resp); resp.ThrottleMillis != 1000 {
			t.Errorf("told to be still for %d ms", resp.ThrottleMillis)
		}
	})
}

// A client that is to be still for weeks holds its connection no longer than one that is idle, whether it has gone or sends more.
func TestStillForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("orders", samsa.TopicConfig{})
		gone, sends := k.dial(), k.dial()
		gone.limit("user", "ANONYMOUS", quota.ProduceBytes, 1)
		large := batch(t, log.CodecNone, record{1, "", strings.Repeat("x", 15_000)})
		for _, c := range []*client{gone, sends} {
			resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", large))
			if still := time.Duration(resp.ThrottleMillis) * time.Millisecond; still < 2*k.srv.opts.IdleTimeout {
				t.Fatalf("told to be still for %v", still)
			}
		}
		more := kmsg.NewPtrHeartbeatRequest()
		more.SetVersion(4)
		for _, c := range []*client{gone, sends} {
			go func() { _, _ = c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, more, 9)) }() // it may be that nobody reads it, ever
		}
		synctest.Wait()
		_ = gone.Close()
		time.Sleep(k.srv.opts.IdleTimeout + k.srv.opts.WriteTimeout + time.Second) // nobody reads the answer
		synctest.Wait()
		if n := k.srv.Stats().Connections; n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}
