package group

import (
	"cmp"
	"slices"
)

// planUnequal returns the owner of each partition when subscriptions differ. What can stay
// stays at first, and the rest is placed where there is least; then partitions move from
// members that have more to members that have less, until no member could take one from
// another that has two or more more; and in the end those that moved go back where the
// balance allows it.
//
// The fewest moves that do are hard to find, and the order of moves decides. Two orders
// are tried, the second being that of Kafka, and the one that keeps more wins.
func planUnequal(v *survey) []int32 {
	u := newUnequalPlan(v)
	u.place()
	atHome := u.kept
	u.balance()
	u.restore()
	if u.kept == atHome {
		return u.owner
	}
	k := newUnequalPlan(v)
	k.place()
	k.sweep(true)
	k.sweep(false)
	k.balance()
	k.restore()
	if k.kept > u.kept {
		return k.owner
	}
	return u.owner
}

// unequalPlan is a plan in progress. A partition is at home with the member that may
// keep it, and loose anywhere else: moving it once more costs nothing.
//
//	owner[p] == m  <=>  p in home or loose of the slot of m for the topic of p
//	count[m]       ==   the partitions in all slots of m
//	levels[n]      ==   the members with count n, among those that subscribe to anything
type unequalPlan struct {
	*survey
	keeper []int32
	owner  []int32
	count  []int
	levels []int
	slots  [][]slot // by member, in the order of subscribed
	seats  [][]seat // by topic, in the order of subscribers
	topics []int32  // those with few subscribers first
	search *search
	kept   int  // partitions at home
	size   int  // the effort of looking at all of the plan
	effort *int // that may still be spent on restore, by all copies
}

// slot holds the partitions of one member in one topic, ascending where it matters little.
type slot struct {
	topic       int32
	home, loose []int32
}

func (s *slot) any() bool { return len(s.home)+len(s.loose) > 0 }

// seat is the place of a subscriber's slot.
type seat struct{ member, slot int32 }

func newUnequalPlan(v *survey) *unequalPlan {
	u := &unequalPlan{
		survey: v,
		keeper: v.keepers(),
		owner:  make([]int32, len(v.topicOf)),
		count:  make([]int, len(v.ids)),
		levels: make([]int, len(v.topicOf)+1),
		slots:  make([][]slot, len(v.ids)),
		seats:  make([][]seat, len(v.names)),
	}
	u.search = newSearch(len(v.ids), len(v.names))
	for m, topics := range v.subscribed {
		u.slots[m] = make([]slot, len(topics))
		for s, t := range topics {
			u.slots[m][s].topic = t
			u.seats[t] = append(u.seats[t], seat{int32(m), int32(s)})
		}
		if len(topics) > 0 {
			u.levels[0]++
		}
		u.size += len(topics)
	}
	for t := range u.names {
		u.topics = append(u.topics, int32(t))
	}
	slices.SortStableFunc(u.topics, func(a, b int32) int {
		return cmp.Compare(len(u.subscribers[a]), len(u.subscribers[b]))
	})
	return u
}

// slot returns the slot of a member for a topic it subscribes to.
func (u *unequalPlan) slot(member, topic int32) *slot {
	s, _ := slices.BinarySearch(u.subscribed[member], topic)
	return &u.slots[member][s]
}

// put gives p, which has no owner now, to m.
func (u *unequalPlan) put(p, m int32) {
	s := u.slot(m, u.topicOf[p])
	if u.keeper[p] == m {
		s.home = append(s.home, p)
		u.kept++
	} else {
		s.loose = append(s.loose, p)
	}
	u.owner[p] = m
	u.levels[u.count[m]]--
	u.count[m]++
	u.levels[u.count[m]]++
}

// move takes p from its owner and gives it to m.
func (u *unequalPlan) move(p, m int32) {
	from := u.owner[p]
	s := u.slot(from, u.topicOf[p])
	list := &s.loose
	if u.keeper[p] == from {
		list = &s.home
		u.kept--
	}
	i := slices.Index(*list, p)
	*list = slices.Concat((*list)[:i], (*list)[i+1:]) // copies have the old one
	u.levels[u.count[from]]--
	u.count[from]--
	u.levels[u.count[from]]++
	u.put(p, m)
}

// clone returns a copy to try moves on. It may share lists with u, of which moves change none.
func (u *unequalPlan) clone() *unequalPlan {
	c := *u
	c.owner, c.count, c.levels = slices.Clone(u.owner), slices.Clone(u.count), slices.Clone(u.levels)
	c.slots = make([][]slot, len(u.slots))
	for m, slots := range u.slots {
		c.slots[m] = make([]slot, len(slots))
		for i, s := range slots {
			c.slots[m][i] = slot{s.topic, slices.Clip(s.home), slices.Clip(s.loose)}
		}
	}
	return &c
}

// place puts partitions where they may stay, then the others with the subscriber that
// has least: topics with few subscribers first, because they have little choice.
func (u *unequalPlan) place() {
	for p, m := range u.keeper {
		if m != nobody {
			u.put(int32(p), m)
		}
	}
	for _, t := range u.topics {
		for p := u.first[t]; p < u.first[t+1]; p++ {
			if u.keeper[p] == nobody {
				u.put(p, u.poorest(t))
			}
		}
	}
}

