package log

import (
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// content is what a store holds.
type content map[string]string

func contentOf(t fataler, st store.Store) content {
	t.Helper()
	c := content{}
	err := st.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		c[string(e.Key)] = string(v)
		return true, err
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return c
}

// replace puts batch in the place of others in one commit, as compaction does, whose keys have these last offsets and
// timestamps. Its own is as young as the youngest.
func replace(t fataler, l *Log, batch Batch, gone ...store.BatchKey) {
	t.Helper()
	var b store.Batch
	youngest := gone[0].MaxTimestamp
	for _, key := range gone {
		key.PartitionID = l.id
		youngest = max(youngest, key.MaxTimestamp)
		b.Delete(store.AppendBatchKey(nil, key))
	}
	own := store.BatchKey{PartitionID: l.id, LastOffset: batch.LastOffset(), MaxTimestamp: batch.KeyTime(youngest)}
	b.Set(store.AppendBatchKey(nil, own), batch)
	commit(t, l.st, &b)
}

// spanKey is under which a batch of span is stored.
func spanKey(b Batch) store.BatchKey {
	return store.BatchKey{LastOffset: b.LastOffset(), MaxTimestamp: b.MaxTimestamp()}
}

// sparse is a batch that covers the offsets from base to last and has those records that
// span has at these offsets.
func sparse(t fataler, base, last int64, offsets ...int64) Batch {
	t.Helper()
	var b SparseBuilder
	b.Reset(base)
	for _, o := range offsets {
		r := rec(o, 1000+10*o, nil, fmt.Sprint("v", o))
		if err := b.Append(&r); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	env, err := b.Seal(CodecNone, Cover{LastOffset: last, MaxTimestamp: 1000 + 10*last})
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return env
}

// offsetsIn are those of the records that can be read.
func offsetsIn(t fataler, l *Log) string {
	t.Helper()
	var words []string
	_, err := l.Read(l.Start(), nil, func(sb StoredBatch) bool {
		if sb.Err != nil {
			t.Fatalf("Read: %v", sb.Err)
		}
		records, err := readAll(sb.Batch, MaxDecompressedBytes)
		if err != nil {
			t.Fatalf("records: %v", err)
		}
		for _, r := range records {
			if want := fmt.Sprint("v", r.Offset); string(r.Value) != want || r.millis() != 1000+10*r.Offset {
				t.Fatalf("record %+v", r)
			}
			words = append(words, fmt.Sprint(r.Offset))
		}
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return strings.Join(words, " ")
}

// A log is read the same way when batches stand for several.
func TestReadRewritten(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	replace(t, l, sparse(t, 0, 3, 1, 3), spanKey(span(t, 0, 2)), spanKey(span(t, 2, 2)))
	replace(t, l, sparse(t, 4, 5, 4), spanKey(span(t, 4, 2)))
	const left = "1 3 4 6 7"
	if got := seen(t, l, 0); got != "0-3 4-5 6-7" {
		t.Errorf("batches %s", got)
	}
	if got := offsetsIn(t, l); got != left {
		t.Errorf("records %s", got)
	}
	for from, want := range map[int64]string{2: "0-3 4-5 6-7", 4: "4-5 6-7", 5: "4-5 6-7"} {
		if got := seen(t, l, from); got != want {
			t.Errorf("from %d: %s", from, got)
		}
	}
	if again := open(t, l.st); again.End() != 8 || offsetsIn(t, again) != left {
		t.Errorf("opened again: %s, end %d", offsetsIn(t, again), again.End())
	}
}
