package registry

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const typeProtobuf = "PROTOBUF"

// protobufFile is a schema of Protobuf.
type protobufFile struct{ protoreflect.FileDescriptor }

// parseProtobuf reads a file, which imports others by the names of its references.
func parseProtobuf(text string, parts map[string]string) (parsed, error) {
	if nested(text) > maxNested {
		return nil, fmt.Errorf("it is nested deeper than %d", maxNested)
	}
	const home = "(schema)" // which no import names
	c := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: func(path string) (io.ReadCloser, error) {
			is, ok := parts[path]
			if path == home {
				is, ok = text, true
			}
			if !ok {
				return nil, protoregistry.NotFound
			}
			return io.NopCloser(strings.NewReader(is)), nil
		}}),
	}
	files, err := c.Compile(context.Background(), home)
	if err != nil {
		return nil, err
	}
	return protobufFile{files[0]}, nil
}

// nested returns how deep brackets of a file stand within each other, outside of comments and texts: what compiles one takes a time that grows with the square.
func nested(text string) (deepest int) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{', '[', '(', '<':
			depth++
			deepest = max(deepest, depth)
		case '}', ']', ')', '>':
			depth--
		case '"', '\'':
			for i++; i < len(text) && text[i] != c && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			end := ""
			if strings.HasPrefix(text[i:], "//") {
				end = "\n"
			} else if strings.HasPrefix(text[i:], "/*") {
				end = "*/"
			}
			if end == "" {
				continue
			}
			n := strings.Index(text[i+2:], end)
			if n < 0 {
				return deepest
			}
			i += 2 + n + len(end) - 1
		}
	}
	return deepest
}

// reads compares files as Confluent's registry does (ProtobufSchemaDiff in its sources), and stricter where docs/adapters.md says so. Messages and
// enums are found by their names, fields by their numbers.
func (f protobufFile) reads(written parsed) ([]difference, error) {
	old := written.(protobufFile)
	d := &protobufDiff{done: make(map[[2]protoreflect.FullName]bool)}
	if old.Package() != f.Package() {
		d.add("PACKAGE_CHANGED", "", "the package is %s, and was %s", f.Package(), old.Package())
	}
	d.types("#", old, f)
	d.imports(old, make(map[string]bool))
	d.imports(f, make(map[string]bool))
	return d.found, d.unknown
}

// protobufDiff collects what keeps one file from reading what the other has written.
type protobufDiff struct {
	found   []difference
	unknown error
	done    map[[2]protoreflect.FullName]bool // messages that are compared, or being so
}

func (d *protobufDiff) add(kind, path, format string, args ...any) {
	d.found = append(d.found, difference{kind, path, fmt.Sprintf(format, args...)})
}

// container is a file or a message.
type container interface {
	Messages() protoreflect.MessageDescriptors
	Extensions() protoreflect.ExtensionDescriptors
}

// types compares the messages that are declared in a file or in a message. Enums may change: what a reader does not know stays a number.
func (d *protobufDiff) types(path string, old, now container) {
	d.extensions(old)
	d.extensions(now)
	for i := range old.Messages().Len() {
		m := old.Messages().Get(i)
		at := path + "/" + string(m.Name())
		if is := now.Messages().ByName(m.Name()); is != nil {
			d.message(at, m, is)
		} else if !m.IsMapEntry() {
			d.add("MESSAGE_REMOVED", at, "message %s is gone", m.Name())
		}
	}
}

// extensions are not compared, but for those of options.
func (d *protobufDiff) extensions(c container) {
	for i := range c.Extensions().Len() {
		if of := c.Extensions().Get(i).ContainingMessage().FullName(); !strings.HasPrefix(string(of), "google.protobuf.") {
			d.unknown = fmt.Errorf("extensions, as that of %s", of)
		}
	}
}

// imports looks for extensions in all that a file imports.
func (d *protobufDiff) imports(f protoreflect.FileDescriptor, done map[string]bool) {
	for i := range f.Imports().Len() {
		if is := f.Imports().Get(i).FileDescriptor; !done[is.Path()] {
			done[is.Path()] = true
			d.extensions(is)
			d.imports(is, done)
		}
	}
}

