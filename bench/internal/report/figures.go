package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/bench/internal/result"
)

// none stands for a figure that is not known, or that there is not.
const none = "-"

// count writes a number with three digits that count, and thousands apart.
func count(v float64) string {
	switch {
	case v >= 100:
		digits := math.Pow(10, math.Floor(math.Log10(v))-2)
		return thousands(int64(math.Round(v/digits) * digits))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}

// short writes a number in as few letters as a chart has room for.
func short(v float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.of*0.9995 {
			return digits(v/unit.of) + " " + unit.name
		}
	}
	return digits(v)
}

// digits writes a number below 1000 with three digits at most.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// size writes bytes.
func size(bytes float64) string {
	if bytes < 0 {
		return none
	}
	if bytes >= 1<<30 {
		return digits(bytes/(1<<30)) + " GiB"
	}
	return digits(bytes/(1<<20)) + " MiB"
}

// duration writes a time with three digits at most.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if float64(d) >= 0.9995*float64(unit.of) {
			return digits(float64(d)/float64(unit.of)) + " " + unit.name
		}
	}
	return digits(float64(d)/1e3) + " µs"
}

func quantile(s *result.Summary, q float64) string {
	if s.Latencies == nil {
		return none
	}
	return duration(s.Quantile(q))
}

func allocs(v float64) string {
	if v < 0.005 {
		return "0"
	}
	return digits(v)
}

func written(s *result.Summary) string {
	if s.Written < 0 {
		return none
	}
	return digits(s.Written)
}

func ratio(v float64) string {
	switch {
	case v == 0:
		return none
	case v < 0.01:
		return strconv.FormatFloat(v, 'g', 1, 64)
	}
	return digits(v)
}

// plusMinus writes how far the rounds were apart, in percent of the median.
func plusMinus(s result.Spread) string {
	return fmt.Sprintf("±%.0f%%", 100*max(s.Max-s.Median, s.Median-s.Min)/s.Median)
}

func durationOf(ns float64) string { return duration(time.Duration(ns)) }

// bytesOf writes the size of a record.
func bytesOf(n int) string {
	if n >= 1000 {
		return digits(float64(n)/1000) + " kB"
	}
	return fmt.Sprintf("%d B", n)
}
