package log

import (
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// clean takes away, as two cleanings do, the records of a transaction in the batches that end at these offsets, and
// then its marker and what is known of it.
func clean(t fataler, l *Log, marker int64, offsets ...int64) {
	t.Helper()
	empty := func(last int64) {
		_, err := l.Read(last, nil, func(sb StoredBatch) bool {
			key := store.BatchKey{LastOffset: last, MaxTimestamp: sb.MaxTimestamp}
			var builder SparseBuilder
			builder.Reset(sb.Batch.BaseOffset())
			b, err := builder.Seal(CodecNone, Cover{LastOffset: last, MaxTimestamp: sb.MaxTimestamp})
			if err != nil {
				t.Fatalf("Seal: %v", err)
			}
			replace(t, l, b, key)
			return false
		})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	for _, offset := range offsets {
		empty(offset)
	}
	empty(marker)
	var b store.Batch
	l.ForgetAborted(&b, marker)
	commit(t, l.st, &b)
}

// A reader of committed records that has begun before a transaction is forgotten does not take its records for
// committed: he ends before them, or reads what is there now.
func TestForgottenWhileRead(t *testing.T) {
	for at, want := range []string{"0-0", "0-0 [1-1]"} {
		l := newLog(t)
		play(t, l, "1 a:1 a:1 a- 1") // a: 1-3
		var words []string
		_, err := l.ReadCommitted(0, nil, func(sb StoredBatch) bool {
			words = append(words, committedWord(t, sb))
			if sb.LastOffset == int64(at) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					clean(t, l, 3, 1, 2)
				}()
				<-done
			}
			return true
		})
		if got := strings.Join(words, " "); err != nil || got != want {
			t.Errorf("cleaned after %d: read %s, %v, want %s", at, got, err, want)
		}
		if got := committed(t, l, 1) + abortedWords(t, l, 0, 5); got != "1-1 2-2 3-3 4-4" {
			t.Errorf("then it is %s", got)
		}
	}
	l := newLog(t)
	play(t, l, "a:1 a- 1")
	place, done := 0, false
	err := l.ReadCommittedInto(0, func(n int) ([]byte, bool) {
		if place++; !done {
			done = true
			clean(t, l, 1, 0)
		}
		return make([]byte, n), true
	}, func(sb StoredBatch) bool {
		if place != 2 || sb.Aborted || sb.Batch.Records() > 0 {
			t.Errorf("place %d: %s", place, committedWord(t, sb))
		}
		return false
	})
	if err != nil || place != 2 {
		t.Errorf("%d places, %v", place, err)
	}
}
