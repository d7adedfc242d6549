package browsertest

import (
	"flag"
	"testing"

	"github.com/samsa-go/samsa/console"
)

var photographs = flag.String("photographs", "", "take photographs of all pages into this directory")

func TestPagesAreAccessible(t *testing.T) {
	installed(t)
	w := newWorld(t, console.Options{Write: true})
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []string{"1200", "360"} {
			t.Run(scheme+" "+width, func(t *testing.T) { play(t, w.url, "accessible", scheme, width) })
		}
	}
}

func TestPhotographs(t *testing.T) {
	if *photographs == "" {
		t.Skip("without -photographs")
	}
	installed(t)
	w := newWorld(t, console.Options{Write: true})
	w.produceUntil(t)
	play(t, w.url, "photographs", *photographs)
}

// A story is played with a console of its own.
func TestStories(t *testing.T) {
	installed(t)
	for name, story := range map[string]struct {
		opts console.Options
		make func(t *testing.T, w *world)
	}{
		"opening":   {},
		"decoding":  {},
		"growing":   {make: func(t *testing.T, w *world) { w.produceUntil(t) }},
		"plain":     {},
		"numbers":   {make: func(t *testing.T, w *world) { w.produceUntil(t) }},
		"following": {make: func(t *testing.T, w *world) { w.produceUntil(t) }},
		"producing": {opts: console.Options{Write: true}},
		"faking":    {opts: console.Options{Write: true}},
		"mending":   {opts: console.Options{Write: true}},
		"searching": {make: func(t *testing.T, w *world) { w.many(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, story.opts)
			if story.make != nil {
				story.make(t, w)
			}
			play(t, w.url, name)
		})
	}
}
