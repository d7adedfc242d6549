package log

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

var (
	orders   = TopicPartition{Topic: "orders", Partition: 1}
	ordersID = store.PartitionID{Topic: 7, Partition: 1}
)

// memory returns an empty store, closed at the end of the test.
func memory(t testing.TB) store.Store {
	t.Helper()
	st := store.OpenMemory()
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}

func commit(t fataler, st store.Store, b *store.Batch) {
	t.Helper()
	if err := st.Commit(b); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// span is a batch of n records from base on; the record at offset o has the time
// 1000+10*o and the value "v<o>".
func span(t fataler, base, n int64) Batch {
	t.Helper()
	var b Builder
	for o := base; o < base+n; o++ {
		b.Append(1000+10*o, nil, fmt.Appendf(nil, "v%d", o), nil)
	}
	env, err := b.Seal(nil, CodecNone)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	env.SetBaseOffset(base)
	return env
}

// keyOf is the key that env belongs under.
func keyOf(env Batch) []byte {
	return store.AppendBatchKey(nil, store.BatchKey{
		PartitionID: ordersID, LastOffset: env.LastOffset(), MaxTimestamp: env.MaxTimestamp(),
	})
}

func set(t fataler, st store.Store, key, value []byte) {
	t.Helper()
	var b store.Batch
	b.Set(key, value)
	commit(t, st, &b)
}

// appendTo stages n records, commits them and makes them visible.
func appendTo(t fataler, l *Log, n int64) Staged {
	t.Helper()
	var b store.Batch
	s, _ := l.Stage(&b, nil, span(t, l.End(), n), 1)
	commit(t, l.st, &b)
	l.Applied(s)
	return s
}

// newLog returns a log with batches of the given sizes.
func newLog(t testing.TB, sizes ...int64) *Log {
	t.Helper()
	l := NewLog(memory(t), ordersID, orders)
	for _, n := range sizes {
		appendTo(t, l, n)
	}
	return l
}

// seen is what Read showed, one word a batch: its offsets, or its last offset and "!".
func seen(t fataler, l *Log, from int64) string {
	t.Helper()
	var words []string
	_, err := l.Read(from, nil, func(sb StoredBatch) bool {
		if sb.Err != nil {
			words = append(words, fmt.Sprintf("..%d!", sb.LastOffset))
			return true
		}
		b := sb.Batch
		if b.LastOffset() != sb.LastOffset {
			t.Fatalf("LastOffset is %d, the batch ends at %d", sb.LastOffset, b.LastOffset())
		}
		words = append(words, fmt.Sprintf("%d-%d", b.BaseOffset(), b.LastOffset()))
		return true
	})
	if err != nil {
		t.Fatalf("Read(%d): %v", from, err)
	}
	return strings.Join(words, " ")
}

func TestAcksNames(t *testing.T) {
	for acks, want := range map[Acks]string{AckStored: "stored", AckSynced: "synced", AckNone: "none", 9: "acks(9)"} {
		if got := acks.String(); got != want {
			t.Errorf("%d: got %q, want %q", acks, got, want)
		}
	}
}

func TestNewLogIsEmpty(t *testing.T) {
	l := newLog(t)
	if l.Start() != 0 || l.End() != 0 || l.ID() != ordersID || l.TopicPartition() != orders {
		t.Errorf("got [%d, %d) of %v %v", l.Start(), l.End(), l.ID(), l.TopicPartition())
	}
	if got := seen(t, l, 0); got != "" {
		t.Errorf("an empty log shows %s", got)
	}
}

func TestRead(t *testing.T) {
	l := newLog(t, 3, 1, 4) // 0-2, 3, 4-7
	for _, tt := range []struct {
		from int64
		want string
	}{
		{0, "0-2 3-3 4-7"},
		{2, "0-2 3-3 4-7"}, // the first batch begins before from
		{3, "3-3 4-7"},
		{4, "4-7"},
		{7, "4-7"},
		{8, ""}, // at the end there is nothing yet, and no error
	} {
		if got := seen(t, l, tt.from); got != tt.want {
			t.Errorf("from %d: got %q, want %q", tt.from, got, tt.want)
		}
	}
}

// Batches that are read into memory of the caller's own stay as they are.
func TestReadInto(t *testing.T) {
	l := newLog(t, 3, 1, 4, 2)
	memory := make([]byte, 1<<10)
	var places [][]byte
	var read []Batch
	err := l.ReadInto(1,
		func(length int) ([]byte, bool) {
			switch len(read) {
			case 2:
				return nil, true // none is as good as too little
			case 3:
				return nil, false
			}
			if want := len(span(t, 0, []int64{3, 1}[len(read)])); length != want {
				t.Errorf("batch %d: told a length of %d, it is %d", len(read), length, want)
			}
			place := memory[:0:length]
			memory = memory[length:]
			places = append(places, place)
			return place, true
		},
		func(sb StoredBatch) bool {
			read = append(read, sb.Batch)
			return true
		})
	if err != nil || len(read) != 3 {
		t.Fatalf("got %d batches, error %v", len(read), err)
	}
	for i, place := range places {
		if &read[i][0] != &place[:1][0] {
			t.Errorf("batch %d is not in its place", i)
		}
	}
	for i, want := range []string{"v0 v1 v2", "v3", "v4 v5 v6 v7"} {
		var values []string
		for _, r := range mustRead(t, read[i]) {
			values = append(values, string(r.Value))
		}
		if got := strings.Join(values, " "); got != want {
			t.Errorf("batch %d: got %s, want %s", i, got, want)
		}
	}
}

func TestReadOutOfRange(t *testing.T) {
	l := newLog(t, 3, 3)
	l.start.Store(2)
	for _, from := range []int64{-1, 0, 1, 7, 1 << 62} {
		err := l.ReadInto(from, func(int) ([]byte, bool) { return nil, true }, func(StoredBatch) bool { t.Error("a batch"); return true })
		if !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("ReadInto from %d: got error %v", from, err)
		}
		_, err = l.Read(from, nil, func(StoredBatch) bool { t.Error("a batch"); return true })
		if !errors.Is(err, ErrOffsetOutOfRange) || !strings.Contains(err.Error(), "orders/1") {
			t.Errorf("from %d: got error %v", from, err)
		}
	}
	if got := seen(t, l, 2); got != "0-2 3-5" {
		t.Errorf("from the log start offset inside a batch: got %q", got)
	}
}

