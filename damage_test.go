package samsa_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// The damage tests change bytes of the value log behind the broker's back. They know
// of its files that those of dir/values are numbered, begin with a header, and hold
// the stored batches in the order in which they were committed.

const valueHeader = 20

// damageable is a data directory, and what was produced to it.
type damageable struct {
	dir     string
	batches []storedBatch     // in the order of the commits
	files   map[string][]byte // what the value files held before the damage
}

// storedBatch is one batch, and where it lies in the value log.
type storedBatch struct {
	tp      samsa.TopicPartition
	records []samsa.Record
	file    string
	at, end int // its bytes in the file; at is where the batch before it ends
}

var damagePartitions = []samsa.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 1}, {Topic: "b", Partition: 0}}

// uncompressed makes a broker that stores values as they are, where they were meant for.
func uncompressed(logger *zap.Logger) samsa.Options {
	return samsa.Options{Logger: logger, Produce: samsa.ProducerOptions{
		Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartition(),
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
		copied := t.TempDir()
		copyLive(t, copied, d.dir)
		d.dir = copied
	}
	mustClose(t, b)
}

// copyLive copies a directory whose files are sparse.
func copyLive(t *testing.T, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(target, 0o755))
		}
		return copySparse(target, path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copySparse(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // written unbuffered
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buf)
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err != nil { // the end
			return out.Truncate(at)
		}
	}
}

// locate finds the batches in the value files.
func (d *damageable) locate(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.dir, "values", "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	next := 0
	for _, path := range paths {
		data := d.head(t, path)
		d.files[path] = data
		end := valueHeader
		for ; next < len(d.batches); next++ {
			batch := &d.batches[next]
			last := batch.records[len(batch.records)-1].Value
			i := bytes.Index(data[end:], last)
			if i < 0 {
				break
			}
			// Behind the value: no headers, 1 byte, and the checksum of the entry, 4 bytes.
			batch.file, batch.at, batch.end = path, end, end+i+len(last)+1+4
			end = batch.end
		}
	}
	if next < len(d.batches) {
		t.Fatalf("batch %d is in no value file, or not in its turn", next)
	}
}

