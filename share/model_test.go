package share

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

// TestPartitionModel has everything happen to a Partition, in any order, beside a model that has a struct for each offset
// and no idea of chunks.
func TestPartitionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := int64(rapid.SampledFrom([]int{0, 1, 255, 256, 20000}).Draw(t, "start"))
		m := &model{
			t: t, p: NewPartition(start), start: start, next: start, log: start, now: 1_000_000, stored: make(map[int64][]byte), at: make(map[int64]*modelRecord),
			rules: Rules{
				LockMs: 1000, MaxDeliveries: rapid.SampledFrom([]int{0, 2, 3, 5}).Draw(t, "deliveries"), DeadLetters: rapid.Bool().Draw(t, "letters"),
				Delay: func(n int) int64 { return int64(n) * 100 },
			},
		}
		m.store(100)
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append, "take": m.take, "acquire": m.acquire, "settle": m.settle, "settle well": m.settleWell, "time": m.passTime, "drop": m.drop,
			"cut": m.cut, "gone": m.gone, "bury": m.bury, "store": func(t *rapid.T) { m.store(rapid.IntRange(1, 5).Draw(t, "most")) },
			"restart": m.restart, "reorder": m.reorder, "": m.check,
		})
	})
}

type modelRecord struct {
	there      bool // in the log
	key        uint64
	due        int64 // by the log
	state      State
	deliveries int
	owner      string
	until      int64
}

func (r *modelRecord) open() bool { return r.there && r.state != Acknowledged }

// model is what a Partition is to do.
type model struct {
	t       *rapid.T
	p       *Partition
	rules   Rules
	start   int64
	next    int64 // taken in up to here
	log     int64 // the end of the log
	now     int64
	at      map[int64]*modelRecord // of what is in the log, from start on
	byKey   bool
	letters map[int64]bool
	stored  map[int64][]byte // chunks, -1 for the start
	begins  int64            // what the machine was told that the log begins at
}

var modelMembers = []string{"a", "b", "c"}

// append adds to the log: records, and places at which there are none.
func (m *model) append(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 3, 10, 100, 300}).Draw(t, "n")
	gap := rapid.SampledFrom([]int{0, 0, 0, 2, 2, 700, 700, 40_000}).Draw(t, "gap")
	kind := rapid.SampledFrom([]string{"plain", "mixed", "late"}).Draw(t, "kind")
	m.log += int64(gap)
	for i := range n {
		r := &modelRecord{there: true}
		switch {
		case kind == "mixed" && i%3 == 0:
			r.there = false
		case kind == "mixed":
			r.key = uint64(i % 4)
		case kind == "late":
			r.due = m.now + int64(rapid.IntRange(1, 3000).Draw(t, "due"))
		}
		m.at[m.log] = r
		m.log++
	}
}

// take has the machine take in a part of the log.
func (m *model) take(t *rapid.T) {
	if m.next >= m.log {
		return
	}
	m.takeTo(min(m.log, m.next+int64(rapid.SampledFrom([]int{1, 5, 50, 1000}).Draw(t, "n"))))
}

func (m *model) takeTo(to int64) {
	var entries []Entry
	all := true
	for o := m.next; o < to; o++ {
		r := m.at[o]
		if r == nil || !r.there {
			all = false
			continue
		}
		e := Entry{Offset: o, DueMs: r.due}
		if m.byKey {
			e.Key = r.key
		}
		all = all && e == Entry{Offset: o}
		entries = append(entries, e)
	}
	m.p.Take(m.now, to-1, all, entries, m.rules)
	for o := m.next; o < to; o++ {
		if r := m.at[o]; r != nil && r.open() && r.state == Available && m.rules.MaxDeliveries > 0 && r.deliveries >= m.rules.MaxDeliveries {
			m.toDead(o, r)
		}
	}
	m.next = to
	m.expect()
}

// available reports whether a record can be had now.
func (m *model) available(o int64) bool {
	r := m.at[o]
	if o < m.start || o >= m.next || r == nil || !r.open() || r.state != Available || max(r.due, r.until) > m.now {
		return false
	}
	if m.byKey && r.key != 0 {
		for before := m.start; before < o; before++ {
			if b := m.at[before]; b != nil && b.open() && b.key == r.key {
				return false
			}
		}
	}
	return true
}

