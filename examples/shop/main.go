// Shop is a small web shop in one process: orders are transactions, mails a queue that tries again, the stock is a table, and the
// console of the broker is mounted beside.
//
//	go run ./examples/shop
//
// A button kills the process with SIGKILL. Another process, which does nothing else, starts it again, and nothing is lost: the
// page has the books, which are balanced.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
)

// config is what the flags say.
type config struct {
	addr, data string
	flaky      float64
}

// child is a variable of the environment that only the shop has, and not the process that starts it again.
const child = "SHOP_CHILD"

// exitFailed is the code of a shop that failed by itself: to start it again is in vain.
const exitFailed = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`host:port` of the shop")
	flag.StringVar(&c.data, "data", "./shop-data", "`directory` of the data")
	flag.Float64Var(&c.flaky, "flaky", 0.25, "the `part` of mails that the mail server takes only later")
	flag.Parse()
	var err error
	if os.Getenv(child) != "" {
		err = served(ctx, c, os.Stdin, os.Stdout)
	} else {
		err = supervise(ctx, func(addr string) *exec.Cmd {
			cmd := exec.Command(os.Args[0], append(os.Args[1:len(os.Args):len(os.Args)], "-addr", addr)...)
			cmd.Stderr = os.Stderr
			return cmd
		}, c.addr, os.Stdout)
	}
	if err != nil {
		tell(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// tell writes err, unless it is that of a shop that was started, which has told it itself.
func tell(out io.Writer, err error) {
	if !errors.As(err, new(*exec.ExitError)) {
		fmt.Fprintln(out, "shop:", err)
	}
}

// greeting begins the line that a shop prints when it is open; its URL comes behind.
const greeting = "the shop is open at http://"

// supervise starts a shop, and starts it again when it was killed, until ctx ends. The shop is told to end by the end of its input: it ends
// too when the supervisor itself is killed.
func supervise(ctx context.Context, start func(addr string) *exec.Cmd, addr string, out io.Writer) error {
	for {
		cmd := start(addr)
		cmd.Env = append(os.Environ(), child+"=1")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = stdin.Close() })
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), greeting); ok {
				addr = at // the same one the next time
			}
			fmt.Fprintln(out, lines.Text())
		}
		err = cmd.Wait()
		stop()
		if err == nil || cmd.ProcessState.ExitCode() == exitFailed {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		fmt.Fprintf(out, "the shop ended: %v\n", err)
	}
}

// served is a shop until ctx or in ends.
func served(ctx context.Context, c config, in io.Reader, out io.Writer) (err error) {
	if c.flaky < 0 || c.flaky >= 1 {
		return errors.New("-flaky is to be from 0 to 1, and less")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel(nil)
	}()
	b, err := samsa.Open(c.data, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	s, err := openShop(ctx, b, c.flaky)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s.pages(), ReadHeaderTimeout: 10 * time.Second}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if err := s.mail(ctx); ctx.Err() == nil {
			cancel(err)
		}
	})
	work.Go(func() {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
	})
	fmt.Fprintf(out, "%s%s\n", greeting, l.Addr())
	<-ctx.Done()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if e := web.Shutdown(last); e != nil {
		err = web.Close()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}
