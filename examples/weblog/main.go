// Weblog feeds the lines of a log into a topic while two consumers read it: one counts
// lines by their first word (the client's address in an access log), one shows the rate
// and the lag.
//
//	go run ./examples/weblog access.log            # follows the file as it grows
//	tail -f /var/log/dpkg.log | go run ./examples/weblog
//
// Ctrl-C ends it. The next start goes on: counts include what is stored in -data, and a
// file is read on from where its last stored line ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
)

const topic = "web_log"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-weblog"), "directory of the topic")
	flag.Parse()
	if err := run(ctx, *data, flag.Arg(0), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "weblog:", err)
		os.Exit(1)
	}
}

// run feeds the named file, or in when there is no name, into the broker in dir until
// the input ends or ctx does, and then prints the counts.
func run(ctx context.Context, dir, file string, in io.Reader, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: 3}); err != nil {
		return err
	}
	if file != "" {
		f, err := openAt(ctx, b, file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}

	counts := newCounter(b)
	reading, stopReading := context.WithCancel(context.Background())
	defer stopReading()
	var wg sync.WaitGroup
	var countErr error
	wg.Go(func() { countErr = counts.run(reading) })
	wg.Go(func() { showRate(reading, b, counts, out, time.Second) })

	feedErr := feed(ctx, b, file, in)
	if err := counts.catchUp(context.Background()); err != nil { // what is stored is counted, even after Ctrl-C
		feedErr = errors.Join(feedErr, err)
	}
	stopReading()
	wg.Wait()
	counts.print(out, 10)
	return errors.Join(feedErr, countErr)
}
