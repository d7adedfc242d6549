package clienttest

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// sharedFrom has a share group begin with the first record of each topic.
func (k *kit) sharedFrom(group string) {
	k.t.Helper()
	if err := k.Groups().SetConfigs(k.ctx, group, map[string]string{"share.auto.offset.reset": "earliest"}); err != nil {
		k.t.Fatal(err)
	}
}

// letters produces one record for each letter.
func (k *kit) letters(topic, letters string) {
	k.t.Helper()
	var records []samsa.Record
	for _, l := range letters {
		records = append(records, samsa.Record{Topic: topic, Value: []byte(string(l))})
	}
	if _, err := k.Produce(k.ctx, records...); err != nil {
		k.t.Fatal(err)
	}
}

// eventually waits until what is wanted is so, for as long as the test has patience.
func (k *kit) eventually(wanted string, is func() bool) {
	k.t.Helper()
	often := time.NewTicker(20 * time.Millisecond)
	defer often.Stop()
	for !is() {
		select {
		case <-often.C:
		case <-k.ctx.Done():
			k.t.Fatalf("waited in vain until %s", wanted)
		}
	}
}

// untilCommitted waits until a group has committed n records of a topic, from which none is removed. samsatest.WaitCommitted has less patience than Java
// programs take.
func (k *kit) untilCommitted(group, topic string, n int) {
	k.t.Helper()
	k.eventually(fmt.Sprintf("%s has committed %d records of %s", group, n, topic), func() bool {
		committed, err := k.Groups().Committed(k.ctx, group)
		sum := int64(0)
		for tp, at := range committed {
			if tp.Topic == topic {
				sum += at.Offset
			}
		}
		return err == nil && sum >= int64(n)
	})
}

