package log

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
)

// step is a batch or a marker of a transactionModel.
type step struct {
	base, last int64
	producer   int64 // -1 for none
	inTx       bool
	end        string // "+" or "-" for a marker
}

// transactionModel is what a log is to hold, from which everything follows.
type transactionModel struct {
	steps   []step // also those that are staged or were trimmed
	visible int    // of steps
	start   int64
}

func (m *transactionModel) seen() []step { return m.steps[:m.visible] }

func (m *transactionModel) end() int64 {
	if m.visible == 0 {
		return 0
	}
	return m.steps[m.visible-1].last + 1
}

// open returns where the transactions of steps begin that have not ended.
func openOf(steps []step) map[int64]int64 {
	open := make(map[int64]int64)
	for _, s := range steps {
		_, is := open[s.producer]
		switch {
		case s.end != "":
			delete(open, s.producer)
		case s.inTx && !is:
			open[s.producer] = s.base
		}
	}
	return open
}

func (m *transactionModel) stable() int64 {
	stable := m.end()
	for _, first := range openOf(m.seen()) {
		stable = min(stable, first)
	}
	return max(stable, m.start)
}

// aborted returns the transactions that the log has had and were aborted.
func (m *transactionModel) aborted() []AbortedTx {
	var all []AbortedTx
	for i, s := range m.seen() {
		if first, ok := openOf(m.steps[:i])[s.producer]; ok && s.end == "-" {
			all = append(all, AbortedTx{ProducerID: s.producer, First: first, Last: s.last})
		}
	}
	return all
}

func (m *transactionModel) abortedWords(from, to int64) string {
	var words []string
	all := m.aborted()
	slices.SortFunc(all, func(a, b AbortedTx) int { return int(a.First - b.First) })
	for _, tx := range all {
		if from < to && tx.Last >= from && tx.First < to {
			words = append(words, fmt.Sprintf("%c:%d-%d", 'a'+byte(tx.ProducerID), tx.First, tx.Last))
		}
	}
	return strings.Join(words, " ")
}

