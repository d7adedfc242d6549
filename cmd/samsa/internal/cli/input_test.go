package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/samsa-go/samsa/cmd/samsa/internal/escape"
	"github.com/samsa-go/samsa/internal/api"
)

// A read that waits for what never comes ends with the context, and what came before it is not lost.
func TestInputEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	in := newInput(ctx, r)
	go func() {
		_, _ = w.Write([]byte("one"))
		cancel()
	}()
	got, err := io.ReadAll(in)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s := string(got); s != "one" && s != "" { // the end may be seen first
		t.Errorf("got %q", s)
	}
}

func TestInput(t *testing.T) {
	text := strings.Repeat("0123456789", inputBytes/5)
	if err := iotest.TestReader(newInput(t.Context(), strings.NewReader(text)), []byte(text)); err != nil {
		t.Error(err)
	}
	failed := errors.New("failed")
	if got, err := io.ReadAll(newInput(t.Context(), iotest.DataErrReader(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(failed))))); string(got) != "x" || !errors.Is(err, failed) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A line that is whole is sent though the next one has begun.
func TestLineBuffered(t *testing.T) {
	for rest, want := range map[string]bool{"": false, "tw": false, "two\n": true, "two\nthr": true} {
		r := bufio.NewReader(strings.NewReader("one\n" + rest))
		if line, err := readLine(r); string(line) != "one" || err != nil || lineBuffered(r) != want {
			t.Errorf("%q behind a line: %q, %v, want %v", rest, line, err, want)
		}
	}
}

// An expression that goes on for ever ends with the context.
func TestExpressionsEnd(t *testing.T) {
	for _, flags := range [][2]string{{"last(repeat(1))", ""}, {"", "last(repeat(1))"}} {
		p, err := compile(flags[0], flags[1])
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p.ctx = ctx
		cancel()
		r := api.Record{Value: []byte("{}")}
		if flags[0] != "" {
			_, err = p.wants(r)
		} else {
			err = p.print(io.Discard, r, false)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%q: %v", flags, err)
		}
	}
}

// What clients have chosen for names controls no terminal, and forges no rows.
func TestCellsAreHarmless(t *testing.T) {
	var out bytes.Buffer
	evil := "a\x1b[2J\nroot\t\u009b1m\u202ex\xff"
	err := printRows(testEnv(&out, nil), []column[string]{{"NAME", func(s string) string { return s }}}, []string{evil})
	if want := "NAME\na\\x1b[2J\\x0aroot\\x09\\x9b1m\\u202ex\\xff\n"; err != nil || out.String() != want {
		t.Errorf("got %q, %v", &out, err)
	}
	if got := string(escape.JSON([]byte("\"\u009b\u202e\u00e9\"\n"))); got != "\"\\u009b\\u202e\u00e9\"\n" {
		t.Errorf("got %q", got)
	}
}

func TestDecodeJSON(t *testing.T) {
	for text, good := range map[string]bool{"5": true, " {} ": true, "5]": false, "{}}": false, "5 6": false, "": false} {
		if _, err := decodeJSON([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
