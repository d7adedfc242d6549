package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["transactions"] = transactUntilKilled; return true }()

const txnWorkers = 3

// transactUntilKilled is the child. Its arguments are the directory and the round. Each worker does one transaction
// after the other: a record in each of two topics, and an offset. It writes a line "value commit" or "value abort"
// when that was acknowledged.
func transactUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range txnWorkers {
		go func() {
			failed <- transactForEver(inside.Of(b), fmt.Sprint("t", i), args[1], func(_ txn.Producer, value, outcome string, _ bool) error {
				if value == "" {
					return nil
				}
				return tell("%s %s\n", value, outcome)
			})
		}()
	}
	return <-failed
}

// transactForEver does one transaction after the other, until something fails. Of each end it tells which producer is to go
// on, the value, how it has ended, and whether that was synced; and of the beginning, without a value.
func transactForEver(in inside.Broker, id, round string, told func(p txn.Producer, value, outcome string, synced bool) error) error {
	ctx := context.Background()
	p, err := in.Txns.Init(ctx, id, time.Minute, nil)
	if err == nil {
		err = told(p, "", "", true)
	}
	for n := int64(0); err == nil; n++ {
		value := fmt.Sprintf("%s.%s.%d", round, id, n)
		for _, topic := range []string{"left", "right"} {
			if err == nil {
				err = produceIn(in, topic, id, p, value)
			}
		}
		offset := map[log.TopicPartition]group.Offset{{Topic: "left"}: {Offset: n, Metadata: value}}
		if err == nil {
			err = in.Txns.CommitOffsets(ctx, id, p, true, id, group.CommitRequest{Generation: -1, Offsets: offset})
		}
		synced := n%8 == 7
		if err == nil {
			p, err = in.Txns.End(ctx, id, p, txn.EndOptions{Commit: n%4 != 0, Bump: true, Synced: synced})
		}
		if err == nil {
			err = told(p, value, []string{"abort", "commit", "commit", "commit"}[n%4], synced)
		}
	}
	return err
}

// produceIn stores a record of a transaction, the first of its producer's epoch in the partition.
func produceIn(in inside.Broker, topic, id string, p txn.Producer, value string) error {
	t, err := in.Catalogue.Get(topic)
	if err != nil {
		return err
	}
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		return err
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(p.ID, p.Epoch, 0)
	tx := &writer.Tx{Appends: []writer.Append{{Partition: t.Partitions()[0], Batch: batch}}}
	in.Txns.Guard(tx, id, true)
	return in.Committer.Do(tx)
}

// A process with transactions is killed at any moment, again and again: each is in both topics and in its group, or
// in none of them, and what was acknowledged is as it was told.
func TestTransactionKills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	mustCreate(t, b, "left", 1)
	mustCreate(t, b, "right", 1)
	mustClose(t, b)
	told := make(map[string]string)
	for round := range kills(t, 4) {
		for _, line := range killWhen(t, "transactions", after(rand.IntN(200)), dir, fmt.Sprint(round)) {
			value, outcome, _ := strings.Cut(line, " ")
			told[value] = outcome
		}
		b := mustOpen(t, dir, samsa.Options{})
		in := inside.Of(b)
		for i := range txnWorkers { // what is open is aborted
			if _, err := in.Txns.Init(t.Context(), fmt.Sprint("t", i), time.Minute, nil); err != nil {
				t.Fatal(err)
			}
		}
		checkTransacted(t, in, told)
		mustClose(t, b)
	}
	t.Logf("%d acknowledged", len(told))
}

// checkTransacted checks that what is found is whole, and as it was told, by value.
func checkTransacted(t *testing.T, in inside.Broker, told map[string]string) {
	t.Helper()
	left, right := committedIn(t, in, "left"), committedIn(t, in, "right")
	if fmt.Sprint(left) != fmt.Sprint(right) {
		t.Errorf("one topic has %v, the other %v", left, right)
	}
	for value, outcome := range told {
		if there := left[value]; there != (outcome == "commit") {
			t.Errorf("%s: %s was acknowledged, it is there: %t", value, outcome, there)
		}
	}
	for i := range txnWorkers {
		id := fmt.Sprint("t", i)
		offsets, err := in.Groups.Fetch(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			var n int64
			if _, err := fmt.Sscanf(o.Metadata[strings.LastIndex(o.Metadata, ".")+1:], "%d", &n); err != nil {
				t.Fatal(err)
			}
			next := fmt.Sprintf("%s.%d", o.Metadata[:strings.LastIndex(o.Metadata, ".")], n+1)
			if !left[o.Metadata] || left[next] {
				t.Errorf("the group has %s, which is committed: %t, and the one behind: %t", o.Metadata, left[o.Metadata], left[next])
			}
		}
	}
}

// committedIn returns the values that readers of committed records read.
func committedIn(t *testing.T, in inside.Broker, topic string) map[string]bool {
	t.Helper()
	found, err := in.Catalogue.Get(topic)
	if err != nil {
		t.Fatal(err)
	}
	p := found.Partitions()[0]
	if p.LastStable() != p.HighWatermark() {
		t.Errorf("%s: %d of %d are stable", topic, p.LastStable(), p.HighWatermark())
	}
	values := make(map[string]bool)
	_, err = p.Log().ReadCommitted(0, nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			t.Fatal(sb.Err)
		}
		if sb.Batch.Control() || sb.Aborted {
			return true
		}
		records, _ := sb.Batch.EncodedRecords()
		r := log.NewRecordReader(sb.Batch, records)
		var rec log.Record
		for more := true; more; {
			if more, err = r.Next(&rec); err != nil {
				t.Fatal(err)
			}
			if more {
				values[string(rec.Value)] = true
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}
