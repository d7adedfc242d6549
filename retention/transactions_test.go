package retention

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// A log is cleaned at 1000 ms, with a delete retention of 100 ms, and once more.
func TestCleanTransactions(t *testing.T) {
	for _, tt := range []struct {
		name, log    string
		start        int64
		again        int64
		all          string // of all records
		shape        string
		markers      string
		known        string // markers of the aborted transactions that are known
		from, lagsMs int64
	}{
		{name: "records of a committed one are like others", log: "a1 | ~1 a2 b1 | commit 1 | b2 | z0",
			all: "1:a2 4:b2 5:z0", shape: "0-2(1) 3+ 4-4(1) 5-5(1)", markers: "3+@1100"},
		{name: "records of an aborted one hide nothing, and go", log: "a1 | ~1 a2 a- =5 | abort 1 | b2 | z0",
			all: "0:a1 5:b2 6:z0", shape: "0-3(1) 4- 5-5(1) 6-6(1)", markers: "4-@1100", known: "4"},
		{name: "nothing is cleaned from the last stable offset on", log: "a1 | a2 | ~1 x1 | a3 | a4 | ~2 a5 | abort 2 | z0",
			all: "1:a2 2:x1 3:a3 4:a4 5:a5 7:z0", shape: "0-1(1) ~1:2-2(1) 3-3(1) 4-4(1) ~2:5-5(1) 6- 7-7(1)", markers: "6-", known: "6"},
		{name: "markers go when they have come to their time", log: "a1 | ~1 a2 | abort 1 | ~1 b1 | commit 1 | b2 | z0", again: 1100,
			all: "0:a1 5:b2 6:z0", shape: "0-5(2) 6-6(1)"},
		{name: "not before", log: "a1 | ~1 a2 | abort 1 | ~1 b1 | commit 1 | b2 | z0", again: 1099,
			all: "0:a1 5:b2 6:z0", shape: "0-1(1) 2- 3-3(0) 4+ 5-5(1) 6-6(1)", markers: "2-@1100 4+@1100", known: "2"},
		{name: "those of no transaction too", log: "a1 | abort 1 | commit 2 | commit 2 | z0", again: 1100,
			all: "0:a1 4:z0", shape: "0-3(1) 4-4(1)"},
		{name: "a marker is the newest", log: "a1 | ~1 a2 | abort 1", again: 1100,
			all: "0:a1", shape: "0-1(1) 2-", markers: "2-", known: "2"},
		{name: "a tombstone of an aborted one is none", log: "a1 | ~1 a- | abort 1 | b1 | z0", again: 1100,
			all: "0:a1 3:b1 4:z0", shape: "0-3(2) 4-4(1)"},
		{name: "a tombstone of a committed one", log: "a1 | ~1 a- | commit 1 | b1 | z0",
			all: "1:a- 3:b1 4:z0", shape: "0-1(1) 2+ 3-3(1) 4-4(1)", markers: "2+@1100"},
		{name: "goes", log: "a1 | ~1 a- | commit 1 | b1 | z0", again: 1100,
			all: "3:b1 4:z0", shape: "0-3(1) 4-4(1)"},
		{name: "two producers", log: "~1 a1 | ~2 a2 | ~1 b1 | abort 1 | ~1 b2 | commit 2 | abort 1 | c1 | z0",
			all: "1:a2 7:c1 8:z0", shape: "0-2(1) 3- 4-4(0) 5+ 6- 7-7(1) 8-8(1)", markers: "3-@1100 5+@1100 6-@1100", known: "3 6"},
		{name: "a batch that is too large keeps its marker", log: "~1 # a1 | ~1 a2 | commit 1 | ~1 a3 | abort 1 | b1 | z0", again: 1100,
			all: "0:a1 1:a2 5:b1 6:z0", shape: "~1:0-0(1) 1-1(1) 2+ 3-5(1) 6-6(1)", markers: "2+"},
		{name: "unless it was aborted", log: "~1 # a1 | ~1 a2 | abort 1 | b1 | z0", again: 1100,
			all: "3:b1 4:z0", shape: "0-3(1) 4-4(1)"},
		{name: "the records went by retention", log: "~1 # a1 | ~1 # a2 | commit 1 | b1 | z0", start: 2, again: 1100,
			all: "3:b1 4:z0", shape: "2-3(1) 4-4(1)"},
		{name: "the markers went too", log: "~1 a1 | abort 1 | ~1 b1 | abort 1 | c1 | z0", start: 2,
			all: "4:c1 5:z0", shape: "2-2(0) 3- 4-4(1) 5-5(1)", markers: "3-@1100", known: "3"},
		{name: "the log starts within a transaction", log: "~1 a1 | ~1 b1 c1 | abort 1 | z0", start: 2,
			all: "4:z0", shape: "1-2(0) 3- 4-4(1)", markers: "3-@1100", known: "3"},
		{name: "a part of it is young", log: "a0 | ~1 a1 | ~1 b1 | ~2 c1 | abort 1 | commit 2 | z0", lagsMs: 985,
			all: "0:a0 2:b1 3:c1 6:z0", shape: "0-1(1) ~1:2-2(1) ~2:3-3(1) 4- 5+ 6-6(1)", markers: "4- 5+", known: "4"},
	} {
		for _, limit := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/map=%d", tt.name, limit), func(t *testing.T) {
				w := newTestWorld(t)
				w.tell(tt.log)
				if tt.start > 0 {
					w.trim(tt.start)
				}
				before := readCommitted(t, w.log, 2)
				for _, now := range []int64{1000, tt.again} {
					if now == 0 {
						break
					}
					w.clean(Cleaner{MaxMapBytes: limit}, CleanOptions{NowMs: now, DeleteRetentionMs: 100, MinLagMs: tt.lagsMs})
					committed := readCommitted(t, w.log, 1)
					sandwich(t, committed, nil, before)
				}
				known := strings.Trim(fmt.Sprint(abortedKeys(t, w.log)), "[]")
				got := []string{story(t, w.log), shape(t, w.log), strings.Join(markers(t, w.log), " "), known}
				if want := []string{tt.all, tt.shape, tt.markers, tt.known}; !reflect.DeepEqual(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// What Clean says of transactions is what it did, and the second time there is nothing to do.
func TestCleanedCountsTransactions(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 | ~1 a2 b2 | ~2 c1 | abort 1 | commit 2 | z0")
	opts := CleanOptions{NowMs: 1000, DeleteRetentionMs: 100}
	done := w.clean(Cleaner{}, opts)
	if done.Records != 2 || done.Aborted != 2 || done.Markers != 0 || done.NextTombstoneMs != 1100 || done.Pinned != 0 ||
		done.BatchesBefore != 5 || done.BatchesAfter != 3 {
		t.Errorf("cleaned: %+v", done)
	}
	opts.From = done.NextDirty
	again := w.clean(Cleaner{}, opts)
	if want := (Cleaned{NextDirty: done.NextDirty, NextTombstoneMs: 1100}); again != want {
		t.Errorf("cleaned again: %+v", again)
	}
	opts.NowMs = 1100
	done = w.clean(Cleaner{}, opts)
	if done.Records != 0 || done.Markers != 2 || done.NextTombstoneMs != never || done.BatchesBefore != 3 || done.BatchesAfter != 1 {
		t.Errorf("cleaned when the markers were due: %+v", done)
	}
}

// The markers of thousands of transactions go at once, in commits of any size.
func TestManyMarkers(t *testing.T) {
	for _, entries := range []int{4, 5, 0} {
		w := newTestWorld(t)
		w.log = log.NewLog(small{Store: w.st, entries: entries, bytes: smallBytes}, ordersID, orders)
		w.tell("a1")
		for i := range 3000 {
			if i%3 > 0 {
				w.tell("~1 b1")
			}
			w.end(1, false)
		}
		w.tell("z0")
		w.clean(Cleaner{}, CleanOptions{NowMs: 1 << 40, DeleteRetentionMs: 1})
		done := w.clean(Cleaner{}, CleanOptions{NowMs: 1<<40 + 1, DeleteRetentionMs: 1})
		w.clean(Cleaner{}, CleanOptions{NowMs: 1<<40 + 1})
		if got := shape(t, w.log); got != "0-5000(1) 5001-5001(1)" || done.Markers != 3000 || len(abortedKeys(t, w.log)) != 0 {
			t.Errorf("%d entries in a commit: batches %.200s, %+v", entries, got, done)
		}
	}
}

// damage has a batch be unreadable.
func (w *world) damage(offset int64) *world {
	w.t.Helper()
	content := dump(w.t, w.st)
	for k, v := range content {
		if key, err := store.ParseBatchKey([]byte(k)); err == nil && key.LastOffset == offset {
			content[k] = v[:len(v)-1]
		}
	}
	return open(w.t, revive(w.t, content))
}

// A damaged batch may be of any producer: the next marker of each stays, later ones go.
func TestMarkersBehindDamage(t *testing.T) {
	w := newTestWorld(t)
	w.tell("~1 a1 | abort 1 | x0 | ~1 b1 | ~2 c1 | commit 1 | abort 2 | ~1 b2 | ~2 c2 | commit 1 | abort 2 | z0")
	w = w.damage(2)
	for _, now := range []int64{1000, 1100} {
		w.clean(Cleaner{}, CleanOptions{NowMs: now, DeleteRetentionMs: 100})
	}
	var got []string
	_, err := w.log.Read(0, nil, func(sb log.StoredBatch) bool {
		switch {
		case sb.Err != nil:
			got = append(got, fmt.Sprint(sb.LastOffset, "!"))
		case sb.Batch.Control():
			got = append(got, fmt.Sprint(sb.LastOffset, "m"))
		default:
			got = append(got, fmt.Sprint(sb.Batch.BaseOffset(), "-", sb.LastOffset))
		}
		return true
	})
	if want := "0-1 2! 3-4 5m 6m 7-10 11-11"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s (%v)", got, want, err)
	}
	if got := fmt.Sprint(abortedKeys(t, w.log)); got != "[6]" {
		t.Errorf("known %s", got)
	}
}

// While nobody can tell which batches were aborted, as what was known is damaged, these stay, and hide nothing; and
// so do their markers.
func TestAbortedDamaged(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 | ~1 a2 | ~2 b1 | commit 2 | abort 1 | ~1 a3 | abort 1 | z0")
	var b store.Batch
	b.Set(store.AppendAbortedKey(nil, store.AbortedKey{PartitionID: ordersID, Marker: 4}), []byte("damaged"))
	if err := w.Commit(&b); err != nil {
		t.Fatal(err)
	}
	for _, now := range []int64{1000, 1100} {
		w.clean(Cleaner{}, CleanOptions{NowMs: now, DeleteRetentionMs: 100})
	}
	if got, want := shape(t, w.log), "0-0(1) ~1:1-1(1) ~2:2-2(1) 3+ 4- 5-6(0) 7-7(1)"; got != want {
		t.Errorf("batches %s\nwant    %s", got, want)
	}
	w.trim(5)
	if got := story(t, w.log); got != "7:z0" {
		t.Error(got)
	}
}

// A reader gets what he got before, also one that is in the middle of his read while two cleanings take away the
// records of a transaction and then what was known of it.
func TestReadWhileCleaned(t *testing.T) {
	for at := range int64(8) {
		w := newTestWorld(t)
		w.tell("x0 | ~1 a1 | ~1 b1 | abort 1 | ~1 c1 | commit 1 | y1 | z0")
		var got []string
		from := int64(0)
		read := func(sb log.StoredBatch) bool {
			if !sb.Aborted && !sb.Batch.Control() {
				for _, r := range recordsFrom(t, sb.Batch, from) {
					got = append(got, fmt.Sprint(r.Offset))
				}
			}
			from = sb.LastOffset + 1
			if sb.LastOffset == at {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for _, now := range []int64{1000, 1100} {
						w.clean(Cleaner{}, CleanOptions{NowMs: now, DeleteRetentionMs: 100})
					}
				}()
				<-done
			}
			return true
		}
		var err error
		for from < w.log.End() && err == nil {
			_, err = w.log.ReadCommitted(from, nil, read)
		}
		if want := "0 4 6 7"; err != nil || strings.Join(got, " ") != want {
			t.Errorf("cleaned after %d: read %v, want %s (%v)", at, got, want, err)
		}
	}
}

// A Clean that is ended anywhere leaves to readers what they had, and the next one finishes the work.
func TestCleanTransactionsInterrupted(t *testing.T) {
	const text = "a1 | ~1 a2 | ~2 # b1 | ~1 c1 | abort 1 | ~1 a3 | ~2 b2 | commit 2 | ~2 d1 | commit 1 | abort 2 | e1 | z0"
	whole := newTestWorld(t)
	whole.tell(text)
	opts := CleanOptions{NowMs: 1000, DeleteRetentionMs: 100}
	whole.clean(Cleaner{}, opts)
	for n := 1; ; n++ {
		w := newTestWorld(t)
		w.log = log.NewLog(small{Store: w.st, entries: 4, bytes: smallBytes}, ordersID, orders)
		w.tell(text)
		before := readCommitted(t, w.log, 1)
		ctx, cancel := context.WithCancel(context.Background())
		steps := 0
		c := Cleaner{MaxMapBytes: 1, Pace: func(context.Context, int64) error {
			if steps++; steps == n {
				cancel()
			}
			return nil
		}}
		done, err := c.Clean(ctx, w.log, w, opts)
		cancel()
		for batches := range 4 {
			sandwich(t, readCommitted(t, w.log, batches+1), readCommitted(t, whole.log, 1), before)
		}
		opts.From = done.NextDirty
		w.clean(Cleaner{}, opts)
		opts.From = 0
		if got, want := story(t, w.log)+shape(t, w.log), story(t, whole.log)+shape(t, whole.log); got != want {
			t.Fatalf("ended after %d steps:\ngot  %s\nwant %s", n, got, want)
		}
		if err == nil {
			if n < 3 {
				t.Errorf("only %d steps", n)
			}
			return
		}
	}
}
