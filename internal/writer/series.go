package writer

import (
	"sync"

	"github.com/samsa-go/samsa/internal/store"
)

// Series is writes that belong together and may be more than one commit has room for: then they are stored in their order, by
// several transactions of which none takes effect when one before it has not. It is made, filled and submitted by one
// goroutine.
type Series struct {
	c     *Committer
	txs   []*Tx
	limit store.Limits
	done  func(error)

	mu   sync.Mutex // guards what follows
	left int
	err  error // the first
}

// seriesShare is which part of a commit one of several transactions takes, so that others have room beside it.
const seriesShare = 4

// NewSeries returns a series that writes nothing yet. Done is called once, on the committer's time, with the outcome: with an
// error some of the writes may be stored, the first ones.
func (c *Committer) NewSeries(done func(error)) *Series {
	limit := c.limits
	limit.Entries, limit.Bytes = max(1, limit.Entries/seriesShare), limit.Bytes/seriesShare
	s := &Series{c: c, limit: limit, done: done}
	s.add(nil)
	return s
}

// Set adds a write; a nil value is a deletion. Key and value belong to the series.
func (s *Series) Set(key, value []byte) {
	tx := s.txs[len(s.txs)-1]
	if n := tx.Writes.Len(); n > 0 && (n >= s.limit.Entries || tx.Writes.Bytes()+len(key)+len(value) > s.limit.Bytes) {
		tx = s.add(s.check)
	}
	if value == nil {
		tx.Writes.Delete(key)
	} else {
		tx.Writes.Set(key, value)
	}
}

// Several reports whether it is more than one transaction by now.
func (s *Series) Several() bool { return len(s.txs) > 1 }

// Begin adds a write to the first transaction: what whoever reads the store in between is to know.
func (s *Series) Begin(key, value []byte) { s.txs[0].Writes.Set(key, value) }

// Submit hands the series over. It does not block.
func (s *Series) Submit() {
	s.left = len(s.txs)
	for _, tx := range s.txs {
		s.c.Submit(tx)
	}
}

func (s *Series) add(check func() error) *Tx {
	tx := &Tx{Essential: true, Check: check, Done: s.end}
	s.txs = append(s.txs, tx)
	return tx
}

// check refuses what would come behind something that was not stored.
func (s *Series) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end is the end of one of the transactions.
func (s *Series) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.left--
	over, err := s.left == 0, s.err
	s.mu.Unlock()
	if over {
		s.done(err)
	}
}
