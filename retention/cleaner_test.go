package retention

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// tell appends a log told in words: "a1 b2 | a- c3" are two batches, a- is a tombstone,
// and =5 a record without a key. A batch that begins with + is of an idempotent producer, with ~3 of
// a transaction of producer 3, and with # it is too large to be rewritten. "commit 3" and "abort 3" end a transaction.
// Every record has the time of its offset times 10.
func (w *world) tell(text string) {
	w.t.Helper()
	for _, batch := range strings.Split(text, "|") {
		words := strings.Fields(batch)
		w.nowMs = w.log.End() * 10
		switch first := words[0]; {
		case first == "commit" || first == "abort":
			w.end(int64(words[1][0]-'0'), first == "commit")
		case first == "+":
			w.append(idempotent, log.CodecNone, w.told(words[1:])...)
		case first[0] == '~':
			w.transact(int64(first[1]-'0'), log.CodecNone, w.told(words[1:])...)
		default:
			w.append(plain, log.CodecNone, w.told(words)...)
		}
	}
}

func (w *world) told(words []string) (records []log.Record) {
	var headers []log.Header
	if words[0] == "#" {
		words, headers = words[1:], []log.Header{{Value: make([]byte, hugeBytes)}}
	}
	for i, word := range words {
		var key, value any = word[:1], word[1:]
		if key == "=" {
			key = nil
		}
		if value == "-" {
			value = nil
		}
		records = append(records, rec((w.log.End()+int64(i))*10, key, value, headers...))
	}
	return records
}

func TestClean(t *testing.T) {
	const long = 1 << 40
	for _, tt := range []struct {
		name, log   string
		start       int64
		opts        CleanOptions
		again       int64 // when it is cleaned a second time
		want, shape string
	}{
		{name: "empty"},
		{name: "one batch is the newest", log: "a1 a2", want: "0:a1 1:a2", shape: "0-1(2)"},
		{name: "nothing superseded, small ones are joined", log: "a1 | b2 | c3 | z0",
			want: "0:a1 1:b2 2:c3 3:z0", shape: "0-2(3) 3-3(1)"},
		{name: "the latest of each stays", log: "a1 b1 a2 | b2 c1 | a3 b- | z0",
			want: "4:c1 5:a3 6:b- 7:z0", shape: "0-6(3) 7-7(1)"},
		{name: "the newest batch supersedes nothing", log: "a1 | a2 | a3", want: "1:a2 2:a3", shape: "0-1(1) 2-2(1)"},
		{name: "records without a key stay", log: "=1 a1 | =2 a2 | z0", want: "0:1 2:2 3:a2 4:z0", shape: "0-3(3) 4-4(1)"},
		{name: "an emptied batch widens the one before", log: "x1 | a1 | a2 | # b0 | z0",
			want: "0:x1 2:a2 3:b0 4:z0", shape: "0-2(2) 3-3(1) 4-4(1)"},
		{name: "an emptied batch widens the one behind", log: "a1 | a2 | z0", want: "1:a2 2:z0", shape: "0-1(1) 2-2(1)"},
		{name: "an empty one stays where no neighbour may be touched", log: "# x0 | a1 | # y0 | a2 b1 | z0",
			want: "0:x0 2:y0 3:a2 4:b1 5:z0", shape: "0-0(1) 1-1(0) 2-2(1) 3-4(2) 5-5(1)"},
		{name: "batches of an idempotent producer are like others", log: "+ a1 | + a2 b2 | a3 | + a4 | b5 | z0",
			want: "4:a4 5:b5 6:z0", shape: "0-5(2) 6-6(1)"},
		{name: "tombstones stay the first time, however old", log: "a1 a- | z0", opts: CleanOptions{NowMs: long, DeleteRetentionMs: 5},
			want: "1:a- 2:z0", shape: "0-1(1) 2-2(1)"},
		{name: "tombstones wait from then on", log: "a1 a- | z0", opts: CleanOptions{NowMs: long, DeleteRetentionMs: 5}, again: long + 4,
			want: "1:a- 2:z0", shape: "0-1(1) 2-2(1)"},
		{name: "tombstones go", log: "a1 a- b1 | z0", opts: CleanOptions{NowMs: long, DeleteRetentionMs: 5}, again: long + 5,
			want: "2:b1 3:z0", shape: "0-2(1) 3-3(1)"},
		{name: "all goes but the newest", log: "a1 a- | z0", opts: CleanOptions{NowMs: 1, DeleteRetentionMs: 1}, again: long,
			want: "2:z0", shape: "0-1(0) 2-2(1)"},
		{name: "a tombstone stays behind a batch that may hold its key", log: "c1 c- | # a1 | a- | z0", opts: CleanOptions{NowMs: 1, DeleteRetentionMs: 1}, again: long,
			want: "2:a1 3:a- 4:z0", shape: "0-1(0) 2-2(1) 3-3(1) 4-4(1)"},
		{name: "young records are not cleaned", log: "a1 a2 | a3 | a4 | z0", opts: CleanOptions{NowMs: 100, MinLagMs: 80},
			want: "2:a3 3:a4 4:z0", shape: "0-2(1) 3-3(1) 4-4(1)"},
		{name: "the lag ends before the first young batch", log: "a1 | a2 a3 | a4 | z0", opts: CleanOptions{NowMs: 100, MinLagMs: 85},
			want: "0:a1 1:a2 2:a3 3:a4 4:z0", shape: "0-0(1) 1-2(2) 3-3(1) 4-4(1)"},
		{name: "start within a batch", log: "a1 b1 c1 | a2 | z0", start: 2, want: "2:c1 3:a2 4:z0", shape: "0-3(3) 4-4(1)"},
	} {
		for _, limit := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/map=%d", tt.name, limit), func(t *testing.T) {
				w := newTestWorld(t)
				if tt.log != "" {
					w.tell(tt.log)
				}
				if tt.start > 0 {
					w.trim(tt.start)
				}
				opts := tt.opts
				if opts.NowMs == 0 {
					opts.NowMs, opts.DeleteRetentionMs = 1, long
				}
				w.clean(Cleaner{MaxMapBytes: limit}, opts)
				if opts.NowMs = tt.again; opts.NowMs > 0 {
					w.clean(Cleaner{MaxMapBytes: limit}, opts)
				}
				if got := story(t, w.log); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if got := shape(t, w.log); got != tt.shape {
					t.Errorf("batches %s\nwant    %s", got, tt.shape)
				}
			})
		}
	}
}

