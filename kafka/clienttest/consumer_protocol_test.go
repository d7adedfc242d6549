package clienttest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// byConsumerProtocol returns the clients that speak Kafka's consumer protocol (KIP-848), with what makes each a member of a group.
func byConsumerProtocol() []client {
	var all []client
	for _, p := range []program{javaProgram("java", javaClients), javaProgram("java-4.4", javaStreams), newConfluentProgram()} {
		c := p.client()
		c.group = func(k *kit, group, topic string, n int) (got []record) {
			p.call(k, nil, &got, "group", strconv.Itoa(n), topic, group, "consumer")
			return got
		}
		all = append(all, c)
	}
	franz := franzClient()
	franz.group = func(k *kit, group, topic string, n int) (got []record) {
		cl := k.franz(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ServerSideBalancer(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer cl.Close()
		for len(got) < n {
			fetches := cl.PollRecords(k.ctx, n-len(got))
			if err := fetches.Err(); err != nil {
				k.t.Fatal(err)
			}
			for _, r := range fetches.Records() {
				got = append(got, record{Key: string(r.Key), Value: string(r.Value), Header: string(r.Headers[0].Value)})
			}
		}
		if err := cl.CommitUncommittedOffsets(k.ctx); err != nil {
			k.t.Fatal(err)
		}
		return got
	}
	return append(all, franz)
}

// One group is handed from client to client, each of the consumer protocol, and at last to a Go consumer, which is of the classic
// one: each goes on where the one before has committed.
func TestConsumerProtocolHandOver(t *testing.T) {
	const share = 10
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	var work []record
	for i := range share * (len(byConsumerProtocol()) + 1) {
		work = append(work, record{Key: fmt.Sprint("k", i), Value: fmt.Sprint("v", i), Header: "yes"})
	}
	k.write("t", work)
	var got []record
	for _, c := range byConsumerProtocol() {
		t.Run(c.name, func(t *testing.T) {
			needs(t, c)
			k := k.within(t, javaPatience)
			some := c.group(k, "g", "t", share)
			if len(some) != share {
				t.Errorf("read %d records, want %d", len(some), share)
			}
			got = append(got, some...)
			if info, err := k.Groups().Describe(k.ctx, "g"); err != nil || info.Kind != samsa.GroupConsumer || len(info.Members) > 0 {
				t.Errorf("the group is %+v, %v", info, err)
			}
		})
	}
	k = k.of(t)
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	if err != nil {
		t.Fatal(err)
	}
	for len(got) < len(work) {
		some, err := c.Poll(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, plain(some)...)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	same(t, got, work)
	if info, err := k.Groups().Describe(k.ctx, "g"); err != nil || info.Kind != samsa.GroupClassic {
		t.Errorf("the group is %+v, %v", info, err)
	}
}

// lively lets members of the consumer protocol send heartbeats often, so that tests need not wait.
var lively = samsa.Options{Groups: samsa.GroupOptions{Configs: map[string]string{
	"group.consumer.min.heartbeat.interval.ms": "100", "group.consumer.heartbeat.interval.ms": "100", "group.consumer.assignment.interval.ms": "0",
}}}

// A live group changes over: Go consumers are in it, then members of the consumer protocol come besides, and then these are alone,
// and the other way. Each record is read, and each partition is with one member in the end.
func TestConsumerProtocolLive(t *testing.T) {
	const partitions = 6
	k := inMemory(t, lively)
	k.create("t", partitions)
	w := &throng{kit: k, read: make(map[string]bool)}
	defer w.stopAll()
	w.start("go-1", w.goMember)
	w.settled(samsa.GroupClassic, 1)
	w.start("franz-1", w.franzMember(kgo.ServerSideBalancer()))
	w.settled(samsa.GroupConsumer, 2)
	w.start("go-2", w.goMember)
	w.start("franz-old", w.franzMember(kgo.Balancers(kgo.RangeBalancer())))
	w.settled(samsa.GroupConsumer, 4)
	w.stop("go-1")
	w.stop("go-2")
	w.stop("franz-old")
	w.settled(samsa.GroupConsumer, 1)
	w.start("go-3", w.goMember)
	w.settled(samsa.GroupConsumer, 2)
	w.stop("franz-1")
	w.settled(samsa.GroupClassic, 1)
}

// throng is members of one group of several kinds, and what they have read.
type throng struct {
	*kit
	wg      sync.WaitGroup
	members map[string]context.CancelFunc

	mu   sync.Mutex // guards what follows
	read map[string]bool
	sent int
}

func (w *throng) start(name string, run func(ctx context.Context, name string)) {
	if w.members == nil {
		w.members = make(map[string]context.CancelFunc)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	w.members[name] = func() { cancel(); <-done }
	w.wg.Go(func() {
		defer close(done)
		run(ctx, name)
	})
}

func (w *throng) stop(name string) {
	w.members[name]()
	delete(w.members, name)
}

func (w *throng) stopAll() {
	for name := range w.members {
		w.stop(name)
	}
	w.wg.Wait()
}

func (w *throng) note(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read[value] = true
}

func (w *throng) goMember(ctx context.Context, name string) {
	c, err := w.NewConsumer(ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{samsa.RangeAssignor()}}})
	if err != nil {
		w.t.Error(err)
		return
	}
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			break
		}
		for _, r := range records {
			w.note(string(r.Value))
		}
	}
	if err := c.Close(); err != nil {
		w.t.Errorf("%s: %v", name, err)
	}
}

