// Package chart draws charts as SVG, whose colours and letters come from CSS classes.
package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Bar is a row of Bars: a value with its spread, or a note in its place.
type Bar struct {
	Label    string
	Class    string // of the bar: its colour
	Value    float64
	Min, Max float64 // the spread; equal when there is none
	Text     string  // the value in letters
	Note     string  // why there is no value; "" when there is one
	// Beyond tells that the bar may be cut off, so that the others can be told apart.
	Beyond bool
	Tip    string // shown when the pointer rests on the row
}

// The measures of Bars, in pixels.
const (
	rowHeight  = 24
	barHeight  = 14
	labelWidth = 128
	textWidth  = 62 // of the value behind the longest bar
	letter     = 6.3
)

// BarsHeight returns how high n bars are.
func BarsHeight(n int) int { return n * rowHeight }

// Bars draws horizontal bars from 0, in a group that is width wide and BarsHeight high.
func Bars(width int, bars []Bar) string {
	room := float64(width - labelWidth - textWidth)
	top := scaleTop(bars)
	var b strings.Builder
	for i, bar := range bars {
		y := i * rowHeight
		fmt.Fprintf(&b, `<g transform="translate(0 %d)">`, y)
		if bar.Tip != "" {
			fmt.Fprintf(&b, `<title>%s</title><rect class="hit" width="%d" height="%d"/>`, html.EscapeString(bar.Tip), width, rowHeight)
		}
		fmt.Fprintf(&b, `<text class="label %s" x="%d" y="16">%s</text>`, bar.Class, labelWidth-10, html.EscapeString(bar.Label))
		if bar.Note != "" {
			note(&b, bar.Note, room+textWidth)
		} else {
			drawBar(&b, &bar, room, top)
		}
		b.WriteString("</g>\n")
	}
	return b.String()
}

// scaleTop returns the value at the end of the scale: the largest, except those beyond, which
// count only when they are not much more than the others.
func scaleTop(bars []Bar) float64 {
	top, beyond := 0.0, 0.0
	for _, bar := range bars {
		if bar.Beyond {
			beyond = max(beyond, bar.Value)
		} else {
			top = max(top, bar.Value)
		}
	}
	if top == 0 || beyond <= 1.25*top {
		return max(top, beyond)
	}
	return top
}

func note(b *strings.Builder, text string, room float64) {
	if most := int(room / letter); len([]rune(text)) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	fmt.Fprintf(b, `<text class="note" x="%d" y="16">%s</text>`, labelWidth, html.EscapeString(text))
}

func drawBar(b *strings.Builder, bar *Bar, room, top float64) {
	const y = (rowHeight - barHeight) / 2
	if top <= 0 {
		top = 1
	}
	length := math.Max(1.5, room*bar.Value/top)
	if bar.Value > top { // cut off, with a torn end
		fmt.Fprintf(b, `<path class="bar %s" d="M%d %d h%.1f l5 3.5 l-5 3.5 l5 3.5 l-5 3.5 h-%.1f z"/>`, bar.Class, labelWidth, y, room-5, room-5)
		fmt.Fprintf(b, `<text class="value" x="%.1f" y="16">%s</text>`, labelWidth+room+6, html.EscapeString(bar.Text))
		return
	}
	fmt.Fprintf(b, `<rect class="bar %s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, bar.Class, labelWidth, y, length, barHeight)
	end := labelWidth + length
	if bar.Max > bar.Min {
		from, to := labelWidth+room*bar.Min/top, labelWidth+math.Min(room+4, room*bar.Max/top)
		fmt.Fprintf(b, `<path class="spread" d="M%.1f 12 H%.1f M%.1f 9 v6 M%.1f 9 v6"/>`, from, to, from, to)
		end = math.Max(end, to)
	}
	fmt.Fprintf(b, `<text class="value" x="%.1f" y="16">%s</text>`, end+6, html.EscapeString(bar.Text))
}

// Sort orders bars from the largest value to the smallest; those without come last.
func Sort(bars []Bar) {
	slices.SortStableFunc(bars, func(a, b Bar) int {
		switch {
		case (a.Note == "") != (b.Note == ""):
			if a.Note == "" {
				return -1
			}
			return 1
		case a.Value != b.Value:
			if a.Value > b.Value {
				return -1
			}
			return 1
		}
		return 0
	})
}
