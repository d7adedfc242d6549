package txn

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

// TestProperties plays random sequences of calls, among them wrong ones, and checks after each what must hold always.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, txn: NewTransaction("t"), now: time.UnixMilli(1e12), held: []Producer{{7, 3}}, open: make(map[log.TopicPartition]bool)}
		t.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { w.check() },
			"init":    func(*rapid.T) { w.init() },
			"add":     func(*rapid.T) { w.add() },
			"group":   func(*rapid.T) { w.group() },
			"end":     func(*rapid.T) { w.end() },
			"fence":   func(*rapid.T) { w.ended(w.txn.Fence(w.now)) },
			"time":    func(*rapid.T) { w.pass() },
			"restart": func(*rapid.T) { w.restart() },
			"leap":    func(*rapid.T) { w.leap() },
		})
	})
}

// world is a transactional id under test, and what has been seen of it.
type world struct {
	*rapid.T
	txn    *Transaction
	now    time.Time
	fresh  int64
	held   []Producer                  // all that anybody was ever told, and one that nobody was
	fenced []Producer                  // that markers and newer producers have fenced
	open   map[log.TopicPartition]bool // added, and not ended
	stored []byte
	owner  Producer // who was told last
}

func (w *world) producer() Producer {
	p := rapid.SampledFrom(w.held).Draw(w.T, "producer")
	if rapid.Bool().Draw(w.T, "right") && w.txn.Producer() != noProducer {
		p = w.owner
	}
	return p
}

// try makes a call, with a new id if it needs one. A call that fails must have changed nothing.
func (w *world) try(call func(fresh int64) (Effects, error)) (Effects, error) {
	before := w.txn.Snapshot()
	e, err := call(-1)
	if errors.Is(err, errNeedsID) {
		w.unchanged(before)
		w.fresh++
		e, err = call(w.fresh)
		if errors.Is(err, errNeedsID) {
			w.Fatal("it wants another id")
		}
	}
	if err != nil || e.Persist == nil {
		w.unchanged(before)
		if e.End != nil {
			w.Fatal("an end that is not stored")
		}
	}
	if e.Persist != nil {
		if !reflect.DeepEqual(*e.Persist, w.txn.Snapshot()) {
			w.Fatalf("to be stored is %+v, it is %+v", *e.Persist, w.txn.Snapshot())
		}
		w.stored = e.Persist.Encode()
	}
	return e, err
}

func (w *world) unchanged(before Snapshot) {
	if now := w.txn.Snapshot(); !reflect.DeepEqual(before, now) {
		w.Fatalf("it was %+v, and is %+v", before, now)
	}
}

// told notes who has the id now.
func (w *world) told(p Producer) {
	if slices.Contains(w.fenced, p) {
		w.Fatalf("%s was fenced, and is given out", p)
	}
	if p.Epoch > maxEpoch {
		w.Fatalf("the last epoch is given out: %s", p)
	}
	w.owner = p
	if !slices.Contains(w.held, p) {
		w.held = append(w.held, p)
	}
}

func (w *world) init() {
	req := InitRequest{Timeout: time.Duration(rapid.IntRange(1, 20).Draw(w.T, "timeout")) * time.Second}
	if rapid.Bool().Draw(w.T, "expected") {
		p := w.producer()
		req.Expected = &p
	}
	before := w.txn.Producer()
	e, err := w.try(func(fresh int64) (Effects, error) { req.Fresh = fresh; return w.txn.Init(w.now, req) })
	if err != nil {
		if req.Expected == nil {
			w.Fatalf("who takes over is refused: %v", err)
		}
		return
	}
	now := w.txn.Producer()
	if req.Expected == nil && now == before {
		w.Fatalf("%s stays for another one", now)
	}
	if now != before {
		w.fenced = append(w.fenced, before)
	}
	w.ended(e)
	w.told(now)
}

func (w *world) add() {
	p, tp := w.producer(), log.TopicPartition{Topic: "t", Partition: rapid.Int32Range(0, 3).Draw(w.T, "partition")}
	_, err := w.try(func(int64) (Effects, error) { return w.txn.Add(w.now, p, tp) })
	w.refused(p, err)
	if err == nil {
		w.open[tp] = true
	}
}

func (w *world) group() {
	p := w.producer()
	_, err := w.try(func(int64) (Effects, error) { return w.txn.AddGroup(w.now, p, "g") })
	w.refused(p, err)
}

// refused checks that those and only those are refused who are not the producer.
func (w *world) refused(p Producer, err error) {
	mine := p == w.txn.Producer() && p.Epoch <= maxEpoch
	if mine != (err == nil) || err != nil && !errors.Is(err, log.ErrProducerFenced) && !errors.Is(err, log.ErrInvalidProducerID) {
		w.Fatalf("%s: %v, the id has %s", p, err, w.txn.Producer())
	}
}

