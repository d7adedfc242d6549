package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// TestOpenNamesEveryWrongOption: one error, with a line for each mistake.
func TestOpenNamesEveryWrongOption(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	tests := []struct {
		name string
		dir  string
		opts samsa.Options
		want []string
	}{
		{"no directory", "", samsa.Options{}, []string{"dir"}},
		{"directory and memory", dir, samsa.Options{InMemory: true}, []string{"dir", dir}},
		{"memory that must exist", "", samsa.Options{InMemory: true, MustExist: true}, []string{"Options.MustExist is true"}},
		{"reserve", dir, samsa.Options{MinFreeBytes: -1}, []string{"Options.MinFreeBytes is -1"}},
		{
			"topic defaults", dir,
			samsa.Options{TopicDefaults: samsa.TopicConfig{
				Partitions: -1, Retention: -2, RetentionBytes: -2, MaxMessageBytes: 127,
			}},
			[]string{"Options.TopicDefaults", "Partitions is -1", "Retention is -2ns", "RetentionBytes is -2", "MaxMessageBytes is 127"},
		},
		{
			"several", "",
			samsa.Options{
				MinFreeBytes:  math.MinInt64,
				TopicDefaults: samsa.TopicConfig{MaxMessageBytes: 16<<20 + 1},
				Produce:       samsa.ProduceOptions{Acks: samsa.AckNone, Compression: -1},
			},
			[]string{"dir", "Options.MinFreeBytes", "MaxMessageBytes", "Options.Produce.Acks is none", "Options.Produce.Compression"},
		},
		{
			"expiries", dir,
			samsa.Options{
				Transactions:     samsa.TransactionOptions{MaxTimeout: -1, IDExpiry: 25 * 24 * time.Hour},
				ProducerIDExpiry: time.Microsecond,
			},
			[]string{
				"Options.Transactions.MaxTimeout is -1ns", "Options.Transactions.IDExpiry is 600h0m0s", "Options.ProducerIDExpiry is 1µs, want 0, or 1ms to 596h",
			},
		},
		{"acks", dir, samsa.Options{Produce: samsa.ProduceOptions{Acks: 9}}, []string{"Options.Produce.Acks is acks(9)"}},
		{"compression", dir, samsa.Options{Produce: samsa.ProduceOptions{Compression: 9}}, []string{"Options.Produce.Compression is compression(9)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := samsa.Open(tt.dir, tt.opts)
			if err == nil {
				mustClose(t, b)
			}
			checkWrong(t, err, tt.want)
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the directory was touched: %v", err)
			}
		})
	}
}

// checkWrong wants ErrInvalidOption, with all those words in its text.
func checkWrong(t *testing.T, err error, words []string) {
	t.Helper()
	if !errors.Is(err, samsa.ErrInvalidOption) {
		t.Fatalf("error is %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error does not name %s: %v", word, err)
		}
	}
}

// TestOpenProducerAndConsumerWithWrongOptions: the same for the broker's clients.
func TestOpenProducerAndConsumerWithWrongOptions(t *testing.T) {
	b := mustOpen(t, "", samsa.Options{InMemory: true})
	mustCreate(t, b, "a", 1)
	_, err := b.NewProducer(t.Context(), samsa.ProducerOptions{
		Acks: -1, Compression: 9, Linger: time.Minute + 1, BatchBytes: 16<<20 + 1, BufferedBytes: -1,
		ClientID: "\xff",
	})
	checkWrong(t, err, []string{
		"ProducerOptions.Acks", "ProducerOptions.Compression", "ProducerOptions.Linger is 1m0.000000001s",
		"ProducerOptions.BatchBytes", "ProducerOptions.BufferedBytes", "ProducerOptions.ClientID",
	})
	_, err = b.NewConsumer(t.Context(), samsa.ConsumerOptions{
		Topics: []string{"a"}, Partitions: map[string][]int32{"a": {0}, "b": nil}, Start: samsa.AtOffset(-1),
		OutOfRange: 7, MaxPollRecords: -1, MaxPollBytes: -1,
	})
	checkWrong(t, err, []string{
		`ConsumerOptions.Partitions is "a"`, `ConsumerOptions.Partitions["b"]`, "ConsumerOptions.Start is offset -1",
		"ConsumerOptions.OutOfRange", "ConsumerOptions.MaxPollRecords", "ConsumerOptions.MaxPollBytes",
	})
	_, err = b.NewConsumer(t.Context(), samsa.ConsumerOptions{})
	checkWrong(t, err, []string{"ConsumerOptions.Topics"})

	_, err = b.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"x", "a"}, Partitions: map[string][]int32{"y": {0}}})
	if !errors.Is(err, samsa.ErrUnknownTopic) || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("consumer of unknown topics: %v", err)
	}
	_, err = b.NewConsumer(t.Context(), samsa.ConsumerOptions{Partitions: map[string][]int32{"a": {0, 1, -1}}})
	if !errors.Is(err, samsa.ErrUnknownPartition) || !strings.Contains(err.Error(), "a/1") || !strings.Contains(err.Error(), "a/-1") {
		t.Errorf("consumer of unknown partitions: %v", err)
	}
}

