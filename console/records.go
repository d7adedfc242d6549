package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	recordsDefault = 50
	recordsMax     = 500
)

// browsing is what the address of the record browser says.
type browsing struct {
	Topic     string
	Partition int32 // -1 for all
	From      string
	N         int
	NewFirst  bool // rows are newest first

	older, newer string // offsets of the page before or behind which this one is
}

// parseBrowsing reads the address.
func parseBrowsing(r *http.Request) (q browsing, err error) {
	q = browsing{
		Topic: r.FormValue("topic"), From: strings.TrimSpace(r.FormValue("from")), N: recordsDefault,
		older: r.FormValue("older"), newer: r.FormValue("newer"),
	}
	if q.Partition, err = partitionOf(r); err != nil {
		return q, err
	}
	if n := r.FormValue("n"); n != "" {
		if q.N, err = strconv.Atoi(n); err != nil || q.N < 1 || q.N > recordsMax {
			return q, fmt.Errorf("%w: n is %q, want 1 to %d", errAsked, n, recordsMax)
		}
	}
	if q.From == "" && q.older == "" && q.newer == "" {
		q.From = "newest"
	}
	switch order := r.FormValue("order"); order {
	case "new":
		q.NewFirst = true
	case "":
		q.NewFirst = q.From == "newest" || q.older != ""
	case "old":
	default:
		return q, fmt.Errorf("%w: order is %q, want old or new", errAsked, order)
	}
	return q, nil
}

// partitionOf returns the partition that an address names; -1 for all.
func partitionOf(r *http.Request) (int32, error) {
	text := r.FormValue("partition")
	if text == "" || text == "all" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: partition is %q, want a number, or all", errAsked, text)
	}
	return int32(n), nil
}

// PartitionText is what the address has for the partition.
func (q browsing) PartitionText() string {
	if q.Partition < 0 {
		return "all"
	}
	return strconv.Itoa(int(q.Partition))
}

// Link returns the address of another page of the same browsing.
func (q browsing) Link(pairs ...any) string {
	n, order := "", "old"
	if q.N != recordsDefault {
		n = strconv.Itoa(q.N)
	}
	if q.NewFirst {
		order = "new"
	}
	return link("records", append([]any{"topic", q.Topic, "partition", q.PartitionText(), "n", n, "order", order}, pairs...)...)
}

// place is where to begin to read: an offset, a time, or one of the ends.
type place struct {
	start  samsa.Start
	offset int64 // -1 if it is none
	newest bool
}

// parsePlace reads a place as people write it: newest, oldest, an offset, a time in UTC, -90m for so long ago, or @ and
// ms since the epoch.
func parsePlace(text string, now time.Time) (place, error) {
	switch text {
	case "newest", "latest":
		return place{samsa.Latest(), -1, true}, nil
	case "oldest", "earliest", "":
		return place{samsa.Earliest(), -1, false}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return place{samsa.AtOffset(n), n, false}, nil
	}
	if t, ok := parseTime(text, now); ok {
		return place{samsa.AtTime(t), -1, false}, nil
	}
	return place{}, fmt.Errorf("%w: %q is no place: want an offset, a time as 2026-11-29 13:00, -90m for so long ago, @ and ms since the epoch, oldest or newest", samsa.ErrInvalid, text)
}

// layouts are the notations of times, besides those of RFC 3339.
var layouts = []string{
	"2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.RFC3339Nano,
}

func parseTime(text string, now time.Time) (time.Time, bool) {
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		ms, err := strconv.ParseInt(rest, 10, 64)
		return time.UnixMilli(ms), err == nil
	}
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		if days, ok := strings.CutSuffix(rest, "d"); ok {
			n, err := strconv.Atoi(days)
			return now.AddDate(0, 0, -n), err == nil
		}
		d, err := time.ParseDuration(rest)
		return now.Add(-d), err == nil
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// offsets returns where a place is in each of the partitions.
func (c *console) offsets(ctx context.Context, at place, parts []reach) ([]int64, error) {
	offsets := make([]int64, len(parts))
	if at.offset >= 0 {
		for i, p := range parts {
			offsets[i] = p.clamp(at.offset)
		}
		return offsets, nil
	}
	listed, err := c.broker().ListOffsets(ctx, parts[0].Topic, at.start)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		offsets[i] = p.Start
		if int(p.Partition) < len(listed) {
			offsets[i] = p.clamp(listed[p.Partition].Offset)
		}
	}
	return offsets, nil
}

