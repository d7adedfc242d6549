package clienttest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// three is a cluster of three nodes, 1 to 3 in the racks a to c, and what a client hears that asks them frame by frame.
type three struct {
	t       *testing.T
	addrs   []string // of node 1, 2, 3
	conns   map[int32]net.Conn
	topics  map[[16]byte]string // by id, that have been heard of
	asked   []string            // with heard, what for
	heard   []string
	stop    func(node int32) error
	kill    func(node int32) error
	restart func(node int32) error

	story string
	pick  func(line string) string // of the story, on top of what no story compares
	like  *three                   // whose answers are waited for, see hear; nil for nobody's
	vain  bool                     // in this story that was in vain
}

func newThree(t *testing.T, addrs []string) *three {
	c := &three{t: t, addrs: addrs, conns: make(map[int32]net.Conn), topics: make(map[[16]byte]string)}
	t.Cleanup(c.hangUp)
	return c
}

func (c *three) hangUp() {
	for _, nc := range c.conns {
		_ = nc.Close()
	}
	clear(c.conns)
}

// begin forgets what was heard: a story begins.
func (c *three) begin(t *testing.T, story string) {
	c.t, c.story = t, story
	c.asked, c.heard, c.pick, c.vain = nil, nil, nil, false
}

// send sends a request to a node, and returns its answer; nil when the connection has ended instead, or there is none.
func (c *three) send(node int32, version int16, req kmsg.Request) kmsg.Response {
	c.t.Helper()
	nc := c.conns[node]
	if nc == nil {
		var err error
		if nc, err = net.Dial("tcp", c.addrs[node-1]); err != nil {
			return nil // it is about to start
		}
		c.conns[node] = nc
	}
	req.SetVersion(version)
	must(c.t, nc.SetDeadline(time.Now().Add(time.Minute)))
	_, _ = nc.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("three")).AppendRequest(nil, req, 1))
	var length [4]byte
	_, err := io.ReadFull(nc, length[:])
	var b []byte
	if err == nil {
		b = make([]byte, binary.BigEndian.Uint32(length[:]))
		_, err = io.ReadFull(nc, b)
	}
	if err != nil {
		_ = nc.Close()
		delete(c.conns, node)
		return nil
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	must(c.t, resp.ReadFrom(b))
	c.learn(resp)
	return resp
}

// learn notes the ids of topics.
func (c *three) learn(resp kmsg.Response) {
	switch resp := resp.(type) {
	case *kmsg.MetadataResponse:
		for _, t := range resp.Topics {
			if t.Topic != nil && t.ErrorCode == 0 {
				c.topics[t.TopicID] = *t.Topic
			}
		}
	case *kmsg.CreateTopicsResponse:
		for _, t := range resp.Topics {
			c.topics[t.TopicID] = t.Topic
		}
	}
	delete(c.topics, [16]byte{})
}

// id returns the id of a topic.
func (c *three) id(topic string) [16]byte {
	for id, name := range c.topics {
		if name == topic {
			return id
		}
	}
	return [16]byte{1, 2, 3}
}

// ask sends a request to a node, and notes the answer.
func (c *three) ask(node int32, version int16, req kmsg.Request) {
	c.t.Helper()
	name := kmsg.NameForKey(req.Key())
	question := fmt.Sprintf("%s %d at %d: %s", name, version, node, c.told(reflect.ValueOf(req).Elem()))
	c.hear(question, onlyReads.MatchString(name), func() string {
		resp := c.send(node, version, req)
		if resp == nil {
			return "the end"
		}
		return c.told(reflect.ValueOf(resp).Elem())
	})
}

// onlyReads are the names of requests that change nothing; a Fetch is of no session here.
var onlyReads = regexp.MustCompile(`^(Describe|List|Metadata$|Fetch$|FindCoordinator$|OffsetFor|OffsetFetch$)|Describe$`)

// learnsWithin is how long nodes of Kafka have at most to tell what has happened.
const learnsWithin = 20 * time.Second

