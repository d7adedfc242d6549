package retention

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/samsa-go/samsa/log"
)

// readCommitted returns what a reader of committed records gets, and checks that Kafka's clients, each of which reads
// in fetches of so many batches, get the same.
func readCommitted(t fataler, l *log.Log, batches int) []log.Record {
	t.Helper()
	var all []log.Record
	_, err := l.ReadCommitted(l.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			t.Fatalf("ReadCommitted: %v", sb.Err)
		}
		if !sb.Aborted && !sb.Batch.Control() {
			all = append(all, recordsFrom(t, sb.Batch, l.Start())...)
		}
		return true
	})
	if err != nil {
		t.Fatalf("ReadCommitted: %v", err)
	}
	for name, client := range clients {
		var got []log.Record
		for from := l.Start(); from < l.LastStable(); {
			f := fetch(t, l, from, batches)
			for _, b := range f.batches {
				if client(&f, b) {
					got = append(got, recordsFrom(t, b, from)...)
				}
			}
			from = f.batches[len(f.batches)-1].LastOffset() + 1
		}
		if !reflect.DeepEqual(got, all) {
			t.Errorf("read as by %s:", name)
			sameRecords(t, got, all)
		}
	}
	return all
}

func recordsFrom(t fataler, b log.Batch, from int64) (all []log.Record) {
	t.Helper()
	raw, err := b.AppendRecords(nil)
	r := log.NewRecordReader(b, raw)
	for more := err == nil; more; {
		var rec log.Record
		if more, err = r.Next(&rec); more && rec.Offset >= from {
			all = append(all, rec)
		}
	}
	if err != nil {
		t.Fatalf("batch ending at %d: %v", b.LastOffset(), err)
	}
	return all
}

// fetched is the answer to a fetch, and what a client keeps while it goes through it.
type fetched struct {
	batches  []log.Batch
	list     []log.AbortedTx   // by first offset
	aborting map[int64]bool    // by producer
	firsts   map[int64][]int64 // by producer
}

// fetch answers a client that reads committed records: batches before the last stable offset, and which were aborted.
func fetch(t fataler, l *log.Log, from int64, n int) fetched {
	t.Helper()
	f := fetched{aborting: map[int64]bool{}, firsts: map[int64][]int64{}}
	stable := l.LastStable()
	_, err := l.Read(from, nil, func(sb log.StoredBatch) bool {
		if sb.LastOffset < stable {
			f.batches = append(f.batches, slices.Clone(sb.Batch))
		}
		return len(f.batches) < n
	})
	if err == nil {
		f.list, err = l.Aborted(from, f.batches[len(f.batches)-1].LastOffset()+1)
	}
	if err != nil {
		t.Fatalf("fetch from %d: %v", from, err)
	}
	for _, tx := range f.list {
		f.firsts[tx.ProducerID] = append(f.firsts[tx.ProducerID], tx.First)
	}
	return f
}

// clients are how Kafka's clients tell whether a batch is one of committed records.
var clients = map[string]func(*fetched, log.Batch) bool{
	// CompletedFetch.nextFetchedRecord
	"Java's client": func(f *fetched, b log.Batch) bool {
		id := b.ProducerID()
		if id < 0 {
			return true
		}
		for len(f.list) > 0 && f.list[0].First <= b.LastOffset() {
			f.aborting[f.list[0].ProducerID] = true
			f.list = f.list[1:]
		}
		if commit, err := b.Outcome(); err == nil && !commit {
			delete(f.aborting, id)
		}
		return !b.Control() && (!b.Transactional() || !f.aborting[id])
	},
	// aborter of pkg/kgo/source.go
	"franz-go": func(f *fetched, b log.Batch) bool {
		firsts := f.firsts[b.ProducerID()]
		aborted := b.Transactional() && len(firsts) > 0 && b.BaseOffset() >= firsts[0]
		if commit, err := b.Outcome(); err == nil && !commit && aborted {
			f.firsts[b.ProducerID()] = firsts[1:]
		}
		return !b.Control() && !aborted
	},
	// rd_kafka_msgset_reader_v2, rd_kafka_aborted_txns_pop_offset
	"librdkafka": func(f *fetched, b log.Batch) bool {
		firsts := f.firsts[b.ProducerID()]
		if commit, err := b.Outcome(); err == nil && !commit && len(firsts) > 0 && firsts[0] <= b.LastOffset() {
			f.firsts[b.ProducerID()] = firsts[1:]
		}
		return !b.Control() && (!b.Transactional() || len(firsts) == 0 || b.BaseOffset() < firsts[0])
	},
}

// markers are those that are there: offset, + or -, and @horizon if they have one.
func markers(t fataler, l *log.Log) (all []string) {
	t.Helper()
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil || !sb.Batch.Control() {
			return true
		}
		commit, err := sb.Batch.Outcome()
		if err != nil {
			t.Fatalf("marker at %d: %v", sb.LastOffset, err)
		}
		horizon, ok := sb.Batch.DeleteHorizon()
		if ok == (horizon == sb.Batch.MaxTimestamp()) {
			t.Fatalf("marker at %d: base timestamp %d, horizon %v", sb.LastOffset, horizon, ok)
		}
		all = append(all, markerWord(sb.LastOffset, commit, horizon, ok))
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return all
}

func markerWord(offset int64, commit bool, horizon int64, ok bool) string {
	word := fmt.Sprint(offset, "-")
	if commit {
		word = fmt.Sprint(offset, "+")
	}
	if ok {
		word += fmt.Sprint("@", horizon)
	}
	return word
}

// abortedKeys are the offsets of the markers of the aborted transactions that the log knows.
func abortedKeys(t fataler, l *log.Log) (all []int64) {
	t.Helper()
	txs, err := l.Aborted(l.Start(), l.End())
	if err != nil {
		t.Fatalf("Aborted: %v", err)
	}
	for _, tx := range txs {
		all = append(all, tx.Last)
	}
	slices.Sort(all)
	return all
}
