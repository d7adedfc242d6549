//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/samsa-go/samsa"
)

// A process that is told to end closes its data, frees the directory, and ends well.
func TestProcessEndsOnSignals(t *testing.T) {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP) // else a child ignores it where this process was told to
	defer signal.Stop(hups)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			p := serveInChild(t, dir)
			p.wantTopic(t)
			p.end(t, sig)
			b, err := samsa.Open(dir, samsa.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Who starts it with nohup means it.
func TestProcessStaysWithNohup(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // and so does the child
	defer signal.Reset(syscall.SIGHUP)
	p := serveInChild(t, t.TempDir())
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.wantTopic(t)
	p.end(t, syscall.SIGTERM)
}

// child is a process of this program that serves the topic web_log.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	addr  string
}

func serveInChild(t *testing.T, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data", dir, "--topic", "web_log:3")
	cmd.Env = append(os.Environ(), asChild+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed(t, cmd)
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it printed nothing")
	}
	p := &child{cmd, lines, address(lines.Text())}
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
	}
	return p
}

// killed has a process end with the test, that may not have come to its end.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Cleanup(func() { _ = cmd.Process.Kill() })
}

func (p *child) wantTopic(t *testing.T) {
	t.Helper()
	if got := metadata(t, p.addr, "web_log").Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 3 {
		t.Errorf("got %+v", got)
	}
}

// end sends a signal and waits for the end, which is a clean one.
func (p *child) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	for p.lines.Scan() {
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A broker whose output nobody reads any more goes on, and ends as well as any.
func TestProcessGoesOnWithoutReaders(t *testing.T) {
	dir := t.TempDir()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data", dir, "--topic", "web_log:3", "--log-level", "debug")
	cmd.Env = append(os.Environ(), asChild+"=1")
	cmd.Stdout, cmd.Stderr = in, in
	if err := errors.Join(cmd.Start(), in.Close()); err != nil {
		t.Fatal(err)
	}
	killed(t, cmd)
	addr := ""
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "samsa serves") {
			addr = address(lines.Text())
		}
	}
	_ = out.Close()
	_ = metadata(t, addr, "web_log")
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "control")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has not closed its directory: %v", err)
	}
}

// Who waits for lines ends when it is told to, and has stored the lines that came whole.
func TestProcessEndsThoughItsInputIsSilent(t *testing.T) {
	dir := t.TempDir()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Topics().Create(t.Context(), "web_log", samsa.TopicConfig{}), b.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-d", dir, "produce", "web_log", "--json")
	cmd.Env = append(os.Environ(), asChild+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.WriteString(in, `{"value":"one"}`+"\n"+`{"val`)
	}
	if err != nil {
		t.Fatal(err)
	}
	killed(t, cmd)
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"offset":0`) { // before the second line is whole
		t.Fatalf("got %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
}

// What is printed for nobody ends a command, in silence.
func TestProcessEndsWithItsReader(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "version")
	cmd.Env = append(os.Environ(), asChild+"=1")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = in, &stderr
	if err := errors.Join(out.Close(), cmd.Start(), in.Close()); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 141 || stderr.Len() > 0 {
		t.Errorf("it ended with %v, and said %q", err, &stderr)
	}
}
