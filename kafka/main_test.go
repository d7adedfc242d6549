package kafka

import (
	"cmp"
	"flag"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/internal/lazygc"
)

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", cmp.Or(os.Getenv("CHECKS"), "40")); err != nil { // the command line still goes first
		panic(err)
	}
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

// long returns how much of something a test does: least, or what an environment variable says. See docs/drills.md.
func long(name string, least int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return least
}
