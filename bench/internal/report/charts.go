package report

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/samsa-go/samsa/bench/internal/chart"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

var (
	//go:embed chart.css
	chartCSS string
	//go:embed theme.css
	themeCSS string
)

// rateBars are the rates of a table, the fastest first.
func rateBars(t *result.Table) []chart.Bar {
	bars := make([]chart.Bar, 0, len(t.Rows))
	for i := range t.Rows {
		s := &t.Rows[i]
		bar := chart.Bar{Label: s.Title, Class: s.Peer, Note: trouble(s), Beyond: s.Peer == peer.File}
		if s.Ok() {
			bar.Note = ""
			bar.Value, bar.Min, bar.Max = s.Rate.Median, s.Rate.Min, s.Rate.Max
			bar.Text = short(s.Rate.Median)
			bar.Tip = fmt.Sprintf("%s: %s records/s (%s to %s), %s MB/s", s.Title, count(s.Rate.Median), count(s.Rate.Min), count(s.Rate.Max), count(s.Bytes.Median/1e6))
		}
		bars = append(bars, bar)
	}
	chart.Sort(bars)
	return bars
}

// quantileBars are the latencies of a table, the smallest first.
func quantileBars(t *result.Table, q float64) []chart.Bar {
	bars := make([]chart.Bar, 0, len(t.Rows))
	for i := range t.Rows {
		s := &t.Rows[i]
		bar := chart.Bar{Label: s.Title, Class: s.Peer, Note: trouble(s)}
		if s.Ok() {
			bar.Note = ""
			bar.Value = float64(s.Quantile(q))
			bar.Text = quantile(s, q)
			bar.Tip = fmt.Sprintf("%s: median %s, p99 %s, p99.9 %s, max %s", s.Title, quantile(s, 0.5), quantile(s, 0.99), quantile(s, 0.999), quantile(s, 1))
		}
		bars = append(bars, bar)
	}
	chart.Sort(bars)
	reverse(bars)
	return bars
}

// reverse turns the bars with values around.
func reverse(bars []chart.Bar) {
	n := 0
	for n < len(bars) && bars[n].Note == "" {
		n++
	}
	for i, j := 0, n-1; i < j; i, j = i+1, j-1 {
		bars[i], bars[j] = bars[j], bars[i]
	}
}

// figureBars are any other figure of a table, the smallest first; negative is unknown.
func figureBars(t *result.Table, figure func(*result.Summary) float64, text func(float64) string) []chart.Bar {
	var bars []chart.Bar
	for i := range t.Rows {
		if s := &t.Rows[i]; s.Ok() && figure(s) >= 0 {
			v := figure(s)
			bars = append(bars, chart.Bar{Label: s.Title, Class: s.Peer, Value: v, Text: text(v)})
		}
	}
	chart.Sort(bars)
	reverse(bars)
	return bars
}

// quantileLines draws latency by percentile, each nine as far as the one before.
func quantileLines(t *result.Table) (x, y []chart.Tick, lines []chart.Line) {
	quantiles := []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999}
	last := -math.Log10(1 - quantiles[len(quantiles)-1])
	at := func(q float64) float64 { return -math.Log10(1-q) / last }
	for i := range t.Rows {
		s := &t.Rows[i]
		if !s.Ok() || s.Latencies == nil {
			continue
		}
		l := chart.Line{Label: s.Title, Class: s.Peer}
		for _, q := range quantiles {
			if float64(s.Latencies.TotalCount())*(1-q) >= 1 { // as many as that are slower
				l.Points = append(l.Points, chart.Point{X: at(q), Y: float64(s.Quantile(q)), Tip: fmt.Sprintf("%s: %s%% within %s", s.Title, digits(100*q), quantile(s, q))})
			}
		}
		lines = append(lines, l)
	}
	x = []chart.Tick{{At: at(0.5), Text: "50%"}, {At: at(0.9), Text: "90%"}, {At: at(0.99), Text: "99%"}, {At: at(0.999), Text: "99.9%"}, {At: at(0.9999), Text: "99.99%"}}
	for ns := 1e3; ns <= 1e11; ns *= 10 {
		for _, m := range []float64{1, 3} {
			y = append(y, chart.Tick{At: ns * m, Text: durationOf(ns * m)})
		}
	}
	return x, y, lines
}

