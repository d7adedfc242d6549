package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/samsa-go/samsa/bench/internal/chart"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// page is what the template shows.
type page struct {
	CSS                                        template.CSS
	Date, Samsa, Rounds, Limits, Command, Took string
	Fastest                                    string // a sentence on how often Samsa is; "" without Samsa
	Facts, Failures                            []fact
	Heat                                       heat
	Sections                                   []section
	Peers                                      []result.Peer
}

type fact struct{ Name, Value string }

type section struct {
	ID, Title, About string
	Cards            []card
}

// card is a chart with the figures that it is made of.
type card struct {
	Title, Sub string
	Wide       bool
	Chart      template.HTML
	Head       []string
	Rows       [][]string
}

// heat is the overview: ratios to Samsa by peer and case.
type heat struct {
	Columns []struct{ Name, Link string }
	Rows    []heatRow
}

type heatRow struct {
	Name, Class string
	Cells       []heatCell
}

type heatCell struct {
	Text, Tip string
	Style     template.CSS
}

// HTML writes one page that needs nothing else, no network either.
func HTML(w io.Writer, run *result.Run, tables []result.Table) error {
	p := page{
		CSS:     template.CSS(themeCSS + pageCSS + chartCSS), // all of it is ours
		Date:    run.Began.Format("2 January 2006, 15:04 MST"),
		Samsa:   run.Samsa,
		Rounds:  times(run.Rounds),
		Limits:  fmt.Sprintf("Each measurement appends for up to %s and up to %s records.", run.Limits.Time, count(float64(run.Limits.Records))),
		Command: run.Command,
		Took:    run.Took.String(),
		Facts:   facts(run),
		Fastest: fastestSentence(tables),
		Heat:    makeHeat(run, tables),
		Peers:   run.Peers,
	}
	seen := make(map[fact]bool)
	for i := range run.Results {
		r := &run.Results[i]
		if f := (fact{r.Peer, r.Failed}); r.Failed != "" && !seen[f] {
			seen[f] = true
			p.Failures = append(p.Failures, f)
		}
	}
	for _, work := range workload.All() {
		s := section{ID: work.Name, Title: work.Title, About: work.About}
		var of []result.Table
		for _, t := range tables {
			if t.Case.Work == work.Name {
				of = append(of, t)
			}
		}
		if len(of) > 0 {
			s.Cards = cards(of)
			p.Sections = append(p.Sections, s)
		}
	}
	return pageTemplate.Execute(w, p)
}

