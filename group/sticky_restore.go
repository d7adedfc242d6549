package group

import "slices"

// restore sends partitions that moved back home where the plan stays balanced, if need be
// after loose ones have moved out of the way: taking one partition after the other
// leads to balance, but which one would have done for two shows only in the end.
//
// The effort is bounded: with many thousands of moves some may be left that could be saved.
func (u *unequalPlan) restore() {
	effort := 1 << 22 // places looked at, tens of milliseconds
	u.effort = &effort
	for again := true; again; {
		again = false
		for i, home := range u.keeper {
			p := int32(i)
			if home == nobody || u.owner[p] == home || u.hopeless(p, home) || !u.spend() {
				continue
			}
			try := u.clone()
			try.move(p, home)
			try.spread()
			if settled := try.settle(2); settled != nil {
				*u, again = *settled, true
			}
		}
	}
}

// spend tells whether there is effort left to look at the whole plan once more.
func (u *unequalPlan) spend() bool {
	*u.effort -= u.size
	return *u.effort >= 0
}

// hopeless tells quickly that p cannot go home: a subscriber would have three fewer, of
// which loose partitions can even out one, and home has none to give.
func (u *unequalPlan) hopeless(p, home int32) bool {
	t := u.topicOf[p]
	least := min(u.count[u.poorest(t)], u.count[u.owner[p]]-1)
	if u.count[home]+1-least < 3 {
		return false
	}
	return !slices.ContainsFunc(u.slots[home], func(s slot) bool { return len(s.loose) > 0 })
}

// settle returns a plan that is balanced, with at most depth chains of loose partitions moved that even out nothing by
// themselves: u if it is balanced, or a copy, or nil if none was found.
func (u *unequalPlan) settle(depth int) *unequalPlan {
	rich, poor, gap := u.steepest()
	if gap < 2 {
		return u
	}
	if depth == 0 || gap > 2 {
		return nil
	}
	if settled := u.ease(rich.member, forward, depth); settled != nil {
		return settled
	}
	return u.ease(poor, backward, depth)
}

// ease settles a copy in which a member that has too much has given a partition away (forward), or one that has
// too little has got one (backward), trying members at the other end of a chain.
func (u *unequalPlan) ease(m int32, d direction, depth int) *unequalPlan {
	for _, end := range u.ends(m, d) {
		if !u.spend() {
			return nil
		}
		try := u.clone()
		try.chain(m, end, d)
		if settled := try.settle(depth - 1); settled != nil {
			return settled
		}
	}
	return nil
}

// maxEnds is how many ends of chains are tried in one step of settle.
const maxEnds = 8

// ends returns the members at the end of chains from or to m that one partition more or
// less would bring level with m, before those that are level with it now.
func (u *unequalPlan) ends(m int32, d direction) []int32 {
	next := u.count[m] - 1
	if d == backward {
		next = u.count[m] + 1
	}
	var ends, level []int32
	u.search.start()
	u.search.reach(m, nobody, nobody)
	for len(ends) < maxEnds {
		x, ok := u.search.next()
		if !ok {
			break
		}
		switch u.count[x] {
		case next:
			ends = append(ends, x)
		case u.count[m]:
			if x != m {
				level = append(level, x)
			}
		}
		u.expand(x, d)
	}
	return append(ends, level[:min(len(level), maxEnds-len(ends))]...)
}

// chain moves one loose partition along each step between m and end, which a search
// has found to be linked.
func (u *unequalPlan) chain(m, end int32, d direction) {
	u.search.start()
	u.search.reach(m, nobody, nobody)
	for {
		x, ok := u.search.next()
		if !ok {
			return
		}
		if x == end {
			u.shift(x, d)
			return
		}
		u.expand(x, d)
	}
}