// message compares two messages, and what is declared in them.
func (d *protobufDiff) message(path string, old, now protoreflect.MessageDescriptor) {
	pair := [2]protoreflect.FullName{old.FullName(), now.FullName()}
	if d.done[pair] || old.IsMapEntry() || now.IsMapEntry() {
		return
	}
	d.done[pair] = true
	d.oneofs(path, old, now)
	for i := range old.Fields().Len() {
		f := old.Fields().Get(i)
		at := fmt.Sprintf("%s/%d", path, f.Number())
		is := now.Fields().ByNumber(f.Number())
		switch o := oneofOf(f); {
		case is != nil:
			d.field(at, f, is)
		case f.Cardinality() == protoreflect.Required:
			d.add("REQUIRED_FIELD_REMOVED", at, "field %s, which is required, is gone", f.Name())
		case o != nil && !gone(o, now):
			d.add("ONEOF_FIELD_REMOVED", at, "field %s of oneof %s is gone", f.Name(), o.Name())
		}
	}
	for i := range now.Fields().Len() {
		f := now.Fields().Get(i)
		if old.Fields().ByNumber(f.Number()) == nil && f.Cardinality() == protoreflect.Required {
			d.add("REQUIRED_FIELD_ADDED", fmt.Sprintf("%s/%d", path, f.Number()), "field %s is new, and required", f.Name())
		}
	}
	d.types(path, old, now)
}

// oneofOf returns the oneof that a field is in; nil for none.
func oneofOf(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

// gone tells whether a oneof was removed as a whole, with all its fields: then nothing of it is read.
func gone(o protoreflect.OneofDescriptor, now protoreflect.MessageDescriptor) bool {
	if is := now.Oneofs().ByName(o.Name()); is != nil && !is.IsSynthetic() {
		return false
	}
	for i := range o.Fields().Len() {
		if now.Fields().ByNumber(o.Fields().Get(i).Number()) != nil {
			return false
		}
	}
	return true
}

// oneofs finds fields that exclude each other now, and did not: of what has both set one is lost.
func (d *protobufDiff) oneofs(path string, old, now protoreflect.MessageDescriptor) {
	for i := range now.Oneofs().Len() {
		o := now.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		from := make(map[string]bool) // oneofs, and fields that were in none
		for i := range o.Fields().Len() {
			f := old.Fields().ByNumber(o.Fields().Get(i).Number())
			if f == nil {
				continue
			}
			if was := oneofOf(f); was != nil {
				from["oneof "+string(was.Name())] = true
			} else {
				from["field "+string(f.Name())] = true
			}
		}
		if len(from) > 1 {
			d.add("FIELD_MOVED_TO_EXISTING_ONEOF", path+"/"+string(o.Name()), "oneof %s is made of %s, which were independent",
				o.Name(), strings.Join(slices.Sorted(maps.Keys(from)), ", "))
		}
	}
}

// field compares two fields of a number.
func (d *protobufDiff) field(path string, old, now protoreflect.FieldDescriptor) {
	if old.IsMap() && now.IsMap() {
		d.field(path+"/key", old.MapKey(), now.MapKey())
		d.field(path+"/value", old.MapValue(), now.MapValue())
		return
	}
	was, is := wireKind(old), wireKind(now)
	switch {
	case was != is:
		d.add("FIELD_KIND_CHANGED", path, "field %s is a %s, and was a %s", now.Name(), is, was)
		return
	case now.Cardinality() == protoreflect.Required && old.Cardinality() != protoreflect.Required:
		d.add("REQUIRED_FIELD_ADDED", path, "field %s has become required", now.Name())
	case old.Cardinality() != now.Cardinality() && now.Message() == nil && is != aString:
		d.add("FIELD_NUMERIC_LABEL_CHANGED", path, "field %s is %s, and was %s", now.Name(), now.Cardinality(), old.Cardinality())
	}
	if was, is := old.Message(), now.Message(); is != nil {
		if local(was) != local(is) {
			d.add("FIELD_NAMED_TYPE_CHANGED", path, "field %s is a %s, and was a %s", now.Name(), local(is), local(was))
			return
		}
		d.message(path, was, is)
	}
}

// local returns the name of a message in its file, without the package.
func local(m protoreflect.MessageDescriptor) string {
	return strings.TrimPrefix(string(m.FullName()), string(m.ParentFile().Package())+".")
}

const aString = "string"

// wireKind says how a field is encoded: types of one kind may take the place of each other.
func wireKind(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "map"
	}
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return "number"
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return "signed number"
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "number of 4 bytes"
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return "number of 8 bytes"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return aString
	}
	return f.Kind().String() // float, double, message, group
}
