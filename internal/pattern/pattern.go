// Package pattern compiles regular expressions of clients, by which they name topics and transactional ids. Users import package kafka or group.
package pattern

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"

	"github.com/samsa-go/samsa/log"
)

const (
	maxText = math.MaxInt16 // bytes: no text of Kafka's is longer
	maxSize = 5000          // of what it is compiled to, in about one for each character
)

// Whole returns a regular expression (RE2) as one for whole names, or ErrInvalidRegex, also for one that is very large.
func Whole(text string) (*regexp.Regexp, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", log.ErrInvalidRegex, len(text), maxText)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", log.ErrInvalidRegex, err)
	}
	if n := size(parsed); n > maxSize {
		return nil, fmt.Errorf("%w: its size is %d, at most %d", log.ErrInvalidRegex, n, maxSize)
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`) // which may be nested too deeply, where text is just not
	if err != nil {
		return nil, fmt.Errorf("%w: %w", log.ErrInvalidRegex, err)
	}
	return whole, nil
}

// size returns about how large a regular expression is when it is compiled: what is repeated is there as often.
func size(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral || re.Op == syntax.OpCharClass {
		n = max(1, len(re.Rune))
	}
	for _, sub := range re.Sub {
		n += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min+1, re.Max)
	}
	return n
}