func (w *world) end() {
	req := EndRequest{Producer: w.producer(), Commit: rapid.Bool().Draw(w.T, "commit"), Bump: rapid.Bool().Draw(w.T, "bump")}
	before, state := w.txn.Producer(), w.txn.State()
	e, err := w.try(func(fresh int64) (Effects, error) { req.Fresh = fresh; return w.txn.End(w.now, req) })
	if err != nil {
		if state == Ongoing && req.Producer == before {
			w.Fatalf("end: %v", err)
		}
		return
	}
	if e.End != nil && (e.End.Commit != req.Commit || req.Producer != before) {
		w.Fatalf("%+v has ended as %+v", req, *e.End)
	}
	if e.End != nil && req.Bump {
		w.fenced = append(w.fenced, before)
	}
	w.ended(e)
	w.told(w.txn.Producer())
	again, err := w.try(func(fresh int64) (Effects, error) { req.Fresh = fresh; return w.txn.End(w.now, req) })
	if err != nil || again.Persist != nil {
		w.Fatalf("the same again: %v, %+v", err, again)
	}
}

// ended checks the end of a transaction: it is about all that was added, and each marker fences whom it should.
func (w *world) ended(e Effects) {
	if e.Persist != nil {
		w.stored = e.Persist.Encode()
	}
	if e.End == nil {
		return
	}
	if len(e.End.Partitions) != len(w.open) {
		w.Fatalf("%v end, %v were open", e.End.Partitions, w.open)
	}
	for _, tp := range e.End.Partitions {
		if !w.open[tp] {
			w.Fatalf("%s ends, and was not added", tp)
		}
	}
	for _, p := range w.fenced {
		if p.ID == e.End.Marker.ID && p.Epoch > e.End.Marker.Epoch {
			w.Fatalf("marker %s, %s was there before", e.End.Marker, p)
		}
	}
	if e.End.Marker.Epoch < 0 {
		w.Fatal("an epoch has run over")
	}
	clear(w.open)
}

func (w *world) pass() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 8).Draw(w.T, "seconds")) * time.Second)
	end, ok := w.txn.Deadline()
	e := w.txn.TimeOut(w.now)
	if late := ok && !w.now.Before(end); late != (e.End != nil) {
		w.Fatalf("open until %s, at %s: %+v", end, w.now, e)
	}
	w.ended(e)
}

// leap makes the epochs run out.
func (w *world) leap() {
	if w.txn.Producer() == w.owner && w.txn.State() == Empty && w.owner.Epoch < maxEpoch-3 {
		w.txn.producer.Epoch = maxEpoch - int16(rapid.IntRange(0, 3).Draw(w.T, "left"))
		s := w.txn.Snapshot()
		w.stored = s.Encode()
		w.told(w.txn.producer)
	}
}

func (w *world) restart() {
	if w.stored == nil {
		return
	}
	before := w.txn.Snapshot()
	s, err := DecodeSnapshot(w.stored)
	if err != nil {
		w.Fatal(err)
	}
	w.txn = Restore("t", s)
	if now := w.txn.Snapshot(); fmt.Sprint(now) != fmt.Sprint(before) {
		w.Fatalf("after the restart %+v, before it %+v", now, before)
	}
}

func (w *world) check() {
	if len(w.open) > 0 && w.txn.State() != Ongoing {
		w.Fatalf("%s, and %v are open", w.txn.State(), w.open)
	}
	for tp := range w.open {
		if !w.txn.Has(tp) {
			w.Fatalf("%s is lost", tp)
		}
	}
}

// What is no snapshot is refused, and what is read as one can be restored and stored again.
func FuzzSnapshot(f *testing.F) {
	txn := NewTransaction("t")
	if _, err := txn.Init(time.UnixMilli(5), InitRequest{Timeout: time.Second, Fresh: 4}); err != nil {
		f.Fatal(err)
	}
	f.Add(txn.Snapshot().Encode())
	if _, err := txn.Add(time.UnixMilli(6), txn.Producer(), log.TopicPartition{Topic: "t", Partition: 3}); err != nil {
		f.Fatal(err)
	}
	f.Add(txn.Snapshot().Encode())
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		s, err := DecodeSnapshot(v)
		if err != nil {
			if !errors.Is(err, log.ErrCorruptValue) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, err := DecodeSnapshot(Restore("t", s).Snapshot().Encode())
		if err != nil || again.Producer != s.Producer || again.State != s.State || !again.Used.Equal(s.Used) {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}