// hear notes the answer to a question. A node of Kafka learns of what the controller, or a leader, has decided a moment after who asked for it is
// answered, and a moment is long where a machine is slow. So who only reads asks again until the answer is the one that c.like has heard, and the last
// one counts. That takes no time where the answers are not to be the same, and takes it once where a story fails. It does not wait for a change that
// c.like has not heard of either: a story waits until each change is told before it compares what else is.
func (c *three) hear(question string, again bool, ask func() string) {
	pick := c.pick
	if pick == nil {
		pick = func(line string) string { return line }
	}
	said := pick(ask())
	if i := len(c.heard); again && c.like != nil && i < len(c.like.heard) && otherwise(c.story, question) < 0 {
		for deadline := time.Now().Add(learnsWithin); said != c.like.heard[i] && !c.vain; c.vain = time.Now().After(deadline) {
			<-time.After(20 * time.Millisecond)
			said = pick(ask())
		}
	}
	c.asked, c.heard = append(c.asked, question), append(c.heard, said)
}

// each asks a node in all versions of a request from one to another.
func (c *three) each(node int32, from, to int16, req func(version int16) kmsg.Request) {
	c.t.Helper()
	for v := from; v <= to; v++ {
		c.ask(node, v, req(v))
	}
}

// every asks all nodes.
func (c *three) every(version int16, req func() kmsg.Request) {
	c.t.Helper()
	for node := range int32(3) {
		c.ask(node+1, version, req())
	}
}

// until asks a node until an answer is as it is to be, and notes none.
func (c *three) until(node int32, version int16, req kmsg.Request, is func(kmsg.Response) bool) {
	c.t.Helper()
	deadline := time.Now().Add(javaPatience)
	for {
		resp := c.send(node, version, req)
		if resp != nil && is(resp) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s of node %d: %+v", kmsg.NameForKey(req.Key()), node, resp)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// notCompared are fields that may differ: texts, times, and who happens to be asked.
var notCompared = map[string]bool{
	"Version": true, "ThrottleMillis": true, "UnknownTags": true, "ErrorMessage": true, "ClusterID": true, "Host": true, "LogAppendTime": true,
	"LastFetchTimestamp": true, "LastCaughtUpTimestamp": true, "SessionID": true, "Configs": true, "Timestamp": true, "ControllerID": true,
	"Size": true, "TotalBytes": true, "UsableBytes": true, "Dir": true, "LastTimestamp": true, "AcquisitionLockTimeoutMillis": true,
}

// told returns what an answer, or a part of it, says: what no two brokers have in common is told by what it stands for.
func (c *three) told(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return c.told(v.Elem())
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			switch f := v.Field(i); {
			case notCompared[name]:
			case name == "Port":
				parts = append(parts, "Port="+c.portOf(f))
			case name == "ISR" || name == "OfflineReplicas":
				ids := slices.Sorted(slices.Values(f.Interface().([]int32)))
				parts = append(parts, fmt.Sprint(name, "=", ids))
			case name == "RecordBatches" || name == "Records":
				parts = append(parts, fmt.Sprintf("%s=%t", name, f.Len() > 0))
			default:
				parts = append(parts, name+"="+c.told(f))
			}
		}
		return "{" + strings.Join(parts, " ") + "}"
	case reflect.Array:
		if id, ok := v.Interface().([16]byte); ok {
			return c.nameOf(id)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			parts := make([]string, v.Len())
			for i := range parts {
				parts[i] = c.told(v.Index(i))
			}
			slices.Sort(parts)
			return "[" + strings.Join(parts, " ") + "]"
		}
	}
	return fmt.Sprint(v.Interface())
}

func (c *three) nameOf(id [16]byte) string {
	if id == [16]byte{} {
		return "none"
	}
	return cmp.Or(c.topics[id], "another")
}

func (c *three) portOf(v reflect.Value) string {
	port := fmt.Sprint(v.Interface())
	for i, addr := range c.addrs {
		if strings.HasSuffix(addr, ":"+port) {
			return "that of " + strconv.Itoa(i+1)
		}
	}
	return port
}

// batch returns a batch of records with these values.
func batch(values ...string) []byte {
	var records []byte
	for i, value := range values {
		r := kmsg.Record{OffsetDelta: int32(i), Value: []byte(value)}
		b := r.AppendTo(nil)
		r.Length = int32(len(b) - 1) // of a length of one byte
		records = r.AppendTo(records)
	}
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(values) - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(len(values)), Records: records,
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}