func TestReadStopsWhenTold(t *testing.T) {
	l := newLog(t, 1, 1, 1)
	n := 0
	buf, err := l.Read(0, nil, func(StoredBatch) bool { n++; return n < 2 })
	if err != nil || n != 2 {
		t.Fatalf("got %d batches, error %v", n, err)
	}
	if cap(buf) == 0 {
		t.Error("the memory was not given back")
	}
	allocs := testing.AllocsPerRun(100, func() {
		buf, err = l.Read(0, buf, func(StoredBatch) bool { return true })
	})
	if err != nil || allocs > 20 {
		t.Errorf("%v allocations with memory to use, error %v", allocs, err)
	}
}

func TestStagedBatchesAreInvisible(t *testing.T) {
	l := newLog(t, 2)
	var b store.Batch
	first, keys := l.Stage(&b, nil, span(t, 0, 3), 1) // Stage gives the offsets, whatever they were
	second, keys := l.Stage(&b, keys, span(t, 0, 1), 1)
	if want := (Staged{BaseOffset: 2, End: 5, stable: 5}); first != want {
		t.Errorf("first: got %+v, want %+v", first, want)
	}
	if want := (Staged{BaseOffset: 5, End: 6, stable: 6}); second != want {
		t.Errorf("second: got %+v, want %+v", second, want)
	}
	if len(keys) != 2*store.BatchKeySize || b.Len() != 2 {
		t.Errorf("got %d bytes of keys, %d operations", len(keys), b.Len())
	}
	commit(t, l.st, &b)
	if got := seen(t, l, 0); got != "0-1" {
		t.Errorf("stored and not applied: got %q", got)
	}
	l.Applied(first)
	if got := seen(t, l, 0); got != "0-1 2-4" {
		t.Errorf("the first applied: got %q", got)
	}
	l.Applied(second)
	if got := seen(t, l, 0); got != "0-1 2-4 5-5" {
		t.Errorf("both applied: got %q", got)
	}
}

