package retention

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) {
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

var (
	ordersID = store.PartitionID{Topic: 7, Partition: 1}
	orders   = log.TopicPartition{Topic: "orders", Partition: 1}
)

type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// world is a log in a store of which every commit is kept.
type world struct {
	t       fataler
	st      store.Store
	log     *log.Log
	commits []commit // since remember was called
	before  map[string]string
	record  bool
	cleans  bool  // a Clean is under way
	nowMs   int64 // of appends
}

// commit is what one commit changed; an absent value is a deletion.
type commit struct {
	changes map[string]*string
	cleaned bool // by a Clean
}

func newWorld(t fataler, st store.Store) *world {
	return &world{t: t, st: st, log: log.NewLog(st, ordersID, orders)}
}

// remember begins to keep commits.
func (w *world) remember() {
	w.record, w.before, w.commits = true, dump(w.t, w.st), nil
}

// Commit implements Committer.
func (w *world) Commit(b *store.Batch) error {
	if w.cleans && !w.log.Limits().Admits(b) {
		w.t.Fatalf("a commit of %d entries, %d bytes", b.Len(), b.Bytes())
	}
	if err := w.st.Commit(b); err != nil {
		return err
	}
	if w.record {
		after := dump(w.t, w.st)
		w.commits = append(w.commits, commit{diff(w.before, after), w.cleans})
		w.before = after
	}
	return nil
}

// rec is a record as a test writes it; nil or a string.
func rec(ms int64, key, value any, headers ...log.Header) log.Record {
	null := func(v any) []byte {
		if v == nil {
			return nil
		}
		return []byte(v.(string))
	}
	return log.Record{Timestamp: timeOf(ms), Key: null(key), Value: null(value), Headers: headers}
}

func timeOf(ms int64) time.Time {
	if ms == log.NoTimestamp {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func millis(r log.Record) int64 {
	if r.Timestamp.IsZero() {
		return log.NoTimestamp
	}
	return r.Timestamp.UnixMilli()
}

// kinds of batches.
const (
	plain = iota
	appendTime
	idempotent // of one producer
)

// append stores the records as one batch, and sets their offsets, and their times if the
// log gives them.
func (w *world) append(kind int, codec log.Codec, records ...log.Record) {
	w.t.Helper()
	batch := w.seal(kind == appendTime, codec, records)
	switch kind {
	case appendTime:
		batch.StampAppendTime(w.nowMs)
	case idempotent:
		batch.SetProducer(7, 0, int32(w.log.StoredOf(7)))
	}
	w.store(batch)
}

// transact is append for a transaction of a producer, which begins it if none is open.
func (w *world) transact(producer int64, codec log.Codec, records ...log.Record) {
	w.t.Helper()
	batch := w.seal(false, codec, records)
	const attributes = 22
	batch[attributes] |= 1 << 4
	batch.SetProducer(producer, 0, int32(w.log.StoredOf(producer)))
	w.store(batch)
}

// end ends the transaction of a producer.
func (w *world) end(producer int64, commit bool) {
	w.t.Helper()
	w.store(log.Marker(producer, 0, commit, w.nowMs))
}

func (w *world) seal(stamped bool, codec log.Codec, records []log.Record) log.Batch {
	w.t.Helper()
	var b log.Builder
	for i := range records {
		r := &records[i]
		if stamped {
			r.Timestamp = timeOf(w.nowMs)
		}
		b.Append(millis(*r), r.Key, r.Value, r.Headers)
		r.Offset = w.log.End() + int64(i)
	}
	batch, err := b.Seal(nil, codec)
	if err != nil {
		w.t.Fatalf("Seal: %v", err)
	}
	return batch
}

// huge reports whether a batch of these records is too large to be rewritten.
func (w *world) huge(records []log.Record) bool {
	w.t.Helper()
	size := len(w.seal(false, log.CodecNone, slices.Clone(records))) - log.BatchHeaderSize + log.HorizonBytes*len(records)
	return size > newRewriter(w.log, w).maxBytes()/2
}

// store does what the committer does.
func (w *world) store(batch log.Batch) {
	w.t.Helper()
	var sb store.Batch
	staged, keys := w.log.Stage(&sb, nil, batch, w.nowMs)
	w.log.StageProducers(&sb, keys)
	if err := w.Commit(&sb); err != nil {
		w.t.Fatalf("append: %v", err)
	}
	w.log.Applied(staged)
}

func (w *world) trim(start int64) {
	var b store.Batch
	b.Set(store.LogStartKey(ordersID), store.OffsetValue(start))
	if err := w.Commit(&b); err != nil {
		w.t.Fatalf("trim: %v", err)
	}
	w.log.SetStart(start)
	b.Reset()
	r := store.BatchRange(ordersID, 0)
	_ = w.st.Scan(r, func(e store.Entry) (bool, error) {
		if k, err := store.ParseBatchKey(e.Key); err == nil && k.LastOffset < start {
			b.Delete(slices.Clone(e.Key))
		}
		return true, nil
	})
	aborted := store.AbortedRange(ordersID, 0)
	aborted.To = store.AbortedRange(ordersID, start).From
	_ = w.st.Scan(aborted, func(e store.Entry) (bool, error) {
		b.Delete(slices.Clone(e.Key))
		return true, nil
	})
	if err := w.Commit(&b); err != nil {
		w.t.Fatalf("trim: %v", err)
	}
}

func (w *world) clean(c Cleaner, opts CleanOptions) Cleaned {
	w.t.Helper()
	w.cleans = true
	defer func() { w.cleans = false }()
	done, err := c.Clean(context.Background(), w.log, w, opts)
	if err != nil {
		w.t.Fatalf("Clean: %v", err)
	}
	return done
}

// read returns every record that can be read, those of transactions that were aborted or are open among them, and
// checks that batches are contiguous.
func read(t fataler, l *log.Log) []log.Record {
	t.Helper()
	var all []log.Record
	next := int64(-1)
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			t.Fatalf("Read: %v", sb.Err)
		}
		b := sb.Batch
		if next >= 0 && b.BaseOffset() != next {
			t.Fatalf("batch begins at %d, the one before ends at %d", b.BaseOffset(), next)
		}
		next = b.LastOffset() + 1
		raw, err := b.AppendRecords(nil)
		if err != nil {
			t.Fatalf("batch ending at %d: %v", b.LastOffset(), err)
		}
		newest := int64(-1 << 63)
		r := log.NewRecordReader(b, raw)
		for {
			var rec log.Record
			more, err := r.Next(&rec)
			if err != nil {
				t.Fatalf("batch ending at %d: %v", b.LastOffset(), err)
			}
			if !more {
				break
			}
			newest = max(newest, millis(rec))
			if rec.Offset >= l.Start() && !b.Control() {
				all = append(all, rec)
			}
		}
		if b.Records() > 0 && newest != b.MaxTimestamp() {
			t.Fatalf("batch ending at %d: max timestamp %d, newest record %d", b.LastOffset(), b.MaxTimestamp(), newest)
		}
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return all
}

func sameRecords(t fataler, got, want []log.Record) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("record %v is missing, and all behind it", show(want[i]))
		case i >= len(want):
			t.Fatalf("record %v is too much", show(got[i]))
		case !reflect.DeepEqual(got[i], want[i]):
			t.Fatalf("record %d:\n got %v\nwant %v", i, show(got[i]), show(want[i]))
		}
	}
}

