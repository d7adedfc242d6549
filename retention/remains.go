package retention

import "github.com/samsa-go/samsa/log"

// remains knows, of what a pass has gone through, which producers have records there that it left in their
// transactions, and whose marker has not come yet. The marker of such a transaction stays: readers of an aborted
// one need it.
type remains struct {
	left    map[int64]bool // by producer; without one it is unknown that counts
	unknown bool           // a batch was left of which nobody knows the producer
}

// leave notes that sb stays as it is.
func (r *remains) leave(sb log.StoredBatch) {
	switch {
	case sb.Err != nil:
		r.unknown = true
		for id, left := range r.left {
			if !left {
				delete(r.left, id)
			}
		}
	case sb.Batch.Transactional():
		r.note(sb.Batch.ProducerID(), true)
	}
}

// end notes a marker of a producer, and reports whether records of the transaction that it ends may be left.
func (r *remains) end(producer int64) bool {
	left, known := r.left[producer]
	switch {
	case r.unknown:
		r.note(producer, false)
	case known:
		delete(r.left, producer)
	}
	return left || !known && r.unknown
}

func (r *remains) note(producer int64, left bool) {
	if r.left == nil {
		r.left = make(map[int64]bool)
	}
	r.left[producer] = left
}
