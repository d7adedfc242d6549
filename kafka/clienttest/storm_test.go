package clienttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stormKeys is how many keys the records of a storm have.
const stormKeys = 4

// storm is a program that is three clients at once on a cluster in upheaval, called with the addresses, two topics and a name: a producer, idempotent if
// it can be, sends rounds of records to the first topic, one of each key, whose value is the round; one with transactions sends such rounds to
// the second, each in a transaction, and again if it has to abort; and a member of a group reads the first topic. It prints "begun" when each has
// done something, goes on until its standard input ends, and until the member has read everything, and prints what it has done.
type storm struct {
	name    string
	needs   func(t *testing.T)
	command func(ctx context.Context, args ...string) *exec.Cmd
	twice   bool // its producer is not idempotent
	no      bool // it has no transactions
}

// stormDone is what a storm has done.
type stormDone struct {
	Sent, Committed int // rounds
	Read            int // records
	Errors          []string
}

func storms() []storm {
	python := func(python, script string) func(context.Context, ...string) *exec.Cmd {
		return func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, python, append([]string{filepath.Join("testdata", script)}, args...)...)
		}
	}
	java := func(set javaSet) storm {
		return storm{"Java, " + string(set), func(t *testing.T) { set.needs(t, "kafka-clients") }, func(ctx context.Context, args ...string) *exec.Cmd {
			return set.command(ctx, append([]string{filepath.Join("testdata", "java", "Storm.java")}, args...)...)
		}, false, false}
	}
	return []storm{
		{"librdkafka", confluentProgram().needs, python(debianPython, "confluent_storm.py"), false, false},
		{"librdkafka-2", newConfluentProgram().needs, python(installed("librdkafka", "bin", "python"), "confluent_storm.py"), false, false},
		{"kafka-python", kafkaPythonClient().needs, python(debianPython, "kafka_python_storm.py"), true, true},
		{"kafka-python-3", newKafkaPythonClient().needs, python(installed("python", "bin", "python"), "kafka_python_storm.py"), false, true},
		{"aiokafka", aioKafkaClient().needs, python(installed("python", "bin", "python"), "aiokafka_storm.py"), false, false},
		{"kafkajs", kafkaJSClient().needs, func(ctx context.Context, args ...string) *exec.Cmd {
			return nodeCommand(ctx, append([]string{"kafkajs_storm.js"}, args...)...)
		}, false, true},
		java(javaClients), java(javaStreams),
	}
}

// TestStorm is TestUpheaval for clients that are not Go: leaders and coordinators move, and nodes stop, die and start, under each of them. Nothing is lost,
// nothing of producers that are idempotent and of those with transactions is there twice, and the order of each key holds.
func TestStorm(t *testing.T) {
	const plain, transacted, name, events = "plain", "transacted", "storm", 40
	for _, s := range storms() {
		t.Run(s.name, func(t *testing.T) {
			s.needs(t)
			u := newUpheaval(t, plain, transacted)
			u.kit = u.within(t, javaPatience)
			cmd := s.command(u.ctx, strings.Join(u.c.Addrs(), ","), plain, transacted, name)
			done := u.play(cmd, func() { u.run(events, []string{plain, transacted}, []string{name}, []string{name}) })
			if !s.no && done.Committed == 0 {
				t.Fatalf("it has committed nothing: %+v", done)
			}
			t.Logf("%+v", done)
			rounds := func(n int) []int { return []int{n, n, n, n} }
			if !s.twice {
				u.ordered(plain, rounds(done.Sent), stormKeys*done.Sent)
			}
			u.ordered(transacted, rounds(done.Committed), stormKeys*done.Committed)
		})
	}
}

// play runs a storm, and something meanwhile, and returns what it has done.
func (k *kit) play(cmd *exec.Cmd, meanwhile func()) (done stormDone) {
	k.t.Helper()
	stdin, err := cmd.StdinPipe()
	must(k.t, err)
	stdout, err := cmd.StdoutPipe()
	must(k.t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(k.t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "begun" {
		k.t.Errorf("it says %q", lines.Text())
	}
	meanwhile()
	must(k.t, stdin.Close())
	if lines.Scan() {
		must(k.t, json.Unmarshal(lines.Bytes(), &done))
	}
	if err := cmd.Wait(); err != nil || len(done.Errors) > 0 || done.Sent == 0 || done.Read != stormKeys*done.Sent {
		k.t.Fatalf("%v: %+v\n%s", err, done, stderr.String())
	}
	return done
}
