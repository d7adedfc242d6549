package log

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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

// storeOf returns a store with this content of which nothing is known to be fsynced.
func storeOf(t fataler, c content) *found {
	t.Helper()
	st := store.OpenMemory()
	var b store.Batch
	for k, v := range c {
		b.Set([]byte(k), []byte(v))
	}
	commit(t, st, &b)
	return &found{Store: st}
}

// writer commits to a store and keeps the content before and after each commit.
type writer struct {
	t       fataler
	st      store.Store
	states  []content
	fails   int // the commit to be refused, counted from 1
	commits int // so far, the refused one too
}

func newWriter(t fataler, st store.Store) *writer {
	return &writer{t: t, st: st, states: []content{contentOf(t, st)}}
}

func (w *writer) Commit(b *store.Batch, _ bool) error {
	if w.commits++; w.commits == w.fails {
		return errBroken
	}
	commit(w.t, w.st, b)
	if now := contentOf(w.t, w.st); !maps.Equal(now, w.states[len(w.states)-1]) { // not for an fsync alone
		w.states = append(w.states, now)
	}
	return nil
}

// outcomes calls fn for everything that power loss may leave of states[0], which was
// fsynced, and the changes up to the last state: of every key the value of any of the
// states, readable or not.
func outcomes(states []content, fn func(content)) {
	keys := map[string]bool{}
	for _, s := range states[1:] {
		for k := range s {
			keys[k] = keys[k] || states[0][k] != s[k]
		}
		for k := range states[0] {
			_, ok := s[k]
			keys[k] = keys[k] || !ok
		}
	}
	maps.DeleteFunc(keys, func(_ string, changed bool) bool { return !changed })
	left := maps.Clone(states[0])
	var choose func(keys []string)
	choose = func(keys []string) {
		if len(keys) == 0 {
			fn(maps.Clone(left))
			return
		}
		k := keys[0]
		seen := map[string]bool{}
		for i, s := range states {
			v, ok := s[k]
			if seen[v] {
				continue
			}
			seen[v] = true
			if delete(left, k); ok {
				left[k] = v
			}
			choose(keys[1:])
			if ok && i > 0 {
				left[k] = v[:len(v)-1] + string(v[len(v)-1]^1)
				choose(keys[1:])
			}
		}
	}
	choose(slices.Sorted(maps.Keys(keys)))
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
func sparse(t fataler, base, last int64, offsets ...int64) Envelope {
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
		records, err := readAll(sb.Envelope.Batch(), MaxDecompressedBytes)
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

const (
	allOffsets  = "0 1 2 3 4 5 6 7"
	leftOffsets = "1 3 4 6 7"
)

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
	if len(w.states) != 4 || len(contentOf(t, l.st)) != 3 {
		t.Errorf("%d steps, %d keys left", len(w.states)-1, len(contentOf(t, l.st)))
	}
	for from, want := range map[int64]string{2: "0-3 4-5 6-7", 4: "4-5 6-7", 5: "4-5 6-7"} {
		if got := seen(t, l, from); got != want {
			t.Errorf("from %d: %s", from, got)
		}
	}
}

// recovered opens the store and checks that nothing of what must stay is lost, that
// what had gone for good has not come back, and that all is done.
func recovered(t *testing.T, c content, gone bool) {
	t.Helper()
	f := storeOf(t, c)
	if _, _, err := RecoverRewrites(f); err != nil {
		t.Fatalf("RecoverRewrites: %v", err)
	}
	if f.syncs > 0 {
		t.Fatal("fsynced, although no log has been checked")
	}
	l, cut := open(t, f)
	if cut != nil {
		t.Fatalf("cut %s: %v", describe(cut), cut.Cause)
	}
	if err := FinishRewrites(f); err != nil {
		t.Fatalf("FinishRewrites: %v", err)
	}
	switch got := offsetsIn(t, l); {
	case got != leftOffsets && got != allOffsets && got != "1 3 4 5 6 7" && got != "0 1 2 3 4 6 7":
		t.Fatalf("records %s", got)
	case gone && got != leftOffsets:
		t.Fatalf("came back: %s", got)
	}
	for k := range contentOf(t, f) {
		if k[0] != 'b' {
			t.Fatalf("left over: %x", k)
		}
	}
}

// The process is killed after any of the steps 1 to 3, or the power fails during any of
// them, and perhaps once more before what was recovered is fsynced: of every key that was
// on its way to the disk either value may be left, or one that cannot be read.
func TestRewriteSurvives(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	w := newWriter(t, l.st)
	if err := rewriteTwo(t, l, w); err != nil {
		t.Fatal(err)
	}
	again := func(t *testing.T, base []content, from content, gone bool) {
		f := storeOf(t, from)
		if _, _, err := RecoverRewrites(f); err != nil {
			t.Fatal(err)
		}
		outcomes(append(slices.Clone(base), contentOf(t, f)), func(c content) { recovered(t, c, gone) })
	}
	for step := range 4 {
		synced := step == 3 // the last step's fsync is left to whoever is next
		t.Run(fmt.Sprintf("killed after step %d", step), func(t *testing.T) {
			recovered(t, w.states[step], step >= 2)
			durable := max(0, step-1)
			again(t, w.states[durable:step+1], w.states[step], durable >= 2)
		})
		if step == 0 {
			continue
		}
		t.Run(fmt.Sprintf("power loss in step %d", step), func(t *testing.T) {
			outcomes(w.states[step-1:step+1], func(c content) {
				recovered(t, c, synced)
				again(t, []content{c}, c, synced)
			})
		})
	}
}

// noting is a writer whose power fails as soon as there is a note: that has reached the
// disk, and of all that was not fsynced nothing else has.
type noting struct {
	*writer
	durable content
	left    content // by the power loss, nil before
}

func (n *noting) Commit(b *store.Batch, synced bool) error {
	err := n.writer.Commit(b, synced)
	now := contentOf(n.t, n.st)
	for k, v := range now {
		if k[0] != 'j' {
			continue
		}
		if n.left == nil {
			n.left = maps.Clone(n.durable)
		}
		n.left[k] = v
	}
	if synced && n.left == nil {
		n.durable = now
	}
	return err
}

// A note that outlives the batches it is about, because these were not fsynced, is not taken
// for one that was carried out in part: what was fsynced stays.
func TestRewriteNoteOutlivesItsSources(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	w := &noting{writer: newWriter(t, l.st), durable: contentOf(t, newLog(t, 2).st)}
	if err := rewriteTwo(t, l, w); err != nil {
		t.Fatal(err)
	}
	f := storeOf(t, w.left)
	if _, _, err := RecoverRewrites(f); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, f)
	if got := offsetsIn(t, l); !strings.HasPrefix(got, "0 1") {
		t.Errorf("records %q, 0 and 1 were fsynced", got)
	}
}