// sizeLines draws MB/s by the size of records, for tables that differ in that only.
func sizeLines(tables []result.Table) (x, y []chart.Tick, lines []chart.Line) {
	small, large := math.Log(float64(tables[0].Case.Size)), math.Log(float64(tables[len(tables)-1].Case.Size))
	at := func(size int) float64 { return (math.Log(float64(size)) - small) / (large - small) }
	byPeer := make(map[string]int)
	for i := range tables {
		t := &tables[i]
		x = append(x, chart.Tick{At: at(t.Case.Size), Text: bytesOf(t.Case.Size)})
		for j := range t.Rows {
			s := &t.Rows[j]
			if !s.Ok() {
				continue
			}
			n, ok := byPeer[s.Peer]
			if !ok {
				n = len(lines)
				byPeer[s.Peer] = n
				lines = append(lines, chart.Line{Label: s.Title, Class: s.Peer})
			}
			lines[n].Points = append(lines[n].Points, chart.Point{X: at(t.Case.Size), Y: s.Bytes.Median / 1e6, Tip: fmt.Sprintf("%s, %s: %s MB/s", s.Title, bytesOf(t.Case.Size), count(s.Bytes.Median/1e6))})
		}
	}
	for mb := 1.0; mb <= 1e6; mb *= 10 {
		for _, m := range []float64{1, 3} {
			y = append(y, chart.Tick{At: mb * m, Text: count(mb*m) + " MB/s"})
		}
	}
	return x, y, lines
}

// Panels of the picture of the README, and their size in pixels.
const (
	panelWidth = 440
	panelGap   = 20
	panelHead  = 40
	pictureTop = 12
)

// pictured are the cases that the picture shows, as far as they were measured.
var pictured = []struct {
	title string
	match func(workload.Case) bool
}{
	{"Append batches", func(c workload.Case) bool { return c.Work == workload.Batch && c.Acks == workload.Stored }},
	{"Append batches, fsynced", func(c workload.Case) bool { return c.Work == workload.Batch && c.Acks == workload.Synced }},
	{"One record a call, 64 goroutines", func(c workload.Case) bool {
		return c.Work == workload.Single && c.Acks == workload.Stored && c.Goroutines == 64
	}},
	{"One record a call, 64 goroutines, fsynced", func(c workload.Case) bool {
		return c.Work == workload.Single && c.Acks == workload.Synced && c.Goroutines == 64
	}},
	{"Consume from the start", func(c workload.Case) bool { return c.Work == workload.Cold }},
	{"Consume at the tail, while it is written", func(c workload.Case) bool { return c.Work == workload.Tail }},
}

// Picture draws the rates of the most important cases side by side.
func Picture(w io.Writer, run *result.Run, tables []result.Table) error {
	var b strings.Builder
	x, y, below := panelGap, pictureTop, pictureTop
	for _, p := range pictured {
		t := findTable(tables, p.match)
		if t == nil {
			continue
		}
		bars := rateBars(t)
		fmt.Fprintf(&b, `<g transform="translate(%d %d)"><text class="head" x="0" y="16">%s</text><text class="sub" x="0" y="31">records/s: %s</text>`,
			x, y, p.title, strings.Join(axes(t.Case), ", "))
		fmt.Fprintf(&b, "<g transform=\"translate(0 %d)\">\n%s</g></g>\n", panelHead, chart.Bars(panelWidth, bars))
		below = max(below, y+panelHead+chart.BarsHeight(len(bars))+panelGap)
		if x += panelWidth + panelGap; x > panelWidth+2*panelGap {
			x, y = panelGap, below
		}
	}
	m := run.Machine
	fmt.Fprintf(&b, `<text class="sub" x="%d" y="%d">%s, %s, %s, %s: medians of %s and their spread. A torn bar is cut off.</text>`,
		panelGap, below+8, run.Began.Format("2 January 2006"), plural(m.Cores, "core"), orUnknown(m.CPU), orUnknown(m.Filesystem), plural(run.Rounds, "round"))
	width, height := 2*panelWidth+3*panelGap, below+panelGap
	paper := fmt.Sprintf(`<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	_, err := io.WriteString(w, chart.SVG(width, height, "Samsa beside its peers", themeCSS+chartCSS, paper+b.String()))
	return err
}

// findTable returns the first table that matches, which is the one nearest to the base.
func findTable(tables []result.Table, match func(workload.Case) bool) *result.Table {
	for i := range tables {
		if match(tables[i].Case) {
			return &tables[i]
		}
	}
	return nil
}
