package registry

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/samsa-go/samsa"
)

// The functions here say what a request changes: the records that are to be written, all or none, and the answer. They change nothing themselves.

// request is the body of who registers, looks up or compares a schema.
type request struct {
	Text       string          `json:"schema"`
	Type       string          `json:"schemaType"`
	Refs       []reference     `json:"references"`
	ID         *int32          `json:"id"`
	Version    *int32          `json:"version"`
	Metadata   json.RawMessage `json:"metadata"`
	RuleSet    json.RawMessage `json:"ruleSet"`
	TagsAdd    []any           `json:"schemaTagsToAdd"`
	TagsRemove []any           `json:"schemaTagsToRemove"`
	Tags       bool            `json:"propagateSchemaTags"`
}

// schema returns the version that a request describes, without number and id.
func (q *request) schema(subject string) (*version, error) {
	if err := validSubject(subject); err != nil {
		return nil, err
	}
	v := &version{Subject: subject, Type: q.Type, Refs: q.Refs, Text: q.Text}
	if v.Type == "" {
		v.Type = typeAvro
	}
	if len(v.Refs) == 0 {
		v.Refs = nil
	}
	if err := v.contracts(q); err != nil {
		return nil, err
	}
	return v, v.canonical()
}

func validSubject(subject string) error {
	if subject == "" || subject == "__GLOBAL" || subject == "__EMPTY" || strings.ContainsFunc(subject, unicode.IsControl) || strings.ContainsRune(subject, unicode.ReplacementChar) {
		return faultf(codeInvalidSubject, "The specified subject '%s' is not a valid.", subject)
	}
	return nil
}

// record is one that is to be written: without a value it ends the key.
func record(key, value []byte) samsa.Record { return samsa.Record{Key: key, Value: value} }

// register adds a version to a subject, unless it is there.
func (s *state) register(v *version, q request) ([]samsa.Record, any, error) {
	id, n := int32(-1), int32(0)
	if q.ID != nil && *q.ID >= 0 {
		id = *q.ID
	}
	if q.Version != nil && *q.Version > 0 {
		n = *q.Version
	}
	mode := s.modeFor(v.Subject)
	if err := writable(v.Subject, mode, id >= 0); err != nil {
		return nil, nil, err
	}
	for _, r := range v.Refs {
		if r.Name == "" || r.Subject == "" || r.Version < 1 || r.Subject == v.Subject && r.Version == n {
			return nil, nil, faultf(codeInvalidSchema, "Invalid reference: name, subject and version of another schema are needed")
		}
		if used := s.version(r.Subject, r.Version); used == nil || used.IsDeleted {
			return nil, nil, faultf(codeInvalidSchema, "No schema reference found for subject \"%s\" and version %d", r.Subject, r.Version)
		}
	}
	all := s.subjects[v.Subject]
	if last := all.last(live); last != nil && mode != "IMPORT" { // what clients do with the schema goes on
		v.contractsOf(last)
	}
	same := s.bySame[v.same]
	for o := range same.of(v.Subject).those(live) {
		if n == 0 && (id < 0 || o.ID == id) {
			return nil, o.told(), nil
		}
	}
	if id < 0 && len(same) > 0 {
		id = same[0].ID
	}
	if mode != "IMPORT" {
		messages, err := s.incompatible(v, all.backward(live))
		if err != nil {
			return nil, nil, err
		}
		if len(messages) > 0 {
			return nil, nil, faultf(codeIncompatible, "Schema being registered is incompatible with an earlier schema for subject \"%s\", details: [%s]",
				v.Subject, strings.Join(messages, ", "))
		}
	} else if _, err := s.parse(v); err != nil {
		return nil, nil, err
	}
	return s.write(v, id, n, mode)
}

func writable(subject, mode string, withID bool) error {
	switch {
	case strings.HasPrefix(mode, "READONLY"):
		return readOnly(subject)
	case withID && mode != "IMPORT":
		return faultf(codeNotPermitted, "Subject %s in context . is not in import mode", subject)
	case !withID && mode != "READWRITE":
		return faultf(codeNotPermitted, "Subject %s in context . is not in read-write mode", subject)
	}
	return nil
}

func readOnly(subject string) error {
	return faultf(codeNotPermitted, "Subject %s in context . is in read-only mode", subject)
}

// write gives v its number and id, unless they are given.
func (s *state) write(v *version, id, n int32, mode string) ([]samsa.Record, any, error) {
	next := int32(1)
	if last := s.subjects[v.Subject].last(withDeleted); last != nil {
		next = last.Version + 1
	}
	if n == 0 {
		n = next
	} else if n != next && mode != "IMPORT" {
		return nil, nil, faultf(codeInvalidSchema, "Version is not one more than previous version")
	}
	if id < 0 {
		id = s.maxID + 1
	}
	for _, o := range s.byID[id] {
		if o.same != v.same {
			return nil, nil, faultf(codeNotPermitted, "Overwrite new schema with id %d in context . is not permitted.", id)
		}
	}
	if n < 1 || id < 0 {
		return nil, nil, faultf(codeStore, "There are no more numbers")
	}
	v.Version, v.ID, v.guid = n, id, guid(v)
	var records []samsa.Record
	for o := range s.byID[id].of(v.Subject).those(onlyDeleted) { // the version is there again under its new number
		if o.Version < n && len(s.referrers(o, withDeleted)) == 0 {
			records = append(records, record(o.key, nil))
		}
	}
	k := schemaKey(v.Subject, n)
	if o := s.version(v.Subject, n); o != nil {
		k = o.key
	}
	return append(records, record(k, encode(v))), v.told(), nil
}