func (m *model) acquire(t *rapid.T) {
	member := rapid.SampledFrom(modelMembers).Draw(t, "member")
	most := rapid.SampledFrom([]int{1, 2, 10, 400}).Draw(t, "most")
	first, last := m.start, m.next
	if rapid.Bool().Draw(t, "part") {
		first = m.start + int64(rapid.IntRange(0, 50).Draw(t, "first"))
		last = first + int64(rapid.IntRange(0, 400).Draw(t, "last"))
	}
	m.p.Expire(m.now, m.rules) // the coordinator does
	m.passed()
	got := m.p.Acquire(m.now, member, first, last, most, m.rules)
	var want []Range
	for o := first; o <= last && most > 0; o++ {
		if !m.available(o) {
			continue
		}
		r := m.at[o]
		alone := m.rules.MaxDeliveries > 2 && r.deliveries == m.rules.MaxDeliveries-1
		if alone && len(want) > 0 {
			break
		}
		r.state, r.owner, r.until = Acquired, member, m.now+m.rules.LockMs
		r.deliveries++
		if n := len(want); n > 0 && want[n-1].Last == o-1 && want[n-1].Deliveries == r.deliveries {
			want[n-1].Last = o
		} else {
			want = append(want, Range{o, o, r.deliveries})
		}
		if most--; alone {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("acquired %v, want %v", got, want)
	}
}

// toDead has a record be a dead letter.
func (m *model) toDead(o int64, r *modelRecord) {
	r.owner, r.until = "", 0
	if !m.rules.DeadLetters {
		r.state = Acknowledged
		return
	}
	r.state = Archiving
	if m.letters == nil {
		m.letters = make(map[int64]bool)
	}
	m.letters[o] = true
}

func (m *model) giveBack(o int64, r *modelRecord, until int64) {
	if m.rules.MaxDeliveries > 0 && r.deliveries >= m.rules.MaxDeliveries {
		m.toDead(o, r)
		return
	}
	r.state, r.owner, r.until = Available, "", until
}

// passed is what time has brought.
func (m *model) passed() {
	for _, o := range slices.Sorted(maps.Keys(m.at)) {
		if r := m.at[o]; o >= m.start && r.open() && r.state == Acquired && r.until <= m.now {
			m.giveBack(o, r, m.now+m.rules.Delay(r.deliveries))
		}
	}
	m.expect()
}

func (m *model) passTime(t *rapid.T) {
	m.now += int64(rapid.IntRange(1, 1500).Draw(t, "ms"))
	m.p.Expire(m.now, m.rules)
	m.passed()
}

// expect takes the letters that the machine tells.
func (m *model) expect() {
	for _, l := range m.p.Letters() {
		if !m.letters[l.Offset] || m.at[l.Offset].deliveries != l.Deliveries {
			m.t.Fatalf("letter %+v, want one of %v", l, m.letters)
		}
	}
}

func (m *model) drawAcks(t *rapid.T, first int64) []Ack {
	var acks []Ack
	for range rapid.IntRange(1, 2).Draw(t, "acks") {
		a := Ack{First: max(0, first+int64(rapid.IntRange(-2, 5).Draw(t, "first")))}
		a.Last = a.First + int64(rapid.IntRange(0, 3).Draw(t, "n"))
		types := 1
		if rapid.Bool().Draw(t, "each") {
			types = int(a.Last - a.First + 1)
		}
		for range types {
			a.Types = append(a.Types, AckType(rapid.IntRange(0, 4).Draw(t, "type")))
		}
		a.Deliveries = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "deliveries")
		a.AfterMs = int64(rapid.SampledFrom([]int{0, -1, 70}).Draw(t, "after"))
		acks = append(acks, a)
		first = a.Last + 1
	}
	return acks
}

// settle acknowledges anything.
func (m *model) settle(t *rapid.T) {
	m.acknowledge(t, rapid.SampledFrom(modelMembers).Draw(t, "member"), m.drawAcks(t, m.start+int64(rapid.IntRange(0, 300).Draw(t, "at"))))
}

