package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
)

// The records of the topic are those of Confluent's registry. A key says what a record is of, and a value without one ends it:
//
//	{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}   {"subject":"s","version":1,"id":1,"schemaType":"AVRO","schema":"…","deleted":false}
//	{"keytype":"CONFIG","subject":"s","magic":0}               {"subject":"s","compatibilityLevel":"FULL"}
//	{"keytype":"MODE","subject":"s","magic":0}                 {"subject":"s","mode":"READONLY"}
//	{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}       {"subject":"s","version":3}     versions up to 3 are deleted, softly
//	{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}        {"subject":"s"}                 those that are deleted so are gone
//	{"keytype":"NOOP","magic":0}
//
// A CONFIG or MODE without a subject is the global one. Other key types, and schemas of a context, whose subjects begin with ":.", are passed over.

// key is that of a record. The order of its fields is that in which Confluent's registry writes them: compaction compares bytes.
type key struct {
	Type    string  `json:"keytype"`
	Subject *string `json:"subject,omitempty"`
	Version int32   `json:"version,omitempty"`
	Magic   int     `json:"magic"`
}

const (
	typeSchema        = "SCHEMA"
	typeConfig        = "CONFIG"
	typeMode          = "MODE"
	typeDeleteSubject = "DELETE_SUBJECT"
	typeClearSubject  = "CLEAR_SUBJECT"
)

// version is one of a subject: the value of a SCHEMA record.
type version struct {
	Subject   string          `json:"subject"`
	Version   int32           `json:"version"`
	ID        int32           `json:"id"`
	MD5       string          `json:"md5,omitempty"`        // of records that others have written: see guid
	Type      string          `json:"schemaType,omitempty"` // "" is AVRO in records of old registries
	Refs      []reference     `json:"references,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"` // see metadata
	RuleSet   json.RawMessage `json:"ruleSet,omitempty"`
	Text      string          `json:"schema"`
	IsDeleted bool            `json:"deleted"`

	key    []byte   // of the record it was read from
	schema identity // of it, whatever metadata and rules it has
	same   identity // of it and these
	guid   string
}

// reference is a schema that another one uses, under a name.
type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int32  `json:"version"`
}

// config is the value of a CONFIG record. What is in others says what this registry does not do.
type config struct {
	Subject   string `json:"subject,omitempty"`
	Normalize *bool  `json:"normalize,omitempty"`
	Level     string `json:"compatibilityLevel,omitempty"`

	key    []byte
	others []string // names of what else is set
}

// mode is the value of a MODE record.
type mode struct {
	Subject string `json:"subject,omitempty"`
	Mode    string `json:"mode"`

	key []byte
}

// deletion is the value of a DELETE_SUBJECT record, and of CLEAR_SUBJECT, where the version is 0.
type deletion struct {
	Subject string `json:"subject"`
	Version int32  `json:"version,omitempty"`
}

// encode returns v as JSON, as Confluent's registry writes it: without escapes for HTML.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("registry: %T as JSON: %v", v, err)) // all of it was decoded from JSON, or is plain
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// keyOf returns the key of a record of a kind and subject, where "" is the global one.
func keyOf(kind, subject string) []byte {
	k := key{Type: kind}
	if subject != "" {
		k.Subject = &subject
	}
	return encode(k)
}

func schemaKey(subject string, version int32) []byte {
	return encode(key{Type: typeSchema, Subject: &subject, Version: version, Magic: 1})
}

var errRecord = errors.New("no record of a schema registry")

// apply has s be as it is behind a record. A record that makes no sense is an error, and s as it was.
func (s *state) apply(r samsa.Record) error {
	var k key
	if err := json.Unmarshal(r.Key, &k); err != nil {
		return fmt.Errorf("%w: its key: %w", errRecord, err)
	}
	subject := ""
	if k.Subject != nil {
		subject = *k.Subject
	}
	if ofContext(subject) {
		return nil
	}
	var err error
	switch k.Type {
	case typeSchema:
		if (k.Magic != 0 && k.Magic != 1) || k.Subject == nil || k.Version < 1 {
			return fmt.Errorf("%w: key %.200q", errRecord, r.Key)
		}
		err = s.applySchema(subject, k.Version, r)
	case typeConfig:
		err = s.applyConfig(subject, r)
	case typeMode:
		err = s.applyMode(subject, r)
	case typeDeleteSubject, typeClearSubject:
		if r.Value == nil {
			return nil
		}
		var d deletion
		if err = json.Unmarshal(r.Value, &d); err == nil && k.Type == typeDeleteSubject {
			s.deleteUpTo(d.Subject, d.Version)
		} else if err == nil {
			s.clear(subject)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errRecord, k.Type, err)
	}
	return nil
}

func (s *state) applySchema(subject string, n int32, r samsa.Record) error {
	if r.Value == nil {
		s.remove(subject, n)
		return nil
	}
	v := &version{key: bytes.Clone(r.Key)}
	if err := json.Unmarshal(r.Value, v); err != nil {
		return err
	}
	if v.ID < 0 {
		return fmt.Errorf("id %d", v.ID)
	}
	v.Subject, v.Version = subject, n
	if v.Type == "" {
		v.Type = typeAvro
	}
	if m, err := canonicalMetadata(v.Metadata); err == nil { // what another one has written and is not known stays as it is
		v.Metadata = m
	}
	if m, err := canonicalRules(v.RuleSet); err == nil {
		v.RuleSet = m
	}
	text, err := canonicalText(v.Type, v.Text)
	if err != nil {
		text = v.Text
	}
	v.identify(text)
	v.guid = guid(v)
	s.put(v)
	return nil
}

func (s *state) applyConfig(subject string, r samsa.Record) error {
	if r.Value == nil {
		delete(s.configs, subject)
		return nil
	}
	c := config{key: bytes.Clone(r.Key)}
	if err := json.Unmarshal(r.Value, &c); err != nil {
		return err
	}
	c.others = others(r.Value)
	s.configs[subject] = c
	return nil
}

func (s *state) applyMode(subject string, r samsa.Record) error {
	if r.Value == nil {
		delete(s.modes, subject)
		return nil
	}
	m := mode{key: bytes.Clone(r.Key)}
	if err := json.Unmarshal(r.Value, &m); err != nil {
		return err
	}
	s.modes[subject] = m
	return nil
}
