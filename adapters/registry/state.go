package registry

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// state is what the topic says: a value, without locks and clocks.
type state struct {
	subjects map[string]map[int32]*version // by their numbers, those that are softly deleted too
	numbers  map[string][]int32            // of a subject, in their order
	byID     map[int32]map[*version]bool
	bySame   map[string]map[*version]bool
	byGUID   map[string]map[*version]bool
	users    map[subjectVersion]map[*version]bool // who refers to it
	maxID    int32                                // ever seen
	configs  map[string]config                    // by subject; "" is the global one
	modes    map[string]mode
}

type subjectVersion struct {
	Subject string `json:"subject"`
	Version int32  `json:"version"`
}

func newState() *state {
	return &state{
		subjects: make(map[string]map[int32]*version), numbers: make(map[string][]int32), byID: make(map[int32]map[*version]bool), bySame: make(map[string]map[*version]bool), byGUID: make(map[string]map[*version]bool),
		users: make(map[subjectVersion]map[*version]bool), configs: make(map[string]config), modes: make(map[string]mode),
	}
}

func (s *state) put(v *version) {
	s.remove(v.Subject, v.Version)
	s.maxID = max(s.maxID, v.ID)
	add(s.subjects, v.Subject, v.Version, v)
	at, _ := slices.BinarySearch(s.numbers[v.Subject], v.Version)
	s.numbers[v.Subject] = slices.Insert(s.numbers[v.Subject], at, v.Version)
	add(s.byID, v.ID, v, true)
	add(s.bySame, v.same, v, true)
	add(s.byGUID, v.guid, v, true)
	for _, r := range v.Refs {
		add(s.users, subjectVersion{r.Subject, r.Version}, v, true)
	}
}

func (s *state) remove(subject string, n int32) {
	v := s.subjects[subject][n]
	if v == nil {
		return
	}
	drop(s.subjects, subject, n)
	at, _ := slices.BinarySearch(s.numbers[subject], n)
	if s.numbers[subject] = slices.Delete(s.numbers[subject], at, at+1); len(s.numbers[subject]) == 0 {
		delete(s.numbers, subject)
	}
	drop(s.byID, v.ID, v)
	drop(s.bySame, v.same, v)
	drop(s.byGUID, v.guid, v)
	for _, r := range v.Refs {
		drop(s.users, subjectVersion{r.Subject, r.Version}, v)
	}
}

func add[A, B comparable, C any](m map[A]map[B]C, a A, b B, c C) {
	if m[a] == nil {
		m[a] = make(map[B]C)
	}
	m[a][b] = c
}

func drop[A, B comparable, C any](m map[A]map[B]C, a A, b B) {
	delete(m[a], b)
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
	for name := range s.subjects {
		if subject != "" && name != subject {
			continue
		}
		for _, v := range s.versions(name, onlyDeleted) {
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

// versions returns those of a subject, from the first to the last.
func (s *state) versions(subject string, w which) []*version {
	all := s.subjects[subject]
	var found []*version
	for _, n := range s.numbers[subject] {
		if w.has(all[n]) {
			found = append(found, all[n])
		}
	}
	return found
}

// has tells whether a subject has such a version, or with "" whether any has.
func (s *state) has(subject string, w which) bool {
	if subject == "" {
		for name := range s.subjects {
			if s.has(name, w) {
				return true
			}
		}
		return false
	}
	for _, v := range s.subjects[subject] {
		if w.has(v) {
			return true
		}
	}
	return false
}

// sorted returns versions in the order of subject and number.
func sorted(all map[*version]bool, w which) []*version {
	found := slices.Collect(maps.Keys(all))
	found = slices.DeleteFunc(found, func(v *version) bool { return !w.has(v) })
	slices.SortFunc(found, func(a, b *version) int {
		if c := strings.Compare(a.Subject, b.Subject); c != 0 {
			return c
		}
		return int(a.Version) - int(b.Version)
	})
	return found
}

// latest is the number that stands for the last version.
const latest = -1

// find returns a version of a subject; the latest is of those that are not deleted.
func (s *state) find(subject string, n int32, w which) (*version, error) {
	if n == latest {
		if all := s.versions(subject, live); len(all) > 0 {
			return all[len(all)-1], nil
		}
	} else if v := s.subjects[subject][n]; v != nil && w.has(v) {
		return v, nil
	}
	if !s.has(subject, w) {
		return nil, subjectNotFound(subject)
	}
	return nil, faultf(codeVersionNotFound, "Version %d not found.", n)
}

// withMetadata returns the last version of a subject whose metadata have these properties, as many as there are keys and values.
func (s *state) withMetadata(subject string, w which, keys, values []string) (any, error) {
	for _, v := range slices.Backward(s.versions(subject, w)) {
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
	for user := range s.users[subjectVersion{v.Subject, v.Version}] {
		if w.has(user) {
			ids[user.ID] = true
		}
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
