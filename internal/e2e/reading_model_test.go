package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/txn"
)

// The reading model does to topics what makes holes in them: it compacts them, deletes records, damages batches, and has
// transactions of Kafka clients open, committed and aborted. Then it reads them by RecordsUntil, Backward and SeekLast, and
// compares with what the batches hold of what is committed. Meanwhile some of the same happens again: what is there all the
// time must come, and nothing that was never there.

func TestReadingModelInMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { runReading(rt, "") })
}

func TestReadingModelOnDisk(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "reading")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // TempDir sees to it
		runReading(rt, dir)
	})
}

type readingModel struct {
	ctx    context.Context
	dir    string // "" for a broker in memory
	b      *samsa.Broker
	tps    []samsa.TopicPartition
	groups int // that were used

	writers [3]readingWriter
	aborted map[samsa.TopicPartition]map[int64]bool // offsets
}

// readingWriter is a Kafka client with a transactional id.
type readingWriter struct {
	p    txn.Producer // none before the first transaction: the epoch is -1
	seqs map[samsa.TopicPartition]int32
	open map[samsa.TopicPartition][]int64 // the offsets of its transaction
}

func runReading(t *rapid.T, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m := &readingModel{ctx: ctx, dir: dir, aborted: make(map[samsa.TopicPartition]map[int64]bool)}
	for i := range m.writers {
		m.writers[i].p.Epoch = -1
	}
	m.open(t)
	defer func() { mustClose(t, m.b) }()
	for name, policy := range map[string]samsa.CleanupPolicy{"kept": samsa.CleanupDelete, "compacted": samsa.CleanupCompact} {
		config := samsa.TopicConfig{Partitions: 2, CleanupPolicy: policy, DeleteRetention: time.Millisecond}
		if err := m.b.Topics().Create(ctx, name, config); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"compacted", "kept"} {
		m.tps = append(m.tps, samsa.TopicPartition{Topic: topic}, samsa.TopicPartition{Topic: topic, Partition: 1})
	}
	for _, tp := range m.tps {
		m.aborted[tp] = make(map[int64]bool)
	}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		m.change(t)
		if dir != "" && rapid.IntRange(0, 9).Draw(t, "reopen") == 0 {
			mustClose(t, m.b)
			m.open(t)
		}
	}
	m.until(t)
	m.last(t)
	m.backward(t)
}