// The keys slice may move while it grows: keys given to the batch before stay right.
func TestStageKeysSurviveGrowth(t *testing.T) {
	l := newLog(t)
	var b store.Batch
	var keys []byte
	var s Staged
	for range 50 {
		s, keys = l.Stage(&b, keys, span(t, 0, 1), 1)
	}
	commit(t, l.st, &b)
	l.Applied(s)
	if got := strings.Count(seen(t, l, 0), " "); got != 49 {
		t.Errorf("got %d batches, want 50", got+1)
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	env := func(t *testing.T) Batch { return span(t, 3, 3) }
	for name, damage := range map[string]func(t *testing.T, st store.Store){
		"another length": func(t *testing.T, st store.Store) {
			e := env(t)
			e[posBatchLength+3] ^= 1
			set(t, st, keyOf(e), e)
		},
		"cut short": func(t *testing.T, st store.Store) { set(t, st, keyOf(env(t)), env(t)[:40]) },
		"batch of another offset": func(t *testing.T, st store.Store) {
			other := env(t)
			other.SetBaseOffset(4)
			set(t, st, keyOf(env(t)), other)
		},
		"batch of another time": func(t *testing.T, st store.Store) {
			other := sealed(t, CodecNone, rec(3, 1, nil, "a"), rec(4, 1, nil, "b"), rec(5, 1, nil, "c"))
			set(t, st, keyOf(env(t)), other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, 3, 3, 3)
			damage(t, l.st)
			var got []int64
			_, err := l.Read(0, nil, func(sb StoredBatch) bool {
				got = append(got, sb.LastOffset)
				if bad := sb.LastOffset == 5; bad != (sb.Err != nil) || bad != (sb.Batch == nil) {
					t.Errorf("batch up to %d: error %v", sb.LastOffset, sb.Err)
				}
				if sb.Err != nil && (!errors.Is(sb.Err, ErrCorruptRecord) || !strings.Contains(sb.Err.Error(), "orders/1") ||
					!strings.Contains(sb.Err.Error(), "offset 5")) {
					t.Errorf("the error is %v", sb.Err)
				}
				return true
			})
			if err != nil || !reflect.DeepEqual(got, []int64{2, 5, 8}) {
				t.Errorf("got batches up to %v, error %v", got, err)
			}
		})
	}
}

// noValues is a store that cannot read values just now, which says nothing about them.
type noValues struct{ store.Store }

func (s noValues) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	r.KeysOnly = true
	return s.Store.Scan(r, fn)
}

func TestTroubleOfTheStoreIsNotDamage(t *testing.T) {
	l := newLog(t, 3, 3)
	l.st = noValues{l.st}
	_, err := l.Read(0, nil, func(StoredBatch) bool { t.Error("a batch"); return true })
	if err == nil || errors.Is(err, ErrCorruptRecord) || !strings.Contains(err.Error(), "orders/1") {
		t.Errorf("Read: got error %v", err)
	}
	if _, _, _, err := l.OffsetForTime(ReadUncommitted, 0); err == nil || errors.Is(err, ErrCorruptRecord) {
		t.Errorf("OffsetForTime: got error %v", err)
	}
}

func TestReadOfClosedStore(t *testing.T) {
	l := newLog(t, 3)
	if err := l.st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(0, nil, func(StoredBatch) bool { return true }); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: got error %v", err)
	}
	if _, _, _, err := l.OffsetForTime(ReadUncommitted, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("OffsetForTime: got error %v", err)
	}
	if _, err := OpenLog(l.st, ordersID, orders); !errors.Is(err, ErrClosed) {
		t.Errorf("OpenLog: got error %v", err)
	}
}

func TestReadKeepsToItsPartition(t *testing.T) {
	l := newLog(t, 2)
	for _, id := range []store.PartitionID{{Topic: 7, Partition: 0}, {Topic: 7, Partition: 2}, {Topic: 6, Partition: 1}, {Topic: 8, Partition: 1}} {
		other := NewLog(l.st, id, TopicPartition{Topic: "other"})
		appendTo(t, other, 5)
	}
	if got := seen(t, l, 0); got != "0-1" {
		t.Errorf("got %q", got)
	}
	reopened, err := OpenLog(l.st, ordersID, orders)
	if err != nil || reopened.End() != 2 {
		t.Errorf("reopened: end %d, error %v", reopened.End(), err)
	}
}

func TestOffsetForTime(t *testing.T) {
	l := newLog(t, 3, 1, 4) // times 1000 1010 1020, 1030, 1040 ... 1070
	for _, tt := range []struct {
		ts, offset, timestamp int64
		ok                    bool
	}{
		{-5, 0, 1000, true},
		{1000, 0, 1000, true},
		{1001, 1, 1010, true},
		{1020, 2, 1020, true},
		{1021, 3, 1030, true},
		{1055, 6, 1060, true},
		{1070, 7, 1070, true},
		{1071, 0, 0, false},
	} {
		offset, timestamp, ok, err := l.OffsetForTime(ReadUncommitted, tt.ts)
		if err != nil || offset != tt.offset || timestamp != tt.timestamp || ok != tt.ok {
			t.Errorf("%d: got %d, %d, %t, %v", tt.ts, offset, timestamp, ok, err)
		}
	}
}

