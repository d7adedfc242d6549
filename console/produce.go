package console

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

const (
	prefilledMax = 64 << 10 // bytes of a key or value that a form is filled with
	offeredMax   = 500      // topics of which the form has the names
)

// producing is the form of a record.
type producing struct {
	Topic, Partition, Time string
	Key, KeyAs             string
	Value, ValueAs         string
	Headers, HeadersAs     string
	Err                    string
	Topics                 []string
	From                   string // the record with which it was filled
}

// produceForm shows the form, filled with a record if the address names one.
func (c *console) produceForm(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "produce.html", Title: "Produce", Nav: "Produce"}
	p := producing{Topic: r.FormValue("topic"), KeyAs: "null", ValueAs: "text", HeadersAs: "text"}
	if r.FormValue("offset") != "" {
		tp, offset, err := recordOf(r)
		if err != nil {
			return v, err
		}
		rec, err := c.one(ctx, tp, offset)
		if err != nil {
			return v, err
		}
		if p, err = filled(rec); err != nil {
			return v, err
		}
	}
	return c.showForm(ctx, v, p)
}

func (c *console) showForm(ctx context.Context, v view, p producing) (view, error) {
	names, err := c.broker().Topics().List(ctx)
	p.Topics = names[:min(len(names), offeredMax)]
	v.Data = p
	return v, err
}

// filled returns the form of a record that is to be produced again.
func filled(rec samsa.Record) (p producing, err error) {
	p = producing{Topic: rec.Topic, Partition: strconv.Itoa(int(rec.Partition)), From: fmt.Sprintf("%s/%d at %d", rec.Topic, rec.Partition, rec.Offset)}
	if n := weight(rec); n > prefilledMax {
		return p, fmt.Errorf("%w: the record has %s, and a form is filled with at most %s", samsa.ErrTooLarge, size(n), size(prefilledMax))
	}
	p.Key, p.KeyAs = written(rec.Key)
	p.Value, p.ValueAs = written(rec.Value)
	p.HeadersAs = "text"
	var lines []string
	for _, h := range rec.Headers {
		value, as := written(h.Value)
		if as != "text" || h.Key == "" || strings.ContainsAny(h.Key, ":\n") || strings.TrimSpace(h.Key) != h.Key || strings.TrimSpace(value) != value || strings.Contains(value, "\n") || !utf8.ValidString(h.Key) || visible(h.Key, false) != h.Key {
			p.HeadersAs = "json"
		}
		lines = append(lines, h.Key+": "+value)
	}
	p.Headers = strings.Join(lines, "\n")
	if p.HeadersAs == "json" {
		text, err := json.MarshalIndent(lineOf(rec).Headers, "", " ")
		p.Headers = escaped(string(text))
		return p, err
	}
	return p, nil
}

// written returns bytes as a form has them. Browsers change line ends, and know no other bytes than text. What nobody sees is
// no text either.
func written(b []byte) (text, as string) {
	switch {
	case b == nil:
		return "", "null"
	case !utf8.Valid(b) || visible(string(b), true) != string(b):
		return base64.StdEncoding.EncodeToString(b), "base64"
	}
	return string(b), "text"
}

// escaped returns JSON in which what nobody sees is an escape.
func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || !hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

// read is the inverse of written.
func read(what, text, as string) (b []byte, err error) {
	switch as {
	case "null":
		if text != "" {
			return nil, fmt.Errorf("%w: the %s is null, and has a text besides", samsa.ErrInvalid, what)
		}
		return nil, nil
	case "text":
		return []byte(strings.ReplaceAll(text, "\r\n", "\n")), nil
	case "json":
		if b = []byte(text); !json.Valid(b) {
			return nil, fmt.Errorf("%w: the %s is no JSON", samsa.ErrInvalid, what)
		}
		return []byte(strings.ReplaceAll(text, "\r\n", "\n")), nil
	case "base64":
		b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "hex":
		b, err = hex.DecodeString(strings.Join(strings.Fields(text), ""))
	default:
		err = fmt.Errorf("it is given as %q", as)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the %s: %w", samsa.ErrInvalid, what, err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// readHeaders reads headers: a line each, or JSON as the API has them.
func readHeaders(text, as string) (headers []samsa.Header, err error) {
	if as == "json" && strings.TrimSpace(text) != "" {
		var all []api.Header
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, fmt.Errorf("%w: the headers: %w", samsa.ErrInvalid, err)
		}
		for _, h := range all {
			headers = append(headers, samsa.Header{Key: string(h.Key), Value: h.Value})
		}
		return headers, nil
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%w: the header %q has no colon", samsa.ErrInvalid, line)
		}
		headers = append(headers, samsa.Header{Key: strings.TrimSpace(key), Value: []byte(strings.TrimSpace(value))})
	}
	return headers, nil
}

// record returns the record of the form, and how its partition is chosen.
func (p producing) record() (rec samsa.Record, opts samsa.ProduceOptions, err error) {
	var errs []error
	rec.Topic = p.Topic
	rec.Key, err = read("key", p.Key, p.KeyAs)
	errs = append(errs, err)
	rec.Value, err = read("value", p.Value, p.ValueAs)
	errs = append(errs, err)
	rec.Headers, err = readHeaders(p.Headers, p.HeadersAs)
	errs = append(errs, err)
	if p.Partition != "" {
		n, err := strconv.ParseInt(p.Partition, 10, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: partition is %q, want a number, or nothing", samsa.ErrInvalid, p.Partition))
		}
		rec.Partition, opts.Partitioner = int32(n), samsa.ManualPartitioner()
	}
	if p.Time != "" {
		t, ok := parseTime(p.Time, time.Now())
		if !ok {
			errs = append(errs, fmt.Errorf("%w: time is %q, want 2026-11-29 13:00:00, -90m or @ and ms", samsa.ErrInvalid, p.Time))
		}
		rec.Timestamp = t
	}
	return rec, opts, errors.Join(errs...)
}

// produce stores the record of the form, and leads to it. When it cannot be the form is shown again, with the reason.
func (c *console) produce(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "produce.html", Title: "Produce", Nav: "Produce"}
	if err := r.ParseForm(); err != nil {
		return v, err
	}
	f := r.PostForm.Get
	p := producing{
		Topic: f("topic"), Partition: strings.TrimSpace(f("partition")), Time: strings.TrimSpace(f("time")), Key: f("key"), KeyAs: f("key_as"),
		Value: f("value"), ValueAs: f("value_as"), Headers: f("headers"), HeadersAs: f("headers_as"),
	}
	rec, opts, err := p.record()
	if err == nil {
		_, err = c.broker().Topics().Describe(ctx, p.Topic) // a slip of the pen creates no topic
	}
	if err == nil {
		var stored []samsa.Record
		if stored, err = c.broker().ProduceWith(ctx, opts, rec); err == nil {
			v.See = link("record", "topic", rec.Topic, "partition", stored[0].Partition, "offset", stored[0].Offset)
			return v, nil
		}
	}
	p.Err, v.Status = err.Error(), statusOf(err)
	return c.showForm(ctx, v, p)
}
