package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/cli"
)

// Each command that lists says where people look that there is nothing, and prints no line that a script would take for something.
func TestEmptyLists(t *testing.T) {
	_, url, err := serveFor(defers{t}, "--fake", "--http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool) // what there is none of
	list := func(c *cobra.Command) {
		line := append([]string{"--api", url}, strings.Fields(c.CommandPath())[1:]...)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), line, &stdout, &stderr)
		what, ok := strings.CutPrefix(strings.TrimSuffix(stderr.String(), "\n"), "no ")
		if code != exitOK || stdout.Len() > 0 || !ok || strings.Contains(what, "\n") {
			t.Errorf("%s ended with %d, prints %q and says %q", c.CommandPath(), code, &stdout, &stderr)
		}
		seen[what] = true
		stderr.Reset()
		if code := run(t.Context(), append(line, "--json"), &stdout, &stderr); code != exitOK || stdout.Len() > 0 || stderr.Len() > 0 {
			t.Errorf("%s --json ended with %d, prints %q and says %q", c.CommandPath(), code, &stdout, &stderr)
		}
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if strings.HasPrefix(c.Short, "List") && c.Runnable() {
			list(c)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.Root(cli.Surroundings{}))
	for _, what := range []string{"topics", "groups", "tables", "keys", "users", "ACLs", "quotas", "faults", "copies"} {
		if !seen[what] {
			t.Errorf("no list says that there are no %s", what)
		}
	}
}

// A table that is damaged is listed with its error, beside the others.
func TestDamagedTableIsListed(t *testing.T) {
	owner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"tables": [{"topic": "stock", "name": "whole", "rows": 7},
			{"topic": "stock", "name": "torn", "error": {"name": "ErrCorruptValue", "message": "corrupt value: its position"}}]}`)
	}))
	defer owner.Close()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--api", owner.URL, "table"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("it ended with %d: %s", code, &stderr)
	}
	lines := strings.Split(stdout.String(), "\n")
	if len(lines) != 4 || !strings.HasSuffix(lines[0], "ERROR") || !strings.Contains(lines[1], "whole") || strings.Contains(lines[1], "corrupt") ||
		!strings.Contains(lines[2], "torn") || !strings.HasSuffix(lines[2], "corrupt value: its position") {
		t.Errorf("it prints\n%s", &stdout)
	}
}