func (w *throng) franzMember(balancer kgo.Opt) func(ctx context.Context, name string) {
	return func(ctx context.Context, name string) {
		cl := w.franz(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), balancer, kgo.ClientID(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.HeartbeatInterval(100*time.Millisecond), kgo.AutoCommitInterval(100*time.Millisecond))
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { w.note(string(r.Value)) })
		}
		cl.Close()
	}
}

// settled waits until the group is of a kind, has so many members, who have all partitions among them, and has read all there is.
func (w *throng) settled(kind samsa.GroupKind, members int) {
	w.t.Helper()
	var records []record
	for range 60 {
		w.sent++
		records = append(records, record{Key: strconv.Itoa(w.sent), Value: strconv.Itoa(w.sent)})
	}
	w.write("t", records)
	for {
		info, err := w.Groups().Describe(w.ctx, "g")
		owner, assigned := make(map[samsa.TopicPartition]string), 0
		for _, m := range info.Members {
			for _, tp := range m.Assigned {
				owner[tp] = m.ID
				assigned++
			}
		}
		w.mu.Lock()
		read := len(w.read)
		w.mu.Unlock()
		if err == nil && info.Kind == kind && info.State == samsa.GroupStable && len(info.Members) == members && len(owner) == 6 && assigned == 6 && read == w.sent {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-w.ctx.Done():
			w.t.Fatalf("%d of %d records are read; the group is %+v, %v, want a %s group of %d", read, w.sent, info, err, kind, members)
		}
	}
}

