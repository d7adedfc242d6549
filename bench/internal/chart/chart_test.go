package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// wellFormed reads through XML.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
	}
}

func TestBarsAreWellFormed(t *testing.T) {
	bars := []Bar{
		{Label: "a < b", Class: "x", Value: 10, Min: 8, Max: 12, Text: "10 & more", Tip: `"tip" <b>`},
		{Label: "none", Note: strings.Repeat("a long reason é ", 20)},
		{Label: "zero", Text: "0"},
		{Label: "limit", Value: 1000, Text: "1 k", Beyond: true},
	}
	svg := SVG(500, BarsHeight(len(bars)), "bars & more", "svg{}", Bars(500, bars))
	wellFormed(t, svg)
	for _, want := range []string{"a &lt; b", "10 &amp; more", "…", "bars &amp; more"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is missing in:\n%s", want, svg)
		}
	}
}

// A bar beyond the others is cut off, but not one that is only a little longer.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		bars []Bar
		want float64
	}{
		{nil, 0},
		{[]Bar{{Value: 5}, {Value: 7}}, 7},
		{[]Bar{{Value: 5}, {Value: 50, Beyond: true}}, 5},
		{[]Bar{{Value: 5}, {Value: 6, Beyond: true}}, 6},
		{[]Bar{{Value: 50, Beyond: true}}, 50},
	} {
		if got := scaleTop(c.bars); got != c.want {
			t.Errorf("%+v: %v, want %v", c.bars, got, c.want)
		}
	}
}

func TestSort(t *testing.T) {
	bars := []Bar{{Label: "a", Value: 1}, {Label: "n", Note: "no"}, {Label: "b", Value: 3}, {Label: "c", Value: 3}, {Label: "m", Note: "no"}}
	Sort(bars)
	var order string
	for _, b := range bars {
		order += b.Label
	}
	if order != "bcanm" {
		t.Error(order)
	}
}

func TestLinesAreWellFormed(t *testing.T) {
	x, y := []Tick{{At: 0, Text: "<0"}, {At: 1, Text: "1"}}, []Tick{{At: 1, Text: "1"}, {At: 1000, Text: "beyond"}}
	for name, lines := range map[string][]Line{
		"some": {
			{Label: "a & b", Class: "a", Points: []Point{{X: 0, Y: 1, Tip: "<1>"}, {X: 1, Y: 10}}},
			{Label: "same end", Class: "b", Points: []Point{{X: 1, Y: 10}}},
			{Label: "no points", Class: "c"},
		},
		"none": nil,
	} {
		svg := SVG(800, 300, name, "", Lines(800, 300, x, y, lines))
		wellFormed(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "beyond") {
			t.Errorf("%s:\n%s", name, svg)
		}
	}
}