// settleWell acknowledges what somebody has.
func (m *model) settleWell(t *rapid.T) {
	for o := m.start; o < m.next; o++ {
		if r := m.at[o]; r != nil && r.open() && r.state == Acquired && rapid.IntRange(0, 3).Draw(t, "this") == 0 {
			m.acknowledge(t, r.owner, []Ack{{First: o, Last: o, Types: []AckType{AckType(rapid.IntRange(0, 4).Draw(t, "type"))}}})
			return
		}
	}
}

func (m *model) acknowledge(t *rapid.T, member string, acks []Ack) {
	err := m.p.Check(member, acks)
	want := m.may(member, acks)
	if (err == nil) != (want == nil) || want != nil && !errors.Is(err, want) {
		t.Fatalf("%s, %+v: %v, want %v", member, acks, err, want)
	}
	if err != nil {
		return
	}
	left, before := m.p.Remaining(acks), len(m.p.letters)
	letters := m.p.LettersOf(left, m.rules)
	m.p.Settle(m.now, left, m.rules)
	if got := m.p.letters[before:]; !slices.Equal(got, letters) {
		t.Fatalf("%+v: dead letters are %v, and were foreseen as %v", acks, got, letters)
	}
	for _, a := range acks {
		for o := max(a.First, m.start); o <= a.Last; o++ {
			if r := m.at[o]; r.state == Acquired {
				m.settleOne(o, r, &a)
			}
		}
	}
	m.expect()
}

func (m *model) settleOne(o int64, r *modelRecord, a *Ack) {
	switch a.typeOf(o) {
	case Renew:
		r.until = m.now + m.rules.LockMs
	case Release:
		after := a.AfterMs
		if after == 0 {
			after = m.rules.Delay(r.deliveries)
		}
		m.giveBack(o, r, m.now+max(0, after))
	case Reject:
		m.toDead(o, r)
	default:
		r.state = Acknowledged
	}
}

func (m *model) may(member string, acks []Ack) error {
	for _, a := range acks {
		if first := max(a.First, m.begins); first < m.start && first <= a.Last && a.Deliveries > 0 {
			return log.ErrInvalidRecordState
		}
		for o := max(a.First, m.start); o <= a.Last; o++ {
			r := m.at[o]
			switch {
			case r == nil || !r.there:
				return log.ErrInvalid // one or the other
			case r.state == Acknowledged:
				return log.ErrInvalidRecordState
			case r.deliveries == 0:
				return log.ErrNotAcquired
			case r.state != Acquired || r.owner != member || a.Deliveries > 0 && a.Deliveries != r.deliveries:
				return log.ErrInvalidRecordState
			}
		}
	}
	return nil
}

func (m *model) drop(t *rapid.T) {
	member := rapid.SampledFrom(modelMembers).Draw(t, "member")
	m.p.Drop(m.now, member, m.rules)
	for o, r := range m.at {
		if o >= m.start && r.open() && r.state == Acquired && r.owner == member {
			m.giveBack(o, r, m.now)
		}
	}
	m.expect()
}

// cut has the log begin later.
func (m *model) cut(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
		return
	}
	to := min(m.log, m.start+int64(rapid.SampledFrom([]int{1, 10, 300, 2000}).Draw(t, "to")))
	m.p.Cut(to)
	m.begins = max(m.begins, to)
	for o := range m.at {
		if o < to {
			delete(m.at, o)
			delete(m.letters, o)
		}
	}
	m.next = max(m.next, to)
}

// gone has a part of the log be nothing.
func (m *model) gone(t *rapid.T) {
	first := m.start + int64(rapid.IntRange(0, 100).Draw(t, "first"))
	last := first + int64(rapid.IntRange(0, 20).Draw(t, "n"))
	for o := first; o <= last; o++ {
		if m.available(o) && m.p.FirstReady(o) == o {
			m.at[o].state = Acknowledged
			m.p.Gone(o, o)
		}
	}
	m.p.Gone(first, first-1)
}

func (m *model) bury(*rapid.T) {
	for o := range m.letters {
		m.p.Bury(o)
		if r := m.at[o]; r.state == Archiving {
			r.state = Acknowledged
		}
		delete(m.letters, o)
		return
	}
}

