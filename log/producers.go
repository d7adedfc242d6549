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
	mu    sync.Mutex // guards known
	known map[int64]*producerState

	// The writer's.
	fresh   []int64     // noted since the last StageProducers
	aborted []AbortedTx // since then, too
	open    []int64     // where the transactions begin that are open, in order
}

// Sequenced reports whether the batch is of an idempotent producer: it has its id, epoch
// and sequence.
func (b Batch) Sequenced() bool { return b.ProducerID() >= 0 && b.BaseSequence() >= 0 }

// CheckProducer tells whether b, which is Sequenced, may be staged now. A duplicateOf that
// is not -1 says that it is staged or stored already, with that base offset, and must not
// be staged again. Errors are ErrOutOfOrderSequence, for a gap or for an older batch than
// the last five, and ErrProducerFenced, for an epoch that has passed. As with Kafka, a
// producer that the log does not know, or does not know any more, may begin with any sequence.
// A batch outside of the transaction that its producer has open is ErrInvalidTxnState; one that begins
// a transaction may always. It is for the log's writer.
func (l *Log) CheckProducer(b Batch) (duplicateOf int64, err error) {
	s := l.producers.known[b.ProducerID()]
	if s == nil {
		return -1, nil
	}
	duplicateOf, err = s.check(b)
	return duplicateOf, l.wrap(err)
}

// CheckMarker tells whether b, a batch of Marker, may be staged now. One of an epoch that has passed is
// ErrProducerFenced, and a batch that is no marker ErrCorruptRecord. A producer need not have a transaction
// open, and one that the log does not know is known from then on. It is for the log's writer.
func (l *Log) CheckMarker(b Batch) error {
	if _, err := b.Outcome(); err != nil {
		return l.wrap(err)
	}
	if s := l.producers.known[b.ProducerID()]; s != nil {
		return l.wrap(s.checkMarker(b))
	}
	return nil
}

// Number makes b the next batch of a producer with a name, which is remembered for longer than others, in epoch 0. It
// computes the CRC again, which reads the whole batch. It is for the log's writer, just before Stage.
func (l *Log) Number(b Batch, producer int64) {
	l.producers.mu.Lock()
	s := l.producers.of(producer)
	s.named = true
	l.producers.mu.Unlock()
	b.SetProducer(producer, 0, sequenceOf(s.next))
}

// of returns what is known of a producer, from now on if it was nothing. The caller holds mu.
func (ps *producers) of(id int64) *producerState {
	s := ps.known[id]
	if s == nil {
		s = &producerState{open: -1}
		ps.known[id] = s
	}
	return s
}

// note remembers b, which is in its place and Sequenced or a marker, as its producer's last batch; nowMs is
// the time in ms since the epoch.
func (ps *producers) note(b Batch, nowMs int64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	id := b.ProducerID()
	s := ps.of(id)
	was := s.open
	if b.Control() {
		ps.end(s, b)
	} else if s.add(b); was < 0 && s.open >= 0 {
		ps.open = append(ps.open, s.open)
	}
	s.usedAt = nowMs
	if !slices.Contains(ps.fresh, id) {
		ps.fresh = append(ps.fresh, id)
	}
}

// end notes the marker b of the producer whose state is s.
func (ps *producers) end(s *producerState, b Batch) {
	first := s.open
	s.end(b.ProducerEpoch())
	if first < 0 {
		return
	}
	if at, found := slices.BinarySearch(ps.open, first); found {
		ps.open = slices.Delete(ps.open, at, at+1)
	}
	if commit, err := b.Outcome(); !commit && err == nil {
		tx := AbortedTx{ProducerID: b.ProducerID(), First: first, Last: b.LastOffset()}
		tx.stable = ps.stable(tx.Last + 1)
		ps.aborted = append(ps.aborted, tx)
	}
}

// stable returns the last stable offset of a log that ends at end.
func (ps *producers) stable(end int64) int64 {
	if len(ps.open) > 0 {
		return ps.open[0]
	}
	return end
}

