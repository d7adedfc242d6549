package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"github.com/samsa-go/samsa/internal/api"
)

// program is the two expressions of consume.
type program struct {
	where, output *gojq.Code      // nil for none
	ctx           context.Context // which ends what has no end of its own
}

func compile(where, output string) (p *program, err error) {
	p = &program{ctx: context.Background()}
	for _, x := range []struct {
		flag, text string
		code       **gojq.Code
	}{{"--where", where, &p.where}, {"--print", output, &p.output}} {
		if x.text == "" {
			continue
		}
		query, err := gojq.Parse(x.text)
		if err == nil {
			*x.code, err = gojq.Compile(query)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", x.flag, x.text, err)
		}
	}
	return p, nil
}

// wants reports whether the first value that --where makes of a record is neither false nor null. An error of the expression, as for a value that is
// no object, says no.
func (p *program) wants(r api.Record) (bool, error) {
	if p.where == nil {
		return true, nil
	}
	in, err := visible(r)
	if err != nil {
		return false, err
	}
	v, ok := p.where.RunWithContext(p.ctx, in).Next()
	if err := p.ctx.Err(); err != nil {
		return false, err
	}
	if _, failed := v.(error); failed || !ok {
		return false, nil
	}
	return v != nil && v != false, nil
}

// print prints each value that --print makes of a record: strings as they are, unless asJSON, and others as JSON.
func (p *program) print(w io.Writer, r api.Record, asJSON bool) error {
	in, err := visible(r)
	if err != nil {
		return err
	}
	values := p.output.RunWithContext(p.ctx, in)
	for {
		v, ok := values.Next()
		if !ok {
			return nil
		}
		if err, failed := v.(error); failed {
			return fmt.Errorf("--print, topic %s, partition %d, offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		if s, text := v.(string); text && !asJSON {
			if onTerminal(w) {
				s = string(harmless([]byte(s)))
			}
			if _, err := io.WriteString(w, s+"\n"); err != nil {
				return err
			}
			continue
		}
		text, err := gojq.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
	}
}

// visible returns a record as an expression sees it. Numbers are json.Number: exact.
func visible(r api.Record) (any, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	in, err := decodeJSON(text)
	if err != nil {
		return nil, err
	}
	if utf8.Valid(r.Value) {
		if v, err := decodeJSON(r.Value); err == nil {
			in.(map[string]any)["value"] = v
		}
	}
	if in.(map[string]any)["headers"] == nil {
		in.(map[string]any)["headers"] = []any{}
	}
	return in, nil
}

// decodeJSON decodes one JSON value, all of text.
func decodeJSON(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

const expressionsText = `consume takes two expressions of jq (https://jqlang.org): --where says which records are wanted, and --print what is printed of them.
Their input is the record as consume --json prints it, but that a value which is JSON is there as JSON, and not as a string:

  {"topic":"web_log","partition":0,"offset":7,"timestamp":1764422361000,"key":"k","value":{"status":500},"headers":[]}

So .value.status >= 500 is true for it, and .key + " " + .value.path makes a text. A record is wanted if the first value of --where is neither false
nor null; where the expression fails, as .value.status does for a value that is a text, the record is not wanted. --print may make any number of
values of a record, each of which is a line: texts as they are, or in quotes with --json. Integers are exact, however large.`
