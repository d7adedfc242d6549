package clienttest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kills goes through the kills of a test, and gives the number of each and of all: least, or KILLS.
func kills(t *testing.T, least int) iter.Seq2[int, int] {
	t.Helper()
	n := howMany(least)
	return func(yield func(int, int) bool) {
		for i := range n {
			if !yield(i, n) {
				return
			}
		}
		t.Logf("%d kills", n)
	}
}

// howMany is how often a test kills: least, or KILLS.
func howMany(least int) int {
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		return n
	}
	return least
}

// reader reads a topic from its beginning on, as franz-go does.
type reader struct {
	k     *kit
	topic string
	cl    *kgo.Client
}

// readCommitted reads what is committed of a topic.
func (k *kit) readCommitted(topic string) reader { return k.isolated(topic, kgo.ReadCommitted()) }

// readUncommitted reads everything that is in a topic.
func (k *kit) readUncommitted(topic string) reader { return k.isolated(topic, kgo.ReadUncommitted()) }

func (k *kit) isolated(topic string, level kgo.IsolationLevel) reader {
	k.t.Helper()
	r := reader{k, topic, k.franz(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(level))}
	k.t.Cleanup(r.cl.Close)
	return r
}

// more waits for records, and returns what has come.
func (r reader) more() []*kgo.Record {
	r.k.t.Helper()
	return franzPoll(r.k, r.cl, 0)
}

// rest returns what has not been read of a topic that has so many partitions, to which nobody writes any more: it
// marks the ends of the partitions, and reads to those. Marks are not returned. A transaction that is open before an
// end is waited for by who reads what is committed.
func (r reader) rest(partitions int) (records []*kgo.Record) {
	r.k.t.Helper()
	const key = "the end"
	mark := fmt.Sprint(rand.Uint64())
	cl := r.k.franz(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for i := range partitions {
		end := &kgo.Record{Topic: r.topic, Partition: int32(i), Key: []byte(key), Value: []byte(mark)}
		if err := cl.ProduceSync(r.k.ctx, end).FirstErr(); err != nil {
			r.k.t.Fatal(err)
		}
	}
	for ends := 0; ends < partitions; {
		for _, rec := range r.more() {
			switch {
			case string(rec.Key) != key:
				records = append(records, rec)
			case string(rec.Value) == mark:
				ends++
			}
		}
	}
	return records
}
