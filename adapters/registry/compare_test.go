package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// comparedWith says how a schema compares with an earlier one: ok, not compared, or the kinds of the differences.
func comparedWith(t *testing.T, parse func(string, map[string]string) (parsed, error), old, now string, parts ...map[string]string) string {
	t.Helper()
	var is [2]parsed
	for i, text := range []string{old, now} {
		var of map[string]string
		if i < len(parts) {
			of = parts[i]
		}
		var err error
		if is[i], err = parse(text, of); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	found, err := is[1].reads(is[0])
	var kinds []string
	for _, d := range found {
		kinds = append(kinds, d.kind)
	}
	switch {
	case len(kinds) > 0:
		return strings.Join(kinds, " ")
	case err != nil:
		return "not compared"
	}
	return "ok"
}

func TestProtobufRules(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{`message A { int32 a = 1; }`, `message A { int32 a = 1; string b = 2; }`, "ok"},
		{`message A { int32 a = 1; string b = 2; }`, `message A { int32 a = 1; }`, "ok"},
		{`message A { int32 a = 1; }`, `message A { int32 b = 1; }`, "ok"},
		{`message A { int32 a = 1; }`, `message A { enum E { Z = 0; } E a = 1; }`, "ok"},
		{`message A { int32 a = 1; }`, `message A { uint64 a = 1; }`, "ok"},
		{`message A { string a = 1; }`, `message A { bytes a = 1; }`, "ok"},
		{`message A { int32 a = 1; }`, `message A { optional int32 a = 1; }`, "ok"},
		{`message A { string a = 1; }`, `message A { repeated string a = 1; }`, "ok"},
		{`enum E { Z = 0; Y = 1; } message A { E a = 1; }`, `enum E { Z = 0; X = 2; } message A { E a = 1; }`, "ok"},
		{`message A {} message B {}`, `message B {} message C {} message A {}`, "ok"},
		{`message A { int32 a = 1; }`, `message A { sint32 a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { int32 a = 1; }`, `message A { fixed32 a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { float a = 1; }`, `message A { double a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { int32 a = 1; }`, `message A { A a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { int32 a = 1; }`, `message A { repeated int32 a = 1; }`, "FIELD_NUMERIC_LABEL_CHANGED"},
		{`message A { map<string, int32> a = 1; }`, `message A { map<string, int64> a = 1; }`, "ok"},
		{`message A { map<string, int32> a = 1; }`, `message A { map<string, string> a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { map<string, int32> a = 1; }`, `message A { message E { string key = 1; int32 value = 2; } repeated E a = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A {} message B {}`, `message A {}`, "MESSAGE_REMOVED"},
		{`message A { message B {} }`, `message A {}`, "MESSAGE_REMOVED"},
		{`message A { B a = 1; } message B {} message C {}`, `message A { C a = 1; } message B {} message C {}`, "FIELD_NAMED_TYPE_CHANGED"},
		{`message A { B a = 1; } message B { A a = 1; int32 b = 2; }`, `message A { B a = 1; } message B { A a = 1; string b = 2; }`, "FIELD_KIND_CHANGED"},
		{`package a; message A {}`, `package b; message A {}`, "PACKAGE_CHANGED"},
		{`message A { int32 a = 1; }`, `message A { oneof o { int32 a = 1; string b = 2; } }`, "ok"},
		{`message A { int32 a = 1; int32 b = 2; }`, `message A { oneof o { int32 a = 1; int32 b = 2; } }`, "FIELD_MOVED_TO_EXISTING_ONEOF"},
		{`message A { oneof o { int32 a = 1; int32 b = 2; } }`, `message A { int32 a = 1; int32 b = 2; }`, "ok"},
		{`message A { oneof o { int32 a = 1; int32 b = 2; } }`, `message A { oneof o { int32 a = 1; } }`, "ONEOF_FIELD_REMOVED"},
		{`message A { oneof o { int32 a = 1; int32 b = 2; } }`, `message A { oneof p { int32 a = 1; int32 b = 2; } }`, "ok"},
		{`message A { oneof o { int32 a = 1; } int32 b = 2; }`, `message A { int32 b = 2; }`, "ok"},
		{`service S { rpc F(A) returns (A); } message A {}`, `message A {}`, "ok"},
	} {
		for _, syntax := range []string{`syntax = "proto3"; `, `edition = "2023"; `} {
			old, now := c.old, c.now
			if strings.HasPrefix(syntax, "edition") {
				if strings.Contains(old+now, "optional") {
					continue
				}
			}
			if is := comparedWith(t, parseProtobuf, syntax+old, syntax+now); is != c.want {
				t.Errorf("%s to %s: %s, want %s", old, now, is, c.want)
			}
		}
	}
	for _, c := range []struct{ old, now, want string }{
		{`message A { optional int32 a = 1; }`, `message A { required int32 a = 1; }`, "REQUIRED_FIELD_ADDED"},
		{`message A { optional string a = 1; }`, `message A { required string a = 1; }`, "REQUIRED_FIELD_ADDED"},
		{`message A { required string a = 1; }`, `message A { optional string a = 1; }`, "ok"},
		{`message A { required int32 a = 1; }`, `message A { optional int32 a = 1; }`, "FIELD_NUMERIC_LABEL_CHANGED"},
		{`message A { required int32 a = 1; }`, `message A {}`, "REQUIRED_FIELD_REMOVED"},
		{`message A {}`, `message A { required int32 a = 1; }`, "REQUIRED_FIELD_ADDED"},
		{`message A { optional group G = 1 { optional int32 a = 1; } }`, `message A { message G { optional int32 a = 1; } optional G g = 1; }`, "FIELD_KIND_CHANGED"},
		{`message A { optional group G = 1 { optional int32 a = 1; } }`, `message A { optional group G = 1 { optional string a = 1; } }`, "FIELD_KIND_CHANGED"},
		{`message A { extensions 10 to 20; } extend A { optional int32 x = 10; }`, `message A { extensions 10 to 20; } extend A { optional string x = 10; }`, "not compared"},
		{`message A { extensions 10 to 20; extend A { optional int32 x = 10; } }`, `message A { extensions 10 to 20; }`, "not compared"},
		{`import "google/protobuf/descriptor.proto"; message A {} extend google.protobuf.FieldOptions { optional int32 x = 50000; }`, `message A {}`, "ok"},
	} {
		if is := comparedWith(t, parseProtobuf, `syntax = "proto2"; `+c.old, `syntax = "proto2"; `+c.now); is != c.want {
			t.Errorf("%s to %s: %s, want %s", c.old, c.now, is, c.want)
		}
	}
	part := func(pkg, kind string) map[string]string {
		return map[string]string{"p.proto": fmt.Sprintf(`syntax = "proto3"; package %s; message P { %s a = 1; }`, pkg, kind)}
	}
	for _, c := range []struct {
		pkg, kind, want string
	}{{"p", "int64", "ok"}, {"q", "int32", "ok"}, {"p", "string", "FIELD_KIND_CHANGED"}} {
		text := `syntax = "proto3"; import "p.proto"; message A { %s.P p = 1; }`
		if is := comparedWith(t, parseProtobuf, fmt.Sprintf(text, "p"), fmt.Sprintf(text, c.pkg), part("p", "int32"), part(c.pkg, c.kind)); is != c.want {
			t.Errorf("%+v: %s", c, is)
		}
	}
}

