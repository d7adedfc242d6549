package kafka

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// With LogAppendTime the broker's time is in the header, and the records are as they were sent.
func TestLogAppendTime(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("stamped", samsa.TopicConfig{LogAppendTime: true})
	c := k.dial()
	for codec := log.CodecNone; codec <= log.CodecZstd; codec++ {
		sent := batch(t, codec, record{5, "k", strings.Repeat("x", 300)}, record{9, "", "y"})
		began := time.Now().UnixMilli()
		p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "stamped", sent)).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.LogAppendTime < began || p.LogAppendTime > time.Now().UnixMilli() {
			t.Fatalf("%s: got %+v", codec, p)
		}
		resp := ask[*kmsg.FetchResponse](c, 12, fetchRequest("stamped", p.BaseOffset))
		for _, rec := range fetched(t, resp) {
			if rec.Timestamp.UnixMilli() != p.LogAppendTime {
				t.Errorf("%s: record at %v, the answer says %d", codec, rec.Timestamp, p.LogAppendTime)
			}
		}
		sent.SetBaseOffset(p.BaseOffset)
		sent.StampAppendTime(p.LogAppendTime)
		if got := resp.Topics[0].Partitions[0].RecordBatches; string(got) != string(sent) {
			t.Errorf("%s: more than the header has changed", codec)
		}
	}
}

// The limits of a partition and of an answer are kept by whole batches, and the first batch
// comes whatever its size: whoever goes on behind what came gets everything.
func TestFetchLimits(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxFetchBytes: 5000})
	for _, name := range []string{"a", "b"} {
		k.create(name, samsa.TopicConfig{})
		for range 10 {
			b := batch(t, log.CodecNone, record{1, "", strings.Repeat("x", 1000-61-9)})
			if len(b) != 1000 {
				t.Fatalf("batch of %d bytes", len(b))
			}
			ask[*kmsg.ProduceResponse](k.dial(), 9, produceRequest(1, name, b))
		}
	}
	c := k.dial()
	for _, tt := range []struct {
		partition, answer int32
		want              string // bytes of each partition
	}{
		{3000, 1 << 20, "3000 2000"}, // the server's own limit
		{2500, 1 << 20, "2000 2000"},
		{1 << 20, 4999, "4000 0"},
		{3999, 4500, "3000 1000"},
		{1 << 20, 1 << 20, "5000 0"},
		{999, 1 << 20, "1000 0"}, // oversized: one, in the first partition
		{1 << 20, 1, "1000 0"},
		{0, 0, "1000 0"},
	} {
		req := fetchRequest("a", 0)
		req.Topics = append(req.Topics, fetchRequest("b", 0).Topics...)
		req.MaxBytes, req.MaxWaitMillis = tt.answer, 0
		for i := range req.Topics {
			req.Topics[i].Partitions[0].PartitionMaxBytes = tt.partition
		}
		resp := ask[*kmsg.FetchResponse](c, 12, req)
		got := fmt.Sprint(len(resp.Topics[0].Partitions[0].RecordBatches), len(resp.Topics[1].Partitions[0].RecordBatches))
		if got != tt.want {
			t.Errorf("limits %d and %d: got %s bytes, want %s", tt.partition, tt.answer, got, tt.want)
		}
	}
}

func TestDescribeCluster(t *testing.T) {
	k := start(t, samsa.Options{}, Options{NodeID: 7, ClusterID: "home"})
	c := k.dial()
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrDescribeClusterRequest()
		resp := ask[*kmsg.DescribeClusterResponse](c, version, req)
		want := k.srv.Addr().(*net.TCPAddr)
		if resp.ErrorCode != 0 || resp.ClusterID != "home" || resp.ControllerID != 7 || len(resp.Brokers) != 1 {
			t.Fatalf("version %d: got %+v", version, resp)
		}
		if b := resp.Brokers[0]; b.NodeID != 7 || b.Host != "127.0.0.1" || int(b.Port) != want.Port || b.Rack != nil {
			t.Errorf("version %d: got %+v", version, b)
		}
	}
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 2 // controllers
	if resp := ask[*kmsg.DescribeClusterResponse](c, 1, req); resp.ErrorCode != codeMismatchedEndpointType || resp.ErrorMessage == nil {
		t.Errorf("got %+v", resp)
	}
}