// committed is what ReadCommitted is to show.
func (m *transactionModel) committed(from int64) string {
	var words []string
	aborted := m.aborted()
	for _, s := range m.seen() {
		word := fmt.Sprintf("%d-%d", s.base, s.last)
		of := func(tx AbortedTx) bool {
			return s.inTx && tx.ProducerID == s.producer && tx.First <= s.base && s.base <= tx.Last
		}
		switch {
		case s.last < from || s.last >= m.stable():
			continue
		case s.end != "":
			word = fmt.Sprint(s.last) + s.end
		case slices.ContainsFunc(aborted, of):
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// player has a log and its model take the same steps.
type player struct {
	transactionModel
	t      *rapid.T
	l      *Log
	batch  store.Batch // of what is staged
	staged []Staged
}

// stage stages a batch, or a marker.
func (p *player) stage(s step, b Batch) {
	staged, _ := p.l.Stage(&p.batch, nil, b, 1000)
	s.base, s.last = staged.BaseOffset, staged.End-1
	p.steps = append(p.steps, s)
	p.staged = append(p.staged, staged)
}

// land commits what is staged, and shows it one by one.
func (p *player) land() {
	p.l.StageProducers(&p.batch, nil)
	commit(p.t, p.l.st, &p.batch)
	p.batch.Reset()
	for _, s := range p.staged {
		p.check()
		p.l.Applied(s)
		p.visible++
	}
	p.staged = p.staged[:0]
}

func (p *player) reopen() {
	l, err := OpenLog(p.l.st, ordersID, orders)
	if err != nil {
		p.t.Fatalf("OpenLog: %v", err)
	}
	p.l = l
}

// crash loses what is staged.
func (p *player) crash() {
	p.steps, p.staged = p.seen(), nil
	p.batch.Reset()
	p.reopen()
}

// trim moves the log start. The process dies before what is not needed any more is removed, or not.
func (p *player) trim() {
	start := rapid.Int64Range(p.start, p.end()).Draw(p.t, "start")
	set(p.t, p.l.st, store.LogStartKey(ordersID), store.OffsetValue(start))
	p.l.SetStart(start)
	p.start = start
	if rapid.Bool().Draw(p.t, "dies") {
		p.reopen()
		return
	}
	var dead store.Batch
	old := store.AbortedRange(ordersID, 0)
	old.To = store.AbortedRange(ordersID, start).From
	batches := store.BatchRange(ordersID, 0)
	batches.To = store.BatchRange(ordersID, start).From
	for _, r := range []store.Range{old, batches} {
		err := p.l.st.Scan(r, func(e store.Entry) (bool, error) {
			dead.Delete(slices.Clone(e.Key))
			return true, nil
		})
		if err != nil {
			p.t.Fatalf("%v", err)
		}
	}
	commit(p.t, p.l.st, &dead)
}

// act stages something.
func (p *player) act() {
	id := rapid.Int64Range(0, 3).Draw(p.t, "producer")
	n := rapid.Int64Range(1, 3).Draw(p.t, "records")
	epoch := int16(0)
	if s := p.l.producers.known[id]; s != nil {
		epoch = s.epoch
	}
	bump := int16(rapid.IntRange(0, 1).Draw(p.t, "bump"))
	_, isOpen := openOf(p.steps)[id]
	switch kind := rapid.SampledFrom([]string{"plain", "sequenced", "tx", "tx", "tx", "-", "-", "+"}).Draw(p.t, "kind"); {
	case kind == "plain":
		p.stage(step{producer: -1}, span(p.t, 0, n))
	case kind == "tx" || kind == "sequenced" && !isOpen:
		b := transactionalSpan(p.t, p.l, n, id, epoch)
		if kind == "sequenced" {
			b[posAttributes+1] &^= attrTransactional
		}
		if again, err := p.l.CheckProducer(b); err != nil || again >= 0 {
			p.t.Fatalf("batch of %d is refused: %v, %d", id, err, again)
		}
		p.stage(step{producer: id, inTx: kind == "tx"}, b)
	case kind == "+" || kind == "-":
		b := Marker(id, epoch+bump, kind == "+", 1000)
		if err := p.l.CheckMarker(b); err != nil {
			p.t.Fatalf("marker of %d is refused: %v", id, err)
		}
		p.stage(step{producer: id, inTx: true, end: kind}, b)
	}
}

func (p *player) check() {
	t, l := p.t, p.l
	if l.Start() != p.start || l.End() != p.end() || l.LastStable() != p.stable() {
		t.Fatalf("the log is [%d, %d), stable up to %d, want [%d, %d), %d", l.Start(), l.End(), l.LastStable(), p.start, p.end(), p.stable())
	}
	from := rapid.Int64Range(p.start, p.end()).Draw(t, "from")
	if got, want := committed(t, l, from), p.committed(from); got != want {
		t.Fatalf("committed from %d is\n%s, want\n%s", from, got, want)
	}
	if got, want := committedBackward(t, l), p.committed(p.start); got != want {
		t.Fatalf("committed, backward, is\n%s, want\n%s", got, want)
	}
	to := p.end()
	if len(p.steps) > p.visible {
		to = p.stable() // what is behind may have ended in the store already
	}
	from = rapid.Int64Range(p.start, to).Draw(t, "from")
	to = rapid.Int64Range(from, to).Draw(t, "to")
	if got, want := abortedWords(t, l, from, to), p.abortedWords(from, to); got != want {
		t.Fatalf("aborted of [%d, %d) is\n%s, want\n%s", from, to, got, want)
	}
	open := openOf(p.steps)
	for id := range int64(4) {
		want, ok := open[id]
		if !ok {
			want = -1
		}
		if got := l.OpenSince(id); got != want {
			t.Fatalf("producer %d has a transaction open since %d, want %d", id, got, want)
		}
	}
}

// Random batches, transactions of several producers, trims and crashes: what a log says of transactions follows from the
// batches and markers that it was given.
func TestTransactionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := store.OpenMemory()
		defer func() { _ = st.Close() }()
		p := &player{t: t, l: NewLog(st, ordersID, orders)}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"act", "act", "act", "act", "land", "land", "trim", "crash"}).Draw(t, "step") {
			case "act":
				p.act()
			case "land":
				p.land()
			case "trim":
				p.land()
				p.trim()
			case "crash":
				p.crash()
			}
			p.check()
		}
	})
}
