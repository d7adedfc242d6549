package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// A bar comes after a second, five times a second at most, and is taken away.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, "restore", 100, false, func() time.Time { return now })
	p.add(10)
	if out.Len() > 0 {
		t.Errorf("at once it shows %q", &out)
	}
	now = now.Add(2 * time.Second)
	p.add(10)
	if want := "\rrestore  [####....................]  20%  20 of 100  10/s  8s"; out.String() != want {
		t.Errorf("got  %q\nwant %q", &out, want)
	}
	out.Reset()
	now = now.Add(100 * time.Millisecond)
	p.add(10)
	if out.Len() > 0 {
		t.Errorf("too soon it shows %q", &out)
	}
	p.end()
	if strings.TrimSpace(out.String()) != "" || !strings.HasSuffix(out.String(), "\r") {
		t.Errorf("it leaves %q", &out)
	}
	out.Reset()
	p = newProgress(&out, "snapshot", 0, true, func() time.Time { return now })
	now = now.Add(time.Second)
	_, _ = p.Write(make([]byte, 2048))
	if want := "\rsnapshot  2.0 KiB  2.0 KiB/s"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	(*progress)(nil).add(1) // shows nothing
	(*progress)(nil).end()
}

func TestPositions(t *testing.T) {
	now := time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		text string
		want api.Position
	}{
		{"earliest", api.Earliest()},
		{"latest", api.Latest()},
		{"1042", api.Offset(1042)},
		{"offset:7", api.Offset(7)},
		{"last:10", api.Last(10)},
		{"shift:-5", api.Shift(-5)},
		{"-1h30m", api.Since(now.Add(-90 * time.Minute))},
		{"+1h", api.Since(now.Add(time.Hour))},
		{"2026-11-29", api.Since(now.Add(-13 * time.Hour))},
		{"2026-11-29 12:59", api.Since(now.Add(-time.Minute))},
		{"2026-11-29T12:59:30Z", api.Since(now.Add(-30 * time.Second))},
		{"2026-11-29T13:59:30+01:00", api.Since(now.Add(-30 * time.Second))},
		{"time:1000", api.Since(time.Unix(1, 0).UTC())},
	} {
		p := positionFlag{now: func() time.Time { return now }}
		if err := p.Set(tt.text); err != nil || p.Kind != tt.want.Kind || p.N != tt.want.N || !p.Time.Equal(tt.want.Time) {
			t.Errorf("%s: got %+v, want %+v, error %v", tt.text, p.Position, tt.want, err)
		}
	}
	for _, text := range []string{"", "yesterday", "-5", "offset:", "last:-1", "2026-13-01"} {
		p := positionFlag{now: func() time.Time { return now }}
		if err := p.Set(text); err == nil {
			t.Errorf("%q is %+v", text, p.Position)
		}
	}
}

// What a record is printed as is read as that record: every byte of it.
func TestLinesOfJSONAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Custom(func(t *rapid.T) api.Bytes {
			if rapid.Bool().Draw(t, "null") {
				return nil
			}
			if rapid.Bool().Draw(t, "text") {
				return append(api.Bytes{}, rapid.String().Draw(t, "s")...)
			}
			return append(api.Bytes{}, rapid.SliceOf(rapid.Byte()).Draw(t, "b")...)
		})
		r := api.Record{Topic: "t", Partition: rapid.Int32Min(0).Draw(t, "partition"), Offset: rapid.Int64Min(0).Draw(t, "offset"), Key: some.Draw(t, "key"), Value: some.Draw(t, "value")}
		r.Timestamp = api.At(time.UnixMilli(rapid.Int64Range(0, 1<<50).Draw(t, "ms")))
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, api.Header{Key: api.Text(some.Draw(t, "h")), Value: some.Draw(t, "v")})
		}
		var out bytes.Buffer
		e := testEnv(&out, nil)
		if err := e.printJSON(r); err != nil {
			t.Fatal(err)
		}
		l, err := parseJSON(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
		if err != nil {
			t.Fatalf("%s: %v", &out, err)
		}
		same := func(a, b api.Bytes) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
		if !same(l.Key, r.Key) || !same(l.Value, r.Value) || len(l.Headers) != len(r.Headers) || *l.Partition != r.Partition || *l.Offset != r.Offset || l.Timestamp != r.Timestamp {
			t.Fatalf("%s is %+v, want %+v", &out, l, r)
		}
		for i, h := range r.Headers {
			if l.Headers[i].Key != h.Key || !same(l.Headers[i].Value, h.Value) {
				t.Fatalf("header %d is %+v, want %+v", i, l.Headers[i], h)
			}
		}
	})
}

