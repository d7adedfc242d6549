package schema

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxNested bounds how deep a message may stand in others.
const maxNested = 100

// protoHome is the file of the schema itself, which no import names.
const protoHome = "(schema)"

// protoFormat is a file of Protobuf. JSON is Protobuf's own mapping, with the fields that have their default value, and 64-bit integers as
// numbers.
type protoFormat struct {
	file  protoreflect.FileDescriptor
	types *dynamicpb.Types
}

func readProtobuf(ctx context.Context, text string, parts []part) (format, error) {
	files := map[string]string{protoHome: text}
	for _, p := range parts {
		files[p.name] = p.text
	}
	c := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: func(path string) (io.ReadCloser, error) {
			text, ok := files[path]
			if !ok {
				return nil, protoregistry.NotFound
			}
			return io.NopCloser(strings.NewReader(text)), nil
		}}),
	}
	compiled, err := c.Compile(ctx, protoHome)
	if err != nil {
		return nil, err
	}
	var all protoregistry.Files
	if err := register(&all, compiled[0]); err != nil {
		return nil, err
	}
	return &protoFormat{compiled[0], dynamicpb.NewTypes(&all)}, nil
}

// register registers a file and all that it imports.
func register(all *protoregistry.Files, file protoreflect.FileDescriptor) error {
	if _, err := all.FindFileByPath(file.Path()); err == nil {
		return nil
	}
	if err := all.RegisterFile(file); err != nil {
		return err
	}
	imports := file.Imports()
	for i := range imports.Len() {
		if err := register(all, imports.Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return nil
}

func (f *protoFormat) decode(b []byte) ([]byte, error) {
	var header sr.ConfluentHeader
	index, rest, err := header.DecodeIndex(b, maxNested)
	if err != nil {
		return nil, errors.New("it does not begin with the place of its message")
	}
	desc, err := f.at(index)
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(desc)
	if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: f.types}).Unmarshal(rest, m); err != nil {
		return nil, fmt.Errorf("message %s: %w", desc.FullName(), err)
	}
	text, err := protojson.MarshalOptions{AllowPartial: true, EmitDefaultValues: true, Resolver: f.types}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", desc.FullName(), err)
	}
	var compact bytes.Buffer // the library puts blanks where it likes
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	n := numbers{in: json.NewDecoder(&compact), types: f.types}
	err = n.message(desc)
	return n.out.Bytes(), err
}

// at returns the message at a place: the number of a message of the file, the number of one in that, and so on.
func (f *protoFormat) at(index []int) (desc protoreflect.MessageDescriptor, err error) {
	list := f.file.Messages()
	for _, i := range index {
		if i < 0 || i >= list.Len() {
			return nil, fmt.Errorf("the schema has no message at %v", index)
		}
		desc = list.Get(i)
		list = desc.Messages()
	}
	return desc, nil
}

// named returns the message of a name, with or without the package; of "" the first one.
func (f *protoFormat) named(name string) (protoreflect.MessageDescriptor, error) {
	list := f.file.Messages()
	if name == "" {
		if list.Len() == 0 {
			return nil, errors.New("the schema has no message")
		}
		return list.Get(0), nil
	}
	full := name
	if pkg := string(f.file.Package()); pkg != "" && !strings.HasPrefix(name, pkg+".") {
		full = pkg + "." + name
	}
	var find func(protoreflect.MessageDescriptors) protoreflect.MessageDescriptor
	find = func(list protoreflect.MessageDescriptors) protoreflect.MessageDescriptor {
		for i := range list.Len() {
			m := list.Get(i)
			if string(m.FullName()) == full {
				return m
			}
			if m := find(m.Messages()); m != nil {
				return m
			}
		}
		return nil
	}
	if m := find(list); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("the schema has no message %q", name)
}

func (f *protoFormat) encoder(message string) (func([]byte) ([]byte, error), error) {
	desc, err := f.named(message)
	if err != nil {
		return nil, err
	}
	var index []int
	for d := protoreflect.Descriptor(desc); ; d = d.Parent() {
		if _, isFile := d.(protoreflect.FileDescriptor); isFile {
			break
		}
		index = append(index, d.Index())
	}
	slices.Reverse(index)
	prefix := []byte{0} // stands for the first message
	if len(index) > 1 || index[0] != 0 {
		prefix = binary.AppendVarint(nil, int64(len(index)))
		for _, i := range index {
			prefix = binary.AppendVarint(prefix, int64(i))
		}
	}
	return func(text []byte) ([]byte, error) {
		m := dynamicpb.NewMessage(desc)
		if err := (protojson.UnmarshalOptions{Resolver: f.types}).Unmarshal(text, m); err != nil {
			return nil, fmt.Errorf("message %s: %w", desc.FullName(), err)
		}
		return proto.MarshalOptions{Deterministic: true}.MarshalAppend(slices.Clone(prefix), m)
	}, nil
}
