package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	typeProtobuf = "PROTOBUF"
	typeJSON     = "JSON"
)

// checkProtobuf returns what is wrong with a file, which imports others by the names of its references.
func checkProtobuf(text string, parts map[string]string) error {
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
	_, err := c.Compile(context.Background(), home)
	return err
}

// noLoader has a schema refer to nothing but its references, and to the meta-schemas.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is none of its references", url)
}

// checkJSON returns what is wrong with a JSON Schema, which refers to others by the names of its references.
func checkJSON(text string, parts map[string]string) error {
	const home = "registry:///"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	add := func(name, text string) error {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return err
		}
		if !strings.Contains(name, ":") {
			name = home + name
		}
		return c.AddResource(name, doc)
	}
	for name, text := range parts {
		if err := add(name, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := add("(schema)", text); err != nil {
		return err
	}
	_, err := c.Compile(home + "(schema)")
	return err
}

// check parses a schema that is no Avro, with all that it refers to.
func (s *state) check(v *version) error {
	parts := make(map[string]string)
	err := s.eachReference(v, make(map[subjectVersion]bool), func(name string, used *version) error {
		if text, ok := parts[name]; ok && text != used.Text {
			return fmt.Errorf("two schemas have the name %s", name)
		}
		parts[name] = used.Text
		return nil
	})
	if err != nil {
		return invalid(v, err)
	}
	check := checkProtobuf
	if v.Type == typeJSON {
		check = checkJSON
	}
	if err := check(v.Text, parts); err != nil {
		return invalid(v, err)
	}
	return nil
}

// notCompared is the answer to who would have two schemas compared that are no Avro.
func notCompared(v *version, level string) error {
	return &fault{http.StatusUnprocessableEntity, fmt.Sprintf("This registry does not compare schemas of type %s: the compatibility level of subject %s is %s, and has to be NONE",
		v.Type, v.Subject, level)}
}

// canonicalJSON returns JSON without white space.
func canonicalJSON(text string) (string, error) {
	var b bytes.Buffer
	err := json.Compact(&b, []byte(text))
	return b.String(), err
}
