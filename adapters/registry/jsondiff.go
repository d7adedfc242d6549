package registry

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// verdict is what is known of whether a schema takes all that another one takes. The zero value is that it does.
type verdict struct {
	bad     []difference // by which it does not
	unknown error        // what is not compared
}

func (v verdict) ok() bool { return len(v.bad) == 0 && v.unknown == nil }

// and is the verdict when both have to hold.
func (v verdict) and(w verdict) verdict {
	v.bad = append(v.bad, w.bad...)
	if v.unknown == nil {
		v.unknown = w.unknown
	}
	return v
}

func bad(kind string, n node, format string, args ...any) verdict {
	return verdict{bad: []difference{{kind, n.path, fmt.Sprintf(format, args...)}}}
}

func unknown(n node, what string) verdict {
	return verdict{unknown: fmt.Errorf("%s at %s", what, n.path)}
}

// any is the verdict when one of several ways is enough. Where each fails another one may do that was not looked for.
func (c *jsonCompare) any(n node, ways int, try func(i int) verdict) verdict {
	var last verdict
	for i := range ways {
		if last = try(i); last.ok() {
			return last
		}
	}
	if ways == 1 {
		return last
	}
	return unknown(n, "schemas that hold together")
}

// Limits of a comparison of two documents.
const (
	maxSteps = 100_000 // pairs of schemas
	maxLevel = 1000    // of them within each other
)

// jsonCompare compares two documents. What it says is compatible is: each value that the old schema takes the new one takes too, but for
// properties that are required now and have a default, which Confluent's registry lets pass.
type jsonCompare struct {
	steps int                // that are left
	level int                // of schemas
	depth int                // of properties and items
	under map[[2]uintptr]int // pairs that are being compared, with the depth that they were begun at
}

// anyValue is the schema that true is.
var anyValue = map[string]any{}

// same tells whether two values are equal, and mean the same wherever they stand.
func (c *jsonCompare) same(a, b any) bool {
	switch a.(type) {
	case []any, map[string]any: // which are gone through
		c.steps -= maxSteps / 100
	}
	return c.steps > 0 && reflect.DeepEqual(a, b) && !hasInside(map[string]any{"": a}, "$ref", "$dynamicRef", "$recursiveRef")
}

// child compares what stands deeper in a value.
func (c *jsonCompare) child(old, now node) verdict {
	c.depth++
	defer func() { c.depth-- }()
	return c.all(old, now)
}

// step begins to compare a pair, which back ends, unless there were too many.
func (c *jsonCompare) step() bool {
	if c.steps--; c.steps < 0 || c.level == maxLevel {
		return false
	}
	c.level++
	return true
}

func (c *jsonCompare) back() { c.level-- }

var tooMuch = verdict{unknown: errors.New("so many schemas")}

// all tells whether now takes all that old takes.
func (c *jsonCompare) all(old, now node) verdict {
	if !c.step() {
		return tooMuch
	}
	defer c.back()
	was, is := old, now
	old, err := old.resolve()
	if err != nil {
		return verdict{unknown: err}
	}
	if now, err = now.resolve(); err != nil {
		return verdict{unknown: err}
	}
	switch {
	case old.v == false || now.v == true || now.v != false && len(now.keywords()) == 0:
		return verdict{}
	case now.v == false:
		return bad("TYPE_CHANGED", is, "no value is taken")
	}
	if old.v == true {
		old.v = anyValue
	}
	pair := [2]uintptr{reflect.ValueOf(old.v).Pointer(), reflect.ValueOf(now.v).Pointer()}
	if depth, ok := c.under[pair]; ok {
		if c.depth > depth { // what stands deeper is compared by what is being found out now
			return verdict{}
		}
		return unknown(was, "a $ref to itself")
	}
	c.under[pair] = c.depth
	defer delete(c.under, pair)
	return c.combined(old, now)
}

// without returns a schema without a keyword, or nothing when nothing is left of it.
func (n node) without(keyword string) (is []node) {
	m := maps.Clone(n.v.(map[string]any))
	delete(m, keyword)
	if n.v = m; len(n.keywords()) > 0 {
		is = append(is, n)
	}
	return is
}

// branches returns the schemas of a keyword.
func (n node) branches(keyword string) (is []node) {
	all, _ := n.v.(map[string]any)[keyword].([]any)
	for i, v := range all {
		is = append(is, n.at(v, keyword, fmt.Sprint(i)))
	}
	return is
}

