package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

const typeAvro = "AVRO"

// types of schemas that are taken.
var types = []string{typeAvro, typeJSON, typeProtobuf}

// levels are those of compatibility: with the versions before, data can be read by whom.
var levels = map[string]struct{ backward, forward, all bool }{
	"NONE":                {},
	"BACKWARD":            {backward: true},
	"BACKWARD_TRANSITIVE": {backward: true, all: true},
	"FORWARD":             {forward: true},
	"FORWARD_TRANSITIVE":  {forward: true, all: true},
	"FULL":                {backward: true, forward: true},
	"FULL_TRANSITIVE":     {backward: true, forward: true, all: true},
}

// identity is a hash of what is the same in all versions that have the same schema, and in no others.
type identity [sha256.Size]byte

// identify fills the identities of v, whose canonical text this is.
func (v *version) identify(text string) {
	v.schema = sha256.Sum256(encode([]any{v.Type, text, v.Refs}))
	v.contracted()
}

// contracted is identify where metadata and rules have changed.
func (v *version) contracted() {
	v.same = sha256.Sum256(encode([]any{v.schema[:], v.Metadata, v.RuleSet}))
}

// canonicalJSON returns JSON without white space.
func canonicalJSON(text string) (string, error) {
	var b bytes.Buffer
	err := json.Compact(&b, []byte(text))
	return b.String(), err
}

// canonicalText returns the text of a schema without what says nothing. Of Protobuf that is all of it.
func canonicalText(kind, text string) (string, error) {
	switch kind {
	case typeAvro:
		return canonicalAvro(text)
	case typeJSON:
		return canonicalJSON(text)
	}
	return text, nil
}

// canonical has v be as it is stored. What can be said without its references is said.
func (v *version) canonical() error {
	if !slices.Contains(types, v.Type) {
		return faultf(codeInvalidSchema, "Invalid schema type %s: this registry takes %s", v.Type, strings.Join(types, ", "))
	}
	if v.Text == "" {
		return faultf(codeInvalidSchema, "Empty schema")
	}
	text, err := canonicalText(v.Type, v.Text)
	if err != nil {
		return invalid(v, err)
	}
	v.Text = text
	v.identify(text)
	return nil
}

func invalid(v *version, err error) error {
	return faultf(codeInvalidSchema, "Invalid schema of type %s: %v", v.Type, err)
}

// maxReferences bounds the schemas that one is made of.
const maxReferences = 1000

// parsed is a schema that was read, of one of the types.
type parsed interface {
	// reads returns what keeps it from reading all that was written by another schema of its type, or nothing. The error is what the two have
	// that is not compared.
	reads(written parsed) ([]difference, error)
}

// difference is one by which schemas are not compatible.
type difference struct{ kind, path, text string }

func (d difference) String() string {
	return fmt.Sprintf("{errorType:%q, description:\"at %s: %s\"}", d.kind, d.path, d.text)
}

// avroSchema is a schema of Avro.
type avroSchema struct{ *avro.Schema }

func (s avroSchema) reads(written parsed) ([]difference, error) {
	if err := avro.CheckCompatibility(written.(avroSchema).Schema, s.Schema); err != nil {
		return []difference{{"INCOMPATIBLE", "/", err.Error()}}, nil
	}
	return nil, nil
}