// Times need not rise: the first record that is late enough counts, wherever it is.
func TestOffsetForTimeOutOfOrder(t *testing.T) {
	l := newLog(t)
	for _, env := range []Batch{
		sealed(t, CodecSnappy, rec(0, 50, nil, "a"), rec(0, 300, nil, "b"), rec(0, 100, nil, "c")),
		sealed(t, CodecNone, rec(0, 70, nil, "d")),
		sealed(t, CodecZstd, rec(0, 90, nil, "e"), rec(0, 400, nil, "f")),
	} {
		var b store.Batch
		s, _ := l.Stage(&b, nil, env, 1)
		commit(t, l.st, &b)
		l.Applied(s)
	}
	for ts, want := range map[int64]int64{60: 1, 200: 1, 300: 1, 301: 5, 400: 5} {
		if offset, _, ok, err := l.OffsetForTime(ReadUncommitted, ts); err != nil || !ok || offset != want {
			t.Errorf("%d: got %d, %t, %v, want %d", ts, offset, ok, err, want)
		}
	}
	l.start.Store(2) // the record at 300 cannot be read any more, nor its batch's first
	for ts, want := range map[int64]int64{60: 2, 101: 5, 300: 5} {
		if offset, _, ok, err := l.OffsetForTime(ReadUncommitted, ts); err != nil || !ok || offset != want {
			t.Errorf("%d from offset 2 on: got %d, %t, %v, want %d", ts, offset, ok, err, want)
		}
	}
}

func TestOffsetForTimeSeesWhatIsVisible(t *testing.T) {
	l := newLog(t, 2)
	var b store.Batch
	s, _ := l.Stage(&b, nil, span(t, 2, 2), 1)
	commit(t, l.st, &b)
	if _, _, ok, err := l.OffsetForTime(ReadUncommitted, 1020); ok || err != nil {
		t.Errorf("a staged record was found, error %v", err)
	}
	l.Applied(s)
	if offset, _, ok, err := l.OffsetForTime(ReadUncommitted, 1020); !ok || offset != 2 || err != nil {
		t.Errorf("got %d, %t, %v", offset, ok, err)
	}
}

func TestOffsetForTimeMeetsDamage(t *testing.T) {
	l := newLog(t, 3, 3, 3)
	bad := span(t, 3, 3)
	set(t, l.st, keyOf(bad), bad[:len(bad)-1])
	for ts, damaged := range map[int64]bool{1020: false, 1030: true, 1060: false} {
		_, _, ok, err := l.OffsetForTime(ReadUncommitted, ts)
		if damaged != errors.Is(err, ErrCorruptRecord) || damaged == ok {
			t.Errorf("%d: got %t, %v", ts, ok, err)
		}
	}
}

// Records without a timestamp are read as such, are no answer to a question about time, and
// have under the key the time of their append, also after a rewrite, for retention to go by.
func TestNoTimestamp(t *testing.T) {
	l := newLog(t)
	stage := func(nowMs int64, records ...Record) {
		var b store.Batch
		s, _ := l.Stage(&b, nil, sealed(t, CodecNone, records...), nowMs)
		commit(t, l.st, &b)
		l.Applied(s)
	}
	times := func() (times []int64) {
		if err := l.Batches(func(b BatchInfo) bool { times = append(times, b.MaxTimestamp); return true }); err != nil {
			t.Fatal(err)
		}
		return times
	}
	if ms, err := l.MaxTimestamp(); ms != NoTimestamp || err != nil {
		t.Errorf("of an empty log: %d, %v", ms, err)
	}
	stage(1000, rec(0, 990, nil, "a"), rec(0, NoTimestamp, nil, "b"))
	stage(2000, rec(0, NoTimestamp, nil, "c"))
	stage(3000, rec(0, NoTimestamp, nil, "d"), rec(0, NoTimestamp, nil, "e"))
	if got := times(); !slices.Equal(got, []int64{990, 2000, 3000}) {
		t.Errorf("retention goes by %d", got)
	}
	check := func() {
		t.Helper()
		for ts, want := range map[int64]int64{-1 << 62: 0, -1: 0, 990: 0, 991: -1, 2000: -1} {
			offset, _, ok, err := l.OffsetForTime(ReadUncommitted, ts)
			if err != nil || ok != (want >= 0) || offset != max(0, want) {
				t.Errorf("%d: got %d, %t, %v", ts, offset, ok, err)
			}
		}
		if ms, err := l.MaxTimestamp(); ms != 990 || err != nil {
			t.Errorf("the largest timestamp is %d, %v", ms, err)
		}
	}
	check()
	var b SparseBuilder
	b.Reset(2)
	kept := rec(3, NoTimestamp, nil, "d")
	if err := b.Append(&kept); err != nil {
		t.Fatal(err)
	}
	env, err := b.Seal(CodecNone, Cover{LastOffset: 4})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, l, env, store.BatchKey{LastOffset: 2, MaxTimestamp: 2000}, store.BatchKey{LastOffset: 4, MaxTimestamp: 3000})
	if got := times(); !slices.Equal(got, []int64{990, 3000}) {
		t.Errorf("rewritten: retention goes by %d", got)
	}
	check()
}
