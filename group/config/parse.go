package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The checks of values. A value is trimmed before.

// number takes whole numbers of 32 bits, or of 64 where most is larger.
func number(least, most int64) func(string) error {
	return func(v string) error {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < least || n > most {
			return fmt.Errorf("want a whole number from %d to %d", least, most)
		}
		return nil
	}
}

func whole(least int64) func(string) error { return number(least, math.MaxInt32) }

func boolean(v string) error {
	if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
		return errors.New("want true or false")
	}
	return nil
}

func anything(string) error { return nil }

func oneOf(values ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("want %s", strings.Join(values, " or "))
		}
		return nil
	}
}

// listOf takes lists of different items, of those values or, without any, of all that are not empty.
func listOf(least int, values ...string) func(string) error {
	return func(v string) error {
		list := items(v)
		for i, item := range list {
			switch {
			case item == "":
				return errors.New("an item is empty")
			case slices.Contains(list[:i], item):
				return fmt.Errorf("%q is in it twice", item)
			case len(values) > 0 && !slices.Contains(values, item):
				return fmt.Errorf("%q is none of %s", item, strings.Join(values, ", "))
			}
		}
		if len(list) < least {
			return errors.New("it is empty")
		}
		return nil
	}
}

// items returns the items of a list.
func items(v string) []string {
	if strings.TrimSpace(v) == "" {
		return nil
	}
	list := strings.Split(v, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// Reset is where a share group begins in a partition that is new to it.
type Reset struct {
	Kind ResetKind
	Ago  time.Duration // of ResetAgo
}

// ResetKind is a kind of Reset.
type ResetKind uint8

// The kinds of Reset.
const (
	ResetLatest   ResetKind = iota // behind the last record
	ResetEarliest                  // with the first one
	ResetAgo                       // with the first that is at most so old
)

const byDuration = "by_duration:"

var errReset = errors.New("want latest, earliest or by_duration: with a duration in the form PnDTnHnMn.nS, as in by_duration:P1D")

func parseReset(v string) (Reset, error) {
	switch {
	case v == "latest":
		return Reset{Kind: ResetLatest}, nil
	case v == "earliest":
		return Reset{Kind: ResetEarliest}, nil
	case strings.HasPrefix(v, byDuration):
		ago, err := parseDuration(v[len(byDuration):])
		return Reset{Kind: ResetAgo, Ago: ago}, err
	}
	return Reset{}, errReset
}

func reset(v string) error {
	_, err := parseReset(v)
	return err
}

// durationForm is ISO 8601's form of a duration in days and less, as Java's Duration.parse reads it. A duration is not
// negative, in whole or in part.
var durationForm = regexp.MustCompile(`^(?i)P(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{0,9}))?S)?)?$`)

func parseDuration(v string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(v)
	if m == nil || m[1]+m[3]+m[4]+m[5] == "" || strings.EqualFold(m[2], "T") {
		return 0, errReset
	}
	var total float64
	var d time.Duration
	for i, unit := range map[int]time.Duration{1: 24 * time.Hour, 3: time.Hour, 4: time.Minute, 5: time.Second} {
		if m[i] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i], 10, 64)
		total += float64(n) * float64(unit)
		if err != nil || total > math.MaxInt64/2 {
			return 0, fmt.Errorf("%q is too long: %w", v, errReset)
		}
		d += time.Duration(n) * unit
	}
	if frac := m[6]; frac != "" {
		n, _ := strconv.ParseInt(frac+strings.Repeat("0", 9-len(frac)), 10, 64)
		d += time.Duration(n)
	}
	return d, nil
}