// snapshot describes every directory under path, and every file that is not only allocated.
func snapshot(t *testing.T, path string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			all[path] = "directory"
			return nil
		}
		content, err := os.ReadFile(path)
		if len(bytes.Trim(content, "\x00")) > 0 { // else it is a spare one, which whoever has the directory may allocate now
			all[path] = fmt.Sprintf("%d bytes, sum %x", len(content), crc32.ChecksumIEEE(content))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refused opens dir, wants that error, and nothing under within to change.
func refused(t *testing.T, within, dir string, want error) {
	t.Helper()
	before := snapshot(t, within)
	b, err := samsa.Open(dir, samsa.Options{})
	if err == nil {
		mustClose(t, b)
	}
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("open: %v, want %v with the directory", err, want)
	}
	if after := snapshot(t, within); !maps.Equal(before, after) {
		t.Errorf("a failed open changed the directory\nfrom %v\nto   %v", before, after)
	}
}

// written makes a data directory with a record in it and closes it.
func written(t *testing.T, dir string) {
	t.Helper()
	b := mustOpen(t, dir, samsa.Options{})
	mustCreate(t, b, "a", 1)
	if _, err := b.Produce(patient(t), samsa.Record{Topic: "a", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	t.Run("a file", func(t *testing.T) {
		within := t.TempDir()
		dir := filepath.Join(within, "file")
		mustWrite(t, dir, "something")
		refused(t, within, dir, samsa.ErrNotDirectory)
	})
	t.Run("below a file", func(t *testing.T) {
		within := t.TempDir()
		mustWrite(t, filepath.Join(within, "file"), "something")
		refused(t, within, filepath.Join(within, "file", "data"), samsa.ErrNotDirectory)
	})
	t.Run("foreign files", func(t *testing.T) {
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "letter.txt"), "something")
		refused(t, dir, dir, samsa.ErrNotDirectory)
	})
	t.Run("foreign format", func(t *testing.T) {
		for _, text := range []string{"", "samsa", "samsa 0\n", "samsa one\n", "samsa 2", "samsa 02\n", "gregor 2\n"} {
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "FORMAT"), text)
			refused(t, dir, dir, samsa.ErrNotDirectory)
		}
	})
	t.Run("newer format", func(t *testing.T) {
		dir := t.TempDir()
		written(t, dir)
		mustWrite(t, filepath.Join(dir, "FORMAT"), "samsa 3\n")
		refused(t, dir, dir, samsa.ErrNewerFormat)
	})
	t.Run("old format", func(t *testing.T) {
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "FORMAT"), "samsa 1\n")
		refused(t, dir, dir, samsa.ErrOldFormat)
	})
}

