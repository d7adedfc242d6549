package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/samsatest"
)

// state is everything that a snapshot has to carry, as text.
func state(t *testing.T, b *samsa.Broker) string {
	t.Helper()
	ctx := context.Background()
	var s strings.Builder
	names, err := b.Topics().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := b.Topics().Describe(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%+v\n", info)
		for _, r := range samsatest.Drain(t, b, name) {
			fmt.Fprintf(&s, "%s/%d@%d %d %s %q\n", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), samsatest.Text(r), r.Headers)
		}
	}
	groups, err := b.Groups().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range groups {
		offsets, err := b.Groups().Committed(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&s, name, offsets)
	}
	err = b.View(ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, "%s=%s\n", kv.Key, kv.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// furnish gives b a bit of everything.
func furnish(t *testing.T, b *samsa.Broker) {
	t.Helper()
	ctx := context.Background()
	for name, config := range map[string]samsa.TopicConfig{
		"orders": {Partitions: 3}, "prices": {CleanupPolicy: samsa.CleanupCompact}, "gone": {},
	} {
		if err := b.Topics().Create(ctx, name, config); err != nil {
			t.Fatal(err)
		}
	}
	samsatest.Produce(t, b, "gone", "data of a deleted topic")
	samsatest.Produce(t, b, "orders", "1=a", "2=b", "3=c", "4=d")
	samsatest.Produce(t, b, "prices", "tea=1", "tea=2", "milk=<nil>")
	samsatest.Produce(t, b, "prices", "tea=3")
	if _, err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Topics().DeleteRecords(ctx, "orders", map[int32]int64{0: 1, 1: 0, 2: 0}); err != nil {
		t.Fatal(err)
	}
	if err := b.Topics().Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	tp := samsa.TopicPartition{Topic: "prices"}
	if err := b.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.AtOffset(2)), tp); err != nil {
		t.Fatal(err)
	}
	err := b.Update(ctx, func(tx *samsa.Tx) error {
		return errors.Join(tx.Set([]byte("balance/alice"), []byte("10")), tx.Set([]byte("empty"), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func snapshotOf(t *testing.T, b *samsa.Broker) []byte {
	t.Helper()
	var w bytes.Buffer
	if err := b.Snapshot(context.Background(), &w); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func restore(t *testing.T, dir string, snapshot []byte) *samsa.Broker {
	t.Helper()
	b, err := samsa.Restore(context.Background(), dir, bytes.NewReader(snapshot), samsa.Options{InMemory: dir == ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// A snapshot goes from any store into any store, and from there on.
func TestSnapshotsTravel(t *testing.T) {
	first := samsatest.New(t)
	furnish(t, first)
	want := state(t, first)
	onDisk := restore(t, filepath.Join(t.TempDir(), "data"), snapshotOf(t, first))
	otherDisk := restore(t, filepath.Join(t.TempDir(), "data"), snapshotOf(t, onDisk))
	inMemory := restore(t, "", snapshotOf(t, otherDisk))
	for name, b := range map[string]*samsa.Broker{"disk": onDisk, "other disk": otherDisk, "memory": inMemory} {
		if got := state(t, b); got != want {
			t.Errorf("%s holds\n%s\nwant\n%s", name, got, want)
		}
		samsatest.Produce(t, b, "orders", "5=e") // and it lives
	}
	if got := state(t, first); got != want {
		t.Error("the first broker has changed")
	}
}

// The snapshot in testdata was written by version 1, and is to be read for ever. In the bubble it is
// long before its records were written: a sweep removes none of them.
func TestGoldenSnapshot(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "snapshot-v1"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := restore(t, "", old)
		time.Sleep(time.Hour) // in which the broker sweeps
		samsatest.SameRecords(t, b, "orders", []string{"2=b", "3=c", "4=d"})
		samsatest.Equal(t, b, "prices", []string{"tea=2", "milk=<nil>", "tea=3"})
		got := state(t, b)
		for _, want := range []string{"billing map[prices/0:{2 }]", "balance/alice=10", "empty=\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("there is no %q in\n%s", want, got)
			}
		}
		if again := state(t, restore(t, "", snapshotOf(t, b))); again != got {
			t.Error("written again it is something else")
		}
	})
}

// A snapshot of a broker under load holds whole transactions, and a prefix of them.
func TestSnapshotOfABusyBroker(t *testing.T) {
	for _, kind := range []string{"memory", "disk"} {
		t.Run(kind, func(t *testing.T) {
			opts := []samsatest.Option{samsatest.Topic("t", 1), samsatest.Topic("u", 2)}
			if kind == "disk" {
				opts = append(opts, samsatest.Dir(filepath.Join(t.TempDir(), "data")))
			}
			b := samsatest.New(t, opts...)
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				for n := 1; ; n++ {
					err := b.Update(ctx, func(tx *samsa.Tx) error {
						text := fmt.Sprintf("%d=%d", n, n)
						return errors.Join(tx.Produce(samsatest.Record("t", text), samsatest.Record("u", text)), tx.Set([]byte("n"), fmt.Append(nil, n)))
					})
					if err != nil {
						done <- err
						return
					}
				}
			}()
			for i := range 5 {
				samsatest.WaitRecords(t, b, "t", 20*i+1)
				left := restore(t, "", snapshotOf(t, b))
				texts := samsatest.Texts(samsatest.Drain(t, left, "t"))
				if n := len(texts); n < 20*i+1 || !strings.HasSuffix(state(t, left), fmt.Sprintf("\nn=%d\n", n)) {
					t.Errorf("%d records, and the key says otherwise", n)
				}
				samsatest.SameRecords(t, left, "u", texts)
			}
			stop()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	b := samsatest.New(t)
	furnish(t, b)
	whole := snapshotOf(t, b)
	newer := slices.Clone(whole)
	newer[11]++
	parent := t.TempDir()
	full := filepath.Join(parent, "full")
	if err := os.MkdirAll(filepath.Join(full, "something"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dir   string
		bytes []byte
		opts  samsa.Options
		want  error
	}{
		"cut off, into memory": {"", whole[:len(whole)-1], samsa.Options{InMemory: true}, samsa.ErrInvalidSnapshot},
		"cut off, onto disk":   {"new", whole[:len(whole)-1], samsa.Options{}, samsa.ErrInvalidSnapshot},
		"something else":       {"new", []byte("<html> not found"), samsa.Options{}, samsa.ErrInvalidSnapshot},
		"nothing":              {"", nil, samsa.Options{InMemory: true}, samsa.ErrInvalidSnapshot},
		"newer":                {"new", newer, samsa.Options{}, samsa.ErrNewerFormat},
		"no directory":         {"", whole, samsa.Options{}, samsa.ErrInvalidOption},
		"a full directory":     {"full", whole, samsa.Options{}, fs.ErrExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tc.dir
			if dir != "" {
				dir = filepath.Join(parent, dir)
			}
			got, err := samsa.Restore(context.Background(), dir, bytes.NewReader(tc.bytes), tc.opts)
			if !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if got != nil {
				t.Error("there is a broker")
			}
			if entries, _ := os.ReadDir(parent); len(entries) != 1 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}

// A snapshot of a broker with something damaged is what that broker was: Restore takes what Open does.
func TestRestoreOfWhatIsDamaged(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("other", 1))
	whole := snapshotOf(t, b)
	entry := []byte(`"version":1,"number":1`)
	if bytes.Count(whole, entry) != 1 {
		t.Fatal("the test does not know the catalogue any more")
	}
	damaged := reseal(bytes.Replace(whole, entry, []byte(`"version":9,"number":1`), 1))
	for dir, opts := range map[string]samsa.Options{"": {InMemory: true}, filepath.Join(t.TempDir(), "data"): {}} {
		b, err := samsa.Restore(context.Background(), dir, bytes.NewReader(damaged), opts)
		if err != nil {
			t.Fatal(err)
		}
		_, bad := b.Topics().Describe(context.Background(), "orders")
		_, good := b.Topics().Describe(context.Background(), "other")
		if !errors.Is(bad, samsa.ErrCorruptValue) || good != nil {
			t.Errorf("%q: %v, the other: %v", dir, bad, good)
		}
		mustClose(t, b)
	}
}

// reseal makes the checksum of the only block of a small snapshot right again.
func reseal(snapshot []byte) []byte {
	const head, length = 12, 4
	n := int(binary.BigEndian.Uint32(snapshot[head:]))
	block := snapshot[head+length+8:][:n]
	binary.BigEndian.PutUint64(snapshot[head+length:], xxhash.Sum64(block))
	return snapshot
}

// failingWriter takes so many bytes.
type failingWriter struct{ left int }

var errWriter = errors.New("the pipe is broken")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errWriter
	}
	return len(b), nil
}

func TestSnapshotFails(t *testing.T) {
	plain := samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}}
	b := samsatest.New(t, samsatest.Options(plain), samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", strings.Repeat("x", 700<<10))
	if err := b.Snapshot(context.Background(), &failingWriter{left: 300 << 10}); !errors.Is(err, errWriter) {
		t.Errorf("the writer fails: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Snapshot(ended, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Snapshot(context.Background(), &bytes.Buffer{}); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A link stays a link, and the data goes where it leads.
func TestRestoreThroughALink(t *testing.T) {
	var snapshot bytes.Buffer
	if err := samsatest.New(t, samsatest.Topic("t", 1)).Snapshot(patient(t), &snapshot); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	disk, link := filepath.Join(root, "disk"), filepath.Join(root, "link")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(disk, link); err != nil {
		t.Skipf("this system makes no links: %v", err)
	}
	b, err := samsa.Restore(patient(t), link, &snapshot, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	if to, err := os.Readlink(link); err != nil || to != disk {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	mustClose(t, mustOpen(t, disk, samsa.Options{}))
}

// Clients that were given an id after the snapshot was made live on. No other gets theirs, wherever and how often it is
// restored.
func TestRestoredProducerIDs(t *testing.T) {
	given := make(map[int64]string)
	take := func(who string, b *samsa.Broker) {
		for range 2500 {
			id, err := inside.Of(b).Producers.NextID(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if given[id] != "" {
				t.Fatalf("%s gives %d, which %s has given", who, id, given[id])
			}
			given[id] = who
		}
	}
	b := inMemory(t, samsa.Options{}).Broker
	take("the broker", b)
	snapshot := snapshotOf(t, b)
	take("the broker", b)
	dir := filepath.Join(t.TempDir(), "restored")
	take("who is restored", restore(t, "", snapshot))
	again := restore(t, dir, snapshot)
	take("who is restored again", again)
	mustClose(t, again)
	take("who is opened", mustOpen(t, dir, samsa.Options{}))
}
