package txn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// TestTransactionsLikeTheModel has 5 producers do what comes to their mind with 3 topics and 2 groups, one after the
// other, with old producers among them, time that passes, administrators, and a broker that is opened again. After
// each step readers of committed records see exactly what was committed, and so do the groups.
func TestTransactionsLikeTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var thrown any
		synctest.Test(t, func(*testing.T) {
			defer func() { thrown = recover() }()
			m := newModel(rt)
			defer m.h.shut()
			m.play()
		})
		switch {
		case thrown == nil:
		case fmt.Sprintf("%T", thrown) == "rapid.invalidData": // rapid tells apart what is thrown by where that is
			panic(thrown)
		default:
			panic(thrown)
		}
	})
}

// model is what is expected of the transactions of a house.
type model struct {
	*rapid.T
	h       *house
	ids     []*modelID
	logs    map[log.TopicPartition][]modelRecord
	offsets map[string]map[log.TopicPartition]modelOffset
	values  int
}

// modelRecord is a record of a log; txn is nil for one without a transaction.
type modelRecord struct {
	value string
	txn   *modelTxn
}

// modelOffset is an offset, and in which order it was committed.
type modelOffset struct {
	offset int64
	at     time.Time
}

// modelTxn is a transaction.
type modelTxn struct {
	state    State // Ongoing, CompleteCommit, CompleteAbort
	deadline time.Time
	offsets  map[string]map[log.TopicPartition]modelOffset
	added    map[string]bool // partitions and groups
}

// modelID is a transactional id.
type modelID struct {
	id      string
	held    []Producer // that anybody ever had; the last has it now, unless lost
	lost    bool       // it was fenced by time or by hand
	timeout time.Duration
	open    *modelTxn
}

func newModel(t *rapid.T) *model {
	m := &model{T: t, h: newHouse(t), logs: make(map[log.TopicPartition][]modelRecord), offsets: map[string]map[log.TopicPartition]modelOffset{"g": {}, "h": {}}}
	for i := range 5 {
		m.ids = append(m.ids, &modelID{id: fmt.Sprint("t", i)})
	}
	return m
}

func (m *model) play() {
	for id := range m.ids {
		m.init(m.ids[id])
	}
	actions := map[string]func(*rapid.T){"": func(*rapid.T) {
		m.check()
		time.Sleep(time.Millisecond)
	}}
	for name, act := range map[string]func(){
		"init": func() { m.init(rapid.SampledFrom(m.ids).Draw(m.T, "id")) }, "add": m.add, "stale": m.stale, "plain": m.plain,
		"produce": m.produce, "produce more": m.produce, "pend": m.pend, "pend more": m.pend, "end": m.end, "end soon": m.end,
		"commit": m.commit, "fence": m.fence, "time": m.pass, "reopen": m.reopen,
	} {
		actions[name] = func(*rapid.T) { act() }
	}
	m.Repeat(actions)
	time.Sleep(15*time.Minute + 2*time.Second)
	synctest.Wait()
	m.follow()
	m.check()
	for tp := range m.logs {
		if p := m.h.part(tp); p.LastStable() != p.HighWatermark() {
			m.Fatalf("%s: %d of %d are stable in the end", tp, p.LastStable(), p.HighWatermark())
		}
	}
	for name := range m.offsets {
		if got := m.h.groups.Pending(name); len(got) > 0 {
			m.Fatalf("group %s has pending offsets in the end: %v", name, got)
		}
	}
}

// someID returns an id that a producer has.
func (m *model) someID() *modelID {
	var have []*modelID
	for _, x := range m.ids {
		if len(x.held) > 0 && !x.lost {
			have = append(have, x)
		}
	}
	if len(have) == 0 {
		return nil
	}
	return rapid.SampledFrom(have).Draw(m.T, "id")
}

func (x *modelID) producer() Producer { return x.held[len(x.held)-1] }

func (m *model) tp() log.TopicPartition {
	return tp(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(m.T, "topic"), rapid.Int32Range(0, 1).Draw(m.T, "partition"))
}

func (m *model) groupName() string { return rapid.SampledFrom([]string{"g", "h"}).Draw(m.T, "group") }