func TestJSONRules(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{`{"title":"a","default":1}`, `{"title":"b","x-mine":{"type":3}}`, "ok"},
		{`{"type":"integer"}`, `{"type":"number"}`, "ok"},
		{`{"type":"number"}`, `{"type":"integer"}`, "TYPE_CHANGED"},
		{`{"type":"string"}`, `{"type":["string","null"]}`, "ok"},
		{`{"type":["string","null"]}`, `{"type":"string"}`, "TYPE_CHANGED"},
		{`{"type":"string"}`, `{}`, "ok"},
		{`{}`, `{"type":"string"}`, "TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED"},
		{`true`, `false`, "TYPE_CHANGED"}, {`false`, `{"type":"string"}`, "ok"}, {`{"type":"string"}`, `true`, "ok"},
		{`{"enum":["a","b"]}`, `{"enum":["b","c","a"]}`, "ok"},
		{`{"enum":["a","b"]}`, `{"enum":["a"]}`, "ENUM_ARRAY_NARROWED"},
		{`{"const":1}`, `{"enum":[1.0,2]}`, "ok"},
		{`{"enum":["a","b"]}`, `{"type":"string"}`, "ok"},
		{`{"type":"string"}`, `{"type":"string","enum":["a"]}`, "ENUM_ARRAY_NARROWED"},
		{`{"maximum":10}`, `{"maximum":1.1e1}`, "ok"},
		{`{"maximum":10}`, `{"maximum":9}`, "MAXIMUM_DECREASED"},
		{`{"minimum":-10}`, `{"minimum":0}`, "MINIMUM_INCREASED"},
		{`{"type":"number"}`, `{"type":"number","minimum":0}`, "MINIMUM_ADDED"},
		{`{"type":"string"}`, `{"type":"string","minimum":7,"minItems":3}`, "ok"},
		{`{"maximum":1}`, `{"maximum":1e999999999}`, "not compared"},
		{`{"multipleOf":10}`, `{"multipleOf":5}`, "ok"}, {`{"multipleOf":10}`, `{"multipleOf":20}`, "MULTIPLE_OF_CHANGED"}, {`{}`, `{"multipleOf":5}`, "MULTIPLE_OF_ADDED"},
		{`{"type":"string"}`, `{"type":"string","minLength":0}`, "ok"},
		{`{"type":"string","maxLength":3}`, `{"type":"string","maxLength":2}`, "MAX_LENGTH_DECREASED"},
		{`{"type":"string","pattern":"a"}`, `{"type":"string"}`, "ok"}, {`{"type":"string","pattern":"a"}`, `{"type":"string","pattern":"b"}`, "PATTERN_CHANGED"},
		{`{"required":["a"]}`, `{"required":[]}`, "ok"}, {`{}`, `{"required":["a"]}`, "REQUIRED_ATTRIBUTE_ADDED"},
		{`{"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string","default":"x"}},"required":["a"]}`, "ok"},
		{`{"properties":{"a":{"type":"string"}}}`, `{}`, "ok"},
		{`{}`, `{"properties":{"a":{"type":"string"}}}`, "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"},
		{`{}`, `{"properties":{"a":{}}}`, "ok"},
		{`{"additionalProperties":false}`, `{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, "ok"},
		{`{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"additionalProperties":false}`, "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
		{`{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"additionalProperties":{"type":"string"}}`, "ok"},
		{`{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"additionalProperties":{"type":"number"}}`, "TYPE_CHANGED"},
		{`{"additionalProperties":true}`, `{"additionalProperties":false}`, "TYPE_CHANGED"},
		{`{"patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false}`, `{"patternProperties":{"^a":{"type":"number"}},"additionalProperties":false}`, "ok"},
		{`{"patternProperties":{"^a":{"type":"integer"}}}`, `{"patternProperties":{"^b":{"type":"integer"}}}`, "not compared"},
		{`{"items":{"type":"integer"}}`, `{"items":{"type":"number"}}`, "ok"}, {`{"type":"array"}`, `{"items":{"type":"number"}}`, "TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED TYPE_CHANGED"},
		{`{"items":[{"type":"integer"}],"additionalItems":false}`, `{"items":[{"type":"integer"},{"type":"string"}],"additionalItems":false}`, "ok"},
		{`{"items":[{"type":"integer"},{"type":"string"}],"additionalItems":false}`, `{"items":[{"type":"integer"}],"additionalItems":false}`, "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
		{`{"items":[{}]}`, `{"items":[{},{"type":"null"}]}`, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL"},
		{`{}`, `{"uniqueItems":true}`, "UNIQUE_ITEMS_ADDED"},
		{`{"type":"string"}`, `{"anyOf":[{"type":"number"},{"type":"string"}]}`, "ok"},
		{`{"type":["string","number"]}`, `{"oneOf":[{"type":"number"},{"type":"string"}]}`, "ok"},
		{`{"anyOf":[{"type":"number"},{"type":"string"}]}`, `{"type":"string"}`, "TYPE_CHANGED TYPE_CHANGED"},
		{`{"anyOf":[{"type":"number"},{"type":"string"}]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`, "COMBINED_TYPE_SUBSCHEMAS_CHANGED"},
		{`{"type":"integer"}`, `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "not compared"},
		{`{"oneOf":[{"minimum":1},{"maximum":5}]}`, `{"oneOf":[{"minimum":1},{"maximum":5}]}`, "ok"},
		{`{"allOf":[{"type":"string"},{"minLength":3}]}`, `{"allOf":[{"minLength":2}]}`, "ok"},
		{`{"allOf":[{"type":"string"},{"minLength":3}]}`, `{"minLength":4}`, "not compared"},
		{`{"not":{"type":"string"}}`, `{"not":{"type":"string"}}`, "ok"}, {`{"not":{"type":"string"}}`, `{}`, "ok"}, {`{}`, `{"not":{"type":"string"}}`, "not compared"},
		{`{"format":"date"}`, `{}`, "ok"}, {`{}`, `{"format":"date"}`, "not compared"},
		{`{"if":{"type":"string"},"then":{"minLength":2}}`, `{"if":{"type":"string"},"then":{"minLength":2}}`, "ok"},
		{`{"if":{"type":"string"},"then":{"minLength":2}}`, `{"if":{"type":"string"},"then":{"minLength":1}}`, "not compared"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, `{}`, "ok"},
		{`{"$schema":"http://json-schema.org/draft-04/schema#"}`, `{}`, "not compared"},
		{`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`, `{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1}`, "not compared"},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"integer"}],"items":false}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"number"},true],"items":false}`, "ok"},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"null"},"minContains":0}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"null"}}`, "not compared"},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"a":true},"unevaluatedProperties":false}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema","unevaluatedProperties":false}`, "PROPERTY"},
		{`{"$ref":"#/definitions/a","definitions":{"a":{"type":"integer"}}}`, `{"$ref":"#/definitions/b","definitions":{"b":{"type":"number"}}}`, "ok"},
		{`{"definitions":{"l":{"type":"object","properties":{"n":{"$ref":"#/definitions/l"},"v":{"type":"integer"}}}},"$ref":"#/definitions/l"}`,
			`{"definitions":{"l":{"type":"object","properties":{"n":{"$ref":"#/definitions/l"},"v":{"type":"number"}}}},"$ref":"#/definitions/l"}`, "ok"},
		{`{"definitions":{"l":{"type":"object","properties":{"n":{"$ref":"#/definitions/l"},"v":{"type":"number"}}}},"$ref":"#/definitions/l"}`,
			`{"definitions":{"l":{"type":"object","properties":{"n":{"$ref":"#/definitions/l"},"v":{"type":"integer"}}}},"$ref":"#/definitions/l"}`, "TYPE_CHANGED"},
		{`{"properties":{"a":{"$id":"x","type":"string"}}}`, `{"properties":{"a":{"type":"string"}}}`, "not compared"},
	} {
		is := comparedWith(t, parseJSON, c.old, c.now)
		if c.want == "PROPERTY" { // what is not evaluated any more is not taken: anything but ok
			if is == "ok" {
				t.Errorf("%s to %s: %s", c.old, c.now, is)
			}
			continue
		}
		if is != c.want {
			t.Errorf("%s to %s: %s, want %s", c.old, c.now, is, c.want)
		}
	}
	ref := `{"properties":{"a":{"$ref":"part.json"}}}`
	for now, want := range map[string]string{`{"type":"number"}`: "ok", `{"type":"string"}`: "TYPE_CHANGED TYPE_CHANGED", `{"$ref":"#/definitions/x","definitions":{"x":{"type":"number"}}}`: "ok"} {
		if is := comparedWith(t, parseJSON, ref, ref, map[string]string{"part.json": `{"type":["integer","number"]}`}, map[string]string{"part.json": now}); is != want {
			t.Errorf("a reference to %s: %s, want %s", now, is, want)
		}
	}
}

