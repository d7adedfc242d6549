package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

func (r *Registry) listSubjects(q *http.Request) ([]byte, error) {
	return r.read(func(s *state) (any, error) {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(s.subjects)) {
			is := s.has(name, live)
			if w := whichOf(q); strings.HasPrefix(name, prefix(q)) && (w == withDeleted || is == (w == live)) {
				names = append(names, name)
			}
		}
		return page(q, names), nil
	})
}

func (r *Registry) listSchemas(q *http.Request) ([]byte, error) {
	return r.read(func(s *state) (any, error) {
		var all []versionAnswer
		for _, name := range slices.Sorted(maps.Keys(s.subjects)) {
			if !strings.HasPrefix(name, prefix(q)) {
				continue
			}
			found := s.subjects[name].those(whichOf(q))
			if flag(q, "latestOnly") {
				found = first(s.subjects[name].backward(whichOf(q)))
			}
			for v := range found {
				all = append(all, v.told())
			}
		}
		return page(q, all), nil
	})
}

// byID answers by the versions that a schema has.
func (r *Registry) byID(q *http.Request, answer func(s *state, all set) any) ([]byte, error) {
	id, err := strconv.ParseInt(q.PathValue("id"), 10, 32)
	if err != nil {
		return nil, notFound()
	}
	return r.read(func(s *state) (any, error) {
		all := s.byID[int32(id)]
		if len(all) == 0 {
			return nil, schemaNotFound(int32(id))
		}
		return answer(s, all), nil
	})
}

func (r *Registry) schemaByID(q *http.Request) ([]byte, error) {
	return r.byID(q, func(s *state, all set) any {
		is := all[0].alone()
		if flag(q, "fetchMaxId") {
			is.MaxID = &s.maxID
		}
		return is
	})
}

func (r *Registry) textByID(q *http.Request) ([]byte, error) {
	return r.byID(q, func(_ *state, all set) any { return plain(all[0].Text) })
}

func (r *Registry) subjectsByID(q *http.Request) ([]byte, error) {
	return r.byID(q, func(_ *state, all set) any {
		var names []string
		for v := range all.those(whichOf(q)) {
			names = append(names, v.Subject)
		}
		return page(q, slices.Compact(names))
	})
}

func (r *Registry) versionsByID(q *http.Request) ([]byte, error) {
	return r.byID(q, func(_ *state, all set) any {
		var found []subjectVersion
		for v := range all.those(whichOf(q)) {
			found = append(found, subjectVersion{v.Subject, v.Version})
		}
		return page(q, found)
	})
}

func (r *Registry) listVersions(q *http.Request) ([]byte, error) {
	subject, w := q.PathValue("subject"), whichOf(q)
	return r.read(func(s *state) (any, error) {
		if w == live && !s.has(subject, live) || !s.has(subject, withDeleted) {
			return nil, subjectNotFound(subject)
		}
		var numbers []int32
		for v := range s.subjects[subject].those(w) {
			numbers = append(numbers, v.Version)
		}
		return page(q, numbers), nil
	})
}

// version answers by a version of a subject.
func (r *Registry) version(q *http.Request, w which, answer func(s *state, v *version) any) ([]byte, error) {
	n, err := number(q)
	if err != nil {
		return nil, err
	}
	return r.read(func(s *state) (any, error) {
		v, err := s.find(q.PathValue("subject"), n, w)
		if err != nil {
			return nil, err
		}
		return answer(s, v), nil
	})
}

func (r *Registry) getVersion(q *http.Request) ([]byte, error) {
	return r.version(q, whichOf(q), func(_ *state, v *version) any { return v.told() })
}

func (r *Registry) textOfVersion(q *http.Request) ([]byte, error) {
	return r.version(q, whichOf(q), func(_ *state, v *version) any { return plain(v.Text) })
}

func (r *Registry) referencedBy(q *http.Request) ([]byte, error) {
	return r.version(q, withDeleted, func(s *state, v *version) any { return page(q, s.referrers(v, whichOf(q))) })
}

// schema returns the schema that is the body of a request.
func schema(q *http.Request) (request, *version, error) {
	var in request
	if err := body(q, &in); err != nil {
		return in, nil, err
	}
	v, err := in.schema(q.PathValue("subject"))
	return in, v, err
}

// register adds a version. A schema is normalised in any case, as far as this registry does that: see canonicalAvro.
func (r *Registry) register(q *http.Request) ([]byte, error) {
	in, v, err := schema(q)
	if err != nil {
		return nil, err
	}
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		next := *v // it may be decided again
		return s.register(&next, in)
	})
}

func (r *Registry) lookUp(q *http.Request) ([]byte, error) {
	_, v, err := schema(q)
	if err != nil {
		return nil, err
	}
	return r.read(func(s *state) (any, error) {
		for o := range s.subjects[v.Subject].backward(whichOf(q)) {
			if o.schema != v.schema {
				continue
			}
			is := *v
			if is.contractsOf(o); is.same == o.same { // who looks up may not know them
				return o.told(), nil
			}
		}
		if !s.has(v.Subject, whichOf(q)) {
			return nil, subjectNotFound(v.Subject)
		}
		return nil, &fault{codeSchemaNotFound, "Schema not found"}
	})
}

