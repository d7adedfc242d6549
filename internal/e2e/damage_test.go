package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
)

// The damage tests change bytes of the value files behind the broker's back. They know
// that the files of dir/values are numbered, and hold the stored batches in the order in which
// they were committed.

// damageable is a data directory, and what was produced to it.
type damageable struct {
	dir     string
	batches []storedBatch     // in the order of the commits
	files   map[string][]byte // what the value files held before the damage
}

// storedBatch is one batch, and where it lies in the value files.
type storedBatch struct {
	tp      samsa.TopicPartition
	records []samsa.Record
	file    string
	at, end int // of its last value in the file
}

var damagePartitions = []samsa.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 1}, {Topic: "b", Partition: 0}}

// uncompressed makes a broker that stores values as they are, where they were meant for.
func uncompressed(logger *zap.Logger) samsa.Options {
	return samsa.Options{Logger: logger, Produce: samsa.ProduceOptions{
		Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner(),
	}}
}

// newDamageable makes a directory with the partitions.
func newDamageable(t *testing.T) *damageable {
	t.Helper()
	d := &damageable{dir: t.TempDir(), files: make(map[string][]byte)}
	b := mustOpen(t, d.dir, uncompressed(nil))
	mustCreate(t, b, "a", 2)
	mustCreate(t, b, "b", 1)
	mustClose(t, b)
	return d
}

// produce adds so many batches of some KiB each, and ends the broker: cleanly, or by
// going on in a copy of the directory that was made while the broker was at work.
func (d *damageable) produce(t *testing.T, rng *rand.Rand, batches int, clean bool) {
	t.Helper()
	b := mustOpen(t, d.dir, uncompressed(nil))
	for i := range batches {
		tp := damagePartitions[i%len(damagePartitions)]
		records := make([]samsa.Record, 1+rng.IntN(3))
		for i := range records {
			value := make([]byte, 1100+rng.IntN(2000))
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			records[i] = samsa.Record{Topic: tp.Topic, Partition: tp.Partition, Value: value}
		}
		got, err := b.Produce(patient(t), records...)
		if err != nil {
			t.Fatal(err)
		}
		d.batches = append(d.batches, storedBatch{tp: tp, records: got})
	}
	if !clean {
		d.dir = copyStill(t, d.dir)
	}
	mustClose(t, b)
}

// copyDir copies a directory that nobody has open; else see copyStill.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// locate finds the batches in the value files.
func (d *damageable) locate(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.dir, "values", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	next := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d.files[path] = data
		end := 0
		for ; next < len(d.batches); next++ {
			batch := &d.batches[next]
			last := batch.records[len(batch.records)-1].Value
			i := bytes.Index(data[end:], last)
			if i < 0 {
				break
			}
			batch.file, batch.at, batch.end = path, end+i, end+i+len(last)
			end = batch.end
		}
	}
	if next < len(d.batches) {
		t.Fatalf("batch %d is in no value file, or not in its turn", next)
	}
}

// harm is a way to damage bytes [from, to) of a file.
type harm struct {
	name string
	do   func(data []byte, from, to int) []byte
}

var harms = []harm{
	{"cut", func(data []byte, from, _ int) []byte { return data[:from] }},
	{"zero", func(data []byte, from, to int) []byte { clear(data[from:to]); return data }},
	{"flip", func(data []byte, from, to int) []byte {
		for i := from; i < to; i++ {
			data[i] ^= 0x55
		}
		return data
	}},
}

