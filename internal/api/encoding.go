package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
)

// Bytes are bytes that may be null, as keys and values of records are. nil is null, which differs from empty bytes. In
// JSON they are a string where they are UTF-8, and else {"base64":"..."}, in the standard alphabet with padding. What is
// given may be either, whatever the bytes are.
type Bytes []byte

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return encode(string(b))
	}
	return encode(inBase64{base64.StdEncoding.EncodeToString(b)})
}

type inBase64 struct {
	Base64 string `json:"base64"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	*b = nil
	switch {
	case bytes.Equal(text, []byte("null")):
		return nil
	case len(text) > 0 && text[0] == '"':
		if err := checkSurrogates(text); err != nil {
			return err
		}
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*b = Bytes(s)
		return nil
	}
	var in struct {
		Base64 *string `json:"base64"`
	}
	if err := decodeStrictly(text, &in); err != nil || in.Base64 == nil {
		return fmt.Errorf("%w: bytes are %.40q, want null, a string, or {\"base64\":\"...\"}", samsa.ErrInvalid, text)
	}
	raw, err := base64.StdEncoding.DecodeString(*in.Base64)
	if err != nil {
		return fmt.Errorf("%w: base64: %w", samsa.ErrInvalid, err)
	}
	*b = Bytes(raw)
	return nil
}

// String returns the bytes, in which what is no UTF-8 is replaced, for people.
func (b Bytes) String() string { return strings.ToValidUTF8(string(b), string(utf8.RuneError)) }

// Text is a string that need not be UTF-8, as the keys of headers. In JSON it is like Bytes, and not null.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return append(Bytes{}, t...).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(text []byte) error {
	var b Bytes
	err := b.UnmarshalJSON(text)
	if err == nil && b == nil {
		err = fmt.Errorf("%w: the key of a header is null", samsa.ErrInvalid)
	}
	*t = Text(b)
	return err
}

// checkSurrogates refuses a JSON string with half of a surrogate pair, which stands for no character: package json would
// have another one in its place.
func checkSurrogates(text []byte) error {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 == len(text) {
			return nil
		}
		text = text[i:]
		unit, ok := surrogate(text)
		if !ok {
			text = text[2:] // an escape of another kind, or another character
			continue
		}
		low, ok := surrogate(text[6:])
		if !ok || unit >= 0xdc00 || low < 0xdc00 {
			return fmt.Errorf("%w: a string has half of a surrogate pair, \\u%04x", samsa.ErrInvalid, unit)
		}
		text = text[12:]
	}
}

// surrogate returns the half of a surrogate pair that text begins with as \uXXXX.
func surrogate(text []byte) (uint16, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' || text[2]|0x20 != 'd' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return uint16(unit), err == nil && unit >= 0xd800
}

// Time is a time in JSON: whole milliseconds since 1970 in UTC, as a number, as Kafka has them. The zero time is null.
type Time struct{ time.Time }

// At returns t, in whole milliseconds.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{time.UnixMilli(t.UnixMilli()).UTC()}
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(text []byte) error {
	*t = Time{}
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	ms, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: a time is %.40q, want whole milliseconds since 1970", samsa.ErrInvalid, text)
	}
	t.Time = time.UnixMilli(ms).UTC()
	return nil
}

// Duration is a time in JSON: whole milliseconds, as a number. What is less than one is dropped.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Duration(d).Milliseconds(), 10), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(text []byte) error {
	ms, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond) {
		return fmt.Errorf("%w: a duration is %.40q, want whole milliseconds", samsa.ErrInvalid, text)
	}
	*d = Duration(time.Duration(ms) * time.Millisecond)
	return nil
}

// Kind says what a Position counts from.
type Kind string

// The kinds of positions.
const (
	AtEarliest Kind = "earliest" // the first record that is there
	AtLatest   Kind = "latest"   // behind the last record
	AtOffset   Kind = "offset"   // that offset
	AtTime     Kind = "time"     // the first record of that time or later, and where there is none, behind the last one
	AtLast     Kind = "last"     // so many records before the end
	ByShift    Kind = "shift"    // so many records on from where a group stands, or back
)

// Position is a place in partitions. In JSON, and in a query, it is text:
//
//	earliest   latest   offset:1042   time:1764422361000   time:2026-11-29T13:19:21Z   last:10   shift:-5
//
// The zero value is no position: what "" means is said where one is asked for. last is for reading, shift for groups.
type Position struct {
	Kind Kind
	N    int64     // the offset, or the number of records
	Time time.Time // of AtTime
}

// Earliest is the first record that is there.
func Earliest() Position { return Position{Kind: AtEarliest} }

// Latest is behind the last record.
func Latest() Position { return Position{Kind: AtLatest} }

// Offset is that offset.
func Offset(n int64) Position { return Position{Kind: AtOffset, N: n} }

// Since is the first record of t or later.
func Since(t time.Time) Position { return Position{Kind: AtTime, Time: t} }

// Last is n records before the end.
func Last(n int64) Position { return Position{Kind: AtLast, N: n} }

// Shift is n records on from where a group stands, back if n is negative.
func Shift(n int64) Position { return Position{Kind: ByShift, N: n} }

// IsZero reports whether p is no position.
func (p Position) IsZero() bool { return p.Kind == "" }

// String returns the text of p.
func (p Position) String() string {
	switch p.Kind {
	case "", AtEarliest, AtLatest:
		return string(p.Kind)
	case AtTime:
		t := p.Time.UTC()
		if t.Year() < 0 || t.Year() > 9999 { // RFC 3339 has four digits
			return string(AtTime) + ":" + strconv.FormatInt(t.UnixMilli(), 10)
		}
		return string(AtTime) + ":" + t.Format(time.RFC3339Nano)
	}
	return string(p.Kind) + ":" + strconv.FormatInt(p.N, 10)
}

// MarshalText implements encoding.TextMarshaler.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Position) UnmarshalText(text []byte) error {
	parsed, err := ParsePosition(string(text))
	*p = parsed
	return err
}

// ParsePosition reads the text of a position.
func ParsePosition(text string) (Position, error) {
	kind, rest, has := strings.Cut(text, ":")
	p := Position{Kind: Kind(kind)}
	var err error
	switch p.Kind {
	case "", AtEarliest, AtLatest:
		if !has {
			return p, nil
		}
	case AtTime:
		if p.Time, err = parseTime(rest); err == nil {
			return p, nil
		}
	case AtOffset, AtLast, ByShift:
		p.N, err = strconv.ParseInt(rest, 10, 64)
		if err == nil && (p.N >= 0 || p.Kind == ByShift) {
			return p, nil
		}
	}
	return Position{}, fmt.Errorf("%w: position %.60q, want earliest, latest, offset:N, time:MS, time:RFC3339, last:N or shift:N", samsa.ErrInvalid, text)
}

// parseTime reads a time: milliseconds since 1970, or RFC 3339.
func parseTime(text string) (time.Time, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// encode returns v in JSON, in which no character is escaped that need not be.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Limits of JSON that is sent. A value of few bytes may take many times as much memory.
const (
	maxElements = maxListed // of a list
	maxValues   = 1_000_000 // in all
)

// checkSize refuses JSON that has too much in it to be decoded. What is no JSON it need not see.
func checkSize(text []byte) error {
	values, depth := 1, 0
	var elements []int // of the lists and objects that are open
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			elements = append(elements[:depth], 1)
			depth++
			values++
		case ']', '}':
			depth = max(depth-1, 0)
		case ',':
			values++
			if depth > 0 {
				elements[depth-1]++
			}
		}
		if depth > 0 && elements[depth-1] > maxElements {
			return fmt.Errorf("%w: the body has a list of more than %d things", samsa.ErrTooLarge, maxElements)
		}
		if values > maxValues {
			return fmt.Errorf("%w: the body has more than %d values", samsa.ErrTooLarge, maxValues)
		}
	}
	return nil
}

// decodeStrictly reads one JSON value, all of text, into v: what v does not have is refused.
func decodeStrictly(text []byte, v any) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%w: the JSON is not UTF-8", samsa.ErrInvalid)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		return fmt.Errorf("%w: something follows the JSON value", samsa.ErrInvalid)
	}
	return nil
}
