package clienttest

import (
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
