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
	play(t, w.url, "accessible")
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
	for name, opts := range map[string]console.Options{
		"opening": {}, "numbers": {}, "plain": {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opts)
			if name == "numbers" {
				w.produceUntil(t)
			}
			play(t, w.url, name)
		})
	}
}
