// Samsa is Kafka semantics in a process, from the command line: it serves a broker to Kafka clients, and looks after the data of one.
//
//	go run ./cmd/samsa serve --listen 127.0.0.1:9092 --data ./data --topic web_log:3
//	go run ./cmd/samsa -d ./data topics
//
// `samsa help` tells the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/samsa-go/samsa/cmd/samsa/internal/cli"
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // a broker goes on when nobody reads what it prints; other commands end in good order
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Surroundings{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}))
}
