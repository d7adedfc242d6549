package log

import (
	"errors"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// OpenLog returns the log of a partition as it is in the store.
//
// It reads the log start offset, the newest batch key behind it, and what is stored of
// producers and leader epochs. The store has had all of that at one time, so nothing is compared or put right,
// and OpenLog writes nothing. Read tells of batches that are damaged, Damaged of all else. It reads
// batches, their headers, only if a producer's state or the epochs are damaged. A log start offset that is damaged is ErrCorruptValue.
//
// No commit may be in flight that concerns the partition.
func OpenLog(st store.Store, id store.PartitionID, tp TopicPartition) (*Log, error) {
	l := NewLog(st, id, tp)
	start, err := l.readStart()
	if err != nil {
		return nil, err
	}
	end := start
	newest := store.BatchRange(id, start)
	newest.Reverse, newest.KeysOnly = true, true
	err = st.Scan(newest, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		end = max(end, key.LastOffset+1)
		return false, err
	})
	if err != nil {
		return nil, l.wrap(err)
	}
	l.start.Store(start)
	l.end.Store(end)
	l.next = end
	if err := l.readProducers(); err != nil {
		return nil, l.wrap(err)
	}
	if err := l.readEpochs(); err != nil {
		return nil, err
	}
	return l, nil
}

// readProducers reads what is stored of the log's producers. The commit of a batch has the state
// that its producer has then, so they agree with the log. Of one whose state is damaged nobody
// knows when it was used, and whether it has a name: it counts as used now, and as one with a
// name, so that it is remembered for long rather than forgotten early.
func (l *Log) readProducers() error {
	now := time.Now().UnixMilli()
	ps, damaged := &l.producers, false
	err := l.st.Scan(store.ProducerRange(l.id), func(e store.Entry) (bool, error) {
		key, err := store.ParseProducerKey(e.Key)
		if err != nil {
			return false, err
		}
		value, err := e.AppendValue(nil)
		var s *producerState
		if err == nil {
			s, err = decodeProducer(value)
		}
		if errors.Is(err, ErrCorruptValue) {
			s, err = &producerState{epoch: -1, usedAt: now, named: true, damaged: true, open: -1}, nil
			damaged = true
		}
		if err != nil {
			return false, err
		}
		s.usedAt = min(s.usedAt, now) // the clock was ahead
		ps.known[key.ID] = s
		return true, nil
	})
	if err == nil && damaged {
		err = l.findOpen()
	}
	if err != nil {
		return err
	}
	for _, s := range ps.known {
		if s.open >= 0 {
			ps.open = append(ps.open, s.open)
		}
	}
	slices.Sort(ps.open)
	l.stable.Store(ps.stable(l.next))
	return nil
}

// findOpen finds the transactions of producers whose state is damaged that are open, in the log: else what was
// not committed would be read as if it were.
func (l *Log) findOpen() error {
	var head []byte
	return l.scan(ReadUncommitted, l.Start(), false, func(e store.Entry, key store.BatchKey) (bool, error) {
		var err error
		head, err = e.AppendHead(head[:0], BatchHeaderSize)
		if store.Lost(err) || err == nil && len(head) < BatchHeaderSize {
			return true, nil // Read tells of it
		}
		if err != nil {
			return false, err
		}
		b := Batch(head)
		s := l.producers.known[b.ProducerID()]
		switch {
		case s == nil || !s.damaged:
		case b.Control():
			s.open = -1
		case s.open < 0 && b.Transactional():
			s.open = key.LastOffset - int64(b.lastOffsetDelta())
		}
		return true, nil
	})
}
