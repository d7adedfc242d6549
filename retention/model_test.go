package retention

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// model is what a log should hold, computed the plain way.
type model struct {
	records []log.Record
	pinned  []span          // batches that are not rewritten
	aborted map[int64]bool  // records of transactions that were aborted
	horizon map[int64]int64 // of tombstones, once they are the last of their keys; of markers, once nothing is left
	open    map[int64]*transaction
	ended   []*transaction // whose markers are there
}

type span struct{ first, last int64 }

// transaction is one of a producer: its batches, and how it ended.
type transaction struct {
	batches []span
	pinned  []span // of them
	marker  int64
	ms      int64 // of the marker
	commit  bool
	known   bool // as an aborted one
}

func newModel() *model {
	return &model{aborted: map[int64]bool{}, horizon: map[int64]int64{}, open: map[int64]*transaction{}}
}

// append notes a batch, which is too large to be rewritten or not, of a producer's transaction, or of none: -1.
func (m *model) append(s span, records []log.Record, huge bool, producer int64) {
	m.records = append(m.records, records...)
	if huge {
		m.pinned = append(m.pinned, s)
	}
	if producer < 0 {
		return
	}
	if m.open[producer] == nil {
		m.open[producer] = &transaction{}
	}
	tx := m.open[producer]
	tx.batches = append(tx.batches, s)
	if huge {
		tx.pinned = append(tx.pinned, s)
	}
}

// end notes a marker at an offset. Nothing of an aborted transaction is pinned.
func (m *model) end(producer, offset, ms int64, commit bool) {
	tx := m.open[producer]
	delete(m.open, producer)
	if tx == nil {
		tx = &transaction{}
	}
	tx.marker, tx.ms, tx.commit = offset, ms, commit
	m.ended = append(m.ended, tx)
	if commit {
		return
	}
	tx.known = len(tx.batches) > 0
	for _, s := range tx.batches {
		for o := s.first; o <= s.last; o++ {
			m.aborted[o] = true
		}
		m.pinned = slices.DeleteFunc(m.pinned, func(p span) bool { return p == s })
	}
	tx.pinned = nil
}

