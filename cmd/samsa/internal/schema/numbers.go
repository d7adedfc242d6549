package schema

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// numbers copies the JSON of a message, with 64-bit integers as numbers: Protobuf's own mapping has them in quotes, where an expression
// would compare them as texts.
type numbers struct {
	in    *json.Decoder
	out   bytes.Buffer
	types *dynamicpb.Types
}

// message copies an object that is a message. What Google's own types look like is theirs, but for the integers among them.
func (n *numbers) message(desc protoreflect.MessageDescriptor) error {
	switch name := string(desc.FullName()); {
	case name == "google.protobuf.Int64Value", name == "google.protobuf.UInt64Value":
		return n.scalar(true)
	case name == "google.protobuf.Any":
		return n.anyMessage()
	case strings.HasPrefix(name, "google.protobuf."):
		return n.scalar(false)
	}
	return n.each('}', func(key string) error { return n.field(desc, key) })
}

// anyMessage copies an Any: its type stands first, and then its fields, or if it is one of Google's own types, its value.
func (n *numbers) anyMessage() error {
	var desc protoreflect.MessageDescriptor
	return n.each('}', func(key string) error {
		switch {
		case key == "@type":
			begin := n.out.Len()
			if err := n.scalar(false); err != nil {
				return err
			}
			var name string
			if err := json.Unmarshal(n.out.Bytes()[begin:], &name); err != nil {
				return err
			}
			t, err := n.types.FindMessageByURL(name)
			if err == nil {
				desc = t.Descriptor()
			}
			return err
		case desc == nil:
			return n.scalar(false)
		case strings.HasPrefix(string(desc.FullName()), "google.protobuf."):
			return n.message(desc)
		}
		return n.field(desc, key)
	})
}

// field copies what stands behind the name of a field.
func (n *numbers) field(desc protoreflect.MessageDescriptor, key string) error {
	field := desc.Fields().ByJSONName(key)
	if field == nil && strings.HasPrefix(key, "[") {
		if x, err := n.types.FindExtensionByName(protoreflect.FullName(strings.Trim(key, "[]"))); err == nil {
			field = x.TypeDescriptor()
		}
	}
	switch {
	case field == nil:
		return n.scalar(false)
	case field.IsMap():
		return n.each('}', func(string) error { return n.value(field.MapValue()) })
	case field.IsList():
		return n.each(']', func(string) error { return n.value(field) })
	}
	return n.value(field)
}

// value copies one value of a field.
func (n *numbers) value(field protoreflect.FieldDescriptor) error {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return n.message(field.Message())
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return n.scalar(true)
	}
	return n.scalar(false)
}

// each copies an object or an array, which ends with end, and has f copy each value. key is "" in an array.
func (n *numbers) each(end json.Delim, f func(key string) error) error {
	begin, err := n.in.Token()
	if err != nil {
		return err
	}
	if d, ok := begin.(json.Delim); !ok || d == end { // null
		return writeScalar(&n.out, begin)
	}
	n.out.WriteString(begin.(json.Delim).String())
	for first := true; n.in.More(); first = false {
		if !first {
			n.out.WriteByte(',')
		}
		key := ""
		if end == '}' {
			t, err := n.in.Token()
			if err != nil {
				return err
			}
			key, _ = t.(string)
			if err := writeScalar(&n.out, key); err != nil {
				return err
			}
			n.out.WriteByte(':')
		}
		if err := f(key); err != nil {
			return err
		}
	}
	_, err = n.in.Token()
	n.out.WriteString(end.String())
	return err
}

// scalar copies a value as it is, without its quotes if it is an integer.
func (n *numbers) scalar(integer bool) error {
	var v json.RawMessage
	if err := n.in.Decode(&v); err != nil {
		return err
	}
	if integer {
		v = bytes.Trim(v, `"`)
	}
	n.out.Write(v)
	return nil
}