// ends notes the end of an id's open transaction.
func (m *model) ends(x *modelID, commit bool) {
	if x.open == nil {
		return
	}
	x.open.state = CompleteAbort
	if commit {
		x.open.state = CompleteCommit
		for name, offsets := range x.open.offsets {
			for tp, o := range offsets {
				if old := m.offsets[name][tp]; !old.at.After(o.at) {
					m.offsets[name][tp] = o
				}
			}
		}
	}
	x.open = nil
}

// opens returns the transaction that an id goes on with.
func (m *model) opens(x *modelID) *modelTxn {
	if x.open == nil {
		x.open = &modelTxn{state: Ongoing, deadline: time.Now().Add(x.timeout), offsets: make(map[string]map[log.TopicPartition]modelOffset), added: make(map[string]bool)}
	}
	return x.open
}

func (m *model) init(x *modelID) {
	timeout := time.Duration(rapid.IntRange(1, 60).Draw(m.T, "timeout")) * time.Second
	var expected *Producer
	if len(x.held) > 0 && !x.lost && rapid.Bool().Draw(m.T, "goes on") {
		p := x.producer()
		expected = &p
	}
	p, err := m.h.Init(ctx, x.id, timeout, expected)
	if err != nil {
		m.Fatalf("init %s: %v", x.id, err)
	}
	for _, other := range m.ids {
		if slices.Contains(other.held, p) {
			m.Fatalf("%s was given before", p)
		}
	}
	m.ends(x, false)
	x.held, x.lost, x.timeout = append(x.held, p), false, timeout
}

func (m *model) add() {
	x := m.someID()
	if x == nil {
		return
	}
	if rapid.Bool().Draw(m.T, "group too") {
		name := m.groupName()
		m.h.must(m.h.AddOffsets(ctx, x.id, x.producer(), name))
		m.opens(x).added[name] = true
		return
	}
	to := m.tp()
	m.h.must(m.h.AddPartitions(ctx, x.id, x.producer(), to))
	m.opens(x).added[to.String()] = true
}

// allowed checks whether something is refused as it should be that was not added.
func (m *model) allowed(x *modelID, what string, implicit bool, err error) bool {
	ok := implicit || x.open != nil && x.open.added[what]
	if ok != (err == nil) || err != nil && !errors.Is(err, log.ErrNotInTransaction) {
		m.Fatalf("%s by %s, implicit %t: %v", what, x.id, implicit, err)
	}
	if ok {
		m.opens(x).added[what] = true
	}
	return ok
}

func (m *model) value() string {
	m.values++
	return fmt.Sprint(m.values)
}

func (m *model) produce() {
	x := m.someID()
	if x == nil {
		return
	}
	to, implicit, value := m.tp(), rapid.Bool().Draw(m.T, "implicit"), m.value()
	err := m.h.produce(x.id, x.producer(), to, value, implicit)
	if m.allowed(x, to.String(), implicit, err) {
		m.logs[to] = append(m.logs[to], modelRecord{value, x.open})
	}
}

func (m *model) pend() {
	x := m.someID()
	if x == nil {
		return
	}
	name, of, implicit := m.groupName(), m.tp(), rapid.Bool().Draw(m.T, "implicit")
	n := rapid.Int64Range(0, 100).Draw(m.T, "offset")
	err := m.h.CommitOffsets(ctx, x.id, x.producer(), implicit, name, commits(of, n))
	if m.allowed(x, name, implicit, err) {
		if x.open.offsets[name] == nil {
			x.open.offsets[name] = make(map[log.TopicPartition]modelOffset)
		}
		x.open.offsets[name][of] = modelOffset{n, time.Now()}
	}
}

func (m *model) end() {
	x := m.someID()
	if x == nil {
		return
	}
	opts := EndOptions{Commit: rapid.Bool().Draw(m.T, "commit"), Bump: rapid.Bool().Draw(m.T, "bump")}
	open := x.open != nil
	p, err := m.h.End(ctx, x.id, x.producer(), opts)
	switch {
	case open && err != nil:
		m.Fatalf("end %s: %v", x.id, err)
	case err != nil && !errors.Is(err, log.ErrInvalidTxnState):
		m.Fatalf("end %s with nothing open: %v", x.id, err)
	case err == nil:
		m.ends(x, opts.Commit)
		if p != x.producer() {
			x.held = append(x.held, p)
		}
		if again, err := m.h.End(ctx, x.id, x.held[max(0, len(x.held)-2)], opts); open && opts.Bump && (err != nil || again != p) {
			m.Fatalf("end %s again: %s, %v, it was %s", x.id, again, err, p)
		}
	}
}