// A store that must be there is not made, nor is the way to it, and one that is there is opened.
func TestOpenMustExist(t *testing.T) {
	within := t.TempDir()
	at := func(name string) string { return filepath.Join(within, name) }
	if err := os.Mkdir(at("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{"begun": {"FORMAT.tmp"}, "letter": {"letter.txt"}, "other": {"FORMAT"}} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			mustWrite(t, filepath.Join(at(name), file), "something")
		}
	}
	mustWrite(t, at("file"), "something")
	before := snapshot(t, within)
	for name, want := range map[string]error{
		"empty": samsa.ErrNotExist, "missing": samsa.ErrNotExist, "missing/too": samsa.ErrNotExist, "begun": samsa.ErrNotExist,
		"letter": samsa.ErrNotDirectory, "other": samsa.ErrNotDirectory, "file": samsa.ErrNotDirectory,
	} {
		b, err := samsa.Open(at(name), samsa.Options{MustExist: true})
		if err == nil {
			mustClose(t, b)
		}
		missing := errors.Is(want, samsa.ErrNotExist)
		if !errors.Is(err, want) || errors.Is(err, fs.ErrNotExist) != missing || !strings.Contains(fmt.Sprint(err), at(name)) {
			t.Errorf("%s: %v, want %v with the directory", name, err, want)
		}
		if errors.Is(err, samsa.ErrUnknown) != missing || samsa.Retriable(err) {
			t.Errorf("%s: the family of %v", name, err)
		}
	}
	if after := snapshot(t, within); !maps.Equal(before, after) {
		t.Errorf("it has changed\nfrom %v\nto   %v", before, after)
	}
	written(t, at("data"))
	b := mustOpen(t, at("data"), samsa.Options{MustExist: true})
	if got := ends(t, b)[somePartition]; got != 1 {
		t.Errorf("the log ends at %d", got)
	}
	mustClose(t, b)
}

func TestOpenLockedHere(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	mustCreate(t, b, "a", 1)
	refused(t, dir, dir, samsa.ErrLocked)
	if _, err := b.Produce(patient(t), samsa.Record{Topic: "a"}); err != nil {
		t.Errorf("produce after somebody else was refused: %v", err)
	}
	mustClose(t, b)
	mustClose(t, mustOpen(t, dir, samsa.Options{}))
}

func TestOpenLockedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, in, out, stderr := startChild(t, "hold", dir)
	if _, err := out.ReadString('\n'); err != nil {
		t.Errorf("the child: %v\n%s", err, stderr)
	}
	refused(t, dir, dir, samsa.ErrLocked)
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatalf("the child: %v\n%s", err, stderr)
	}
	mustClose(t, mustOpen(t, dir, samsa.Options{}))
}

// holdUntilTold is the child: it has a directory open until its stdin ends.
func holdUntilTold(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, b.Close())
}

// TestOpenReadOnly takes the right to write away. For the superuser, who has it
// anyway, there is TestOpenReadOnlyFileSystem.
func TestOpenReadOnly(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("permissions of directories do not matter here")
	}
	dir := filepath.Join(t.TempDir(), "data")
	written(t, dir)
	protect := func(mode fs.FileMode) {
		for _, path := range []string{dir, filepath.Join(dir, "index"), filepath.Join(dir, "values")} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	protect(0o500)
	defer protect(0o700) // so that it can be removed
	refused(t, dir, dir, samsa.ErrReadOnly)
	refused(t, dir, filepath.Join(dir, "below"), samsa.ErrReadOnly)
}

// clients are a broker's producer and consumer, and one way to call each method that
// can fail.
type clients struct {
	b *samsa.Broker
	p *samsa.Producer
	c *samsa.Consumer
}

func newClients(t *testing.T, b *samsa.Broker) clients {
	t.Helper()
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, p); mustClose(t, c) })
	return clients{b, p, c}
}

var (
	someRecord    = samsa.Record{Topic: "a", Value: []byte("not to be stored")}
	somePartition = samsa.TopicPartition{Topic: "a"}
)

type call func(ctx context.Context) error

