package retention

import (
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
	aborted map[int64]bool  // records of transactions, which supersede nothing
	horizon map[int64]int64 // of tombstones, once they are the last of their keys
}

type span struct{ first, last int64 }

// section returns where a Clean must end, by the batches that the log has now.
func (m *model) section(t fataler, l *log.Log, opts CleanOptions) int64 {
	t.Helper()
	var batches []Batch
	if err := l.Batches(func(b Batch) bool { batches = append(batches, b); return true }); err != nil {
		t.Fatalf("Batches: %v", err)
	}
	end := l.Start()
	for _, b := range batches[:max(0, len(batches)-1)] {
		if opts.MinLagMs > 0 && b.LastOffset >= opts.From && b.MaxTimestamp > opts.NowMs-opts.MinLagMs {
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
}

func (m *model) trim(start int64) {
	m.records = slices.DeleteFunc(m.records, func(r log.Record) bool { return r.Offset < start })
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

// A log is written, cleaned, trimmed and opened again in any order; what can be read is
// what a plain model says: same offsets, times and headers, and no gaps between batches.
func TestCleanerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := store.OpenMemory()
		defer func() { _ = st.Close() }()
		w := newWorld(t, st)
		m := &model{aborted: map[int64]bool{}, horizon: map[int64]int64{}}
		now, dirty := int64(1000), int64(0)
		check := func() {
			sameRecords(t, read(t, w.log), m.records)
			checkTimes(t, w.log, m.records, now+rapid.Int64Range(-100, 50).Draw(t, "time"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "batches") {
					now += rapid.Int64Range(0, 20).Draw(t, "pass")
					kind := max(plain, rapid.IntRange(-6, transactional).Draw(t, "kind"))
					codec := log.Codec(rapid.IntRange(0, 4).Draw(t, "codec"))
					var records []log.Record
					for range rapid.IntRange(1, 12).Draw(t, "records") {
						records = append(records, drawRecord(t, now))
					}
					w.nowMs = now
					w.append(kind, codec, records...)
					if kind == transactional {
						m.pinned = append(m.pinned, span{records[0].Offset, w.log.End() - 1})
						for _, r := range records {
							m.aborted[r.Offset] = true
						}
					}
					m.records = append(m.records, records...)
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
				before := len(m.records)
				m.clean(w.log.Start(), end, opts)
				if done.NextDirty != end {
					t.Fatalf("cleaned up to %d, want %d", done.NextDirty, end)
				}
				if want := int64(before - len(m.records)); done.Records < want {
					t.Fatalf("%d records gone, want %d", done.Records, want)
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
