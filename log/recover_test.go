package log

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
)

// found is a store as its last owner left it: what was fsynced, what was not. It can
// fail the n-th commit, counted from 1.
type found struct {
	store.Store
	recovery    store.Recovery
	entries     int // of Limits, when not 0
	commits     int
	failsCommit int
	syncs       int
}

var errBroken = errors.New("the disk is broken")

func (s *found) Recovery() store.Recovery { return s.recovery }

func (s *found) Limits() store.Limits {
	l := s.Store.Limits()
	if s.entries > 0 {
		l.Entries = s.entries
	}
	return l
}

func (s *found) Commit(b *store.Batch, done func(error)) {
	if s.commits++; s.commits == s.failsCommit {
		done(errBroken)
		return
	}
	s.Store.Commit(b, done)
}

func (s *found) Sync() error {
	s.syncs++
	return s.Store.Sync()
}

// left writes what a story says was left behind, every word one commit:
//
//	0-9     a batch with these offsets
//	10-19!  one whose bytes are damaged
//	10-19?  one that was written and got lost
//	|       what comes before it was fsynced
func left(t fataler, st store.Store, story string) *found {
	t.Helper()
	f := &found{Store: st, recovery: store.Recovery{Clean: strings.HasSuffix(story, "|")}}
	version := uint64(0)
	for _, word := range strings.Fields(story) {
		if word == "|" {
			f.recovery.Durable = version
			continue
		}
		var base, last int64
		if _, err := fmt.Sscanf(word, "%d-%d", &base, &last); err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		key, value := []byte("lost"), []byte("lost")
		if env := span(t, base, last-base+1); !strings.HasSuffix(word, "?") {
			key, value = keyOf(env), env
		}
		if strings.HasSuffix(word, "!") {
			value[len(value)-1] ^= 1
		}
		set(t, st, key, value)
		version++
	}
	return f
}

func open(t fataler, st store.Store) (*Log, *Cut) {
	t.Helper()
	l, cut, err := OpenLog(st, ordersID, orders)
	if err != nil {
		t.Fatalf("OpenLog: %v", err)
	}
	return l, cut
}

// describe writes a cut as the tests do: [from,to) batches.
func describe(c *Cut) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("[%d,%d) %d", c.From, c.To, c.Batches)
}