// combined compares schemas that may be made of others.
func (c *jsonCompare) combined(old, now node) (is verdict) {
	if parts := now.branches("allOf"); parts != nil {
		for _, p := range append(now.without("allOf"), parts...) {
			is = is.and(c.all(old, p))
		}
		return is
	}
	if parts := old.branches("allOf"); parts != nil {
		parts = append(old.without("allOf"), parts...)
		return c.any(now, len(parts), func(i int) verdict { return c.all(parts[i], now) })
	}
	for _, union := range []string{"oneOf", "anyOf"} {
		parts := now.branches(union)
		if parts == nil {
			continue
		}
		for _, p := range now.without(union) {
			is = is.and(c.all(old, p))
		}
		if union == "oneOf" && !c.disjoint(parts) {
			if c.same(old.v.(map[string]any)[union], now.v.(map[string]any)[union]) {
				return is
			}
			return is.and(unknown(now, "oneOf of schemas that may both take a value"))
		}
		return is.and(c.union(old, now, parts))
	}
	for _, union := range []string{"oneOf", "anyOf"} {
		parts := old.branches(union)
		if parts == nil {
			continue
		}
		rest := old.without(union)
		for _, p := range rest {
			if c.all(p, now).ok() {
				return verdict{}
			}
		}
		for _, p := range parts {
			is = is.and(c.all(p, now))
		}
		if len(rest) > 0 && !is.ok() {
			return unknown(now, "keywords beside "+union)
		}
		return is
	}
	return c.plain(old, now)
}

// union compares a schema with those of which one has to take a value.
func (c *jsonCompare) union(old, now node, parts []node) (is verdict) {
	if !c.step() {
		return tooMuch
	}
	defer c.back()
	var open error
	for _, p := range parts {
		v := c.all(old, p)
		if v.ok() {
			return v
		}
		if len(v.bad) == 0 {
			open = v.unknown
		}
	}
	m := old.v.(map[string]any)
	for _, union := range []string{"oneOf", "anyOf"} {
		of := old.branches(union)
		if of == nil {
			continue
		}
		for _, o := range of {
			o, err := o.resolve()
			if _, object := o.v.(map[string]any); err != nil || !object {
				return unknown(o, "a branch of "+union)
			}
			is = is.and(c.union(o, now, parts))
		}
		if len(old.without(union)) > 0 && !is.ok() {
			return unknown(now, "keywords beside "+union)
		}
		return is
	}
	if types, _ := m["type"].([]any); len(types) > 1 {
		for _, t := range types {
			one := maps.Clone(m)
			one["type"] = t
			is = is.and(c.union(node{old.doc, one, old.path}, now, parts))
		}
		return is
	}
	if open != nil {
		return verdict{unknown: open}
	}
	return bad("COMBINED_TYPE_SUBSCHEMAS_CHANGED", now, "none of the schemas takes what was taken")
}

// disjoint tells whether no value is taken by two of several schemas: their types differ, or the values of a property that they require.
func (c *jsonCompare) disjoint(parts []node) bool {
	for i, p := range parts {
		a, err := p.resolve()
		m, ok := a.v.(map[string]any)
		if err != nil || !ok {
			return len(parts) == 1
		}
		for _, q := range parts[:i] {
			if c.steps -= 10; c.steps < 0 {
				return false
			}
			b, err := q.resolve()
			n, ok := b.v.(map[string]any)
			if err != nil || !ok || !apart(m, n) {
				return false
			}
		}
	}
	return true
}

func apart(a, b map[string]any) bool {
	types := typesOf(b)
	meet := false
	for t := range typesOf(a) {
		meet = meet || types[t]
	}
	if !meet {
		return true
	}
	if len(typesOf(a)) > 1 || !typesOf(a)["object"] {
		return false
	}
	ap, _ := a["properties"].(map[string]any)
	bp, _ := b["properties"].(map[string]any)
	for name := range ap {
		x, y := values(ap[name]), values(bp[name])
		if len(x) > 0 && len(y) > 0 && setOf(a["required"])[textOf(name)] && setOf(b["required"])[textOf(name)] && !meets(x, y) {
			return true
		}
	}
	return false
}

// values are those of enum and const; none when a schema may take others.
func values(v any) []any {
	m, _ := v.(map[string]any)
	if c, ok := m["const"]; ok {
		return []any{c}
	}
	all, _ := m["enum"].([]any)
	return all
}

// textOf is the same for values of JSON that are equal.
func textOf(v any) string {
	if r, ok := ratOf(v); ok {
		return r.RatString()
	}
	return string(encode(v))
}

// setOf returns what stands in an array.
func setOf(v any) map[string]bool {
	all, _ := v.([]any)
	is := make(map[string]bool, len(all))
	for _, v := range all {
		is[textOf(v)] = true
	}
	return is
}

func meets(x, y []any) bool {
	of := setOf([]any(y))
	return slices.ContainsFunc(x, func(v any) bool { return of[textOf(v)] })
}

