package main

import (
	"regexp"
	"strings"
	"testing"
)

// What is sent is printed, from where it was said to be.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), "", &out); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^sent to partition ([012]) at offset 0\npartition ([012]), offset 0: this is a test log\n$`)
	if m := want.FindStringSubmatch(out.String()); m == nil || m[1] != m[2] {
		t.Errorf("printed %q", out.String())
	}
}