// A note whose deletion was lost does not bring back what was trimmed since.
func TestRecoverRewritesBelowLogStart(t *testing.T) {
	l := newLog(t, 2, 2, 2, 2)
	w := newWriter(t, l.st)
	if err := rewriteTwo(t, l, w); err != nil {
		t.Fatal(err)
	}
	c := w.states[3]
	for k, v := range w.states[2] {
		if k[0] == 'j' {
			c[k] = v
		} else if key, _ := store.ParseBatchKey([]byte(k)); key.LastOffset < 6 {
			delete(c, k)
		}
	}
	c[string(store.LogStartKey(ordersID))] = string(store.OffsetValue(6))
	f := storeOf(t, c)
	if redone, dropped, err := RecoverRewrites(f); redone != 0 || dropped != 2 || err != nil {
		t.Errorf("%d redone, %d dropped, %v", redone, dropped, err)
	}
	if got := len(contentOf(t, f)); got != len(c) {
		t.Errorf("%d keys, there were %d", got, len(c))
	}
}

// When a step is refused, the next round puts the note away first, in the store's time.
func TestRewriteRefused(t *testing.T) {
	for fails := 1; fails <= 4; fails++ {
		l := newLog(t, 2, 2, 2, 2)
		w := newWriter(t, l.st)
		w.fails = fails
		if err := rewriteTwo(t, l, w); !errors.Is(err, errBroken) {
			t.Fatalf("Flush: %v", err)
		}
		r := NewRewriter(l, newWriter(t, l.st))
		from := span(t, 4, 2)
		if fails == 4 {
			from = sparse(t, 4, 5, 4)
		}
		r.Add([]Source{sourceOf(from, 0)}, sparse(t, 4, 5))
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
		want := "0 1 2 3 6 7"
		if fails == 4 {
			want = "1 3 6 7"
		}
		f := storeOf(t, contentOf(t, l.st))
		if redone, dropped, err := RecoverRewrites(f); redone+dropped != 0 || err != nil {
			t.Errorf("%d redone, %d dropped, %v", redone, dropped, err)
		}
		if got := offsetsIn(t, l); got != want {
			t.Errorf("records %s, want %s", got, want)
		}
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
		var notes, batches store.Batch
		for _, n := range r.notes {
			notes.Set(n.key(ordersID), n.encode(n.key(ordersID)))
			n.carryOut(&batches, ordersID)
		}
		if !limits.Admits(&notes) || !limits.Admits(&batches) || n == 0 {
			t.Errorf("%+v: %d in a round: notes %d, %d bytes; batches %d, %d", unit, n,
				notes.Len(), notes.Bytes(), batches.Len(), batches.Bytes())
		}
	}
}