// sweep goes over the partitions in the order of topics, and gives each, when its owner has
// two or more more than another subscriber, to the one that has least, until a round
// finds none.
func (u *unequalPlan) sweep(onlyLoose bool) {
	for moved := true; moved; {
		moved = false
		for _, t := range u.topics {
			poorest := u.poorest(t)
			for p := u.first[t]; p < u.first[t+1]; p++ {
				m := u.owner[p]
				if u.count[m] < u.count[poorest]+2 || onlyLoose && u.keeper[p] == m {
					continue
				}
				q := p
				if back := u.pick(u.slot(m, t).loose, poorest); back != nobody && u.keeper[back] == poorest {
					q = back
				}
				u.move(q, poorest)
				moved = true
				poorest = u.poorest(t)
			}
		}
	}
}

// poorest returns the subscriber of t with the fewest partitions, the first by id of equals.
func (u *unequalPlan) poorest(t int32) int32 {
	return slices.MinFunc(u.subscribers[t], func(a, b int32) int { return cmp.Compare(u.count[a], u.count[b]) })
}

// balance moves as little as it can see until the plan is balanced.
func (u *unequalPlan) balance() {
	u.spread()
	for u.takeFromKeeper() {
		u.spread()
	}
}

// spread moves loose partitions until no chain of such moves leads from a member to
// another that has two or more fewer.
func (u *unequalPlan) spread() {
	high := len(u.levels) - 1
	low := 0
	for {
		for high > 0 && u.levels[high] == 0 {
			high--
		}
		for low < high && u.levels[low] == 0 {
			low++
		}
		found := false
		for level := high; level >= low+2 && !found; level-- {
			if u.levels[level] > 0 {
				found = u.relieve(level)
			}
		}
		if !found {
			return
		}
		low = max(low-1, 0)
	}
}

// relieve takes a loose partition from a member with level partitions, in the end
// for one that has at most level-2, and tells whether there was such a chain.
func (u *unequalPlan) relieve(level int) bool {
	u.search.start()
	for m, n := range u.count {
		if n == level && len(u.slots[m]) > 0 {
			u.search.reach(int32(m), nobody, nobody)
		}
	}
	for {
		m, ok := u.search.next()
		if !ok {
			return false
		}
		if u.count[m] <= level-2 {
			u.shift(m, forward)
			return true
		}
		u.expand(m, forward)
	}
}

// direction is that of a search: along the moves or against them.
type direction bool

const (
	forward  direction = true
	backward direction = false
)

// expand reaches for all members that could be given a loose partition of m, or
// backward that could give one to m.
func (u *unequalPlan) expand(m int32, d direction) {
	for i := range u.slots[m] {
		s := &u.slots[m][i]
		if d == forward && len(s.loose) == 0 || !u.search.enter(s.topic) {
			continue
		}
		for _, to := range u.seats[s.topic] {
			if d == forward || len(u.slots[to.member][to.slot].loose) > 0 {
				u.search.reach(to.member, m, s.topic)
			}
		}
	}
}

// shift moves one loose partition along each step of the chain that reached m.
func (u *unequalPlan) shift(m int32, d direction) {
	for {
		next, topic := u.search.from[m], u.search.by[m]
		if next == nobody {
			return
		}
		giver, taker := next, m
		if d == backward {
			giver, taker = m, next
		}
		u.move(u.pick(u.slot(giver, topic).loose, taker), taker)
		m = next
	}
}

// pick returns the partition to give to m: best one that comes home with that.
func (u *unequalPlan) pick(loose []int32, m int32) int32 {
	for _, p := range loose {
		if u.keeper[p] == m {
			return p
		}
	}
	if len(loose) == 0 {
		return nobody
	}
	return loose[len(loose)-1]
}

// takeFromKeeper moves one partition away from where it was at home, where the
// difference is greatest, and tells whether there was one to move.
func (u *unequalPlan) takeFromKeeper() bool {
	rich, poor, gap := u.steepest()
	if gap < 2 {
		return false
	}
	s := &u.slots[rich.member][rich.slot]
	if len(s.home) > 0 {
		u.move(s.home[len(s.home)-1], poor)
	} else {
		u.move(s.loose[len(s.loose)-1], poor)
	}
	return true
}

// steepest returns the greatest difference between a member that has a partition of a
// topic and another subscriber of it, and which ones these are.
func (u *unequalPlan) steepest() (rich seat, poor int32, gap int) {
	gap = 1
	for t, seats := range u.seats {
		poorest := u.poorest(int32(t))
		for _, s := range seats {
			if n := u.count[s.member] - u.count[poorest]; n > gap && u.slots[s.member][s.slot].any() {
				rich, poor, gap = s, poorest, n
			}
		}
	}
	return rich, poor, gap
}

// search is a breadth-first search over members, by way of topics.
type search struct {
	round  int
	member []int   // the round in which it was reached last
	topic  []int   // the round in which it was entered last
	from   []int32 // by member reached: who would give to it, nobody for a start
	by     []int32 // by member reached: in which topic
	queue  []int32
	done   int
}

func newSearch(members, topics int) *search {
	return &search{
		member: make([]int, members), topic: make([]int, topics),
		from: make([]int32, members), by: make([]int32, members),
	}
}

func (s *search) start() {
	s.round++
	s.queue = s.queue[:0]
	s.done = 0
}

func (s *search) reach(m, from, topic int32) {
	if s.member[m] != s.round {
		s.member[m] = s.round
		s.from[m], s.by[m] = from, topic
		s.queue = append(s.queue, m)
	}
}

// enter tells whether the topic is new in this search.
func (s *search) enter(topic int32) bool {
	isNew := s.topic[topic] != s.round
	s.topic[topic] = s.round
	return isNew
}

func (s *search) next() (int32, bool) {
	if s.done == len(s.queue) {
		return nobody, false
	}
	s.done++
	return s.queue[s.done-1], true
}
