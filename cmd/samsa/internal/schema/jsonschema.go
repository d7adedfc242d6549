package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// jsonFormat is a schema of JSON Schema. What is read is not checked by it, as Confluent's deserializers do not, and what is written is.
type jsonFormat struct {
	text  string
	parts []part
}

func readJSONSchema(text string, parts []part) (format, error) {
	if err := oneValue([]byte(text)); err != nil {
		return nil, err
	}
	return &jsonFormat{text, parts}, nil
}

func (f *jsonFormat) decode(b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is not UTF-8")
	}
	if err := oneValue(b); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := json.Compact(&out, b)
	return out.Bytes(), err
}

// home is where the schema itself stands, and what its references are relative to.
const home = "registry:///"

func (f *jsonFormat) encoder(message string) (func([]byte) ([]byte, error), error) {
	if message != "" {
		return nil, errNoMessages
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	base, err := url.Parse(home)
	if err != nil {
		return nil, err
	}
	for _, p := range append([]part{{name: "schema.json", text: f.text}}, f.parts...) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(p.text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		at, err := base.Parse(p.name)
		if err == nil {
			err = c.AddResource(at.String(), doc)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	s, err := c.Compile(home + "schema.json")
	if err != nil {
		return nil, err
	}
	return func(text []byte) ([]byte, error) {
		out, err := f.decode(text)
		if err != nil {
			return nil, err
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
		if err == nil {
			err = s.Validate(v)
		}
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			invalid.SchemaURL = "the schema" // and not where it stands here
		}
		return out, err
	}, nil
}

// noLoader loads nothing: all that a schema may refer to is in the registry.
type noLoader struct{}

// Load says that there is nothing.
func (noLoader) Load(string) (any, error) {
	return nil, errors.New("it is not among the references of the schema")
}
