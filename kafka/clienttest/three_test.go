package clienttest

import (
	"strings"
	"testing"

	"github.com/samsa-go/samsa/cluster/kafkatest"
	wire "github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// threeOtherwise are the answers that differ from Kafka's, and why: all with that text in their question, of the story.
var threeOtherwise = []struct{ story, question, why string }{
	{"share elsewhere", "ShareAcknowledge 1 at 2", "who leads is told to all; Kafka knows only of what has been read by a share group there"},
	{"share elsewhere", "ShareAcknowledge 2 at 2", "the same"},
	{"share elsewhere", "ShareAcknowledge 1 at 3", "the same"},
	{"share elsewhere", "ShareAcknowledge 2 at 3", "the same"},
	{"what the controller does", "ResourceType=BROKER", "message.max.bytes is an option of the process"},
}

// otherwise returns which of them an answer of a story may be, -1 for none.
func otherwise(story, question string) int {
	for i, o := range threeOtherwise {
		if o.story == story && strings.Contains(question, o.question) {
			return i
		}
	}
	return -1
}

// Whatever node a client asks, for whatever another one has, before, while and after leaders move and nodes stop: a cluster of Samsa answers
// as three nodes of Apache Kafka do.
func TestThreeLikeKafka(t *testing.T) {
	racks := []string{"a", "b", "c"}
	k := kafkatest.New(t, kafkatest.Options{
		Nodes: 3, Racks: racks, Java: []string{"-Xms256M", "-Xmx384M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"},
		Configs: map[string]string{
			"min.insync.replicas":       "1",
			"auto.create.topics.enable": "false",
			"replica.selector.class":    "org.apache.kafka.common.replica.RackAwareReplicaSelector",
			// Leaders move when a story has them move: not by themselves, nor because a busy machine has not let a node run for a while.
			"auto.leader.rebalance.enable":       "false",
			"broker.session.timeout.ms":          "9000",
			"controller.quorum.fetch.timeout.ms": "9000",
		},
	})
	there := newThree(t, k.Seeds())
	there.stop = func(n int32) error { return k.Shut(int(n)) }
	there.kill = func(n int32) error { k.Kill(int(n)); return nil }
	there.restart = func(n int32) error { return k.Restart(int(n)) }
	s := samsatest.Cluster(t, samsatest.New(t), 3, wire.ClusterOptions{Racks: racks})
	here := newThree(t, s.Addrs())
	here.stop, here.kill, here.restart = s.Stop, s.Kill, s.Start
	there.like = here
	for _, story := range threeStories {
		t.Run(story.name, func(t *testing.T) {
			for _, c := range []*three{here, there} {
				c.begin(t, story.name)
				story.story(c)
			}
			compareThree(t, story.name, here, there)
		})
	}
}

func compareThree(t *testing.T, story string, here, there *three) {
	t.Helper()
	if len(here.heard) != len(there.heard) {
		t.Fatalf("%d answers here, %d at Kafka", len(here.heard), len(there.heard))
	}
	met := make([]bool, len(threeOtherwise))
	for i, said := range here.heard {
		known := otherwise(story, there.asked[i])
		switch differ := said != there.heard[i]; {
		case differ && known >= 0:
			met[known] = true
		case differ:
			t.Errorf("%s\nhere\n%s\nand at Kafka\n%s", there.asked[i], said, there.heard[i])
		}
	}
	for j, o := range threeOtherwise {
		if o.story == story && !met[j] {
			t.Errorf("%q is answered as at Kafka: it does not differ any more", o.question)
		}
	}
	t.Logf("%d answers", len(here.heard))
}

// What only reads is asked again until it is answered as here, and what changes something is not; what is never answered so is heard.
func TestThreeAskAgain(t *testing.T) {
	there := &three{t: t, like: &three{heard: []string{"new", "new", "new"}}}
	for i, again := range []bool{true, false, true} {
		there.vain = i == 2
		asked := 0
		there.hear("", again, func() string {
			asked++
			return map[bool]string{true: "new", false: "old"}[asked > 2]
		})
	}
	if got, want := strings.Join(there.heard, " "), "new old old"; got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
}
