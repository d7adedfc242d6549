package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Markdown writes the table of docs/speed.md: a row a case, a column a peer, records/s. It has
// the cases with the sizes and batches that most have, which are those of the base.
func Markdown(w io.Writer, run *result.Run, tables []result.Table) error {
	var b strings.Builder
	b.WriteString("| records/s |")
	for _, p := range run.Peers {
		fmt.Fprintf(&b, " %s |", p.Title)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(run.Peers)) + "\n")
	base := bases(tables)
	for i := range base {
		markdownRow(&b, run, &base[i])
	}
	m := run.Machine
	fmt.Fprintf(&b, "\n%s, %s on %s, %s, %s; others took %s of the processors; medians of %s. Bold is the fastest, the plain file and what is in memory only aside.\n",
		run.Began.Format("2 January 2006"), plural(m.Cores, "core"), orUnknown(m.CPU), orUnknown(m.Filesystem), m.Go, orUnknown(m.Others), plural(run.Rounds, "round"))
	_, err := io.WriteString(w, b.String())
	return err
}

// bases returns the tables that differ in the workload, its goroutines and acks only: of each
// such kind the first.
func bases(tables []result.Table) []result.Table {
	type kind struct {
		work, acks string
		goroutines int
	}
	seen := make(map[kind]bool)
	var base []result.Table
	for _, t := range tables {
		k := kind{t.Case.Work, t.Case.Acks, t.Case.Goroutines}
		if !seen[k] {
			seen[k] = true
			base = append(base, t)
		}
	}
	return base
}

func markdownRow(b *strings.Builder, run *result.Run, t *result.Table) {
	fmt.Fprintf(b, "| %s |", rowName(t.Case))
	best := fastest(t)
	for _, p := range run.Peers {
		s := t.Find(p.Name)
		switch {
		case s == nil || !s.Ok() && s.Failed == "":
			fmt.Fprintf(b, " %s |", none)
		case !s.Ok():
			b.WriteString(" failed |")
		case s == best:
			fmt.Fprintf(b, " **%s** |", figure(s))
		default:
			fmt.Fprintf(b, " %s |", figure(s))
		}
	}
	b.WriteString("\n")
}

// rowName names a case by what the rows of the table differ in.
func rowName(c workload.Case) string {
	name := map[string]string{
		workload.Batch: "append batches of", workload.Single: "append one a call,", workload.Cold: "consume from the start",
		workload.Tail: "consume at the tail", workload.Group: "consume in a group, a commit every",
		workload.Latency: "produce to consume, at", workload.Retention: "append while only",
		workload.Queue: "work off a queue,", workload.Transactions: "append in transactions of ten batches of",
	}[c.Work]
	switch c.Work {
	case workload.Batch, workload.Transactions:
		name += fmt.Sprintf(" %d", c.Batch)
	case workload.Single:
		name += " " + plural(c.Goroutines, "goroutine")
	case workload.Queue:
		name += " " + plural(c.Goroutines, "worker")
	case workload.Group:
		name += fmt.Sprintf(" %d", c.Batch)
	case workload.Latency:
		name += fmt.Sprintf(" %d/s: median, p99", c.Rate)
	case workload.Retention:
		name += fmt.Sprintf(" the newest is kept, %s random", bytesOf(c.Size))
	}
	if c.Acks == workload.Synced {
		name += ", fsynced"
	}
	return name
}

// figure is what a cell shows.
func figure(s *result.Summary) string {
	if s.Case.Work == workload.Latency {
		return quantile(s, 0.5) + ", " + quantile(s, 0.99)
	}
	return short(s.Rate.Median)
}

// fastest returns the row of the fastest peer whose records outlive the process, nil for none.
func fastest(t *result.Table) *result.Summary {
	var best *result.Summary
	better := func(s *result.Summary) bool {
		if s.Case.Work == workload.Latency {
			return s.Quantile(0.5) < best.Quantile(0.5)
		}
		return s.Rate.Median > best.Rate.Median
	}
	for i := range t.Rows {
		s := &t.Rows[i]
		if s.Ok() && !s.Memory && s.Peer != peer.File && (best == nil || better(s)) {
			best = s
		}
	}
	return best
}