// apply damages a file and returns which batches are not what they were.
func (h harm) apply(t *testing.T, d *damageable, file string, from, to int) (hurt []bool) {
	t.Helper()
	data := h.do(bytes.Clone(d.files[file]), from, to)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < to {
		err = f.Truncate(int64(len(data)))
	} else {
		_, err = f.WriteAt(data[from:to], int64(from))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	hurt = make([]bool, len(d.batches))
	for i := range d.batches {
		batch := &d.batches[i]
		was := d.files[batch.file][batch.at:batch.end]
		hurt[i] = batch.file == file && (batch.end > len(data) || !bytes.Equal(was, data[batch.at:batch.end]))
	}
	return hurt
}

// TestDamagedTail damages the last batches of a killed broker: those before the damage are kept,
// what was cut is logged, and the broker goes on. After a clean end no batch can be missing, so
// that is damage.
func TestDamagedTail(t *testing.T) {
	t.Parallel()
	for _, clean := range []bool{true, false} {
		for _, h := range harms {
			if clean && h.name == "cut" {
				continue // what said that it was durable is gone too
			}
			for _, batches := range []int{1, 10, 24} {
				t.Run(fmt.Sprintf("clean end %t/%s %d batches", clean, h.name, batches), func(t *testing.T) {
					d := newDamageable(t)
					d.produce(t, seeded(t), 24, clean)
					d.locate(t)
					first, last := d.batches[24-batches], d.batches[23]
					hurt := h.apply(t, d, last.file, first.at, last.end)
					if clean {
						d.checkDamaged(t, hurt)
					} else {
						d.checkTail(t, hurt)
					}
				})
			}
		}
	}
}

// TestDamagedHeader damages the beginning of a value file.
func TestDamagedHeader(t *testing.T) {
	t.Parallel()
	for _, h := range harms[1:] {
		t.Run(h.name, func(t *testing.T) {
			d := newDamageable(t)
			d.produce(t, seeded(t), 24, true)
			d.locate(t)
			h.apply(t, d, d.batches[23].file, 0, 16)
			d.refused(t)
		})
	}
}

// seeded returns a source of random numbers whose seed is told when the test fails.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// checkTail opens the damaged directory, in which there is nothing from the first hurt batch on.
func (d *damageable) checkTail(t *testing.T, hurt []bool) {
	t.Helper()
	want := make(map[samsa.TopicPartition][]samsa.Record)
	for _, batch := range d.batches[:slices.Index(hurt, true)] {
		want[batch.tp] = append(want[batch.tp], batch.records...)
	}
	core, logs := observer.New(zap.WarnLevel)
	b := mustOpen(t, d.dir, uncompressed(zap.New(core)))
	if got := logs.FilterMessageSnippet("cut").Len(); got != 1 {
		t.Errorf("%d lines of the log tell of a cut", got)
	}
	for _, tp := range damagePartitions { // append where the log was cut
		got, err := b.Produce(patient(t), samsa.Record{Topic: tp.Topic, Partition: tp.Partition, Value: bytes.Repeat([]byte("after"), 500)})
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Offset != int64(len(want[tp])) {
			t.Errorf("%s: produced at offset %d, want %d", tp, got[0].Offset, len(want[tp]))
		}
		want[tp] = append(want[tp], got[0])
	}
	if errs := checkRecords(t, b, want); len(errs) > 0 {
		t.Errorf("errors of Poll: %v", errs)
	}
	mustClose(t, b)

	core, logs = observer.New(zap.WarnLevel)
	b = mustOpen(t, d.dir, uncompressed(zap.New(core)))
	defer mustClose(t, b)
	if errs := checkRecords(t, b, want); len(errs) > 0 {
		t.Errorf("errors of Poll after another open: %v", errs)
	}
	for _, entry := range logs.All() {
		t.Errorf("logged at the next open: %s %v", entry.Message, entry.ContextMap())
	}
}

// refused checks that the damaged directory is not opened, and stays as it is.
func (d *damageable) refused(t *testing.T) {
	t.Helper()
	refused(t, d.dir, d.dir, samsa.ErrCorruptValue)
}

// checkRecords reads everything, compares, and returns the errors of Poll.
func checkRecords(t *testing.T, b *samsa.Broker, want map[samsa.TopicPartition][]samsa.Record) (errs []error) {
	t.Helper()
	got := make(map[samsa.TopicPartition][]samsa.Record)
	readRange(t, b, nil, ends(t, b), func(r samsa.Record, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		got[tp] = append(got[tp], r)
	})
	for tp, records := range want {
		if len(got[tp]) != len(records) {
			t.Errorf("%s: read %d records, want %d", tp, len(got[tp]), len(records))
			continue
		}
		for i := range records {
			sameRecord(t, "consumed", withMillis(records[i]), got[tp][i])
		}
	}
	return errs
}

// TestDamagedMiddle damages batches that have others behind them.
func TestDamagedMiddle(t *testing.T) {
	t.Parallel()
	for _, clean := range []bool{true, false} {
		for _, h := range harms[1:] {
			for _, which := range [][2]int{{10, 10}, {10, 13}, {27, 29}, {40, 41}} {
				t.Run(fmt.Sprintf("clean end %t/%s batches %v", clean, h.name, which), func(t *testing.T) {
					d := newDamageable(t)
					rng := seeded(t)
					d.produce(t, rng, 30, true)
					d.produce(t, rng, 30, clean)
					d.locate(t)
					first, last := d.batches[which[0]], d.batches[which[1]]
					d.checkDamaged(t, h.apply(t, d, first.file, first.at, last.end))
				})
			}
		}
	}
}

// TestDamagedByte flips one byte of a value, each in its turn.
func TestDamagedByte(t *testing.T) {
	d := newDamageable(t)
	rng := seeded(t)
	d.produce(t, rng, 15, true)
	d.produce(t, rng, 15, true)
	d.locate(t)
	batch := d.batches[5]
	for _, place := range []int{0, 1, 100, 1000, batch.end - batch.at - 1} {
		t.Run(fmt.Sprintf("byte %d", place), func(t *testing.T) {
			d.checkDamaged(t, harms[2].apply(t, d, batch.file, batch.at+place, batch.at+place+1))
		})
	}
}

// checkDamaged opens a directory in which batches are hurt that were to be relied on. Either that
// is refused, or each of them is one ErrCorruptRecord, and nothing else is lost.
func (d *damageable) checkDamaged(t *testing.T, hurt []bool) {
	t.Helper()
	want := make(map[samsa.TopicPartition][]samsa.Record)
	texts := make(map[string]bool) // what errors must name
	for i, batch := range d.batches {
		if hurt[i] {
			texts[fmt.Sprintf("%s: batch ending at offset %d", batch.tp, batch.records[len(batch.records)-1].Offset)] = true
			continue
		}
		want[batch.tp] = append(want[batch.tp], batch.records...)
	}
	batches := len(texts)
	if batches == 0 {
		t.Fatal("nothing is hurt")
	}
	b, err := samsa.Open(d.dir, uncompressed(nil))
	if err != nil {
		d.refused(t)
		return
	}
	defer mustClose(t, b)
	errs := checkRecords(t, b, want)
	for _, err := range errs {
		i := strings.Index(err.Error(), "batch ending at offset ")
		if !errors.Is(err, samsa.ErrCorruptRecord) || i < 0 {
			t.Errorf("poll: %v", err)
			continue
		}
		for text := range texts {
			if strings.Contains(err.Error(), text+":") {
				delete(texts, text)
			}
		}
	}
	if len(errs) != batches || len(texts) > 0 {
		t.Errorf("errors of Poll are %v; none says %v", errs, texts)
	}
}