func addNotes(f *testing.F, add func(key, value []byte)) {
	for _, n := range []note{
		{[]Source{sourceOf(span(f, 0, 2), 0), sourceOf(span(f, 2, 2), 0)}, sparse(f, 0, 3, 1, 3)},
		{[]Source{sourceOf(span(f, 4, 2), 0)}, sparse(f, 4, 5)},
	} {
		key := n.key(ordersID)
		add(key, n.encode(key))
	}
}

// FuzzNote reads anything without a panic, and what it takes it writes back the same; with
// the hash made right, so that what is behind it is reached.
func FuzzNote(f *testing.F) {
	addNotes(f, func(key, value []byte) { f.Add(key, value) })
	f.Add([]byte("j"), []byte{1})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if _, _, err := decodeNote(key, value); err != nil && !errors.Is(err, ErrCorruptRecord) {
			t.Fatal(err)
		}
		if len(value) < noteHeaderSize {
			return
		}
		value[0] = noteVersion
		sum := noteHash(key, value)
		for i := range 8 {
			value[1+i] = byte(sum >> (56 - 8*i))
		}
		id, n, err := decodeNote(key, value)
		if err != nil {
			if !errors.Is(err, ErrCorruptRecord) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(n.key(id), key) || !bytes.Equal(n.encode(key), value) {
			t.Fatalf("%+v is written differently", n)
		}
	})
}

// Any flipped bit of a note or its key is noticed.
func TestNoteFlippedBits(t *testing.T) {
	n := note{[]Source{sourceOf(span(t, 0, 2), 0), sourceOf(span(t, 2, 2), 0)}, sparse(t, 0, 3, 1, 3)}
	key := n.key(ordersID)
	value := n.encode(key)
	if id, got, err := decodeNote(key, value); err != nil || id != ordersID || !slices.Equal(got.sources, n.sources) || !bytes.Equal(got.env, n.env) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, part := range [][]byte{key, value} {
		for i := range part {
			part[i] ^= 1 << (i % 8)
			if _, _, err := decodeNote(key, value); !errors.Is(err, ErrCorruptRecord) {
				t.Errorf("byte %d: %v", i, err)
			}
			part[i] ^= 1 << (i % 8)
		}
	}
	for i := range value {
		if _, _, err := decodeNote(key, value[:i]); !errors.Is(err, ErrCorruptRecord) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	if MaxSpan != math.MaxInt32+1 {
		t.Error("a delta is an int32")
	}
}