// head returns as much of a value file as could hold all batches: the file of a broker
// at work is large, and empty for the most part.
func (d *damageable) head(t *testing.T, path string) []byte {
	t.Helper()
	const overhead = 500 // of a batch, more than enough
	size := valueHeader
	for _, batch := range d.batches {
		size += overhead
		for _, r := range batch.records {
			size += len(r.Value)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(size)))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return data
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

// TestDamagedTail damages the last bytes of the newest value file that has some. The
// broker keeps the whole batches before the damage, says what it cut, and goes on.
func TestDamagedTail(t *testing.T) {
	const everything = 1 << 30
	ks := []int{1, 5, 6, 3000, 40_000, everything}
	if testing.Short() {
		ks = []int{5, 3000}
	}
	for _, clean := range []bool{true, false} {
		for _, h := range harms {
			for _, k := range ks {
				t.Run(fmt.Sprintf("clean end %t/%s %d bytes", clean, h.name, k), func(t *testing.T) {
					d := newDamageable(t)
					d.produce(t, seeded(t), 24, clean)
					d.locate(t)
					last := d.batches[len(d.batches)-1]
					d.checkTail(t, h.apply(t, d, last.file, max(valueHeader, last.end-k), last.end))
				})
			}
		}
	}
}

// TestDamagedHeader cuts a value file before its first batch.
func TestDamagedHeader(t *testing.T) {
	for _, size := range []int{0, 1, valueHeader - 1} {
		t.Run(fmt.Sprintf("%d bytes left", size), func(t *testing.T) {
			d := newDamageable(t)
			d.produce(t, seeded(t), 24, true)
			d.locate(t)
			last := d.batches[len(d.batches)-1]
			d.checkTail(t, harms[0].apply(t, d, last.file, size, last.end))
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

// checkTail opens the damaged directory and compares.
func (d *damageable) checkTail(t *testing.T, hurt []bool) {
	t.Helper()
	before, want := d.split(hurt)
	core, logs := observer.New(zap.WarnLevel)
	b := mustOpen(t, d.dir, uncompressed(zap.New(core)))
	checkCuts(t, logs, before, want)
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
	if errs := checkRecords(t, b, want); len(errs) > 0 {
		t.Errorf("errors of Poll after another open: %v", errs)
	}
	for _, entry := range logs.All() {
		t.Errorf("logged at the next open: %s %v", entry.Message, entry.ContextMap())
	}
}

// split returns the records of each partition, and those before the first hurt batch.
func (d *damageable) split(hurt []bool) (before, intact map[samsa.TopicPartition][]samsa.Record) {
	before, intact = make(map[samsa.TopicPartition][]samsa.Record), make(map[samsa.TopicPartition][]samsa.Record)
	over := make(map[samsa.TopicPartition]bool)
	for i, batch := range d.batches {
		before[batch.tp] = append(before[batch.tp], batch.records...)
		over[batch.tp] = over[batch.tp] || hurt[i]
		if !over[batch.tp] {
			intact[batch.tp] = append(intact[batch.tp], batch.records...)
		}
	}
	return before, intact
}

// checkCuts compares what was logged with what is missing.
func checkCuts(t *testing.T, logs *observer.ObservedLogs, before, left map[samsa.TopicPartition][]samsa.Record) {
	t.Helper()
	cuts := make(map[string]string)
	for _, entry := range logs.FilterFieldKey("partition").All() {
		fields := entry.ContextMap()
		tp := fmt.Sprint(fields["partition"])
		if cuts[tp] != "" {
			t.Errorf("two cuts of %s", tp)
		}
		cuts[tp] = fmt.Sprintf("[%d, %d)", fields["from"], fields["to"])
	}
	for _, tp := range damagePartitions {
		want := ""
		if len(left[tp]) < len(before[tp]) {
			want = fmt.Sprintf("[%d, %d)", len(left[tp]), len(before[tp]))
		}
		if cuts[tp.String()] != want {
			t.Errorf("%s: logged the cut %q, want %q", tp, cuts[tp.String()], want)
		}
	}
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

// TestDamagedMiddle damages batches that have many others behind them, in an older
// file. Each is one ErrCorruptRecord, and nothing else is lost.
func TestDamagedMiddle(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, h := range harms[1:] {
			for _, which := range [][2]int{{10, 10}, {10, 13}, {27, 29}} {
				t.Run(fmt.Sprintf("clean end %t/%s batches %v", clean, h.name, which), func(t *testing.T) {
					d := newDamageable(t)
					rng := seeded(t)
					d.produce(t, rng, 30, true)
					d.produce(t, rng, 30, clean)
					d.locate(t)
					first, last := d.batches[which[0]], d.batches[which[1]]
					if first.file == d.batches[len(d.batches)-1].file {
						t.Fatal("the damage is not in an older file")
					}
					hurt := h.apply(t, d, first.file, first.at, last.end)
					d.checkMiddle(t, hurt, which[1]-which[0]+1)
				})
			}
		}
	}
}

// TestDamagedByte flips one byte of a batch, each in its turn: of the header of the
// value log's entry, of the envelope, of a record, of the checksum.
func TestDamagedByte(t *testing.T) {
	d := newDamageable(t)
	rng := seeded(t)
	d.produce(t, rng, 15, true)
	d.produce(t, rng, 15, true)
	d.locate(t)
	batch := d.batches[5]
	places := []int{0, 1, 2, 3, 4, 5, 10, 40, 41, 50, 60, 90, 120, 1000, batch.end - batch.at - 1}
	for _, place := range places {
		t.Run(fmt.Sprintf("byte %d", place), func(t *testing.T) {
			hurt := harms[2].apply(t, d, batch.file, batch.at+place, batch.at+place+1)
			d.checkMiddle(t, hurt, 1)
		})
	}
}

func (d *damageable) checkMiddle(t *testing.T, hurt []bool, batches int) {
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
	if len(texts) != batches {
		t.Fatalf("%d batches are hurt, want %d", len(texts), batches)
	}
	core, logs := observer.New(zap.WarnLevel)
	b := mustOpen(t, d.dir, uncompressed(zap.New(core)))
	defer mustClose(t, b)
	for _, entry := range logs.FilterFieldKey("partition").All() {
		t.Errorf("logged at open: %s %v", entry.Message, entry.ContextMap())
	}
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
