package kafka

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever happens to a cluster: who leads is in sync and runs, who is in sync is a replica, somebody always is, all who run are that
// have a leader, and a replica is there once.
func TestViewHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := &view{nodes: make(map[int32]nodeView), controller: -1, topics: make(map[uint32][]seat), changed: make(chan struct{})}
		n := rapid.Int32Range(1, 5).Draw(t, "nodes")
		for id := range n {
			v.nodes[id+1] = nodeView{up: true, rack: string(rune('a' + id%2))}
		}
		v.elect()
		v.topics[1] = v.spread(4, 1, rapid.IntRange(1, 4).Draw(t, "replicas"))
		for i := range v.groups {
			v.groups[i], v.txns[i] = v.spread(1, i, 3)[0], v.spread(1, i, 1)[0]
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			next := v.clone()
			id := rapid.Int32Range(1, n).Draw(t, "node")
			p := &next.topics[1][rapid.IntRange(0, 3).Draw(t, "partition")]
			switch rapid.IntRange(0, 8).Draw(t, "step") {
			case 0, 1:
				next.goDown(id)
			case 2, 3:
				next.comeUp(id, false)
			case 4:
				_ = p.leadBy(next, id)
			case 5:
				_ = p.prefer(next)
			case 6:
				_ = p.takeAny(next)
			case 7:
				if p.moving() {
					p.cancel(next)
				}
				p.reassign(rapid.Permutation(next.ids(false)).Draw(t, "to")[:rapid.IntRange(1, int(n)).Draw(t, "so many")])
			case 8:
				if p.moving() {
					p.arrive(next)
				}
			}
			v = next
			checkView(t, v)
		}
	})
}

func checkView(t *rapid.T, v *view) {
	if v.controller >= 0 && !v.isUp(v.controller) || v.controller < 0 && len(v.ids(true)) > 0 {
		t.Fatalf("the controller is %d", v.controller)
	}
	v.places(func(p *seat) {
		state := fmt.Sprintf("%+v, of which %v run", *p, v.ids(true))
		switch {
		case len(p.isr) == 0 || len(p.replicas) == 0:
			t.Fatal("nobody is in sync: ", state)
		case p.leader >= 0 && (!v.isUp(p.leader) || !slices.Contains(p.isr, p.leader)):
			t.Fatal("who leads cannot: ", state)
		case p.leader < 0 && len(v.up(p.isr)) > 0:
			t.Fatal("nobody leads, and somebody could: ", state)
		case p.leader >= 0 && !p.moving() && len(v.up(p.replicas)) != len(p.isr):
			t.Fatal("somebody runs and is not in sync: ", state)
		}
		for i, id := range p.replicas {
			if slices.Contains(p.replicas[:i], id) {
				t.Fatal("twice: ", state)
			}
		}
		if len(without(p.isr, p.replicas)) > 0 {
			t.Fatal("who is in sync is no replica: ", state)
		}
		for _, rack := range []string{"", "a", "b", "c"} {
			if r := p.preferredReplica(v, rack); r >= 0 && (!v.isUp(r) || v.nodes[r].rack != rack || r == p.leader) {
				t.Fatalf("rack %q reads from %d: %s", rack, r, state)
			}
		}
	})
}
