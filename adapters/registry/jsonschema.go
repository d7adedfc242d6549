package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const typeJSON = "JSON"

// noLoader has a schema refer to nothing but its references, and to the meta-schemas.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is none of its references", url)
}

// maxNested bounds arrays and objects within each other: what compiles a schema takes a time that grows with its cube.
const maxNested = 400

func deeper(v any, than int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if than == 0 || deeper(x, than-1) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return than == 0 || deeper(x, than-1) })
	}
	return false
}

// parseJSON reads a JSON Schema, which refers to others by the names of its references. Without $schema it is one of draft 7, as in
// Confluent's registry.
func parseJSON(text string, parts map[string]string) (parsed, error) {
	const home = "registry:///"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(noLoader{})
	docs := make(map[string]*jsonDoc)
	add := func(name, text string) (*jsonDoc, error) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return nil, err
		}
		if deeper(v, maxNested) {
			return nil, fmt.Errorf("it is nested deeper than %d", maxNested)
		}
		d := &jsonDoc{root: v, docs: docs}
		if !strings.Contains(name, ":") {
			name = home + name
		}
		return d, c.AddResource(name, v)
	}
	for name, text := range parts {
		d, err := add(name, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		docs[name] = d
	}
	d, err := add("(schema)", text)
	if err != nil {
		return nil, err
	}
	if _, err := c.Compile(home + "(schema)"); err != nil {
		return nil, err
	}
	return d, nil
}

// jsonDoc is a schema of JSON Schema, and what it refers to.
type jsonDoc struct {
	root any
	docs map[string]*jsonDoc // by the names of references
}

// dialect returns the $schema of a document.
func (d *jsonDoc) dialect() string {
	m, _ := d.root.(map[string]any)
	s, _ := m["$schema"].(string)
	if s == "" {
		s = "http://json-schema.org/draft-07/schema"
	}
	return strings.TrimSuffix(s, "#")
}

func (d *jsonDoc) is2020() bool { return strings.Contains(d.dialect(), "2020-12") }

// reads tells whether each value that the written schema takes is taken by this one too.
func (d *jsonDoc) reads(written parsed) ([]difference, error) {
	old := written.(*jsonDoc)
	if old.dialect() != d.dialect() {
		return nil, fmt.Errorf("$schema %s with %s", d.dialect(), old.dialect())
	}
	id := "$id"
	if strings.Contains(d.dialect(), "draft-04") {
		id = "id"
	}
	if hasInside(old.root, id) || hasInside(d.root, id) {
		return nil, errors.New(id + " within a schema")
	}
	c := &jsonCompare{steps: maxSteps, under: make(map[[2]uintptr]int)}
	is := c.all(old.node(), d.node())
	return is.bad, is.unknown
}

func (d *jsonDoc) node() node { return node{d, d.root, "#"} }

// node is a schema within a document.
type node struct {
	doc  *jsonDoc
	v    any
	path string
}

func (n node) at(v any, path ...string) node {
	return node{n.doc, v, n.path + "/" + strings.Join(path, "/")}
}

// Keywords that are not compared. One that the reader has the writer must have too, with the same value.
var notCompared = []string{
	"not", "propertyNames", "dependencies", "dependentRequired", "dependentSchemas", "format",
	"if", "then", "else", "contains", "minContains", "maxContains", // which belong together
	"unevaluatedProperties", "unevaluatedItems", "$recursiveRef", "$dynamicRef", // which depend on what stands around
}

var compared = []string{
	"$ref", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
	"properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties", "items", "prefixItems", "additionalItems",
	"minItems", "maxItems", "uniqueItems", "allOf", "anyOf", "oneOf",
}

// keywords returns the keywords of a schema by which a value may fail. Others say nothing, as JSON Schema has it.
func (n node) keywords() map[string]any {
	m, _ := n.v.(map[string]any)
	is := make(map[string]any)
	for k, v := range m {
		if slices.Contains(compared, k) || slices.Contains(notCompared, k) {
			is[k] = v
		}
	}
	return is
}

// resolve follows $ref.
func (n node) resolve() (node, error) {
	for range 100 {
		m, _ := n.v.(map[string]any)
		ref, ok := m["$ref"].(string)
		if !ok {
			return n, nil
		}
		if len(n.keywords()) > 1 {
			return n, fmt.Errorf("keywords beside $ref at %s", n.path)
		}
		name, pointer, _ := strings.Cut(ref, "#")
		if name != "" {
			root, _ := n.doc.root.(map[string]any)
			doc := n.doc.docs[name]
			if doc == nil || root["$id"] != nil || root["id"] != nil {
				return n, fmt.Errorf("$ref %s, by an $id", ref)
			}
			n.doc = doc
		}
		v := n.doc.root
		for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
			if pointer == "" {
				break
			}
			part, err := url.PathUnescape(part)
			part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
			m, ok := v.(map[string]any)
			if a, is := v.([]any); is {
				if i, e := strconv.Atoi(part); e == nil && i >= 0 && i < len(a) {
					v = a[i]
					continue
				}
			}
			if v = m[part]; err != nil || !ok || v == nil || !strings.HasPrefix(pointer, "/") {
				return n, fmt.Errorf("$ref %s", ref)
			}
		}
		n = node{n.doc, v, n.path}
	}
	return n, fmt.Errorf("$ref without end at %s", n.path)
}

// hasInside tells whether a keyword is anywhere but at the root.
func hasInside(v any, names ...string) bool {
	var inside func(v any, top bool) bool
	inside = func(v any, top bool) bool {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if _, text := x.(string); !top && text && slices.Contains(names, k) || inside(x, false) {
					return true
				}
			}
		case []any:
			return slices.ContainsFunc(v, func(x any) bool { return inside(x, false) })
		}
		return false
	}
	return inside(v, true)
}

// ratOf reads a number, unless it is absurd.
func ratOf(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok || len(n) > 100 {
		return nil, false
	}
	if _, e, ok := strings.Cut(strings.ToLower(string(n)), "e"); ok {
		if i, err := strconv.Atoi(e); err != nil || i > 400 || i < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(string(n))
}

// typesOf returns the types of values that a schema may take.
func typesOf(m map[string]any) map[string]bool {
	is := make(map[string]bool)
	var values []any
	switch t := m["type"].(type) {
	case string:
		is[t] = true
	case []any:
		for _, x := range t {
			if s, ok := x.(string); ok {
				is[s] = true
			}
		}
	default:
		values, _ = m["enum"].([]any)
		if c, ok := m["const"]; ok {
			values = []any{c}
		}
		for _, v := range values {
			is[typeOf(v)] = true
		}
		if len(values) == 0 {
			for _, t := range []string{"null", "boolean", "object", "array", "number", "string"} {
				is[t] = true
			}
		}
	}
	if is["number"] {
		is["integer"] = true
	}
	return is
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if r, ok := ratOf(v); ok && r.IsInt() {
			return "integer"
		}
	}
	return "number"
}

// regexpOf compiles a regular expression that Go and JavaScript take for the same.
func regexpOf(text string) (*regexp.Regexp, error) {
	p, err := regexp.Compile(text)
	if err != nil || strings.Contains(text, "(?") || strings.Contains(text, `\s`) || strings.Contains(text, `\S`) || strings.Contains(text, `\p`) {
		return nil, fmt.Errorf("the pattern %q", text)
	}
	return p, nil
}

func keysOf(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
