package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// check is one thing that the doctor has looked at.
type check struct {
	Name   string `json:"check"`
	State  string `json:"state"` // ok, warning or failed
	Detail string `json:"detail"`
	err    error  // of a check that failed
}

// States of checks.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateFailed  = "failed"
)

// What the doctor minds.
const (
	fewFiles   = 4096
	littleFree = 256 << 20
)

func (e *env) doctor() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		GroupID: groupSelf,
		Short:   "Check a machine, a directory and a broker, for bug reports and health checks",
		Long: `doctor looks at the machine: version, limits, clock; with -d at the directory too: its file system, free space, and who has it open; and with -d, -b
or --api it asks the broker. It changes nothing. It ends with 0 when nothing has failed; a broker that does not answer is code 6, as a health
check wants it.`,
		Example: `  samsa doctor
  samsa doctor -d ./data
  samsa doctor -b localhost:9092 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := e.examine(cmd.Context())
			err := printRows(e, []column[check]{
				{"CHECK", func(c check) string { return c.Name }},
				{"STATE", func(c check) string { return c.State }},
				{"DETAIL", func(c check) string { return c.Detail }},
			}, checks)
			for _, c := range checks {
				if c.State == stateFailed {
					err = errors.Join(err, fmt.Errorf("%s: %w", c.Name, c.err))
				}
			}
			return err
		},
	}
}

// examine looks at all there is.
func (e *env) examine(ctx context.Context) []check {
	v := readVersions()
	checks := []check{
		{Name: "version", State: stateOK, Detail: fmt.Sprintf("samsa %s, %s, %s, %d processors", v.Version, v.Go, v.Platform, runtime.NumCPU())},
		checkFiles(),
		checkClock(time.Now()),
	}
	a, err := e.address.resolve(e.Getenv)
	if errors.Is(err, errNoAddress) {
		return checks
	}
	if err != nil {
		return append(checks, failed("address", err))
	}
	if a.dir != "" {
		checks = append(checks, checkDirectory(a.dir)...)
	}
	return append(checks, e.checkBroker(ctx))
}

func failed(name string, err error) check {
	return check{Name: name, State: stateFailed, Detail: err.Error(), err: err}
}

// checkFiles looks at how many files a process may open: a broker has a file for each 256 MiB or so, and one for each connection.
func checkFiles() check {
	c := check{Name: "open files", State: stateOK}
	n, ok := maxFiles()
	switch {
	case !ok:
		c.Detail = "no limit is known"
	case n < fewFiles:
		c.State, c.Detail = stateWarning, fmt.Sprintf("at most %d, which is few for a broker with many connections (ulimit -n)", n)
	default:
		c.Detail = fmt.Sprintf("at most %d", n)
	}
	return c
}

// checkClock looks at the clock: retention goes by it.
func checkClock(now time.Time) check {
	c := check{Name: "clock", State: stateOK, Detail: now.Format(time.RFC3339)}
	if now.Year() < 2024 {
		c.State, c.Detail = stateWarning, c.Detail+", which is long ago: retention goes by the clock"
	}
	return c
}

// checkDirectory looks at a directory of data, without opening it.
func checkDirectory(dir string) []check {
	path, err := filepath.Abs(dir)
	if err != nil {
		return []check{failed("directory", err)}
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w", path, samsa.ErrNotDirectory)
	}
	if err != nil {
		return []check{failed("directory", err)}
	}
	checks := []check{{Name: "directory", State: stateOK, Detail: path}}
	fs, err := fileSystemOf(path)
	if err != nil {
		return append(checks, failed("file system", err))
	}
	c := check{Name: "file system", State: stateOK, Detail: fs.kind}
	if fs.remote {
		c.State, c.Detail = stateWarning, fs.kind+", which is over the network: locks and fsync may not do there what they should"
	}
	checks = append(checks, c)
	c = check{Name: "free space", State: stateOK, Detail: fmt.Sprintf("%s of %s", size(fs.free), size(fs.total))}
	if fs.total > 0 && fs.free < min(littleFree, fs.total/8) {
		c.State, c.Detail = stateWarning, c.Detail+": a broker refuses records when little is left (--min-free-bytes)"
	}
	return append(checks, c)
}

// checkBroker asks the broker something.
func (e *env) checkBroker(ctx context.Context) check {
	began := time.Now()
	var detail string
	err := e.with(ctx, false, func(ctx context.Context, b backend.Backend) error {
		p, err := b.Topics(ctx, api.TopicsRequest{Limit: 1000})
		if err != nil {
			return err
		}
		detail = plural(int64(len(p.Topics)), "topic")
		if p.Next != "" {
			detail = fmt.Sprintf("more than %d topics", len(p.Topics))
		}
		if s, err := backend.AsSamsa(b, ""); err == nil {
			info, err := s.Broker(ctx)
			if err != nil {
				return err
			}
			detail += fmt.Sprintf(", cluster %s, version %s, format %d, %s", info.ClusterID, info.Version, info.Format, openedBy(info))
		}
		return nil
	})
	if err != nil {
		return failed("broker", err)
	}
	return check{Name: "broker", State: stateOK, Detail: fmt.Sprintf("answers in %s: %s", time.Since(began).Round(100*time.Microsecond), detail)}
}

// openedBy tells which process has the data of a broker open.
func openedBy(info api.Broker) string {
	if host, err := os.Hostname(); err == nil && info.Host == host && info.PID == os.Getpid() {
		return "which nobody else has open"
	}
	by := fmt.Sprintf("open in process %d of %s", info.PID, info.Host)
	if !info.Opened.IsZero() {
		by += " since " + moment(info.Opened)
	}
	return by
}

// fileSystem is what is known of a file system.
type fileSystem struct {
	kind        string
	remote      bool
	free, total int64 // bytes
}
