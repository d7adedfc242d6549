package log

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/internal/store"
)

// producers is what a log knows of its idempotent producers. The log's writer changes it;
// others read.
type producers struct {
	mu    sync.Mutex // guards what follows
	known map[int64]*producerState
	fresh []int64 // noted since the last StageProducers; the writer's
}

// Sequenced reports whether the batch is of an idempotent producer: it has its id, epoch
// and sequence.
func (b Batch) Sequenced() bool { return b.ProducerID() >= 0 && b.BaseSequence() >= 0 }

// CheckProducer tells whether b, which is Sequenced, may be staged now. A duplicateOf that
// is not -1 says that it is staged or stored already, with that base offset, and must not
// be staged again. Errors are ErrOutOfOrderSequence, for a gap or for an older batch than
// the last five, and ErrProducerFenced, for an epoch that has passed. As with Kafka, a
// producer that the log does not know, or does not know any more, may begin with any sequence.
// It is for the log's writer.
func (l *Log) CheckProducer(b Batch) (duplicateOf int64, err error) {
	s := l.producers.known[b.ProducerID()]
	if s == nil {
		return -1, nil
	}
	duplicateOf, err = s.check(b)
	return duplicateOf, l.wrap(err)
}

// Number makes b the next batch of a producer, in epoch 0. It computes the CRC again, which
// reads the whole batch. It is for the log's writer, just before Stage.
func (l *Log) Number(b Batch, producer int64) {
	next := int64(0)
	if s := l.producers.known[producer]; s != nil {
		next = s.next
	}
	b.SetProducer(producer, 0, sequenceOf(next))
}

// NoteProducer remembers b, which was staged and is Sequenced, as its producer's last
// batch; nowMs is the time in ms since the epoch. named is that of a producer with a name,
// which is remembered for longer. It is for the log's writer.
func (l *Log) NoteProducer(b Batch, nowMs int64, named bool) {
	ps, id := &l.producers, b.ProducerID()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	s := ps.known[id]
	if s == nil {
		s = &producerState{}
		ps.known[id] = s
	}
	s.add(b)
	s.usedAt, s.named = nowMs, s.named || named
	if !slices.Contains(ps.fresh, id) {
		ps.fresh = append(ps.fresh, id)
	}
}

// StageProducers adds what NoteProducer has noted since the last call to b, which holds the
// batches. Keys and values are appended to keys, which is returned and belongs to b.
func (l *Log) StageProducers(b *store.Batch, keys []byte) []byte {
	ps := &l.producers
	for _, id := range ps.fresh {
		at := len(keys)
		keys = store.AppendProducerKey(keys, store.ProducerKey{PartitionID: l.id, ID: id})
		value := len(keys)
		keys = ps.known[id].append(keys)
		b.Set(keys[at:value:value], keys[value:len(keys):len(keys)])
	}
	ps.fresh = ps.fresh[:0]
	return keys
}

// StoredOf returns how many records of a producer, in its present epoch, the log has or
// had: the number of its next one. Those that are staged count.
func (l *Log) StoredOf(producer int64) int64 {
	l.producers.mu.Lock()
	defer l.producers.mu.Unlock()
	if s := l.producers.known[producer]; s != nil {
		return s.next
	}
	return 0
}

// ProducerErr returns ErrCorruptValue when nobody can tell any more how far the producer has got:
// what StoredOf says is not true then.
func (l *Log) ProducerErr(producer int64) error {
	l.producers.mu.Lock()
	defer l.producers.mu.Unlock()
	if s := l.producers.known[producer]; s != nil && s.damaged {
		return fmt.Errorf("%s: producer %d: %w", l.tp, producer, errProducerState)
	}
	return nil
}

// Damaged returns what OpenLog has found damaged: each is an ErrCorruptValue.
func (l *Log) Damaged() []error {
	var all []error
	for _, info := range l.Producers() {
		if err := l.ProducerErr(info.ID); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// ProducerInfo is what a log knows of an idempotent producer, for Kafka's DescribeProducers.
type ProducerInfo struct {
	ID           int64
	Epoch        int16
	LastSequence int32
	UsedAt       int64 // of the last append, ms since the epoch
	Named        bool
}

// Producers returns what is known of the log's producers, by id.
func (l *Log) Producers() []ProducerInfo {
	ps := &l.producers
	ps.mu.Lock()
	defer ps.mu.Unlock()
	infos := make([]ProducerInfo, 0, len(ps.known))
	for id, s := range ps.known {
		infos = append(infos, ProducerInfo{ID: id, Epoch: s.epoch, LastSequence: sequenceOf(s.next - 1), UsedAt: s.usedAt, Named: s.named})
	}
	slices.SortFunc(infos, func(a, b ProducerInfo) int { return cmp.Compare(a.ID, b.ID) })
	return infos
}

// ForgetProducer removes a producer, as the store has it no more, if it was not used since
// usedAt; else it reports false. It is for the log's writer.
func (l *Log) ForgetProducer(id, usedAt int64) bool {
	ps := &l.producers
	ps.mu.Lock()
	defer ps.mu.Unlock()
	s := ps.known[id]
	if s == nil || s.usedAt != usedAt {
		return false
	}
	delete(ps.known, id)
	return true
}

// UnusedSince reports whether the log knows the producer and it was not used since. It is
// for the log's writer.
func (l *Log) UnusedSince(id, usedAt int64) bool {
	s := l.producers.known[id]
	return s != nil && s.usedAt == usedAt
}
