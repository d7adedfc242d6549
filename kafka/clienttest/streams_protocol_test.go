package clienttest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// streamsProtocol has Kafka Streams use groups of its own protocol (KIP-1071).
const streamsProtocol = "group.protocol=streams"

// startWordCount makes the topics of the application, and a consumer of its counts.
func startWordCount(t *testing.T) *wordCount {
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create(lineTopic, linePartitions)
	k.create(countTopic, 1)
	out, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{countTopic}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return &wordCount{kit: k, want: make(map[string]int64), has: make(map[string]int64), out: out}
}

// assigned waits until the group has so many members, and each has partitions to read.
func (w *wordCount) assigned(members int) {
	w.t.Helper()
	for {
		info, err := w.Groups().Describe(w.ctx, streamsApp)
		if err != nil {
			w.t.Fatal(err)
		}
		idle := slices.ContainsFunc(info.Members, func(m samsa.MemberInfo) bool { return len(m.Assigned) == 0 })
		if len(info.Members) == members && !idle && info.State == samsa.GroupStable {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // nobody is told when a group of another process changes
		case <-w.ctx.Done():
			w.t.Fatalf("waited in vain for %d members with tasks: %+v", members, info)
		}
	}
}

// Kafka Streams counts words in a group of its own protocol: the broker makes the topics between its parts, and assigns
// its tasks. Two instances share the work; when one leaves, the other has all, with the counts that it has a standby of.
func TestStreamsProtocol(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel() // it waits much of the time
	w := startWordCount(t)
	standbys := map[string]string{"streams.num.standby.replicas": "1"}
	if err := w.Groups().SetConfigs(w.ctx, streamsApp, standbys); err != nil {
		t.Fatal(err)
	}
	one := w.run(t.TempDir(), streamsProtocol)
	w.write("first")
	w.exact()
	two := w.run(t.TempDir(), streamsProtocol)
	w.assigned(2)
	w.write("second")
	w.exact()
	one.stop()
	w.write("third")
	w.exact()
	two.stop()
	w.committed()
	w.compacted(countLog)
	if info, err := w.Groups().Describe(w.ctx, streamsApp); err != nil || info.Kind != samsa.GroupStreams || info.State != samsa.GroupEmpty {
		t.Errorf("the group is %+v, %v", info, err)
	}
}

// An instance is killed in its transactions. Another one is assigned its tasks when the session has ended, and each count of
// each word is committed once.
func TestStreamsProtocolExactlyOnce(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel()
	w := startWordCount(t)
	e := &exactWordCount{wordCount: *w, all: w.readUncommitted(countTopic), committed: w.readCommitted(countTopic)}
	const guarantee = "processing.guarantee=exactly_once_v2"
	one := e.run(t.TempDir(), streamsProtocol, guarantee)
	e.untilSent(500)
	two := e.run(t.TempDir(), streamsProtocol, guarantee)
	e.assigned(2)
	e.untilSent(500)
	one.kill() // its session is 45 s
	e.write("last")
	for !e.counted() {
		e.take(e.committed.more())
	}
	two.stop()
	e.take(e.committed.rest(1))
	e.exactly(e.sent + len(e.all.rest(1)))
	e.wordCount.committed()
}

