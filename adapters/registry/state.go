package registry

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
)

// state is what the topic says: a value, without locks and clocks.
type state struct {
	subjects map[string]set // those that are softly deleted too
	byID     map[int32]set
	bySame   map[identity]set
	byGUID   map[string]set
	users    map[subjectVersion]set // who refers to it
	maxID    int32                  // ever seen
	configs  map[string]config      // by subject; "" is the global one
	modes    map[string]mode
}

type subjectVersion struct {
	Subject string `json:"subject"`
	Version int32  `json:"version"`
}

func newState() *state {
	return &state{
		subjects: make(map[string]set), byID: make(map[int32]set), bySame: make(map[identity]set), byGUID: make(map[string]set),
		users: make(map[subjectVersion]set), configs: make(map[string]config), modes: make(map[string]mode),
	}
}

// set is versions in the order of subject and number. A subject may have ten thousand versions, and a schema as many subjects: what is done for each
// of them looks for one, and goes over all only where all are meant.
type set []*version

func (all set) search(subject string, n int32) (at int, is bool) {
	return slices.BinarySearchFunc(all, subjectVersion{subject, n}, func(v *version, to subjectVersion) int {
		return cmp.Or(strings.Compare(v.Subject, to.Subject), cmp.Compare(v.Version, to.Version))
	})
}

// of returns those of a subject.
func (all set) of(subject string) set {
	from, _ := all.search(subject, 0)
	to, _ := all.search(subject, math.MaxInt32)
	if to < len(all) && all[to].Subject == subject { // it has the last number
		to++
	}
	return all[from:to]
}

// those iterates over the versions that are meant.
func (all set) those(w which) iter.Seq[*version] {
	return func(yield func(*version) bool) {
		for _, v := range all {
			if w.has(v) && !yield(v) {
				return
			}
		}
	}
}

// backward is those, from the last one to the first.
func (all set) backward(w which) iter.Seq[*version] {
	return func(yield func(*version) bool) {
		for _, v := range slices.Backward(all) {
			if w.has(v) && !yield(v) {
				return
			}
		}
	}
}

// last returns the last one, or nil.
func (all set) last(w which) *version {
	for v := range all.backward(w) {
		return v
	}
	return nil
}

// first iterates over the first one.
func first(all iter.Seq[*version]) iter.Seq[*version] {
	return func(yield func(*version) bool) {
		for v := range all {
			yield(v)
			return
		}
	}
}

// version returns one of a subject, deleted or not, or nil.
func (s *state) version(subject string, n int32) *version {
	all := s.subjects[subject]
	if at, is := all.search(subject, n); is {
		return all[at]
	}
	return nil
}

func (s *state) put(v *version) {
	s.remove(v.Subject, v.Version)
	s.maxID = max(s.maxID, v.ID)
	add(s.subjects, v.Subject, v)
	add(s.byID, v.ID, v)
	add(s.bySame, v.same, v)
	add(s.byGUID, v.guid, v)
	for _, r := range v.Refs {
		add(s.users, subjectVersion{r.Subject, r.Version}, v)
	}
}

func (s *state) remove(subject string, n int32) {
	v := s.version(subject, n)
	if v == nil {
		return
	}
	drop(s.subjects, subject, v)
	drop(s.byID, v.ID, v)
	drop(s.bySame, v.same, v)
	drop(s.byGUID, v.guid, v)
	for _, r := range v.Refs {
		drop(s.users, subjectVersion{r.Subject, r.Version}, v)
	}
}

func add[A comparable](m map[A]set, a A, v *version) {
	if at, is := m[a].search(v.Subject, v.Version); !is {
		m[a] = slices.Insert(m[a], at, v)
	}
}

func drop[A comparable](m map[A]set, a A, v *version) {
	if at, is := m[a].search(v.Subject, v.Version); is {
		m[a] = slices.Delete(m[a], at, at+1)
	}
	if len(m[a]) == 0 {
		delete(m, a)
	}
}

func (s *state) deleteUpTo(subject string, last int32) {
	for _, v := range s.subjects[subject] {
		if v.Version <= last {
			v.IsDeleted = true
		}
	}
}

// clear removes what is softly deleted of a subject, or with "" of all.
func (s *state) clear(subject string) {
	for name, all := range s.subjects {
		if subject != "" && name != subject {
			continue
		}
		for _, v := range slices.Collect(all.those(onlyDeleted)) {
			s.remove(name, v.Version)
		}
	}
}

// which says which versions are meant.
type which int

const (
	live which = iota
	withDeleted
	onlyDeleted
)

func (w which) has(v *version) bool {
	return w == withDeleted || v.IsDeleted == (w == onlyDeleted)
}

// has tells whether a subject has such a version, or with "" whether any has.
func (s *state) has(subject string, w which) bool {
	if subject != "" {
		return s.subjects[subject].last(w) != nil
	}
	for _, all := range s.subjects {
		if all.last(w) != nil {
			return true
		}
	}
	return false
}

// latest is the number that stands for the last version.
const latest = -1

// find returns a version of a subject; the latest is of those that are not deleted.
func (s *state) find(subject string, n int32, w which) (*version, error) {
	if n == latest {
		if v := s.subjects[subject].last(live); v != nil {
			return v, nil
		}
	} else if v := s.version(subject, n); v != nil && w.has(v) {
		return v, nil
	}
	if !s.has(subject, w) {
		return nil, subjectNotFound(subject)
	}
	return nil, faultf(codeVersionNotFound, "Version %d not found.", n)
}

// withMetadata returns the last version of a subject whose metadata have these properties, as many as there are keys and values.
func (s *state) withMetadata(subject string, w which, keys, values []string) (any, error) {
	for v := range s.subjects[subject].backward(w) {
		has := v.properties()
		fits := v.Metadata != nil
		for i, k := range keys[:min(len(keys), len(values))] {
			is, ok := has[k]
			fits = fits && ok && is == values[i]
		}
		if fits {
			return v.told(), nil
		}
	}
	if !s.has(subject, w) {
		return nil, subjectNotFound(subject)
	}
	return nil, &fault{codeSchemaNotFound, "Schema not found"}
}

// referrers are the ids of the schemas that refer to a version, in their order.
func (s *state) referrers(v *version, w which) []int32 {
	ids := make(map[int32]bool)
	for user := range s.users[subjectVersion{v.Subject, v.Version}].those(w) {
		ids[user.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// configFor is what holds for a subject.
func (s *state) configFor(subject string) config {
	c, global := s.configs[subject], s.configs[""]
	if c.Level == "" {
		c.Level = global.Level
	}
	if c.Level == "" {
		c.Level = "BACKWARD"
	}
	if c.Normalize == nil {
		c.Normalize = global.Normalize
	}
	c.others = append(slices.Clone(c.others), global.others...)
	return c
}

// modeFor is what holds for a subject.
func (s *state) modeFor(subject string) string {
	global := s.modes[""].Mode
	if global == "READONLY_OVERRIDE" {
		return global
	}
	if m, ok := s.modes[subject]; ok {
		return m.Mode
	}
	if global == "" {
		return "READWRITE"
	}
	return global
}

// others returns the names of fields of a config that change what a registry does, and that this one does not know.
func others(value []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) != nil {
		return nil
	}
	var names []string
	for name, v := range fields {
		switch name {
		case "subject", "normalize", "compatibilityLevel", "compatibility":
		default:
			if text := string(v); text != "null" && text != "false" && text != `"STRICT"` {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// ofContext tells whether a subject is qualified by a context. Ids of schemas are those of their context, so they are not mixed.
func ofContext(subject string) bool { return strings.HasPrefix(subject, ":") }
