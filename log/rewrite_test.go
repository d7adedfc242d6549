package log

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// content is what a store holds.
type content map[string]string

func contentOf(t fataler, st store.Store) content {
	t.Helper()
	c := content{}
	err := st.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		c[string(e.Key)] = string(v)
		return true, err
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return c
}

// writer commits to a store.
type writer struct {
	t       fataler
	st      store.Store
	refuses bool
	commits int
}

func newWriter(t fataler, st store.Store) *writer { return &writer{t: t, st: st} }

func (w *writer) Commit(b *store.Batch) error {
	if w.commits++; w.refuses {
		return errRefused
	}
	commit(w.t, w.st, b)
	return nil
}

var errRefused = errors.New("the disk is full")

// sourceOf returns the source that env is, which is finished, when what it holds was appended at
// appendMs.
func sourceOf(env Batch, appendMs int64) Source {
	b := env
	return Source{LastOffset: b.LastOffset(), MaxTimestamp: b.keyTime(appendMs)}
}

// rewriteTwo replaces the batches 0-1 and 2-3 by one, under the key of the second, and
// 4-5 by one of another max timestamp, in one round. Records 0, 2 and 5 go.
func rewriteTwo(t fataler, l *Log, w Committer) error {
	t.Helper()
	r := NewRewriter(l, w)
	source := func(base int64) Source { return sourceOf(span(t, base, 2), 0) }
	r.Add([]Source{source(0), source(2)}, sparse(t, 0, 3, 1, 3))
	r.Add([]Source{source(4)}, sparse(t, 4, 5, 4))
	return r.Flush()
}

// sparse is a batch that covers the offsets from base to last and has those records that
// span has at these offsets.
func sparse(t fataler, base, last int64, offsets ...int64) Batch {
	t.Helper()
	var b SparseBuilder
	b.Reset(base)
	for _, o := range offsets {
		r := rec(o, 1000+10*o, nil, fmt.Sprint("v", o))
		if err := b.Append(&r); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	env, err := b.Seal(CodecNone, Cover{LastOffset: last, MaxTimestamp: 1000 + 10*last})
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return env
}

// offsetsIn are those of the records that can be read.
func offsetsIn(t fataler, l *Log) string {
	t.Helper()
	var words []string
	_, err := l.Read(l.Start(), nil, func(sb StoredBatch) bool {
		if sb.Err != nil {
			t.Fatalf("Read: %v", sb.Err)
		}
		records, err := readAll(sb.Batch, MaxDecompressedBytes)
		if err != nil {
			t.Fatalf("records: %v", err)
		}
		for _, r := range records {
			if want := fmt.Sprint("v", r.Offset); string(r.Value) != want || r.millis() != 1000+10*r.Offset {
				t.Fatalf("record %+v", r)
			}
			words = append(words, fmt.Sprint(r.Offset))
		}
		return true
	})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return strings.Join(words, " ")
}

const leftOffsets = "1 3 4 6 7"

func TestRewrite(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	w := newWriter(t, l.st)
	if err := rewriteTwo(t, l, w); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, l, 0); got != "0-3 4-5 6-7" {
		t.Errorf("batches %s", got)
	}
	if got := offsetsIn(t, l); got != leftOffsets {
		t.Errorf("records %s", got)
	}
	if w.commits != 1 || len(contentOf(t, l.st)) != 3 {
		t.Errorf("%d commits, %d keys left", w.commits, len(contentOf(t, l.st)))
	}
	for from, want := range map[int64]string{2: "0-3 4-5 6-7", 4: "4-5 6-7", 5: "4-5 6-7"} {
		if got := seen(t, l, from); got != want {
			t.Errorf("from %d: %s", from, got)
		}
	}
	if again := open(t, l.st); again.End() != 8 || offsetsIn(t, again) != leftOffsets {
		t.Errorf("opened again: %s, end %d", offsetsIn(t, again), again.End())
	}
}

// A round that is refused has changed nothing, and the rewriter can do the next.
func TestRewriteRefused(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	before := contentOf(t, l.st)
	w := newWriter(t, l.st)
	r := NewRewriter(l, w)
	w.refuses = true
	r.Add([]Source{sourceOf(span(t, 0, 2), 0)}, sparse(t, 0, 1))
	if err := r.Flush(); !errors.Is(err, errRefused) || !maps.Equal(contentOf(t, l.st), before) {
		t.Fatalf("Flush: %v; records %s", err, offsetsIn(t, l))
	}
	w.refuses = false
	r.Add([]Source{sourceOf(span(t, 4, 2), 0)}, sparse(t, 4, 5))
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := offsetsIn(t, l); got != "0 1 2 3 6 7" {
		t.Errorf("records %s", got)
	}
}

// A round keeps to the limits of the store, whatever it is made of.
func TestRewriterFits(t *testing.T) {
	limits := memory(t).Limits()
	for _, unit := range []struct{ sources, size int }{{1, 100}, {1, 900}, {1, 64 << 10}, {500, 100}, {1, 1100}, {-1, 100}} {
		l := newLog(t)
		r := NewRewriter(l, newWriter(t, l.st))
		if unit.sources < 0 {
			unit.sources = r.MaxSources()
		}
		var b SparseBuilder
		record := rec(0, 0, nil, strings.Repeat("x", unit.size))
		n := 0
		for ; r.Fits(unit.sources, unit.size+200); n++ {
			var sources []Source
			for i := range unit.sources {
				sources = append(sources, Source{LastOffset: int64(n*unit.sources + i)})
			}
			last := sources[len(sources)-1].LastOffset
			b.Reset(last)
			record.Offset = last
			if err := b.Append(&record); err != nil {
				t.Fatal(err)
			}
			env, err := b.Seal(CodecNone, Cover{LastOffset: last})
			if err != nil {
				t.Fatal(err)
			}
			r.Add(sources, env)
		}
		if !limits.Admits(&r.round) || n == 0 {
			t.Errorf("%+v: %d in a round: %d entries, %d bytes", unit, n, r.round.Len(), r.round.Bytes())
		}
	}
}
