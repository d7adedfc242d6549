package group

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/pattern"
)

// regex is a regular expression by which members subscribe, with what it means.
type regex struct {
	whole  *regexp.Regexp // of a whole name
	topics []string       // whose names it matches, in order
}

// wanted returns the topics that m subscribes to, by name and by its regular expression, whether they exist or not: in
// order, each once.
func (g *Modern) wanted(m *modernMember) []string {
	if r := g.regexes[m.regex]; r != nil && len(r.topics) > 0 {
		return nameSet(append(slices.Clone(m.topics), r.topics...))
	}
	return m.topics
}

// survey looks at the topics anew if they or the subscriptions have changed, and raises the epoch if that makes a difference.
func (g *Modern) survey(topics Topics, changed bool) (raised bool) {
	version := topics.Version()
	if g.looked && version == g.seen && !changed {
		return false
	}
	g.resolve(topics)
	shape := g.measure(topics)
	g.seen, g.looked = version, true
	if !changed && shape == g.shape {
		return false
	}
	g.shape = shape
	g.epoch++
	return true
}

// resolve finds what the regular expressions of the members mean now.
func (g *Modern) resolve(topics Topics) {
	used := make(map[string]bool)
	for _, m := range g.members {
		used[m.regex] = m.regex != ""
	}
	maps.DeleteFunc(g.regexes, func(text string, _ *regex) bool { return !used[text] })
	maps.DeleteFunc(g.visible, func(text string, _ func(string) bool) bool { return !used[text] })
	for text, is := range used {
		if is && g.regexes[text] == nil {
			whole, err := pattern.Whole(text)
			if err != nil {
				continue // it was checked when the member came with it
			}
			g.regexes[text] = &regex{whole: whole}
		}
	}
	if len(g.regexes) == 0 {
		return
	}
	for _, r := range g.regexes {
		r.topics = nil
	}
	for _, name := range topics.TopicNames() {
		for text, r := range g.regexes {
			if may := g.visible[text]; r.whole.MatchString(name) && (may == nil || may(name)) {
				r.topics = append(r.topics, name)
			}
		}
	}
}

