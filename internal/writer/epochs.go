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

// CutAndRaise removes the end of a partition's log from offset on, in whole batches, and begins the next leader epoch there, in one
// commit: what an unclean election does, for tests. Who reads behind the new end gets ErrOffsetOutOfRange. It goes ahead of appends, as
// none may be in the same commit.
func CutAndRaise(ctx context.Context, c *Committer, p *partition.Partition, offset int64) error {
	tx := &Tx{Essential: true, Ahead: true, Reserve: Reserve{Entries: c.limits.Entries / seriesShare, Bytes: c.limits.Bytes / seriesShare}}
	var cut log.Cut
	var next log.Epochs
	tx.Check = func() (err error) {
		if err := p.Err(); err != nil {
			return err
		}
		if cut, err = p.Log().PlanCut(&tx.Writes, offset); err == nil {
			next = p.Log().NextEpochAt(&tx.Writes, cut.End)
		}
		return err
	}
	tx.Begun = func() { p.Log().BeginEpoch(next) }
	tx.Stored = func() {
		p.Cut(cut)
		p.Log().SetEpochs(next)
	}
	return c.DoUntil(ctx, tx)
}
