package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cron is the times of a line of a crontab, in UTC: minute, hour, day of the month, month, day of the week. A bit is set for each
// number that counts.
type cron struct {
	minute, hour, day, month, weekday uint64
	eitherDay                         bool // both days are given: one of them is enough, as cron has it
}

// parse reads five fields of numbers, ranges, lists and steps: "*/15 9-17 * * 1,3,5".
func parse(line string) (c cron, err error) {
	fields := strings.Fields(line)
	if len(fields) != 5 {
		return c, fmt.Errorf("%q has %d fields, not 5", line, len(fields))
	}
	for i, f := range []struct {
		to       *uint64
		min, max int
	}{{&c.minute, 0, 59}, {&c.hour, 0, 23}, {&c.day, 1, 31}, {&c.month, 1, 12}, {&c.weekday, 0, 6}} {
		for _, part := range strings.Split(fields[i], ",") {
			if err := set(f.to, part, f.min, f.max); err != nil {
				return c, fmt.Errorf("%q: %w", line, err)
			}
		}
	}
	c.eitherDay = fields[2][0] != '*' && fields[4][0] != '*'
	if c.next(time.Unix(0, 0)).IsZero() {
		return c, fmt.Errorf("%q: there is no such day", line)
	}
	return c, nil
}

// set sets the bits of one part of a field: "*", "3", "3-7", each with "/2" or without.
func set(bits *uint64, part string, lowest, highest int) error {
	text, every, stepped := strings.Cut(part, "/")
	step, from, to := 1, lowest, highest
	var err error
	if stepped {
		if step, err = strconv.Atoi(every); err != nil || step < 1 {
			return fmt.Errorf("%q is no step", part)
		}
	}
	if text != "*" {
		first, last, isRange := strings.Cut(text, "-")
		if from, err = strconv.Atoi(first); err != nil {
			return fmt.Errorf("%q is no number", part)
		}
		switch {
		case isRange:
			if to, err = strconv.Atoi(last); err != nil {
				return fmt.Errorf("%q is no range", part)
			}
		case !stepped:
			to = from
		}
	}
	if from < lowest || to > highest || from > to {
		return fmt.Errorf("%q is not in %d to %d", part, lowest, highest)
	}
	for n := from; n <= to; n += step {
		*bits |= 1 << n
	}
	return nil
}

// next returns the first time after t, or the zero time where there is none in eight years, which have a 29 February.
func (c cron) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	for end := t.AddDate(8, 0, 0); t.Before(end); {
		switch y, m, d := t.Date(); {
		case !c.onDay(t):
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case c.hour>>t.Hour()&1 == 0:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case c.minute>>t.Minute()&1 == 0:
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

func (c cron) onDay(t time.Time) bool {
	day, weekday := c.day>>t.Day()&1 == 1, c.weekday>>t.Weekday()&1 == 1
	if c.eitherDay {
		day, weekday = day || weekday, true
	}
	return c.month>>t.Month()&1 == 1 && day && weekday
}