func show(r log.Record) string {
	return fmt.Sprintf("%d@%d %.20q=%.20q (%d bytes) %.99v", r.Offset, millis(r), r.Key, r.Value, len(r.Value), r.Headers)
}

// story is the readable records as one line: offset, key and value.
func story(t fataler, l *log.Log) string {
	t.Helper()
	s := ""
	for _, r := range read(t, l) {
		v := string(r.Value)
		if r.Value == nil {
			v = "-"
		}
		s += fmt.Sprintf(" %d:%s%s", r.Offset, r.Key, v)
	}
	if s == "" {
		return s
	}
	return s[1:]
}

// shape is the stored batches: base-last(records), with ~ and the producer in front for one of a transaction; of a
// marker the offset and + or -.
func shape(t fataler, l *log.Log) string {
	t.Helper()
	s := ""
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		b := sb.Batch
		switch commit, err := b.Outcome(); {
		case err == nil && commit:
			s += fmt.Sprintf(" %d+", sb.LastOffset)
		case err == nil:
			s += fmt.Sprintf(" %d-", sb.LastOffset)
		case b.Transactional():
			s += fmt.Sprintf(" ~%d:%d-%d(%d)", b.ProducerID(), b.BaseOffset(), b.LastOffset(), b.Records())
		default:
			s += fmt.Sprintf(" %d-%d(%d)", b.BaseOffset(), b.LastOffset(), b.Records())
		}
		return true
	})
	if err != nil || s == "" {
		return ""
	}
	return s[1:]
}

func dump(t fataler, st store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := st.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		all[string(e.Key)] = string(v)
		return true, err
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return all
}

func diff(before, after map[string]string) map[string]*string {
	changes := map[string]*string{}
	for k, v := range after {
		if old, ok := before[k]; !ok || old != v {
			changes[k] = &v
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			changes[k] = nil
		}
	}
	return changes
}

func apply(content map[string]string, changes map[string]*string) {
	for k, v := range changes {
		if v == nil {
			delete(content, k)
		} else {
			content[k] = *v
		}
	}
}

// revive returns a store with this content.
func revive(t fataler, content map[string]string) store.Store {
	t.Helper()
	st := store.OpenMemory()
	var b store.Batch
	for _, k := range slices.Sorted(maps.Keys(content)) {
		b.Set([]byte(k), []byte(content[k]))
	}
	if err := st.Commit(&b); err != nil {
		t.Fatalf("revive: %v", err)
	}
	return st
}

// open opens the log of a store.
func open(t fataler, st store.Store) *world {
	t.Helper()
	l, err := log.OpenLog(st, ordersID, orders)
	if err != nil {
		t.Fatalf("OpenLog: %v", err)
	}
	return &world{t: t, st: st, log: l}
}

func newTestWorld(t *testing.T) *world {
	st := store.OpenMemory()
	t.Cleanup(func() { _ = st.Close() })
	return newWorld(t, small{Store: st, bytes: smallBytes})
}
