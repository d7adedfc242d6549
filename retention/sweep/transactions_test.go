package sweep

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// inTransaction stores a record of each key in one batch of a transaction of producer 1.
func (k *kit) inTransaction(name string, keys ...string) {
	k.t.Helper()
	const attributes, transactional = 22, 1 << 4
	p := k.partition(name, 0)
	var b log.Builder
	for _, key := range keys {
		b.Append(time.Now().UnixMilli(), []byte(key), []byte("v"), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		k.t.Fatal(err)
	}
	batch[attributes] |= transactional
	batch.SetProducer(1, 0, int32(p.Log().StoredOf(1)))
	k.do(writer.Append{Partition: p, Batch: batch})
}

func (k *kit) end(name string, commit bool) {
	k.t.Helper()
	k.do(writer.Append{Partition: k.partition(name, 0), Batch: log.Marker(1, 0, commit, time.Now().UnixMilli())})
}

func (k *kit) do(a writer.Append) {
	k.t.Helper()
	if err := k.targets.Committer.Do(&writer.Tx{Appends: []writer.Append{a}}); err != nil {
		k.t.Fatal(err)
	}
}

// Records of an aborted transaction go with the first sweep after its end, and the markers of transactions with the
// first one after their time, though nothing has been written since.
func TestSweepOfTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := begin(t)
		k.create("t", topic.Config{Partitions: 1, CleanupPolicy: topic.Compact, DeleteRetention: time.Hour})
		p := k.partition("t", 0)
		batches := func() (words []string) {
			_, err := p.Log().Read(0, nil, func(sb log.StoredBatch) bool {
				_, ripening := sb.Batch.DeleteHorizon()
				words = append(words, fmt.Sprintf("%d:%d%t%t", sb.LastOffset, sb.Batch.Records(), sb.Batch.Control(), ripening))
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			return words
		}
		swept := func(after time.Duration, records, batchesGone int64, want string) {
			t.Helper()
			time.Sleep(after)
			was := k.stats().Removed
			k.sweep(true)
			now := k.stats().Removed
			if got := fmt.Sprint(batches()); got != want || now.Records-was.Records != records || now.Batches-was.Batches != batchesGone {
				t.Errorf("%d records and %d batches removed: %s, want %s", now.Records-was.Records, now.Batches-was.Batches, got, want)
			}
		}
		k.inTransaction("t", "a", "b")
		k.end("t", true)
		k.inTransaction("t", "a", "c")
		swept(0, 0, 0, "[1:2falsefalse 2:1truetrue 4:2falsefalse]") // one is open
		k.end("t", false)
		k.inTransaction("t", "z")
		swept(time.Minute, 2, 0, "[1:2falsefalse 2:1truetrue 4:0falsefalse 5:1truetrue 6:1falsefalse]")
		swept(58*time.Minute, 0, 0, "[1:2falsefalse 2:1truetrue 4:0falsefalse 5:1truetrue 6:1falsefalse]")
		swept(time.Minute, 0, 2, "[4:2falsefalse 5:1truetrue 6:1falsefalse]")
		k.end("t", true)
		swept(time.Minute, 0, 2, "[6:3falsefalse 7:1truefalse]")
	})
}