// measure returns a number for what the members subscribe to: the topics that exist, how many partitions they have, and what
// the regular expressions mean.
func (g *Modern) measure(topics Topics) uint64 {
	names := make(map[string]struct{})
	for _, m := range g.members {
		for _, name := range m.topics {
			names[name] = struct{}{}
		}
	}
	h := fnv.New64a()
	put := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	for _, text := range slices.Sorted(maps.Keys(g.regexes)) {
		put(text)
		for _, name := range g.regexes[text].topics {
			put(name)
			names[name] = struct{}{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		id, n, err := topics.TopicID(name)
		if err != nil {
			continue
		}
		put(name)
		_, _ = h.Write(binary.BigEndian.AppendUint32(id[:], uint32(n)))
	}
	return h.Sum64()
}

// serverAssignors are those of the broker, the default first.
var serverAssignors = []Assignor{uniform{}, Range()}

// offered returns the assignors that the rules offer, the default first.
func (r ModernRules) offered() []Assignor {
	var all []Assignor
	for _, name := range r.Assignors {
		if i := slices.IndexFunc(serverAssignors, func(a Assignor) bool { return a.Name() == name }); i >= 0 {
			all = append(all, serverAssignors[i])
		}
	}
	if len(all) == 0 {
		return serverAssignors
	}
	return all
}

// ServerAssignors returns the names of the assignors that a broker can offer.
func ServerAssignors() []string {
	names := make([]string, len(serverAssignors))
	for i, a := range serverAssignors {
		names[i] = a.Name()
	}
	return names
}

// assignor returns the assignor that most of those members prefer who prefer any.
func (g *Modern) assignor() Assignor {
	votes := make(map[string]int)
	for _, m := range g.members {
		if m.assignor != "" {
			votes[m.assignor]++
		}
	}
	offered := g.rules.offered()
	best := offered[0]
	for _, a := range offered {
		if votes[a.Name()] > votes[best.Name()] {
			best = a
		}
	}
	return best
}

// aim finds a new target if the epoch asks for one and the last one is old enough. The members whose target changes are noted.
func (g *Modern) aim(t *modernTurn, topics Topics) {
	if g.targetOf >= g.epoch || !g.targetAt.IsZero() && t.now.Before(g.targetAt.Add(g.rules.AssignmentInterval)) {
		return
	}
	shapes, ids := make(map[string]int32), make(map[string][16]byte)
	names := make(map[[16]byte]string)
	members := make([]AssignMember, 0, len(g.members))
	for _, m := range g.inOrder() {
		wanted := g.wanted(m)
		for _, name := range wanted {
			if _, seen := shapes[name]; seen {
				continue
			}
			id, n, err := topics.TopicID(name)
			shapes[name] = n // 0 if there is none
			if err == nil {
				ids[name], names[id] = id, name
			}
		}
		members = append(members, AssignMember{ID: m.id, InstanceID: m.instance, Subscription: Subscription{Topics: wanted, Rack: m.rack}})
	}
	for i := range members {
		for _, p := range sortPartitions(g.target[members[i].ID]) {
			if name, ok := names[p.Topic]; ok {
				members[i].Owned = addPartitions(members[i].Owned, name, []int32{p.Index})
			}
		}
	}
	for id, assigned := range g.assignor().Assign(members, shapes) {
		next := make(epochs.Set[PartitionID])
		for name, indexes := range assigned {
			for _, i := range indexes {
				next[PartitionID{ids[name], i}] = struct{}{}
			}
		}
		if !maps.Equal(next, g.target[id]) {
			g.target[id] = next
			t.touch(id)
		}
	}
	g.targetOf, g.targetAt = g.epoch, t.now
	t.header = true
}

// reconcile has m go a step towards the target.
func (g *Modern) reconcile(t *modernTurn, m *modernMember, owned epochs.Set[PartitionID], changed bool, topics Topics) {
	if !changed && m.ReconciledTo(g.targetOf) {
		return
	}
	ids := make(map[[16]byte]bool)
	for _, name := range g.wanted(m) {
		if id, _, err := topics.TopicID(name); err == nil {
			ids[id] = true
		}
	}
	next := m.Next(epochs.Step[PartitionID]{
		Target: g.target[m.id], AsOf: g.targetOf, Changed: changed, Owned: owned,
		Wanted: func(p PartitionID) bool { return ids[p.Topic] },
		Taken:  func(p PartitionID) bool { return g.taken(m, p) },
	})
	if !g.hold(m, next) {
		return
	}
	t.touch(m.id)
	m.revokeBy = time.Time{}
	if m.classic == nil && m.State == epochs.Unrevoked {
		m.revokeBy = t.now.Add(m.rebalance)
	}
}

// waits reports whether something that m should have is still somebody else's.
func (g *Modern) waits(m *modernMember) bool {
	for p := range g.target[m.id] {
		if _, has := m.Assigned[p]; !has && g.taken(m, p) {
			return true
		}
	}
	return false
}

// modernTurn collects the effects of one call.
type modernTurn struct {
	turn
	header  bool                // the group as such is to be stored
	touched map[string]struct{} // the members that are
}

func (t *modernTurn) touch(id string) {
	if t.touched == nil {
		t.touched = make(map[string]struct{})
	}
	t.touched[id] = struct{}{}
}

// uniform is Kafka's server-side assignor of that name: members have as many partitions as others, as far as they subscribe
// to them, and keep what they have.
type uniform struct{}

func (uniform) Name() string                              { return "uniform" }
func (uniform) Cooperative() bool                         { return false }
func (uniform) UserData(map[string][]int32, int32) []byte { return nil }

func (uniform) Assign(members []AssignMember, partitions map[string]int32) map[string]Assignment {
	return sticky{claim: func(m *AssignMember) (map[string][]int32, int32) { return m.Owned, 0 }}.Assign(members, partitions)
}
