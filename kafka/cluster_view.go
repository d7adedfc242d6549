package kafka

import (
	"hash/fnv"
	"maps"
	"slices"

	"github.com/samsa-go/samsa/log"
)

// view is a cluster as of one moment. It is not changed: another takes its place, and then changed is closed.
type view struct {
	nodes      map[int32]nodeView
	controller int32             // a node that runs; -1 when none does
	topics     map[uint32][]seat // by the topics' numbers, of each partition
	groups     slots
	txns       slots
	changed    chan struct{}
}

// nodeView is a node that is registered.
type nodeView struct {
	rack    string // "" for none
	listen  string // host:port at which it listens
	address string // host:port that clients are told; "" for the one that they have reached, with the node's port
	up      bool
}

// seat says where a partition is, or a coordinator. Slices are replaced and not changed.
//
// leader is in isr, and isr in replicas, where the leader that is preferred comes first. isr is never empty: the last one
// that goes down stays.
type seat struct {
	leader           int32 // node id; -1 while none in isr runs
	epoch            int32 // of the leader
	replicas, isr    []int32
	adding, removing []int32 // of replicas, while they are reassigned
	loading          bool    // a coordinator that is not ready yet
	renewed          bool    // it is to be in another epoch, whoever leads
}

// slots are the places of coordinators, as those of Kafka's internal topics, whose partitions they are.
type slots [coordinatorSlots]seat

const coordinatorSlots = 50 // offsets.topic.num.partitions, transaction.state.log.num.partitions

// slotOf returns the slot of a group or a transactional id.
func slotOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % coordinatorSlots)
}

// clone returns a view that may be changed until it is published.
func (v *view) clone() *view {
	next := *v
	next.nodes = maps.Clone(v.nodes)
	next.topics = make(map[uint32][]seat, len(v.topics))
	for number, ps := range v.topics {
		next.topics[number] = slices.Clone(ps)
	}
	next.changed = make(chan struct{})
	return &next
}

