package writer

import (
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// commitGroup is the transactions of one store commit.
type commitGroup struct {
	txs   []*Tx // as they were taken
	batch store.Batch
	keys  []byte                         // the batch keys in batch
	folds []*fold                        // of this commit; the rest up to cap is for reuse
	last  *fold                          // of folds, the one begun last, while it gathers
	open  map[*partition.Partition]*fold // of folds, the others that gather
	began int64                          // ms since the epoch, once time was asked for
	bytes int                            // that the transactions asked for

	sequenced []*partition.Partition // that got batches of idempotent producers, or markers; some may be there twice

	staged []*Tx // of txs, those that could be
	synced []*Tx // of staged, those that wait for fsync
	told   []*Tx // whose Do is to be woken

	moments []func() // to be called when all of it is visible

	batches, records, stored int64 // staged; stored is in bytes
}

var commitGroups = sync.Pool{New: func() any { return &commitGroup{open: make(map[*partition.Partition]*fold)} }}

func newCommitGroup() *commitGroup { return commitGroups.Get().(*commitGroup) }

// release gives g back once nobody refers to it.
func (g *commitGroup) release() {
	g.batch.Reset()
	clear(g.txs)
	clear(g.sequenced)
	clear(g.staged)
	clear(g.synced)
	clear(g.told)
	*g = commitGroup{
		txs: g.txs[:0], batch: g.batch, keys: g.keys[:0], folds: g.folds[:0], open: g.open, sequenced: g.sequenced[:0],
		staged: g.staged[:0], synced: g.synced[:0], told: g.told[:0],
	}
	commitGroups.Put(g)
}

// time returns when the commit was staged, in ms since the epoch. Most commits do not ask.
func (g *commitGroup) time() int64 {
	if g.began == 0 {
		g.began = time.Now().UnixMilli()
	}
	return g.began
}

// count adds g to the statistics.
func (g *commitGroup) count(s *Stats) {
	s.Commits++
	s.Txs += int64(len(g.staged))
	s.Batches += g.batches
	s.Records += g.records
	s.Bytes += g.stored
}