func (m *model) store(most int) {
	for _, c := range m.p.Changes(most) {
		if c.Value == nil {
			delete(m.stored, c.Chunk)
		} else {
			m.stored[c.Chunk] = c.Value
		}
	}
}

// restart has the machine be made anew of what is stored, which is all here. Nobody has anything then.
func (m *model) restart(*rapid.T) {
	for m.p.Pending() > 0 {
		m.store(3)
	}
	chunks := maps.Clone(m.stored)
	delete(chunks, -1)
	p, err := Restore(m.stored[-1], chunks, m.log)
	if err != nil {
		m.t.Fatal(err)
	}
	m.begins = 0
	if p.Start() != m.p.Start() {
		m.t.Fatalf("it starts at %d, not at %d", p.Start(), m.p.Start())
	}
	m.p = p
	if m.byKey {
		m.p.Reorder(true)
	}
	m.next = m.p.Start()
	m.letters = nil
	for o, r := range m.at {
		if o >= m.start && r.open() {
			if r.state != Available {
				r.until = 0
			}
			r.state, r.owner = Available, ""
		}
	}
}

func (m *model) reorder(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
		return
	}
	m.p.Expire(m.now, m.rules)
	m.passed()
	m.byKey = !m.byKey
	m.p.Reorder(m.byKey)
	m.takeFrom(m.p.Start())
}

// takeFrom takes in what was taken in before.
func (m *model) takeFrom(start int64) {
	to := m.next
	m.next = start
	if to > start {
		m.takeTo(to)
	}
}

// check compares what can be asked.
func (m *model) check(t *rapid.T) {
	for m.start < m.next {
		if r := m.at[m.start]; r != nil && r.open() {
			break
		}
		m.start++
	}
	m.start = max(m.start, min(m.next, m.p.Start()))
	if m.p.Start() != m.start || m.p.Next() != m.next {
		t.Fatalf("from %d to %d, want %d to %d", m.p.Start(), m.p.Next(), m.start, m.next)
	}
	var ready, acquired, waiting, open int
	for o := m.start; o < m.next; o++ {
		r := m.at[o]
		s, n, owner := m.p.State(o)
		if r == nil || !r.open() {
			if s != Acknowledged {
				t.Fatalf("offset %d is %s, and nothing is there", o, s)
			}
			continue
		}
		open++
		if s != r.state || n != r.deliveries || owner != r.owner {
			t.Fatalf("offset %d is %s for the %d. time, of %q, want %+v", o, s, n, owner, r)
		}
		switch {
		case r.state == Acquired:
			acquired++
		case r.state == Available && max(r.due, r.until) > m.now:
			waiting++
		case m.available(o):
			ready++
		}
	}
	m.p.Expire(m.now, m.rules)
	if m.p.Ready() != ready || m.p.Acquired() != acquired || m.p.Waiting() != waiting || m.p.Open() != int64(open) {
		t.Fatalf("%d ready, %d acquired, %d waiting, %d open; want %d, %d, %d, %d", m.p.Ready(), m.p.Acquired(), m.p.Waiting(), m.p.Open(), ready, acquired, waiting, open)
	}
}

// What cannot have been stored is refused, and no number in it is believed.
func FuzzRestore(f *testing.F) {
	c := &chunk{open: []slot{{index: 3, deliveries: 2}, {index: 4, deliveries: 2, untilMs: 77}}}
	set(&c.done, 9)
	f.Add(c.encode(), encodeStart(300))
	f.Add(allDone.encode(), []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, v, start []byte) {
		c, err := decodeChunk(v)
		if err == nil {
			if again, err := decodeChunk(c.encode()); err != nil || fmt.Sprint(again.done, again.open) != fmt.Sprint(c.done, c.open) {
				t.Errorf("%x is %v, and then %v, %v", v, c, again, err)
			}
		} else if !errors.Is(err, log.ErrCorruptValue) {
			t.Error(err)
		}
		if at, err := decodeStart(start); err == nil && at >= 1<<58 {
			return // a group may begin as far behind it
		}
		if _, err := Restore(start, map[int64][]byte{2: v, 1 << 50: v}, 1000); err == nil || !errors.Is(err, log.ErrCorruptValue) {
			t.Errorf("a chunk behind the end of the log: %v", err)
		}
	})
}
