package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// canonicalAvro returns a schema without what says nothing: white space, the order of attributes, a namespace that is that of the schema around, an
// object around the name of a type. Docs, defaults, aliases and properties of the program's own stay. Two texts with the same one are the same schema.
func canonicalAvro(text string) (string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("there is something behind the schema")
	}
	var b bytes.Buffer
	if err := writeAvro(&b, v, ""); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Attributes of a schema and of a field that come first, in this order, as Avro's Java library writes them. The others follow by their names.
var (
	ofSchema = []string{"type", "name", "namespace", "doc", "fields", "symbols", "default", "items", "values", "size", "aliases"}
	ofField  = []string{"name", "type", "doc", "default", "order", "aliases"}
)

// writeAvro writes a schema that stands in a namespace.
func writeAvro(b *bytes.Buffer, v any, space string) error {
	switch v := v.(type) {
	case string:
		b.Write(encode(relative(v, space)))
		return nil
	case []any:
		return list(b, v, func(branch any) error { return writeAvro(b, branch, space) })
	case map[string]any:
		kind, named := v["type"].(string)
		if !named { // {"type": {…}} is what stands inside
			if len(v) == 1 && v["type"] != nil {
				return writeAvro(b, v["type"], space)
			}
			return object(b, v, ofSchema, space, space)
		}
		switch kind {
		case "record", "error", "enum", "fixed":
			v = maps.Clone(v)
			name, _ := v["name"].(string)
			inside, _ := v["namespace"].(string)
			if _, given := v["namespace"]; !given {
				inside = space
			}
			if i := strings.LastIndexByte(name, '.'); i >= 0 {
				inside, name = name[:i], name[i+1:]
			}
			v["name"] = name
			delete(v, "namespace")
			if inside != space {
				v["namespace"] = inside
			}
			return object(b, v, ofSchema, space, inside)
		default:
			if len(v) == 1 {
				return writeAvro(b, kind, space)
			}
			return object(b, v, ofSchema, space, space)
		}
	default:
		return fmt.Errorf("a schema is a string, an array or an object, and not %T", v)
	}
}

// relative returns the name of a type as it is written in a namespace.
func relative(name, space string) string {
	if rest, ok := strings.CutPrefix(name, space+"."); ok && space != "" && !strings.Contains(rest, ".") {
		return rest
	}
	return name
}

// object writes a schema or a field, whose attributes come in an order. space is the namespace that its type stands in, inside that of its fields.
func object(b *bytes.Buffer, v map[string]any, order []string, space, inside string) error {
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	names := slices.SortedFunc(maps.Keys(v), func(a, c string) int {
		if x, y := rank(a), rank(c); x != y {
			return x - y
		}
		return strings.Compare(a, c)
	})
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(name))
		b.WriteByte(':')
		if err := attribute(b, name, v[name], space, inside); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func attribute(b *bytes.Buffer, name string, v any, space, inside string) error {
	switch name {
	case "type", "items", "values":
		return writeAvro(b, v, space)
	case "fields":
		fields, ok := v.([]any)
		if !ok {
			return errors.New("fields is no array")
		}
		return list(b, fields, func(f any) error {
			field, ok := f.(map[string]any)
			if !ok {
				return errors.New("a field is no object")
			}
			return object(b, field, ofField, inside, inside)
		})
	default:
		b.Write(encode(v))
		return nil
	}
}

func list(b *bytes.Buffer, all []any, write func(any) error) error {
	b.WriteByte('[')
	for i, v := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := write(v); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}