// What Clean says is what it did, and the second time there is nothing to do.
func TestCleanedCounts(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 b1 =1 | a2 | b- | c- | # d1 | z0")
	opts := CleanOptions{NowMs: 60, DeleteRetentionMs: 5}
	done := w.clean(Cleaner{}, opts)
	if done.Records != 2 || done.Tombstones != 0 || done.Keyless != 1 || done.Pinned != 1 ||
		done.BatchesBefore != 4 || done.BatchesAfter != 1 || done.BytesAfter >= done.BytesBefore ||
		done.NextDirty != 7 || done.NextTombstoneMs != 65 {
		t.Errorf("cleaned: %+v", done)
	}
	opts.From = done.NextDirty
	again := w.clean(Cleaner{}, opts)
	if want := (Cleaned{NextDirty: 7, NextTombstoneMs: 65, Keyless: 1, Pinned: 1}); again != want {
		t.Errorf("cleaned again: %+v", again)
	}
	opts.NowMs = 65
	if done := w.clean(Cleaner{}, opts); done.Records != 2 || done.Tombstones != 2 || done.NextTombstoneMs != never {
		t.Errorf("cleaned when the tombstones were due: %+v", done)
	}
}

// horizons are the stored batches that have a delete horizon: base-last@horizon.
func horizons(t fataler, l *log.Log) string {
	t.Helper()
	var all []string
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		if ms, ok := sb.Batch.DeleteHorizon(); ok {
			all = append(all, fmt.Sprintf("%d-%d@%d", sb.Batch.BaseOffset(), sb.LastOffset, ms))
		}
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return strings.Join(all, " ")
}

