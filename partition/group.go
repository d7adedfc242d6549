package partition

import (
	"sync"

	"github.com/samsa-go/samsa/internal/store"
)

// group is the transactions of one store commit.
type group struct {
	txs   []*Tx
	batch store.Batch
	keys  []byte // the batch keys in batch
	bytes int
	done  bool
	err   error
}

var groups = sync.Pool{New: func() any { return new(group) }}

func newGroup() *group { return groups.Get().(*group) }

// release gives g back once nobody refers to it.
func (g *group) release() {
	g.batch.Reset()
	clear(g.txs)
	*g = group{txs: g.txs[:0], batch: g.batch, keys: g.keys[:0]}
	groups.Put(g)
}

// count adds g to the statistics.
func (g *group) count(s *Stats) {
	s.Commits++
	s.Txs += int64(len(g.txs))
	for _, tx := range g.txs {
		s.Batches += int64(len(tx.Appends))
		for i := range tx.Appends {
			s.Records += int64(tx.Appends[i].Envelope.Batch().Records())
			s.Bytes += int64(len(tx.Appends[i].Envelope))
		}
	}
}