func TestOpenLog(t *testing.T) {
	for _, tt := range []struct {
		name, left string
		start      int64
		log, cut   string
		cause      string
	}{
		{name: "nothing was written", left: "|"},
		{name: "nothing survived", left: "| 0-9? 10-19?"},
		{name: "clean", left: "0-9 10-19 |", log: "0-9 10-19"},
		{name: "killed, all good", left: "0-9 | 10-19 20-29", log: "0-9 10-19 20-29"},
		{name: "killed before the first fsync, all good", left: "| 0-9 10-19", log: "0-9 10-19"},
		{name: "the last one lost", left: "0-9 | 10-19 20-29?", log: "0-9 10-19"},
		{name: "bad tail", left: "0-9 | 10-19 20-29!", log: "0-9 10-19", cut: "[20,30) 1", cause: "hash mismatch"},
		{name: "bad in the middle", left: "0-9 | 10-19! 20-29 30-39", log: "0-9", cut: "[10,40) 3", cause: "offset 19"},
		{name: "bad with good ones on both sides", left: "0-9 | 10-19 20-29! 30-39", log: "0-9 10-19", cut: "[20,40) 2"},
		{name: "several bad in a row", left: "0-9 | 10-19! 20-29! 30-39!", log: "0-9", cut: "[10,40) 3"},
		{name: "a good one between bad ones", left: "0-9 | 10-19! 20-29 30-39!", log: "0-9", cut: "[10,40) 3", cause: "offset 19"},
		{name: "a gap", left: "0-9 | 10-19? 20-29", log: "0-9", cut: "[10,30) 1", cause: "offsets 10 to 19 are missing"},
		{name: "two gaps", left: "0-9 | 10-19 20-29? 30-39 40-49? 50-59", log: "0-9 10-19", cut: "[20,60) 2"},
		{name: "a gap behind a bad one", left: "0-9 | 10-19 20-29? 30-39! 40-49", log: "0-9 10-19", cut: "[20,50) 2"},
		{name: "a gap before a bad one", left: "0-9 | 10-19? 20-29 30-39!", log: "0-9", cut: "[10,40) 2"},
		{name: "the first one missing", left: "| 0-9? 10-19 20-29", cut: "[0,30) 2", cause: "offsets 0 to 9 are missing"},
		{name: "the first one bad", left: "| 0-9! 10-19", cut: "[0,20) 2"},
		{name: "overlapping", left: "0-9 | 5-14 15-19", log: "0-9", cut: "[10,20) 2", cause: "overlap at offset 5"},

		{name: "old damage is left alone", left: "0-9 10-19! 20-29 | 30-39", log: "0-9 ..19! 20-29 30-39"},
		{name: "old damage, clean", left: "0-9 10-19! 20-29 |", log: "0-9 ..19! 20-29"},
		{name: "damage of the newest that was fsynced", left: "0-9 10-19! | 20-29 30-39", log: "0-9 ..19! 20-29 30-39"},
		{name: "the same, and new damage", left: "0-9 10-19! | 20-29 30-39!", log: "0-9 ..19! 20-29", cut: "[30,40) 1"},
		{name: "newest of all is bad, clean", left: "0-9 10-19! |", log: "0-9", cut: "[10,20) 1"},
		{name: "newest of all are bad, clean", left: "0-9 10-19! 20-29! |", log: "0-9", cut: "[10,30) 2"},
		{name: "everything is bad, clean", left: "0-9! 10-19! |", cut: "[0,20) 2"},
		{name: "all that was not fsynced is bad, and what was before it", left: "0-9 10-19! | 20-29!", log: "0-9", cut: "[10,30) 2"},

		{name: "log start between batches", left: "10-19 | 20-29", start: 10, log: "10-19 20-29"},
		{name: "log start inside a batch", left: "10-19 | 20-29", start: 15, log: "10-19 20-29"},
		{name: "batches before the log start came back", left: "0-9 | 20-29", start: 20, log: "20-29"},
		{name: "damaged ones before the log start came back", left: "| 0-9! 20-29", start: 20, log: "20-29"},
		{name: "log start behind everything", left: "0-9 |", start: 30},
		{name: "the batch of the log start is missing", left: "| 10-19? 20-29", start: 15, cut: "[15,30) 1"},
		{name: "the batch of the log start is bad", left: "| 10-19! 20-29", start: 15, cut: "[15,30) 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := left(t, memory(t), tt.left)
			if tt.start > 0 {
				set(t, f.Store, store.LogStartKey(ordersID), store.OffsetValue(tt.start))
			}
			l, cut := open(t, f)
			if got := describe(cut); got != tt.cut {
				t.Errorf("cut %q, want %q", got, tt.cut)
			}
			if cut != nil && (!errors.Is(cut.Cause, ErrCorruptRecord) || !strings.Contains(cut.Cause.Error(), tt.cause) || cut.TopicPartition != orders) {
				t.Errorf("the cause is %v of %s", cut.Cause, cut.TopicPartition)
			}
			if f.syncs > 0 {
				t.Error("fsynced, although other logs may not have been checked")
			}
			if l.Start() != tt.start {
				t.Errorf("the log starts at %d, want %d", l.Start(), tt.start)
			}
			if got := seen(t, l, tt.start); got != tt.log {
				t.Errorf("the log is %q, want %q", got, tt.log)
			}
			goesOn(t, l, f)
		})
	}
}

