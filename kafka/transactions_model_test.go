package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// TestTransactionsOverTheWireLikeTheModel has producers with transactional ids, by both protocols, do what comes to their
// mind over the wire, beside Broker.Produce and Broker.Update, while records are deleted, expire and are compacted, old
// producers come back, and transactions time out. After each step Go consumers of either isolation, new ones and some that
// follow, see what they should: never an aborted or open record where only committed ones are read, all in order, and the
// last stable offset is where the first open transaction begins.
func TestTransactionsOverTheWireLikeTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var thrown any
		synctest.Test(t, func(t *testing.T) {
			defer func() { thrown = recover() }()
			newWireModel(t, rt).play()
		})
		switch {
		case t.Failed():
			rt.Fatal("the test has failed")
		case thrown == nil:
		case fmt.Sprintf("%T", thrown) == "rapid.invalidData": // rapid tells apart what is thrown by where that is
			panic(thrown)
		default:
			panic(thrown)
		}
	})
}

const (
	wireRetention  = time.Hour        // of the topic that has one, and of tombstones
	wireTimeout    = 10 * time.Minute // of transactions
	wireKeys       = 3
	lookAtTimeouts = 2 * time.Second // a transaction is aborted at most so late
)

// wireModel is a broker and what should be in it.
type wireModel struct {
	*rapid.T
	k       *kit
	logs    []*wireLog
	ids     []*wireID
	readers [2]*samsa.Consumer // that follow, by isolation
	values  int
}

// wireLog is partition 0 of a topic.
type wireLog struct {
	topic      string
	config     samsa.TopicConfig
	start, end int64
	entries    []*wireEntry // all that ever were, but markers
	followed   [2]int64     // up to where, by isolation
}

// wireEntry is a record.
type wireEntry struct {
	offset int64
	key    string
	value  string // "" is a tombstone
	at     time.Time
	txn    *wireTxn // nil for none
}

type wireTxn struct {
	open, committed bool
	deadline        time.Time
	in              map[*wireLog]bool
}

// wireID is a transactional id, with who has it, who had it, and its open transaction.
type wireID struct {
	p, old  *txnClient
	classic bool // partitions are added first, and epochs stay
	lost    bool // a time-out has fenced the producer
	txn     *wireTxn
}

func newWireModel(t *testing.T, rt *rapid.T) *wireModel {
	m := &wireModel{T: rt, k: startPipe(t, samsa.Options{}, Options{IdleTimeout: 1000 * time.Hour})}
	for topic, config := range map[string]samsa.TopicConfig{
		"a": {Retention: wireRetention},
		"b": {CleanupPolicy: samsa.CleanupCompact, DeleteRetention: wireRetention},
		"c": {},
	} {
		m.k.create(topic, config)
		m.logs = append(m.logs, &wireLog{topic: topic, config: config})
	}
	slices.SortFunc(m.logs, func(a, b *wireLog) int { return strings.Compare(a.topic, b.topic) })
	for i := range 4 {
		x := &wireID{classic: i%2 == 0, p: &txnClient{client: m.k.dial(), id: fmt.Sprint("t", i), seq: map[string]int32{}}}
		m.ids = append(m.ids, x)
		m.init(x)
	}
	for _, isolation := range []samsa.Isolation{samsa.ReadCommitted, samsa.ReadUncommitted} {
		m.readers[isolation] = m.consumer(isolation)
	}
	return m
}

func (m *wireModel) consumer(isolation samsa.Isolation) *samsa.Consumer {
	c, err := m.k.NewConsumer(m.k.ctx, samsa.ConsumerOptions{Topics: []string{"a", "b", "c"}, Isolation: isolation})
	m.must(err)
	return c
}

func (m *wireModel) must(err error) {
	if err != nil {
		m.Fatal(err)
	}
}

// is checks the code of an answer.
func (m *wireModel) is(what string, got, want int16) {
	if got != want {
		m.Fatalf("%s: %s, want %s", what, Code(got), Code(want))
	}
}

