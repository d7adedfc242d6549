package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A pipe is read to its end; what is stored counts again at the next start.
func TestPipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var out bytes.Buffer
	if err := run(context.Background(), dir, "", strings.NewReader("a one\nb two\n\na three"), &out); err != nil {
		t.Fatal(err)
	}
	wantLines(t, &out, "4 lines, 3 keys", "2  a", "1  b")
	if err := run(context.Background(), dir, "", strings.NewReader("b four\n"), &out); err != nil {
		t.Fatal(err)
	}
	wantLines(t, &out, "5 lines, 3 keys", "2  a", "2  b")
}

// A file is followed until ctx ends; the next start goes on where its last line ended.
func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "access.log")
	grow := func(text string) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	grow("a 1\nb 2\na 3\nhalf a li")
	follow := func(out *writer, until string) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		out.until, out.found = until, cancel
		if err := run(ctx, dir, file, nil, out); err != nil {
			t.Fatal(err)
		}
	}
	var out writer
	follow(&out, "3 lines, ")
	wantLines(t, &out.buf, "3 lines, 2 keys", "2  a")
	grow("ne\nc 4\n")
	follow(&out, "5 lines, ")
	wantLines(t, &out.buf, "5 lines, 4 keys", "2  a", "1  half")
}

// writer calls found when a line that was written contains until.
type writer struct {
	buf   bytes.Buffer
	until string
	found func()
}

func (w *writer) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.until) {
		w.found()
	}
	return w.buf.Write(p)
}

func wantLines(t *testing.T, out *bytes.Buffer, wants ...string) {
	t.Helper()
	text := out.String()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the output:\n%s", want, text)
		}
	}
	out.Reset()
}
