package epochs

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

func TestNext(t *testing.T) {
	at := func(epoch, previous int32, state State, assigned, revoking map[string]int32) Current[string] {
		return Current[string]{Epoch: epoch, Previous: previous, State: state, Assigned: assigned, Revoking: revoking}
	}
	type m = map[string]int32
	taken := func(t string) bool { return t == "taken" }
	for name, tt := range map[string]struct {
		from Current[string]
		step Step[string]
		want Current[string]
	}{
		"a new one gets what is free": {Current[string]{}, Step[string]{Target: SetOf("a", "b"), AsOf: 3, Owned: SetOf[string]()},
			at(3, 0, Stable, m{"a": 3, "b": 3}, nil)},
		"and waits for the rest": {Current[string]{}, Step[string]{Target: SetOf("a", "taken"), AsOf: 3, Owned: SetOf[string]()},
			at(3, 0, Unreleased, m{"a": 3}, nil)},
		"it is given up": {at(3, 2, Unreleased, m{"a": 3}, nil), Step[string]{Target: SetOf("a", "b"), AsOf: 3},
			at(3, 3, Stable, m{"a": 3, "b": 3}, nil)},
		"nothing to do": {at(3, 2, Stable, m{"a": 3}, nil), Step[string]{Target: SetOf("a"), AsOf: 3},
			at(3, 2, Stable, m{"a": 3}, nil)},
		"it is to give up": {at(3, 2, Stable, m{"a": 3, "b": 2}, nil), Step[string]{Target: SetOf("b", "c"), AsOf: 4},
			at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3})},
		"it says nothing": {at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3}), Step[string]{Target: SetOf("b", "c"), AsOf: 4},
			at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3})},
		"it still has it": {at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3}), Step[string]{Target: SetOf("b", "c"), AsOf: 4, Owned: SetOf("a", "b")},
			at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3})},
		"it has given up": {at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3}), Step[string]{Target: SetOf("b", "c"), AsOf: 4, Owned: SetOf("b")},
			at(4, 3, Stable, m{"b": 2, "c": 4}, nil)},
		"it gets back what it gave up": {at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3}), Step[string]{Target: SetOf("b", "a"), AsOf: 5, Owned: SetOf("b")},
			at(5, 3, Stable, m{"b": 2, "a": 5}, nil)},
		"it never had it": {at(3, 2, Stable, m{"a": 3, "b": 2}, nil), Step[string]{Target: SetOf("b"), AsOf: 4, Owned: SetOf("b")},
			at(4, 3, Stable, m{"b": 2}, nil)},
		"it wants less, before the target knows": {at(3, 2, Stable, m{"a": 3, "b": 2}, nil),
			Step[string]{Target: SetOf("a", "b"), AsOf: 3, Changed: true, Wanted: func(t string) bool { return t == "b" }},
			at(3, 3, Unrevoked, m{"b": 2}, m{"a": 3})},
		"less still while it gives up": {at(3, 3, Unrevoked, m{"b": 2, "c": 2}, m{"a": 3}),
			Step[string]{Target: SetOf("b", "c"), AsOf: 4, Changed: true, Owned: SetOf("a", "b", "c"), Wanted: func(t string) bool { return t == "c" }},
			at(3, 3, Unrevoked, m{"c": 2}, m{"a": 3, "b": 2})},
		"the target has what it wants no more": {at(3, 2, Stable, m{"a": 3}, nil),
			Step[string]{Target: SetOf("a", "b"), AsOf: 4, Wanted: func(t string) bool { return t == "a" }},
			at(4, 3, Stable, m{"a": 3}, nil)},
	} {
		tt.step.Taken = taken
		if got := tt.from.Next(tt.step); !got.Equal(tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestChecks(t *testing.T) {
	c := Current[string]{Epoch: 7, Previous: 5, State: Unrevoked, Assigned: map[string]int32{"a": 4, "b": 7}, Revoking: map[string]int32{"c": 5}}
	for _, tt := range []struct {
		epoch int32
		owned Set[string]
		fine  bool
	}{
		{0, nil, true}, {7, nil, true}, {8, nil, false}, {6, SetOf("a"), false}, {5, nil, false},
		{5, SetOf[string](), true}, {5, SetOf("a", "b"), true}, {5, SetOf("c"), false},
	} {
		if err := c.Check(tt.epoch, tt.owned); (err == nil) != tt.fine || err != nil && !errors.Is(err, log.ErrFencedMemberEpoch) {
			t.Errorf("epoch %d, owns %v: %v", tt.epoch, tt.owned, err)
		}
	}
	for _, tt := range []struct {
		epoch int32
		what  string
		fine  bool
	}{
		{7, "z", true}, {8, "a", false}, {6, "a", true}, {4, "a", true}, {3, "a", false}, {6, "b", false}, {5, "c", true}, {6, "z", false},
	} {
		if err := c.CheckCommit(tt.epoch, tt.what); (err == nil) != tt.fine || err != nil && !errors.Is(err, log.ErrStaleMemberEpoch) {
			t.Errorf("commit in %d for %s: %v", tt.epoch, tt.what, err)
		}
	}
	away := c.Away()
	if away.Epoch != AwayEpoch || len(away.Revoking) > 0 || !maps.Equal(away.Assigned, map[string]int32{"a": 0, "b": 0}) {
		t.Errorf("away it is %+v", away)
	}
	if !c.ReconciledTo(7) == (c.State == Stable) || !(Current[string]{Epoch: 3}).ReconciledTo(3) {
		t.Error("who is reconciled is not")
	}
}

// Whatever the targets are and whoever says what when, no two have the same; when targets stay, all come to have them.
func TestNobodyHasWhatAnotherHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const members, things = 3, 5
		var now [members]Current[int]
		var has [members]Set[int] // what they really have
		var target [members]Set[int]
		epoch := int32(0)
		heartbeat := func(i int, says bool) {
			s := Step[int]{Target: target[i], AsOf: epoch, Taken: func(thing int) bool {
				for j := range now {
					if _, held := now[j].Held(thing); held && j != i {
						return true
					}
				}
				return false
			}}
			if says {
				s.Owned = maps.Clone(has[i])
			}
			now[i] = now[i].Next(s)
			if !says {
				return
			}
			for thing := range has[i] { // it does as it is told at once
				if _, ok := now[i].Assigned[thing]; !ok {
					delete(has[i], thing)
				}
			}
			for thing := range now[i].Assigned {
				has[i][thing] = struct{}{}
			}
		}
		for i := range has {
			has[i], target[i] = SetOf[int](), SetOf[int]()
		}
		draw := func() {
			epoch++
			for i := range target {
				target[i] = SetOf[int]()
			}
			for thing := range things {
				if i := rapid.IntRange(-1, members-1).Draw(t, fmt.Sprint("who gets ", thing)); i >= 0 {
					target[i][thing] = struct{}{}
				}
			}
		}
		alone := func() {
			for i := range has {
				for j := range i {
					for thing := range has[i] {
						if _, ok := has[j][thing]; ok {
							t.Fatalf("%d and %d have %d", i, j, thing)
						}
					}
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "what") == 0 {
				draw()
			}
			heartbeat(rapid.IntRange(0, members-1).Draw(t, "who"), rapid.Bool().Draw(t, "says"))
			alone()
		}
		for range 4 {
			for i := range now {
				heartbeat(i, true)
				alone()
			}
		}
		for i := range now {
			if !now[i].ReconciledTo(epoch) || !maps.Equal(has[i], target[i]) {
				t.Fatalf("%d has %v, and is %+v, want %v as of %d", i, has[i], now[i], target[i], epoch)
			}
		}
	})
}