// fastestSentence counts over all that was measured, not over a choice of it.
func fastestSentence(tables []result.Table) string {
	won, of := 0, 0
	for i := range tables {
		samsa := tables[i].Find(peer.Samsa)
		if samsa == nil || !samsa.Ok() {
			continue
		}
		of++
		if fastest(&tables[i]) == samsa {
			won++
		}
	}
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("Of the %s, Samsa is the fastest on disk in %d, the plain file aside.", plural(of, "case"), won)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func facts(run *result.Run) []fact {
	m := run.Machine
	return []fact{
		{"Processor", fmt.Sprintf("%s on %s, %s", plural(m.Cores, "core"), orUnknown(m.CPU), m.Arch)},
		{"Memory", size(float64(m.Memory))},
		{"Disk", orUnknown(m.Disk)},
		{"Filesystem", orUnknown(m.Filesystem)},
		{"System", orUnknown(m.System)},
		{"Go", m.Go},
		{"Load before", orUnknown(m.Load)},
		{"Others took", orUnknown(m.Others) + " of the processors"},
	}
}

// barsWidth is how wide charts are drawn; the page scales them.
const barsWidth = 540

// cards are the charts of one workload.
func cards(tables []result.Table) []card {
	var cs []card
	for i := range tables {
		t := &tables[i]
		sub := strings.Join(axes(t.Case), ", ")
		if t.Case.Work == workload.Latency {
			cs = append(cs, latencyCards(t, sub)...)
			continue
		}
		cs = append(cs, withFigures(barCard("records/s", sub, rateBars(t)), t))
		if t.Case.Work == workload.Retention {
			cs = append(cs, barCard("most on disk, in times of what is kept", sub, figureBars(t, diskOf, digits)))
		}
	}
	if bySize := sizes(tables); len(bySize) > 2 {
		x, y, lines := sizeLines(bySize)
		cs = append(cs, card{Title: "MB/s by the size of a record", Sub: "JSON, both scales logarithmic", Wide: true, Chart: lineChart("MB/s by the size of a record", x, y, lines)})
	}
	if t := &tables[0]; t.Case.Work == workload.Batch {
		sub := strings.Join(axes(t.Case), ", ")
		cs = append(cs,
			barCard("bytes written to disk for each byte appended", sub, figureBars(t, func(s *result.Summary) float64 { return s.Written }, digits)),
			barCard("peak RSS", sub, figureBars(t, func(s *result.Summary) float64 { return float64(s.RSS) }, size)))
	}
	return cs
}

// diskOf returns what the directory had, or -1 for a peer without one.
func diskOf(s *result.Summary) float64 {
	if s.Disk == 0 {
		return -1
	}
	return s.Disk
}

func barCard(title, sub string, bars []chart.Bar) card {
	drawing := chart.Bars(barsWidth, bars)
	return card{Title: title, Sub: sub, Chart: template.HTML(chart.SVG(barsWidth, chart.BarsHeight(len(bars)), title+": "+sub, "", drawing))}
}

func withFigures(c card, t *result.Table) card {
	c.Head = textColumns
	retention := t.Case.Work == workload.Retention
	if retention {
		c.Head = append(c.Head[:len(c.Head):len(c.Head)], "disk/kept")
	}
	for i := range t.Rows {
		if t.Rows[i].Ok() {
			c.Rows = append(c.Rows, cells(&t.Rows[i], retention))
		}
	}
	return c
}

// lineChart draws lines over the whole width of the page.
func lineChart(title string, x, y []chart.Tick, lines []chart.Line) template.HTML {
	const width, height = 1120, 380
	return template.HTML(chart.SVG(width, height, title, "", chart.Lines(width, height, x, y, lines)))
}

func latencyCards(t *result.Table, sub string) []card {
	x, y, lines := quantileLines(t)
	curve := withFigures(card{Title: "latency by percentile", Sub: sub + "; the scale is logarithmic", Wide: true, Chart: lineChart("latency by percentile", x, y, lines)}, t)
	return []card{curve, barCard("median", sub, quantileBars(t, 0.5)), barCard("99th percentile", sub, quantileBars(t, 0.99))}
}

// sizes returns the tables that differ from the first in the size, and what follows from it,
// only.
func sizes(tables []result.Table) []result.Table {
	var of []result.Table
	for _, t := range tables {
		like, base := t.Case, tables[0].Case
		like.Size, like.Batch, base.Size, base.Batch = 0, 0, 0, 0
		if like == base && (len(of) == 0 || t.Case.Size > of[len(of)-1].Case.Size) {
			of = append(of, t)
		}
	}
	return of
}

// makeHeat makes the overview of the cases of the base; none without Samsa.
func makeHeat(run *result.Run, tables []result.Table) heat {
	var h heat
	base := bases(tables)
	if len(base) == 0 || base[0].Find(peer.Samsa) == nil {
		return h
	}
	for _, t := range base {
		h.Columns = append(h.Columns, struct{ Name, Link string }{columnName(t.Case), t.Case.Work})
	}
	for _, p := range run.Peers {
		row := heatRow{Name: p.Title, Class: p.Name}
		for i := range base {
			row.Cells = append(row.Cells, heatOf(base[i].Find(p.Name)))
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

func heatOf(s *result.Summary) heatCell {
	switch {
	case s == nil:
		return heatCell{Text: none}
	case s.Failed != "":
		return heatCell{Text: "failed", Tip: s.Failed}
	case !s.Ok():
		return heatCell{Text: none, Tip: s.Cannot}
	case s.ToSamsa == 0:
		return heatCell{Text: none, Tip: figure(s)}
	}
	c := heatCell{Text: ratio(s.ToSamsa), Tip: s.Title + ": " + figure(s)}
	// Four times as fast or as slow has the full colour.
	strength := math.Min(1, math.Abs(math.Log2(s.ToSamsa))/2) * 0.5
	colour := "--good"
	if s.ToSamsa > 1 {
		colour = "--bad"
	}
	if s.Peer != peer.Samsa {
		c.Style = template.CSS(fmt.Sprintf("background: rgba(var(%s), %.2f)", colour, strength))
	}
	return c
}

// columnName names a case of the overview.
func columnName(c workload.Case) string {
	name := map[string]string{
		workload.Batch: "append batches", workload.Single: "append one,", workload.Cold: "consume from start", workload.Tail: "consume at the tail",
		workload.Group: "consume in a group", workload.Latency: "latency", workload.Retention: "under retention",
		workload.Queue: "work off a queue", workload.Transactions: "in transactions",
	}[c.Work]
	if c.Goroutines > 0 {
		name += fmt.Sprintf(" ×%d", c.Goroutines)
	}
	if c.Acks == workload.Synced {
		name += ", fsynced"
	}
	return name
}
