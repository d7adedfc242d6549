package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// exporter returns a broker with three topics, whose records, starts, offsets and aborted transactions are known.
func exporter(t *testing.T) *samsa.Broker {
	t.Helper()
	ctx := t.Context()
	b := mustOpen(t, t.TempDir(), samsa.Options{})
	for _, name := range []string{"orders", "bills", "other"} {
		err := b.Topics().Create(ctx, name, samsa.TopicConfig{Partitions: 2, MaxMessageBytes: 123_456})
		for i := range 30 {
			if err == nil {
				_, err = b.Produce(ctx, samsa.Record{Topic: name, Key: fmt.Append(nil, i), Value: []byte(strings.Repeat(name, i*20))})
			}
		}
		if err == nil {
			err = b.Topics().DeleteRecords(ctx, name, map[int32]int64{0: 3})
		}
		if err == nil {
			err = b.Groups().AlterOffsets(ctx, "readers", samsa.To(samsa.AtOffset(5)), samsa.TopicPartition{Topic: name})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// recordsOf returns all records of a topic as text, by partition and offset.
func recordsOf(t *testing.T, b *samsa.Broker, name string) map[string]string {
	t.Helper()
	all, starts, behind := map[string]string{}, map[samsa.TopicPartition]int64{}, map[samsa.TopicPartition]int64{}
	for at, into := range map[samsa.Start]map[samsa.TopicPartition]int64{samsa.Earliest(): starts, samsa.Latest(): behind} {
		offsets, err := b.ListOffsets(t.Context(), name, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			into[samsa.TopicPartition{Topic: name, Partition: o.Partition}] = o.Offset
		}
	}
	readRange(t, b, starts, behind, func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Topic == name {
			all[fmt.Sprint(r.Partition, "/", r.Offset)] = fmt.Sprintf("%s %s %v", r.Key, r.Value, r.Timestamp.UnixMilli())
		}
	})
	return all
}

func TestImport(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from := exporter(t)
	defer mustClose(t, from)
	var some, all bytes.Buffer
	if err := errors.Join(from.Snapshot(ctx, &some, "orders", "bills"), from.Snapshot(ctx, &all)); err != nil {
		t.Fatal(err)
	}
	if err := from.Snapshot(ctx, &some, "nothing"); !errors.Is(err, samsa.ErrUnknownTopic) {
		t.Errorf("a topic that is not there: %v", err)
	}
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": ""} {
		to := mustOpen(t, dir, samsa.Options{InMemory: dir == "", AutoCreateTopics: true})
		if _, err := to.Produce(ctx, samsa.Record{Topic: "mine"}); err != nil {
			t.Fatal(err)
		}
		err := to.Import(ctx, bytes.NewReader(some.Bytes()), samsa.ImportOptions{As: map[string]string{"bills": "old-bills"}, Offsets: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := to.Import(ctx, bytes.NewReader(all.Bytes()), samsa.ImportOptions{Topics: []string{"other"}}); err != nil {
			t.Fatalf("%s: of a whole snapshot: %v", name, err)
		}
		for was, is := range map[string]string{"orders": "orders", "bills": "old-bills", "other": "other"} {
			if got, want := recordsOf(t, to, is), recordsOf(t, from, was); !maps.Equal(got, want) || len(want) < 20 {
				t.Errorf("%s: %s has %d records, want %d", name, is, len(got), len(want))
			}
			info, err := to.Topics().Describe(ctx, is)
			if err != nil || info.Config.MaxMessageBytes != 123_456 || info.Config.Partitions != 2 {
				t.Errorf("%s: %s: %v, %+v", name, is, err, info)
			}
		}
		offsets, err := to.Groups().Committed(ctx, "readers")
		if err != nil || len(offsets) != 2 || offsets[samsa.TopicPartition{Topic: "old-bills"}].Offset != 5 {
			t.Errorf("%s: %v, %v", name, offsets, err)
		}
		err = to.Import(ctx, bytes.NewReader(some.Bytes()), samsa.ImportOptions{Topics: []string{"orders"}})
		if !errors.Is(err, samsa.ErrTopicExists) {
			t.Errorf("%s: a topic that is there: %v", name, err)
		}
		if _, err := to.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("goes on")}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustClose(t, to)
		if dir == "" {
			continue
		}
		again := mustOpen(t, dir, samsa.Options{})
		if got, want := recordsOf(t, again, "old-bills"), recordsOf(t, from, "bills"); !maps.Equal(got, want) {
			t.Errorf("opened again: %d records, want %d", len(got), len(want))
		}
		mustClose(t, again)
		if found, sum := verify(t, dir); len(found) > 0 {
			t.Errorf("%v, %+v", found, sum)
		}
		for _, pattern := range []string{filepath.Join(dir, "import-*"), dir + "*"} {
			if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 && left[0] != dir {
				t.Error(left, err)
			}
		}
	}
	restored, err := samsa.Restore(ctx, "", &some, samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	names, err := restored.Topics().List(ctx)
	if err != nil || len(names) != 2 || !maps.Equal(recordsOf(t, restored, "bills"), recordsOf(t, from, "bills")) {
		t.Errorf("restored: %v, %v", names, err)
	}
	mustClose(t, restored)
}

// What is known without the snapshot is told before it is read.
func TestImportRefusesNamesEarly(t *testing.T) {
	t.Parallel()
	to := mustOpen(t, "", samsa.Options{InMemory: true})
	defer mustClose(t, to)
	mustCreate(t, to, "mine", 1)
	for _, c := range []struct {
		o    samsa.ImportOptions
		want error
	}{
		{samsa.ImportOptions{Topics: []string{"other", "mine"}}, samsa.ErrTopicExists},
		{samsa.ImportOptions{As: map[string]string{"theirs": "mine"}}, samsa.ErrTopicExists},
		{samsa.ImportOptions{As: map[string]string{"a": "x", "b": "x"}}, samsa.ErrInvalidOption},
		{samsa.ImportOptions{Topics: []string{"x", "a"}, As: map[string]string{"a": "x"}}, samsa.ErrInvalidOption},
		{samsa.ImportOptions{Topics: []string{"a"}, As: map[string]string{"b": "x"}}, samsa.ErrInvalidOption},
		{samsa.ImportOptions{As: map[string]string{"a": "no/name"}}, samsa.ErrInvalidTopic},
	} {
		unread := iotest.ErrReader(errors.New("it was read"))
		if err := to.Import(t.Context(), unread, c.o); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, err, c.want)
		}
	}
}

// A transaction that was open in the snapshot is aborted where it comes to: what was committed is read, and what comes later is not held up.
func TestImportOfOpenTransaction(t *testing.T) {
	t.Parallel()
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	at := samsa.TopicPartition{Topic: "a"}
	w := k.transactional("orders")
	w.write(at, "1", "2")
	w.end(true)
	w.write(at, "3", "4") // and stays open
	var snapshot bytes.Buffer
	if err := k.Snapshot(k.ctx, &snapshot, "a"); err != nil {
		t.Fatal(err)
	}
	to := mustOpen(t, "", samsa.Options{InMemory: true})
	defer mustClose(t, to)
	if err := to.Import(k.ctx, &snapshot, samsa.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if open, err := to.Transactions().Open(k.ctx); err != nil || len(open) > 0 {
		t.Errorf("open are %v, %v", open, err)
	}
	if _, err := to.Produce(k.ctx, samsa.Record{Topic: "a", Value: []byte("5")}); err != nil {
		t.Fatal(err)
	}
	c, err := to.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rec, err := range c.RecordsUntil(k.ctx) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Value))
	}
	if err := c.Close(); err != nil || !slices.Equal(got, []string{"1", "2", "5"}) {
		t.Errorf("read were %q, %v", got, err)
	}
	w.end(true) // where it came from, it goes on
}

