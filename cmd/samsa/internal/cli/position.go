package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/samsa-go/samsa/internal/api"
)

// positionFlag is a flag for a place in partitions: see the help topic positions.
type positionFlag struct {
	api.Position
	now func() time.Time
}

// String returns it as it may be given.
func (p *positionFlag) String() string { return p.Position.String() }

// Type names what it takes.
func (p *positionFlag) Type() string { return "position" }

// Set reads it.
func (p *positionFlag) Set(text string) error {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		p.Position = api.Offset(n)
		return nil
	}
	if t, ok := parseMoment(text, p.now()); ok {
		p.Position = api.Since(t)
		return nil
	}
	got, err := api.ParsePosition(text)
	if err != nil || got.IsZero() {
		return fmt.Errorf("want earliest, latest, an offset, a time or last:N (samsa help positions)")
	}
	p.Position = got
	return nil
}

// parseMoment reads a time as people write it: of RFC 3339, a date, a date and a time of this place, or how long ago it is, -1h30m.
func parseMoment(text string, now time.Time) (time.Time, bool) {
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		if d, err := time.ParseDuration(text); err == nil {
			return now.Add(d), true
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

const positionsText = `Where reading begins, where a group is moved, and before what records are deleted is a position:

  earliest              the first record that is there
  latest                behind the last one
  1042, offset:1042     that offset, in each partition
  2026-11-29T13:19:21Z  the first record of that time or later; so are 2026-11-29, and "2026-11-29 13:19" in the time zone of this machine
  -1h30m                so long ago
  time:1764422361000    milliseconds since 1970
  last:10               so many records before the end of each partition
  shift:-5, shift:5     for groups, so many records back or on from where it stands

A time behind the last record is the end, and so is, for who reads, an offset that a partition does not have yet.`
