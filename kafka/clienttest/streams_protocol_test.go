package clienttest

import (
	"testing"

	"github.com/samsa-go/samsa"
)

// streamsProtocol has Kafka Streams use groups of its own protocol (KIP-1071).
const streamsProtocol = "group.protocol=streams"

// Kafka Streams counts words in a group of its own protocol: the broker makes the topics between its parts, and assigns
// its tasks. Two instances share the work; one that is killed is missed after its session, and the other has all.
func TestStreamsProtocol(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel() // it waits much of the time
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create(lineTopic, linePartitions)
	k.create(countTopic, 1)
	out, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{countTopic}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	w := &wordCount{kit: k, want: make(map[string]int64), has: make(map[string]int64), out: out}

	app := w.run(t.TempDir(), streamsProtocol)
	w.write("first")
	w.exact()
	app.stop()
	w.committed()
	k.compacted(countLog)
}
