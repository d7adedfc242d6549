package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/bench/internal/harness"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/workload"
	"github.com/samsa-go/samsa/bench/kafka"
)

// options are the command line.
type options struct {
	command  string // the command line itself
	peers    []string
	settings peer.Settings
	kafka    bool // is started for the run
	axes     harness.Axes
	cases    []workload.Case
	limits   workload.Limits
	rounds   int
	quick    bool
	dir      string
	timeout  time.Duration

	from, json, html, svg  string
	markdown               bool
	cpuProfile, memProfile string
}

// The sizes of a full and of a quick run. The quick one has to end within a minute on a busy
// machine with two cores.
const (
	fullTime, quickTime     = time.Second, 80 * time.Millisecond
	fullKeep, quickKeep     = 128 << 20, 4 << 20
	fullRounds, quickRounds = 3, 1
	defaultRecords          = 2_000_000
	quickDeadline           = 45 * time.Second
	defaultTimeout          = 2 * time.Minute
	quickTimeout            = 15 * time.Second
)

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	words(f, &o.peers, "peers", "`names` of the peers, separated by commas; all by default")
	words(f, &o.axes.Workloads, "workloads", "`names` of the workloads: batch, transactions, single, cold, tail, latency, group, retention; all by default")
	numbers(f, &o.axes.Sizes, "size", "`bytes` of a record; this flag and those like it take lists: every combination is measured")
	numbers(f, &o.axes.Batches, "batch", "`records` a batch, as long as that is at most 1 MB")
	numbers(f, &o.axes.Partitions, "partitions", "`number` of partitions")
	numbers(f, &o.axes.Writers, "goroutines", "`number` of goroutines that append, of the workload single")
	words(f, &o.axes.Data, "data", "`kind` of data: json, random")
	words(f, &o.axes.Codecs, "compression", "`codec`: none, gzip, snappy, lz4, zstd; peers without it do not compress")
	words(f, &o.axes.Acks, "acks", "what an append waits for: stored, synced")
	numbers(f, &o.axes.Rates, "rate", "`records` a second, of the workload latency")
	f.IntVar(&o.limits.Records, "records", defaultRecords, "`number` of records at most, of each measurement")
	f.DurationVar(&o.limits.Time, "time", 0, "how long each measurement appends at most (1s; with -quick 80ms)")
	f.Int64Var(&o.limits.KeepBytes, "keep", 0, "`bytes` that the workload retention keeps (128 MiB; with -quick 4 MiB)")
	f.IntVar(&o.rounds, "rounds", 0, "how often everything is measured (3; with -quick 1)")
	f.BoolVar(&o.quick, "quick", false, "a smoke test that ends within a minute: little of everything")
	f.BoolFunc("kafka", "measure Apache Kafka "+kafka.Version+" too: one broker on loopback, which is fetched with mvn, and ends with the run; -kafka=host:port measures one that runs there, and may create and delete topics", func(s string) error {
		o.kafka = s == "true"
		o.settings.Kafka = map[bool]string{false: s}[o.kafka]
		return nil
	})
	f.StringVar(&o.dir, "dir", os.TempDir(), "`directory` in which the logs are written")
	f.DurationVar(&o.timeout, "timeout", 0, "after which a measurement has failed (2m; with -quick 15s)")
	f.StringVar(&o.json, "json", "", "`file` for the results")
	f.StringVar(&o.html, "html", "", "`file` for a page with charts")
	f.StringVar(&o.svg, "svg", "", "`file` for the picture of the README")
	f.BoolVar(&o.markdown, "markdown", false, "print the table of docs/speed.md in place of the full one")
	f.StringVar(&o.from, "from", "", "`file` that -json has written: report it and measure nothing")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "`file` for a CPU profile; with several measurements their names are added to it")
	f.StringVar(&o.memProfile, "memprofile", "", "`file` for a profile of allocations, likewise")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	o.command = strings.Join(append([]string{"go run ./bench"}, args...), " ")
	o = o.withDefaults()
	return o, o.validate()
}

func (o options) withDefaults() options {
	pick := func(full, quick time.Duration, v *time.Duration) {
		if *v == 0 {
			*v = map[bool]time.Duration{false: full, true: quick}[o.quick]
		}
	}
	pick(fullTime, quickTime, &o.limits.Time)
	pick(defaultTimeout, quickTimeout, &o.timeout)
	rounds, keep := fullRounds, int64(fullKeep)
	if o.quick {
		rounds, keep = quickRounds, quickKeep
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if o.limits.KeepBytes == 0 {
		o.limits.KeepBytes = keep
	}
	o.cases = o.axes.Cases(o.quick)
	return o
}

// validate reports all mistakes at once.
func (o options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, c := range o.cases {
		err := c.Validate()
		check(err == nil, "%s: %w", c.Work, err)
	}
	check(o.limits.Records > 0, "-records %d: at least 1", o.limits.Records)
	check(o.limits.Time > 0, "-time %s: more than 0", o.limits.Time)
	check(o.limits.KeepBytes >= 1<<20, "-keep %d: at least 1 MiB", o.limits.KeepBytes)
	check(o.rounds > 0, "-rounds %d: at least 1", o.rounds)
	check(o.timeout > o.limits.Time, "-timeout %s: more than -time, %s", o.timeout, o.limits.Time)
	info, err := os.Stat(o.dir)
	check(err == nil && info.IsDir(), "-dir %s: not a directory", o.dir)
	check(o.from == "" || o.json == "", "-json with -from: the results are there")
	check(o.from == "" || !o.kafka, "-kafka with -from: nothing is measured")
	return errors.Join(errs...)
}

// plan returns what is to be measured.
func (o options) plan(peers []*peer.Peer) harness.Plan {
	p := harness.Plan{
		Peers: peers, Settings: o.settings, Cases: o.cases, Limits: o.limits, Rounds: o.rounds,
		Dir: o.dir, Timeout: o.timeout, CPUProfile: o.cpuProfile, MemProfile: o.memProfile,
	}
	if o.quick {
		p.Deadline = time.Now().Add(quickDeadline)
	}
	return p
}

// words is a flag with a list of words.
func words(f *flag.FlagSet, to *[]string, name, usage string) {
	f.Func(name, usage, func(s string) error {
		*to = strings.Split(s, ",")
		return nil
	})
}

// numbers is a flag with a list of numbers.
func numbers(f *flag.FlagSet, to *[]int, name, usage string) {
	f.Func(name, usage, func(s string) error {
		*to = nil
		for word := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("%q is not a number", word)
			}
			*to = append(*to, n)
		}
		return nil
	})
}
