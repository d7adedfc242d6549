package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// What looks at a directory that nobody has open changes nothing in it: no file, no byte, no time.
func TestLookingChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: []byte("tea")}); err != nil {
		t.Fatal(err)
	}
	tp := samsa.TopicPartition{Topic: "orders"}
	if err := b.Groups().AlterOffsets(t.Context(), "billing", samsa.To(samsa.Earliest()), tp); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	for _, line := range []string{
		"topics", "topics describe orders", "consume orders --until-now", "consume orders --last 1", "groups list --lag", "groups describe billing",
		"groups reset billing --to latest --dry-run", "topics delete-records orders --before latest --dry-run", "keys", "table", "top -n 1", "doctor", "verify",
		"dump --records", "snapshot " + filepath.Join(t.TempDir(), "snapshot"), "export orders",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"-d", dir}, strings.Fields(line)...), &stdout, &stderr); code != exitOK {
			t.Errorf("%s ended with %d: %s", line, code, &stderr)
		}
		if after := contents(t, dir); after != before {
			t.Fatalf("%s has changed something:\nbefore\n%s\nafter\n%s", line, before, after)
		}
	}
	for _, line := range []string{"keys set k v", "groups reset billing --to latest", "topics delete orders", "repair"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"-d", dir}, strings.Fields(line)...), &stdout, &stderr); code != exitRefused {
			t.Errorf("%s, which nobody has confirmed, ended with %d: %s", line, code, &stderr)
		}
	}
}

// contents tells all files below a directory, with their sizes, times and what they have.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum uint32
		if !d.IsDir() {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, c := range text {
				sum = sum*31 + uint32(c)
			}
		}
		_, err = fmt.Fprintf(&all, "%s %s %d %s %08x\n", name, info.Mode(), info.Size(), info.ModTime().Format(time.RFC3339Nano), sum)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Ten thousand topics are listed page by page, and each once, by whichever way they are asked for.
func TestTenThousandTopics(t *testing.T) {
	const number = 10_000
	addr, url, err := serveFor(defers{t}, "--memory", "--http", "127.0.0.1:0", "--write")
	if err != nil {
		t.Fatal(err)
	}
	var made bytes.Buffer
	args := []string{"--api", url, "topics", "create"}
	for i := range number {
		args = append(args, fmt.Sprintf("t%05d", i))
	}
	if code := run(t.Context(), args, &made, &made); code != exitOK {
		t.Fatalf("it ended with %d: %s", code, made.String()[:min(made.Len(), 1000)])
	}
	for _, where := range [][]string{{"--api", url}, {"-b", addr}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append(where, "topics"), &stdout, &stderr); code != exitOK {
			t.Fatalf("it ended with %d: %s", code, &stderr)
		}
		lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
		if len(lines) != number+1 {
			t.Fatalf("%v: there are %d lines", where, len(lines))
		}
		for i, line := range lines[1:] {
			if want := fmt.Sprintf("t%05d ", i); !strings.HasPrefix(line, want) {
				t.Fatalf("%v: line %d is %q", where, i+2, line)
			}
		}
	}
}
