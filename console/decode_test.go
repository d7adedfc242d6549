package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// shifted decodes what begins with a byte 0: each byte behind it stands for the one before.
type shifted struct {
	asked int
	fail  func(ctx context.Context, r samsa.Record) error
}

func (d *shifted) Decode(ctx context.Context, r samsa.Record) (key, value console.Decoded, err error) {
	d.asked++
	if d.fail != nil {
		if err := d.fail(ctx, r); err != nil {
			return key, value, err
		}
	}
	return unshift(r.Key), unshift(r.Value), nil
}

func unshift(b []byte) (d console.Decoded) {
	if len(b) == 0 || b[0] != 0 {
		return d
	}
	for _, x := range b[1:] {
		d.Text = append(d.Text, x-1)
	}
	if d.By = "<shift>, by one"; bytes.HasPrefix(d.Text, []byte("!")) {
		return console.Decoded{Err: errors.New("<it> is upside\u202e down")}
	}
	return d
}

func shift(text string) []byte {
	b := []byte{0}
	for _, x := range []byte(text) {
		b = append(b, x+1)
	}
	return b
}

var markup = regexp.MustCompile(`<[^>]*>`)

// text returns what people read on a page.
func (s site) text(path string) string {
	s.Helper()
	return html.UnescapeString(markup.ReplaceAllString(s.page(path), ""))
}

// What records say is shown beside their bytes, digit by digit, and found; what it brings is text, and no part of the page.
func TestDecoded(t *testing.T) {
	d := new(shifted)
	s := newSite(t, console.Options{Decoder: d})
	s.no(s.Topics().Alter(t.Context(), "one", func(c *samsa.TopicConfig) error { c.MaxMessageBytes = 4 << 20; return nil }))
	s.put(
		samsa.Record{Topic: "one", Key: shift(`key <b>`), Value: shift(`{"n":9007199254740993,"drink":"tea"}`)},
		samsa.Record{Topic: "one", Value: shift("!")},
		samsa.Record{Topic: "one", Value: []byte("tea, as it is"), Headers: []samsa.Header{{Key: "trace", Value: []byte("seventeen")}}},
		samsa.Record{Topic: "one", Value: append(shift("tea"), make([]byte, 1<<20)...)},
		samsa.Record{Topic: "one", Value: shift(strings.Repeat("x", 100<<10) + hostile)},
	)
	for path, want := range map[string][]string{
		"/record?topic=one&partition=0&offset=1":         {"Decoded by <shift>, by one", "key <b>", "\"n\": 9007199254740993,\n", "As it is stored", "|.|#o#;"},
		"/record?topic=one&partition=0&offset=1&as=text": {"\"n\": 9007199254740993,\n", `\u0000|#o#;`},
		"/record?topic=one&partition=0&offset=2":         {`Not decoded: <it> is upside\u202e down`},
		"/record?topic=one&partition=0&offset=4":         {"Not decoded:", "1.00 MiB, and at most 1 MiB are decoded"},
		"/record?topic=one&partition=0&offset=5":         {"The first 64 KiB of 100 KiB."},
		"/records?topic=one":                             {`{"n":9007199254740993,"drink":"tea"}`, "key <b>", "tea, as it is"},
		"/search?topic=one&from=oldest&q=TEA":            {"2 found", "decoded value"},
		"/search?topic=one&from=oldest&q=y+<b&keys=1":    {"1 found", "decoded key"},
		"/search?topic=one&from=oldest&q=y+<b&values=1":  {"0 found"},
	} {
		text := s.text(path)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s has no %q:\n%.3000s", path, w, text)
			}
		}
		if body := s.page(path); strings.Contains(body, "<shift>") || strings.Contains(body, "<b>") || strings.Contains(body, "\u202e") {
			t.Errorf("%s lets through what a record brings", path)
		}
	}
	if text := s.text("/record?topic=one&partition=0&offset=3"); strings.Contains(text, "ecoded") {
		t.Errorf("what is not encoded is shown as if:\n%s", text)
	}
	d.asked = 0
	s.page("/search?topic=one&from=oldest&q=seventeen&headers=1")
	if d.asked != 1 { // the record that is found, in its row
		t.Errorf("a search of headers decodes %d records", d.asked)
	}
}

// A decoder that does not work is told once, and is not asked by a page again: its records are shown and searched as they are
// stored.
func TestDecoderFails(t *testing.T) {
	d := &shifted{fail: func(context.Context, samsa.Record) error { return errors.New("the <registry> does not answer") }}
	s := newSite(t, console.Options{Decoder: d})
	for path, want := range map[string]string{
		"/records?topic=web_log":                      "30 records as stored, and not decoded: the <registry> does not answer",
		"/record?topic=one&partition=0&offset=0":      "1 record as stored, and not decoded",
		"/search?topic=web_log&from=oldest&q=nothing": "30 records as stored, and not decoded",
	} {
		d.asked = 0
		if text := s.text(path); !strings.Contains(text, want) || d.asked != 1 {
			t.Errorf("%s asks %d times, and has no %q:\n%s", path, d.asked, want, text)
		}
	}
}

// A decoder that hangs is waited for no longer than a page may take for it.
func TestDecoderHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		s := site{t, b, console.Handler(b, console.Options{Decoder: &shifted{fail: func(ctx context.Context, _ samsa.Record) error {
			<-ctx.Done()
			return ctx.Err()
		}}})}
		s.put(samsa.Record{Topic: "t", Value: []byte("value 7")})
		if text := s.text("/records?topic=t"); !strings.Contains(text, "not decoded: it took longer than 2s") || !strings.Contains(text, "value 7") {
			t.Errorf("%s", text)
		}
	})
}

// Who follows with something to search for gets what decodes to it.
func TestTailDecodes(t *testing.T) {
	s := newSite(t, console.Options{Decoder: new(shifted)})
	events, stop := s.listen("topic=one&q=tea")
	defer stop()
	s.put(samsa.Record{Topic: "one", Value: shift("coffee")}, samsa.Record{Topic: "one", Value: shift("black tea")})
	var event struct {
		Rows string
		N    int
	}
	s.no(json.Unmarshal([]byte(strings.TrimPrefix(<-events, "data: ")), &event))
	if event.N != 1 || !strings.Contains(event.Rows, "decoded value") || !strings.Contains(event.Rows, "black <mark>tea</mark>") {
		t.Errorf("%d: %s", event.N, event.Rows)
	}
}

// The dead letters of a queue are decoded too.
func TestLettersAreDecoded(t *testing.T) {
	s := newSite(t, console.Options{Decoder: new(shifted)})
	s.no(s.Topics().Create(t.Context(), "dead", samsa.TopicConfig{DeadLetters: true}))
	q, err := s.NewQueue(t.Context(), samsa.QueueOptions{Group: "q", Topics: []string{"one"}, DeadLetter: "dead", Start: samsa.Earliest()})
	s.no(err)
	defer func() { s.no(q.Close()) }()
	s.put(samsa.Record{Topic: "one", Value: shift("black tea")})
	for rejected := 0; rejected < 2; {
		ds, err := q.Receive(t.Context(), 2)
		s.no(err)
		for _, d := range ds {
			s.no(d.Reject(fmt.Sprintf("reason %d", rejected)))
			rejected++
		}
	}
	if text := s.text("/group?name=q"); !strings.Contains(text, "black tea") || !strings.Contains(text, "reason 1") {
		t.Errorf("%s", text)
	}
}
