package console

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what is shown of one key, value or header. The rest is fetched by who wants it.
const (
	previewMaxBytes = 240
	shownMaxBytes   = 64 << 10
	hexMaxBytes     = 4 << 10
	depthMax        = 64 // of JSON: the indentation of what is deeper would be larger than the text by far
)

// shown is bytes of a record as a page shows them.
type shown struct {
	Null  bool
	Kind  string // json, text or hex
	Text  string
	Bytes int    // in all
	Cut   int    // how many of them are shown, if not all are; else 0
	By    string // what they were decoded by, which is shown in their place
}

// preview returns the beginning of b in one line.
func preview(b []byte) shown {
	s := shown{Null: b == nil, Kind: "text", Bytes: len(b)}
	part := b[:min(len(b), previewMaxBytes)]
	if len(part) < len(b) {
		part = wholeRunes(part)
		s.Cut = len(part)
	}
	if !utf8.Valid(part) || len(part) == 0 && len(b) > 0 {
		part = b[:min(len(b), previewMaxBytes/4)]
		if s.Cut = len(part); s.Cut == len(b) {
			s.Cut = 0
		}
		s.Kind, s.Text = "hex", fmt.Sprintf("% x", part)
		return s
	}
	s.Text = visible(string(part), false)
	return s
}

// show returns b as JSON, text or hex; with "" as the first of these that it is.
func show(b []byte, as string) shown {
	s := shown{Null: b == nil, Kind: "text", Bytes: len(b)}
	part := b
	if len(b) > shownMaxBytes {
		part = wholeRunes(b[:shownMaxBytes])
	}
	if as != "hex" && as != "text" && len(part) == len(b) {
		if text, ok := indented(b); ok {
			s.Kind, s.Text = "json", visible(text, true)
			return s
		}
	}
	if as == "hex" || !utf8.Valid(part) || len(part) == 0 && len(b) > 0 {
		part = b[:min(len(b), hexMaxBytes)]
		s.Kind, s.Text = "hex", hex.Dump(part)
	} else {
		s.Text = visible(string(part), true)
	}
	if len(part) < len(b) {
		s.Cut = len(part)
	}
	return s
}

// indented returns an object or a list of JSON with a line for each of its parts. Numbers are digit by digit what they
// are.
func indented(b []byte) (string, bool) {
	trimmed := bytes.TrimSpace(b)
	if len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' || !utf8.Valid(b) || deep(b) {
		return "", false
	}
	var out bytes.Buffer
	if err := json.Indent(&out, trimmed, "", "  "); err != nil {
		return "", false
	}
	return out.String(), true
}

// deep reports whether b has more brackets within each other than is shown. Those in strings count too: it is a bound.
func deep(b []byte) bool {
	depth := 0
	for _, x := range b {
		switch x {
		case '{', '[':
			if depth++; depth > depthMax {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// wholeRunes returns b without a rune at its end that is cut.
func wholeRunes(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// visible returns text in which nothing hides: what controls a terminal, has no glyph or turns the direction of others
// is an escape. In several lines, line ends and tabs stay.
func visible(text string, lines bool) string {
	if strings.IndexFunc(text, func(r rune) bool { return hidden(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case lines && (r == '\n' || r == '\t'), !hidden(r):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\r':
			out.WriteString(`\r`)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	return out.String()
}

// hidden reports whether nobody sees r, or what it does.
func hidden(r rune) bool { return unicode.Is(unicode.C, r) || unicode.In(r, unicode.Zl, unicode.Zp) }
