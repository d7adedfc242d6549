package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// everything describes all that is under path: names, modes, times and content.
func everything(t *testing.T, path string) map[string]string {
	t.Helper()
	all, err := listing(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// copyStill copies a directory that is in use, as it is when nothing happens to it for a while: what a kill would leave.
func copyStill(t *testing.T, from string) string {
	t.Helper()
	for ctx := patient(t); ; {
		to := t.TempDir()
		before, err := listing(from)
		if err == nil {
			err = os.CopyFS(to, os.DirFS(from))
		}
		after, err2 := listing(from)
		if err = errors.Join(err, err2); err == nil && maps.Equal(before, after) {
			return to
		}
		if ctx.Err() != nil {
			t.Fatalf("it does not come to rest: %v", err)
		}
	}
}

func listing(path string) (map[string]string, error) {
	all := make(map[string]string)
	return all, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content []byte
		if !entry.IsDir() {
			content, err = os.ReadFile(path)
		}
		all[path] = fmt.Sprintf("%s, %s, %d bytes, sum %x", info.Mode(), info.ModTime().Format(time.RFC3339Nano), len(content), crc32.ChecksumIEEE(content))
		return err
	})
}

// untouched wants path to be as it was by the end of do.
func untouched(t *testing.T, path string, do func()) {
	t.Helper()
	before := everything(t, path)
	do()
	after := everything(t, path)
	for name := range maps.Keys(before) {
		if before[name] != after[name] {
			t.Errorf("%s was %q and is %q", name, before[name], after[name])
		}
	}
	if len(after) != len(before) {
		t.Errorf("there were %q, there are %q", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
}

// holdings is all that a broker has for those who read: records and where they begin, keys, offsets, or why not.
func holdings(t *testing.T, b *samsa.Broker) string {
	t.Helper()
	var all strings.Builder
	ctx := patient(t)
	names, err := b.Topics().List(ctx)
	fmt.Fprintln(&all, names, err)
	for _, name := range names {
		info, err := b.Topics().Describe(ctx, name)
		fmt.Fprintln(&all, info, err)
		if err != nil {
			continue
		}
		from, to := make(map[samsa.TopicPartition]int64), make(map[samsa.TopicPartition]int64)
		for _, p := range info.Partitions {
			tp := samsa.TopicPartition{Topic: name, Partition: p.Partition}
			from[tp], to[tp] = p.LogStart, p.HighWatermark
		}
		var records []string
		readRange(t, b, from, to, func(r samsa.Record, err error) {
			records = append(records, fmt.Sprintf("%d/%06d %x %v", r.Partition, r.Offset, crc32.ChecksumIEEE(r.Value), err))
		})
		slices.Sort(records)
		fmt.Fprintln(&all, records)
	}
	err = b.View(ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			fmt.Fprintf(&all, "%q=%x %v\n", kv.Key, crc32.ChecksumIEEE(kv.Value), err)
		}
		return nil
	})
	groups, err2 := b.Groups().List(ctx)
	fmt.Fprintln(&all, err, groups, err2)
	for _, name := range groups {
		offsets, err := b.Groups().Committed(ctx, name)
		fmt.Fprintln(&all, name, offsets, err)
	}
	return all.String()
}

// read opens dir read only and returns what it holds, or why it cannot be opened, without the directory in it.
func read(t *testing.T, dir string) (got string) {
	t.Helper()
	untouched(t, dir, func() { got = openAndHold(t, dir, samsa.Options{ReadOnly: true}) })
	return got
}

func openAndHold(t *testing.T, dir string, opts samsa.Options) (got string) {
	t.Helper()
	b, err := samsa.Open(dir, opts)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir, "dir")
	}
	got = holdings(t, b)
	mustClose(t, b)
	return got
}

