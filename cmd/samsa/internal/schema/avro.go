package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// avroFormat is a schema of Avro. JSON is Avro's own encoding, in which the value of a union that is not null stands behind its type:
// {"string":"a"}. Read is a plain "a" too.
type avroFormat struct {
	schema *avro.Schema
	fields map[string]int // names of fields in the order of the schema; nil if it has no maps
}

func readAvro(text string, parts []part) (format, error) {
	var cache avro.SchemaCache
	maps := strings.Contains(text, `"map"`)
	for _, p := range parts {
		if _, err := cache.Parse(p.text); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		maps = maps || strings.Contains(p.text, `"map"`)
	}
	s, err := cache.Parse(text)
	if err != nil {
		return nil, err
	}
	f := &avroFormat{schema: s}
	if maps {
		f.fields = make(map[string]int)
		for _, p := range append(slices.Clone(parts), part{text: text}) {
			if err := f.order([]byte(p.text)); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

// order takes the names of a schema, in their order.
func (f *avroFormat) order(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if name, ok := v["name"].(string); ok {
				if _, known := f.fields[name]; !known {
					f.fields[name] = len(f.fields)
				}
			}
			for _, k := range []string{"type", "fields", "items", "values"} {
				walk(v[k])
			}
		}
	}
	walk(v)
	return nil
}

func (f *avroFormat) decode(b []byte) ([]byte, error) {
	var v any
	rest, err := f.schema.Decode(b, &v, avro.TaggedUnions())
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow what the schema has", len(rest))
	}
	text, err := f.schema.EncodeJSON(v, avro.TaggedUnions())
	if err == nil && f.fields != nil {
		text, err = f.sort(text)
	}
	return text, err
}

// sort puts what stands in objects in order: fields as the schema has them, and then keys of maps, which the library leaves in any order.
func (f *avroFormat) sort(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := f.write(&out, v)
	return out.Bytes(), err
}

func (f *avroFormat) write(out *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case []any:
		out.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := f.write(out, x); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, f.compare)
		out.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeScalar(out, k); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := f.write(out, v[k]); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	default:
		return writeScalar(out, v)
	}
	return nil
}

// compare compares two keys of an object.
func (f *avroFormat) compare(a, b string) int {
	i, field := f.fields[a]
	j, too := f.fields[b]
	switch {
	case field && too:
		return i - j
	case field:
		return -1
	case too:
		return 1
	}
	return strings.Compare(a, b)
}

// writeScalar writes what is neither an array nor an object.
func writeScalar(out *bytes.Buffer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // its line feed
	return nil
}

func (f *avroFormat) encoder(message string) (func([]byte) ([]byte, error), error) {
	if message != "" {
		return nil, errNoMessages
	}
	fields := newAvroFields(f.schema)
	return func(text []byte) ([]byte, error) {
		if err := oneValue(text); err != nil {
			return nil, err
		}
		var v any
		if err := f.schema.DecodeJSON(text, &v, avro.TaggedUnions()); err != nil {
			return nil, err
		}
		if err := fields.check(text, v); err != nil {
			return nil, err
		}
		return f.schema.Encode(v)
	}, nil
}

var errNoMessages = errors.New("a message is named, but the schema is not Protobuf")

// oneValue checks that text is one value of JSON.
func oneValue(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return errors.New("it is no JSON")
}