func (c clients) ofBroker() map[string]call {
	topics := c.b.Topics()
	return map[string]call{
		"Produce":         func(ctx context.Context) error { _, err := c.b.Produce(ctx, someRecord); return err },
		"Produce nothing": func(ctx context.Context) error { _, err := c.b.Produce(ctx); return err },
		"Sync":            c.b.Sync,
		"Stats":           func(ctx context.Context) error { _, err := c.b.Stats(ctx); return err },
		"NewProducer": func(ctx context.Context) error {
			_, err := c.b.NewProducer(ctx, samsa.ProducerOptions{})
			return err
		},
		"Sweep":         func(ctx context.Context) error { _, err := c.b.Sweep(ctx); return err },
		"ListOffsets":   func(ctx context.Context) error { _, err := c.b.ListOffsets(ctx, "a", samsa.Latest()); return err },
		"Create":        func(ctx context.Context) error { return topics.Create(ctx, "new", samsa.TopicConfig{}) },
		"Delete":        func(ctx context.Context) error { return topics.Delete(ctx, "a") },
		"List":          func(ctx context.Context) error { _, err := topics.List(ctx); return err },
		"Describe":      func(ctx context.Context) error { _, err := topics.Describe(ctx, "a"); return err },
		"AddPartitions": func(ctx context.Context) error { return topics.AddPartitions(ctx, "a", 7) },
		"Alter": func(ctx context.Context) error {
			return topics.Alter(ctx, "a", func(c *samsa.TopicConfig) error { c.Partitions++; return nil })
		},
	}
}

func (c clients) ofProducer() map[string]call {
	return map[string]call{
		"Producer.Produce": func(ctx context.Context) (err error) {
			kept := make(chan error, 1)
			c.p.Produce(ctx, someRecord, func(_ samsa.Record, err error) { kept <- err })
			return <-kept
		},
		"ProduceSync": func(ctx context.Context) error { _, err := c.p.ProduceSync(ctx, someRecord, someRecord); return err },
	}
}

func (c clients) ofConsumer() map[string]call {
	return map[string]call{
		"Poll":        func(ctx context.Context) error { _, err := c.c.Poll(ctx); return err },
		"PollRecords": func(ctx context.Context) error { _, err := c.c.PollRecords(ctx, 1); return err },
		"Collect":     func(ctx context.Context) error { _, err := c.c.Collect(ctx, 1, time.Second); return err },
		"TotalLag":    func(ctx context.Context) error { _, err := c.c.TotalLag(ctx); return err },
		"Records": func(ctx context.Context) (last error) {
			for _, err := range c.c.Records(ctx) {
				last = err
			}
			return last
		},
		"Seek":       func(ctx context.Context) error { return c.c.Seek(ctx, somePartition, 0) },
		"SeekTime":   func(ctx context.Context) error { return c.c.SeekTime(ctx, time.Now(), somePartition) },
		"SeekTo":     func(ctx context.Context) error { return c.c.SeekTo(ctx, samsa.Latest(), somePartition) },
		"SeekTo all": func(ctx context.Context) error { return c.c.SeekTo(ctx, samsa.Latest()) },
	}
}

// ofConsumerWithoutContext are those that do not wait for anything.
func (c clients) ofConsumerWithoutContext() map[string]call {
	wrap := func(f func() error) call { return func(context.Context) error { return f() } }
	return map[string]call{
		"Position":   wrap(func() error { _, err := c.c.Position(somePartition); return err }),
		"Lag":        wrap(func() error { _, err := c.c.Lag(somePartition); return err }),
		"Pause":      wrap(func() error { return c.c.Pause(somePartition) }),
		"Resume":     wrap(func() error { return c.c.Resume(somePartition) }),
		"Pause all":  wrap(func() error { return c.c.Pause() }),
		"Resume all": wrap(func() error { return c.c.Resume() }),
	}
}

func allGive(t *testing.T, ctx context.Context, want error, methods ...map[string]call) {
	t.Helper()
	for _, some := range methods {
		for name, method := range some {
			if err := method(ctx); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
}

// bothWithRecord is bothStores with a topic "a" that has a record.
func bothWithRecord(t *testing.T, test func(t *testing.T, b *samsa.Broker)) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		k.create("a", 1)
		k.write("a", "")
		test(t, k.Broker)
	})
}

