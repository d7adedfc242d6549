package streams

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// Configured is a topology over the topics that there are: how many tasks its parts have, and which topics are to be
// made before they are assigned.
type Configured struct {
	// Subtopologies are in the order of their ids; none if Problem is that a topic that is read is missing, or
	// that topics do not fit together.
	Subtopologies []ConfiguredSubtopology
	Create        []InternalTopic // by name, each with its number of partitions
	Problem       *Status         // nil when tasks can be assigned
}

// ConfiguredSubtopology is a subtopology whose internal topics have their numbers of partitions.
type ConfiguredSubtopology struct {
	Subtopology
	Tasks int32 // as many as the largest of its topics has partitions
}

// stateful reports whether its tasks have a state of which there can be copies.
func (s *ConfiguredSubtopology) stateful() bool { return len(s.Changelogs) > 0 }

// find returns the subtopology of that id, or nil.
func (c *Configured) find(id string) *ConfiguredSubtopology {
	i, ok := slices.BinarySearchFunc(c.Subtopologies, id, func(s ConfiguredSubtopology, id string) int { return strings.Compare(s.ID, id) })
	if !ok {
		return nil
	}
	return &c.Subtopologies[i]
}

// Topics says how many partitions a topic has, and whether it is there.
type Topics func(name string) (partitions int32, ok bool)

// Configure finds the numbers of partitions of a topology, which is normal:
//
//   - an internal topic between parts has as many partitions as it asks for, or else as the largest topic that those
//     who write it read;
//   - topics that are copartitioned have equally many, those of the topics that somebody else made;
//   - a subtopology has as many tasks as the largest topic that it reads has partitions, and so many have its changelogs.
//
// A topology that has no answer is ErrInvalidTopology. What is wrong with topics that can still be made or changed
// is the Problem of what is returned.
func Configure(t *Topology, topics Topics) (Configured, error) {
	c := configuring{topology: t, topics: topics, decided: make(map[string]int32), fixed: make(map[string]bool)}
	if missing := c.missingSources(); len(missing) > 0 {
		return problem(MissingSourceTopics, "Source topics %s are missing.", some(missing)), nil
	}
	if err := c.decideRepartition(); err != nil {
		return Configured{}, err
	}
	if p := c.copartition(); p != nil {
		return Configured{Problem: p}, nil
	}
	done, tasks := c.finish(), 0
	for i := range done.Subtopologies {
		tasks += int(done.Subtopologies[i].Tasks)
	}
	if tasks > maxTasks {
		return Configured{}, fmt.Errorf("%w: %d tasks, at most %d", log.ErrInvalidTopology, tasks, maxTasks)
	}
	return done, nil
}

func problem(code StatusCode, format string, args ...any) Configured {
	return Configured{Problem: &Status{code, fmt.Sprintf(format, args...)}}
}

type configuring struct {
	topology *Topology
	topics   Topics
	decided  map[string]int32 // numbers of partitions of internal topics
	fixed    map[string]bool  // of internal topics that are read: whether they ask for a number of their own
}

