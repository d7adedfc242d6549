package kafka

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/quota"
)

// mutation makes a topic, gives it partitions or deletes it by one request, and returns its code and how long the client is to be still.
type mutation func(c *client, version int16, topic string, partitions int32) (code int16, still time.Duration)

func createTopic(validateOnly bool) mutation {
	return func(c *client, version int16, topic string, partitions int32) (int16, time.Duration) {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, 1
		req.Topics, req.ValidateOnly = append(req.Topics, rt), validateOnly
		resp := ask[*kmsg.CreateTopicsResponse](c, version, req)
		return resp.Topics[0].ErrorCode, time.Duration(resp.ThrottleMillis) * time.Millisecond
	}
}

func deleteTopic(c *client, version int16, topic string, _ int32) (int16, time.Duration) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.Topics = []string{topic}, []kmsg.DeleteTopicsRequestTopic{{Topic: &topic}}
	resp := ask[*kmsg.DeleteTopicsResponse](c, version, req)
	return resp.Topics[0].ErrorCode, time.Duration(resp.ThrottleMillis) * time.Millisecond
}

func growTopic(c *client, version int16, topic string, partitions int32) (int16, time.Duration) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, partitions
	req.Topics = append(req.Topics, rt)
	resp := ask[*kmsg.CreatePartitionsResponse](c, version, req)
	return resp.Topics[0].ErrorCode, time.Duration(resp.ThrottleMillis) * time.Millisecond
}

// Who has created and deleted more partitions than its limit gives is refused in versions whose clients know how to hear that, and in older ones
// served and still for a while; when that is over it may go on.
func TestMutationQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{AutoCreateTopics: true}, Options{})
		c := k.dial()
		c.limit("user", "ANONYMOUS", quota.ControllerMutation, 1) // 11 at once
		create, validate := createTopic(false), createTopic(true)
		was := time.Duration(0)
		for i, step := range []struct {
			do         mutation
			version    int16
			topic      string
			partitions int32
			code       int16
			still      time.Duration // in s
		}{
			{create, 7, "a", 10, codeNone, 0},
			{create, 7, "a", 10, codeTopicAlreadyExists, 0}, // which costs nothing
			{create, 7, "b", 10, codeNone, 0},               // 9 too many
			{create, 7, "c", 10, codeThrottlingQuotaExceeded, 9},
			{validate, 6, "c", 10, codeNone, 0}, // which costs as much as to create it
			{validate, 6, "c", 1, codeThrottlingQuotaExceeded, 10},
			{growTopic, 3, "a", 11, codeNone, 0},
			{growTopic, 3, "a", 12, codeThrottlingQuotaExceeded, 1},
			{deleteTopic, 6, "a", 0, codeNone, 0},
			{deleteTopic, 5, "b", 0, codeThrottlingQuotaExceeded, 11},
			{create, 5, "c", 3, codeNone, 3},
			{growTopic, 2, "c", 4, codeNone, 1},
			{deleteTopic, 4, "c", 0, codeNone, 4},
			{growTopic, 2, "c", 4, codeUnknownTopicOrPartition, 0},
		} {
			began := time.Now()
			code, still := step.do(c, step.version, step.topic, step.partitions)
			if d := time.Since(began); d != was {
				t.Errorf("step %d: answered after %v, want %v", i, d, was)
			}
			if was = still; code != step.code || still != step.still*time.Second {
				t.Errorf("step %d: code %d, still for %v", i, code, still)
			}
		}
	})
}

// A topic that is created as it is named counts too: over the limit there is none, and the client hears no more than that.
func TestMutationQuotaOfNamedTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{AutoCreateTopics: true, TopicDefaults: samsa.TopicConfig{Partitions: 12}}, Options{})
		c := k.dial()
		c.limit("client-id", "", quota.ControllerMutation, 1)
		name := func(topic string) (code int16) {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics, req.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: &topic}}, true
			resp := ask[*kmsg.MetadataResponse](c, 12, req)
			if resp.ThrottleMillis != 0 {
				t.Errorf("%s: still for %d ms", topic, resp.ThrottleMillis)
			}
			return resp.Topics[0].ErrorCode
		}
		if a, b, again := name("a"), name("b"), name("a"); a != codeNone || b != codeUnknownTopicOrPartition || again != codeNone {
			t.Errorf("codes %d, %d and %d", a, b, again)
		}
		time.Sleep(time.Second)
		if b := name("b"); b != codeNone {
			t.Errorf("code %d after a second", b)
		}
	})
}

// farPipe is a Pipe whose clients come from an address.
type farPipe struct{ *Pipe }

func (p farPipe) Accept() (net.Conn, error) {
	nc, err := p.Pipe.Accept()
	return farConn{nc}, err
}

type farConn struct{ net.Conn }

func (farConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1} }

// Who connects more often than its address may is not heard, and ends after a second, in which it would have been back many times; once fewer have
// connected of late it is heard.
func TestConnectionQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, samsa.Options{})
		k.pipe = NewPipe()
		srv, err := Serve(k.Broker, farPipe{k.pipe}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		k.srv = srv
		c := k.dial()
		c.limit("ip", "", quota.Connections, 1)
		for range 10 { // so many in the time in which it is measured
			ask[*kmsg.HeartbeatResponse](k.dial(), 4, kmsg.NewPtrHeartbeatRequest())
		}
		began := time.Now()
		if _, err := k.dial().Read(make([]byte, 1)); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if st := srv.Stats(); st.Refused != 1 || st.Connections != 11 {
			t.Errorf("%d refused, %d open", st.Refused, st.Connections)
		}
		time.Sleep(10 * time.Second)
		ask[*kmsg.HeartbeatResponse](k.dial(), 4, kmsg.NewPtrHeartbeatRequest())
		k.dial() // is held when the server closes
		c.limit("ip", "192.0.2.7", quota.Connections, 100)
		ask[*kmsg.HeartbeatResponse](k.dial(), 4, kmsg.NewPtrHeartbeatRequest())
	})
}
