package writer

import (
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// maxFoldBytes bounds a batch that is made of several.
const maxFoldBytes = 64 << 10

// fold gathers the small appends of one commit group to one partition, in order, to store them as
// one batch. A store pays for each entry much more than for a few hundred bytes: with a
// batch for each of 64 callers that append one record at a time, it spends most of its time
// on compacting its index.
type fold struct {
	partition *partition.Partition
	appends   []*Append
	size      int
	builder   log.Builder
	batch     log.Batch
}

// stage gives a its offsets and adds it to g, or leaves that to the fold of its partition.
func (g *commitGroup) stage(a *Append) {
	p := a.Partition
	a.AppendTime = -1
	if p.Rules().LogAppendTime && !a.Kept {
		a.AppendTime = g.time()
	}
	f := g.folding(p)
	if f != nil && (!a.Foldable || f.size+len(a.Batch) > min(maxFoldBytes, p.Rules().MaxMessageBytes)) {
		g.unfold(f)
		f = nil
	}
	if !a.Foldable {
		g.put(a)
		return
	}
	if f == nil {
		f = g.beginFold(p)
	}
	f.appends = append(f.appends, a)
	f.size += len(a.Batch)
}

// folding returns the fold that gathers for p, or nil. Most groups are of one partition, and cost the map nothing.
func (g *commitGroup) folding(p *partition.Partition) *fold {
	if g.last != nil && g.last.partition == p {
		return g.last
	}
	return g.open[p]
}

// beginFold returns an empty fold of g, for p.
func (g *commitGroup) beginFold(p *partition.Partition) *fold {
	n := len(g.folds)
	if n < cap(g.folds) {
		g.folds = g.folds[:n+1]
	} else {
		g.folds = append(g.folds, nil)
	}
	if g.folds[n] == nil {
		g.folds[n] = new(fold)
	}
	if g.last != nil {
		g.open[g.last.partition] = g.last
	}
	g.last = g.folds[n]
	g.last.partition = p
	return g.last
}

// seal stages what is still folded, and what the logs have learnt of producers and transactions.
func (g *commitGroup) seal() {
	for _, f := range g.folds {
		if f.partition != nil {
			g.unfold(f)
		}
	}
	for _, p := range g.sequenced {
		g.keys = p.Log().StageProducers(&g.batch, g.keys)
	}
}

// settle stages what is folded for partitions of which tx has batches that keep their offsets, or which it wants to be Settled.
func (g *commitGroup) settle(tx *Tx) {
	for _, p := range tx.Settled {
		if f := g.folding(p); f != nil {
			g.unfold(f)
		}
	}
	for i := range tx.Appends {
		if a := &tx.Appends[i]; a.Kept {
			if f := g.folding(a.Partition); f != nil {
				g.unfold(f)
			}
		}
	}
}

// unfold stages what f has gathered.
func (g *commitGroup) unfold(f *fold) {
	if f == g.last {
		g.last = nil
	} else {
		delete(g.open, f.partition)
	}
	if len(f.appends) == 1 || !f.join() {
		for _, a := range f.appends {
			g.put(a)
		}
	} else {
		staged := g.putBatch(f.partition, f.batch, f.appends[0].AppendTime)
		next := staged.BaseOffset
		for _, a := range f.appends {
			a.staged, a.stored, a.BaseOffset = staged, 0, next
			next += int64(a.Batch.Records())
		}
		f.appends[0].stored = len(f.batch)
	}
	clear(f.appends)
	f.partition, f.appends, f.size = nil, f.appends[:0], 0
}

// join makes one batch of the appends; false if one of them cannot be read.
func (f *fold) join() bool {
	f.builder.Reset()
	for _, a := range f.appends {
		if err := f.builder.AppendBatch(a.Batch); err != nil {
			return false
		}
	}
	batch, err := f.builder.Seal(f.batch[:0], log.CodecNone)
	if err != nil {
		return false
	}
	f.batch = batch
	return true
}

// put stages a as a batch of its own.
func (g *commitGroup) put(a *Append) {
	if a.Producer != nil {
		a.Partition.Log().Number(a.Batch, a.Producer.ID)
	}
	a.staged = g.putBatch(a.Partition, a.Batch, a.AppendTime)
	a.stored = len(a.Batch)
	a.BaseOffset = a.staged.BaseOffset
	if batch := a.Batch; batch.Sequenced() || batch.Control() {
		if n := len(g.sequenced); n == 0 || g.sequenced[n-1] != a.Partition {
			g.sequenced = append(g.sequenced, a.Partition)
		}
	}
}

// putBatch stages a batch, with its append time unless that is -1.
func (g *commitGroup) putBatch(p *partition.Partition, batch log.Batch, appendTime int64) log.Staged {
	if appendTime >= 0 {
		batch.StampAppendTime(appendTime)
	}
	var staged log.Staged
	var now int64
	if batch.AsksTime() {
		now = g.time()
	}
	staged, g.keys = p.Log().Stage(&g.batch, g.keys, batch, now)
	p.Staged(batch)
	g.batches++
	if !batch.Control() {
		g.records += int64(batch.Records())
	}
	g.stored += int64(len(batch))
	return staged
}