// TestImportRefusesWhatIsDamaged changes a snapshot, and what is under good checksums of it. Nothing is changed then.
func TestImportRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from := exporter(t)
	var whole bytes.Buffer
	if err := from.Snapshot(ctx, &whole, "orders"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, from)
	to := mustOpen(t, "", samsa.Options{InMemory: true})
	defer mustClose(t, to)
	refused := func(what string, b []byte, o samsa.ImportOptions, want error) {
		t.Helper()
		if err := to.Import(ctx, bytes.NewReader(b), o); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if names, err := to.Topics().List(ctx); err != nil || len(names) > 0 {
			t.Errorf("%s: %v, %v", what, names, err)
		}
	}
	for at := 0; at < whole.Len(); at += 1 + whole.Len()/50 {
		b := bytes.Clone(whole.Bytes())
		b[at] ^= 1
		if err := to.Import(ctx, bytes.NewReader(b), samsa.ImportOptions{}); !errors.Is(err, samsa.ErrInvalidSnapshot) && !errors.Is(err, samsa.ErrNewerFormat) {
			t.Errorf("a bit at %d: %v", at, err)
		}
		refused("cut off", whole.Bytes()[:at], samsa.ImportOptions{}, samsa.ErrInvalidSnapshot)
	}
	refused("no such topic", whole.Bytes(), samsa.ImportOptions{Topics: []string{"nothing"}}, samsa.ErrUnknownTopic)
	refused("another name of none", whole.Bytes(), samsa.ImportOptions{As: map[string]string{"nothing": "x"}}, samsa.ErrInvalidOption)
	refused("a bad name", whole.Bytes(), samsa.ImportOptions{As: map[string]string{"orders": "a b"}}, samsa.ErrInvalidTopic)
	ended, end := context.WithCancel(ctx)
	end()
	if err := to.Import(ended, bytes.NewReader(whole.Bytes()), samsa.ImportOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	for what, hurt := range map[string]func(b *store.Batch, keys [][]byte, st store.Store){
		"a batch is missing": func(b *store.Batch, keys [][]byte, _ store.Store) { b.Delete(keys[2]) },
		"the CRC of a batch": func(b *store.Batch, keys [][]byte, st store.Store) { b.Set(keys[2], changed(valueOf(st, keys[2]), 65)) },
		"the entry":          func(b *store.Batch, _ [][]byte, _ store.Store) { b.Set(store.CatalogueKey("torders"), []byte("{}")) },
	} {
		st := store.OpenMemory()
		if err := store.ReadStream(ctx, bytes.NewReader(whole.Bytes()), st); err != nil {
			t.Fatal(err)
		}
		var keys [][]byte
		err := st.Scan(store.Range{From: []byte("b"), To: []byte("c")}, func(e store.Entry) (bool, error) {
			if k, err := store.ParseBatchKey(e.Key); err == nil && k.LastOffset > 3 {
				keys = append(keys, bytes.Clone(e.Key))
			}
			return true, nil
		})
		var b store.Batch
		hurt(&b, keys, st)
		if err = errors.Join(err, st.Commit(&b)); err != nil {
			t.Fatal(err)
		}
		snap, err := st.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := store.WriteStream(ctx, &out, snap); err != nil {
			t.Fatal(err)
		}
		refused(what, out.Bytes(), samsa.ImportOptions{}, samsa.ErrInvalidSnapshot)
	}
}