// What is called compatible takes each value that was taken.
func TestJSONRulesHold(t *testing.T) {
	taken, compatible := 0, 0
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 1))
		a := randomSchema(r, 3)
		b := a
		if r.IntN(4) > 0 {
			b = mutated(r, a)
		} else {
			b = randomSchema(r, 3)
		}
		old, now := string(encode(a)), string(encode(b))
		if comparedWith(t, parseJSON, old, now) != "ok" {
			continue
		}
		if old != now {
			compatible++
		}
		was, is := compiled(t, old), compiled(t, now)
		for range 60 {
			v := randomValue(r, 3)
			if was.Validate(v) == nil {
				taken++
				if err := is.Validate(v); err != nil {
					t.Errorf("seed %d: %s\nto %s\nare called compatible, but %s is not taken: %v", seed, old, now, encode(v), err)
				}
			}
		}
	}
	if taken < 1000 || compatible < 100 {
		t.Errorf("%d values were taken by %d pairs: the test tests little", taken, compatible)
	}
}

func compiled(t *testing.T, text string) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err := errors.Join(err, c.AddResource("x:y", v)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("x:y")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func randomSchema(r *rand.Rand, depth int) any {
	if depth == 0 || r.IntN(8) == 0 {
		return []any{true, false, map[string]any{}, map[string]any{"type": "integer"}, map[string]any{"type": "string"}, map[string]any{"const": "a"}}[r.IntN(6)]
	}
	m := make(map[string]any)
	for range 1 + r.IntN(3) {
		addKeyword(r, m, depth)
	}
	return m
}

func addKeyword(r *rand.Rand, m map[string]any, depth int) {
	sub := func() any { return randomSchema(r, depth-1) }
	types := []string{"null", "boolean", "object", "array", "number", "integer", "string"}
	switch r.IntN(19) {
	case 0, 1:
		m["type"] = types[r.IntN(len(types))]
	case 2:
		m["type"] = []any{types[r.IntN(3)], types[3+r.IntN(4)]}
	case 3:
		m["enum"] = []any{"a", 1, nil, "bb"}[:1+r.IntN(3)]
	case 4:
		m[[]string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}[r.IntN(4)]] = r.IntN(5)
	case 5:
		m[[]string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}[r.IntN(6)]] = r.IntN(3)
	case 6, 7, 8:
		m["properties"] = map[string]any{"a": sub(), []string{"b", "ab"}[r.IntN(2)]: sub()}
	case 9:
		m["additionalProperties"] = sub()
	case 10:
		m["patternProperties"] = map[string]any{[]string{"^a", "b"}[r.IntN(2)]: sub()}
	case 11:
		m["required"] = []any{[]string{"a", "b"}[r.IntN(2)]}
	case 12:
		m["items"] = sub()
	case 13:
		m["items"], m["additionalItems"] = []any{sub(), sub()}[:1+r.IntN(2)], sub()
	case 14, 15, 16:
		m[[]string{"allOf", "anyOf", "oneOf"}[r.IntN(3)]] = []any{sub(), sub()}[:1+r.IntN(2)]
	case 17:
		m[[]string{"not", "contains", "if", "then", "propertyNames"}[r.IntN(5)]] = sub()
	case 18:
		m["multipleOf"] = 1 + r.IntN(4)
	}
}

