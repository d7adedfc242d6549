package clienttest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// story is what a producer with a transactional id does, a transaction a step: it sends records to
// partition 0 of a topic, which must have arrived before it ends, and commits an offset of a group for
// partition 0 of another, of which the records up to there may be read.
type story struct {
	ID    string      `json:"id"`
	Topic string      `json:"topic"`
	Group string      `json:"group"`
	Input string      `json:"input"`
	Steps []storyStep `json:"steps"`
}

type storyStep struct {
	Records []record `json:"records"`
	Offset  int64    `json:"offset"` // 0 for none
	End     string   `json:"end"`
}

// How a step ends. With fence another producer begins with the id; the first one must fail to commit
// then, and the second does what follows.
const (
	commit = "commit"
	abort  = "abort"
	fence  = "fence"
)

// transactional are the clients that can leave out what is not committed; most have transactions too. To kafka-go and the
// old kafka-python a marker is a record like others.
func transactional() []client {
	all := append(clients(), newKafkaPythonClient(), aioKafkaClient())
	return slices.DeleteFunc(all, func(c client) bool { return c.committed == nil })
}

// transactionStory is the story that each client does: transactions end in each way, with offsets and
// without them, and the last is committed.
func transactionStory(id string) story {
	s := story{ID: id, Topic: id, Group: id, Input: "input"}
	for i, step := range []storyStep{
		{End: commit}, {End: abort}, {End: commit, Offset: 5}, {End: abort, Offset: 9}, {End: commit}, {End: fence}, {End: abort}, {End: commit},
	} {
		for j := range 1 + i%3 {
			step.Records = append(step.Records, record{Key: fmt.Sprint("k", j), Value: fmt.Sprintf("%s of step %d: %d", id, i, j), Header: step.End})
		}
		s.Steps = append(s.Steps, step)
	}
	return s
}

// records are what the story sends, all or what is committed.
func (s story) records(all bool) (some []record) {
	for _, step := range s.Steps {
		if all || step.End == commit {
			some = append(some, step.Records...)
		}
	}
	return some
}

// Transactions of each client are what every other one sees of them, by both protocols: with partitions
// that are added first, and implicitly.
func TestTransactions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("input", 1)
	k.write("input", transactionStory("input").records(true))
	var topics []string
	for _, level := range []int16{2, 0} { // it begins as a new broker does
		k.of(t).transactionVersion(level)
		t.Run(fmt.Sprint("version ", level), func(t *testing.T) {
			for _, c := range transactional() {
				if c.transact == nil {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					needs(t, c)
					k, s := k.of(t), transactionStory(fmt.Sprint(c.name, ".", level))
					k.create(s.Topic, 1)
					c.transact(k, s)
					topics = append(topics, s.Topic)
					offsets, err := k.Groups().Committed(k.ctx, s.Group)
					if err != nil {
						t.Fatal(err)
					}
					if got := offsets[samsa.TopicPartition{Topic: "input"}].Offset; len(offsets) != 1 || got != 5 {
						t.Errorf("committed are %+v, want 5", offsets)
					}
				})
			}
		})
	}
	for _, c := range transactional() {
		t.Run(c.name+" reads", func(t *testing.T) {
			needs(t, c)
			t.Parallel()
			k := k.of(t)
			for all, read := range map[bool]func(*kit, []string, int) map[string][]record{false: c.committed, true: c.consume} {
				got := read(k, topics, len(transactionStory("").records(all)))
				for _, topic := range topics {
					if want := transactionStory(topic).records(all); !slices.Equal(got[topic], want) {
						t.Errorf("of %s, all %v, reads %v, want %v", topic, all, got[topic], want)
					}
				}
			}
		})
	}
}

