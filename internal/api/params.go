package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/samsa-go/samsa"
)

// params reads the query of a request. What is wrong with it err says, all at once, and what nobody has asked for, too.
type params struct {
	values url.Values
	wrong  []error
}

func newParams(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.refuse("%w", err)
	}
	return p
}

func (p *params) refuse(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%w: the query: "+format, append([]any{samsa.ErrInvalid}, args...)...))
}

// err returns what is wrong. It comes last.
func (p *params) err() error {
	if len(p.values) > 0 {
		p.refuse("%.100q is not known here", slices.Sorted(maps.Keys(p.values)))
		p.values = nil
	}
	return errors.Join(p.wrong...)
}

// all returns the values of a name.
func (p *params) all(name string) []string {
	values := p.values[name]
	delete(p.values, name)
	return values
}

// text returns the value of a name, "" for none.
func (p *params) text(name string) string {
	values := p.all(name)
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}
	p.refuse("%s is there %d times", name, len(values))
	return ""
}

// number returns a value from lo to hi, byDefault for none.
func (p *params) number(name string, byDefault, lo, hi int64) int64 {
	text := p.text(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < lo || n > hi {
		p.refuse("%s is %.40q, want %d to %d", name, text, lo, hi)
		return byDefault
	}
	return n
}

// limit returns how many things a page may have.
func (p *params) limit(byDefault int64) int { return int(p.number("limit", byDefault, 1, maxListed)) }

func (p *params) flag(name string) bool {
	text := p.text(name)
	if text != "" && text != "true" && text != "false" {
		p.refuse("%s is %.40q, want true or false", name, text)
	}
	return text == "true"
}

// bytes returns bytes, as name=TEXT or name64=BASE64URL; nil for none.
func (p *params) bytes(name string) Bytes {
	_, is := p.values[name]
	_, is64 := p.values[name+"64"]
	text, text64 := p.text(name), p.text(name+"64")
	switch {
	case is && is64:
		p.refuse("%s and %s64 are both there", name, name)
	case is:
		return append(Bytes{}, text...)
	case is64:
		raw, err := base64.RawURLEncoding.DecodeString(text64)
		if err != nil {
			p.refuse("%s64: %w", name, err)
		}
		return append(Bytes{}, raw...)
	}
	return nil
}

// position returns a position of one of these kinds; "" among them allows none.
func (p *params) position(name string, kinds ...Kind) Position {
	pos, err := ParsePosition(p.text(name))
	if err != nil {
		p.refuse("%s: %w", name, err)
		return Position{}
	}
	if !slices.Contains(kinds, pos.Kind) {
		p.refuse("%s is %q, want one of %q", name, pos, kinds)
	}
	return pos
}
