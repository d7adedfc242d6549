// Package report makes tables and pages of results. It computes nothing but how they look.
package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Text writes everything as tables for a terminal.
func Text(w io.Writer, run *result.Run, tables []result.Table) error {
	b := &strings.Builder{}
	for _, line := range about(run) {
		fmt.Fprintf(b, "%s\n", line)
	}
	for _, t := range tables {
		fmt.Fprintf(b, "\n%s\n", Title(t.Case))
		textTable(b, &t)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Title names a case in words.
func Title(c workload.Case) string {
	work, _ := workload.Find(c.Work)
	return work.Title + ": " + strings.Join(axes(c), ", ")
}

// axes tells the axes in words.
func axes(c workload.Case) []string {
	words := []string{}
	if c.Goroutines > 0 {
		words = append(words, plural(c.Goroutines, "goroutine"))
	}
	words = append(words, fmt.Sprintf("%s of %s", count(float64(c.Size))+" B", c.Data))
	if c.Batch > 1 {
		words = append(words, fmt.Sprintf("%d a batch", c.Batch))
	}
	if c.Rate > 0 {
		words = append(words, fmt.Sprintf("%d records/s", c.Rate))
	}
	if c.Partitions > 1 {
		words = append(words, plural(c.Partitions, "partition"))
	}
	return append(words, c.Codec, c.Acks)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// about tells where and how the run was done.
func about(run *result.Run) []string {
	m := run.Machine
	lines := []string{
		fmt.Sprintf("%s, %s on %s, %s", run.Began.Format("2006-01-02 15:04 MST"), plural(m.Cores, "core"), orUnknown(m.CPU), size(float64(m.Memory))),
		fmt.Sprintf("%s %s, %s, disk %s, %s, load %s before, others took %s of the processors", orUnknown(m.System), m.Arch, m.Go, orUnknown(m.Disk), orUnknown(m.Filesystem), orUnknown(m.Load), orUnknown(m.Others)),
		fmt.Sprintf("%s of up to %s and %d records each; measured for %s by: %s", plural(run.Rounds, "round"), run.Limits.Time, run.Limits.Records, run.Took, run.Command),
	}
	var peers []string
	for _, p := range run.Peers {
		peers = append(peers, strings.TrimSpace(p.Title+" "+p.Version))
	}
	return append(lines, strings.Join(peers, ", "))
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

var textColumns = []string{"peer", "records/s", "spread", "MB/s", "p50", "p99", "p99.9", "max", "allocs/rec", "peak RSS", "disk/byte", "x samsa", "x file"}

// textTable writes the rows of one case.
func textTable(b *strings.Builder, t *result.Table) {
	columns := textColumns
	if t.Case.Work == workload.Retention {
		columns = append(columns[:len(columns):len(columns)], "disk/kept")
	}
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "%s\t\n", strings.Join(columns, "\t"))
	for i := range t.Rows {
		row := &t.Rows[i]
		if !row.Ok() {
			continue
		}
		fmt.Fprintf(tw, "%s\t\n", strings.Join(cells(row, t.Case.Work == workload.Retention), "\t"))
	}
	_ = tw.Flush() // a strings.Builder takes everything
	for i := range t.Rows {
		if row := &t.Rows[i]; !row.Ok() {
			fmt.Fprintf(b, "  %s: %s\n", row.Title, trouble(row))
		}
	}
}

// trouble tells why a row has no figures.
func trouble(s *result.Summary) string {
	if s.Failed != "" {
		return "FAILED: " + s.Failed
	}
	return s.Cannot
}

// cells are the figures of a row, as textColumns names them.
func cells(s *result.Summary, disk bool) []string {
	c := []string{
		s.Title, count(s.Rate.Median), plusMinus(s.Rate), count(s.Bytes.Median / 1e6),
		quantile(s, 0.5), quantile(s, 0.99), quantile(s, 0.999), quantile(s, 1),
		allocs(s.Allocs), size(float64(s.RSS)), written(s), ratio(s.ToSamsa), ratio(s.ToFile),
	}
	if disk {
		c = append(c, ratio(s.Disk))
	}
	return c
}