// The horizon is set by the first cleaning that keeps a tombstone and no other moves it: not a
// later one, not a longer retention, not new tombstones, which have their own. Records around
// it keep their times, and a batch is rewritten for it once.
func TestDeleteHorizon(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 b1 | a- | c1 | z0")
	opts := CleanOptions{NowMs: 1000, DeleteRetentionMs: 100}
	step := func(now int64, want string) {
		t.Helper()
		opts.NowMs = now
		done := w.clean(Cleaner{Codec: log.CodecZstd}, opts)
		if got := horizons(t, w.log) + " | " + story(t, w.log); got != want {
			t.Errorf("at %d: %s\nwant    %s", now, got, want)
		}
		for _, r := range read(t, w.log) {
			if r.Timestamp.UnixMilli() != r.Offset*10 {
				t.Errorf("at %d: record %s", now, show(r))
			}
			checkTimes(t, w.log, read(t, w.log), r.Offset*10)
		}
		opts.From = done.NextDirty
		if again := w.clean(Cleaner{}, opts); again.BatchesBefore != 0 || again.NextTombstoneMs != done.NextTombstoneMs {
			t.Errorf("at %d, again: %+v", now, again)
		}
	}
	step(1000, "0-3@1100 | 1:b1 2:a- 3:c1 4:z0")
	opts.DeleteRetentionMs = 1000
	step(1050, "0-3@1100 | 1:b1 2:a- 3:c1 4:z0")
	w.tell("b- | c- | z1")
	step(1060, "0-4@1100 5-6@2060 | 2:a- 4:z0 5:b- 6:c- 7:z1")
	step(1099, "0-4@1100 5-6@2060 | 2:a- 4:z0 5:b- 6:c- 7:z1")
	step(1100, "0-6@2060 | 4:z0 5:b- 6:c- 7:z1")
	w.tell("b2 | z2")
	step(1200, "0-8@2060 | 6:c- 7:z1 8:b2 9:z2")
	step(2060, " | 7:z1 8:b2 9:z2")
}

// A tombstone that must stay because an earlier record of its key may be there has its time
// from when that has gone: who has read the earlier record reads the tombstone too.
func TestDeleteHorizonBehindPinned(t *testing.T) {
	w := newTestWorld(t)
	w.tell("# a1 | a- | z0")
	step := func(now int64, want string) {
		t.Helper()
		w.clean(Cleaner{}, CleanOptions{NowMs: now, DeleteRetentionMs: 10})
		if got := horizons(t, w.log) + " | " + story(t, w.log); got != want {
			t.Errorf("at %d: %s\nwant    %s", now, got, want)
		}
	}
	step(1000, " | 0:a1 1:a- 2:z0")
	step(2000, " | 0:a1 1:a- 2:z0")
	w.trim(1)
	w.tell("# b1 | z1")
	step(3000, "1-2@3010 | 1:a- 2:z0 3:b1 4:z1")
	step(3009, "1-2@3010 | 1:a- 2:z0 3:b1 4:z1")
	step(3010, " | 2:z0 3:b1 4:z1")
}

