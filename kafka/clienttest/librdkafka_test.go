package clienttest

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// eachLibrdkafka runs a test with the old librdkafka and with the newest.
func eachLibrdkafka(t *testing.T, run func(t *testing.T, p program)) {
	for _, p := range []program{confluentProgram(), newConfluentProgram()} {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			run(t, p)
		})
	}
}

// A consumer that takes its partition by itself makes, by committing, the group that nobody has
// joined. The newest librdkafka gives a member id with that, the old one does not.
func TestLibrdkafkaAssigned(t *testing.T) {
	eachLibrdkafka(t, func(t *testing.T, p program) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		work := []record{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "c", Value: "3"}}
		k.write("t", work)
		var got []record
		p.call(k, nil, &got, "assigned", "2", "t", "g")
		same(t, got, work[:2])
		info, err := k.Groups().Describe(k.ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		if len(info.Partitions) != 1 || info.Partitions[0].Committed != 2 {
			t.Errorf("committed is %+v, want offset 2", info.Partitions)
		}
	})
}

// Consumers that join a new group together are given their parts once, eager or cooperative: the
// group waits for more members before it begins.
func TestLibrdkafkaTogether(t *testing.T) {
	eachLibrdkafka(t, func(t *testing.T, p program) {
		for _, strategy := range []string{"range", "cooperative-sticky"} {
			t.Run(strategy, func(t *testing.T) {
				t.Parallel() // it waits much of the time
				k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: 2 * time.Second}})
				k.create("t", 2)
				var assigned [][][]int32 // of each member, time after time
				p.call(k, nil, &assigned, "together", "2", "t", "g", strategy)
				if !reflect.DeepEqual(assigned, [][][]int32{{{0}}, {{1}}}) && !reflect.DeepEqual(assigned, [][][]int32{{{1}}, {{0}}}) {
					t.Errorf("assigned are %v, want a partition to each, once", assigned)
				}
			})
		}
	})
}

// A record may have no timestamp.
func TestLibrdkafkaUntimed(t *testing.T) {
	eachLibrdkafka(t, func(t *testing.T, p program) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		p.call(k, nil, nil, "untimed", "t")
		if at := k.read("t", 1)[0].Timestamp; !at.IsZero() {
			t.Errorf("the record has timestamp %v, want none", at)
		}
	})
}

// What tests of librdkafka's own suite do with group.protocol=consumer: members that come and go, static ones, topics by patterns,
// offsets in epochs, a member that polls too rarely, others that subscribe to something else.
func TestLibrdkafkaConsumerProtocol(t *testing.T) {
	p := newConfluentProgram()
	p.needs(t)
	k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{Configs: map[string]string{
		"group.consumer.min.heartbeat.interval.ms": "100", "group.consumer.heartbeat.interval.ms": "100",
		"group.consumer.min.session.timeout.ms": "1000", "group.consumer.assignment.interval.ms": "0",
	}}})
	// A member that polls too rarely says nothing any more, and is missed by the end of its session. Those of other stories do not depend on one so short.
	if err := k.Groups().SetConfigs(k.ctx, "slow", map[string]string{"consumer.session.timeout.ms": "3000"}); err != nil {
		t.Fatal(err)
	}
	k.create("four", 4)
	k.create("mail", 1)
	k.create("letters", 2)
	k.write("mail", []record{{Value: "1"}, {Value: "2"}})
	for story, want := range map[string]string{
		"rebalance":   `{"a": ["+4", "-2", "+2", "-4"], "b": ["+2", "-2"], "apart": true}`,
		"static":      `{"same": true, "other heard": [], "twice": "The instance ID is still used by another member in the consumer group"}`,
		"pattern":     `{"topics": ["four", "letters", "mail", "mailnew"], "bad": "The regular expression is not valid"}`,
		"offsets":     `{"got": ["1", "2"], "commits": ["committed", "UNKNOWN_MEMBER_ID", "committed", "committed", "committed"], "at": 2}`,
		"slow":        `{"told": ["+4", "-2", "!2", "+2"], "error": "_MAX_POLL_EXCEEDED", "late": "UNKNOWN_MEMBER_ID", "again": "committed"}`,
		"resubscribe": `{"told": ["+4", "-4", "+3", "-3"], "got": ["1", "2"]}`,
	} {
		t.Run(story, func(t *testing.T) {
			k := k.within(t, javaPatience)
			got := k.run(exec.CommandContext(k.ctx, installed("librdkafka", "bin", "python"), filepath.Join("testdata", "confluent_consumer_protocol.py"), k.addr, story))
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			info, err := k.Groups().Describe(k.ctx, story)
			if err != nil || info.Kind != samsa.GroupConsumer || story != "pattern" && story != "static" && len(info.Members) > 0 {
				t.Errorf("the group is %+v, %v", info, err)
			}
		})
	}
}