// TestImportThatIsKilled leaves nothing behind: what had come of the topic goes with a sweep.
func TestImportThatIsKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := mustOpen(t, "", samsa.Options{InMemory: true})
	parts := inside.Of(b)
	failed := errors.New("the process ends here")
	_, err := parts.Catalogue.Receive(ctx, "orders", samsa.TopicConfig{}, func(number uint32, commit func(*store.Batch) error) error {
		var batch store.Batch
		batch.Set(store.LogStartKey(store.PartitionID{Topic: number}), store.OffsetValue(7))
		if err := commit(&batch); err != nil {
			return err
		}
		if _, err := b.Sweep(ctx); err != nil {
			return err
		}
		if _, err := parts.Store.Get(store.LogStartKey(store.PartitionID{Topic: number})); err != nil {
			t.Errorf("a sweep has taken what was to come: %v", err)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if names, err := b.Topics().List(ctx); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	for _, letter := range []string{"l", "cd"} {
		err := parts.Store.Scan(store.Range{From: []byte(letter), To: []byte(letter + "\xff")}, func(e store.Entry) (bool, error) {
			t.Errorf("%q is left", e.Key)
			return true, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	mustClose(t, b)
}

// TestImportStaysInTheDirectory: what is beside it belongs to others, who need not let the process write there. What an import has left that was
// killed goes when the directory is opened.
func TestImportStaysInTheDirectory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from := exporter(t)
	var whole bytes.Buffer
	if err := from.Snapshot(ctx, &whole); err != nil {
		t.Fatal(err)
	}
	mustClose(t, from)
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	to := mustOpen(t, dir, samsa.Options{})
	looked := false
	look := readerFunc(func([]byte) (int, error) {
		looked = true
		if beside, err := os.ReadDir(parent); err != nil || len(beside) != 1 {
			t.Errorf("beside the directory: %v, %v", beside, err)
		}
		return 0, io.EOF
	})
	if err := to.Import(ctx, io.MultiReader(io.LimitReader(&whole, 100), look), samsa.ImportOptions{}); !errors.Is(err, samsa.ErrInvalidSnapshot) || !looked {
		t.Errorf("got %v", err)
	}
	mustClose(t, to)
	left := filepath.Join(dir, "import-123")
	if err := os.MkdirAll(filepath.Join(left, "data", "values"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, dir, samsa.Options{ReadOnly: true}))
	if _, err := os.Stat(left); err != nil {
		t.Errorf("who only reads: %v", err)
	}
	mustClose(t, mustOpen(t, dir, samsa.Options{}))
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
