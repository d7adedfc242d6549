package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// What comes in through the wire is what the Go API reads, and the other way round.
func TestOneStoreTwoDoors(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	produced := ask[*kmsg.ProduceResponse](c, 9, produceRequest(-1, "web_log", batch(t, log.CodecSnappy, record{1, "", "wire 0"}, record{2, "k", "wire 1"})))
	if p := produced.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 || p.LogAppendTime != -1 || p.LogStartOffset != 0 {
		t.Fatalf("got %+v", p)
	}
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "web_log", Value: []byte("go 2")}); err != nil {
		t.Fatal(err)
	}
	if got := k.values("web_log", 3); got[0] != "wire 0" || got[1] != "wire 1" || got[2] != "go 2" {
		t.Errorf("the Go consumer got %q", got)
	}
	resp := ask[*kmsg.FetchResponse](c, 12, fetchRequest("web_log", 0))
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.HighWatermark != 3 || p.LastStableOffset != 3 || p.LogStartOffset != 0 {
		t.Errorf("got %+v", p)
	}
	recs := fetched(t, resp)
	if len(recs) != 3 || string(recs[1].Key) != "k" || string(recs[2].Value) != "go 2" || recs[2].Offset != 2 {
		t.Errorf("fetched %v", recs)
	}
}

// Requests that were sent at once are answered in their order, those that overlap too.
func TestAnswersKeepTheOrder(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxInFlight: 4})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	go func() { // the server stops reading while too much is in flight
		for i := range 100 {
			c.send(9, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", "x"})))
			if i%10 == 9 {
				c.send(9, kmsg.NewPtrMetadataRequest())
			}
		}
	}()
	var id int32
	for i := range 100 {
		id++
		var resp kmsg.ProduceResponse
		resp.SetVersion(9)
		if err := resp.ReadFrom(c.receiveFrame(id)[1:]); err != nil {
			t.Fatal(err)
		}
		if p := resp.Topics[0].Partitions[0]; p.BaseOffset != int64(i) {
			t.Fatalf("request %d got offset %d", i, p.BaseOffset)
		}
		if i%10 == 9 {
			id++
			c.receiveFrame(id)
		}
	}
}

// A fetch that waits holds up nobody else, and is woken by what they produce.
func TestWaitingFetch(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	waiting, other := k.dial(), k.dial()
	waiting.send(12, fetchRequest("web_log", 0))
	ask[*kmsg.ProduceResponse](other, 9, produceRequest(1, "web_log", batch(t, log.CodecNone, record{1, "", "x"})))
	if recs := fetched(t, waiting.receive().(*kmsg.FetchResponse)); len(recs) != 1 {
		t.Errorf("got %v", recs)
	}
}

// A fetch waits for as much as it asks for, and no longer than it asks for.
func TestFetchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		began := time.Now()
		req := fetchRequest("web_log", 0)
		req.MaxWaitMillis, req.MinBytes = 500, 200
		c.send(12, req)
		b := batch(t, log.CodecNone, record{1, "", "x"})
		ask[*kmsg.ProduceResponse](k.dial(), 9, produceRequest(1, "web_log", b))
		resp := c.receive().(*kmsg.FetchResponse)
		if recs := fetched(t, resp); len(recs) != 1 || time.Since(began) != 500*time.Millisecond {
			t.Errorf("got %v after %v", recs, time.Since(began))
		}
		req.MinBytes = int32(len(b)) + 1
		c.send(12, req)
		ask[*kmsg.ProduceResponse](k.dial(), 9, produceRequest(1, "web_log", b))
		resp = c.receive().(*kmsg.FetchResponse)
		if recs := fetched(t, resp); len(recs) != 2 || time.Since(began) != 500*time.Millisecond {
			t.Errorf("got %v after %v", recs, time.Since(began))
		}
	})
}

// Closing the server, or its broker, ends connections and fetches that wait.
func TestClose(t *testing.T) {
	for name, end := range map[string]func(*kit) error{
		"server": func(k *kit) error { return k.srv.Close() },
		"broker": func(k *kit) error { return k.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			k := start(t, samsa.Options{}, Options{})
			k.create("web_log", samsa.TopicConfig{})
			c := k.dial()
			c.send(12, fetchRequest("web_log", 0))
			k.dial()
			if err := errors.Join(end(k), k.srv.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := net.Dial("tcp", k.srv.Addr().String()); err == nil {
				t.Error("there is somebody at the address still")
			}
			if _, err := Listen(k.Broker, "127.0.0.1:0", Options{}); name == "broker" && !errors.Is(err, log.ErrClosed) {
				t.Errorf("listen for a broker that is closed: %v", err)
			}
		})
	}
}

