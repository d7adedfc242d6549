package console

import (
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// shared are the templates that pages are made of.
var shared = []string{"templates/layout.html", "templates/parts.html"}

// parsePages parses all pages, each with the layout around it. They are part of the program: what is wrong is a broken
// invariant.
func parsePages() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, shared...))
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	pages := make(map[string]*template.Template)
	for _, name := range names {
		page := template.Must(base.Clone())
		pages[strings.TrimPrefix(name, "templates/")] = template.Must(page.ParseFS(templateFiles, name))
	}
	return pages
}

var funcs = template.FuncMap{
	"num": num, "bytes": size, "rate": rate, "clock": clock, "span": span, "link": link, "dict": dict, "ranges": ranges,
	"plain": func(text any) string { return visible(fmt.Sprint(text), false) },
	"nav":   func() []navEntry { return navigation },
	"join":  strings.Join,
	"sub":   func(a, b int) int { return a - b },
	"more":  more,
	"neg":   func(n int64) int64 { return -n },
	"list":  func(items ...string) []string { return items },
}

// navEntry is a link of the navigation. Key is what is pressed behind g.
type navEntry struct{ Name, Path, Key string }

var navigation = []navEntry{
	{"Overview", "./", "o"}, {"Topics", "topics", "t"}, {"Groups", "groups", "g"}, {"Queues", "queues", "q"}, {"Tables", "tables", "b"}, {"Produce", "produce", "p"}, {"Test kit", "kit", "k"},
}

// num returns n with its thousands apart.
func num(n any) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// size returns so many bytes in a unit that fits.
func size(n any) string {
	if p, ok := n.(*float64); ok {
		n = *p
	}
	v, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(v) < 1024 {
			return short(v) + " " + unit
		}
		v /= 1024
	}
	return short(v) + " TiB"
}

// more returns by how many bytes something has become larger, or with a minus smaller.
func more(n *int64) string {
	if *n > 0 {
		return "+" + size(*n)
	}
	return size(*n)
}

// short returns v with three digits, as far as these say something.
func short(v float64) string {
	switch {
	case v == math.Trunc(v) || math.Abs(v) >= 100:
		return num(int64(math.Round(v)))
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// rate returns a number per second, which may not be known.
func rate(v *float64) string {
	if v == nil {
		return "–"
	}
	return short(*v)
}

// clock returns a time to the millisecond, in UTC; "" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// ranges returns partitions with those of a topic together: "orders 0-5, web_log 2". They are sorted.
func ranges(tps []samsa.TopicPartition) string {
	var out strings.Builder
	for i := 0; i < len(tps); {
		last := i
		for last+1 < len(tps) && tps[last+1].Topic == tps[i].Topic && tps[last+1].Partition == tps[last].Partition+1 {
			last++
		}
		switch {
		case i > 0 && tps[i-1].Topic == tps[i].Topic:
			out.WriteString(",")
		case i > 0:
			out.WriteString(", " + tps[i].Topic)
		default:
			out.WriteString(tps[i].Topic)
		}
		fmt.Fprintf(&out, " %d", tps[i].Partition)
		if last > i {
			fmt.Fprintf(&out, "-%d", tps[last].Partition)
		}
		i = last + 1
	}
	return out.String()
}

// span returns a time as people say it: in the largest unit that leaves no rest.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "unlimited"
	case d == 0:
		return "0"
	}
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d%u.unit == 0 {
			return num(int64(d/u.unit)) + " " + u.name
		}
	}
	return d.String()
}

// link returns the address of a page, relative to any other, with names and values of its query. Those that are "" are
// left out.
func link(page string, pairs ...any) string {
	q := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := fmt.Sprint(pairs[i+1]); v != "" {
			q.Set(fmt.Sprint(pairs[i]), v)
		}
	}
	if len(q) == 0 {
		return page
	}
	return page + "?" + q.Encode()
}

// dict makes a map of names and values, for templates that take several.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}
