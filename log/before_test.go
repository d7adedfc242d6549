package log

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// seenBefore is what reading backwards showed, one word a batch: where it begins and ends, and "!" if it is corrupt.
func seenBefore(t fataler, l *Log, before int64) string {
	t.Helper()
	var words []string
	for before > l.Start() {
		sb, base, err := l.ReadBefore(ReadUncommitted, before, nil)
		if err != nil || base >= before || sb.LastOffset < before-1 {
			t.Fatalf("before %d is a batch from %d to %d: %v", before, base, sb.LastOffset, err)
		}
		word := fmt.Sprintf("%d-%d", base, sb.LastOffset)
		if sb.Err != nil {
			word += "!"
		} else if sb.Batch.BaseOffset() != base || sb.Batch.LastOffset() != sb.LastOffset {
			t.Fatalf("%s is a batch from %d to %d", word, sb.Batch.BaseOffset(), sb.Batch.LastOffset())
		}
		words = append(words, word)
		before = base
	}
	return strings.Join(words, " ")
}

func TestReadBefore(t *testing.T) {
	for _, tt := range []struct {
		damaged string // last offsets
		start   int64
		before  int64
		want    string
	}{
		{"", 0, 8, "4-7 3-3 0-2"},
		{"", 0, 7, "4-7 3-3 0-2"}, // the batch ends behind it
		{"", 0, 5, "4-7 3-3 0-2"},
		{"", 0, 4, "3-3 0-2"},
		{"", 0, 3, "0-2"},
		{"", 0, 1, "0-2"},
		{"", 0, 0, ""},
		{"", 1, 8, "4-7 3-3 0-2"}, // the log starts in the middle of a batch
		{"", 5, 8, "4-7"},
		{"", 8, 8, ""},
		{"2", 0, 8, "4-7 3-3 0-2!"},
		{"2", 1, 8, "4-7 3-3 1-2!"},
		{"3", 0, 8, "4-7 3-3! 0-2"},
		{"7", 0, 8, "4-7! 3-3 0-2"},
		{"7", 0, 6, "4-7! 3-3 0-2"},
		{"37", 0, 8, "4-7! 3-3! 0-2"},
		{"237", 0, 8, "4-7! 3-3! 0-2!"},
	} {
		l := newLog(t, 3, 1, 4) // 0-2, 3, 4-7
		other := NewLog(l.st, store.PartitionID{Topic: ordersID.Topic, Partition: ordersID.Partition + 1}, orders)
		appendTo(t, other, 2)
		err := l.Batches(func(b BatchInfo) bool {
			if strings.Contains(tt.damaged, fmt.Sprint(b.LastOffset)) {
				key := store.BatchKey{PartitionID: ordersID, LastOffset: b.LastOffset, MaxTimestamp: b.MaxTimestamp}
				set(t, l.st, store.AppendBatchKey(nil, key), []byte("junk"))
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		l.SetStart(tt.start)
		if got := seenBefore(t, l, tt.before); got != tt.want {
			t.Errorf("from %d, damaged %q, before %d: %s, want %s", tt.start, tt.damaged, tt.before, got, tt.want)
		}
	}
}

func TestReadBeforeOutOfRange(t *testing.T) {
	l := newLog(t, 3, 1)
	l.SetStart(2)
	for _, before := range []int64{-1, 0, 1, 2, 5} {
		if _, _, err := l.ReadBefore(ReadUncommitted, before, nil); !errors.Is(err, ErrOffsetOutOfRange) || !strings.Contains(err.Error(), "orders/") {
			t.Errorf("before %d: %v", before, err)
		}
	}
}

// A batch lives in the memory that it is given, if that is enough.
func TestReadBeforeKeepsMemory(t *testing.T) {
	l := newLog(t, 3)
	buf := make([]byte, 10, 1<<10)
	if sb, _, err := l.ReadBefore(ReadUncommitted, 3, buf); err != nil || &sb.Batch[0] != &buf[0] {
		t.Errorf("the batch lives elsewhere: %v", err)
	}
	if sb, _, err := l.ReadBefore(ReadUncommitted, 3, buf[:0:4]); err != nil || sb.Batch.LastOffset() != 2 {
		t.Errorf("the batch has no room: %v", err)
	}
}

// meanwhile is a store in which something happens before a scan begins.
type meanwhile struct {
	store.Store
	do func()
}

func (s *meanwhile) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	if do := s.do; do != nil {
		s.do = nil
		do()
	}
	return s.Store.Scan(r, fn)
}

// Between the look at the end and the scan more is appended, and compaction joins the last batch that was there with
// what is behind it: what was visible is.
func TestReadsMeetABatchJoinedBeyondTheEnd(t *testing.T) {
	for name, read := range map[string]func(l *Log) string{
		"forward":  func(l *Log) string { return seen(t, l, 4) },
		"backward": func(l *Log) string { return seenBefore(t, l, 5) },
		"by time": func(l *Log) string {
			offset, _, ok, err := l.OffsetForTime(ReadUncommitted, 1030)
			return fmt.Sprint(offset, ok, err)
		},
		"newest": func(l *Log) string {
			ms, err := l.MaxTimestamp()
			return fmt.Sprint(ms, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := &meanwhile{Store: memory(t)}
			l := NewLog(st, ordersID, orders)
			appendTo(t, l, 3)
			appendTo(t, l, 2)
			st.do = func() {
				appendTo(t, l, 2) // 5-6
				appendTo(t, l, 1)
				joinFrom(t, l, 3, 6)
			}
			want := map[string]string{"forward": "3-6 7-7", "backward": "3-6 0-2", "by time": "3 true <nil>", "newest": "1070 <nil>"}[name]
			if got := read(l); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// joinFrom puts one batch in the place of those from base to last.
func joinFrom(t *testing.T, l *Log, base, last int64) {
	t.Helper()
	var joined SparseBuilder
	joined.Reset(base)
	var b store.Batch
	var newest int64
	_, err := l.Read(base, nil, func(sb StoredBatch) bool {
		if sb.LastOffset > last {
			return false
		}
		for _, r := range mustRead(t, sb.Batch) {
			if err := joined.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
		newest = sb.MaxTimestamp
		b.Delete(keyOf(sb.Batch))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := joined.Seal(CodecNone, Cover{LastOffset: last, MaxTimestamp: newest})
	if err != nil {
		t.Fatal(err)
	}
	b.Set(keyOf(batch), batch)
	commit(t, l.st, &b)
}

// Between the look at the start and the scan what is to be read is removed, and there may be batches behind it.
func TestReadBeforeMeetsARemovedBatch(t *testing.T) {
	for _, sizes := range [][]int64{{3, 2}, {3, 2, 1}} {
		for _, damaged := range []bool{false, true} {
			st := &meanwhile{Store: memory(t)}
			l := NewLog(st, ordersID, orders)
			for _, n := range sizes {
				appendTo(t, l, n)
			}
			if damaged && len(sizes) == 3 {
				set(t, l.st, keyOf(span(t, 5, 1)), []byte("junk"))
			}
			st.do = func() {
				l.SetStart(5)
				var b store.Batch
				b.Delete(keyOf(span(t, 0, 3)))
				b.Delete(keyOf(span(t, 3, 2)))
				commit(t, st, &b)
			}
			if sb, _, err := l.ReadBefore(ReadUncommitted, 4, nil); !errors.Is(err, ErrOffsetOutOfRange) || sb.Batch != nil {
				t.Errorf("of %v, damaged %t: %v", sizes, damaged, err)
			}
		}
	}
}