// parse reads a schema with all that it refers to.
func (s *state) parse(v *version) (is parsed, err error) {
	var c avro.SchemaCache
	parts := make(map[string]string)
	err = s.eachReference(v, make(map[subjectVersion]bool), func(name string, used *version) error {
		if v.Type == typeAvro {
			if _, err := c.Parse(used.Text); err != nil {
				return invalid(used, err)
			}
		} else if text, ok := parts[name]; ok && text != used.Text {
			return invalid(v, fmt.Errorf("two schemas have the name %s", name))
		}
		parts[name] = used.Text
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch v.Type {
	case typeProtobuf:
		is, err = parseProtobuf(v.Text, parts)
	case typeJSON:
		is, err = parseJSON(v.Text, parts)
	default:
		var read *avro.Schema
		read, err = c.Parse(v.Text)
		is = avroSchema{read}
	}
	if err != nil {
		return nil, invalid(v, err)
	}
	return is, nil
}

// eachReference calls visit with all that a schema refers to, each once under a name, after what that refers to itself.
func (s *state) eachReference(v *version, done map[subjectVersion]bool, visit func(name string, used *version) error) error {
	for _, r := range v.Refs {
		at := subjectVersion{r.Subject, r.Version}
		if done[at] {
			continue
		}
		done[at] = true
		if len(done) > maxReferences {
			return invalid(v, fmt.Errorf("it is made of more than %d others", maxReferences))
		}
		used := s.version(r.Subject, r.Version)
		if used == nil {
			return invalid(v, fmt.Errorf("no schema reference found for subject \"%s\" and version %d", r.Subject, r.Version))
		}
		if used.Type != v.Type {
			return invalid(v, fmt.Errorf("%s version %d, to which it refers, is of type %s", r.Subject, r.Version, used.Type))
		}
		if err := s.eachReference(used, done, visit); err != nil {
			return err
		}
		if err := visit(r.Name, used); err != nil {
			return err
		}
	}
	return nil
}

// incompatible returns what makes v incompatible with earlier versions, of which the last comes first, or nothing. What cannot be
// compared is an error.
func (s *state) incompatible(v *version, earlier iter.Seq[*version]) (messages []string, err error) {
	c := s.configFor(v.Subject)
	if len(c.others) > 0 {
		return nil, faultf(codeNotPermitted, "The config of subject %s has %s, which this registry does not do", v.Subject, strings.Join(c.others, ", "))
	}
	is, err := s.parse(v)
	if err != nil {
		return nil, err
	}
	level, ok := levels[c.Level]
	if !ok {
		return nil, faultf(codeNotPermitted, "The compatibility level of subject %s is %s, which this registry does not know", v.Subject, c.Level)
	}
	if !level.backward && !level.forward {
		return nil, nil
	}
	for e := range earlier {
		if e.Type != v.Type {
			messages = []string{fmt.Sprintf("{errorType:\"SCHEMA_TYPE\", description:\"version %d is of type %s\"}", e.Version, e.Type), c.told()}
		} else if e.schema != v.schema {
			messages, err = s.compare(e, v, is, c)
		}
		if len(messages) > 0 || err != nil || !level.all {
			break
		}
	}
	return messages, err
}

// compare returns what makes v, which was read, incompatible with old by the level of c.
func (s *state) compare(old, v *version, is parsed, c config) ([]string, error) {
	was, err := s.parse(old)
	if err != nil {
		return nil, err
	}
	var found []difference
	level := levels[c.Level]
	if level.backward {
		found, err = is.reads(was)
	}
	if len(found) == 0 && err == nil && level.forward {
		found, err = was.reads(is)
	}
	switch {
	case len(found) > 0:
		return append(told(found), fmt.Sprintf("{oldSchemaVersion: %d}", old.Version), fmt.Sprintf("{oldSchema: '%s'}", old.Text), c.told()), nil
	case err != nil:
		return nil, &fault{http.StatusUnprocessableEntity, fmt.Sprintf("This registry does not compare %v: the compatibility level of subject %s is %s, and has to be NONE",
			err, v.Subject, c.Level)}
	}
	return nil, nil
}

// maxTold bounds the differences that are told.
const maxTold = 20

func told(found []difference) (all []string) {
	for _, d := range found[:min(len(found), maxTold)] {
		all = append(all, d.String())
	}
	return all
}

// told is how a config ends the messages of what is incompatible.
func (c config) told() string {
	return fmt.Sprintf("{validateFields: 'false', compatibility: '%s'}", c.Level)
}