// Batches of one append time, and those without any time, have a horizon as well.
func TestDeleteHorizonAndTimes(t *testing.T) {
	w := newTestWorld(t)
	w.nowMs = 50
	w.append(appendTime, log.CodecNone, rec(7, "a", nil))
	w.append(plain, log.CodecNone, rec(log.NoTimestamp, "b", nil), rec(log.NoTimestamp, "c", "1"))
	w.tell("z0")
	before := read(t, w.log)
	w.clean(Cleaner{}, CleanOptions{NowMs: 1000, DeleteRetentionMs: 10})
	if got := horizons(t, w.log); got != "0-0@1010 1-2@1010" {
		t.Errorf("horizons %s", got)
	}
	sameRecords(t, read(t, w.log), before)
	var times []int64
	if err := w.log.Batches(func(b Batch) bool { times = append(times, b.MaxTimestamp); return true }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(times); got != "[50 50 30]" { // the second by its append
		t.Errorf("retention goes by %s", got)
	}
}

// Thousands of emptied batches in a row leave one batch, not thousands of empty ones.
func TestLongEmptiedStretch(t *testing.T) {
	w := newTestWorld(t)
	for i := range 5000 {
		w.append(plain, log.CodecNone, rec(int64(i), "k", fmt.Sprint(i)))
	}
	w.tell("# x1")
	w.append(plain, log.CodecNone, rec(9999, "k", "last"))
	w.tell("z0")
	done := w.clean(Cleaner{}, CleanOptions{NowMs: 1})
	if got := shape(t, w.log); got != "0-4999(0) 5000-5000(1) 5001-5001(1) 5002-5002(1)" {
		t.Errorf("batches %.200s, %+v", got, done)
	}
}

// Large batches that lose nothing are left alone, and so are batches with the time of
// their append, unless it is the same.
func TestWhatIsJoined(t *testing.T) {
	w := newTestWorld(t)
	value := strings.Repeat("v", 20<<10)
	for i := range 6 {
		w.append(plain, log.CodecSnappy, rec(int64(i), fmt.Sprint("k", i), value))
	}
	w.append(plain, log.CodecSnappy, rec(6, "k6", value+value))
	w.append(plain, log.CodecSnappy, rec(7, "k7", value))
	for i, ms := range []int64{100, 100, 101, 101, 101, 102} {
		w.nowMs = ms
		w.append(appendTime, log.CodecNone, rec(ms, fmt.Sprint("a", i), "v"))
	}
	w.tell("z0")
	before := read(t, w.log)
	done := w.clean(Cleaner{Codec: log.CodecZstd}, CleanOptions{NowMs: 1, DeleteRetentionMs: 1})
	const want = "0-2(3) 3-5(3) 6-6(1) 7-7(1) 8-9(2) 10-12(3) 13-13(1) 14-14(1)"
	if got := shape(t, w.log); got != want {
		t.Errorf("batches %s\nwant    %s", got, want)
	}
	sameRecords(t, read(t, w.log), before)
	if again := w.clean(Cleaner{}, CleanOptions{NowMs: 1, From: done.NextDirty}); again.BatchesBefore != 0 {
		t.Errorf("the second time: %+v", again)
	}
}

// A damaged batch stays, and says where it is; what is around it is cleaned.
func TestCleanAroundDamage(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 | b1 | a2 | c- | z0")
	content := dump(t, w.st)
	for k, v := range content {
		if strings.Contains(v, "b\x021") {
			content[k] = v[:len(v)-1]
		}
	}
	w = open(t, revive(t, content))
	w.clean(Cleaner{}, CleanOptions{NowMs: 1 << 40})
	var got []string
	_, err := w.log.Read(0, nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			got = append(got, fmt.Sprint(sb.LastOffset, " damaged"))
			if !errors.Is(sb.Err, log.ErrCorruptRecord) {
				t.Error(sb.Err)
			}
			return true
		}
		got = append(got, fmt.Sprintf("%d-%d(%d)", sb.Batch.BaseOffset(), sb.LastOffset, sb.Batch.Records()))
		return true
	})
	if want := "0-0(0) 1 damaged 2-3(2) 4-4(1)"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s (%v)", got, want, err)
	}
}

// Ended by its context or its pace, Clean says how far it got, and the next one goes on.
func TestCleanInterrupted(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 | a2 | b1 | z0")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done, err := (&Cleaner{}).Clean(ctx, w.log, w, CleanOptions{NowMs: 1})
	if !errors.Is(err, context.Canceled) || done.NextDirty != 0 || done.Records != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	tired := errors.New("tired")
	steps := 0
	c := Cleaner{Pace: func(context.Context, int64) error {
		if steps++; steps == 2 {
			return tired
		}
		return nil
	}}
	if done, err = c.Clean(context.Background(), w.log, w, CleanOptions{NowMs: 1}); !errors.Is(err, tired) || done.NextDirty != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	w.clean(Cleaner{}, CleanOptions{NowMs: 1, From: done.NextDirty})
	if got := story(t, w.log); got != "1:a2 2:b1 3:z0" {
		t.Error(got)
	}
}
