package log

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// written is what one commit of the property test wrote.
type written struct {
	env      Envelope
	producer int64
	state    []byte
}

// After power loss any entry that was not fsynced may be missing, a batch as well as a
// producer's state, also under later states of the same producer. Whatever it was: what
// the log then says of a batch is what it would say if only the batches that are left had
// ever been written.
func TestRecoverProducersProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history, durable := producerHistory(t)
		st := store.OpenMemory()
		defer func() { _ = st.Close() }()
		kept := leaveHistory(t, st, history, durable)
		f := &found{Store: st, recovery: store.Recovery{Durable: uint64(durable)}}
		l, _ := open(t, f)

		model := NewLog(st, ordersID, orders)
		for _, w := range history[:kept] {
			if w.producer >= 0 {
				model.NoteProducer(w.env.Batch(), 0, false)
			}
			model.next = w.env.Batch().LastOffset() + 1
		}
		if l.End() != model.next {
			t.Fatalf("the log ends at %d, want %d", l.End(), model.next)
		}
		same(t, "recovered", l, model, history)
		again, _ := open(t, &found{Store: st, recovery: store.Recovery{Clean: true, Durable: 1 << 40}})
		same(t, "opened again", again, model, history)
	})
}

// producerHistory draws batches of a few producers, of which durable were fsynced.
func producerHistory(t *rapid.T) (history []written, durable int) {
	scratch := store.OpenMemory()
	defer func() { _ = scratch.Close() }()
	l := NewLog(scratch, ordersID, orders)
	epochs := make(map[int64]int16)
	for range rapid.IntRange(0, 30).Draw(t, "batches") {
		id := rapid.Int64Range(-1, 2).Draw(t, "producer")
		n := rapid.Int64Range(1, 3).Draw(t, "records")
		env := span(t, l.next, n)
		w := written{env: env, producer: id}
		if id < 0 {
			var b store.Batch
			l.Stage(&b, nil, env, 1)
		} else {
			next := sequenceOf(l.StoredOf(id))
			if next > 0 && rapid.IntRange(0, 7).Draw(t, "new epoch") == 0 {
				epochs[id]++
				next = 0
			}
			env.Batch().SetProducer(id, epochs[id], next)
			stagedSequenced(l, env)
			w.state = l.producers.known[id].append(nil)
		}
		history = append(history, w)
	}
	return history, rapid.IntRange(0, len(history)).Draw(t, "durable")
}

// leaveHistory writes what is left of a history, one commit for each that was fsynced and
// those behind them as they survived, and returns how many batches make the log.
func leaveHistory(t *rapid.T, st store.Store, history []written, durable int) (kept int) {
	kept = len(history)
	for i, w := range history {
		var b store.Batch
		lost := i >= durable && rapid.IntRange(0, 4).Draw(t, "batch lost") == 0
		if lost {
			kept = min(kept, i)
		} else {
			b.Set(keyOf(w.env), w.env)
		}
		if w.producer >= 0 && (i < durable || rapid.Bool().Draw(t, "state kept")) {
			state := slices.Clone(w.state)
			if i >= durable && rapid.IntRange(0, 4).Draw(t, "state damaged") == 0 {
				state[rapid.IntRange(0, len(state)-1).Draw(t, "where")] ^= 0x10
			}
			b.Set(store.AppendProducerKey(nil, store.ProducerKey{PartitionID: ordersID, ID: w.producer}), state)
		}
		if b.Len() == 0 {
			b.Set([]byte("lost"), []byte("lost"))
		}
		commit(t, st, &b)
	}
	return kept
}

// same checks that two logs say the same of every batch that was ever sent, and of the
// next of each producer.
func same(t *rapid.T, when string, got, want *Log, history []written) {
	t.Helper()
	var batches []Batch
	for _, w := range history {
		if w.producer >= 0 {
			batches = append(batches, w.env.Batch())
		}
	}
	for id := range int64(3) {
		for epoch := range int16(4) {
			for _, sequence := range []int32{0, sequenceOf(want.StoredOf(id)), sequenceOf(want.StoredOf(id) + 1)} {
				batches = append(batches, sequencedSpan(t, 0, 2, id, epoch, sequence).Batch())
			}
		}
		if g, w := got.StoredOf(id), want.StoredOf(id); g != w {
			t.Fatalf("%s: %d records of producer %d, want %d", when, g, id, w)
		}
	}
	for _, b := range batches {
		g, w := verdict(got.CheckProducer(b)), verdict(want.CheckProducer(b))
		if g != w {
			t.Fatalf("%s: a batch of producer %d, epoch %d, sequence %d is %q, want %q", when, b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), g, w)
		}
	}
	ids := func(l *Log) (ids []int64) {
		for _, p := range l.Producers() {
			ids = append(ids, p.ID)
		}
		return ids
	}
	if g, w := ids(got), ids(want); !slices.Equal(g, w) {
		t.Fatalf("%s: the log knows producers %v, want %v", when, fmt.Sprint(g), fmt.Sprint(w))
	}
}

// A producer's older batches have gone with retention, its newest with the power, and only its
// state tells of both: it counts as far as the log goes.
func TestRecoverProducerOfTrimmedBatches(t *testing.T) {
	st := memory(t)
	l := NewLog(st, ordersID, orders)
	first, other, lost := sequencedSpan(t, 0, 10, 7, 0, 0), span(t, 10, 5), sequencedSpan(t, 15, 3, 7, 0, 10)
	stageSequenced(t, l, first)
	var b store.Batch
	l.Stage(&b, nil, other, 1)
	commit(t, st, &b)
	stageSequenced(t, l, lost)
	b.Reset()
	b.Delete(keyOf(first))
	b.Delete(keyOf(lost))
	b.Set(store.LogStartKey(ordersID), store.OffsetValue(10))
	commit(t, st, &b)
	for _, when := range []string{"after the power loss", "opened again"} {
		l, _ := open(t, &found{Store: st, recovery: store.Recovery{Durable: 2}})
		if got := l.StoredOf(7); got != 10 || l.End() != 15 {
			t.Errorf("%s: %d records are stored, the log ends at %d", when, got, l.End())
		}
		if got := verdict(l.CheckProducer(first.Batch())); got != "again@0" {
			t.Errorf("%s: what was trimmed is %q", when, got)
		}
		if got := verdict(l.CheckProducer(lost.Batch())); got != "next" {
			t.Errorf("%s: what was lost is %q", when, got)
		}
	}
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
