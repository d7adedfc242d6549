package group

import (
	"cmp"
	"slices"
)

// planEqual returns the owner of each partition when all members subscribe to the same
// topics: every member gets least partitions, and extra of them one more. The fewest
// possible partitions move: a member that had no more than its share keeps all, the others
// keep a full share, and those that had more than least are the first to get one more.
//
// Which partitions stay and who gets the rest follows Kafka: low partition numbers stay,
// and what is free goes round the members below least in order of their ids, then to
// those that have least.
func planEqual(v *survey) []int32 {
	owner := slices.Repeat([]int32{nobody}, len(v.topicOf))
	e := equalPlan{survey: v, owner: owner, held: make([][]int32, len(v.ids))}
	sharers := 0
	for _, topics := range v.subscribed {
		if len(topics) > 0 {
			sharers++
		}
	}
	if sharers == 0 {
		return owner // there are no partitions then
	}
	e.least, e.extra = len(owner)/sharers, len(owner)%sharers
	e.keep()
	e.deal()
	return owner
}

type equalPlan struct {
	*survey
	owner []int32
	held  [][]int32 // partitions by member
	least int       // that every member gets
	extra int       // how many members may still get one more
	below []int32   // members that have less than least, by id
	even  []int32   // members that have least, those first that get one more first
}

func (e *equalPlan) keep() {
	for p, m := range e.keepers() {
		if m != nobody {
			e.held[m] = append(e.held[m], int32(p))
		}
	}
	for i, held := range e.held {
		m := int32(i)
		share := e.least
		switch {
		case len(e.subscribed[m]) == 0:
			continue
		case len(held) < e.least:
			e.below = append(e.below, m)
			share = len(held)
		case len(held) > e.least && e.extra > 0:
			e.extra--
			share++
		default:
			e.even = append(e.even, m)
		}
		if len(held) > share {
			slices.SortFunc(held, e.byNumber)
			held = held[:share]
		}
		for _, p := range held {
			e.owner[p] = m
		}
		e.held[m] = held
	}
}

// byNumber orders by partition number, then by topic.
func (e *equalPlan) byNumber(p, q int32) int {
	return cmp.Or(cmp.Compare(p-e.first[e.topicOf[p]], q-e.first[e.topicOf[q]]), cmp.Compare(p, q))
}

func (e *equalPlan) deal() {
	turn := 0 // in below
	for p, m := range e.owner {
		if m != nobody {
			continue
		}
		if len(e.below) == 0 {
			e.owner[p] = e.even[0]
			e.even = e.even[1:]
			continue
		}
		turn %= len(e.below)
		m = e.below[turn]
		e.owner[p] = m
		e.held[m] = append(e.held[m], int32(p))
		if len(e.held[m]) < e.least {
			turn++
			continue
		}
		e.below = slices.Delete(e.below, turn, turn+1)
		e.even = append(e.even, m)
	}
}