func TestOpenBrokerThenClose(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		c := newClients(t, b)
		sleeper := newClients(t, b)
		if _, err := sleeper.c.Poll(patient(t)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := sleeper.c.Poll(patient(t)); !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("poll while the broker was closed: %v", err)
			}
		})
		for range 3 { // all of them wait for the end
			wg.Go(func() { mustClose(t, b) })
		}
		wg.Wait()
		mustClose(t, b)
		allGive(t, context.Background(), samsa.ErrClosed, c.ofBroker(), c.ofProducer(), c.ofConsumer(), c.ofConsumerWithoutContext())
		if _, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"a"}}); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("new consumer: %v", err)
		}
	})
}

func TestOpenClientsThenCloseThem(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		c := newClients(t, b)
		for range 2 {
			mustClose(t, c.p)
			mustClose(t, c.c)
		}
		allGive(t, context.Background(), samsa.ErrClosed, c.ofProducer(), c.ofConsumer(), c.ofConsumerWithoutContext())
		if end := ends(t, b)[somePartition]; end != 1 {
			t.Errorf("the log ends at %d, want 1", end)
		}
	})
}

func TestOpenBrokerAndCancelledContext(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		c := newClients(t, b)
		before, err := b.Topics().Describe(patient(t), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		flush := map[string]call{"Flush": c.p.Flush}
		allGive(t, ctx, context.Canceled, c.ofBroker(), c.ofProducer(), flush, c.ofConsumer())
		after, err := b.Topics().Describe(patient(t), "a")
		if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("calls with a cancelled context changed the topic from\n%v to\n%v, %v", before, after, err)
		}
		if names, err := b.Topics().List(patient(t)); err != nil || len(names) != 1 {
			t.Errorf("topics are %q, %v", names, err)
		}
		if got, err := c.c.Poll(patient(t)); err != nil || len(got) != 1 {
			t.Errorf("a poll that was cancelled took records: %v, %v", got, err)
		}
	})
}

// TestOpenBrokerAndContextThatEnds: when the context ends during Produce the records
// are stored and Produce says so, or they are not and it says that.
func TestOpenBrokerAndContextThatEnds(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		want := ends(t, b)[somePartition]
		for range 300 {
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(cancel)
			got, err := b.Produce(ctx, someRecord, someRecord)
			wg.Wait()
			switch {
			case err == nil && got[0].Offset == want:
				want += 2
			case err == nil:
				t.Fatalf("produced at offset %d, want %d", got[0].Offset, want)
			case !errors.Is(err, context.Canceled):
				t.Fatalf("produce: %v", err)
			}
			if end := ends(t, b)[somePartition]; end != want {
				t.Fatalf("after %v the log ends at %d, want %d", err, end, want)
			}
		}
	})
}

// TestOpenWithReserveBeyondTheDisk: a reserve that no disk has makes every append
// ErrDiskFull, the first one too, and harms nothing else.
func TestOpenWithReserveBeyondTheDisk(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	for range 2 {
		b := mustOpen(t, dir, samsa.Options{MinFreeBytes: math.MaxInt64})
		if _, err := b.Produce(patient(t), someRecord); !errors.Is(err, samsa.ErrDiskFull) {
			t.Errorf("produce: %v", err)
		}
		if end := ends(t, b)[somePartition]; end != 1 {
			t.Errorf("the log ends at %d, want 1", end)
		}
		c := newClients(t, b)
		if got, err := c.c.Poll(patient(t)); err != nil || len(got) != 1 {
			t.Errorf("poll: %v, %v", got, err)
		}
		if _, err := c.p.ProduceSync(patient(t), someRecord); !errors.Is(err, samsa.ErrDiskFull) {
			t.Errorf("async produce: %v", err)
		}
		mustClose(t, b)
	}
	b := mustOpen(t, dir, samsa.Options{})
	if _, err := b.Produce(patient(t), someRecord); err != nil {
		t.Errorf("produce with the usual reserve: %v", err)
	}
}