func (r *Registry) deleteVersion(q *http.Request) ([]byte, error) {
	n, err := number(q)
	if err != nil {
		return nil, err
	}
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		return s.deleteVersion(q.PathValue("subject"), n, flag(q, "permanent"))
	})
}

func (r *Registry) deleteSubject(q *http.Request) ([]byte, error) {
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		return s.deleteSubject(q.PathValue("subject"), flag(q, "permanent"))
	})
}

// compatible compares a schema with a version of a subject, or with those that its level says.
func (r *Registry) compatible(q *http.Request) ([]byte, error) {
	n := int32(0)
	if q.PathValue("version") != "" {
		var err error
		if n, err = number(q); err != nil {
			return nil, err
		}
	}
	_, v, err := schema(q)
	if err != nil {
		return notValid(q, err)
	}
	body, err := r.read(func(s *state) (any, error) {
		earlier := s.subjects[v.Subject].backward(live)
		if n == latest {
			earlier = first(earlier)
		} else if n > 0 {
			o := s.version(v.Subject, n)
			if o == nil || o.IsDeleted {
				return nil, faultf(codeVersionNotFound, "Version %d not found.", n)
			}
			earlier = set{o}.those(live)
		}
		messages, err := s.incompatible(v, earlier)
		if err != nil {
			return nil, err
		}
		is := compatibility{Compatible: len(messages) == 0}
		if flag(q, "verbose") {
			is.Messages = messages
		}
		return is, nil
	})
	if err != nil {
		return notValid(q, err)
	}
	return body, nil
}

// compatibility is the answer to who compares a schema.
type compatibility struct {
	Compatible bool     `json:"is_compatible"`
	Messages   []string `json:"messages,omitempty"`
}

// notValid answers who compares a schema that is none: with verbose it is one that is not compatible.
func notValid(q *http.Request, err error) ([]byte, error) {
	var f *fault
	if errors.As(err, &f) && f.Code == codeInvalidSchema && flag(q, "verbose") {
		return encode(compatibility{Messages: []string{f.Message}}), nil
	}
	return nil, err
}

func (r *Registry) getConfig(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	return r.read(func(s *state) (any, error) {
		c, ok := s.configs[subject]
		if subject == "" || flag(q, "defaultToGlobal") {
			c = s.configFor(subject)
		} else if !ok {
			return nil, faultf(codeNoSubjectConfig, "Subject '%s' does not have subject-level compatibility configured", subject)
		}
		c.Subject = ""
		return c, nil
	})
}

func (r *Registry) putConfig(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	var text json.RawMessage
	var in struct {
		Normalize *bool  `json:"normalize,omitempty"`
		Level     string `json:"compatibility,omitempty"`
	}
	if err := body(q, &text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, &fault{http.StatusBadRequest, "The body is no config: " + err.Error()}
	}
	if subject != "" {
		if err := validSubject(subject); err != nil {
			return nil, err
		}
	}
	in.Level = strings.ToUpper(in.Level)
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		records, err := s.setConfig(subject, config{Level: in.Level, Normalize: in.Normalize, others: others(text)})
		return records, in, err
	})
}

func (r *Registry) deleteConfig(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		c, ok := s.configs[subject]
		if !ok && subject != "" {
			return nil, nil, subjectNotFound(subject)
		}
		if strings.HasPrefix(s.modeFor(subject), "READONLY") {
			return nil, nil, readOnly(subject)
		}
		if !ok {
			return nil, s.configFor(""), nil
		}
		k := c.key
		c.Subject = ""
		return []samsa.Record{record(k, nil)}, c, nil
	})
}

// modeAnswer is how a mode is told.
type modeAnswer struct {
	Mode string `json:"mode"`
}

func (r *Registry) getMode(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	return r.read(func(s *state) (any, error) {
		if _, ok := s.modes[subject]; !ok && subject != "" && !flag(q, "defaultToGlobal") {
			return nil, faultf(codeNoSubjectMode, "Subject '%s' does not have subject-level mode configured", subject)
		}
		if m, ok := s.modes[subject]; ok && !flag(q, "defaultToGlobal") {
			return modeAnswer{m.Mode}, nil
		}
		return modeAnswer{s.modeFor(subject)}, nil
	})
}

func (r *Registry) putMode(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	var in modeAnswer
	if err := body(q, &in); err != nil {
		return nil, err
	}
	if subject != "" {
		if err := validSubject(subject); err != nil {
			return nil, err
		}
	}
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		records, err := s.setMode(subject, in.Mode, flag(q, "force"))
		return records, in, err
	})
}

func (r *Registry) deleteMode(q *http.Request) ([]byte, error) {
	subject := q.PathValue("subject")
	return r.change(func(s *state) ([]samsa.Record, any, error) {
		m, ok := s.modes[subject]
		switch {
		case ok:
			return []samsa.Record{record(m.key, nil)}, modeAnswer{m.Mode}, nil
		case subject == "":
			return nil, modeAnswer{s.modeFor("")}, nil
		}
		return nil, nil, subjectNotFound(subject)
	})
}
