package console

import (
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
)

// A regular expression takes time with the product of its length and that of what it looks at: some take minutes for a value of 16 MiB. These are
// its limits.
const (
	recordTime    = time.Second // for a record
	regexpMax     = 10_000      // steps of the expression, its repetitions written out
	regexpUnasked = 4 << 10     // bytes that are looked at without a look at the clock
)

// compile compiles a regular expression that is not too long.
func compile(pattern string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", samsa.ErrInvalid, err)
	}
	if steps(parsed) > regexpMax {
		return nil, fmt.Errorf("%w: the regular expression repeats too much", samsa.ErrInvalid)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", samsa.ErrInvalid, err)
	}
	return re, nil
}

// steps returns how long an expression is once its repetitions are written out.
func steps(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// findIn returns where re matches in b, or -1, and whether it has taken too long to know.
func findIn(re *regexp.Regexp, b []byte, until time.Time) (from, to int, tired bool) {
	var at []int
	if len(b) <= regexpUnasked {
		at = re.FindIndex(b)
	} else {
		r := impatient{b: b, until: until}
		if at = re.FindReaderIndex(&r); r.tired { // for it b has ended then, which may be a match
			return -1, -1, true
		}
	}
	if at == nil {
		return -1, -1, false
	}
	return at[0], at[1], false
}

// impatient reads the runes of b until a time.
type impatient struct {
	b     []byte
	at, n int
	until time.Time
	tired bool
}

// ReadRune implements io.RuneReader.
func (r *impatient) ReadRune() (rune, int, error) {
	if r.n++; r.n%64 == 0 && time.Now().After(r.until) {
		r.tired = true
	}
	if r.tired || r.at == len(r.b) {
		return 0, 0, io.EOF
	}
	c, n := rune(r.b[r.at]), 1
	if c >= utf8.RuneSelf {
		c, n = utf8.DecodeRune(r.b[r.at:])
	}
	r.at += n
	return c, n, nil
}