func (m *wireModel) play() {
	actions := map[string]func(*rapid.T){"": func(*rapid.T) { m.check() }}
	for name, act := range map[string]func(){
		"write": m.write, "write more": m.write, "end": m.end, "end soon": m.end, "take over": m.takeOver, "old producer": m.stale,
		"plain": m.plain, "update": m.update, "delete records": m.deleteRecords, "sweep": m.sweep, "time": m.pass,
	} {
		actions[name] = func(*rapid.T) { act() }
	}
	m.Repeat(actions)
	m.wait(wireTimeout)
	m.sweep()
	m.check()
	for _, l := range m.logs {
		if stable := m.offset(l.topic, -1, 1); stable != l.end {
			m.Fatalf("%s: %d of %d are stable in the end", l.topic, stable, l.end)
		}
	}
	for _, c := range m.readers {
		m.must(c.Close())
	}
}

// init has the producer of an id begin, which aborts what is open.
func (m *wireModel) init(x *wireID) {
	m.is("init", x.p.init(4, nil, int32(wireTimeout.Milliseconds())), 0)
	m.ended(x, false)
	x.lost = false
}

// ended notes the end of an open transaction.
func (m *wireModel) ended(x *wireID, commit bool) {
	if x.txn == nil {
		return
	}
	x.txn.open, x.txn.committed = false, commit
	for l := range x.txn.in {
		l.end++ // the marker
	}
	x.txn = nil
}

func (m *wireModel) anID() *wireID {
	x := rapid.SampledFrom(m.ids).Draw(m.T, "id")
	if x.lost {
		m.init(x)
	}
	return x
}

func (m *wireModel) aLog() *wireLog { return rapid.SampledFrom(m.logs).Draw(m.T, "topic") }

// some draws the next entries of a log.
func (m *wireModel) some(l *wireLog, txn *wireTxn) (more []*wireEntry) {
	for i := range rapid.IntRange(1, 3).Draw(m.T, "records") {
		m.values++
		e := &wireEntry{offset: l.end + int64(i), key: fmt.Sprint("k", rapid.IntRange(1, wireKeys).Draw(m.T, "key")), at: time.Now(), txn: txn}
		if rapid.IntRange(0, 4).Draw(m.T, "tombstone") > 0 {
			e.value = fmt.Sprint("v", m.values)
		}
		more = append(more, e)
	}
	return more
}

// add notes that they are there.
func (l *wireLog) add(more []*wireEntry) {
	l.entries = append(l.entries, more...)
	l.end += int64(len(more))
}