// Who reads what is committed gets past aborted records that are much more than an answer holds (librdkafka's test 0129).
func TestManyAborted(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	cl := k.franz(kgo.TransactionalID("many"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer cl.Close()
	want := []record{{Key: "k", Value: "committed", Header: "yes"}, {Key: "k", Value: "this too", Header: "yes"}}
	produce := func(try kgo.TransactionEndTry, records ...*kgo.Record) {
		t.Helper()
		err := cl.BeginTransaction()
		if err == nil {
			err = cl.ProduceSync(k.ctx, records...).FirstErr()
		}
		if err := errors.Join(err, cl.EndTransaction(k.ctx, try)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range want {
		var aborted []*kgo.Record // 3 MiB, where most clients ask for one of a partition
		for range 300 {
			aborted = append(aborted, &kgo.Record{Topic: "t", Value: make([]byte, 10<<10)})
		}
		produce(kgo.TryAbort, aborted...)
		produce(kgo.TryCommit, &kgo.Record{Topic: "t", Key: []byte(r.Key), Value: []byte(r.Value),
			Headers: []kgo.RecordHeader{{Key: headerKey, Value: []byte(r.Header)}}})
	}
	for _, c := range transactional() {
		t.Run(c.name, func(t *testing.T) {
			needs(t, c)
			same(t, c.committed(k.of(t), []string{"t"}, len(want))["t"], want)
		})
	}
}

// What is left of the transactions of each client when their topic is compacted is what was committed last, of each key, and
// that is what every other client sees of them, of either isolation: aborted records hide nothing, and are gone.
func TestCompactedTransactions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("input", 1)
	k.write("input", transactionStory("input").records(true))
	last := record{Key: "last", Value: "last"} // what comes last is not compacted
	want := make(map[string][]record)
	var topics []string
	for _, level := range []int16{2, 0} {
		k.of(t).transactionVersion(level)
		for _, c := range transactional() {
			if c.transact == nil {
				continue
			}
			t.Run(fmt.Sprint(c.name, ", version ", level), func(t *testing.T) {
				needs(t, c)
				k, s := k.of(t), transactionStory(fmt.Sprint(c.name, ".", level))
				config := samsa.TopicConfig{Partitions: 1, CleanupPolicy: samsa.CleanupCompact, DeleteRetention: time.Millisecond}
				if err := k.Topics().Create(k.ctx, s.Topic, config); err != nil {
					t.Fatal(err)
				}
				c.transact(k, s)
				k.write(s.Topic, []record{last})
				topics, want[s.Topic] = append(topics, s.Topic), append(s.latest(), last)
			})
		}
	}
	for i := range 2 { // markers may go with the second
		stats, err := k.Sweep(t.Context())
		if err != nil || i == 0 && stats.Records == 0 {
			t.Fatalf("swept: %+v, %v", stats, err)
		}
	}
	for _, c := range transactional() {
		t.Run(c.name+" reads", func(t *testing.T) {
			needs(t, c)
			t.Parallel()
			k := k.of(t)
			for _, read := range []func(*kit, []string, int) map[string][]record{c.committed, c.consume} {
				got := read(k, topics, len(want[topics[0]]))
				for _, topic := range topics {
					if !slices.Equal(got[topic], want[topic]) {
						t.Errorf("of %s reads %v, want %v", topic, got[topic], want[topic])
					}
				}
			}
		})
	}
}

// latest are what the story has committed last of each key, in the order of that.
func (s story) latest() (some []record) {
	keys := make(map[string]bool)
	for _, r := range slices.Backward(s.records(false)) {
		if !keys[r.Key] {
			keys[r.Key], some = true, append(some, r)
		}
	}
	slices.Reverse(some)
	return some
}

// transactionVersion sets the level of transaction.version.
func (k *kit) transactionVersion(level int16) {
	k.t.Helper()
	cl := k.franz()
	defer cl.Close()
	req := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = "transaction.version", level, 2 // a downgrade
	if level > 0 {
		u.UpgradeType = 1
	}
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	resp, err := req.RequestWith(k.ctx, cl)
	if err != nil || resp.ErrorCode != 0 {
		k.t.Fatalf("transaction.version %d: %v, %+v", level, err, resp)
	}
}
