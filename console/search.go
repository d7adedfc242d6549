package console

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
)

// Limits of one step of a search. A search goes on step by step as long as somebody asks for the next one: who closes the
// page has stopped it.
const (
	stepRecords = 20_000
	stepBytes   = 32 << 20
	stepTime    = time.Second
	stepFound   = 100
	needleMax   = 1 << 10 // bytes of what is searched for
	aroundMax   = 40      // bytes shown before and behind what was found
)

// search is what is searched for, and where.
type search struct {
	Topic, Partition, From, Text string
	As                           string // text, case, regexp or hex
	Keys, Values, Headers        bool
}

// parseSearch reads the address of a search.
func parseSearch(r *http.Request) (s search, err error) {
	s = search{
		Topic: r.FormValue("topic"), Partition: r.FormValue("partition"), From: strings.TrimSpace(r.FormValue("from")), Text: r.FormValue("q"),
		As: r.FormValue("as"), Keys: r.FormValue("keys") != "", Values: r.FormValue("values") != "", Headers: r.FormValue("headers") != "",
	}
	if s.As == "" {
		s.As = "text"
	}
	if s.Partition == "" {
		s.Partition = "all"
	}
	if !s.Keys && !s.Values && !s.Headers {
		s.Keys, s.Values, s.Headers = true, true, true
	}
	if len(s.Text) > needleMax {
		return s, fmt.Errorf("%w: %d bytes to search for, at most %d", samsa.ErrInvalid, len(s.Text), needleMax)
	}
	return s, nil
}

// link returns the address of a step of the search.
func (s search) link(page string, pairs ...any) string {
	on := map[bool]string{true: "1"}
	return link(page, append([]any{"topic", s.Topic, "partition", s.Partition, "from", s.From, "q", s.Text, "as", s.As,
		"keys", on[s.Keys], "values", on[s.Values], "headers", on[s.Headers]}, pairs...)...)
}

// hit is where a record has what was searched for, with what stands around it.
type hit struct{ Where, Before, Match, After string }

// matcher returns what finds the text in bytes: where, or -1, and whether it has not known by a time.
func (s search) matcher() (func(b []byte, until time.Time) (from, to int, tired bool), error) {
	switch s.As {
	case "case", "hex":
		needle := []byte(s.Text)
		if s.As == "hex" {
			var err error
			if needle, err = hex.DecodeString(strings.NewReplacer(" ", "", ":", "", "0x", "").Replace(s.Text)); err != nil {
				return nil, fmt.Errorf("%w: %q is no hex: %w", samsa.ErrInvalid, s.Text, err)
			}
		}
		return func(b []byte, _ time.Time) (int, int, bool) {
			i := bytes.Index(b, needle)
			return i, i + len(needle), false
		}, nil
	case "text", "regexp":
		pattern := s.Text
		if s.As == "text" {
			pattern = "(?i)" + regexp.QuoteMeta(s.Text)
		}
		re, err := compile(pattern)
		if err != nil {
			return nil, err
		}
		return func(b []byte, until time.Time) (int, int, bool) { return findIn(re, b, until) }, nil
	}
	return nil, fmt.Errorf("%w: as is %q, want text, case, regexp or hex", errAsked, s.As)
}

// finder says where a record has what is searched for: as it is stored, or else as it is decoded. It is tired of one for which it takes too
// long to know.
type finder func(dec *decoding, r samsa.Record) (h hit, ok, tired bool)

// finder returns what finds the text.
func (s search) finder() (finder, error) {
	match, err := s.matcher()
	if err != nil {
		return nil, err
	}
	return func(dec *decoding, r samsa.Record) (h hit, ok, tired bool) {
		until := time.Now().Add(recordTime)
		in := func(where string, b []byte) (hit, bool) {
			if tired = tired || time.Now().After(until); tired {
				return hit{}, false
			}
			from, to, long := match(b, until)
			if tired = long; from < 0 {
				return hit{}, false
			}
			return around(where, b, from, to), true
		}
		if s.Values {
			h, ok = in("value", r.Value)
		}
		if !ok && s.Keys {
			h, ok = in("key", r.Key)
		}
		for i := 0; i < len(r.Headers) && !ok && s.Headers; i++ {
			if h, ok = in("header", []byte(r.Headers[i].Key)); !ok {
				h, ok = in("header "+r.Headers[i].Key, r.Headers[i].Value)
			}
		}
		if ok || tired || !s.Values && !s.Keys {
			return h, ok, tired
		}
		key, value := dec.of(r)
		if value.Text != nil && s.Values {
			h, ok = in("decoded value", value.searched())
		}
		if !ok && key.Text != nil && s.Keys {
			h, ok = in("decoded key", key.searched())
		}
		return h, ok, tired
	}, nil
}

