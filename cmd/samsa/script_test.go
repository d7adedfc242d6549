package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the output into the scripts")

// leakFree runs tests and fails if they leave goroutines behind.
type leakFree struct{ *testing.M }

// Run runs them.
func (m leakFree) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return 1
	}
	return code
}

// Each script in testdata/script is a story of the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"broker": brokerCommand},
	})
}

// brokerCommand serves a broker until the script ends: broker NAME [flags of serve]. The variable NAME of the environment has its address.
func brokerCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("broker NAME [flags of serve]")
	}
	serve := append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)
	for i, a := range serve {
		if a == "--data" {
			serve[i+1] = ts.MkAbs(serve[i+1])
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var stderr strings.Builder
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, serve, in, &stderr)
		_ = in.Close()
		ended <- code
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
		if addr := address(lines.Text()); addr != "" && ts.Getenv(args[0]) == "" {
			ts.Setenv(args[0], addr)
		}
	}
	ts.Defer(func() {
		cancel()
		_, _ = io.Copy(io.Discard, out)
		if code := <-ended; code != exitOK {
			ts.Logf("the broker ended with %d: %s", code, &stderr)
		}
	})
	if ts.Getenv(args[0]) == "" {
		cancel()
		ts.Fatalf("the broker ended: %s", &stderr)
	}
}