func (m *readingModel) open(t *rapid.T) {
	var err error
	m.b, err = samsa.Open(m.dir, samsa.Options{
		InMemory: m.dir == "", Groups: samsa.GroupOptions{InitialRebalanceDelay: -1},
		Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// change appends a batch or several, of transactions or not, ends one, compacts, deletes records, or damages a batch.
func (m *readingModel) change(t *rapid.T) {
	tp := rapid.SampledFrom(m.tps).Draw(t, "partition")
	switch rapid.IntRange(0, 15).Draw(t, "change") {
	case 0:
		if held, _ := m.held(t, tp); len(held) > 0 {
			before := rapid.SampledFrom(held).Draw(t, "before") + rapid.Int64Range(0, 1).Draw(t, "and it")
			if rapid.IntRange(0, 3).Draw(t, "delete what is open too") == 0 {
				before = m.partition(t, tp).HighWatermark()
			}
			if err := m.b.Topics().DeleteRecords(m.ctx, tp.Topic, map[int32]int64{tp.Partition: before}); err != nil {
				t.Fatal(err)
			}
		}
	case 1:
		if held, _ := m.held(t, tp); len(held) > 0 && rapid.Bool().Draw(t, "damage") {
			samsatest.Corrupt(t, m.b, tp.Topic, tp.Partition, rapid.SampledFrom(held).Draw(t, "damaged"))
		}
	case 2, 3, 4:
		if _, err := m.b.Sweep(m.ctx); err != nil {
			t.Fatal(err)
		}
	case 5, 6, 7:
		w := &m.writers[rapid.IntRange(0, len(m.writers)-1).Draw(t, "ends")]
		if w.p.Epoch >= 0 {
			m.end(t, w, rapid.Bool().Draw(t, "commit"))
		}
	case 8, 9, 10, 11:
		i := rapid.IntRange(0, len(m.writers)-1).Draw(t, "writer")
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			m.write(t, fmt.Sprint("t", i), &m.writers[i], rapid.SampledFrom(m.tps).Draw(t, "to"))
		}
	default:
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			m.produce(t, tp)
		}
	}
}

// write adds a batch to a transaction.
func (m *readingModel) write(t *rapid.T, id string, w *readingWriter, to samsa.TopicPartition) {
	in := inside.Of(m.b)
	if w.p.Epoch < 0 {
		p, err := in.Txns.Init(m.ctx, id, 10*time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		*w = readingWriter{p, make(map[samsa.TopicPartition]int32), make(map[samsa.TopicPartition][]int64)}
	}
	var b log.Builder
	n := rapid.IntRange(1, 3).Draw(t, "records")
	for range n {
		b.Append(time.Now().UnixMilli(), fmt.Append(nil, rapid.IntRange(0, 2).Draw(t, "key")), []byte("value"), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(w.p.ID, w.p.Epoch, w.seqs[to])
	tx := &writer.Tx{Appends: []writer.Append{{Partition: m.partition(t, to), Batch: batch}}}
	in.Txns.Guard(tx, id, true)
	if err := in.Committer.Do(tx); err != nil {
		t.Fatal(err)
	}
	w.seqs[to] += int32(n)
	for i := range int64(n) {
		w.open[to] = append(w.open[to], tx.Appends[0].BaseOffset+i)
	}
}

// end ends the transaction of a writer, if it has one.
func (m *readingModel) end(t *rapid.T, w *readingWriter, commit bool) {
	if len(w.open) == 0 {
		return
	}
	id := fmt.Sprint("t", slices.IndexFunc(m.writers[:], func(other readingWriter) bool { return other.p == w.p }))
	p, err := inside.Of(m.b).Txns.End(m.ctx, id, w.p, txn.EndOptions{Commit: commit, Bump: true})
	if err != nil {
		t.Fatal(err)
	}
	for tp, offsets := range w.open {
		for _, offset := range offsets {
			m.aborted[tp][offset] = !commit
		}
	}
	*w = readingWriter{p, make(map[samsa.TopicPartition]int32), make(map[samsa.TopicPartition][]int64)}
}

// stable returns up to where a partition can be read.
func (m *readingModel) stable(t *rapid.T, tp samsa.TopicPartition) int64 {
	p := m.partition(t, tp)
	stable := p.HighWatermark()
	for _, w := range m.writers {
		if offsets := w.open[tp]; len(offsets) > 0 {
			stable = min(stable, offsets[0])
		}
	}
	if stable = max(stable, p.LogStart()); p.LastStable() != stable {
		t.Fatalf("%s: %d are stable, want %d", tp, p.LastStable(), stable)
	}
	return stable
}

func (m *readingModel) partition(t *rapid.T, tp samsa.TopicPartition) *partition.Partition {
	topic, err := inside.Of(m.b).Catalogue.Get(tp.Topic)
	if err != nil {
		t.Fatal(err)
	}
	p, err := topic.Partition(tp.Partition)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (m *readingModel) produce(t *rapid.T, tp samsa.TopicPartition) {
	records := make([]samsa.Record, rapid.IntRange(1, 5).Draw(t, "records"))
	for i := range records {
		key := rapid.IntRange(0, 2).Draw(t, "key")
		records[i] = samsa.Record{Topic: tp.Topic, Partition: tp.Partition, Key: fmt.Append(nil, key)}
		if n := rapid.SampledFrom([]int{0, 1, 1, 40_000}).Draw(t, "bytes"); n > 0 {
			records[i].Value = make([]byte, n)
		}
	}
	if _, err := m.b.Produce(m.ctx, records...); err != nil {
		t.Fatal(err)
	}
}

// held returns the offsets that have records which can be read, as they are committed, and how many batches cannot.
func (m *readingModel) held(t *rapid.T, tp samsa.TopicPartition) (offsets []int64, damaged int) {
	p, stable := m.partition(t, tp), m.stable(t, tp)
	start := p.LogStart()
	_, err := p.Read(start, nil, func(sb log.StoredBatch) bool {
		if sb.LastOffset >= stable || sb.Err == nil && sb.Batch.Control() {
			return sb.LastOffset < stable
		}
		if sb.Err != nil {
			damaged++
			return true
		}
		encoded, err := sb.Batch.AppendRecords(nil)
		r, more := log.NewRecordReader(sb.Batch, encoded), true
		for err == nil {
			var rec samsa.Record
			if more, err = r.Next(&rec); !more {
				break
			}
			if rec.Offset >= start && !m.aborted[tp][rec.Offset] {
				offsets = append(offsets, rec.Offset)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return offsets, damaged
}

// bounds returns where the offsets of a partition begin and end that can be read.
func (m *readingModel) bounds(t *rapid.T, tp samsa.TopicPartition) (start, end int64) {
	offsets, err := m.b.ListOffsets(m.ctx, tp.Topic, samsa.Earliest())
	if err != nil {
		t.Fatal(err)
	}
	return offsets[tp.Partition].Offset, m.stable(t, tp)
}

// consumer opens one of all topics, in a group or not.
func (m *readingModel) consumer(t *rapid.T) *samsa.Consumer {
	opts := samsa.ConsumerOptions{
		Topics:         []string{"compacted", "kept"},
		MaxPollRecords: rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "records of a poll"),
		MaxPollBytes:   rapid.SampledFrom([]int{0, 1, 100}).Draw(t, "bytes of a poll"),
	}
	if rapid.IntRange(0, 3).Draw(t, "group") == 0 {
		m.groups++
		opts.Group = fmt.Sprint("g", m.groups)
	}
	c, err := m.b.NewConsumer(m.ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// collect reads until now. Before some of the records it makes a change, if there are to be any.
func (m *readingModel) collect(t *rapid.T, c *samsa.Consumer, changes bool) (got map[samsa.TopicPartition][]int64, damaged int) {
	got = make(map[samsa.TopicPartition][]int64)
	for r, err := range c.RecordsUntil(m.ctx) {
		switch {
		case errors.Is(err, samsa.ErrCorruptRecord):
			damaged++
		case err != nil:
			t.Fatal(err)
		default:
			tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			got[tp] = append(got[tp], r.Offset)
		}
		if changes && rapid.IntRange(0, 4).Draw(t, "a change") == 0 {
			m.change(t)
		}
	}
	return got, damaged
}

// until reads everything, twice, and the second time while it changes.
func (m *readingModel) until(t *rapid.T) {
	for _, changes := range []bool{false, true} {
		c := m.consumer(t)
		before, ends, batches := make(map[samsa.TopicPartition][]int64), make(map[samsa.TopicPartition]int64), 0
		for _, tp := range m.tps {
			offsets, damaged := m.held(t, tp)
			before[tp], batches = offsets, batches+damaged
			_, ends[tp] = m.bounds(t, tp)
		}
		got, damaged := m.collect(t, c, changes)
		if !changes && damaged != batches {
			t.Fatalf("%d errors, %d batches are damaged", damaged, batches)
		}
		for _, tp := range m.tps {
			after, _ := m.held(t, tp)
			between(t, tp, got[tp], after, before[tp], func(offset int64) bool { return offset < ends[tp] })
			start, _ := m.bounds(t, tp)
			at, err := c.Position(tp)
			passed := slices.ContainsFunc(after, func(offset int64) bool { return offset >= ends[tp] && offset < at })
			if err != nil || at < ends[tp] || passed {
				t.Fatalf("%s: position %d, %v; the loop ended at %d, the log begins at %d", tp, at, err, ends[tp], start)
			}
		}
		if again, _ := m.collect(t, c, false); !changes && len(again) > 0 {
			t.Fatalf("%v came twice", again)
		}
		mustClose(t, c)
	}
}

// between checks that offsets are in order, that all of least are among them which count, and none that is not in most.
func between(t *rapid.T, tp samsa.TopicPartition, offsets, least, most []int64, counts func(int64) bool) {
	if !slices.IsSorted(offsets) || len(slices.Compact(slices.Clone(offsets))) != len(offsets) {
		t.Fatalf("%s: read %v", tp, offsets)
	}
	for _, offset := range offsets {
		if !slices.Contains(most, offset) || !counts(offset) {
			t.Fatalf("%s: read %v, there were %v", tp, offsets, most)
		}
	}
	for _, offset := range least {
		if counts(offset) && !slices.Contains(offsets, offset) {
			t.Fatalf("%s: read %v, there are %v", tp, offsets, least)
		}
	}
}

// last reads the last records of each partition, and then does so while that changes, which it survives.
func (m *readingModel) last(t *rapid.T) {
	c := m.consumer(t)
	defer mustClose(t, c)
	m.collect(t, c, false) // joins
	n := rapid.IntRange(0, 12).Draw(t, "last")
	if err := c.SeekLast(m.ctx, int64(n)); err != nil {
		t.Fatal(err)
	}
	positions := make(map[samsa.TopicPartition]int64)
	for _, tp := range m.tps {
		var err error
		if positions[tp], err = c.Position(tp); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := m.collect(t, c, false)
	for _, tp := range m.tps {
		held, _ := m.held(t, tp)
		start, end := m.bounds(t, tp)
		want, at := held[max(0, len(held)-n):], end
		switch {
		case len(held) < n:
			at = start
		case n > 0:
			at = want[0]
		}
		if positions[tp] != at || !slices.Equal(got[tp], want) {
			t.Fatalf("the last %d of %s: from %d came %v, want %v from %d of %v", n, tp, positions[tp], got[tp], want, at, held)
		}
	}
}

// backward reads each partition, once from some offset, and once while it changes.
func (m *readingModel) backward(t *rapid.T) {
	for _, tp := range m.tps {
		for _, changes := range []bool{false, true} {
			before, batches := m.held(t, tp)
			start, end := m.bounds(t, tp)
			from := samsa.Latest()
			if rapid.Bool().Draw(t, "from an offset") {
				end = rapid.Int64Range(start, end).Draw(t, "from")
				from, batches = samsa.AtOffset(end), -1
			}
			var got []int64
			damaged := 0
			for r, err := range m.b.Backward(m.ctx, tp, from) {
				switch {
				case errors.Is(err, samsa.ErrCorruptRecord):
					damaged++
				case err != nil:
					t.Fatal(err)
				default:
					got = append(got, r.Offset)
				}
				if changes && rapid.IntRange(0, 2).Draw(t, "a change") == 0 {
					m.change(t)
				}
			}
			slices.Reverse(got)
			after, _ := m.held(t, tp)
			between(t, tp, got, after, before, func(offset int64) bool { return offset < end })
			if !changes && batches >= 0 && damaged != batches {
				t.Fatalf("%s: %d errors, %d batches are damaged", tp, damaged, batches)
			}
		}
	}
}
