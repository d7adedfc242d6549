package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// live returns the bytes of the heap that are in use.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // empties the pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// namesRequest is the frame of a Metadata request that names so many topics, all different.
func namesRequest(topics int) []byte {
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	for i := range topics {
		name := fmt.Sprintf("%x", i)
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
}

// Clients that ask for much and read nothing of it have no more than the budget together,
// whatever they ask for; nobody waits for ever, and a client that reads gets its answers.
func TestSlowReadersKeepTheBudget(t *testing.T) {
	const budget = 64 << 20
	names := namesRequest(100_000)
	for name, ask := range map[string]func(c *client){
		"fetches": func(c *client) {
			req := fetchRequest("web_log", 0)
			req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 50<<20, 50<<20
			c.send(12, req)
		},
		"names": func(c *client) {
			_, _ = c.Write(names)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := startPipe(t, samsa.Options{}, Options{MaxMemoryBytes: budget})
				k.create("web_log", samsa.TopicConfig{})
				c := k.dial()
				for range 20 {
					b := batch(t, log.CodecNone, record{1, "", strings.Repeat("x", 1_000_000)})
					produced := produceRequest(1, "web_log", b)
					c.send(9, produced)
					c.receive()
				}
				c.sent = nil
				before := live()
				for range 20 {
					slow := k.dial()
					go ask(slow) // the server may not read it yet
				}
				synctest.Wait()
				if took := live() - before; took > budget {
					t.Errorf("20 clients that read nothing have %d MB", took>>20)
				}
				if r := &k.srv.memory.answers; r.free < 0 {
					t.Errorf("%d bytes of answers more than there are", -r.free)
				}
				resp := fetchNow(k, c)
				if recs := fetched(t, resp); len(recs) == 0 {
					t.Error("others get nothing")
				}
			})
		})
	}
}

// fetchNow fetches the first record of web_log, however long that takes.
func fetchNow(k *kit, c *client) *kmsg.FetchResponse {
	req := fetchRequest("web_log", 0)
	req.MaxBytes = 1
	c.send(12, req)
	return c.receive().(*kmsg.FetchResponse)
}

// Requests of which only a part has come take what has come, within the budget. Who goes on too
// late is cut off, and others are served meanwhile or then.
func TestHalfSentFramesKeepTheBudget(t *testing.T) {
	const budget = 64 << 20
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{MaxMemoryBytes: budget})
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		before := live()
		began := time.Now()
		half := make([]byte, 5<<20) // of a frame of 8 MB
		binary.BigEndian.PutUint32(half, 8<<20)
		var cut sync.WaitGroup
		for range 30 {
			slow := k.dial()
			cut.Go(func() {
				_, _ = slow.Write(half)
				_, _ = io.ReadAll(slow)
			})
		}
		synctest.Wait()
		if took := live() - before; took > budget {
			t.Errorf("30 halves of requests have %d MB", took>>20)
		}
		p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", "x"})))
		if p.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("got %+v", p)
		}
		cut.Wait()
		if !k.logged(errHalfSent) {
			t.Error("the log does not say why they were cut off")
		}
		synctest.Wait()
		if r := &k.srv.memory.requests; r.free != r.shared || r.reserved != nil {
			t.Errorf("%d bytes are not given back, after %v", r.shared-r.free, time.Since(began))
		}
	})
}

// Requests larger than what is shared come through one after the other, all of them.
func TestLargeRequestsTakeTurns(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxMemoryBytes: 64 << 20})
	k.create("web_log", samsa.TopicConfig{MaxMessageBytes: 16 << 20})
	b := batch(t, log.CodecNone, record{1, "", strings.Repeat("x", 8<<20)})
	done := make(chan int16)
	const clients = 8
	for range clients {
		c := k.dial()
		go func() {
			resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", b))
			done <- resp.Topics[0].Partitions[0].ErrorCode
		}()
	}
	for range clients {
		if code := <-done; code != 0 {
			t.Errorf("got error %d", code)
		}
	}
}