// goesOn checks that l takes appends where it ends, and that opening it again finds what
// is there now, with nothing to cut.
func goesOn(t fataler, l *Log, f *found) {
	t.Helper()
	before := seen(t, l, l.Start())
	again, cut := open(t, f)
	if got := seen(t, again, l.Start()); cut != nil || got != before || again.End() != l.End() {
		t.Fatalf("opened again: %q, cut %q, was %q", got, describe(cut), before)
	}
	end := l.End()
	if s := appendTo(t, l, 2); s.BaseOffset != end {
		t.Fatalf("the next batch got offset %d, want %d", s.BaseOffset, end)
	}
	want := strings.TrimSpace(fmt.Sprintf("%s %d-%d", before, end, end+1))
	again, cut = open(t, f)
	if got := seen(t, again, l.Start()); cut != nil || got != want {
		t.Fatalf("opened after an append: %q, cut %q, want %q", got, describe(cut), want)
	}
}

// What the store cannot read for reasons of its own must not be taken for damage.
func TestOpenLogCutsNothingWithoutProof(t *testing.T) {
	f := left(t, memory(t), "0-9 | 10-19 20-29")
	if _, _, err := OpenLog(noValues{f}, ordersID, orders); err == nil || errors.Is(err, ErrCorruptRecord) {
		t.Errorf("got error %v", err)
	}
	if l, cut := open(t, f); cut != nil || l.End() != 30 {
		t.Errorf("afterwards the log ends at %d, cut %q", l.End(), describe(cut))
	}
}

func TestOpenLogBadLogStart(t *testing.T) {
	f := left(t, memory(t), "0-9 |")
	set(t, f.Store, store.LogStartKey(ordersID), []byte("soon"))
	_, _, err := OpenLog(f, ordersID, orders)
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "orders/1: log start offset") {
		t.Errorf("got error %v", err)
	}
}

// A cut that was interrupted goes on at the next open and ends at the same place.
func TestInterruptedCut(t *testing.T) {
	story := "0-9 | 10-19! 20-29 30-39 40-49! 50-59 60-69"
	for n := 1; n <= 3; n++ {
		f := left(t, memory(t), story)
		f.entries, f.failsCommit = 4, n // two deletions a commit
		if _, _, err := OpenLog(f, ordersID, orders); !errors.Is(err, errBroken) {
			t.Fatalf("commit %d fails: got error %v", n, err)
		}
		l, cut := open(t, f)
		if got := seen(t, l, 0); got != "0-9" || cut == nil || cut.From != 10 || cut.Batches != 6-2*(n-1) {
			t.Errorf("commit %d failed: then the log is %q, cut %q", n, got, describe(cut))
		}
	}
}

// Whatever is damaged or lost of what was not fsynced: the log is the longest good
// contiguous run from its start.
func TestOpenLogProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := store.OpenMemory()
		defer func() { _ = st.Close() }()
		sizes := rapid.SliceOfN(rapid.Int64Range(1, 4), 0, 12).Draw(t, "sizes")
		durable := rapid.IntRange(0, len(sizes)).Draw(t, "durable")
		var story, want []string
		base, whole := int64(0), true
		for i, n := range sizes {
			if i == durable {
				story = append(story, "|")
			}
			fate := ""
			if i >= durable {
				fate = rapid.SampledFrom([]string{"", "", "", "!", "?"}).Draw(t, "fate")
			}
			word := fmt.Sprintf("%d-%d", base, base+n-1)
			story = append(story, word+fate)
			if whole = whole && fate == ""; whole {
				want = append(want, word)
			}
			base += n
		}
		if durable == len(sizes) {
			story = append(story, "|")
		}
		f := left(t, st, strings.Join(story, " "))
		l, _ := open(t, f)
		if got := seen(t, l, 0); got != strings.Join(want, " ") {
			t.Fatalf("left %q: the log is %q, want %q", story, got, want)
		}
		goesOn(t, l, f)
	})
}
