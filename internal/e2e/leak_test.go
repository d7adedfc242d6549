package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
)

// childEnv makes the test binary run one of childBodies instead of the tests: how a
// test gets a second process.
const childEnv = "SAMSA_TEST_CHILD"

// childBodies are what a child process can do, by name; the arguments are os.Args[1:].
var childBodies = map[string]func(args []string) error{
	"produce": produceUntilKilled,
	"hold":    holdUntilTold,
	"compact": deleteAndCompact,
	"plans":   commitPlansUntilKilled,
	"replay":  replayUntilKilled,
}

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := childBodies[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for name, value := range map[string]string{"rapid.checks": rapidChecks, "rapid.steps": "100"} {
		if err := flag.Set(name, value); err != nil { // the command line still goes first
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// deleteAndCompact opens a directory, deletes a topic and has its space given back, for
// which there may not be enough room.
func deleteAndCompact(args []string) error {
	ctx := context.Background()
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	if err = b.Topics().Delete(ctx, args[1]); err == nil {
		_, err = b.Compact(ctx)
		if errors.Is(err, samsa.ErrDiskFull) {
			err = nil
		}
	}
	return errors.Join(err, b.Close())
}

// childCommand returns the command that runs a body of childBodies. What it writes to
// stderr is in the buffer once it has ended.
func childCommand(t testing.TB, body string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stderr := new(bytes.Buffer)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+body)
	cmd.Stderr = stderr
	return cmd, stderr
}

// startChild starts such a command, to be talked with.
func startChild(t testing.TB, body string, args ...string) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stderr = childCommand(t, body, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewReader(stdout), stderr
}

// patience is a guard against tests that hang; nothing is measured against it.
const patience = time.Minute

// patient returns a context that ends with the test, or when it hangs.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// mustOpen opens a broker that the end of the test closes, if nobody has done so.
func mustOpen(t testing.TB, dir string, opts samsa.Options) *samsa.Broker {
	t.Helper()
	b, err := samsa.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, b) })
	return b
}

func mustClose(t rapid.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func mustCreate(t testing.TB, b *samsa.Broker, name string, partitions int) {
	t.Helper()
	if err := b.Topics().Create(patient(t), name, samsa.TopicConfig{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
}

// ends returns the high watermark of every partition there is.
func ends(t testing.TB, b *samsa.Broker) map[samsa.TopicPartition]int64 {
	t.Helper()
	ctx := patient(t)
	names, err := b.Topics().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[samsa.TopicPartition]int64)
	for _, name := range names {
		offsets, err := b.ListOffsets(ctx, name, samsa.Latest)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			all[samsa.TopicPartition{Topic: name, Partition: o.Partition}] = o.Offset
		}
	}
	return all
}

// readRange reads every partition of to from its offset in from, or 0, up to that in
// to. It gives fn the records, and the errors of Poll with an empty record.
func readRange(t testing.TB, b *samsa.Broker, from, to map[samsa.TopicPartition]int64, fn func(samsa.Record, error)) {
	t.Helper()
	readRangeOf(t, b, samsa.ResetError, from, to, fn)
}

// readRangeOf is readRange that meets what has gone as reset says.
func readRangeOf(t testing.TB, b *samsa.Broker, reset samsa.ResetPolicy, from, to map[samsa.TopicPartition]int64, fn func(samsa.Record, error)) {
	t.Helper()
	opts := samsa.ConsumerOptions{Partitions: make(map[string][]int32), OutOfRange: reset}
	for tp, end := range to {
		if from[tp] < end {
			opts.Partitions[tp.Topic] = append(opts.Partitions[tp.Topic], tp.Partition)
		}
	}
	if len(opts.Partitions) == 0 {
		return
	}
	c, err := b.NewConsumer(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	for _, tp := range c.Assignment() {
		if err := c.Seek(tp, from[tp]); err != nil {
			t.Fatal(err)
		}
	}
	ctx := patient(t)
	for !reached(t, c, to) {
		records, err := c.Poll(ctx)
		if ctx.Err() != nil {
			t.Fatalf("nothing to read, before the end: %v", err)
		}
		if err != nil {
			fn(samsa.Record{}, err)
		}
		for _, r := range records {
			if r.Offset < to[samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}] {
				fn(r, nil)
			}
		}
	}
}

func reached(t testing.TB, c *samsa.Consumer, to map[samsa.TopicPartition]int64) bool {
	t.Helper()
	for _, tp := range c.Assignment() {
		at, err := c.Position(tp)
		if err != nil {
			t.Fatal(err)
		}
		if at < to[tp] {
			return false
		}
	}
	return true
}
