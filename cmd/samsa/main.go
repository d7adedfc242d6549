// Samsa serves a broker to Kafka clients, for local development in place of a cluster.
//
//	go run ./cmd/samsa serve --listen 127.0.0.1:9092 --data ./data --topic web_log:3
//
// It prints where and what it serves, logs to stderr, and ends cleanly on Ctrl-C, SIGTERM or SIGHUP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What the process ends with.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line is wrong
)

const usage = `samsa is a Kafka broker in one process.

Usage:

  samsa serve [flags]    serve Kafka clients until Ctrl-C
  samsa serve -h         the flags
`

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out a command line and returns what the process is to end with. It serves until
// ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintf(stderr, "%s", usage)
		return exitUsage
	}
	switch args[0] {
	case "serve":
		return runServe(ctx, args[1:], stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprintf(stdout, "%s", usage)
		return exitOK
	}
	fmt.Fprintf(stderr, "samsa: unknown command %q\n\n%s", args[0], usage)
	return exitUsage
}

func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "samsa serve: %v\nsamsa serve -h shows the flags.\n", err)
		return exitUsage
	}
	if err := serve(ctx, f, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "samsa serve: %v\n", err)
		return exitFailed
	}
	return exitOK
}
