package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa/cmd/samsa/internal/escape"
	"github.com/samsa-go/samsa/internal/api"
)

// lineFormat is how a line without --json has a key and a value.
type lineFormat struct {
	separator string // between the two; "" for values alone
	null      string // stands for null; "" for nothing that does
}

func (f *lineFormat) define(fs *pflag.FlagSet) {
	fs.StringVarP(&f.separator, "key-separator", "K", "", "a line is a key, this `text`, and a value")
	fs.StringVar(&f.null, "null", "", "this `text` stands for null, as a key or a value")
}

// check refuses what JSON has no use for.
func (f *lineFormat) check(json bool) error {
	if json && (f.separator != "" || f.null != "") {
		return errors.New("--key-separator and --null are for lines without --json, which has keys and null by itself")
	}
	return nil
}

// append appends the line of a record to buf. For a terminal what would control it is shown as an escape.
func (f *lineFormat) append(buf []byte, key, value api.Bytes, terminal bool) []byte {
	put := func(b []byte) {
		switch {
		case b == nil:
			buf = append(buf, f.null...)
		case terminal:
			buf = append(buf, harmless(b)...)
		default:
			buf = append(buf, b...)
		}
	}
	if f.separator != "" {
		put(key)
		buf = append(buf, f.separator...)
	}
	put(value)
	return append(buf, '\n')
}

// harmless returns b with what a terminal would obey escaped.
func harmless(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n <= 1:
			out = fmt.Appendf(out, `\x%02x`, b[0])
		case escape.Turns(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			out = fmt.Appendf(out, `\x%02x`, r)
		default:
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return out
}

// parse reads a line without its end. It keeps a reference to line.
func (f *lineFormat) parse(line []byte) (r api.NewRecord, err error) {
	field := func(b []byte) api.Bytes {
		if f.null != "" && string(b) == f.null {
			return nil
		}
		return append(api.Bytes{}, b...)
	}
	if f.separator == "" {
		r.Value = field(line)
		return r, nil
	}
	key, value, ok := bytes.Cut(line, []byte(f.separator))
	if !ok {
		return r, fmt.Errorf("there is no %q behind a key", f.separator)
	}
	r.Key, r.Value = field(key), field(value)
	return r, nil
}

// jsonLine is a line of JSON that produce reads: what consume prints, of which a part may be left out.
type jsonLine struct {
	Topic     string       `json:"topic"`
	Partition *int32       `json:"partition"`
	Offset    *int64       `json:"offset"` // is not looked at
	Timestamp api.Time     `json:"timestamp"`
	Key       api.Bytes    `json:"key"`
	Value     api.Bytes    `json:"value"`
	Headers   []api.Header `json:"headers"`
	KeySize   int          `json:"key_size"`
	ValueSize int          `json:"value_size"`

	KeySchema   int `json:"key_schema"` // by whose id the key was decoded, 0 for none
	ValueSchema int `json:"value_schema"`
}

// parseJSON reads a line of JSON.
func parseJSON(line []byte) (l jsonLine, err error) {
	if !utf8.Valid(line) {
		return l, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return l, errors.New("something follows the JSON value")
	}
	if l.KeySchema < 0 || l.ValueSchema < 0 || l.KeySchema > math.MaxInt32 || l.ValueSchema > math.MaxInt32 {
		return l, errors.New("the id of a schema is a number from 1 on")
	}
	if l.KeySize > 0 || l.ValueSize > 0 {
		return l, errors.New("its key or value was cut")
	}
	return l, nil
}

// parseBytes reads bytes of the command line: text, or base64:... . Of "" it is nil.
func parseBytes(s string) (api.Bytes, error) {
	if s == "" {
		return nil, nil
	}
	if rest, ok := strings.CutPrefix(s, "base64:"); ok {
		b, err := base64.StdEncoding.DecodeString(rest)
		return append(api.Bytes{}, b...), err
	}
	return api.Bytes(s), nil
}

const formatsText = `Records are lines, in two formats, and what consume prints in one of them produce reads.

Without --json a line is the value of a record and nothing else. With --key-separator : it is the key, the separator, and the value. --null NULL
has the text NULL stand for null; without it null looks as empty does. A value with a line feed in it is several lines: use --json then.

With --json a line is an object with all of a record:

  {"topic":"web_log","partition":0,"offset":7,"timestamp":1764422361000,"key":"k","value":"v","headers":[{"key":"a","value":null}]}

key, value and a header's value are null, a string, or {"base64":"/w=="} for bytes that are not UTF-8; null and "" are different. Headers are in
their order, with duplicates. timestamp is in milliseconds since 1970. Numbers are exact, of 64 bits. produce takes such lines, in which
anything may be left out: what is not there is null, or chosen when the record is stored. It does not look at the offset. value_schema and
key_schema are the ids of the schemas by which they were decoded (samsa help schemas).`