// around returns what stands around what was found.
func around(where string, b []byte, from, to int) hit {
	text := func(part []byte) string {
		if !utf8.Valid(part) {
			return fmt.Sprintf("% x", part)
		}
		return visible(string(part), false)
	}
	before := b[max(0, from-aroundMax):from]
	for len(before) > 0 && !utf8.RuneStart(before[0]) {
		before = before[1:]
	}
	to = min(to, from+previewMaxBytes)
	return hit{visible(where, false), text(before), text(wholeRunes(b[from:to])), text(wholeRunes(b[to:min(len(b), to+aroundMax)]))}
}

// cursor is how far a search is: in a partition, at the offset next, before end. The partitions before are done, those
// behind are not begun. What is appended to a partition after the search has come to it is not looked at.
type cursor struct {
	partition int32
	next, end int64 // -1 for a partition that is not begun
}

func (k cursor) String() string { return fmt.Sprintf("%d.%d.%d", k.partition, k.next, k.end) }

func parseCursor(text string) (k cursor, err error) {
	if text == "" {
		return cursor{0, -1, -1}, nil
	}
	if n, err := fmt.Sscanf(text, "%d.%d.%d", &k.partition, &k.next, &k.end); n != 3 || err != nil || k.String() != text {
		return k, fmt.Errorf("%w: %q is nowhere in a search", errAsked, text)
	}
	return k, nil
}

// step is what a step of a search has found.
type step struct {
	rows    []recordRow
	looked  int64
	damaged []string
	next    cursor
	done    bool
}

// step looks at the next records, within the limits of a step.
func (c *console) step(ctx context.Context, dec *decoding, s search, k cursor, parts []reach) (st step, err error) {
	at, err := parsePlace(s.From, time.Now())
	if err != nil {
		return st, err
	}
	find, err := s.finder()
	if err != nil {
		return st, err
	}
	q, until := quota{stepRecords, stepBytes}, time.Now().Add(stepTime)
	for _, p := range parts {
		if p.Partition < k.partition {
			continue
		}
		if p.Partition > k.partition || k.next < 0 {
			k = cursor{p.Partition, -1, p.End}
		}
		full := false
		read, err := c.forwardFrom(ctx, p, at, k.next, q, func(r samsa.Record) bool {
			if r.Offset >= k.end {
				return false
			}
			k.next = r.Offset + 1
			st.looked++
			q.records, q.bytes = q.records-1, q.bytes-weight(r)
			h, ok, tired := find(dec, r)
			if ok {
				st.rows = append(st.rows, dec.row(r, &h))
			}
			if tired {
				st.damaged = append(st.damaged, fmt.Sprintf("%s: the record at offset %d takes too long to be searched, and was given up", p.TopicPartition, r.Offset))
			}
			full = len(st.rows) >= stepFound || q.records <= 0 || q.bytes <= 0 || time.Now().After(until)
			return !full
		})
		if err != nil {
			return st, err
		}
		st.damaged = append(st.damaged, read.damaged...)
		if full && k.next < k.end {
			st.next = k
			return st, nil
		}
		if k = (cursor{p.Partition + 1, -1, -1}); full {
			break
		}
	}
	st.next, st.done = k, k.partition > parts[len(parts)-1].Partition
	return st, nil
}

// searched is what the page of a search shows.
type searched struct {
	Search search
	Rows   []recordRow
	Looked int64  // until now
	Of     int64  // offsets, about as many records
	Next   string // the address of the next step, "" when all is done
}

// search looks for records, one step of it.
func (c *console) search(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "search.html", Title: "Search", Nav: "Topics"}
	s, err := parseSearch(r)
	if err != nil {
		return v, err
	}
	v.Title = "Search in " + s.Topic
	k, err := parseCursor(r.FormValue("at"))
	if err != nil {
		return v, err
	}
	partition, err := partitionOf(r)
	if err != nil {
		return v, err
	}
	parts, err := c.reaches(ctx, s.Topic, partition)
	if err != nil {
		return v, err
	}
	done, err := c.reading(ctx)
	if err != nil {
		return v, err
	}
	defer done()
	d := searched{Search: s}
	d.Looked, _ = strconv.ParseInt(r.FormValue("looked"), 10, 64)
	if d.Of, err = strconv.ParseInt(r.FormValue("of"), 10, 64); err != nil {
		if d.Of, err = c.ahead(ctx, s, parts); err != nil {
			return v, err
		}
	}
	dec, end := c.decoding(ctx)
	defer end()
	st, err := c.step(ctx, dec, s, k, parts)
	if err != nil {
		return v, err
	}
	v.Notes, d.Rows = append(st.damaged, dec.notes()...), st.rows
	if d.Looked += st.looked; !st.done {
		d.Next = s.link("search", "at", st.next, "looked", d.Looked, "of", d.Of)
	}
	v.Data = d
	return v, nil
}

// ahead returns how many offsets a search has before it.
func (c *console) ahead(ctx context.Context, s search, parts []reach) (n int64, err error) {
	at, err := parsePlace(s.From, time.Now())
	if err != nil {
		return 0, err
	}
	offsets, err := c.offsets(ctx, at, parts)
	for i := range offsets {
		n += parts[i].End - offsets[i]
	}
	return n, err
}
