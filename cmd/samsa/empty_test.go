package main

import (
	"bytes"
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