// parseOffsets reads offsets as joinOffsets writes them.
func parseOffsets(text string, n int) ([]int64, error) {
	fields := strings.Split(text, ",")
	if len(fields) != n {
		return nil, fmt.Errorf("%w: it has %d offsets, and there are %d partitions", errAsked, len(fields), n)
	}
	offsets := make([]int64, n)
	for i, f := range fields {
		var err error
		if offsets[i], err = strconv.ParseInt(f, 10, 64); err != nil || offsets[i] < 0 {
			return nil, fmt.Errorf("%w: %q is no offset", errAsked, f)
		}
	}
	return offsets, nil
}

func joinOffsets(offsets []int64) string {
	fields := make([]string, len(offsets))
	for i, o := range offsets {
		fields[i] = strconv.FormatInt(o, 10)
	}
	return strings.Join(fields, ",")
}

// leafOf reads the page that an address asks for.
func (c *console) leafOf(ctx context.Context, q browsing, parts []reach) (leaf, error) {
	if q.older != "" || q.newer != "" {
		offsets, err := parseOffsets(q.older+q.newer, len(parts))
		switch {
		case err != nil:
			return leaf{}, err
		case q.older != "":
			return c.older(ctx, parts, offsets, q.N)
		}
		return c.newer(ctx, parts, offsets, q.N)
	}
	at, err := parsePlace(q.From, time.Now())
	if err != nil {
		return leaf{}, err
	}
	if at.newest {
		ends := make([]int64, len(parts))
		for i, p := range parts {
			ends[i] = p.End
		}
		return c.older(ctx, parts, ends, q.N)
	}
	from, err := c.offsets(ctx, at, parts)
	if err != nil {
		return leaf{}, err
	}
	return c.newer(ctx, parts, from, q.N)
}

// recordRow is a record in a list.
type recordRow struct {
	samsa.Record
	KeyShown, ValueShown shown
	Hit                  *hit // what a search has found in it
}

func (d *decoding) rows(records []samsa.Record) []recordRow {
	rows := make([]recordRow, len(records))
	for i, r := range records {
		rows[i] = d.row(r, nil)
	}
	return rows
}

// browsed is what the record browser shows.
type browsed struct {
	browsing
	Partitions   []int32 // to choose from
	TooMany      bool    // partitions for one page: the first one is shown
	Rows         []recordRow
	Older, Newer string // addresses, "" at the ends
	Start, End   int64  // offsets of a single partition
	Search       search
	FollowLink   string
}

// records shows records of a topic.
func (c *console) records(ctx context.Context, r *http.Request) (view, error) {
	q, err := parseBrowsing(r)
	v := view{Page: "records.html", Title: "Records of " + q.Topic, Nav: "Topics"}
	if err != nil {
		return v, err
	}
	all, err := c.reaches(ctx, q.Topic, -1)
	if err != nil {
		return v, err
	}
	d := browsed{Partitions: make([]int32, len(all))}
	for i, p := range all {
		d.Partitions[i] = p.Partition
	}
	if d.TooMany = q.Partition < 0 && len(all) > mergedMax; d.TooMany || len(all) == 1 {
		q.Partition = max(q.Partition, 0)
	}
	parts := all
	if q.Partition >= 0 {
		if parts, err = c.reaches(ctx, q.Topic, q.Partition); err != nil {
			return v, err
		}
		d.Start, d.End = parts[0].Start, parts[0].End
	}
	done, err := c.reading(ctx)
	if err != nil {
		return v, err
	}
	defer done()
	l, err := c.leafOf(ctx, q, parts)
	if err != nil {
		return v, err
	}
	dec, end := c.decoding(ctx)
	defer end()
	if readBack := q.older != "" || q.From == "newest"; readBack != q.NewFirst {
		slices.Reverse(l.records)
	}
	d.browsing, d.Rows = q, dec.rows(l.records)
	v.Notes = append(l.damaged, dec.notes()...)
	for i, p := range parts {
		if l.lo[i] > p.Start {
			d.Older = q.Link("older", joinOffsets(l.lo))
		}
		if l.hi[i] < p.End {
			d.Newer = q.Link("newer", joinOffsets(l.hi))
		}
	}
	d.FollowLink = link("tail", "topic", q.Topic, "partition", q.PartitionText())
	d.Search = search{As: "text", Topic: q.Topic, Partition: q.PartitionText(), From: "-1h", Keys: true, Values: true, Headers: true}
	v.Data = d
	return v, nil
}
