package members

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"
)

func compare(a, b Partition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Index, b.Index))
}

// assign is Kafka's assignor "simple": each partition has readers, of each set of partitions that the same members
// subscribe to every member gets some, as evenly as may be, and who has a partition keeps it as far as that allows.
func (g *Group) assign(now time.Time, topics Topics) {
	had := g.target
	g.target, g.assigned, g.at = make(map[string][]Partition), g.epoch, now
	pools := make(map[string]*pool) // by who subscribes
	for _, name := range g.subscribed() {
		id, n, ok := topics(name)
		if !ok {
			continue
		}
		readers, key := g.readers(name)
		p := pools[key]
		if p == nil {
			p = &pool{members: readers}
			pools[key] = p
		}
		for i := range n {
			p.partitions = append(p.partitions, Partition{Topic: name, ID: id, Index: i})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(pools)) {
		for id, ps := range pools[key].spread(had) {
			g.target[id] = append(g.target[id], ps...)
		}
	}
	for _, ps := range g.target {
		slices.SortFunc(ps, compare)
	}
}

// readers returns who subscribes to a topic, sorted, and a name for them.
func (g *Group) readers(topic string) (ids []string, key string) {
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if _, ok := slices.BinarySearch(g.members[id].topics, topic); ok {
			ids = append(ids, id)
			key += id + "\x00"
		}
	}
	return ids, key
}

// pool is partitions and the members who all subscribe to them. There are some of both.
type pool struct {
	members    []string // sorted
	partitions []Partition
}

// spread says who reads what. With more members than partitions each member has one or two, and each partition at most
// as many readers as it takes; with fewer, members have more.
func (p *pool) spread(had map[string][]Partition) map[string][]Partition {
	sharing := (len(p.members) + len(p.partitions) - 1) / max(1, len(p.partitions)) // readers of a partition
	slots := sharing * len(p.partitions)
	readers := make(map[Partition]int, len(p.partitions))
	for _, tp := range p.partitions {
		readers[tp] = 0
	}
	given := make(map[string][]Partition, len(p.members))
	room := make(map[string]int, len(p.members))
	for i, id := range p.members {
		room[id] = ceil(slots*(i+1), len(p.members)) - ceil(slots*i, len(p.members))
		for _, tp := range had[id] {
			if n, ok := readers[tp]; ok && n < sharing && room[id] > 0 {
				readers[tp]++
				room[id]--
				given[id] = append(given[id], tp)
			}
		}
	}
	for fewest := 0; fewest < sharing; fewest++ { // partitions with the fewest readers first
		next := 0
		for _, tp := range p.partitions {
			if readers[tp] != fewest {
				continue
			}
			for range p.members {
				id := p.members[next%len(p.members)]
				next++
				if room[id] > 0 && (fewest == 0 || !slices.Contains(given[id], tp)) { // with several readers, each has few
					given[id], readers[tp] = append(given[id], tp), readers[tp]+1
					room[id]--
					break
				}
			}
		}
	}
	return given
}

func ceil(a, b int) int { return (a + b - 1) / b }