// Who sends what is no request is cut off, with a reason in the log; others go on.
func TestCutOff(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxFrameBytes: 1 << 20})
	other := k.dial()
	request := func(key, version int16, body ...byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(10+len(body)))
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		return append(append(b, 0, 0, 0, 1, 0xff, 0xff), body...)
	}
	for name, tt := range map[string]struct {
		sent []byte
		want error
	}{
		"another protocol":   {[]byte("SSH-2.0-OpenSSH_9.9\r\n"), errFrameLength},
		"negative length":    {[]byte{0xff, 0xff, 0xff, 0xff, 0, 0}, errFrameLength},
		"length beyond all":  {[]byte{0, 0x10, 0, 1, 0, 0}, errFrameLength},
		"no header":          {[]byte{0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 1}, errHeader},
		"unknown key":        {request(999, 0), errUnknownKey},
		"unknown version":    {request(3, 99), errUnknownVersion},
		"malformed body":     {request(3, 1, 0x7f, 0xff, 0xff, 0xff), errMalformed},
		"malformed tags":     {request(3, 9, 9), errHeader},
		"answer to a demand": {request(18, 3, 0, 0x7f), errMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			c := k.dial()
			c.t = t
			c.write(tt.sent)
			c.ended()
			if !k.logged(tt.want) {
				t.Errorf("not logged: %v", tt.want)
			}
			k.logs.TakeAll()
		})
	}
	ask[*kmsg.MetadataResponse](other, 1, kmsg.NewPtrMetadataRequest())
}

// A length costs nothing until its bytes have come, and then a small multiple of them.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	sent := bytes.Repeat([]byte{7}, 100_000)
	takes, most := 0, 0
	a := arrival{
		take:  func(n int) error { takes += n; most = max(most, takes); return nil },
		give:  func(n int) { takes -= n },
		alive: func(int) error { return nil },
	}
	got, err := a.read(bytes.NewReader(sent), 1<<30)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got.b, sent) || takes != cap(got.b) || most > 7*len(sent) {
		t.Errorf("%d bytes in a buffer of %d, %d taken, %d at most, error %v", len(got.b), cap(got.b), takes, most, err)
	}
	takes, most = 0, 0
	got, err = a.read(bytes.NewReader(sent), len(sent))
	if err != nil || !bytes.Equal(got.b, sent) || takes != cap(got.b) || most > 2*len(sent) {
		t.Errorf("%d bytes in a buffer of %d, %d taken, %d at most, error %v", len(got.b), cap(got.b), takes, most, err)
	}
}

// Silence ends a connection, but not one that waits for an answer.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{IdleTimeout: time.Minute})
		k.create("web_log", samsa.TopicConfig{})
		began := time.Now()
		busy, idle := k.dial(), k.dial()
		req := fetchRequest("web_log", 0)
		req.MaxWaitMillis = int32(90 * time.Second / time.Millisecond)
		busy.send(12, req)
		idle.ended()
		if d := time.Since(began); d != time.Minute || !k.logged(errIdle) {
			t.Errorf("ended after %v, logged: %v", d, k.logged(errIdle))
		}
		busy.receive()
		busy.ended()
		if d := time.Since(began); d != 2*time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}

// A client that reads none of its answers is cut off.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{WriteTimeout: time.Minute})
		began := time.Now()
		c := k.dial()
		c.send(9, kmsg.NewPtrMetadataRequest())
		time.Sleep(59 * time.Second) // in the bubble: no time passes
		synctest.Wait()
		if k.logged(errSlow) {
			t.Errorf("cut off after %v", time.Since(began))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !k.logged(errSlow) {
			t.Error("not cut off")
		}
		c.ended()
	})
}

func TestTooManyConnections(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxConnections: 2})
	first, second := k.dial(), k.dial()
	ask[*kmsg.MetadataResponse](first, 1, kmsg.NewPtrMetadataRequest())
	ask[*kmsg.MetadataResponse](second, 1, kmsg.NewPtrMetadataRequest())
	k.dial().ended()
	ask[*kmsg.MetadataResponse](first, 1, kmsg.NewPtrMetadataRequest())
}

func TestOptions(t *testing.T) {
	k := newKit(t, samsa.Options{})
	for _, tt := range []struct {
		addr string
		opts Options
	}{
		{"nonsense", Options{}},
		{"0.0.0.0:0", Options{}},
		{":0", Options{}},
		{"127.0.0.1:0", Options{Advertise: "nowhere"}},
		{"127.0.0.1:0", Options{Advertise: "host:0"}},
		{"127.0.0.1:0", Options{NodeID: -1}},
		{"127.0.0.1:0", Options{MaxFrameBytes: -1}},
		{"127.0.0.1:0", Options{IdleTimeout: -1}},
	} {
		srv, err := Listen(k.Broker, tt.addr, tt.opts)
		if !errors.Is(err, log.ErrInvalidOption) {
			t.Errorf("%s %+v: got error %v", tt.addr, tt.opts, err)
		}
		if err == nil {
			_ = srv.Close()
		}
	}
}