// What can never fit is refused, and the log says what and why.
func TestRequestsThatNeverFit(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxMemoryBytes: 64 << 20})
	c := k.dial()
	c.write([]byte{0, 0xf0, 0, 0, 0, 0}) // 15 MiB of Produce
	c.ended()
	if !k.logged(errFrameLength) {
		t.Error("a frame that is too long is not logged")
	}
	c = k.dial()
	_, _ = c.Write(namesRequest(120_000)) // it may be cut off before the end
	c.ended()
	if !k.logged(errTooMuch) && !k.logged(errFrameLength) {
		t.Error("a request that names too much is not logged")
	}
}

// What a request is charged when it is decoded is what it takes, or more; the worst of those
// that name most in few bytes takes no more to be answered either.
func TestManyNamesAreChargedForWhatTheyTake(t *testing.T) {
	k := start(t, samsa.Options{}, Options{Advertise: "localhost:9"})
	c := &conn{s: k.srv}
	frame := namesRequest(100_000)[frameLengthSize:]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l := k.lease()
	cl, err := c.parse(frame, nil, l)
	if err != nil {
		t.Fatal(err)
	}
	charged := uint64(l.shared + l.reserved)
	resp := cl.entry.answer(cl, cl.req)
	resp.SetVersion(9)
	_ = appendAnswer(nil, 1, resp)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 2*charged { // what append leaves behind as it grows is garbage
		t.Errorf("it takes %d bytes, and is charged %d", took, charged)
	}
	l.end()
}

// Fetch sessions remember within their part of the budget; beyond it clients fetch without, and
// what sessions had is given back with their connections.
func TestSessionsKeepTheBudget(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxMemoryBytes: 64 << 20})
	k.create("web_log", samsa.TopicConfig{})
	req := fetchRequest("web_log", 0)
	req.SessionEpoch, req.MinBytes = sessionNew, 0
	first := req.Topics[0].Partitions[0]
	for i := range 3000 {
		first.Partition = int32(i)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions[:i:i], first)
	}
	var with, without int
	var all []*client
	for range 6 {
		c := k.dial()
		all = append(all, c)
		resp := ask[*kmsg.FetchResponse](c, 12, req)
		if resp.ErrorCode == 0 && resp.SessionID != 0 {
			with++
		} else {
			without++
		}
	}
	if m := k.srv.memory; with == 0 || without == 0 || m.sessions.Load() > m.maxSessions {
		t.Errorf("%d with a session, %d without, %d bytes of %d", with, without, m.sessions.Load(), m.maxSessions)
	}
	for _, c := range all {
		_ = c.Close()
	}
	if err := k.srv.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if n := k.srv.memory.sessions.Load(); n != 0 {
		t.Errorf("%d bytes are not given back", n)
	}
}

// Who asks for the same thing again and again is told once: the answer does not grow with it.
func TestTheSameThingIsDescribedOnce(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 10})
	c := k.dial()
	name := "web_log"
	md, dc := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrDescribeConfigsRequest()
	dg, of := kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrOffsetFetchRequest()
	for range 1000 {
		md.Topics = append(md.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		dc.Resources = append(dc.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name})
		dg.Groups = append(dg.Groups, "workers")
		of.Groups = append(of.Groups, kmsg.OffsetFetchRequestGroup{Group: "workers"})
	}
	for kind, n := range map[string]int{
		"Metadata":        len(ask[*kmsg.MetadataResponse](c, 9, md).Topics),
		"DescribeConfigs": len(ask[*kmsg.DescribeConfigsResponse](c, 4, dc).Resources),
		"DescribeGroups":  len(ask[*kmsg.DescribeGroupsResponse](c, 5, dg).Groups),
		"OffsetFetch":     len(ask[*kmsg.OffsetFetchResponse](c, 8, of).Groups),
	} {
		if n != 1 {
			t.Errorf("%s: %d answers", kind, n)
		}
	}
}
