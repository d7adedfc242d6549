package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// history is every state that a store went through.
type history struct {
	states  []map[string]string
	commits []commit // commits[i] leads from states[i] to states[i+1]
}

func (w *world) history(first map[string]string) history {
	h := history{states: []map[string]string{first}, commits: w.commits}
	for _, c := range w.commits {
		next := maps.Clone(h.states[len(h.states)-1])
		apply(next, c.changes)
		h.states = append(h.states, next)
	}
	return h
}

func visible(t fataler, content map[string]string) []log.Record {
	st := revive(t, content)
	defer func() { _ = st.Close() }()
	return read(t, open(t, st).log)
}

// sandwich checks that got has every record of lower, as it is there, and none that is not in upper.
func sandwich(t fataler, got, lower, upper []log.Record) {
	t.Helper()
	byOffset := func(records []log.Record) map[int64]log.Record {
		m := map[int64]log.Record{}
		for _, r := range records {
			m[r.Offset] = r
		}
		return m
	}
	have, most := byOffset(got), byOffset(upper)
	for _, r := range got {
		if _, ok := most[r.Offset]; !ok {
			t.Fatalf("record %v came back", show(r))
		}
	}
	for _, r := range lower {
		if _, ok := have[r.Offset]; !ok {
			t.Fatalf("record %v is lost", show(r))
		}
		sameRecords(t, []log.Record{have[r.Offset]}, []log.Record{r})
	}
}

// live writes, cleans and trims a log.
func live(t *rapid.T, w *world) {
	now := int64(1000)
	for range rapid.IntRange(3, 10).Draw(t, "steps") {
		now += 10
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0, 1, 2:
			for range rapid.IntRange(1, 3).Draw(t, "batches") {
				kind := max(plain, rapid.IntRange(-4, idempotent).Draw(t, "kind"))
				var records []log.Record
				for range rapid.IntRange(1, 3).Draw(t, "records") {
					var value any = fmt.Sprint(now, len(records))
					if rapid.IntRange(0, 4).Draw(t, "tombstone") == 0 {
						value = nil
					}
					records = append(records, rec(now, fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key")), value))
				}
				w.append(kind, log.CodecNone, records...)
			}
		case 3, 4:
			limit := rapid.SampledFrom([]int{0, 1}).Draw(t, "map")
			w.clean(Cleaner{MaxMapBytes: limit}, CleanOptions{NowMs: now, DeleteRetentionMs: 20})
		case 5:
			w.trim(rapid.Int64Range(w.log.Start(), w.log.End()).Draw(t, "start"))
		}
	}
}

// small is a store that takes few entries in a commit, so that there are many rounds.
type small struct {
	store.Store
	entries int
}

func (s small) Limits() store.Limits {
	l := s.Store.Limits()
	l.Entries = s.entries
	return l
}

// The process is killed, or the power fails, after any commit: every record that was stored and
// not superseded is there, none that had gone for good comes back, and the next Clean finishes
// the work.
func TestCrashAtAnyCommit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, small{store.OpenMemory(), rapid.SampledFrom([]int{4, 6, 4096, 4096}).Draw(t, "entries")})
		w.remember()
		live(t, w)
		h := w.history(map[string]string{})
		for range 5 {
			crash(t, h)
		}
	})
}

// crash ends h after one of its commits and checks what is there afterwards: in the middle of a
// Clean, what it had at the beginning, without some of what it has not at the end.
func crash(t *rapid.T, h history) {
	k := rapid.SampledFrom(h.moments()).Draw(t, "crash")
	before, after := k, k
	for before > 0 && h.commits[before-1].cleaned {
		before--
	}
	for after < len(h.commits) && h.commits[after].cleaned {
		after++
	}
	w := open(t, revive(t, h.states[k]))
	sandwich(t, read(t, w.log), visible(t, h.states[after]), visible(t, h.states[before]))
	w.finishes()
}

// moments are the commits to crash after: mostly those of a Clean.
func (h history) moments() []int {
	all := []int{0}
	for i, c := range h.commits {
		all = append(all, i+1)
		if c.cleaned {
			all = append(all, i+1, i+1, i+1)
		}
	}
	return all
}

// finishes checks that the next Clean has the log as if nothing had happened, and the one after
// it too, when no tombstone has to stay.
func (w *world) finishes() {
	m := &model{records: read(w.t, w.log), horizon: horizonOf(w.t, w.log)}
	for _, now := range []int64{5000, 5020} {
		opts := CleanOptions{NowMs: now, DeleteRetentionMs: 20}
		m.clean(w.log.Start(), m.section(w.t, w.log, opts), opts)
		w.clean(Cleaner{}, opts)
		sameRecords(w.t, read(w.t, w.log), m.records)
	}
}

// horizonOf returns the delete horizons that the batches have, by the offsets of their records.
func horizonOf(t fataler, l *log.Log) map[int64]int64 {
	t.Helper()
	horizon := map[int64]int64{}
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		b := sb.Batch
		if ms, ok := b.DeleteHorizon(); ok {
			for offset := b.BaseOffset(); offset <= b.LastOffset(); offset++ {
				horizon[offset] = ms
			}
		}
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return horizon
}

var errRefused = errors.New("disk full")

// refusing refuses its first commit, and writes nothing then.
type refusing struct {
	*world
	refused bool
}

func (r *refusing) Commit(b *store.Batch) error {
	if !r.refused {
		r.refused = true
		return errRefused
	}
	return r.world.Commit(b)
}

// A commit is refused, say because the disk is full; the broker goes on, cleans again, and crashes.
func TestRefusedCommit(t *testing.T) {
	w := newTestWorld(t)
	w.tell("a1 b1 | a2 | c1 | z0")
	_, err := (&Cleaner{}).Clean(context.Background(), w.log, &refusing{world: w}, CleanOptions{NowMs: 1, DeleteRetentionMs: 1})
	if !errors.Is(err, errRefused) {
		t.Fatalf("Clean: %v", err)
	}
	if got := story(t, w.log); got != "0:a1 1:b1 2:a2 3:c1 4:z0" {
		t.Errorf("refused: got %s", got)
	}
	w.tell("b2 | c- | z1")
	w.clean(Cleaner{}, CleanOptions{NowMs: 1, DeleteRetentionMs: 1 << 40})
	if got := story(t, w.log); got != "2:a2 4:z0 5:b2 6:c- 7:z1" {
		t.Errorf("got %s", got)
	}
	w = open(t, w.st)
	w.tell("z2")
	w.clean(Cleaner{}, CleanOptions{NowMs: 1, DeleteRetentionMs: 1 << 40})
	const want = "2:a2 5:b2 6:c- 7:z1 8:z2"
	if got := story(t, w.log); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