// The cluster has the id of the broker, wherever clients see one.
func TestClusterID(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	described := ask[*kmsg.DescribeClusterResponse](c, 2, kmsg.NewPtrDescribeClusterRequest()).ClusterID
	metadata := ask[*kmsg.MetadataResponse](c, 13, kmsg.NewPtrMetadataRequest()).ClusterID
	if described != k.ClusterID() || *metadata != k.ClusterID() {
		t.Errorf("described %q, in metadata %q, want %q", described, *metadata, k.ClusterID())
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, 0, record{1, "", "x"}, record{1, "", "y"})))
	for _, tt := range []struct {
		topic          string
		current, epoch int32
		want           string // code, epoch, end
	}{
		{"web_log", -1, 0, "0 0 2"},
		{"web_log", 0, 0, "0 0 2"},
		{"web_log", 0, 5, "0 -1 -1"},
		{"web_log", 1, 0, "75 -1 -1"},
		{"nobody", -1, 0, "3 -1 -1"},
	} {
		for _, version := range []int16{2, 4} {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rp.CurrentLeaderEpoch, rp.LeaderEpoch = tt.current, tt.epoch
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: tt.topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{rp}}}
			p := ask[*kmsg.OffsetForLeaderEpochResponse](c, version, req).Topics[0].Partitions[0]
			if got := fmt.Sprint(p.ErrorCode, p.LeaderEpoch, p.EndOffset); got != tt.want {
				t.Errorf("%+v, version %d: got %s", tt, version, got)
			}
		}
	}
}

// A partition that is named twice is refused, both times; its neighbours are stored.
func TestProduceNamesAPartitionTwice(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("twice", samsa.TopicConfig{})
	k.create("once", samsa.TopicConfig{})
	b := batch(t, 0, record{1, "", "x"})
	req := produceRequest(1, "twice", b)
	req.Topics = append(req.Topics, produceRequest(1, "once", b).Topics...)
	req.Topics = append(req.Topics, produceRequest(1, "twice", b).Topics...)
	req.Topics = append(req.Topics, produceRequest(1, "nobody", b).Topics...)
	req.Topics = append(req.Topics, produceRequest(1, "nobody", b).Topics...)
	var got []int16
	for _, rt := range ask[*kmsg.ProduceResponse](k.dial(), 9, req).Topics {
		got = append(got, rt.Partitions[0].ErrorCode)
	}
	if s := fmt.Sprint(got); s != "[42 0 42 3 3]" {
		t.Errorf("got %s", s)
	}
	for topic, want := range map[string]int64{"twice": 0, "once": 1} {
		if offsets, err := k.ListOffsets(k.ctx, topic, samsa.Latest()); err != nil || offsets[0].Offset != want {
			t.Errorf("%s: %v, error %v", topic, offsets, err)
		}
	}
}

