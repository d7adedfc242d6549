package clienttest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/samsa-go/samsa"
)

// eachLibrdkafkaTransactions runs a test with the scenarios of transactions, with the old librdkafka and the newest, by
// both protocols.
func eachLibrdkafkaTransactions(t *testing.T, run func(t *testing.T, k *kit, p program)) {
	for _, p := range []program{
		pythonProgram("confluent-kafka", debianPython, "confluent_transactions.py", "confluent_kafka"),
		pythonProgram("confluent-kafka-2", installed("librdkafka", "bin", "python"), "confluent_transactions.py", "confluent_kafka"),
	} {
		for _, level := range []int16{2, 0} {
			t.Run(fmt.Sprint(p.name, ", version ", level), func(t *testing.T) {
				p.needs(t)
				t.Parallel() // a client waits much of the time
				k := inMemory(t, samsa.Options{}).within(t, javaPatience)
				if level == 0 {
					k.transactionVersion(0)
				}
				run(t, k, p)
			})
		}
	}
}

// step is what one of several producers does: it sends keys, in a transaction that may begin and end with them.
type step struct {
	By        string `json:"by"` // plain has no transactions
	Partition int32  `json:"partition"`
	Keys      []int  `json:"keys"`
	Begin     bool   `json:"begin"`
	End       string `json:"end"`   // "" leaves it open
	Flush     bool   `json:"flush"` // waits until the keys have arrived
}

// sends is the step of a producer that sends count keys, of which the first is given. Without more it sends them plainly.
func sends(by string, first, count int, more ...func(*step)) step {
	s := step{By: by, Flush: true}
	for i := range count {
		s.Keys = append(s.Keys, first+i)
	}
	for _, do := range more {
		do(&s)
	}
	return s
}

func begins(s *step)     { s.Begin = true }
func commits(s *step)    { s.End = commit }
func aborts(s *step)     { s.End = abort }
func hurries(s *step)    { s.Flush = false }
func toSecond(s *step)   { s.Partition = 1 }
func commitsAll(s *step) { s.Begin, s.End = true, commit }
func abortsAll(s *step)  { s.Begin, s.End = true, abort }

