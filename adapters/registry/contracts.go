package registry

import (
	"bytes"
	"crypto/md5" // a GUID is one, of no secret
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"unicode"
)

// What a schema has besides its text: metadata, and rules that clients carry out. This registry keeps them, gives them back, and looks for what it
// has been given by them. It carries out none.

type metadata struct {
	Tags       map[string][]string `json:"tags,omitempty"`
	Properties map[string]string   `json:"properties,omitempty"`
	Sensitive  []string            `json:"sensitive,omitempty"`
}

type ruleSet struct {
	Migration []rule `json:"migrationRules,omitempty"`
	Domain    []rule `json:"domainRules,omitempty"`
	Encoding  []rule `json:"encodingRules,omitempty"`
	EnableAt  string `json:"enableAt,omitempty"`
}

type rule struct {
	Name      string            `json:"name"`
	Doc       string            `json:"doc,omitempty"`
	Kind      string            `json:"kind"`
	Mode      string            `json:"mode"`
	Type      string            `json:"type"`
	Tags      []string          `json:"tags,omitempty"`
	Params    map[string]string `json:"params,omitempty"`
	Expr      string            `json:"expr,omitempty"`
	OnSuccess string            `json:"onSuccess,omitempty"`
	OnFailure string            `json:"onFailure,omitempty"`
	Disabled  bool              `json:"disabled"`
}

// strict decodes what has to be of a type, without fields that it does not have.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// sortedSet returns what is in a set, each once.
func sortedSet(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// canonicalMetadata returns metadata as they are stored: the same for equal ones, nil for none. What is not known is an error.
func canonicalMetadata(text json.RawMessage) (json.RawMessage, error) {
	if isNull(text) {
		return nil, nil
	}
	var m metadata
	if err := strict(text, &m); err != nil {
		return nil, err
	}
	for k, v := range m.Tags {
		m.Tags[k] = sortedSet(v)
	}
	m.Sensitive = sortedSet(m.Sensitive)
	return encode(m), nil
}

func isNull(text json.RawMessage) bool { return len(text) == 0 || string(text) == "null" }

// canonicalRules is canonicalMetadata of a rule set.
func canonicalRules(text json.RawMessage) (json.RawMessage, error) {
	if isNull(text) {
		return nil, nil
	}
	var s ruleSet
	if err := strict(text, &s); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "ALL", "CLIENT", "GATEWAY", "SERVER", "NONE"}, s.EnableAt) {
		return nil, fmt.Errorf("enableAt is %q", s.EnableAt)
	}
	for _, of := range []struct {
		rules []rule
		modes []string
	}{
		{s.Migration, []string{"UPGRADE", "DOWNGRADE", "UPDOWN"}},
		{s.Domain, []string{"WRITE", "READ", "WRITEREAD"}},
		{s.Encoding, []string{"WRITE", "READ", "WRITEREAD"}},
	} {
		names := make(map[string]bool)
		for i := range of.rules {
			r := &of.rules[i]
			if err := r.check(of.modes); err != nil {
				return nil, fmt.Errorf("rule %q: %w", r.Name, err)
			}
			if names[r.Name] {
				return nil, fmt.Errorf("rule %q is there twice", r.Name)
			}
			names[r.Name] = true
		}
	}
	return encode(s), nil
}

// check has a rule be as it is stored, with Confluent's defaults.
func (r *rule) check(modes []string) error {
	if r.Kind == "" {
		r.Kind = "TRANSFORM"
	}
	if r.Mode == "" {
		r.Mode = "WRITEREAD"
	}
	r.Tags = sortedSet(r.Tags)
	for i, c := range r.Name {
		if c != '_' && !unicode.IsLetter(c) && (i == 0 || c != '-' && !unicode.IsDigit(c)) {
			return errors.New("a name is of letters, digits, _ and -, and begins with a letter or _")
		}
	}
	switch {
	case r.Name == "" || len(r.Name) > 256:
		return errors.New("a name has 1 to 256 letters")
	case r.Type == "":
		return errors.New("it has no type")
	case r.Kind != "TRANSFORM" && r.Kind != "CONDITION":
		return fmt.Errorf("its kind is %q", r.Kind)
	case !slices.Contains(modes, r.Mode):
		return fmt.Errorf("its mode is %q, and may be one of %v", r.Mode, modes)
	}
	return nil
}

// contracts has v have what a request gives.
func (v *version) contracts(q *request) (err error) {
	if len(q.TagsAdd) > 0 || len(q.TagsRemove) > 0 || q.Tags {
		return faultf(codeInvalidSchema, "This registry takes no schemaTagsToAdd, schemaTagsToRemove and propagateSchemaTags")
	}
	if v.Metadata, err = canonicalMetadata(q.Metadata); err != nil {
		return faultf(codeInvalidSchema, "Invalid metadata: %v", err)
	}
	if _, ok := v.properties()["confluent:version"]; ok {
		return faultf(codeInvalidSchema, "This registry does not do the property confluent:version of metadata")
	}
	if v.RuleSet, err = canonicalRules(q.RuleSet); err != nil {
		return faultf(codeInvalidRules, "Invalid rule set: %v", err)
	}
	return nil
}

// properties are those of a version's metadata.
func (v *version) properties() map[string]string {
	var m metadata
	_ = json.Unmarshal(v.Metadata, &m) // those that another one has written may be others: then they have none
	return m.Properties
}

// contractsOf has v have what o has, where it has none.
func (v *version) contractsOf(o *version) {
	if v.Metadata == nil {
		v.Metadata = o.Metadata
	}
	if v.RuleSet == nil {
		v.RuleSet = o.RuleSet
	}
	v.contracted()
}

// guid returns what Confluent's registry knows a schema by, in all contexts and registries: an MD5 of its text and all that belongs to it, or the one
// that the record has.
func guid(v *version) string {
	sum, err := base64.StdEncoding.DecodeString(v.MD5)
	if err != nil || len(sum) != md5.Size {
		h := md5.New()
		v.hash(h)
		sum = h.Sum(nil)
	}
	text := hex.EncodeToString(sum)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// hash is updateHash of Confluent's classes Schema, SchemaReference, Metadata, RuleSet and Rule.
func (v *version) hash(h hash.Hash) {
	write := func(all ...string) {
		for _, s := range all {
			_, _ = h.Write([]byte(s))
		}
	}
	write(v.Text)
	for _, r := range v.Refs {
		write(r.Name, r.Subject)
		_ = binary.Write(h, binary.BigEndian, r.Version)
	}
	if v.Metadata != nil {
		var m metadata
		_ = json.Unmarshal(v.Metadata, &m)
		write("\x01")
		for _, k := range slices.Sorted(maps.Keys(m.Tags)) {
			write(k)
			write(m.Tags[k]...)
		}
		writeMap(write, m.Properties)
		write(m.Sensitive...)
	}
	if v.RuleSet != nil {
		var s ruleSet
		_ = json.Unmarshal(v.RuleSet, &s)
		write("\x01")
		for _, r := range slices.Concat(s.Migration, s.Domain, s.Encoding) {
			write(r.Name, r.Doc, r.Kind, r.Mode, r.Type)
			write(r.Tags...)
			writeMap(write, r.Params)
			write(r.Expr, r.OnSuccess, r.OnFailure)
			if r.Disabled {
				write("\x01")
			}
		}
		write(s.EnableAt)
	}
}

func writeMap(write func(...string), m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		write(k, m[k])
	}
}
