package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Line is a row of points.
type Line struct {
	Label  string
	Class  string // its colour
	Points []Point
}

// Point lies at X, from 0 to 1 from the left, and at the value Y, above 0.
type Point struct {
	X, Y float64
	Tip  string
}

// Tick names a place on an axis: from 0 to 1 on the X axis, a value on the Y axis.
type Tick struct {
	At   float64
	Text string
}

// The margins of Lines, in pixels.
const (
	leftMargin   = 64
	rightMargin  = 150 // the names of the lines
	topMargin    = 14
	bottomMargin = 30
	nameHeight   = 15
)

// Lines draws lines over a logarithmic Y axis, each with its name at its end.
func Lines(width, height int, x, y []Tick, lines []Line) string {
	low, high := math.Inf(1), 0.0
	for _, l := range lines {
		for _, p := range l.Points {
			low, high = math.Min(low, p.Y), math.Max(high, p.Y)
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	low, high = low/1.3, high*1.3
	f := frame{w: float64(width - leftMargin - rightMargin), h: float64(height - topMargin - bottomMargin), low: math.Log(low), high: math.Log(high)}
	var b strings.Builder
	for _, t := range y {
		if t.At < low || t.At > high {
			continue
		}
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1f h%.1f"/><text class="tick" text-anchor="end" x="%d" y="%.1f">%s</text>`,
			leftMargin, f.y(t.At), f.w, leftMargin-8, f.y(t.At)+4, html.EscapeString(t.Text))
	}
	for _, t := range x {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %d v%.1f"/><text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`,
			f.x(t.At), topMargin, f.h, f.x(t.At), height-bottomMargin+20, html.EscapeString(t.Text))
	}
	b.WriteString("\n")
	for _, l := range lines {
		f.line(&b, &l)
	}
	f.names(&b, lines)
	return b.String()
}

type frame struct{ w, h, low, high float64 }

func (f *frame) x(at float64) float64 { return leftMargin + f.w*at }

func (f *frame) y(v float64) float64 {
	return topMargin + f.h*(1-(math.Log(v)-f.low)/(f.high-f.low))
}

func (f *frame) line(b *strings.Builder, l *Line) {
	var path strings.Builder
	for i, p := range l.Points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], f.x(p.X), f.y(p.Y))
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"/>`, l.Class, path.String())
	for _, p := range l.Points {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"><title>%s</title></circle>`, l.Class, f.x(p.X), f.y(p.Y), html.EscapeString(p.Tip))
	}
	b.WriteString("\n")
}

// names writes the names of the lines at their ends, moved apart where they would overlap.
func (f *frame) names(b *strings.Builder, lines []Line) {
	type name struct {
		line *Line
		x, y float64
		at   float64 // where it is written
	}
	var names []name
	for i := range lines {
		if n := len(lines[i].Points); n > 0 {
			p := lines[i].Points[n-1]
			names = append(names, name{line: &lines[i], x: f.x(p.X), y: f.y(p.Y)})
		}
	}
	slices.SortStableFunc(names, func(a, b name) int {
		if a.y < b.y {
			return -1
		}
		return 1
	})
	next := math.Inf(-1)
	for i := range names {
		names[i].at = math.Max(names[i].y, next)
		next = names[i].at + nameHeight
	}
	next = topMargin + f.h + nameHeight/2
	for i := len(names) - 1; i >= 0; i-- {
		names[i].at = math.Min(names[i].at, next)
		next = names[i].at - nameHeight
	}
	for _, n := range names {
		end := leftMargin + f.w
		fmt.Fprintf(b, `<path class="lead %s" d="M%.1f %.1f L%.1f %.1f"/><text class="name %s" x="%.1f" y="%.1f">%s</text>`,
			n.line.Class, n.x+4, n.y, end+14, n.at, n.line.Class, end+18, n.at+4, html.EscapeString(n.line.Label))
		b.WriteString("\n")
	}
}

// SVG wraps a drawing. style is the CSS of a picture that stands alone, "" on a page.
func SVG(width, height int, title, style, drawing string) string {
	if style != "" {
		style = "<style>" + style + "</style>"
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img"><title>%s</title>%s`+"\n%s</svg>\n",
		width, height, width, height, html.EscapeString(title), style, drawing)
}
