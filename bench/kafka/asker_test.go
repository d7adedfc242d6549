package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// asker is a client that asks a broker what it is told to ask, and notes what it is answered. What goes wrong
// otherwise ends the test.
type asker struct {
	net.Conn
	t     *testing.T
	asked int32 // correlation id

	story string
	names *strings.Replacer // shortens names in notes
	ids   *[]int64          // producer ids, which have the names A, B, ...
	notes []note
	sent  int // batches
}

// note is an answer, without what differs from run to run.
type note struct{ what, answer string }

// dial connects to a broker.
func dial(t *testing.T, addr string) *asker {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &asker{Conn: conn, t: t, names: strings.NewReplacer(), ids: new([]int64)}
}

// note notes an answer. Codes have their names.
func (a *asker) note(what string, answer ...any) {
	words := make([]string, len(answer))
	for i, x := range answer {
		switch x := x.(type) {
		case int16:
			words[i] = codeName(x)
		case producer:
			words[i] = a.name(x)
		default:
			words[i] = fmt.Sprint(x)
		}
	}
	a.notes = append(a.notes, note{a.names.Replace(a.story + ": " + what), a.names.Replace(strings.Join(words, " "))})
}

// codeName is the name of an error code, and "ok" for none.
func codeName(code int16) string {
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "ok"
}

// producer is a producer id with an epoch.
type producer struct {
	ID    int64
	Epoch int16
}

// name is the producer with a letter for its id, by the order in which ids have come.
func (a *asker) name(p producer) string {
	if p.ID < 0 {
		return fmt.Sprintf("none/%d", p.Epoch)
	}
	i := slices.Index(*a.ids, p.ID)
	if i < 0 {
		i = len(*a.ids)
		*a.ids = append(*a.ids, p.ID)
	}
	return fmt.Sprintf("%c/%d", 'A'+i, p.Epoch)
}

// ask sends a request and returns its answer.
func ask[R kmsg.Response](a *asker, version int16, req kmsg.Request) R {
	a.t.Helper()
	req.SetVersion(version)
	a.asked++
	if _, err := a.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("asker")).AppendRequest(nil, req, a.asked)); err != nil {
		a.t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(a, length[:]); err != nil {
		a.t.Fatalf("%s: answer to %T version %d: %v", a.story, req, version, err)
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(a, frame); err != nil {
		a.t.Fatal(err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body := frame[4:] // after the correlation id
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		a.t.Fatalf("%s: answer to %T version %d: %v", a.story, req, version, err)
	}
	return resp.(R)
}

// soon asks until the answer is another than that something is under way: Kafka goes on with a transaction after it
// has answered.
func (a *asker) soon(ask func() int16) int16 {
	a.t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		switch code := ask(); code {
		case kerr.ConcurrentTransactions.Code, kerr.CoordinatorLoadInProgress.Code, kerr.NotCoordinator.Code, kerr.CoordinatorNotAvailable.Code:
			if time.Since(begun) > time.Minute {
				return code
			}
		default:
			return code
		}
	}
}

const topicPartitions = 2

// create creates topics, and waits until they have leaders.
func (a *asker) create(topics ...string) {
	a.t.Helper()
	a.createWith("delete", topics...)
}

// createWith is create for topics with a cleanup.policy.
func (a *asker) createWith(policy string, topics ...string) {
	a.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	for _, topic := range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topic, topicPartitions, 1
		t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "cleanup.policy", Value: &policy}}
		req.Topics = append(req.Topics, t)
	}
	for _, t := range ask[*kmsg.CreateTopicsResponse](a, 5, req).Topics {
		if t.ErrorCode != 0 {
			a.t.Fatalf("create %s: %s", t.Topic, codeName(t.ErrorCode))
		}
	}
	for _, topic := range topics {
		for begun := time.Now(); !a.serves(topic); time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > time.Minute {
				a.t.Fatalf("%s has no leader", topic)
			}
		}
	}
}

// serves says whether a topic has leaders, which know that they are.
func (a *asker) serves(topic string) bool {
	a.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i := range int32(topicPartitions) {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = i, -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	for _, p := range ask[*kmsg.ListOffsetsResponse](a, 7, req).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			return false
		}
	}
	return true
}

// sharded is how names of groups begin that known waits for: Java hashes "Aa" and "BB" to the same.
const sharded = "Aa-"

// known waits until the coordinator of a group knows of all that was done before. Kafka's learns of topics and configs after the controller has answered, and
// after the broker tells of them; in their order, so that it knows of all when it knows of a newer topic: it gives that one to a member of another
// group, which is in the same part of the coordinator.
func (a *asker) known(group string) {
	a.t.Helper()
	rest, ok := strings.CutPrefix(group, sharded)
	if !ok {
		a.t.Fatalf("%s does not begin with %s", group, sharded)
	}
	topic, other := fmt.Sprint("known-", time.Now().UnixNano()), "BB-"+rest
	a.create(topic)
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.SubscribedTopicNames = other, "m", 60_000, []string{topic}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](a, 1, req)
		if resp.ErrorCode != 0 || time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: %s is not known: %s", a.story, topic, codeName(resp.ErrorCode))
		}
		if resp.Assignment != nil && len(resp.Assignment.Topics) > 0 {
			break
		}
		req.MemberEpoch = resp.MemberEpoch
	}
	req.MemberEpoch = -1
	_ = ask[*kmsg.ConsumerGroupHeartbeatResponse](a, 1, req)
	remove := &kmsg.DeleteGroupsRequest{Groups: []string{other}} // who comes to it next is given a topic at once
	if code := ask[*kmsg.DeleteGroupsResponse](a, 2, remove).Groups[0].ErrorCode; code != 0 {
		a.t.Fatalf("%s: delete %s: %s", a.story, other, codeName(code))
	}
}

// Attributes of a batch.
const (
	transactional = 1 << 4
	control       = 1 << 5
)

// batch is a batch of one record of an hour ago, and a second later each time.
func (a *asker) batch(attributes byte, p producer, seq int32, value string) log.Batch {
	a.t.Helper()
	var b log.Builder
	a.sent++
	b.Append(time.Now().Add(-time.Hour).Truncate(time.Hour).UnixMilli()+int64(a.sent)*1000, nil, []byte(value), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		a.t.Fatal(err)
	}
	batch[22] |= attributes
	batch.SetProducer(p.ID, p.Epoch, seq)
	return batch
}
