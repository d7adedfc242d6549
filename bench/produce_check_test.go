package bench

import (
	"testing"
)

// TestPeersWrite lets every peer do a little of what the benchmarks measure, so that a
// broken one is noticed where only tests run.
func TestPeersWrite(t *testing.T) {
	for _, p := range peers {
		write, closeIt := p.open(t, t.TempDir())
		if err := write(records(100), 2500); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if err := closeIt(); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}
