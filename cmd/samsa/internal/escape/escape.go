// Package escape keeps what others wrote from controlling a terminal.
package escape

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Turns reports whether r changes the direction of the text behind it.
func Turns(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// JSON returns JSON, or lines of text, in which what a terminal would obey and JSON need not escape has escapes: the control characters from
// U+007F on, and those that change directions.
func JSON(text []byte) []byte {
	if bytes.IndexFunc(text, obeyed) < 0 {
		return text
	}
	var out []byte
	for _, r := range string(text) {
		if obeyed(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func obeyed(r rune) bool { return unicode.IsControl(r) && r >= 0x7f || Turns(r) }

// Lines is a writer to W of what JSON makes of what is written, a whole line or more at a time.
type Lines struct{ W io.Writer }

// Write implements io.Writer.
func (l Lines) Write(p []byte) (int, error) {
	if _, err := l.W.Write(JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