// What only Kafka's own client does with the consumer protocol: topics by a pattern that the broker resolves, static members that
// leave to come back, and offsets in transactions in the epoch of a member.
func TestConsumerProtocolJava(t *testing.T) {
	for _, p := range []program{javaProgram("java", javaClients), javaProgram("java-4.4", javaStreams)} {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			set := javaClients
			if p.name == "java-4.4" {
				set = javaStreams
			}
			p.command = func(ctx context.Context, args ...string) *exec.Cmd {
				return set.command(ctx, append([]string{filepath.Join("testdata", "java", "ConsumerProtocol.java")}, args...)...)
			}
			k := inMemory(t, lively).within(t, javaPatience)
			for _, topic := range []string{"mails", "letters", "mail", "out"} {
				k.create(topic, 1)
			}
			for _, topic := range []string{"mails", "letters", "mail"} {
				k.write(topic, []record{{Value: "1"}, {Value: "2"}})
			}
			call := func(verb string, n int, args ...string) string {
				t.Helper()
				var got []string
				p.call(k, nil, &got, verb, append([]string{strconv.Itoa(n)}, args...)...)
				slices.Sort(got)
				return strings.Join(got, ", ")
			}
			if got := call("pattern", 4, "mails|lett.*", "patterns"); got != "letters: 1, letters: 2, mails: 1, mails: 2" {
				t.Errorf("by a pattern it has read %s", got)
			}

			first := call("static", 1, "mails", "still", "one")
			away, err := k.Groups().Describe(k.ctx, "still")
			if err != nil || len(away.Members) != 1 || away.Members[0].InstanceID != "one" {
				t.Errorf("while its member is away the group is %+v, %v", away, err)
			}
			again := call("static", 1, "mails", "still", "one")
			back, err := k.Groups().Describe(k.ctx, "still")
			if first != "mails: 1" || again != "mails: 2" || err != nil || back.Generation != away.Generation || len(back.Members) != 1 {
				t.Errorf("a static member has read %s, and then %s; the group was %+v, and is %+v, %v", first, again, away, back, err)
			}

			if got := call("transform", 2, "letters", "out", "transformers"); got != "letters: 1, letters: 2" {
				t.Errorf("in a transaction it has read %s", got)
			}
			committed, err := k.Groups().Committed(k.ctx, "transformers")
			if err != nil || committed[samsa.TopicPartition{Topic: "letters"}].Offset != 2 {
				t.Errorf("committed are %v, %v", committed, err)
			}
			if out := k.read("out", 2); string(out[0].Value) != "letters: 1" {
				t.Errorf("the copy is %v", out)
			}
		})
	}
}

// Kafka's tool lists, describes, resets and deletes groups of the consumer protocol.
func TestConsumerProtocolTool(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create("t", 2)
	k.write("t", []record{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}, {Key: "k", Value: "3"}})
	cl := k.franz(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	cl.PollRecords(k.ctx, 3)
	if err := cl.CommitUncommittedOffsets(k.ctx); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) string { return k.run(k.tool("consumer.group.ConsumerGroupCommand", args...)) }
	for _, tt := range []struct {
		args, want []string
	}{
		{[]string{"--list", "--type"}, []string{"g", "Consumer"}},
		{[]string{"--list", "--state", "Stable", "--type", "consumer"}, []string{"g", "Stable"}},
		{[]string{"--describe", "--group", "g"}, []string{"t", "CURRENT-OFFSET", "kgo"}},
		{[]string{"--describe", "--group", "g", "--state", "--verbose"}, []string{"uniform", "Stable", "TARGET-ASSIGNMENT-EPOCH"}},
		{[]string{"--describe", "--group", "g", "--members", "--verbose"}, []string{"CURRENT-EPOCH", "t:0,1"}},
	} {
		said := tool(tt.args...)
		for _, want := range tt.want {
			if !strings.Contains(said, want) {
				t.Errorf("%v prints %q, want %s in it", tt.args, said, want)
			}
		}
	}
	cl.Close()
	if said := tool("--group", "g", "--reset-offsets", "--to-earliest", "--topic", "t", "--execute"); !strings.Contains(said, "NEW-OFFSET") {
		t.Errorf("a reset prints %q", said)
	}
	committed, err := k.Groups().Committed(k.ctx, "g")
	if err != nil || committed[samsa.TopicPartition{Topic: "t"}].Offset != 0 {
		t.Errorf("after a reset committed are %v, %v", committed, err)
	}
	tool("--delete", "--group", "g")
	if names, err := k.Groups().List(k.ctx); err != nil || len(names) > 0 {
		t.Errorf("after the deletion there are %v, %v", names, err)
	}
}