// keysIn returns the keys that readers find in a partition, in their order: those that are committed, or all. A key is
// in one step only.
func keysIn(steps []step, partition int32, all bool) []int {
	committed, open := make(map[int]bool), make(map[string][]int)
	for _, s := range steps {
		open[s.By] = append(open[s.By], s.Keys...)
		if s.End == "" && s.By != "plain" {
			continue
		}
		for _, key := range open[s.By] {
			committed[key] = s.End != abort
		}
		open[s.By] = nil
	}
	keys := []int{}
	for _, s := range steps {
		if s.Partition != partition {
			continue
		}
		for _, key := range s.Keys {
			if all || committed[key] {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// consumerStories are what producers do in librdkafka's test 0098, by its numbers. Where it sleeps until a part of a
// transaction has been sent, these wait for that.
var consumerStories = map[string][]step{
	"0":   {sends("1", 0x00, 5, commitsAll), sends("1", 0x10, 5, abortsAll)},
	"0.1": {sends("1", 0x00, 5, commitsAll, hurries), sends("1", 0x10, 5, abortsAll)},
	"0.2": {sends("1", 0x10, 5, abortsAll), sends("1", 0x30, 5, commitsAll)},
	"1":   {sends("plain", 0x10, 5), sends("1", 0x50, 5, commitsAll), sends("1", 0x80, 5, abortsAll)},
	"1.1": {sends("1", 0x30, 5, abortsAll), sends("plain", 0x40, 5), sends("1", 0x60, 5, commitsAll)},
	"1.2": {sends("1", 0x10, 5, commitsAll), sends("1", 0x20, 5, abortsAll), sends("plain", 0x30, 5)},
	"2": {
		sends("1", 0x10, 1, abortsAll, hurries), sends("1", 0x20, 1, commitsAll, hurries),
		sends("1", 0x30, 1, abortsAll, hurries), sends("1", 0x40, 1, commitsAll, hurries),
		sends("1", 0x50, 1, abortsAll, hurries), sends("1", 0x60, 1, commitsAll, hurries),
		sends("1", 0x70, 1, abortsAll, hurries), sends("1", 0x80, 1, commitsAll, hurries),
		sends("1", 0x90, 1, abortsAll, hurries), sends("1", 0xa0, 1, commitsAll),
		sends("plain", 0xb0, 1, hurries), sends("plain", 0xc0, 1),
	},
	"2.1": {
		sends("1", 0x10, 1, abortsAll), sends("1", 0x20, 1, commitsAll), sends("1", 0x30, 1, abortsAll), sends("1", 0x40, 1, commitsAll),
		sends("1", 0x50, 1, abortsAll), sends("1", 0x60, 1, commitsAll), sends("1", 0x70, 1, abortsAll), sends("1", 0x80, 1, commitsAll),
		sends("1", 0x90, 1, abortsAll), sends("1", 0xa0, 1, commitsAll), sends("plain", 0xb0, 1), sends("plain", 0xc0, 1),
	},
	"3": {sends("1", 0x10, 3, begins), sends("1", 0x20, 3, toSecond), sends("1", 0x30, 3, commits)},
	"3.1": {
		sends("1", 0x55, 1, commitsAll), sends("1", 0x10, 3, begins), sends("1", 0x20, 3, toSecond), sends("1", 0x30, 3, aborts),
		sends("plain", 0x00, 1), sends("1", 0x44, 1, commitsAll, toSecond),
	},
	"4":   twoAtOnce(commits, aborts),
	"4.1": twoAtOnce(aborts, commits),
	"4.2": twoAtOnce(commits, commits),
	"4.3": twoAtOnce(aborts, aborts),
	"5": {
		sends("1", 0x10, 2, begins), sends("1", 0x20, 2, aborts, hurries), sends("1", 0x30, 2, begins), sends("1", 0x40, 2, commits, hurries),
		sends("1", 0x50, 2, begins), sends("1", 0x60, 2, aborts, hurries), sends("1", 0xa0, 2, begins), sends("1", 0xb0, 2, commits, hurries),
		sends("plain", 0x70, 1),
	},
	"6": {sends("plain", 0x10, 1), sends("1", 0x20, 3, begins)},
}

// twoAtOnce is a story of two transactions, one in the other.
func twoAtOnce(first, second func(*step)) []step {
	return []step{
		sends("plain", 0x10, 1), sends("1", 0x20, 3, begins), sends("2", 0x30, 3, begins),
		sends("1", 0x40, 3, first), sends("2", 0x50, 3, second),
	}
}

// A consumer of librdkafka finds of transactions what it finds in Kafka (test 0098): of those that follow each other
// closely, of several at once, in one partition and two, of one that is left open.
func TestLibrdkafkaConsumesTransactions(t *testing.T) {
	eachLibrdkafkaTransactions(t, func(t *testing.T, k *kit, p program) {
		for topic := range consumerStories {
			k.create(topic, 2)
		}
		var found map[string]map[string][]struct { // by isolation, topic and partition
			Keys         []int
			High, Stable int64
		}
		p.call(k, consumerStories, &found, "stories")
		for name, steps := range consumerStories {
			for isolation, in := range found {
				for partition, got := range in[name] {
					all, open := isolation == "read_uncommitted", int64(0)
					if name == "6" && partition == 0 && !all { // who reads all takes the high watermark for both
						open = 3
					}
					if got.High != got.Stable+open {
						t.Errorf("story %s, %s of partition %d: ends at %d and %d, want %d that are open", name, isolation, partition, got.High, got.Stable, open)
					}
					if all && slices.ContainsFunc(steps, func(s step) bool { return s.End == abort && !s.Flush }) {
						continue // what is aborted before it is sent is nowhere
					}
					if want := keysIn(steps, int32(partition), all); !slices.Equal(got.Keys, want) {
						t.Errorf("story %s, %s of partition %d: keys %#x, want %#x", name, isolation, partition, got.Keys, want)
					}
				}
			}
		}
		if len(found) != 2 || len(found["read_committed"]) != len(consumerStories) {
			t.Errorf("found %+v", found)
		}
	})
}

// What librdkafka's test 0103 has a producer with a transactional id do comes out as there.
func TestLibrdkafkaTransactions(t *testing.T) {
	eachLibrdkafkaTransactions(t, func(t *testing.T, k *kit, p program) {
		t.Run("misuse", func(t *testing.T) { p.call(k.of(t), nil, nil, "misuse", "misuse") })
		for _, codec := range []string{"none", "lz4"} {
			t.Run("basic, "+codec, func(t *testing.T) {
				k.create("basic-"+codec, 4)
				p.call(k.of(t), nil, nil, "basic", "basic-"+codec, codec)
			})
		}
		t.Run("pipeline", func(t *testing.T) { k.of(t).pipeline(p) })
		for _, produces := range []bool{false, true} {
			topic := fmt.Sprint("fenced-", produces)
			t.Run(topic, func(t *testing.T) {
				k := k.of(t)
				k.create(topic, 4)
				p.call(k, nil, nil, "fenced", topic, fmt.Sprint(produces))
				k.write(topic, []record{{Value: "last"}}) // to partition 0
				k.read(topic, 1)
			})
		}
		t.Run("deleted", func(t *testing.T) { k.of(t).deletedStory(p) })
		t.Run("empty", func(t *testing.T) { k.of(t).emptyStory(p) })
		t.Run("watermarks", func(t *testing.T) {
			k := k.of(t)
			k.create("watermarks", 1)
			k.write("watermarks", make([]record, 100))
			var got [][]int64
			p.call(k, nil, &got, "watermarks", "watermarks")
			if want := [][]int64{{100, 200}, {201, 201}}; !reflect.DeepEqual(got, want) {
				t.Errorf("committed and all end at %v, want %v", got, want)
			}
		})
		t.Run("marker", func(t *testing.T) {
			k := k.of(t)
			k.create("marker", 1)
			var got []int64
			p.call(k, nil, &got, "marker", "marker")
			if !slices.Equal(got, []int64{2}) {
				t.Errorf("committed is %v, want 2, behind the marker", got)
			}
		})
	})
}

// pipeline has a program copy a topic to another.
func (k *kit) pipeline(p program) {
	k.t.Helper()
	k.create("source", 4)
	k.create("target", 4)
	var copied []string
	p.call(k, nil, &copied, "pipeline", "source", "target")
	var got []string
	for _, r := range k.read("target", len(copied)) {
		got = append(got, string(r.Value))
	}
	slices.Sort(copied)
	slices.Sort(got)
	if !slices.Equal(got, copied) {
		k.t.Errorf("copied are %v, want %v", got, copied)
	}
}

// deletedStory has records of a producer deleted while it has a transaction open.
func (k *kit) deletedStory(p program) {
	k.t.Helper()
	if p.name == "confluent-kafka" {
		k.t.Skip("that old it cannot delete records")
	}
	k.create("deleted", 1)
	p.call(k, nil, nil, "deleted", "deleted")
	var got []int64
	for _, r := range k.read("deleted", 5) {
		got = append(got, r.Offset)
	}
	if want := []int64{7, 8, 9, 10, 12}; !slices.Equal(got, want) { // markers at 6, 11 and 13
		k.t.Errorf("records at %v, want %v", got, want)
	}
}

// emptyStory has transactions without records, which commit an offset, or nothing.
func (k *kit) emptyStory(p program) {
	k.t.Helper()
	for _, offsets := range []bool{false, true} {
		for _, commits := range []bool{false, true} {
			topic := fmt.Sprintf("empty-%v-%v", offsets, commits)
			k.create(topic, 1)
			k.write(topic, make([]record, 10))
			var got []int64
			p.call(k, nil, &got, "empty", topic, fmt.Sprint(offsets), fmt.Sprint(commits))
			want := int64(-1)
			if offsets && commits {
				want = 10
			}
			if !slices.Equal(got, []int64{want}) {
				k.t.Errorf("with offsets %v, committed %v: %v is committed, want %d", offsets, commits, got, want)
			}
		}
	}
}