// stale is a producer that was fenced.
func (m *model) stale() {
	x := rapid.SampledFrom(m.ids).Draw(m.T, "id")
	held := x.held
	if !x.lost {
		held = held[:max(0, len(held)-1)]
	}
	if len(held) == 0 {
		return
	}
	p, of := rapid.SampledFrom(held).Draw(m.T, "old"), m.tp()
	implicit := rapid.Bool().Draw(m.T, "implicit")
	for what, err := range map[string]error{
		"add":     m.h.AddPartitions(ctx, x.id, p, of),
		"group":   m.h.AddOffsets(ctx, x.id, p, "g"),
		"produce": m.h.produce(x.id, p, of, "stale", implicit),
		"offsets": m.h.CommitOffsets(ctx, x.id, p, implicit, "g", commits(of, 999)),
	} {
		if !errors.Is(err, log.ErrProducerFenced) && !errors.Is(err, log.ErrInvalidProducerID) {
			m.Fatalf("%s as %s: %v", what, p, err)
		}
	}
}

// plain is a record without a transaction.
func (m *model) plain() {
	to, value := m.tp(), m.value()
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	m.h.must(err)
	m.h.must(m.h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: m.h.part(to), Batch: batch}}}))
	m.logs[to] = append(m.logs[to], modelRecord{value, nil})
}

// commit is an offset without a transaction.
func (m *model) commit() {
	name, of, n := m.groupName(), m.tp(), rapid.Int64Range(0, 100).Draw(m.T, "offset")
	m.h.must(m.h.groups.Commit(ctx, name, commits(of, n)))
	m.offsets[name][of] = modelOffset{n, time.Now()}
}

func (m *model) fence() {
	x := m.someID()
	if x == nil {
		return
	}
	m.h.must(m.h.Fence(ctx, x.id))
	m.ends(x, false)
	x.lost = true
}

func (m *model) pass() {
	time.Sleep(time.Duration(rapid.IntRange(0, 40).Draw(m.T, "seconds")) * time.Second)
	synctest.Wait()
	m.follow()
}

// follow finds out which transactions have timed out: those must have that are late by more than a second.
func (m *model) follow() {
	for _, x := range m.ids {
		if x.open == nil {
			continue
		}
		d, err := m.h.Describe(x.id)
		m.h.must(err)
		left := time.Until(x.open.deadline)
		if left > 0 && d.State != Ongoing || left < -time.Second && d.State != CompleteAbort {
			m.Fatalf("%s has %s left, and is %s", x.id, left, d.State)
		}
		if d.State != Ongoing {
			m.ends(x, false)
			x.lost = true
		}
	}
}

func (m *model) reopen() {
	m.h.reopen()
	synctest.Wait()
	m.follow()
}

func (m *model) check() {
	synctest.Wait()
	m.follow()
	for of, records := range m.logs {
		want := ""
		for _, r := range records {
			if r.txn != nil && r.txn.state == Ongoing {
				break
			}
			if r.txn == nil || r.txn.state == CompleteCommit {
				want += r.value + " "
			}
		}
		if got := m.h.committed(of); got != want {
			m.Fatalf("%s: committed is %q, want %q", of, got, want)
		}
	}
	for name, offsets := range m.offsets {
		got, err := m.h.groups.Fetch(name)
		m.h.must(err)
		if len(got) != len(offsets) {
			m.Fatalf("group %s has %v, want %v", name, got, offsets)
		}
		for of, o := range offsets {
			if got[of].Offset != o.offset {
				m.Fatalf("group %s is at %d in %s, want %d", name, got[of].Offset, of, o.offset)
			}
		}
		m.checkPending(name)
	}
}

// checkPending checks which partitions of a group have pending offsets.
func (m *model) checkPending(name string) {
	pending := make(map[log.TopicPartition]bool)
	for _, x := range m.ids {
		if x.open != nil {
			for of := range x.open.offsets[name] {
				pending[of] = true
			}
		}
	}
	got := make(map[log.TopicPartition]bool)
	for _, of := range m.h.groups.Pending(name) {
		got[of] = true
	}
	if !maps.Equal(got, pending) {
		m.Fatalf("group %s has pending offsets of %v, want %v", name, got, pending)
	}
}