// fillUp puts something of everything into a broker.
func fillUp(t *testing.T, b *samsa.Broker) {
	t.Helper()
	ctx := patient(t)
	for _, name := range []string{"a", "b", "gone"} {
		if _, err := b.Topics().Ensure(ctx, name, samsa.TopicConfig{Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		_, err := b.Produce(ctx, samsa.Record{Topic: "a", Key: fmt.Append(nil, i), Value: noise(rand.IntN(3000))},
			samsa.Record{Topic: "b", Value: noise(20)}, samsa.Record{Topic: "gone", Value: noise(20)})
		if err != nil {
			t.Fatal(err)
		}
	}
	tp := samsa.TopicPartition{Topic: "a"}
	err := errors.Join(
		b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Latest()), tp),
		b.Topics().DeleteRecords(ctx, "a", map[int32]int64{0: 3}),
		b.Topics().Delete(ctx, "gone"),
		b.Update(ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte("small"), noise(10)), tx.Set([]byte("large"), noise(70_000)), tx.Produce(samsa.Record{Topic: "b"}))
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// A directory that is read only is as it was, and what is read in it is what its owner would find: after a clean end,
// after the death of the process, on top of a checkpoint and without one.
func TestReadOnlyChangesNothing(t *testing.T) {
	for name, sessions := range map[string][]bool{
		"new": nil, "clean": {true}, "killed": {false}, "clean, then killed": {true, false}, "often": {false, false, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, mustOpen(t, dir, samsa.Options{}))
			for _, clean := range sessions {
				b := mustOpen(t, dir, samsa.Options{})
				fillUp(t, b)
				if !clean {
					dir = copyStill(t, dir)
				}
				mustClose(t, b)
			}
			got := read(t, dir)
			if again := read(t, dir); again != got {
				t.Errorf("once\n%s\nand then\n%s", got, again)
			}
			if want := openAndHold(t, dir, samsa.Options{}); got != want {
				t.Errorf("read only\n%s\nand then\n%s", got, want)
			}
		})
	}
}

// What has begun and is no store yet, as a kill leaves it, is an empty one.
func TestReadOnlyOfWhatHasJustBegun(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"the format alone": func(string) error { return nil },
		"and directories": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "index"), 0o700), os.Mkdir(filepath.Join(dir, "values"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "FORMAT"), "samsa 2\n")
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			if got, want := read(t, dir), openAndHold(t, dir, samsa.Options{}); got != want {
				t.Errorf("read only\n%s\nand then\n%s", got, want)
			}
		})
	}
}

