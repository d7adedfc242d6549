package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

func TestTable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	do := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(context.Background(), dir, args, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for i := range 5 {
		do("set", "color", fmt.Sprint("shade", i))
	}
	do("set", "shape", "beetle")
	do("set", "shape", "man")
	do("set", "gone", "soon")
	do("del", "gone")
	if got := do("get", "color"); got != "shade4\n" {
		t.Errorf("color is %q", got)
	}
	if got := do("list"); got != "color = shade4\nshape = man\n2 keys from 9 records\n" {
		t.Errorf("before compaction: %q", got)
	}
	// The newest batch, with the tombstone, does not take part yet.
	if got := do("compact"); got != "5 records removed\n" {
		t.Errorf("compaction: %q", got)
	}
	if got := do("list"); got != "color = shade4\nshape = man\n2 keys from 4 records\n" {
		t.Errorf("after compaction: %q", got)
	}
	if err := run(context.Background(), dir, []string{"set", "half"}, &bytes.Buffer{}); err == nil {
		t.Error("a wrong command was taken")
	}
	if err := run(context.Background(), dir, []string{"get", "gone"}, &bytes.Buffer{}); err == nil {
		t.Error("a removed key was found")
	}
}
