//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
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
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it printed nothing")
	}
	p := &child{cmd, lines, address(lines.Text())}
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
	}
	return p
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
