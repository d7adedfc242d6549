package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// visible returns the records of a state, and those that were committed.
func visible(t fataler, content map[string]string) (all, committed []log.Record) {
	st := revive(t, content)
	defer func() { _ = st.Close() }()
	l := open(t, st).log
	return read(t, l), readCommitted(t, l, 3)
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

// live writes, in transactions and outside of them, cleans and trims a log.
func live(t *rapid.T, w *world) {
	now := int64(1000)
	for range rapid.IntRange(3, 14).Draw(t, "steps") {
		now += 10
		w.nowMs = now
		switch rapid.IntRange(0, 7).Draw(t, "step") {
		case 0, 1, 2:
			for range rapid.IntRange(1, 3).Draw(t, "batches") {
				kind := max(plain, rapid.IntRange(-3, idempotent+3).Draw(t, "kind"))
				var records []log.Record
				for range rapid.IntRange(1, 3).Draw(t, "records") {
					var value any = fmt.Sprint(now, len(records))
					if rapid.IntRange(0, 4).Draw(t, "tombstone") == 0 {
						value = nil
					}
					records = append(records, rec(now, fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key")), value))
				}
				if rapid.IntRange(0, 29).Draw(t, "huge") == 29 {
					records[0].Headers = []log.Header{{Value: make([]byte, hugeBytes)}}
				}
				if kind > idempotent {
					w.transact(int64(10+kind), log.CodecSnappy, records...)
				} else {
					w.append(kind, log.CodecSnappy, records...)
				}
			}
		case 3, 4:
			limit := rapid.SampledFrom([]int{0, 1}).Draw(t, "map")
			w.clean(Cleaner{MaxMapBytes: limit}, CleanOptions{NowMs: now, DeleteRetentionMs: 20})
		case 5, 6:
			for range rapid.IntRange(1, 3).Draw(t, "markers") {
				w.end(rapid.Int64Range(13, 15).Draw(t, "producer"), rapid.IntRange(0, 2).Draw(t, "abort") == 0)
			}
		case 7:
			w.trim(rapid.Int64Range(w.log.Start(), w.log.End()).Draw(t, "start"))
		}
	}
}

// small is a store that takes few entries in a commit, so that there are many rounds, or few bytes, so that batches
// are too large; 0 is as many as usual.
type small struct {
	store.Store
	entries, bytes int
}

// smallBytes is a limit for which a batch of hugeBytes is too large to be rewritten.
const (
	smallBytes = 256 << 10
	hugeBytes  = smallBytes / 2
)

func (s small) Limits() store.Limits {
	l := s.Store.Limits()
	if s.entries > 0 {
		l.Entries = s.entries
	}
	if s.bytes > 0 {
		l.Bytes = s.bytes
	}
	return l
}

// The process is killed, or the power fails, after any commit: every record that was stored and
// not superseded is there, none that had gone for good comes back, and the next Clean finishes
// the work. So it is for readers of committed records. What is there then is also what others read meanwhile.
func TestCrashAtAnyCommit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SampledFrom([]int{4, 6, 4096, 4096}).Draw(t, "entries")
		w := newWorld(t, small{Store: store.OpenMemory(), entries: entries, bytes: smallBytes})
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
	w := open(t, small{Store: revive(t, h.states[k]), bytes: smallBytes})
	lower, lowerCommitted := visible(t, h.states[after])
	upper, upperCommitted := visible(t, h.states[before])
	sandwich(t, read(t, w.log), lower, upper)
	sandwich(t, readCommitted(t, w.log, rapid.IntRange(1, 4).Draw(t, "batches of a fetch")), lowerCommitted, upperCommitted)
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
// it too, when no tombstone and no marker has to stay.
func (w *world) finishes() {
	m := w.model()
	m.check(w.t, w, 3)
	for _, now := range []int64{5000, 5020} {
		opts := CleanOptions{NowMs: now, DeleteRetentionMs: 20}
		m.clean(w.log.Start(), m.section(w.t, w.log, opts), opts)
		w.clean(Cleaner{}, opts)
		m.check(w.t, w, 3)
	}
}

// model returns the model of the log as it is.
func (w *world) model() *model {
	t := w.t
	t.Helper()
	m, l := newModel(), w.log
	horizon := horizonOf(t, l)
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		b := sb.Batch
		if commit, err := b.Outcome(); err == nil {
			m.end(b.ProducerID(), sb.LastOffset, b.MaxTimestamp(), commit)
			return true
		}
		producer := int64(-1)
		if b.Transactional() {
			producer = b.ProducerID()
		}
		huge := b.Records() > 0 && w.huge(recordsFrom(t, b, 0))
		m.append(span{b.BaseOffset(), sb.LastOffset}, recordsFrom(t, b, l.Start()), huge, producer)
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	for _, p := range l.Producers() {
		if first := p.OpenSince; first >= 0 && first < l.Start() {
			tx := m.open[p.ID]
			if tx == nil {
				tx = &transaction{}
				m.open[p.ID] = tx
			}
			tx.batches = slices.Insert(tx.batches, 0, span{first, first})
		}
	}
	m.horizon = horizon
	keys := abortedKeys(t, l)
	for _, tx := range m.ended { // whose records may have gone
		tx.known = slices.Contains(keys, tx.marker)
	}
	return m
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
