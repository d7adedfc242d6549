package write

import (
	"context"
	"sync"

	"github.com/samsa-go/samsa/log"
)

// strays are calls of one record that nobody waits for any more, though they may still be stored. Later calls to their partitions wait for them, so that
// they are not stored behind those. Of one producer that is so by itself.
type strays struct {
	mu   sync.Mutex // guards what follows
	left map[stray]int
	gone chan struct{} // closed when one has ended; nil while nobody waits
}

type stray struct {
	p  *producer
	tp log.TopicPartition
}

// add notes that nobody waits for a call any more.
func (s *strays) add(p *producer, tp log.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == nil {
		s.left = make(map[stray]int)
	}
	s.left[stray{p, tp}]++
}

// end notes that one of those is stored, or will not be.
func (s *strays) end(p *producer, tp log.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := stray{p, tp}
	if s.left[k]--; s.left[k] > 0 {
		return
	}
	delete(s.left, k)
	if s.gone != nil {
		close(s.gone)
		s.gone = nil
	}
}

// await waits until no stray of another producer than p goes to a partition of records, or ctx ends.
func (s *strays) await(ctx context.Context, p *producer, records []log.Record) error {
	for {
		gone := s.awaited(p, records)
		if gone == nil {
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaited returns what is closed when a stray has ended, nil if none is to be waited for.
func (s *strays) awaited(p *producer, records []log.Record) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.left {
		for i := range records {
			if k.p != p && k.tp.Topic == records[i].Topic && k.tp.Partition == records[i].Partition {
				if s.gone == nil {
					s.gone = make(chan struct{})
				}
				return s.gone
			}
		}
	}
	return nil
}
