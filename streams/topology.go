package streams

import (
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// Topology is what an application processes: parts that are joined by topics between them. All members of a group
// have the same, and say so when they join.
type Topology struct {
	Epoch         int32 // rises with each change of the topology
	Subtopologies []Subtopology
}

// Subtopology is a part of a topology. It is divided into tasks, one for each partition of what it reads.
type Subtopology struct {
	ID      string
	Sources []string // topics that it reads, and that somebody else makes
	// Repartition are topics between parts that it reads; Sinks are names of those that it writes. They are made by the
	// coordinator of the group.
	Repartition []InternalTopic
	Sinks       []string
	// Changelogs are the topics of its state, made by the coordinator too, with as many partitions as there are tasks.
	Changelogs []InternalTopic
	// Copartition are sets of topics that it reads and that must have equally many partitions.
	Copartition [][]string
}

// InternalTopic is a topic that the coordinator makes for an application.
type InternalTopic struct {
	Name        string
	Partitions  int32 // 0 for as many as those of the topics that it is about
	Replication int16 // 0 for the broker's own
	Configs     []TopicConfig
}

// TopicConfig is a config of an internal topic.
type TopicConfig struct{ Name, Value string }

// inputs returns the names of all topics that the subtopology reads.
func (s *Subtopology) inputs() []string {
	names := slices.Clone(s.Sources)
	for _, t := range s.Repartition {
		names = append(names, t.Name)
	}
	return names
}

// required returns the names of the topics that have to be there before tasks are assigned, sorted.
func (t *Topology) required() []string {
	var names []string
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		names = append(names, s.inputs()...)
		for _, c := range s.Changelogs {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// reader returns the subtopology that reads a topic.
func (t *Topology) reader(topic string) (id string, ok bool) {
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		isTopic := func(it InternalTopic) bool { return it.Name == topic }
		if slices.Contains(s.Sources, topic) || slices.ContainsFunc(s.Repartition, isTopic) {
			return s.ID, true
		}
	}
	return "", false
}

// Normal returns the topology with its parts in the order of their ids, or ErrInvalidTopology for one that cannot be.
func (t Topology) Normal() (Topology, error) {
	t.Subtopologies = slices.SortedFunc(slices.Values(t.Subtopologies), func(a, b Subtopology) int { return strings.Compare(a.ID, b.ID) })
	if t.Epoch < 0 {
		return t, fmt.Errorf("%w: epoch %d", log.ErrInvalidTopology, t.Epoch)
	}
	if n := t.size(); n > maxTopologyBytes {
		return t, fmt.Errorf("%w: its names take %d bytes, at most %d", log.ErrInvalidTopology, n, maxTopologyBytes)
	}
	if n := len(t.Subtopologies); n > maxSubtopologies {
		return t, fmt.Errorf("%w: %d subtopologies, at most %d", log.ErrInvalidTopology, n, maxSubtopologies)
	}
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		if i > 0 && t.Subtopologies[i-1].ID == s.ID {
			return t, fmt.Errorf("%w: two subtopologies are %q", log.ErrInvalidTopology, s.ID)
		}
		if err := s.check(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// The bounds of a group: what is stored of a member, and of the group without its members, fits into a commit, and what is kept
// of all into memory.
const (
	maxTopologyBytes = 1 << 20  // of the names in a topology
	maxSubtopologies = 1000     // of a topology, whose topics may depend on each other in any order
	maxTasks         = 100_000  // of a topology
	maxMemberBytes   = 64 << 10 // of what a member says of itself
	maxMembers       = 10_000   // whatever the config says
)

// size is about what the topology takes, in bytes.
func (t *Topology) size() (n int) {
	const each = 16 // for what has a name
	strings := func(names ...string) {
		for _, s := range names {
			n += each + len(s)
		}
	}
	for _, s := range t.Subtopologies {
		strings(s.ID)
		strings(s.Sources...)
		strings(s.Sinks...)
		for _, set := range s.Copartition {
			strings(set...)
		}
		for _, it := range slices.Concat(s.Repartition, s.Changelogs) {
			strings(it.Name)
			for _, c := range it.Configs {
				strings(c.Name, c.Value)
			}
		}
	}
	return n
}

func (s *Subtopology) check() error {
	inputs := s.inputs()
	if len(inputs) == 0 {
		return fmt.Errorf("%w: subtopology %q reads no topic", log.ErrInvalidTopology, s.ID)
	}
	for _, c := range s.Changelogs {
		if c.Partitions != 0 {
			return fmt.Errorf("%w: changelog topic %s of subtopology %q has a number of partitions, %d, which is not its own to choose",
				log.ErrInvalidTopology, c.Name, s.ID, c.Partitions)
		}
	}
	for _, r := range s.Repartition {
		if r.Partitions < 0 {
			return fmt.Errorf("%w: repartition topic %s of subtopology %q has %d partitions", log.ErrInvalidTopology, r.Name, s.ID, r.Partitions)
		}
	}
	known := make(map[string]bool, len(inputs))
	for _, name := range inputs {
		known[name] = true
	}
	for _, set := range s.Copartition {
		for _, name := range set {
			if !known[name] {
				return fmt.Errorf("%w: subtopology %q does not read topic %s of its copartition group", log.ErrInvalidTopology, s.ID, name)
			}
		}
	}
	return nil
}

// equal reports whether both say the same, which is what members have to do.
func (t *Topology) equal(other *Topology) bool {
	return t.Epoch == other.Epoch && slices.EqualFunc(t.Subtopologies, other.Subtopologies, func(a, b Subtopology) bool {
		return a.ID == b.ID && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Sinks, b.Sinks) &&
			slices.EqualFunc(a.Repartition, b.Repartition, InternalTopic.equal) &&
			slices.EqualFunc(a.Changelogs, b.Changelogs, InternalTopic.equal) &&
			slices.EqualFunc(a.Copartition, b.Copartition, slices.Equal[[]string])
	})
}

func (t InternalTopic) equal(other InternalTopic) bool {
	return t.Name == other.Name && t.Partitions == other.Partitions && t.Replication == other.Replication &&
		slices.Equal(t.Configs, other.Configs)
}
