//go:build !race

// Under the race detector values are moved in a pause of the committer (see internal/store), and
// sweeps take several times as long as they do: how far the directory grows meanwhile says nothing.

package e2e

import "testing"

// Under constant load the directory stays small, and after it is down to what is alive.
func TestRetentionGivesSpaceBack(t *testing.T) {
	total := int64(long(t, "WRITTEN_MB", 256)) << 20
	keep := total / 4
	res := steady{total: total, keep: keep, retention: true}.run(t)
	t.Logf("peak %d MiB, at the end %d MiB, removed %+v in %s", res.peak>>20, res.last>>20, res.removed, res.took)
	// An eighth is in batches of one record, which the index keeps too (docs/retention.md).
	if limit := int64(keep*3/2 + keep/8*3/2 + 128e6); res.peak > limit {
		t.Errorf("the directory had %d MiB, more than %d", res.peak>>20, limit>>20)
	}
	if limit := int64(keep*6/5 + 64e6); res.last > limit {
		t.Errorf("the directory has %d MiB at the end, more than %d", res.last>>20, limit>>20)
	}
	if res.removed.Bytes < total-2*keep {
		t.Errorf("removed %+v", res.removed)
	}
}
