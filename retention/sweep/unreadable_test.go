package sweep

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/topic"
)

// A partition that cannot be read is told of, and keeps no other one from its sweep.
func TestSweepPassesOverWhatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		config topic.Config
		want   int64 // records that go, of each partition
	}{
		"compacted": {topic.Config{Partitions: 2, CleanupPolicy: topic.Compact}, 1},
		"sized":     {topic.Config{Partitions: 2, RetentionBytes: 1}, 2},
	} {
		k := begin(t)
		k.create(name, c.config)
		for i := range int32(2) {
			k.put(name, i, "a", "b", "c") // the newest batch is never compacted
		}
		bad := store.BatchRange(k.partition(name, 0).Log().ID(), 0)
		k.st.bad = &bad
		if _, err := k.Sweeper.sweep(k.ctx, true); !errors.Is(err, store.ErrIO) {
			t.Errorf("%s: swept what cannot be read: %v", name, err)
		}
		k.st.bad = nil
		if n := k.stats().Removed.Records; n != c.want {
			t.Errorf("%s: %d records removed of what can be read, want %d", name, n, c.want)
		}
		k.sweep(true)
		if n := k.stats().Removed.Records; n != 2*c.want {
			t.Errorf("%s: %d records removed in all, want %d", name, n, 2*c.want)
		}
	}
}