// What tools set and Samsa has no use for is kept and shown; unknown names and wrong values are
// not taken, and a resource is changed once a request.
func TestConfigsWithoutEffect(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	create := func(name, config, value string) int16 {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
		rt.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: config, Value: &value}}
		req.Topics = append(req.Topics, rt)
		return ask[*kmsg.CreateTopicsResponse](c, 7, req).Topics[0].ErrorCode
	}
	for _, tt := range []struct {
		name, value string
		want        int16
	}{
		{"segment.bytes", "1048576", 0}, {"min.insync.replicas", "2", 0}, {"compression.zstd.level", "22", 0},
		{"compression.zstd.level", "23", codeInvalidConfig}, {"compression.type", "brotli", codeInvalidConfig}, {"remote.storage.enable", "true", codeInvalidConfig}, {"segment.bytes", "many", codeInvalidConfig}, {"segment.bites", "5", codeInvalidConfig},
	} {
		topic := "t-" + tt.name + tt.value
		if got := create(topic, tt.name, tt.value); got != tt.want {
			t.Errorf("%s=%s: got error %d", tt.name, tt.value, got)
		} else if got == 0 && configs(t, c, topic)[tt.name] != tt.value {
			t.Errorf("%s=%s is not shown", tt.name, tt.value)
		}
	}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	edit := func(topic, name string, op kmsg.IncrementalAlterConfigOp, value string) kmsg.IncrementalAlterConfigsRequestResource {
		return kmsg.IncrementalAlterConfigsRequestResource{
			ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic,
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: op, Value: &value}},
		}
	}
	const list = "leader.replication.throttled.replicas"
	create("a", "flush.ms", "7")
	create("b", "flush.ms", "7")
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{
		edit("a", list, kmsg.IncrementalAlterConfigOpAppend, "0:1"),
		edit("b", list, kmsg.IncrementalAlterConfigOpAppend, "0:1"), edit("b", list, kmsg.IncrementalAlterConfigOpAppend, "1:1"),
	}
	var got []int16
	for _, r := range ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, alter).Resources {
		got = append(got, r.ErrorCode)
	}
	if s := fmt.Sprintf("%v %q %q", got, configs(t, c, "a")[list], configs(t, c, "b")[list]); s != `[0 42 42] "0:1" ""` {
		t.Errorf("got %s", s)
	}
	replace := kmsg.NewPtrAlterConfigsRequest()
	replace.Resources = []kmsg.AlterConfigsRequestResource{
		{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "a"}, {ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "a"},
	}
	if r := ask[*kmsg.AlterConfigsResponse](c, 2, replace).Resources; r[0].ErrorCode != codeInvalidRequest || r[1].ErrorCode != codeInvalidRequest {
		t.Errorf("got %+v", r)
	}
}

// A client that hangs up has what it asked for done to the end.
func TestClientHangsUp(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	const topics = 100
	for i := range topics {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = fmt.Sprint("t", i), 1, 1
		req.Topics = append(req.Topics, rt)
		c.send(7, req)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c) // until the server is done
	if names, err := k.Topics().List(k.ctx); err != nil || len(names) != topics {
		t.Errorf("%d topics, error %v", len(names), err)
	}
}

// The log directory is where the data is.
func TestDescribeLogDirs(t *testing.T) {
	dir := t.TempDir()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	srv, err := Listen(b, "127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := &kit{Broker: b, t: t, ctx: t.Context(), srv: srv}
	for want, k := range map[string]*kit{dir: onDisk, "memory": start(t, samsa.Options{}, Options{})} {
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		sent := batch(t, 0, record{1, "", "x"})
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", sent))
		got := ask[*kmsg.DescribeLogDirsResponse](c, 4, kmsg.NewPtrDescribeLogDirsRequest()).Dirs
		if len(got) != 1 || got[0].Dir != want || len(got[0].Topics) != 1 || got[0].Topics[0].Partitions[0].Size < int64(len(sent)) {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
}

// An idle connection costs two goroutines, which end with it.
func TestIdleConnectionsAreCheap(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	const conns = 1000
	before := runtime.NumGoroutine()
	clients := dialIdle(t, k.srv, conns)
	if n := runtime.NumGoroutine() - before; n > 2*conns {
		t.Errorf("%d goroutines for %d connections", n, conns)
	}
	for _, nc := range clients {
		_ = nc.Close()
	}
	if err := k.srv.Close(); err != nil { // waits for all of them
		t.Fatal(err)
	}
	for runtime.NumGoroutine() > before { // one that is waited for may not be quite over: who waits is told just before
		runtime.Gosched()
	}
}

// dialIdle connects n clients, each of which has been served once and then says nothing.
func dialIdle(tb testing.TB, srv *Server, n int) []net.Conn {
	tb.Helper()
	req := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)
	clients := make([]net.Conn, n)
	for i := range clients {
		nc, err := net.Dial("tcp", srv.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = nc.Close() })
		if _, err = nc.Write(req); err == nil {
			_, err = io.ReadFull(nc, make([]byte, 4))
		}
		if err != nil {
			tb.Fatal(err)
		}
		clients[i] = nc
	}
	return clients
}