// Kafka's command-line tools for share groups: a consumer, and the administration.
func TestShareCommands(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	t.Parallel() // its programs wait for one another
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create("mails", 1)
	k.letters("mails", "abc")
	k.run(k.tool("ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "mailer", "--add-config", "share.auto.offset.reset=earliest"))
	out := k.run(k.tool("consumer.ConsoleShareConsumer", "--topic", "mails", "--group", "mailer", "--max-messages", "3", "--timeout-ms", "30000"))
	if got := strings.Fields(out); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("consumed: %q", out)
	}
	group := func(want string, args ...string) {
		t.Helper()
		out := k.run(k.tool("consumer.group.ShareGroupCommand", args...))
		if !regexp.MustCompile(want).MatchString(strings.Join(strings.Fields(out), " ")) {
			t.Errorf("%v: got %q, want %s", args, out, want)
		}
	}
	group(`^mailer$`, "--list")
	group(`mailer Empty$`, "--list", "--state")
	group(`mailer mails 0 3 0$`, "--describe", "--group", "mailer")
	group(`mailer 127\.0\.0\.1:\d+ \(1\) Empty \d+ \d+ 0$`, "--describe", "--group", "mailer", "--state", "--verbose")
	group(`mailer mails 0 0$`, "--reset-offsets", "--group", "mailer", "--topic", "mails", "--to-earliest", "--execute")
	group(`mailer mails 0 0 0 3$`, "--describe", "--group", "mailer", "--offsets", "--verbose")
	group(`mails Successful$`, "--delete-offsets", "--group", "mailer", "--topic", "mails")
	group(`was successful`, "--delete", "--group", "mailer")
	group(`GroupIdNotFoundException`, "--delete", "--group", "mailer")
}

// A share consumer of Java's, one of franz-go's and a queue of the broker's process are members of one group: each record
// is done by one of them, and the administration shows all three.
func TestShareMixedMembers(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	t.Parallel()
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create("mails", 2)
	k.sharedFrom("mailer")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	cl := k.franz(kgo.ShareGroup("mailer"), kgo.ConsumeTopics("mails"), kgo.ShareMaxRecords(5))
	defer cl.Close()
	java := k.start(k.tool("consumer.ConsoleShareConsumer", "--topic", "mails", "--group", "mailer"))

	var mu sync.Mutex // guards done
	done := make(map[string][]string)
	note := func(who string, value []byte) {
		mu.Lock()
		defer mu.Unlock()
		done[who] = append(done[who], string(value))
	}
	ctx, cancel := context.WithCancel(k.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for ctx.Err() == nil {
			polled := cl.PollFetches(ctx)
			polled.EachRecord(func(r *kgo.Record) { note("franz-go", r.Value) })
		}
	})
	wg.Go(func() {
		_ = q.Work(ctx, 2, func(_ context.Context, d samsa.Delivery) error {
			note("queue", d.Record.Value)
			time.Sleep(5 * time.Millisecond) // it leaves something to the others
			return nil
		})
	})
	k.eventually("all three are members", func() bool {
		info, err := k.Groups().Describe(k.ctx, "mailer")
		return err == nil && len(info.Members) == 3
	})
	word := regexp.MustCompile(`m\d{7}`)
	var all map[string]int
	collect := func() (busy int) {
		mu.Lock()
		defer mu.Unlock()
		done["java"] = word.FindAllString(java.said.String(), -1)
		all = make(map[string]int)
		for _, values := range done {
			busy += min(1, len(values))
			for _, v := range values {
				all[v]++
			}
		}
		return busy
	}
	n := 0
	for n < 300 || collect() < 3 {
		for range 50 {
			if _, err := k.Produce(k.ctx, samsa.Record{Topic: "mails", Value: fmt.Appendf(nil, "m%07d", n)}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		k.eventually("all records are done", func() bool { return collect() > 0 && len(all) == n })
	}
	for v, times := range all {
		if times != 1 {
			t.Errorf("%s was done %d times", v, times)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, who := range []string{"java", "franz-go", "queue"} {
		t.Logf("%s has done %d", who, len(done[who]))
	}
}

// librdkafka's share consumer, in both modes.
func TestConfluentShare(t *testing.T) {
	python := installed("librdkafka", "bin", "python")
	if _, err := exec.LookPath(python); err != nil {
		missing(t, "confluent-kafka")
	}
	t.Parallel()
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create("mails", 1)
	k.sharedFrom("implicit")
	k.sharedFrom("explicit")
	k.letters("mails", "abc")
	for mode, want := range map[string][]string{
		"implicit": {"a", "b", "c", "later"},
		"explicit": {"a", "b", "c", "b", "later"}, // b is released, c rejected
	} {
		var got []string
		if err := json.Unmarshal([]byte(k.run(exec.CommandContext(k.ctx, python, filepath.Join("testdata", "confluent_share.py"), k.addr, mode))), &got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", mode, got, want)
		}
		info, err := k.Groups().Describe(k.ctx, mode)
		if err != nil || len(info.Partitions) != 1 || info.Partitions[0].Lag != 0 {
			t.Errorf("%s: %+v, %v", mode, info, err)
		}
	}
}

// A member outlives a restart of the broker: it joins anew, what was acknowledged stays so, and what was not comes again.
func TestShareRestart(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), newGate(t)
	start := func() *kit {
		t.Helper()
		b, err := samsa.Open(dir, samsa.Options{})
		if err != nil {
			t.Fatal(err)
		}
		k := &kit{Broker: b, addr: g.Addr().String()}
		srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{Advertise: k.addr})
		if err != nil {
			t.Fatal(err)
		}
		g.lead(srv.Addr().String())
		return k.of(t)
	}
	k := start()
	defer func() { _ = k.Close() }() // when its client has closed
	k.create("mails", 1)
	k.sharedFrom("mailer")
	k.letters("mails", "abc")
	cl := k.franz(kgo.ShareGroup("mailer"), kgo.ConsumeTopics("mails"), kgo.MetadataMinAge(100*time.Millisecond))
	defer cl.Close()
	poll := func(n int) (got []string) {
		t.Helper()
		for len(got) < n {
			polled := cl.PollFetches(k.ctx)
			if k.ctx.Err() != nil {
				t.Fatalf("got only %q", got)
			}
			polled.EachRecord(func(r *kgo.Record) {
				got = append(got, string(r.Value))
				if status := kgo.AckAccept; string(r.Value) == "b" && len(got) == 2 {
					r.Ack(kgo.AckRelease)
				} else {
					r.Ack(status)
				}
			})
		}
		return got
	}
	if got := poll(4); !slices.Equal(got, []string{"a", "b", "c", "b"}) {
		t.Errorf("got %q", got)
	}
	ended, cancel := context.WithCancel(k.ctx)
	cancel()
	k.eventually("all is acknowledged", func() bool {
		cl.PollRecords(ended, 1) // sends acknowledgements, and does not wait
		info, err := k.Groups().Describe(k.ctx, "mailer")
		return err == nil && len(info.Partitions) == 1 && info.Partitions[0].Lag == 0
	})
	g.lead("")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = start()
	k.letters("mails", "de")
	if got := poll(2); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("after the restart: %q", got)
	}
}