// send has a producer send entries, in its transaction.
func (m *wireModel) send(x *wireID, l *wireLog, more []*wireEntry) (code int16, offset int64) {
	var b log.Builder
	for _, e := range more {
		b.Append(e.at.UnixMilli(), []byte(e.key), e.bytes(), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	m.must(err)
	batch[22] |= 1 << 4
	batch.SetProducer(x.p.now.ID, x.p.now.Epoch, x.p.seq[l.topic])
	req := produceRequest(-1, l.topic, batch)
	req.TransactionID = &x.p.id
	version := int16(12)
	if x.classic {
		version = 9
	}
	resp := ask[*kmsg.ProduceResponse](x.p.client, version, req).Topics[0].Partitions[0]
	return resp.ErrorCode, resp.BaseOffset
}

func (e *wireEntry) bytes() []byte {
	if e.value == "" {
		return nil
	}
	return []byte(e.value)
}

// write has a producer write in its transaction, which it begins if there is none.
func (m *wireModel) write() {
	x, l := m.anID(), m.aLog()
	if x.txn == nil {
		x.txn = &wireTxn{open: true, deadline: time.Now().Add(wireTimeout), in: make(map[*wireLog]bool)}
	}
	if x.classic && !x.txn.in[l] {
		m.is("add", must16(x.p.add(3, l.topic)), 0)
	}
	x.txn.in[l] = true
	more := m.some(l, x.txn)
	code, offset := m.send(x, l, more)
	m.is("produce", code, 0)
	if offset != l.end {
		m.Fatalf("%s: written at %d, want %d", l.topic, offset, l.end)
	}
	x.p.seq[l.topic] += int32(len(more))
	l.add(more)
}

// must16 is a code that was written as text.
func must16(s string) (code int16) {
	if _, err := fmt.Sscan(s, &code); err != nil {
		return -1
	}
	return code
}

func (m *wireModel) end() {
	x, commit := m.anID(), rapid.Bool().Draw(m.T, "commit")
	if x.txn == nil {
		return
	}
	version := int16(5)
	if x.classic {
		version = 4
	}
	old := x.p.now
	m.is("end", x.p.end(version, commit), 0)
	m.ended(x, commit)
	if rapid.Bool().Draw(m.T, "again") { // the first answer was lost
		next := x.p.now
		x.p.now = old
		m.is("end again", x.p.end(version, commit), 0)
		if x.p.now != next {
			m.Fatalf("the end, again, gives %v, before it gave %v", x.p.now, next)
		}
	}
}

// takeOver has another producer begin with an id. The one before it is old then.
func (m *wireModel) takeOver() {
	x := rapid.SampledFrom(m.ids).Draw(m.T, "id")
	x.old, x.p = x.p, &txnClient{client: m.k.dial(), id: x.p.id, seq: map[string]int32{}}
	m.init(x)
}

// stale has a producer go on that another has replaced.
func (m *wireModel) stale() {
	x, l := rapid.SampledFrom(m.ids).Draw(m.T, "id"), m.aLog()
	if x.old == nil {
		return
	}
	was := &wireID{p: x.old, classic: x.classic}
	if code, _ := m.send(was, l, m.some(l, nil)); code != codeInvalidProducerEpoch {
		m.Fatalf("an old producer writes: %s", Code(code))
	}
	m.is("an old producer commits", x.old.end(4, true), codeProducerFenced)
}

func (m *wireModel) plain() {
	l := m.aLog()
	more := m.some(l, nil)
	_, err := m.k.Produce(m.k.ctx, l.records(more)...)
	m.must(err)
	l.add(more)
}

func (l *wireLog) records(some []*wireEntry) (records []samsa.Record) {
	for _, e := range some {
		records = append(records, samsa.Record{Topic: l.topic, Key: []byte(e.key), Value: e.bytes(), Timestamp: e.at})
	}
	return records
}

// update writes to all topics at once, or nowhere.
func (m *wireModel) update() {
	fails := rapid.Bool().Draw(m.T, "fails")
	errNo := errors.New("no")
	var all [][]*wireEntry
	err := m.k.Update(m.k.ctx, func(tx *samsa.Tx) error {
		all = nil
		for _, l := range m.logs {
			more := m.some(l, nil)
			all = append(all, more)
			m.must(tx.Produce(l.records(more)...))
		}
		if fails {
			return errNo
		}
		return nil
	})
	if fails != errors.Is(err, errNo) || !fails && err != nil {
		m.Fatalf("update: %v", err)
	}
	for i, l := range m.logs {
		if !fails {
			l.add(all[i])
		}
	}
}

func (m *wireModel) deleteRecords() {
	l := m.aLog()
	before := rapid.Int64Range(l.start, l.end).Draw(m.T, "before")
	m.must(m.k.Topics().DeleteRecords(m.k.ctx, l.topic, map[int32]int64{0: before}))
	l.start = max(l.start, before)
}

func (m *wireModel) sweep() {
	_, err := m.k.Sweep(m.k.ctx)
	m.must(err)
}

func (m *wireModel) pass() {
	m.wait(time.Duration(rapid.SampledFrom([]int{1, 4, 20, 70}).Draw(m.T, "minutes")) * time.Minute)
}

// wait lets time pass, and the transactions that have taken too long be aborted.
func (m *wireModel) wait(d time.Duration) {
	time.Sleep(d)
	late := func(x *wireID) bool { return x.txn != nil && !time.Now().Before(x.txn.deadline) }
	for slices.ContainsFunc(m.ids, func(x *wireID) bool { return late(x) && time.Since(x.txn.deadline) < lookAtTimeouts }) {
		time.Sleep(lookAtTimeouts)
	}
	synctest.Wait()
	for _, x := range m.ids {
		if late(x) {
			m.ended(x, false)
			x.lost = true
		}
	}
}

// offset asks for an offset over the wire.
func (m *wireModel) offset(topic string, which int64, isolation int8) int64 {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Timestamp = which
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
	resp := ask[*kmsg.ListOffsetsResponse](m.ids[0].p.client, 5, req).Topics[0].Partitions[0]
	m.is("offsets", resp.ErrorCode, 0)
	return resp.Offset
}

func (m *wireModel) check() {
	synctest.Wait()
	var stable []int64
	for _, l := range m.logs {
		stable = append(stable, m.checkOffsets(l))
	}
	for isolation := range m.readers {
		read := func(c *samsa.Consumer, follows bool) {
			records := m.drain(c)
			for i, l := range m.logs {
				to := l.end
				if samsa.Isolation(isolation) == samsa.ReadCommitted {
					to = stable[i]
				}
				from := l.start
				if follows {
					from, l.followed[isolation] = max(from, l.followed[isolation]), to
				}
				m.compare(l, records[l.topic], samsa.Isolation(isolation) == samsa.ReadCommitted, from, to)
			}
		}
		read(m.readers[isolation], true)
		c := m.consumer(samsa.Isolation(isolation))
		read(c, false)
		m.must(c.Close())
	}
}

// checkOffsets checks where a log begins, ends, and is stable, and returns the last.
func (m *wireModel) checkOffsets(l *wireLog) int64 {
	start, end, stable := m.offset(l.topic, -2, 0), m.offset(l.topic, -1, 0), m.offset(l.topic, -1, 1)
	for _, e := range l.entries {
		if e.offset >= l.start && e.offset < start && !l.expired(e) {
			m.Fatalf("%s: the record at %d has gone before its time, the log begins at %d", l.topic, e.offset, start)
		}
	}
	if start < l.start || start > l.start && l.config.Retention == 0 {
		m.Fatalf("%s begins at %d, want %d", l.topic, start, l.start)
	}
	l.start = start
	first := l.end
	for _, e := range l.entries {
		if e.txn != nil && e.txn.open {
			first = min(first, e.offset)
		}
	}
	if want := max(l.start, first); end != l.end || stable != want {
		m.Fatalf("%s ends at %d and is stable up to %d, want %d and %d", l.topic, end, stable, l.end, want)
	}
	return stable
}

func (l *wireLog) expired(e *wireEntry) bool {
	return l.config.Retention > 0 && time.Since(e.at) >= l.config.Retention
}

// drain returns what a consumer has before it.
func (m *wireModel) drain(c *samsa.Consumer) map[string][]samsa.Record {
	all := make(map[string][]samsa.Record)
	for idle := 0; idle < 2; idle++ {
		synctest.Wait()
		records, err := c.Collect(m.k.ctx, 1000, 0)
		m.must(err)
		for _, r := range records {
			all[r.Topic], idle = append(all[r.Topic], r), 0
		}
	}
	return all
}

// compare checks what was read of a log: in order, what may be read, and all of [from, to) that has to be there.
func (m *wireModel) compare(l *wireLog, records []samsa.Record, committed bool, from, to int64) {
	got := make(map[int64]bool, len(records))
	last := int64(-1)
	for _, r := range records {
		i, ok := slices.BinarySearchFunc(l.entries, r.Offset, func(e *wireEntry, offset int64) int { return int(e.offset - offset) })
		if !ok || string(r.Key) != l.entries[i].key || string(r.Value) != l.entries[i].value {
			m.Fatalf("%s: read %q at %d, which is not there", l.topic, r.Value, r.Offset)
		}
		if e := l.entries[i]; committed && !e.isCommitted() {
			m.Fatalf("%s: read what is not committed, %q at %d", l.topic, r.Value, r.Offset)
		}
		if r.Offset <= last {
			m.Fatalf("%s: offset %d behind %d", l.topic, r.Offset, last)
		}
		last = r.Offset
		got[r.Offset] = true
	}
	newer := make(map[string]bool) // keys of committed records further on
	for _, e := range slices.Backward(l.entries) {
		stays := l.config.CleanupPolicy != samsa.CleanupCompact ||
			!newer[e.key] && (e.value != "" || time.Since(e.at) < l.config.DeleteRetention) && (e.isCommitted() || e.txn.open)
		if e.offset >= from && e.offset < to && (e.isCommitted() || !committed) && stays && !got[e.offset] {
			m.Fatalf("%s: %q at %d is not read, committed only %v, from %d up to %d", l.topic, e.value, e.offset, committed, from, to)
		}
		newer[e.key] = newer[e.key] || e.isCommitted()
	}
}

func (e *wireEntry) isCommitted() bool { return e.txn == nil || e.txn.committed }