// missingSources returns the topics that somebody else has to make, sorted.
func (c *configuring) missingSources() []string {
	var missing []string
	for i := range c.topology.Subtopologies {
		for _, name := range c.topology.Subtopologies[i].Sources {
			if _, ok := c.topics(name); !ok {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// count returns the number of partitions that a topic has or will have.
func (c *configuring) count(name string) (int32, bool) {
	if n, ok := c.topics(name); ok {
		return n, true
	}
	n, ok := c.decided[name]
	return n, ok
}

// decideRepartition follows records from topics that are there to those between parts, until all are decided.
func (c *configuring) decideRepartition() error {
	subs := c.topology.Subtopologies
	for _, s := range subs {
		for _, r := range s.Repartition {
			c.fixed[r.Name] = c.fixed[r.Name] || r.Partitions > 0
			if r.Partitions > 0 {
				c.decided[r.Name] = r.Partitions
			}
		}
	}
	for open, progress := true, true; open; {
		if !progress {
			return fmt.Errorf("%w: the numbers of partitions of its repartition topics depend on each other", log.ErrInvalidTopology)
		}
		open, progress = false, false
		for i := range subs {
			n := c.largestInput(&subs[i])
			for _, sink := range subs[i].Sinks {
				if _, ok := c.decided[sink]; ok {
					continue
				}
				if n == 0 {
					open = true
					continue
				}
				c.decided[sink], progress = n, true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.fixed)) {
		if _, ok := c.decided[name]; !ok {
			return fmt.Errorf("%w: nobody writes repartition topic %s", log.ErrInvalidTopology, name)
		}
	}
	return nil
}

// largestInput returns the most partitions among the topics that s reads and that are decided; 0 if none is.
func (c *configuring) largestInput(s *Subtopology) (most int32) {
	for _, name := range s.Sources {
		n, _ := c.topics(name)
		most = max(most, n)
	}
	for _, r := range s.Repartition {
		most = max(most, c.decided[r.Name])
	}
	return most
}

// copartition gives topics that go together equally many partitions, or says why they cannot have that.
func (c *configuring) copartition() *Status {
	for i := range c.topology.Subtopologies {
		for _, set := range c.topology.Subtopologies[i].Copartition {
			if p := c.copartitionSet(set); p != nil {
				return p
			}
		}
	}
	return nil
}

func (c *configuring) copartitionSet(set []string) *Status {
	var given, fixed, flexible []string // topics by who says how many partitions they have
	for _, name := range slices.Sorted(slices.Values(set)) {
		isFixed, internal := c.fixed[name]
		switch {
		case !internal:
			given = append(given, name)
		case isFixed:
			fixed = append(fixed, name)
		default:
			flexible = append(flexible, name)
		}
	}
	leading := given
	if len(given) == 0 {
		leading = fixed
	}
	var n int32
	for i, name := range leading {
		if is, _ := c.count(name); i == 0 {
			n = is
		} else if is != n {
			return &Status{IncorrectlyPartitioned, "Following topics do not have the same number of partitions: [" + c.counts(leading) + "]"}
		}
	}
	if len(leading) == 0 {
		for _, name := range flexible {
			is, _ := c.count(name)
			n = max(n, is)
		}
	}
	for _, name := range fixed {
		if is, _ := c.count(name); is != n {
			return &Status{IncorrectlyPartitioned, fmt.Sprintf(
				"Number of partitions [%d] of repartition topic [%s] doesn't match number of partitions [%d] of the source topic.", is, name, n)}
		}
	}
	for _, name := range flexible {
		c.decided[name] = n
	}
	return nil
}

// counts lists topics with their partitions.
func (c *configuring) counts(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		n, _ := c.count(name)
		list[i] = fmt.Sprintf("%s=%d", name, n)
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// finish makes of what is decided a topology whose topics have numbers, and finds those that are to be made.
func (c *configuring) finish() Configured {
	var done Configured
	internal := make(map[string]InternalTopic)
	for _, s := range c.topology.Subtopologies {
		cs := ConfiguredSubtopology{Subtopology: s}
		for _, name := range s.inputs() {
			n, _ := c.count(name)
			cs.Tasks = max(cs.Tasks, n)
		}
		sized := func(from []InternalTopic, n func(InternalTopic) int32) []InternalTopic {
			all := slices.Clone(from)
			for i := range all {
				all[i].Partitions = n(all[i])
				internal[all[i].Name] = all[i]
			}
			return all
		}
		cs.Repartition = sized(s.Repartition, func(t InternalTopic) int32 { return c.decided[t.Name] })
		cs.Changelogs = sized(s.Changelogs, func(InternalTopic) int32 { return cs.Tasks })
		done.Subtopologies = append(done.Subtopologies, cs)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(internal)) {
		want := internal[name].Partitions
		switch n, ok := c.topics(name); {
		case !ok:
			names = append(names, name)
			done.Create = append(done.Create, internal[name])
		case n != want:
			return problem(IncorrectlyPartitioned, "Existing topic %s has different number of partitions: expected %d, found %d", name, want, n)
		}
	}
	if len(names) > 0 {
		done.Problem = &Status{MissingInternalTopics, "Internal topics are missing: " + some(names)}
	}
	return done
}