// deleteVersion deletes one version, softly or for good.
func (s *state) deleteVersion(subject string, n int32, permanent bool) ([]samsa.Record, any, error) {
	v, err := s.find(subject, n, withDeleted)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case v.IsDeleted && !permanent:
		return nil, nil, faultf(codeVersionDeleted, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", subject, v.Version)
	case strings.HasPrefix(s.modeFor(subject), "READONLY"):
		return nil, nil, readOnly(subject)
	case len(s.referrers(v, referring(permanent))) > 0:
		return nil, nil, referred(v)
	case permanent && !v.IsDeleted:
		return nil, nil, faultf(codeVersionNotDeleted, "Subject '%s' Version %d was not deleted first before being permanently deleted", subject, v.Version)
	}
	if !permanent {
		gone := *v
		gone.IsDeleted = true
		return []samsa.Record{record(v.key, encode(&gone))}, v.Version, nil
	}
	records := []samsa.Record{record(v.key, nil)}
	if len(s.subjects[subject]) == 1 {
		records = append(records, s.forget(subject)...)
	}
	return records, v.Version, nil
}

// referring says whose references keep a version from being deleted.
func referring(permanent bool) which {
	if permanent {
		return withDeleted
	}
	return live
}

func referred(v *version) error {
	return faultf(codeReferenceExists, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.", v.Subject, v.Version)
}

// forget ends config and mode of a subject.
func (s *state) forget(subject string) []samsa.Record {
	var records []samsa.Record
	if c, ok := s.configs[subject]; ok {
		records = append(records, record(c.key, nil))
	}
	if m, ok := s.modes[subject]; ok {
		records = append(records, record(m.key, nil))
	}
	return records
}

// deleteSubject deletes all versions of a subject, softly or for good.
func (s *state) deleteSubject(subject string, permanent bool) ([]samsa.Record, any, error) {
	w := live
	if permanent {
		w = withDeleted
	}
	all := slices.Collect(s.subjects[subject].those(w))
	switch {
	case !s.has(subject, withDeleted):
		return nil, nil, subjectNotFound(subject)
	case len(all) == 0:
		return nil, nil, faultf(codeSubjectDeleted, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)
	case strings.HasPrefix(s.modeFor(subject), "READONLY"):
		return nil, nil, readOnly(subject)
	}
	var records []samsa.Record
	numbers := make([]int32, 0, len(all))
	for _, v := range all {
		for user := range s.users[subjectVersion{subject, v.Version}].those(referring(permanent)) {
			if user.Subject != subject {
				return nil, nil, referred(v)
			}
		}
		if permanent && !v.IsDeleted {
			return nil, nil, faultf(codeSubjectNotDeleted, "Subject '%s' was not deleted first before being permanently deleted", subject)
		}
		numbers = append(numbers, v.Version)
		records = append(records, record(v.key, nil))
	}
	if permanent {
		return append(records, s.forget(subject)...), numbers, nil
	}
	gone := deletion{subject, numbers[len(numbers)-1]}
	return []samsa.Record{record(keyOf(typeDeleteSubject, subject), encode(gone))}, numbers, nil
}

// setMode changes the mode of a subject, or with "" the global one.
func (s *state) setMode(subject, to string, force bool) ([]samsa.Record, error) {
	to = strings.ToUpper(to)
	switch to {
	case "READWRITE", "READONLY", "IMPORT":
	case "READONLY_OVERRIDE":
		if subject != "" {
			return nil, faultf(codeInvalidMode, "Invalid mode. READONLY_OVERRIDE is only for the global level")
		}
	default: // FORWARD is for those that another registry writes to
		return nil, faultf(codeInvalidMode, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and IMPORT.")
	}
	var records []samsa.Record
	if to == "IMPORT" && s.modeFor(subject) != "IMPORT" && !force {
		if s.has(subject, live) {
			return nil, faultf(codeNotPermitted, "Cannot import since found existing subjects")
		}
		for name, all := range s.subjects {
			for v := range all.those(onlyDeleted) {
				if subject != "" && name != subject {
					continue
				}
				if len(s.referrers(v, withDeleted)) > 0 {
					return nil, referred(v)
				}
				records = append(records, record(v.key, nil))
			}
		}
	}
	k := keyOf(typeMode, subject)
	if m, ok := s.modes[subject]; ok {
		k = m.key
	}
	return append(records, record(k, encode(mode{Subject: subject, Mode: to}))), nil
}

// setConfig changes what is given of the config of a subject, or with "" of the global one.
func (s *state) setConfig(subject string, to config) ([]samsa.Record, error) {
	if len(to.others) > 0 {
		return nil, &fault{http.StatusUnprocessableEntity, "This registry does not do " + strings.Join(to.others, ", ")}
	}
	to.Level = strings.ToUpper(to.Level)
	if _, ok := levels[to.Level]; to.Level != "" && !ok {
		return nil, faultf(codeInvalidLevel, "Invalid compatibility level. Valid values are none, backward, forward, full, "+
			"backward_transitive, forward_transitive, and full_transitive")
	}
	if strings.HasPrefix(s.modeFor(subject), "READONLY") {
		return nil, readOnly(subject)
	}
	old, there := s.configs[subject]
	if len(old.others) > 0 {
		return nil, faultf(codeNotPermitted, "The config has %s, which this registry does not do", strings.Join(old.others, ", "))
	}
	k := keyOf(typeConfig, subject)
	if there {
		k = old.key
	}
	if to.Level == "" {
		to.Level = old.Level
	}
	if to.Normalize == nil {
		to.Normalize = old.Normalize
	}
	to.Subject = subject
	return []samsa.Record{record(k, encode(to))}, nil
}