// Where nothing is, nothing is made, and what is not ours is refused as ever.
func TestReadOnlyRefuses(t *testing.T) {
	within := t.TempDir()
	at := func(name string) string { return filepath.Join(within, name) }
	for _, name := range []string{"empty", "letter", "newer"} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, at("letter/letter.txt"), "something")
	mustWrite(t, at("newer/FORMAT"), "samsa 3\n")
	mustWrite(t, at("file"), "something")
	untouched(t, within, func() {
		for name, want := range map[string]error{
			"empty": samsa.ErrNotExist, "missing": samsa.ErrNotExist, "letter": samsa.ErrNotDirectory, "file": samsa.ErrNotDirectory,
			"newer": samsa.ErrNewerFormat,
		} {
			if _, err := samsa.Open(at(name), samsa.Options{ReadOnly: true}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	})
}

// Many may read a directory at once. They and an owner exclude each other.
func TestReadOnlyLocks(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	readers := []*samsa.Broker{mustOpen(t, dir, samsa.Options{ReadOnly: true}), mustOpen(t, dir, samsa.Options{ReadOnly: true})}
	for _, b := range readers {
		if _, err := samsa.Open(dir, samsa.Options{}); !errors.Is(err, samsa.ErrLocked) {
			t.Errorf("an owner beside readers: %v", err)
		}
		mustClose(t, b)
	}
	owner := mustOpen(t, dir, samsa.Options{})
	if _, err := samsa.Open(dir, samsa.Options{ReadOnly: true}); !errors.Is(err, samsa.ErrLocked) || !samsa.Retriable(err) {
		t.Errorf("a reader beside the owner: %v", err)
	}
	mustClose(t, owner)
	mustClose(t, mustOpen(t, dir, samsa.Options{ReadOnly: true}))
}

// What would write is ErrReadOnly, and says why; nothing else is.
func TestReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	owner := mustOpen(t, dir, samsa.Options{})
	fillUp(t, owner)
	mustClose(t, owner)
	untouched(t, dir, func() {
		b := mustOpen(t, dir, samsa.Options{ReadOnly: true, AutoCreateTopics: true})
		defer mustClose(t, b)
		ctx, topics, groups := patient(t), b.Topics(), b.Groups()
		before := holdings(t, b)
		record := samsa.Record{Topic: "a", Value: []byte("v")}
		for name, err := range map[string]error{
			"Produce":             second(b.Produce(ctx, record)),
			"ProduceWith":         second(b.ProduceWith(ctx, samsa.ProduceOptions{Acks: samsa.AckSynced}, record)),
			"Produce unknown":     second(b.Produce(ctx, samsa.Record{Topic: "new"})),
			"NewProducer":         second(b.NewProducer(ctx, samsa.ProducerOptions{})),
			"NewProducer ID":      second(b.NewProducer(ctx, samsa.ProducerOptions{ID: "x"})),
			"consumer of a group": second(b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})),
			"Update":              b.Update(ctx, func(*samsa.Tx) error { t.Error("Update has called"); return nil }),
			"Sweep":               second(b.Sweep(ctx)),
			"Create":              topics.Create(ctx, "new", samsa.TopicConfig{}),
			"Create again":        topics.Create(ctx, "a", samsa.TopicConfig{}),
			"Ensure":              second(topics.Ensure(ctx, "new", samsa.TopicConfig{})),
			"Delete":              topics.Delete(ctx, "a"),
			"AddPartitions":       topics.AddPartitions(ctx, "a", 5),
			"Alter":               topics.Alter(ctx, "a", func(*samsa.TopicConfig) error { return nil }),
			"DeleteRecords":       topics.DeleteRecords(ctx, "a", map[int32]int64{0: -1}),
			"Groups.Delete":       groups.Delete(ctx, "g"),
			"DeleteOffsets":       groups.DeleteOffsets(ctx, "g", samsa.TopicPartition{Topic: "a"}),
			"AlterOffsets":        groups.AlterOffsets(ctx, "g", samsa.Shift(1)),
		} {
			if !errors.Is(err, samsa.ErrReadOnly) || samsa.Retriable(err) || !strings.Contains(fmt.Sprint(err), "Options.ReadOnly") {
				t.Errorf("%s: %v", name, err)
			} else {
				checkError(t, name, err)
			}
		}
		var snapshot bytes.Buffer
		for name, err := range map[string]error{
			"Ensure":         second(topics.Ensure(ctx, "a", samsa.TopicConfig{Partitions: 2})),
			"Sync":           b.Sync(ctx),
			"Stats":          second(b.Stats(ctx)),
			"RetentionStats": second(b.RetentionStats(ctx)),
			"Describe":       second(groups.Describe(ctx, "g")),
			"ListOffsets":    second(b.ListOffsets(ctx, "a", samsa.AtTime(time.Unix(1, 0)))),
			"Snapshot":       b.Snapshot(ctx, &snapshot),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"new"}}); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("consumer of an unknown topic: %v", err)
		}
		if after := holdings(t, b); after != before {
			t.Errorf("it held\n%s\nand holds\n%s", before, after)
		}
		restored, err := samsa.Restore(ctx, "", &snapshot, samsa.Options{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := holdings(t, restored), before; got != want {
			t.Errorf("the snapshot holds\n%s\nwant\n%s", got, want)
		}
		mustClose(t, restored)
	})
}