// ids returns the nodes that are registered, in order; with up those that run.
func (v *view) ids(up bool) []int32 {
	var ids []int32
	for id, n := range v.nodes {
		if n.up || !up {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (v *view) isUp(id int32) bool { return v.nodes[id].up }

// up returns those of ids that run.
func (v *view) up(ids []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return !v.isUp(id) })
}

// places calls fn for every place.
func (v *view) places(fn func(*seat)) {
	for _, ps := range v.topics {
		for i := range ps {
			fn(&ps[i])
		}
	}
	for _, s := range []*slots{&v.groups, &v.txns} {
		for i := range s {
			fn(&s[i])
		}
	}
}

// spread returns the places of n partitions, each with so many replicas, as far as there are nodes, on those that run first: the leaders
// are spread, from the one that first counts to on.
func (v *view) spread(n, first, replicas int) []seat {
	ids := v.ids(true)
	down := without(v.ids(false), ids)
	if len(ids) == 0 {
		ids, down = down, nil
	}
	ps := make([]seat, n)
	for i := range ps {
		var on []int32
		for j := range min(max(1, replicas), len(ids)) {
			on = append(on, ids[(first+i+j)%len(ids)])
		}
		if missing := replicas - len(on); missing > 0 {
			on = append(on, down[:min(missing, len(down))]...)
		}
		ps[i] = v.newPlace(on)
	}
	return ps
}

// newPlace returns the place of a partition that has the given replicas.
func (v *view) newPlace(replicas []int32) seat {
	p := seat{leader: -1, replicas: replicas, isr: v.up(replicas)}
	if len(p.isr) == 0 {
		p.isr = replicas[:1]
	} else {
		p.leader = p.isr[0]
	}
	return p
}

// goDown takes a node from those that run: its places move to others that are in sync.
func (v *view) goDown(id int32) {
	n := v.nodes[id]
	n.up = false
	v.nodes[id] = n
	v.places(func(p *seat) { p.settle(v) })
	v.elect()
}

// comeUp has a node run again: it is in sync with those that lead, and leads what nobody else could. Reassignments come to their end that
// have waited for it, unless they are held.
func (v *view) comeUp(id int32, hold bool) {
	n := v.nodes[id]
	n.up = true
	v.nodes[id] = n
	v.places(func(p *seat) {
		p.settle(v)
		if p.moving() && !hold {
			p.arrive(v)
		}
	})
	v.elect()
}

// elect chooses a controller if it has none.
func (v *view) elect() {
	if v.controller >= 0 && v.isUp(v.controller) {
		return
	}
	v.controller = -1
	if ids := v.ids(true); len(ids) > 0 {
		v.controller = ids[0]
	}
}

// settle gives a place its in-sync replicas and, if that is not one that runs, another leader.
func (p *seat) settle(v *view) {
	if alive := v.up(p.isr); len(alive) > 0 {
		if !slices.Contains(alive, p.leader) {
			p.leader = alive[0]
		}
		p.isr = v.up(p.replicas) // in the one store all are in sync that run
	} else {
		p.leader = -1
		p.isr = p.isr[:1]
	}
}

// leadBy moves a place to a replica that runs.
func (p *seat) leadBy(v *view, id int32) error {
	switch {
	case !slices.Contains(p.replicas, id):
		return invalidEvent("node %d is no replica, these are %v", id, p.replicas)
	case !v.isUp(id):
		return invalidEvent("node %d does not run", id)
	}
	p.leader, p.isr, p.loading = id, v.up(p.replicas), false
	return nil
}

// prefer moves a place to its preferred leader.
func (p *seat) prefer(v *view) error {
	first := p.replicas[0]
	switch {
	case p.leader == first:
		return protocolError{codeElectionNotNeeded, "the preferred leader leads"}
	case !v.isUp(first) || !slices.Contains(p.isr, first):
		return protocolError{codePreferredLeaderNotAvailable, "the preferred leader does not run"}
	}
	return p.leadBy(v, first)
}

// takeAny has any replica that runs lead a place that nobody leads.
func (p *seat) takeAny(v *view) error {
	alive := v.up(p.replicas)
	switch {
	case p.leader >= 0:
		return protocolError{codeElectionNotNeeded, "there is a leader"}
	case len(alive) == 0:
		return protocolError{codeEligibleLeadersNotAvailable, "no replica runs"}
	}
	return p.leadBy(v, alive[0])
}

// reassign begins to move a place to other replicas, from those that it has, those of a reassignment that is under way among them.
func (p *seat) reassign(to []int32) {
	added := without(to, p.replicas)
	p.removing = without(p.replicas, to)
	if len(added) == 0 {
		added = without(p.adding, p.removing)
	}
	p.adding = added
	p.replicas = append(slices.Clone(to), p.removing...)
}

// settled returns the replicas that were there before the reassignment that is under way.
func (p *seat) settled() []int32 { return without(p.replicas, p.adding) }

// moving reports whether replicas are reassigned.
func (p *seat) moving() bool { return len(p.adding)+len(p.removing) > 0 }

// arrive ends a reassignment, unless it has to wait: while nobody leads, or new replicas do not run, or none does that is to stay. The leader
// is in another epoch then if replicas have gone.
func (p *seat) arrive(v *view) {
	to := without(p.replicas, p.removing)
	if p.leader < 0 || len(v.up(p.adding)) < len(p.adding) || len(v.up(to)) == 0 {
		return
	}
	p.renewed = p.renewed || len(p.removing) > 0
	p.become(v, to)
}

// cancel undoes a reassignment.
func (p *seat) cancel(v *view) { p.become(v, p.settled()) }

func (p *seat) become(v *view, replicas []int32) {
	p.replicas, p.adding, p.removing = replicas, nil, nil
	p.isr = v.up(replicas)
	if len(p.isr) == 0 {
		p.leader, p.isr = -1, replicas[:1]
	} else if !slices.Contains(p.isr, p.leader) {
		p.leader = p.isr[0]
	}
}

func without(ids, these []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return slices.Contains(these, id) })
}

// preferredReplica returns the replica that a consumer in that rack is to read from, -1 for the leader (KIP-392).
func (p *seat) preferredReplica(v *view, rack string) int32 {
	if rack == "" || v.nodes[p.leader].rack == rack {
		return -1
	}
	for _, id := range p.isr {
		if v.isUp(id) && v.nodes[id].rack == rack {
			return id
		}
	}
	return -1
}

func invalidEvent(format string, args ...any) error {
	return wrapf(log.ErrInvalid, format, args...)
}
