package topic

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Who follows the catalogue learns of what has changed since, and of nothing else.
func TestChanges(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("before", 1)
		place := h.Changes()
		next := func() string {
			var names []string
			for tp, gone := place.Next(); tp != nil; tp, gone = place.Next() {
				word := fmt.Sprintf("%s:%d", tp.Name(), len(tp.Partitions()))
				if gone {
					word += " gone"
				}
				names = append(names, word)
			}
			return strings.Join(names, ", ")
		}
		if got := next(); got != "" {
			t.Errorf("nothing has changed: %s", got)
		}
		h.create("a", 1)
		h.create("b", 2)
		if got := next(); got != "a:1, b:2" {
			t.Errorf("got %s", got)
		}
		behind := place
		grow := func(c *Config) error { c.Partitions = 3; return nil }
		if err := h.Change(ctx, "b", grow); err != nil {
			t.Fatal(err)
		}
		if err := h.Delete(ctx, "before"); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != "b:3, before:1 gone" {
			t.Errorf("got %s", got)
		}
		place = behind
		if got := next(); got != "b:3, before:1 gone" {
			t.Errorf("from the same place: %s", got)
		}
	})
}

// holds is a Holder that notes what it is told.
type holds []string

func (h *holds) Forget(t *Topic) { *h = append(*h, t.Name()) }

// Those who keep something of a topic are told that it is deleted; nobody else is.
func TestHolders(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		var one, other holds
		a, b := h.create("a", 1), h.create("b", 1)
		for _, ok := range []bool{a.Hold(&one), a.Hold(&one), a.Hold(&other), b.Hold(&one)} {
			if !ok {
				t.Error("Hold: the topic is there")
			}
		}
		a.Release(&other)
		if err := h.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one, holds{"a"}) || other != nil {
			t.Errorf("told %v, %v", one, other)
		}
		if a.Hold(&other) || !b.Hold(&other) {
			t.Error("only the deleted topic cannot be held")
		}
	})
}

// Creating and deleting a topic costs the same however many others there are: nobody looks at
// their names.
func TestCreateLooksAtNoOtherTopic(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		added := 0
		allocs := func(others int) float64 {
			for ; added < others; added++ {
				h.create(fmt.Sprintf("it.has.dots.%d", added), 1) // to look at one of these allocates
			}
			return testing.AllocsPerRun(50, func() {
				h.create("a.new.one", 1)
				if err := h.Delete(ctx, "a.new.one"); err != nil {
					t.Fatal(err)
				}
			})
		}
		few, many := allocs(10), allocs(1000)
		if many > few+20 {
			t.Errorf("%.0f allocations beside 10 topics, %.0f beside 1000", few, many)
		}
	})
}

// List sorts what has changed since it was called last, and nothing else.
func TestListIsKept(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("b", 1)
		h.create("a", 1)
		first := h.List()
		if n := testing.AllocsPerRun(10, func() { h.List() }); n > 0 {
			t.Errorf("%.0f allocations for a list that has not changed", n)
		}
		h.create("c", 1)
		if got := h.names(); got != "a:1 b:1 c:1" || len(first) != 2 {
			t.Errorf("got %s, and before %d", got, len(first))
		}
		if err := h.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if got := h.names(); got != "b:1 c:1" || first[0].Name() != "a" {
			t.Errorf("got %s", got)
		}
	})
}