// mutated changes one thing of a schema.
func mutated(r *rand.Rand, v any) any {
	var is any
	if err := json.Unmarshal(encode(v), &is); err != nil {
		panic(err)
	}
	at, _ := is.(map[string]any)
	if at == nil {
		return randomSchema(r, 1)
	}
	for range 3 {
		keys := keysOf(at)
		if len(keys) == 0 {
			break
		}
		k := keys[r.IntN(len(keys))]
		if next, ok := at[k].(map[string]any); ok && r.IntN(2) == 0 {
			at = next
			if k != "properties" && k != "patternProperties" {
				continue
			}
			for _, name := range keysOf(at) {
				if inner, ok := at[name].(map[string]any); ok {
					addKeyword(r, inner, 1)
				}
			}
			return is
		}
		if r.IntN(2) == 0 {
			delete(at, k)
			return is
		}
	}
	if _, ok := is.(map[string]any)["properties"]; !ok || r.IntN(2) == 0 {
		addKeyword(r, is.(map[string]any), 2)
	}
	return is
}

func randomValue(r *rand.Rand, depth int) any {
	n := 8
	if depth == 0 {
		n = 6
	}
	switch r.IntN(n) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return []any{"", "a", "bb", "abc"}[r.IntN(4)]
	case 3, 4:
		return json.Number(fmt.Sprint(r.IntN(6)))
	case 5:
		return json.Number("1.5")
	case 6:
		all := make([]any, r.IntN(4))
		for i := range all {
			all[i] = randomValue(r, depth-1)
		}
		return all
	default:
		m := make(map[string]any)
		for range r.IntN(4) {
			m[[]string{"a", "b", "ab", "c"}[r.IntN(4)]] = randomValue(r, depth-1)
		}
		return m
	}
}

