// Command bench measures Samsa beside its peers: other logs that a Go program can embed, what
// one would write by hand, and brokers that speak Kafka's protocol. All do the same work on
// the same data, batches and durability, in one run, in turns.
//
//	go run ./bench -quick
//	go run ./bench -json results.json -html report.html
//	go run ./bench -peers samsa,tidwall-wal -workloads batch,cold -size 100,1000
//	go run ./bench -kafka -peers samsa-kafka,kfake,kafka -workloads batch,transactions
//	go run ./bench -kafka
//
// The last but one is what transactions cost, beside the same by idempotent producers. The last one has Apache Kafka among the peers, which it fetches with Maven and runs on loopback; Java 17
// is needed for it.
//
// It is a module of its own so that no user of Samsa depends on the peers.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/samsa-go/samsa/bench/internal/harness"
	"github.com/samsa-go/samsa/bench/internal/machine"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/report"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/kafka"
)

func main() {
	if os.Getenv(harness.ChildVariable) != "" {
		if err := harness.Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures, or reads what was measured, and makes the reports that are asked for. That
// Samsa failed is an error in the end; that another peer did is a row of the reports.
func bench(ctx context.Context, args []string) error {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	var run *result.Run
	if o.from != "" {
		run, err = result.Read(o.from)
	} else {
		run, err = measure(ctx, o)
	}
	if err != nil {
		return err
	}
	return errors.Join(reports(os.Stdout, run, o), harness.Failures(run.Results))
}

// measure does the run that o asks for.
func measure(ctx context.Context, o options) (run *result.Run, err error) {
	if o.kafka {
		fmt.Fprintln(os.Stderr, "starting Kafka "+kafka.Version)
		broker, err := kafka.Start(ctx, o.dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, broker.Stop()) }()
		o.settings.Kafka, o.settings.KafkaVersion = broker.Addr, kafka.Version
	}
	peers, err := peer.Select(o.settings, o.peers)
	if err != nil {
		return nil, err
	}
	bar := newProgress(os.Stderr)
	plan := o.plan(peers)
	plan.Progress = bar.show
	run = &result.Run{
		Began: time.Now().UTC().Truncate(time.Second), Command: o.command, Rounds: o.rounds, Limits: o.limits,
		Samsa: revision(ctx), Machine: machine.Look(o.dir),
	}
	versions := versions()
	for _, p := range peers {
		version := cmp.Or(p.Version, versions[p.Module])
		if p.Module == peer.SamsaModule {
			version = run.Samsa
		}
		run.Peers = append(run.Peers, result.Peer{Name: p.Name, Title: p.Title, About: p.About, Version: version, Memory: p.Volatile && !p.Outside})
	}
	others := machine.WatchOthers()
	run.Results, err = harness.Measure(ctx, plan)
	run.Machine.Others = others.Share()
	bar.end()
	run.Took = time.Since(run.Began).Truncate(time.Second)
	return run, err
}

// reports writes what o asks for, and a table to w.
func reports(w io.Writer, run *result.Run, o options) error {
	tables, err := result.Tables(run)
	if err != nil {
		return err
	}
	if o.markdown {
		return report.Markdown(w, run, tables)
	}
	if err := report.Text(w, run, tables); err != nil {
		return err
	}
	var errs []error
	if o.json != "" {
		errs = append(errs, run.Write(o.json))
	}
	if o.html != "" {
		errs = append(errs, writeFile(o.html, func(f *os.File) error { return report.HTML(f, run, tables) }))
	}
	if o.svg != "" {
		errs = append(errs, writeFile(o.svg, func(f *os.File) error { return report.Picture(f, run, tables) }))
	}
	return errors.Join(errs...)
}

func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
