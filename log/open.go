package log

import (
	"errors"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// OpenLog returns the log of a partition as it is in the store.
//
// It reads the log start offset, the newest batch key behind it, and what is stored of
// producers. The store has had all of that at one time, so nothing is compared or put right,
// and OpenLog writes nothing. It reads no batch: Read tells of one that is damaged, Damaged of
// producers. A log start offset that is damaged is ErrCorruptValue.
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
	return l, nil
}

// readProducers reads what is stored of the log's producers. The commit of a batch has the state
// that its producer has then, so they agree with the log. Of one whose state is damaged nobody
// knows when it was used, and whether it has a name: it counts as used now, and as one with a
// name, so that it is remembered for long rather than forgotten early.
func (l *Log) readProducers() error {
	now := time.Now().UnixMilli()
	return l.st.Scan(store.ProducerRange(l.id), func(e store.Entry) (bool, error) {
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
			s, err = &producerState{epoch: -1, usedAt: now, named: true, damaged: true}, nil
		}
		if err != nil {
			return false, err
		}
		l.producers.known[key.ID] = s
		return true, nil
	})
}