// plain compares schemas that are not made of others but deeper in a value.
func (c *jsonCompare) plain(old, now node) (is verdict) {
	o, n := old.v.(map[string]any), now.v.(map[string]any)
	for _, k := range notCompared {
		if v, ok := n[k]; ok && (!hasKey(o, k) || !c.same(o[k], v)) {
			is = is.and(unknown(now, k))
		}
	}
	for _, group := range [][]string{{"if", "then", "else"}, {"contains", "minContains", "maxContains"}} {
		for _, k := range group {
			if hasKey(n, group[0]) && hasKey(o, k) != hasKey(n, k) {
				is = is.and(unknown(now, group[0]))
			}
		}
	}
	if (hasKey(n, "unevaluatedProperties") || hasKey(n, "unevaluatedItems")) && !c.same(o, n) {
		is = is.and(unknown(now, "unevaluatedProperties or unevaluatedItems"))
	}
	types := typesOf(o)
	if hasKey(n, "type") {
		for _, t := range slices.Sorted(maps.Keys(types)) {
			if !typesOf(n)[t] {
				is = is.and(bad("TYPE_CHANGED", now, "values of type %s are not taken any more", t))
			}
		}
	}
	for _, k := range []string{"enum", "const"} {
		if !hasKey(n, k) {
			continue
		}
		was, may := values(o), setOf([]any(values(map[string]any{k: n[k]})))
		if len(was) == 0 || slices.ContainsFunc(was, func(v any) bool { return !may[textOf(v)] }) {
			is = is.and(bad("ENUM_ARRAY_NARROWED", now.at(nil, k), "values are not taken any more"))
		}
	}
	if types["integer"] || types["number"] {
		is = is.and(numbers(o, n, now))
	}
	if types["string"] {
		is = is.and(limits(o, n, now, "minLength", "maxLength"))
		if hasKey(n, "pattern") && o["pattern"] != n["pattern"] {
			is = is.and(bad("PATTERN_CHANGED", now.at(nil, "pattern"), "the pattern is another one"))
		}
	}
	if types["array"] {
		is = is.and(limits(o, n, now, "minItems", "maxItems")).and(c.items(old, now))
		if n["uniqueItems"] == true && o["uniqueItems"] != true {
			is = is.and(bad("UNIQUE_ITEMS_ADDED", now.at(nil, "uniqueItems"), "items have to differ"))
		}
	}
	if types["object"] {
		is = is.and(limits(o, n, now, "minProperties", "maxProperties")).and(c.object(old, now))
	}
	return is
}

func hasKey(m map[string]any, k string) bool {
	_, ok := m[k]
	return ok
}

// numbers compares what bounds numbers.
func numbers(o, n map[string]any, now node) verdict {
	all := []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
	for _, m := range []map[string]any{o, n} {
		for _, k := range all[2:] {
			if _, old := m[k].(bool); old && slices.ContainsFunc(all, func(k string) bool { return hasKey(o, k) != hasKey(n, k) || !reflect.DeepEqual(o[k], n[k]) }) {
				return unknown(now, "a boolean "+k)
			} else if old {
				all = nil
				break
			}
		}
	}
	is := limits(o, n, now, all...)
	if hasKey(n, "multipleOf") {
		x, ok := ratOf(n["multipleOf"])
		if !hasKey(o, "multipleOf") {
			return is.and(bad("MULTIPLE_OF_ADDED", now.at(nil, "multipleOf"), "numbers have to be a multiple"))
		}
		y, both := ratOf(o["multipleOf"])
		if !ok || !both || x.Sign() == 0 {
			return is.and(unknown(now, "multipleOf"))
		}
		if !new(big.Rat).Quo(y, x).IsInt() {
			return is.and(bad("MULTIPLE_OF_CHANGED", now.at(nil, "multipleOf"), "numbers have to be a multiple of another one"))
		}
	}
	return is
}

// limits compares keywords that are upper limits, which begin with max or exclusiveMax, and lower ones.
func limits(o, n map[string]any, now node, keywords ...string) (is verdict) {
	for _, k := range keywords {
		if !hasKey(n, k) {
			continue
		}
		y, ok := ratOf(n[k])
		x, both := ratOf(o[k])
		upper, name, at := strings.Contains(strings.ToLower(k), "max"), snake(k), now.at(nil, k)
		switch {
		case !ok || hasKey(o, k) && !both:
			is = is.and(unknown(now, k))
		case !upper && y.Sign() == 0 && k != "minimum" && k != "exclusiveMinimum":
		case !hasKey(o, k):
			is = is.and(bad(name+"_ADDED", at, "there is a limit"))
		case upper && y.Cmp(x) < 0:
			is = is.and(bad(name+"_DECREASED", at, "the limit is lower"))
		case !upper && y.Cmp(x) > 0:
			is = is.and(bad(name+"_INCREASED", at, "the limit is higher"))
		}
	}
	return is
}

// snake has maxLength be MAX_LENGTH.
func snake(k string) string {
	var b strings.Builder
	for _, r := range k {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