// A schema that is nested for ever is refused before it is compiled, which would take for ever.
func TestNested(t *testing.T) {
	const n = 100_000
	if _, err := parseJSON(strings.Repeat(`{"not":`, 9000)+"true"+strings.Repeat("}", 9000), nil); err == nil {
		t.Error("JSON Schema is taken")
	}
	option := `syntax = "proto2"; import "google/protobuf/descriptor.proto"; message M { optional M m = 1; } extend google.protobuf.FileOptions { optional M x = 50000; } option (x) = {`
	for _, text := range []string{
		`syntax = "proto3"; ` + strings.Repeat("message A{", n) + strings.Repeat("}", n),
		option + strings.Repeat("m{", n) + strings.Repeat("}", n) + `};`,
		option + strings.Repeat("m<", n) + strings.Repeat(">", n) + `};`,
		option + strings.Repeat("/*}*/m</*>*/", n) + strings.Repeat(">", n) + `};`,
	} {
		if _, err := parseProtobuf(text, nil); err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("Protobuf, %.30s: %v", text, err)
		}
	}
	for _, text := range []string{
		strings.Repeat("// a < b {\n", 500), strings.Repeat("/* a < b { */", 500), `option java_package = "` + strings.Repeat("<", 500) + `\"<";`,
		"message A { message B {} map<string, B> b = 1; }",
	} {
		if _, err := parseProtobuf(`syntax = "proto3"; `+text, nil); err != nil {
			t.Errorf("%.30s: %v", text, err)
		}
	}
}

