package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// avroFields finds fields in JSON that a schema of Avro does not have. The library leaves them out, and a mistyped one would be lost.
type avroFields struct {
	root  *avro.SchemaNode
	named map[string]*avro.SchemaNode // by full and by short name
}

func newAvroFields(s *avro.Schema) *avroFields {
	f := &avroFields{s.Root(), make(map[string]*avro.SchemaNode)}
	f.name(f.root)
	return f
}

func (f *avroFields) name(n *avro.SchemaNode) {
	if n == nil {
		return
	}
	if n.Name != "" {
		f.named[n.Name], f.named[short(n.Name)], f.named[full(n)] = n, n, n
	}
	f.name(n.Items)
	f.name(n.Values)
	for i := range n.Branches {
		f.name(&n.Branches[i])
	}
	for i := range n.Fields {
		f.name(&n.Fields[i].Type)
	}
}

// full returns the name of a type with its namespace.
func full(n *avro.SchemaNode) string {
	if n.Name == "" {
		return n.Type
	}
	if n.Namespace == "" || strings.Contains(n.Name, ".") {
		return n.Name
	}
	return n.Namespace + "." + n.Name
}

// short returns a name without its namespace.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// check checks text, of which the library has made v with its unions tagged.
func (f *avroFields) check(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var in any
	if err := d.Decode(&in); err != nil {
		return err
	}
	return f.walk(f.root, in, v)
}

// walk checks a value in the JSON, and what the library has made of it.
func (f *avroFields) walk(n *avro.SchemaNode, in, v any) error {
	if target := f.named[n.Type]; target != nil && n.Name == "" {
		n = target
	}
	object, _ := in.(map[string]any)
	made, _ := v.(map[string]any)
	switch n.Type {
	case "union":
		return f.union(n, in, made)
	case "record", "error":
		for name, x := range object {
			i := slices.IndexFunc(n.Fields, func(field avro.SchemaField) bool {
				return field.Name == name || slices.Contains(field.Aliases, name)
			})
			if i < 0 {
				return fmt.Errorf("%s has no field %q", full(n), name)
			}
			if err := f.walk(&n.Fields[i].Type, x, made[n.Fields[i].Name]); err != nil {
				return err
			}
		}
	case "map":
		for k, x := range object {
			if err := f.walk(n.Values, x, made[k]); err != nil {
				return err
			}
		}
	case "array":
		list, _ := in.([]any)
		items, _ := v.([]any)
		for i := range min(len(list), len(items)) {
			if err := f.walk(n.Items, list[i], items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// union checks the value of a union. The library has put it behind its type; the JSON may have, by its full or its short name.
func (f *avroFields) union(n *avro.SchemaNode, in any, made map[string]any) error {
	for i := range n.Branches {
		branch := &n.Branches[i]
		if target := f.named[branch.Type]; target != nil && branch.Name == "" {
			branch = target
		}
		v, ok := made[full(branch)]
		if !ok {
			continue
		}
		if object, ok := in.(map[string]any); ok && len(object) == 1 {
			for name, x := range object {
				if name == full(branch) || name == short(full(branch)) {
					in = x
				}
			}
		}
		return f.walk(branch, in, v)
	}
	return nil
}