// Plain lines have keys and values, and a word for null; a terminal is not controlled by them.
func TestPlainLines(t *testing.T) {
	f := lineFormat{separator: ":", null: "NULL"}
	for _, tt := range []struct {
		line       string
		key, value api.Bytes
	}{
		{"a:b:c", api.Bytes("a"), api.Bytes("b:c")},
		{"NULL:", nil, api.Bytes{}},
		{":NULL", api.Bytes{}, nil},
	} {
		r, err := f.parse([]byte(tt.line))
		if err != nil || string(r.Key) != string(tt.key) || (r.Key == nil) != (tt.key == nil) || string(r.Value) != string(tt.value) || (r.Value == nil) != (tt.value == nil) {
			t.Errorf("%s: got %+v, error %v", tt.line, r, err)
		}
		if got := string(f.append(nil, tt.key, tt.value, false)); got != tt.line+"\n" {
			t.Errorf("got %q, want %q", got, tt.line)
		}
	}
	if _, err := f.parse([]byte("no separator")); err == nil {
		t.Error("no error")
	}
	if got := string((&lineFormat{}).append(nil, nil, api.Bytes("a\x1b[2Jb\tü\x80\xff"), true)); got != "a\\x1b[2Jb\tü\\x80\\xff\n" {
		t.Errorf("got %q", got)
	}
}

// Expressions see values as JSON, and integers exactly.
func TestExpressions(t *testing.T) {
	r := api.Record{Topic: "t", Offset: 9007199254740993, Key: api.Bytes("k"), Value: api.Bytes(`{"n":9007199254740993,"list":[1,2]}`), Headers: []api.Header{{Key: "a", Value: api.Bytes("1")}}}
	for _, tt := range []struct {
		where, print string
		wants        bool
		prints       string
	}{
		{"", ".value.n", true, "9007199254740993\n"},
		{".value.n == 9007199254740993", ".offset", true, "9007199254740993\n"},
		{".value.n == 9007199254740992", ".key", false, "k\n"},
		{".value.missing", ".value.list[]", false, "1\n2\n"},
		{".key.x", "{k: .key}", false, "{\"k\":\"k\"}\n"},
		{`.headers[] | select(.key == "a")`, `.headers | map(.value) | join(",")`, true, "1\n"},
		{"empty", "empty", false, ""},
	} {
		p, err := compile(tt.where, tt.print)
		if err != nil {
			t.Fatal(err)
		}
		wants, err := p.wants(r)
		var out bytes.Buffer
		if e := p.print(&out, r, false); err != nil || e != nil || wants != tt.wants || out.String() != tt.prints {
			t.Errorf("%s, %s: got %v, %q, errors %v, %v", tt.where, tt.print, wants, &out, err, e)
		}
	}
	if _, err := compile(".a |", ""); err == nil || !strings.Contains(err.Error(), "--where") {
		t.Errorf("got %v", err)
	}
}

// Who is asked may say no, and nothing does.
func TestAsking(t *testing.T) {
	for _, tt := range []struct {
		answer string
		done   bool
	}{{"y\n", true}, {"YES\n", true}, {"n\n", false}, {"\n", false}, {"", false}} {
		e := testEnv(new(bytes.Buffer), nil)
		e.ctx, e.Stdin = t.Context(), strings.NewReader(tt.answer)
		var stderr bytes.Buffer
		e.Stderr = &stderr
		if err := e.ask("delete topic web_log"); (err == nil) != tt.done || err != nil && code(err) != exitRefused || !strings.Contains(stderr.String(), "Delete topic web_log? [y/N]") {
			t.Errorf("%q: %v, asked %q", tt.answer, err, &stderr)
		}
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{-1: "-", 0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 5 << 40: "5.0 TiB", 1 << 60: "1024.0 PiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	if got := assigned([]api.TopicPartition{{Topic: "a"}, {Topic: "a", Partition: 2}, {Topic: "b", Partition: 1}}); got != "a:0,2 b:1" {
		t.Errorf("got %s", got)
	}
}

// rowPages answers with pages of rows.
type rowPages struct {
	backend.Samsa
	pages []api.RowPage
}

func (p *rowPages) TableRows(context.Context, api.RowsRequest) (page api.RowPage, err error) {
	page, p.pages = p.pages[0], p.pages[1:]
	return page, nil
}

// What is wrong with a single row is told, but not before the others have come.
func TestRowThatWasReplaced(t *testing.T) {
	s := &rowPages{pages: []api.RowPage{
		{Rows: make([]api.Record, 2), Next: api.Bytes("c"), Replaced: []api.Error{{Message: "first"}, {Message: "second"}}},
		{Rows: make([]api.Record, 3), Replaced: []api.Error{{Message: "third"}}},
	}}
	n := 0
	replaced, err := eachRows(t.Context(), s, api.RowsRequest{}, 0, func(rows []api.Record) error { n += len(rows); return nil })
	if n != 5 || err != nil || replaced == nil || replaced.Error() != "first" {
		t.Errorf("%d rows, %v, %v", n, replaced, err)
	}
}
