package clienttest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"reflect"
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
	pick    func(line string) string // of the story, on top of what no story compares
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

// send sends a request to a node, and returns its answer; nil when the connection has ended instead.
func (c *three) send(node int32, version int16, req kmsg.Request) kmsg.Response {
	c.t.Helper()
	nc := c.conns[node]
	if nc == nil {
		var err error
		nc, err = net.Dial("tcp", c.addrs[node-1])
		must(c.t, err)
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
func (c *three) ask(node int32, version int16, req kmsg.Request) kmsg.Response {
	c.t.Helper()
	resp := c.send(node, version, req)
	said := "the end"
	if resp != nil {
		said = c.told(reflect.ValueOf(resp).Elem())
	}
	c.note(fmt.Sprintf("%s %d at %d: %s", kmsg.NameForKey(req.Key()), version, node, c.told(reflect.ValueOf(req).Elem())), said)
	return resp
}

// note notes an answer.
func (c *three) note(question, line string) {
	c.asked = append(c.asked, question)
	if c.pick != nil {
		line = c.pick(line)
	}
	c.heard = append(c.heard, line)
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
	deadline := time.Now().Add(time.Minute)
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
