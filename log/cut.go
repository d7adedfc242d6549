package log

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
)

// Cut is what is left of a log whose end is removed.
type Cut struct {
	End       int64 // of the log, where a batch began
	producers map[int64]*producerState
}

// MaxCutEntries bounds what a Cut may remove, in keys of the store.
const MaxCutEntries = 10_000

var (
	errCutOpen   = fmt.Errorf("%w: a transaction is open", ErrInvalidTxnState)
	errCutStaged = errors.New("something is on its way into the store")
)

// PlanCut adds to b the removal of the batches from the one that holds offset on, and of what is known of producers and aborted
// transactions by them. It is for tests, which stage what an unclean election does to a log; and for the log's writer, with nothing
// staged: it calls ApplyCut when b is stored. It is not for a store on disk, whose index could not be made anew.
func (l *Log) PlanCut(b *store.Batch, offset int64) (Cut, error) {
	switch {
	case offset < l.Start() || offset > l.End():
		return Cut{}, l.outOfRange(offset)
	case l.next != l.End():
		return Cut{}, l.wrap(errCutStaged)
	case len(l.producers.open) > 0:
		return Cut{}, l.wrap(errCutOpen)
	}
	cut := Cut{End: l.End(), producers: make(map[int64]*producerState)}
	remove := func(e store.Entry) (bool, error) {
		if b.Len() >= MaxCutEntries {
			return false, fmt.Errorf("%w: more than %d batches", ErrTxTooLarge, MaxCutEntries)
		}
		b.Delete(append([]byte(nil), e.Key...))
		return true, nil
	}
	err := l.st.Scan(store.BatchRange(l.id, offset), func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		if err == nil && cut.End == l.End() {
			var batch Batch
			if batch, err = l.open(e, key, nil); err == nil {
				cut.End = max(batch.BaseOffset(), l.Start())
			}
		}
		if err != nil {
			return false, err
		}
		return remove(e)
	})
	if err == nil {
		err = l.st.Scan(store.AbortedRange(l.id, cut.End), remove)
	}
	if err != nil {
		return Cut{}, l.wrap(err)
	}
	for id, s := range l.producers.known {
		if left, rewound := s.before(cut.End); rewound {
			cut.producers[id] = left
			key := store.AppendProducerKey(nil, store.ProducerKey{PartitionID: l.id, ID: id})
			if left == nil {
				b.Delete(key)
			} else {
				b.Set(key, left.append(nil))
			}
		}
	}
	return cut, nil
}

// before returns the state without the batches from offset end on, nil if nothing is left, and whether it had any.
func (s *producerState) before(end int64) (left *producerState, rewound bool) {
	rest := *s
	for n := len(rest.recent); n > 0 && rest.recent[n-1].lastOffset >= end; n-- {
		rest.next -= rest.recent[n-1].records()
		rest.recent = rest.recent[: n-1 : n-1]
		rewound = true
	}
	if len(rest.recent) == 0 || rest.next < 0 {
		return nil, rewound
	}
	return &rest, rewound
}

// ApplyCut makes a cut, which is stored, that of the log: what is staged next begins at its end.
func (l *Log) ApplyCut(c Cut) {
	l.forgotten.Add(1)
	l.producers.mu.Lock()
	for id, s := range c.producers {
		if s == nil {
			delete(l.producers.known, id)
		} else {
			l.producers.known[id] = s
		}
	}
	l.producers.mu.Unlock()
	l.next = c.End
	l.stable.Store(c.End)
	l.end.Store(c.End)
}
