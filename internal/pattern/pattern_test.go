package pattern

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// An expression is that of whole names, and one that is none, large or deep is refused.
func TestWhole(t *testing.T) {
	re, err := Whole("a|b.*")
	if err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]bool{"a": true, "b": true, "bc": true, "ab": false, "xb": false, "a\n": false, "": false} {
		if re.MatchString(name) != is {
			t.Errorf("%q: %t", name, !is)
		}
	}
	deep := func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) }
	for _, bad := range []string{
		"a)|(b", "(", deep(998), deep(999), deep(1000), strings.Repeat("(a{1000})", 6), strings.Repeat("a", math.MaxInt16+1),
	} {
		if _, err := Whole(bad); err != nil && !errors.Is(err, log.ErrInvalidRegex) || err == nil && bad != deep(998) {
			t.Errorf("%.20s: %v", bad, err)
		}
	}
}
