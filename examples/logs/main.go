// Logs brings the lines of several log files into one topic, each line once, over restarts and kills too. The files may be rotated below
// it: another file gets the name, by rename (logrotate's create), and what was written to the old one until then is read first.
//
//	go run ./examples/logs app.log web.log
//
// The lines and how far the file was read are stored in one transaction. A file is known by its first line, as names and
// inodes are given again: so the first lines of two files should differ, by a time say. While logs is not running a file may be
// rotated once, to NAME.1. A line of more than a MiB is an error, as a record has no more. A file that is cut off and written anew under logs' hands (copytruncate) may lose lines, and is an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/samsa-go/samsa"
)

const topic = "lines"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-logs"), "directory of the topic")
	flag.Parse()
	if err := run(ctx, *data, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "logs:", err)
		os.Exit(1)
	}
}

// run follows the files until ctx ends.
func run(ctx context.Context, dir string, files []string) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, name := range files {
		wg.Go(func() {
			if err := follow(ctx, b, name); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