// Time stands still: records and offsets that are due to go, and would have gone from a broker that writes, are there.
func TestReadOnlyKeepsWhatIsDue(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		for _, readOnly := range []bool{true, false} {
			owner := mustOpen(t, dir, samsa.Options{})
			ctx := context.Background()
			_, err := owner.Topics().Ensure(ctx, "old", samsa.TopicConfig{Retention: time.Hour})
			tp, record := samsa.TopicPartition{Topic: "old"}, samsa.Record{Topic: "old"}
			err = errors.Join(err, second(owner.Produce(ctx, record, record)), owner.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Latest()), tp))
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, owner)
			b := mustOpen(t, dir, samsa.Options{ReadOnly: readOnly, Logger: zap.New(core)})
			time.Sleep(9 * 24 * time.Hour)
			synctest.Wait()
			info, err := b.Topics().Describe(ctx, "old")
			offsets, err2 := b.Groups().Committed(ctx, "g", tp)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			if kept, offset := info.Partitions[0].LogStart == 0, offsets[tp].Offset == 2; kept != readOnly || offset != readOnly {
				t.Errorf("read only %t: %+v, %v", readOnly, info, offsets)
			}
			mustClose(t, b)
		}
		if logs.Len() > 0 {
			t.Errorf("the log has %q", lines(logs, "error"))
		}
	})
}

// A process that commits transactions is killed. What is read then is what its heir finds.
func TestCrashReadOnly(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	createPlanTopics(t, b)
	mustClose(t, b)
	for range kills(t, 2) {
		killWhen(t, "plans", after(rand.IntN(120)), dir, fmt.Sprint(seed))
		n := 0
		untouched(t, dir, func() {
			b := mustOpen(t, dir, samsa.Options{ReadOnly: true})
			n = checkPlans(t, b, seed)
			mustClose(t, b)
		})
		b := mustOpen(t, dir, samsa.Options{})
		if again := checkPlans(t, b, seed); again != n {
			t.Errorf("%d transactions were read, %d are there", n, again)
		}
		mustClose(t, b)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// Whatever file is damaged: who reads gets what an owner of the same bytes gets, error or data, and changes nothing.
func TestReadOnlyOfDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	fillUp(t, b)
	mustClose(t, b)
	b = mustOpen(t, dir, samsa.Options{})
	fillUp(t, b)
	killed := copyStill(t, dir)
	mustClose(t, b)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, from := range []string{dir, killed} {
		for path := range snapshot(t, from) {
			whole, err := os.ReadFile(path)
			if err != nil {
				continue // a directory
			}
			used := len(bytes.TrimRight(whole, "\x00"))
			for range long(t, "READ_ONLY_DAMAGE", 1) {
				damaged, owned := t.TempDir(), t.TempDir()
				copyDir(t, damaged, from)
				at := rng.IntN(used)
				data := harms[rng.IntN(len(harms))].do(bytes.Clone(whole), at, min(used, at+1+rng.IntN(30)))
				name, err := filepath.Rel(from, path)
				if err == nil {
					err = os.WriteFile(filepath.Join(damaged, name), data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				copyDir(t, owned, damaged)
				if got, want := read(t, damaged), openAndHold(t, owned, samsa.Options{}); got != want {
					t.Errorf("%s damaged from %d on: read only\n%s\nowned\n%s", name, at, got, want)
				}
			}
		}
	}
}

// An index that was made anew has batches that were gone. An open for reading finds that too, in memory.
func TestReadOnlyOfRebuiltIndex(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	fillUp(t, b)
	want := holdings(t, b)
	mustClose(t, b)
	st, err := store.Open(dir, store.Options{Rebuild: true})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, st)
	if got := read(t, dir); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The id of the data is that which the owner has.
func TestReadOnlyClusterID(t *testing.T) {
	dir := t.TempDir()
	owner := mustOpen(t, dir, samsa.Options{})
	id := owner.ClusterID()
	mustClose(t, owner)
	b := mustOpen(t, dir, samsa.Options{ReadOnly: true})
	defer mustClose(t, b)
	if got := b.ClusterID(); got != id {
		t.Errorf("%s, the owner had %s", got, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Produce(ctx, someRecord); !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
}