// timed returns the records with the markers among them: a search by time finds these too.
func (m *model) timed() []log.Record {
	all := slices.Clone(m.records)
	for _, tx := range m.ended {
		all = append(all, log.Record{Offset: tx.marker, Timestamp: timeOf(tx.ms)})
	}
	slices.SortFunc(all, func(a, b log.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

// stable returns the last stable offset of a log.
func (m *model) stable(start, end int64) int64 {
	for _, tx := range m.open {
		end = min(end, tx.batches[0].first)
	}
	return max(start, end)
}

// committed returns what a reader of committed records gets.
func (m *model) committed(stable int64) (all []log.Record) {
	for _, r := range m.records {
		if r.Offset < stable && !m.aborted[r.Offset] {
			all = append(all, r)
		}
	}
	return all
}

// check compares the log with the model.
func (m *model) check(t fataler, w *world, batches int) {
	t.Helper()
	sameRecords(t, read(t, w.log), m.records)
	stable := m.stable(w.log.Start(), w.log.End())
	if got := w.log.LastStable(); got != stable {
		t.Fatalf("last stable offset %d, want %d", got, stable)
	}
	sameRecords(t, readCommitted(t, w.log, batches), m.committed(stable))
	var words []string
	var keys []int64
	for _, tx := range m.ended {
		horizon, ok := m.horizon[tx.marker]
		words = append(words, markerWord(tx.marker, tx.commit, horizon, ok))
		if tx.known {
			keys = append(keys, tx.marker)
		}
	}
	got := markers(t, w.log)
	if !slices.Equal(got, words) {
		t.Fatalf("markers %v, want %v", got, words)
	}
	if got := abortedKeys(t, w.log); !slices.Equal(got, keys) {
		t.Fatalf("aborted transactions that ended at %v, want %v", got, keys)
	}
}

// section returns where a Clean must end, by the batches that the log has now.
func (m *model) section(t fataler, l *log.Log, opts CleanOptions) int64 {
	t.Helper()
	var batches []Batch
	if err := l.Batches(func(b Batch) bool { batches = append(batches, b); return true }); err != nil {
		t.Fatalf("Batches: %v", err)
	}
	end := l.Start()
	for _, b := range batches[:max(0, len(batches)-1)] {
		if b.LastOffset >= l.LastStable() || opts.MinLagMs > 0 && b.LastOffset >= opts.From && b.MaxTimestamp > opts.NowMs-opts.MinLagMs {
			break
		}
		end = b.LastOffset + 1
	}
	return end
}

func (m *model) clean(start, end int64, opts CleanOptions) {
	latest := map[string]int64{}
	for _, r := range m.records {
		if r.Offset < end && r.Key != nil && !m.aborted[r.Offset] {
			latest[string(r.Key)] = r.Offset
		}
	}
	m.records = slices.DeleteFunc(m.records, func(r log.Record) bool {
		if r.Offset < end && m.aborted[r.Offset] {
			return true
		}
		if r.Offset >= end || r.Key == nil {
			return false
		}
		behind := false
		for _, p := range m.pinned {
			behind = behind || p.last >= start && p.last < r.Offset
			if p.first <= r.Offset && r.Offset <= p.last {
				return false
			}
		}
		if latest[string(r.Key)] > r.Offset {
			return true
		}
		if r.Value != nil || behind {
			return false
		}
		horizon, ok := m.horizon[r.Offset]
		if !ok {
			horizon = opts.NowMs + opts.DeleteRetentionMs // not before the next time
			m.horizon[r.Offset] = horizon
		}
		return ok && opts.NowMs >= horizon
	})
	m.cleanMarkers(start, end, opts)
}

func (m *model) cleanMarkers(start, end int64, opts CleanOptions) {
	m.ended = slices.DeleteFunc(m.ended, func(tx *transaction) bool {
		if tx.marker >= end || slices.ContainsFunc(tx.pinned, func(s span) bool { return s.last >= start }) {
			return false
		}
		horizon, ok := m.horizon[tx.marker]
		if !ok {
			m.horizon[tx.marker] = opts.NowMs + opts.DeleteRetentionMs
		}
		return ok && opts.NowMs >= horizon
	})
}

func (m *model) trim(start int64) {
	m.records = slices.DeleteFunc(m.records, func(r log.Record) bool { return r.Offset < start })
	m.ended = slices.DeleteFunc(m.ended, func(tx *transaction) bool { return tx.marker < start })
}

func drawRecord(t *rapid.T, now int64) log.Record {
	var key, value any
	switch k := rapid.IntRange(0, 12).Draw(t, "key"); k {
	case 0:
	case 1:
		key = ""
	case 2:
		key = fmt.Sprintf("%0100d", rapid.IntRange(0, 2).Draw(t, "long key"))
	default:
		key = fmt.Sprint("k", k)
	}
	switch rapid.IntRange(0, 9).Draw(t, "value") {
	case 0, 1:
	case 2:
		value = ""
	case 3:
		value = fmt.Sprintf("%0*d", rapid.IntRange(1000, 40_000).Draw(t, "size"), now)
	default:
		value = fmt.Sprint("v", now)
	}
	var headers []log.Header
	for range rapid.IntRange(-4, 2).Draw(t, "headers") {
		h := log.Header{Key: rapid.SampledFrom([]string{"", "h"}).Draw(t, "header")}
		if rapid.Bool().Draw(t, "not null") {
			h.Value = []byte(rapid.SampledFrom([]string{"", "x"}).Draw(t, "header value"))
		}
		headers = append(headers, h)
	}
	if rapid.IntRange(0, 9).Draw(t, "time") == 0 {
		return rec(log.NoTimestamp, key, value, headers...)
	}
	return rec(now+rapid.Int64Range(-30, 30).Draw(t, "jitter"), key, value, headers...)
}

// A log is written, in transactions and outside of them, cleaned, trimmed and opened again in any order; what can be
// read, committed or not, is what a plain model says: same offsets, times and headers, and no gaps between batches.
// So are the markers of transactions and what is known of those that were aborted.
func TestCleanerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := small{Store: store.OpenMemory(), entries: rapid.SampledFrom([]int{0, 0, 4, 7}).Draw(t, "entries"), bytes: smallBytes}
		defer func() { _ = st.Close() }()
		w := newWorld(t, st)
		m := newModel()
		now, dirty := int64(1000), int64(0)
		check := func() {
			m.check(t, w, rapid.IntRange(1, 5).Draw(t, "batches of a fetch"))
			checkTimes(t, w.log, m.timed(), now+rapid.Int64Range(-100, 50).Draw(t, "time"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "batches") {
					now += rapid.Int64Range(0, 20).Draw(t, "pass")
					kind := max(plain, rapid.IntRange(-6, idempotent+2).Draw(t, "kind"))
					codec := log.Codec(rapid.IntRange(0, 4).Draw(t, "codec"))
					var records []log.Record
					for range rapid.IntRange(1, 12).Draw(t, "records") {
						records = append(records, drawRecord(t, now))
					}
					w.nowMs = now
					if rapid.IntRange(0, 19).Draw(t, "huge") == 19 {
						records[0].Headers = []log.Header{{Value: make([]byte, hugeBytes)}}
					}
					producer := int64(-1)
					if kind > idempotent {
						producer = rapid.Int64Range(10, 13).Draw(t, "producer")
						w.transact(producer, codec, records...)
					} else {
						w.append(kind, codec, records...)
					}
					m.append(span{records[0].Offset, w.log.End() - 1}, records, w.huge(records), producer)
				}
			},
			"end": func(t *rapid.T) {
				for range rapid.IntRange(1, 3).Draw(t, "markers") {
					now += rapid.Int64Range(0, 20).Draw(t, "pass")
					w.nowMs = now
					producer, commit := rapid.Int64Range(10, 13).Draw(t, "producer"), rapid.Bool().Draw(t, "commit")
					w.end(producer, commit)
					m.end(producer, w.log.End()-1, now, commit)
				}
			},
			"clean": func(t *rapid.T) {
				opts := CleanOptions{
					NowMs:             now,
					DeleteRetentionMs: rapid.Int64Range(1, 60).Draw(t, "delete retention"),
					MinLagMs:          max(0, rapid.Int64Range(-60, 60).Draw(t, "lag")),
					From:              rapid.SampledFrom([]int64{0, dirty, dirty}).Draw(t, "from"),
				}
				c := Cleaner{
					MaxMapBytes: rapid.SampledFrom([]int{0, 1, 400}).Draw(t, "map"),
					Codec:       log.Codec(rapid.IntRange(0, 4).Draw(t, "codec")),
				}
				end := m.section(t, w.log, opts)
				done := w.clean(c, opts)
				before, markers := len(m.records), len(m.ended)
				m.clean(w.log.Start(), end, opts)
				if done.NextDirty != end {
					t.Fatalf("cleaned up to %d, want %d", done.NextDirty, end)
				}
				if want := int64(before - len(m.records)); done.Records < want {
					t.Fatalf("%d records gone, want %d", done.Records, want)
				}
				if want := int64(markers - len(m.ended)); done.Markers != want {
					t.Fatalf("%d markers gone, want %d", done.Markers, want)
				}
				dirty = max(dirty, done.NextDirty)
			},
			"trim": func(t *rapid.T) {
				start := rapid.Int64Range(w.log.Start(), w.log.End()).Draw(t, "start")
				w.trim(start)
				m.trim(start)
			},
			"reopen": func(t *rapid.T) {
				w = open(t, st)
			},
			"": func(t *rapid.T) { check() },
		})
	})
}

// checkTimes holds a search by time against the records.
func checkTimes(t fataler, l *log.Log, records []log.Record, ms int64) {
	t.Helper()
	want := int64(-1)
	for _, r := range records {
		if !r.Timestamp.IsZero() && r.Timestamp.UnixMilli() >= ms {
			want = r.Offset
			break
		}
	}
	offset, _, ok, err := l.OffsetForTime(log.ReadUncommitted, ms)
	if err != nil || ok != (want >= 0) || ok && offset != want {
		t.Fatalf("time %d: offset %d, %v, %v, want %d", ms, offset, ok, err, want)
	}
}
