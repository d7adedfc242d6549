package writer

import (
	"context"
	"slices"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// RaiseEpochs begins the next leader epoch in each of the partitions, none of which may be there twice: what is
// appended from then on is of it. Those of topics that are deleted stay as they are. When it returns nil the epochs are fsynced, and those that LeaderEpoch of their logs returns. After
// an error some may have risen.
func RaiseEpochs(ctx context.Context, c *Committer, ps []*partition.Partition) error {
	most := max(1, min(c.limits.Entries, c.limits.Bytes/log.MaxEpochsSize)/seriesShare)
	for len(ps) > 0 {
		n := min(most, len(ps))
		if err := raiseEpochs(ctx, c, ps[:n]); err != nil {
			return err
		}
		ps = ps[n:]
	}
	return nil
}

func raiseEpochs(ctx context.Context, c *Committer, ps []*partition.Partition) error {
	tx := &Tx{Essential: true, Synced: true, Reserve: Reserve{Entries: len(ps), Bytes: len(ps) * log.MaxEpochsSize}}
	var next []log.Epochs
	tx.Check = func() error {
		ps = slices.DeleteFunc(slices.Clone(ps), func(p *partition.Partition) bool { return p.Err() != nil })
		for _, p := range ps {
			next = append(next, p.Log().NextEpoch(&tx.Writes))
		}
		return nil
	}
	tx.Begun = func() {
		for i, p := range ps {
			p.Log().BeginEpoch(next[i])
		}
	}
	tx.Stored = func() {
		for i, p := range ps {
			p.Log().SetEpochs(next[i])
		}
	}
	return c.DoUntil(ctx, tx)
}