// A comparison ends, whatever the schemas are.
func TestComparisonEnds(t *testing.T) {
	many := func(n int, one func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, one(i))
		}
		return strings.Join(all, ",")
	}
	binary := func(leaf string) string {
		return `{"definitions":{` + many(40, func(i int) string {
			return fmt.Sprintf(`"d%d":{"anyOf":[{"properties":{"a":{"$ref":"#/definitions/d%d"}}},{"properties":{"b":{"$ref":"#/definitions/d%d"}}}]}`, i, i+1, i+1)
		}) + `,"d40":` + leaf + `},"$ref":"#/definitions/d0"}`
	}
	for name, c := range map[string][2]string{
		"exponential": {binary(`{"type":"string"}`), binary(`{"type":"number"}`)},
		"circle":      {`{"definitions":{"a":{"anyOf":[{"$ref":"#/definitions/a"},{"type":"string"}]}},"$ref":"#/definitions/a"}`, `{"definitions":{"a":{"anyOf":[{"$ref":"#/definitions/a"},{"type":"null"}]}},"$ref":"#/definitions/a"}`},
		"enum":        {`{"enum":[` + many(50_000, func(i int) string { return fmt.Sprint(i) }) + `]}`, `{"enum":[` + many(50_000, func(i int) string { return fmt.Sprint(i + 1) }) + `]}`},
		"union": {`{"oneOf":[` + many(2_000, func(i int) string { return fmt.Sprintf(`{"const":%d}`, i) }) + `]}`,
			`{"oneOf":[` + many(2_000, func(i int) string { return fmt.Sprintf(`{"const":%d}`, i+1) }) + `]}`},
		"required": {`{"required":[` + many(20_000, func(i int) string { return fmt.Sprintf(`"%d"`, i) }) + `]}`, `{"required":[` + many(20_000, func(i int) string { return fmt.Sprintf(`"%d"`, i+1) }) + `]}`},
		"true":     {`true`, `{"definitions":{"l":{"properties":{"n":{"$ref":"#/definitions/l"},"v":{"type":"integer"}}}},"$ref":"#/definitions/l"}`},
	} {
		if is := comparedWith(t, parseJSON, c[0], c[1]); is == "ok" {
			t.Errorf("%s is compatible", name)
		}
	}
}
