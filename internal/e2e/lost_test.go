package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// TestRelativeDirectory: a program that goes to another directory takes no broker with it,
// neither an open one nor one that it restores.
func TestRelativeDirectory(t *testing.T) {
	home, elsewhere := t.TempDir(), t.TempDir()
	t.Chdir(home)
	b := mustOpen(t, "data", samsa.Options{})
	mustCreate(t, b, "a", 1)
	t.Chdir(elsewhere)
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{Compression: samsa.CompressionNone})
	if err != nil {
		t.Fatal(err)
	}
	const records = 100
	for range records { // more than a file of the store holds
		p.Produce(patient(t), samsa.Record{Topic: "a", Value: make([]byte, 256<<10)}, func(_ samsa.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	mustClose(t, p)
	var saved bytes.Buffer
	if err := b.Snapshot(patient(t), &saved); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)

	t.Chdir(home)
	r := reader{&saved, func() { t.Chdir(elsewhere) }}
	restored, err := samsa.Restore(patient(t), "restored", &r, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, restored)
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("where the program went: %v, %v", left, err)
	}
	for _, name := range []string{"data", "restored"} {
		b := mustOpen(t, filepath.Join(home, name), samsa.Options{})
		if got := ends(t, b)[samsa.TopicPartition{Topic: "a"}]; got != records {
			t.Errorf("%s has %d records, want %d", name, got, records)
		}
		mustClose(t, b)
	}
}

// reader calls meanwhile with each Read.
type reader struct {
	from      *bytes.Buffer
	meanwhile func()
}

func (r *reader) Read(p []byte) (int, error) {
	r.meanwhile()
	return r.from.Read(p)
}

// TestDirectoryRenamed: a broker goes on in its data directory when that is renamed, and leaves
// another's alone that has taken the name.
func TestDirectoryRenamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with open files stays where it is")
	}
	ctx := patient(t)
	dir := filepath.Join(t.TempDir(), "data")
	b := mustOpen(t, dir, samsa.Options{AutoCreateTopics: true})
	if err := os.Rename(dir, dir+".new"); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, dir, samsa.Options{AutoCreateTopics: true})
	r := samsa.Record{Topic: "a", Value: bytes.Repeat([]byte("v"), 10<<10)}
	for range 1000 {
		if _, err := b.Produce(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	_, err := other.Produce(ctx, r)
	if err = errors.Join(err, b.Sync(ctx)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	mustClose(t, other)
	for dir, records := range map[string]int64{dir: 1, dir + ".new": 1000} {
		b := mustOpen(t, dir, samsa.Options{})
		if got := ends(t, b)[samsa.TopicPartition{Topic: "a"}]; got != records {
			t.Errorf("%s has %d records, want %d", filepath.Base(dir), got, records)
		}
		mustClose(t, b)
	}
}

// TestDirectoryRemoved: when the data directory is removed below a broker, and a file is to be
// created there, every write says so, reads go on, and so does the program: Close returns,
// with the cause.
func TestDirectoryRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with open files stays where it is")
	}
	running := goleak.IgnoreCurrent()
	ctx := patient(t)
	dir := filepath.Join(t.TempDir(), "data")
	b, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	r := samsa.Record{Topic: "a", Value: bytes.Repeat([]byte("v"), 10<<10)}
	if _, err := b.Produce(ctx, r); err != nil {
		t.Fatal(err)
	}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(ctx); err != nil {
		t.Fatal(err)
	}
	for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) { // a spare file may be allocated meanwhile
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	written := int64(1)
	for err == nil && written < 100_000 {
		if _, err = b.Produce(ctx, r); err == nil {
			written++
		}
	}
	_, produced := b.Produce(ctx, r)
	_, sent := p.ProduceSync(ctx, r)
	for doing, err := range map[string]error{
		"first":        err,
		"produce":      produced,
		"producer":     sent,
		"update":       b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("k"), nil) }),
		"create topic": b.Topics().Create(ctx, "b", samsa.TopicConfig{}),
		"commit":       c.Commit(ctx),
		"sync":         b.Sync(ctx),
	} {
		if !errors.Is(err, samsa.ErrFailed) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got error %v, want ErrFailed for a directory that is not there", doing, err)
		}
	}
	if got := ends(t, b)[samsa.TopicPartition{Topic: "a"}]; got != written {
		t.Errorf("the topic has %d records, want %d", got, written)
	}
	if err := b.Close(); !errors.Is(err, samsa.ErrFailed) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("close: %v", err)
	}
	goleak.VerifyNone(t, running)
}

// readsThatFail is a store of which the n-th read, or the next one, fails.
type readsThatFail struct {
	store.Store
	n int
}

var errUnreadable = errors.New("unreadable")

func (s *readsThatFail) read() error {
	if s.n--; s.n == 0 {
		return errUnreadable
	}
	return nil
}

func (s *readsThatFail) Get(key []byte) ([]byte, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.Get(key)
}

func (s *readsThatFail) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	if err := s.read(); err != nil {
		return err
	}
	return s.Store.Scan(r, fn)
}

// TestFailedOpenLeavesNothing: whichever read of the store ends it.
func TestFailedOpenLeavesNothing(t *testing.T) {
	running := goleak.IgnoreCurrent()
	for n := 1; ; n++ {
		b, err := inside.Open[*samsa.Broker](&readsThatFail{store.OpenMemory(), n}, samsa.Options{})
		if err == nil {
			mustClose(t, b)
			if n < 4 {
				t.Errorf("opened with %d reads", n-1)
			}
			return
		}
		if !errors.Is(err, errUnreadable) {
			t.Errorf("read %d: %v", n, err)
		}
		goleak.VerifyNone(t, running)
	}
}
