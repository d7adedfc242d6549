package log

import (
	"errors"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// recoverProducers reads what is stored of the log's producers and brings it in line with
// the log as it was found. After power loss either may be ahead of the other: a state is
// put back to the log's end, and tail, the headers of the batches that were not fsynced,
// oldest first, is added where it is missing. A state that is damaged is made anew from the
// batches, or, without any, stays as it is if some were trimmed: see producerState. When one was used that is not known any more counts as used now, and as one with a
// name: it is remembered for long rather than forgotten early. What has changed is stored, before anything is appended that the old states would
// seem to speak of.
func (l *Log) recoverProducers(tail []Batch) error {
	now := time.Now().UnixMilli()
	changed := make(map[int64]bool)
	ahead := make(map[int64][]Batch) // of producers whose states were ahead: their batches, to be found
	err := l.st.Scan(store.ProducerRange(l.id), func(e store.Entry) (bool, error) {
		key, err := store.ParseProducerKey(e.Key)
		if err != nil {
			return false, err
		}
		s, err := readProducer(e)
		if errors.Is(err, ErrCorruptValue) {
			s, err = &producerState{epoch: -1, usedAt: now, named: true, damaged: true}, nil
		}
		if err != nil {
			return false, err
		}
		l.producers.setLocked(key.ID, s)
		if s.damaged || s.lastOffset() >= l.End() {
			ahead[key.ID] = nil
		}
		return true, nil
	})
	if err != nil {
		return l.wrap(err)
	}
	for _, b := range tail {
		id := b.ProducerID()
		if _, ok := ahead[id]; ok {
			continue
		}
		s := l.producers.known[id]
		if s == nil {
			s = &producerState{named: true}
			l.producers.setLocked(id, s)
		}
		if b.LastOffset() > s.lastOffset() {
			s.add(b)
			s.usedAt = now
			changed[id] = true
		}
	}
	if err := l.findProducers(ahead); err != nil {
		return err
	}
	for id, batches := range ahead {
		s := l.producers.known[id]
		s.cut(l.End())
		if len(batches) > len(s.recent) {
			s.rebuild(batches)
		}
		s.damaged = s.damaged && l.Start() > 0 // else all that it ever stored is there
		changed[id] = !s.damaged
		if len(s.recent) == 0 && !s.damaged {
			delete(l.producers.known, id)
		}
	}
	return l.storeProducers(changed)
}

func readProducer(e store.Entry) (*producerState, error) {
	value, err := e.AppendValue(nil)
	if err != nil {
		return nil, err
	}
	return decodeProducer(value)
}

// findProducers adds to found, for each producer that it names, the headers of its last
// batches in the log, newest first.
func (l *Log) findProducers(found map[int64][]Batch) error {
	missing := len(found)
	if missing == 0 {
		return nil
	}
	r := store.BatchRange(l.id, l.Start())
	r.Reverse = true
	var buf []byte
	err := l.st.Scan(r, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		if err != nil {
			return false, err
		}
		var env Envelope
		if env, buf, err = l.open(e, key, buf); err != nil {
			if errors.Is(err, ErrCorruptRecord) {
				return true, nil
			}
			return false, err
		}
		b := env.Batch()
		seen, ok := found[b.ProducerID()]
		if !ok || !b.Sequenced() || complete(seen) {
			return true, nil
		}
		seen = append(seen, b.header())
		found[b.ProducerID()] = seen
		if complete(seen) {
			missing--
		}
		return missing > 0, nil
	})
	return l.wrap(err)
}

// complete reports whether no older batch of the producer matters.
func complete(batches []Batch) bool {
	n := len(batches)
	return n == producerWindow || n > 0 && batches[n-1].BaseSequence() == 0
}

// rebuild makes the state that of a producer whose last batches are these, newest first. Of
// next only the sequence can be seen in them: in the same epoch it is the largest such number
// that is not above the old one.
func (s *producerState) rebuild(batches []Batch) {
	next, epoch := s.next, s.epoch
	s.epoch, s.next, s.recent = -1, 0, nil
	for i := len(batches) - 1; i >= 0; i-- {
		s.add(batches[i])
	}
	if s.epoch == epoch {
		s.next = next - int64(sequenceOf(next-s.next))
	}
}

// storeProducers writes the states of the producers that have changed, and removes those
// that are not known any more.
func (l *Log) storeProducers(changed map[int64]bool) error {
	step := l.st.Limits().Entries / 2
	var b store.Batch
	for id, whole := range changed {
		if !whole {
			continue
		}
		key := store.AppendProducerKey(nil, store.ProducerKey{PartitionID: l.id, ID: id})
		if s := l.producers.known[id]; s != nil {
			b.Set(key, s.append(nil))
		} else {
			b.Delete(key)
		}
		if b.Len() == step {
			if err := write(l.st, &b); err != nil {
				return l.wrap(err)
			}
			b.Reset()
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return l.wrap(write(l.st, &b))
}