// kafka-streams-groups.sh lists, describes, resets and deletes.
func TestStreamsGroupsCommand(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	javaTools.needs(t, "kafka-tools")
	t.Parallel()
	w := startWordCount(t)
	app := w.run(t.TempDir(), streamsProtocol)
	w.write("first")
	w.exact()
	tool := func(args ...string) string {
		t.Helper()
		return strings.Join(strings.Fields(w.kit.run(w.tool("streams.StreamsGroupCommand", args...))), " ")
	}
	says := func(got, want string) {
		t.Helper()
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("it says %q, want %s", got, want)
		}
	}
	says(tool("--list"), `\b`+streamsApp+`\b`)
	says(tool("--describe", "--group", streamsApp, "--state"), streamsApp+` .*Stable`)
	says(tool("--describe", "--group", streamsApp, "--members"), streamsApp+` .*ACTIVE.*`)
	says(tool("--describe", "--group", streamsApp), streamsApp+` `+lineTopic)
	app.stop()
	says(tool("--reset-offsets", "--group", streamsApp, "--input-topic", lineTopic, "--to-earliest", "--execute"), streamsApp+` `+lineTopic+` \d 0`)
	says(tool("--delete", "--group", streamsApp), "successful")
	if groups, err := w.Groups().List(w.ctx); err != nil || slices.Contains(groups, streamsApp) {
		t.Errorf("groups are %v, %v", groups, err)
	}
}

// members are the ids of the members that StreamsGroupDescribe tells, and the epoch of the group.
func (w *wordCount) members(cl *kgo.Client) (ids []string, state string, epoch int32) {
	w.t.Helper()
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{streamsApp}
	resp, err := req.RequestWith(w.ctx, cl)
	if err != nil {
		w.t.Fatal(err)
	}
	g := resp.Groups[0]
	for _, m := range g.Members {
		ids = append(ids, m.MemberID)
	}
	slices.Sort(ids)
	return ids, g.State, g.Epoch
}

// The server is killed amid the transactions of two instances, and started again. The group is as it was, and each count of
// each word is committed once.
func TestStreamsProtocolServerExactlyOnce(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel()
	c := &copying{proxy: newProxy(t), command: samsaCommand(t), data: t.TempDir()}
	c.kit = (&kit{addr: c.proxy.Addr().String()}).within(t, javaPatience+time.Duration(howMany(3))*patiencePerKill)
	c.serve()
	t.Cleanup(func() { c.killServer() })
	cl := c.franz()
	defer cl.Close()
	topics := kmsg.NewPtrCreateTopicsRequest()
	for topic, n := range map[string]int32{lineTopic: linePartitions, countTopic: 1} {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, n, 1
		topics.Topics = append(topics.Topics, rt)
	}
	if _, err := topics.RequestWith(c.ctx, cl); err != nil {
		t.Fatal(err)
	}
	w := &exactWordCount{wordCount: wordCount{kit: c.kit, want: make(map[string]int64), has: make(map[string]int64)},
		all: c.readUncommitted(countTopic), committed: c.readCommitted(countTopic)}
	write := func() {
		t.Helper()
		var lines []*kgo.Record
		for i := range 200 {
			line := []string{"all", fmt.Sprint("i", i%7), fmt.Sprint("i", i%5)}
			for _, word := range line {
				w.want[word]++
			}
			lines = append(lines, &kgo.Record{Topic: lineTopic, Key: fmt.Append(nil, i), Value: []byte(strings.Join(line, " "))})
		}
		if err := cl.ProduceSync(c.ctx, lines...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	one, two := w.run(t.TempDir(), streamsProtocol, "processing.guarantee=exactly_once_v2"), w.run(t.TempDir(), streamsProtocol, "processing.guarantee=exactly_once_v2")
	var before []string
	for len(before) < 2 {
		var state string
		if before, state, _ = w.members(cl); state != "Stable" {
			before = nil
		}
		time.Sleep(100 * time.Millisecond) // nobody is told when a group changes
	}
	for range kills(t, 3) {
		for sent := w.sent; w.sent < sent+300; {
			write()
			w.sent += len(w.all.more())
		}
		c.killServer()
		c.serve()
	}
	write()
	for !w.counted() {
		w.take(w.committed.more())
	}
	after, state, epoch := w.members(cl)
	if !slices.Equal(after, before) {
		t.Errorf("members were %v and are %v", before, after)
	}
	t.Logf("the group is %s, of epoch %d", state, epoch)
	one.stop()
	two.stop()
	w.take(w.committed.rest(1))
	w.exactly(w.sent + len(w.all.rest(1)))
}
