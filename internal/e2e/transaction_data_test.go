package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// transacted is a broker in whose topics "t" and "u" transactions were committed and aborted, and are open.
func transacted(t *testing.T, dir string) *kit {
	t.Helper()
	k := open(t, dir, samsa.Options{})
	k.create("t", 1)
	k.create("u", 1)
	for _, topic := range []string{"t", "u"} {
		k.write(topic, "before")
		k.transact(topic, 7, "aborted 1", "aborted 2")
		k.transact(topic, 8, "committed")
		k.end(topic, 7, false)
		k.write(topic, "between")
		k.end(topic, 8, true)
		k.write(topic, "behind")
		k.transact(topic, 7, "open")
		k.write(topic, "last")
	}
	return k
}

func (k *kit) log(topic string) *log.Log {
	k.t.Helper()
	found, err := k.inside().Catalogue.Get(topic)
	if err != nil {
		k.t.Fatal(err)
	}
	return found.Partitions()[0].Log()
}

// transact writes a batch of a transaction of a producer to the topic's partition 0.
func (k *kit) transact(topic string, producer int64, values ...string) {
	k.t.Helper()
	var b log.Builder
	for _, v := range values {
		b.Append(1000, nil, []byte(v), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		k.t.Fatal(err)
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(producer, 0, int32(k.log(topic).StoredOf(producer)))
	k.appendBatch(topic, batch)
}

// end ends the producer's transaction.
func (k *kit) end(topic string, producer int64, commit bool) {
	k.t.Helper()
	k.appendBatch(topic, log.Marker(producer, 0, commit, 1000))
}

func (k *kit) appendBatch(topic string, batch log.Batch) {
	k.t.Helper()
	found, err := k.inside().Catalogue.Get(topic)
	if err == nil {
		err = k.inside().Committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: found.Partitions()[0], Batch: batch}}})
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// stableOf is what a reader of what is committed gets of a topic: values, and where it ends.
func (k *kit) stableOf(topic string) string {
	k.t.Helper()
	l := k.log(topic)
	var words []string
	_, err := l.ReadCommitted(l.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Batch.Control() || sb.Aborted {
			return true
		}
		records, err := sb.Batch.AppendRecords(nil)
		if err != nil {
			k.t.Fatal(err)
		}
		r := log.NewRecordReader(sb.Batch, records)
		for {
			var rec log.Record
			more, err := r.Next(&rec)
			if err != nil {
				k.t.Fatal(err)
			}
			if !more {
				return true
			}
			words = append(words, string(rec.Value))
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return fmt.Sprintf("%s <%d", strings.Join(words, " "), l.LastStable())
}

// Whoever reads records gets no markers, which have offsets of their own.
func TestMarkersAreNoRecords(t *testing.T) {
	k := transacted(t, t.TempDir())
	want := []string{"before", "aborted 1", "aborted 2", "committed", "between", "behind", "open", "last"}
	committed := []string{"before", "committed", "between", "behind"}
	if got := samsatest.Texts(samsatest.Drain(t, k.Broker, "t")); !slices.Equal(got, committed) {
		t.Errorf("drained %q, want %q", got, committed)
	}
	samsatest.WaitRecords(t, k.Broker, "t", len(committed))
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Isolation: samsa.ReadUncommitted})
	var got []string
	var offsets []int64
	for len(got) < len(want) {
		records, err := c.Poll(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			got, offsets = append(got, string(r.Value)), append(offsets, r.Offset)
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(offsets, []int64{0, 1, 2, 3, 5, 7, 8, 9}) {
		t.Errorf("consumed %q at %d", got, offsets)
	}
	if lag, err := c.Lag(samsa.TopicPartition{Topic: "t"}); err != nil || lag != 0 {
		t.Errorf("the lag is %d, %v", lag, err)
	}
}

// What is known of transactions goes where their records go: over a reopening, an index made anew, a snapshot; and with the
// log start and the topic.
func TestTransactionsGoWithTheirRecords(t *testing.T) {
	dir := t.TempDir()
	k := transacted(t, dir)
	want := "before committed between behind <8"
	check := func(when string, k *kit) {
		t.Helper()
		for _, topic := range []string{"t", "u"} {
			if got := k.stableOf(topic); got != want {
				t.Errorf("%s: topic %s has %s, want %s", when, topic, got, want)
			}
		}
	}
	check("at first", k)
	var snapshot bytes.Buffer
	if err := k.Snapshot(k.ctx, &snapshot); err != nil {
		t.Fatal(err)
	}
	restored, err := samsa.Restore(k.ctx, "", &snapshot, samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	check("restored", &kit{Broker: restored, t: t, ctx: k.ctx})
	mustClose(t, restored)
	k.close()
	k = open(t, dir, samsa.Options{})
	check("reopened", k)
	k.close()
	k = open(t, dir, samsa.Options{RebuildIndex: true})
	check("with a new index", k)

	if err := k.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 5}); err != nil {
		t.Fatal(err)
	}
	if got := k.stableOf("t"); got != "between behind <8" || len(k.aborted()) != 1 {
		t.Errorf("behind the log start there is %s, and %d transactions", got, len(k.aborted()))
	}
	if err := k.Topics().Delete(k.ctx, "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	if left := k.aborted(); len(left) != 0 {
		t.Errorf("of the deleted topic there is left %x", left)
	}
}

// aborted returns the keys of all aborted transactions.
func (k *kit) aborted() (keys [][]byte) {
	k.t.Helper()
	err := k.inside().Store.Scan(store.Range{From: []byte("t"), To: []byte("u"), KeysOnly: true}, func(e store.Entry) (bool, error) {
		keys = append(keys, slices.Clone(e.Key))
		return true, nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return keys
}
