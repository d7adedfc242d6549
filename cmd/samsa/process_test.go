//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/samsa-go/samsa"
)

// A process that is told to end closes its data, frees the directory, and ends well.
func TestProcessEndsOnSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
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
			addr := address(lines.Text())
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
			}
			if got := metadata(t, addr, "web_log").Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 3 {
				t.Errorf("got %+v", got)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
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
