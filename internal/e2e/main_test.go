package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/internal/memdir"
)

// childEnv makes the test binary run one of childBodies instead of the tests: how a
// test gets a second process.
const childEnv = "SAMSA_TEST_CHILD"

// childBodies are what a child process can do, by name; the arguments are os.Args[1:].
var childBodies = map[string]func(args []string) error{
	"produce":  produceUntilKilled,
	"hold":     holdUntilTold,
	"giveback": deleteAndGiveBack,
	"plans":    commitPlansUntilKilled,
	"replay":   replayUntilKilled,
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
	checks := cmp.Or(os.Getenv("CHECKS"), rapidChecks)
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.steps": "100"} {
		if err := flag.Set(name, value); err != nil { // the command line still goes first
			panic(err)
		}
	}
	memdir.Use()
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

// deleteAndGiveBack opens a directory, deletes a topic and has its space given back, for
// which there may not be enough room.
func deleteAndGiveBack(args []string) error {
	ctx := context.Background()
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	if err = b.Topics().Delete(ctx, args[1]); err == nil {
		_, err = b.Sweep(ctx)
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
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // where the test has not come to its end
	return cmd, in, bufio.NewReader(stdout), stderr
}
