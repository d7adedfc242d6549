package registry

import (
	"fmt"
	"regexp"
	"slices"
)

// content is what the properties of an object are.
type content struct {
	node
	named    map[string]any
	patterns map[string]any
	match    map[string]*regexp.Regexp
	others   any // additionalProperties
}

func contentOf(n node) (is content, err error) {
	m := n.v.(map[string]any)
	is = content{node: n, match: make(map[string]*regexp.Regexp), others: true}
	is.named, _ = m["properties"].(map[string]any)
	is.patterns, _ = m["patternProperties"].(map[string]any)
	if v, ok := m["additionalProperties"]; ok {
		is.others = v
	}
	for p := range is.patterns {
		if is.match[p], err = regexpOf(p); err != nil {
			return is, err
		}
	}
	return is, nil
}

func (c content) ofPattern(p string) node { return c.at(c.patterns[p], "patternProperties", p) }

func (c content) ofOthers() node { return c.at(c.others, "additionalProperties") }

// of returns the schemas that a property has to be taken by.
func (c content) of(name string) (all []node) {
	if v, ok := c.named[name]; ok {
		all = append(all, c.at(v, "properties", name))
	}
	for _, p := range keysOf(c.patterns) {
		if c.match[p].MatchString(name) {
			all = append(all, c.ofPattern(p))
		}
	}
	if len(all) == 0 {
		all = append(all, c.ofOthers())
	}
	return all
}

// object compares what stands in objects.
func (c *jsonCompare) object(old, now node) (is verdict) {
	o, err := contentOf(old)
	if err != nil {
		return verdict{unknown: err}
	}
	n, err := contentOf(now)
	if err != nil {
		return verdict{unknown: err}
	}
	required, _ := now.v.(map[string]any)["required"].([]any)
	was := setOf(old.v.(map[string]any)["required"])
	for _, name := range required {
		name, _ := name.(string)
		schema, _ := n.named[name].(map[string]any)
		if !was[textOf(name)] && !hasKey(schema, "default") {
			is = is.and(bad("REQUIRED_ATTRIBUTE_ADDED", now.at(nil, "required", name), "%s is required", name))
		}
	}
	names := append(keysOf(o.named), keysOf(n.named)...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		is = is.and(c.property(name, o, n))
	}
	if o.others == false && len(o.patterns) == 0 {
		return is
	}
	for _, p := range keysOf(n.patterns) {
		is = is.and(c.patternOf(p, o, n))
	}
	is = is.and(c.child(o.ofOthers(), n.ofOthers()))
	for _, p := range keysOf(o.patterns) {
		if !hasKey(n.patterns, p) {
			is = is.and(c.child(o.ofPattern(p), n.ofOthers()))
		}
	}
	return is
}

// property compares the schemas of a property by its name.
func (c *jsonCompare) property(name string, o, n content) (is verdict) {
	was := o.of(name)
	for _, to := range n.of(name) {
		v := c.any(to, len(was), func(i int) verdict { return c.child(was[i], to) })
		at := n.at(nil, "properties", name)
		switch {
		case len(v.bad) == 0:
		case !hasKey(o.named, name) && o.others == true && len(was) == 1 && len(o.patterns) == 0:
			v = bad("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", at, "property %s could be of any kind before", name)
		case !hasKey(n.named, name) && n.others == false:
			v = bad("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", at, "property %s may not be there any more", name)
		}
		is = is.and(v)
	}
	return is
}

// patternOf compares the schema of a pattern with what properties of any name were.
func (c *jsonCompare) patternOf(p string, o, n content) verdict {
	if hasKey(o.patterns, p) {
		return c.child(o.ofPattern(p), n.ofPattern(p))
	}
	is := c.child(o.ofOthers(), n.ofPattern(p))
	for _, q := range keysOf(o.patterns) {
		is = is.and(c.child(o.ofPattern(q), n.ofPattern(p)))
	}
	if !is.ok() {
		return unknown(n.node, "patternProperties")
	}
	return is
}

// array is what the items of an array are: the first ones, and the rest.
type array struct {
	node
	first []any
	rest  any
	under [2]string // the keywords of both
}

func arrayOf(n node) array {
	m := n.v.(map[string]any)
	is := array{node: n, rest: true, under: [2]string{"items", "additionalItems"}}
	rest, items := "items", m["items"]
	if first, ok := items.([]any); ok {
		is.first, rest = first, "additionalItems"
	} else if n.doc.is2020() {
		is.first, _ = m["prefixItems"].([]any)
		is.under = [2]string{"prefixItems", "items"}
	} else {
		is.under[1] = "items"
	}
	if v, ok := m[rest]; ok {
		is.rest = v
	}
	return is
}

func (l array) of(i int) node {
	if i < len(l.first) {
		return l.at(l.first[i], l.under[0], fmt.Sprint(i))
	}
	return l.at(l.rest, l.under[1])
}

// items compares what stands in arrays.
func (c *jsonCompare) items(old, now node) (is verdict) {
	o, n := arrayOf(old), arrayOf(now)
	if more := n.v.(map[string]any)["additionalItems"]; more != nil && n.under[1] != "additionalItems" && !c.same(o.v.(map[string]any)["additionalItems"], more) {
		return unknown(now, "additionalItems without an array of items") // which say nothing, but to Confluent's registry
	}
	for i := range max(len(o.first), len(n.first)) {
		v := c.child(o.of(i), n.of(i))
		at := now.at(nil, "items", fmt.Sprint(i))
		switch {
		case len(v.bad) == 0:
		case i >= len(o.first) && o.rest == true:
			v = bad("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", at, "item %d could be of any kind before", i)
		case i >= len(n.first) && n.rest == false:
			v = bad("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", at, "item %d may not be there any more", i)
		}
		is = is.and(v)
	}
	return is.and(c.child(o.of(len(o.first)+len(n.first)), n.of(len(o.first)+len(n.first))))
}