// StageProducers adds to b, which holds the batches, what Stage has noted since the last call: what is known of
// producers, and transactions that were aborted. Keys and values are appended to keys, which is returned and
// belongs to b.
func (l *Log) StageProducers(b *store.Batch, keys []byte) []byte {
	ps := &l.producers
	for _, id := range ps.fresh {
		at := len(keys)
		keys = store.AppendProducerKey(keys, store.ProducerKey{PartitionID: l.id, ID: id})
		value := len(keys)
		keys = ps.known[id].append(keys)
		b.Set(keys[at:value:value], keys[value:len(keys):len(keys)])
	}
	for _, tx := range ps.aborted {
		at := len(keys)
		keys = store.AppendAbortedKey(keys, store.AbortedKey{PartitionID: l.id, Marker: tx.Last})
		value := len(keys)
		keys = tx.append(keys)
		b.Set(keys[at:value:value], keys[value:len(keys):len(keys)])
	}
	ps.fresh, ps.aborted = ps.fresh[:0], ps.aborted[:0]
	return keys
}

// OpenSince returns the first offset of the transaction that a producer has open, -1 for none. What is staged counts.
func (l *Log) OpenSince(producer int64) int64 {
	l.producers.mu.Lock()
	defer l.producers.mu.Unlock()
	if s := l.producers.known[producer]; s != nil {
		return s.open
	}
	return -1
}

// EpochOf returns the epoch of a producer, -1 if it is not known or damaged. What is staged counts.
func (l *Log) EpochOf(producer int64) int16 {
	l.producers.mu.Lock()
	defer l.producers.mu.Unlock()
	if s := l.producers.known[producer]; s != nil {
		return s.epoch
	}
	return -1
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

// Damaged returns what is damaged of what OpenLog has read, and of the aborted transactions: each is an ErrCorruptValue.
func (l *Log) Damaged() []error {
	var all []error
	if l.epochsErr != nil {
		all = append(all, l.epochsErr)
	}
	for _, info := range l.Producers() {
		if err := l.ProducerErr(info.ID); err != nil {
			all = append(all, err)
		}
	}
	err := l.scanAborted(l.Start(), func(_ AbortedTx, err error) (bool, error) {
		if err != nil {
			all = append(all, l.wrap(err))
		}
		return true, nil
	})
	if err != nil {
		all = append(all, l.wrap(err))
	}
	return all
}

// ProducerInfo is what a log knows of an idempotent producer, for Kafka's DescribeProducers.
type ProducerInfo struct {
	ID           int64
	Epoch        int16
	LastSequence int32 // -1 for none in this epoch
	UsedAt       int64 // of the last append, ms since the epoch
	Named        bool
	OpenSince    int64 // first offset of the transaction that is open, -1 for none
}

// Producers returns what is known of the log's producers, by id.
func (l *Log) Producers() []ProducerInfo {
	ps := &l.producers
	ps.mu.Lock()
	defer ps.mu.Unlock()
	infos := make([]ProducerInfo, 0, len(ps.known))
	for id, s := range ps.known {
		infos = append(infos, ProducerInfo{
			ID: id, Epoch: s.epoch, LastSequence: s.lastSequence(), UsedAt: s.usedAt, Named: s.named, OpenSince: s.open,
		})
	}
	slices.SortFunc(infos, func(a, b ProducerInfo) int { return cmp.Compare(a.ID, b.ID) })
	return infos
}

// ForgetProducer removes a producer, as the store has it no more, if it is UnusedSince; else it reports false. It is
// for the log's writer.
func (l *Log) ForgetProducer(id, usedAt int64) bool {
	ps := &l.producers
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !l.UnusedSince(id, usedAt) {
		return false
	}
	delete(ps.known, id)
	return true
}

// UnusedSince reports whether the log knows the producer, it was not used since, and it has no transaction
// open: then it may be forgotten. It is for the log's writer.
func (l *Log) UnusedSince(id, usedAt int64) bool {
	s := l.producers.known[id]
	return s != nil && s.usedAt == usedAt && s.open < 0
}
