package e2e

import (
	"iter"
	"os"
	"strconv"
	"testing"
)

// long returns how much of something a drill does: least, or what an environment variable says. See docs/drills.md.
func long(t *testing.T, name string, least int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return least
	}
	t.Logf("%s=%d", name, n)
	return n
}

// kills goes through the kills of a test, and gives the number of each and of all: least, or KILLS. When all are done it
// tells how many there were, which .ci/run checks.
func kills(t *testing.T, least int) iter.Seq2[int, int] {
	t.Helper()
	n := long(t, "KILLS", least)
	return func(yield func(int, int) bool) {
		for i := range n {
			if !yield(i, n) {
				return
			}
		}
		t.Logf("%d kills", n)
	}
}
