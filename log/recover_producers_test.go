package log

import (
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// stagedSequenced stages a batch of a producer and returns what is to be committed: the
// batch first, then the producer's state.
func stagedSequenced(l *Log, env Envelope) (*store.Batch, []byte) {
	var b store.Batch
	_, keys := l.Stage(&b, nil, env, 1)
	l.NoteProducer(env.Batch(), 1000+l.next, false)
	return &b, l.StageProducers(&b, keys)
}

// Of a damaged state nobody knows when it was used, and whether it has a name.
func TestRecoverDamagedProducer(t *testing.T) {
	st := memory(t)
	l := NewLog(st, ordersID, orders)
	stageSequenced(t, l, sequencedSpan(t, 0, 3, 7, 0, 0))
	set(t, st, store.AppendProducerKey(nil, store.ProducerKey{PartitionID: ordersID, ID: 7}), []byte("damaged"))
	before := time.Now().UnixMilli()
	l, _ = open(t, st)
	if got := l.Producers(); len(got) != 1 || got[0].LastSequence != 2 || got[0].UsedAt < before || !got[0].Named {
		t.Errorf("the log knows %+v", got)
	}
}

// A damaged state that no batch tells of any more stays as it is, open after open: nobody is told
// that the producer has stored nothing. It may begin anew.
func TestRecoverDamagedProducerOfTrimmedBatches(t *testing.T) {
	st := memory(t)
	l := NewLog(st, ordersID, orders)
	first := sequencedSpan(t, 0, 3, 7, 0, 0)
	stageSequenced(t, l, first)
	key := store.AppendProducerKey(nil, store.ProducerKey{PartitionID: ordersID, ID: 7})
	set(t, st, key, []byte("damaged"))
	set(t, st, store.LogStartKey(ordersID), store.OffsetValue(3))
	var b store.Batch
	b.Delete(keyOf(first))
	commit(t, st, &b)
	for range 2 {
		l, _ = open(t, st)
		if err := l.ProducerErr(7); !errors.Is(err, ErrCorruptValue) || len(l.Damaged()) != 1 {
			t.Errorf("the producer: %v, damaged: %v", err, l.Damaged())
		}
		if v, err := st.Get(key); err != nil || string(v) != "damaged" {
			t.Errorf("it is stored as %q, %v", v, err)
		}
	}
	if got := verdict(l.CheckProducer(sequencedSpan(t, 3, 1, 7, 0, 3).Batch())); got != "gap" {
		t.Errorf("its next batch is %q", got)
	}
	anew := sequencedSpan(t, 3, 1, 7, 1, 0)
	if got := verdict(l.CheckProducer(anew.Batch())); got != "next" {
		t.Errorf("a new beginning is %q", got)
	}
	stageSequenced(t, l, anew)
	if err := l.ProducerErr(7); err != nil {
		t.Errorf("then: %v", err)
	}
}
