package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/txn"
)

// The queue property test has eight workers of two queues receive, acknowledge, and be late, while records come, some of
// them delayed or in transactions, the topic grows, loses its oldest records, is compacted or made anew, and the broker
// crashes. A model says where each record is. Time is virtual, and so it says exactly what must be there to be had.

func TestQueueProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() { runQueues(rt) })
	})
}

const (
	queueWorkers = 8
	queueLock    = 10 * time.Second
	queueRetry   = 2 * time.Second
)

// queued is a record as the model has it.
type queued struct {
	value     string
	key       string
	after     time.Time // not before, by header or by release
	count     int
	holder    int // the worker that has it, -1 for none
	until     time.Time
	done      bool
	dead      bool // done, as a dead letter
	aborted   bool // of a transaction
	crashed   bool // while somebody had it
	superable bool // there is a later one of its key: a compacted topic may have lost it
}

// given is a delivery that a worker was given.
type given struct {
	samsa.Delivery
	rec   *queued
	of    int // the topic's incarnation
	count int
}

type queueModel struct {
	t           *rapid.T
	ctx         context.Context
	b           *samsa.Broker
	opts        samsa.QueueOptions
	config      samsa.TopicConfig
	queues      [2]*samsa.Queue
	partitions  [][]*queued // by partition and offset; nil where there is no record
	incarnation int
	held        [queueWorkers][]given
	letters     map[string]bool // false for those that may be none
	written     int
	txn         *txn.Producer // whose transaction is open in partition 0
	openFrom    int
}

func runQueues(t *rapid.T) {
	m := &queueModel{
		t: t, ctx: context.Background(), letters: make(map[string]bool), partitions: make([][]*queued, 2),
		opts: samsa.QueueOptions{
			Group: "g", Topics: []string{"t"}, DeadLetter: "dead", Lock: queueLock,
			MaxDeliveries: rapid.SampledFrom([]int{2, 3, samsa.Unlimited}).Draw(t, "MaxDeliveries"),
			MaxInFlight:   rapid.SampledFrom([]int{0, 3}).Draw(t, "MaxInFlight"),
			OrderByKey:    rapid.Bool().Draw(t, "OrderByKey"),
			Retry:         samsa.Retry{Min: queueRetry, Jitter: -1},
		},
	}
	m.config.Partitions = 2
	if rapid.Bool().Draw(t, "compact") {
		m.config.CleanupPolicy = samsa.CleanupCompact
	}
	m.b = mustOpenIn(t, store.OpenMemory())
	defer func() { _ = m.b.Close() }()
	m.must(m.b.Topics().Create(m.ctx, "t", m.config))
	m.must(m.b.Topics().Create(m.ctx, "dead", samsa.TopicConfig{}))
	m.openQueues()
	t.Repeat(map[string]func(*rapid.T){
		"": m.check, "write": m.write, "receive": m.receive, "receive more": m.receive, "settle": m.settle, "settle more": m.settle,
		"time": m.passTime, "crash": m.crash, "grow": m.grow, "delete records": m.deleteRecords, "make anew": m.makeAnew,
		"transaction": m.transact, "close a queue": m.closeQueue, "compact": m.compact,
	})
	m.drain()
}

func mustOpenIn(t *rapid.T, st store.Store) *samsa.Broker {
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (m *queueModel) must(err error) {
	if err != nil {
		m.failf("%v", err)
	}
}

// failf fails, and says at once what is wrong: with goroutines in it, the same may not come again when it is made smaller.
func (m *queueModel) failf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "queue property test: "+format+"\n", args...)
	m.t.Fatalf(format, args...)
}

func (m *queueModel) openQueues() {
	for i := range m.queues {
		var err error
		m.queues[i], err = m.b.NewQueue(m.ctx, m.opts)
		m.must(err)
	}
	synctest.Wait()
}

func (m *queueModel) write(t *rapid.T) {
	p := rapid.IntRange(0, len(m.partitions)-1).Draw(t, "partition")
	var records []samsa.Record
	for range rapid.IntRange(1, 6).Draw(t, "n") {
		m.written++
		q := &queued{value: fmt.Sprint(m.written), holder: -1, after: time.Now()}
		r := samsa.Record{Topic: "t", Partition: int32(p), Value: []byte(q.value)}
		if keys := []string{"", "k", "l"}; m.config.CleanupPolicy == samsa.CleanupCompact {
			q.key = rapid.SampledFrom(keys[1:]).Draw(t, "key")
		} else {
			q.key = rapid.SampledFrom(keys).Draw(t, "key")
		}
		if q.key != "" {
			r.Key = []byte(q.key)
		}
		if rapid.IntRange(0, 3).Draw(t, "delayed") == 0 {
			q.after = time.Now().Add(time.Duration(rapid.IntRange(1, 30000).Draw(t, "ms")) * time.Millisecond)
			r.Headers = []samsa.Header{{Key: "x"}, samsa.NotBefore(q.after)}
		}
		for _, before := range m.partitions[p] {
			if before != nil && before.key == q.key {
				before.superable = true
			}
		}
		m.partitions[p] = append(m.partitions[p], q)
		records = append(records, r)
	}
	codec := rapid.SampledFrom([]samsa.Compression{samsa.CompressionNone, samsa.CompressionZstd}).Draw(t, "codec")
	_, err := m.b.ProduceWith(m.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner(), Compression: codec}, records...)
	m.must(err)
}

// transact opens a transaction in partition 0, or ends it.
func (m *queueModel) transact(t *rapid.T) {
	if m.config.CleanupPolicy == samsa.CleanupCompact {
		return
	}
	if m.txn != nil {
		m.endTxn(rapid.Bool().Draw(t, "commit"))
		return
	}
	in := inside.Of(m.b)
	p, err := in.Txns.Init(m.ctx, "x", 15*time.Minute, nil)
	m.must(err)
	m.written++
	q := &queued{value: fmt.Sprint(m.written), holder: -1, after: time.Now()}
	m.must(produceIn(in, "t", "x", p, q.value))
	m.txn, m.openFrom = &p, len(m.partitions[0])
	m.partitions[0] = append(m.partitions[0], q)
}

func (m *queueModel) endTxn(commit bool) {
	if m.txn == nil {
		return
	}
	_, err := inside.Of(m.b).Txns.End(m.ctx, "x", *m.txn, txn.EndOptions{Commit: commit})
	m.must(err)
	m.partitions[0][m.openFrom].aborted = !commit
	m.partitions[0] = append(m.partitions[0], nil) // the marker
	m.txn = nil
}

// align has the time be a whole millisecond: a pause of an Update may have ended between two.
func align() {
	now := time.Now()
	time.Sleep(now.Add(time.Millisecond - 1).Truncate(time.Millisecond).Sub(now))
	synctest.Wait()
}

// expire is what time has brought.
func (m *queueModel) expire() {
	for _, p := range m.partitions {
		for _, q := range p {
			if q != nil && q.holder >= 0 && !time.Now().Before(q.until) {
				m.fail(q, q.until.Add(m.wait(q.count)))
			}
		}
	}
}

// wait is how long a record waits after so many deliveries.
func (m *queueModel) wait(count int) time.Duration { return min(queueRetry<<(count-1), 5*time.Minute) }

// fail is the end of a delivery that was in vain.
func (m *queueModel) fail(q *queued, after time.Time) {
	q.holder = -1
	if m.opts.MaxDeliveries > 0 && q.count >= m.opts.MaxDeliveries {
		m.kill(q)
		return
	}
	q.after = after
}

func (m *queueModel) kill(q *queued) {
	q.done, q.dead, q.holder = true, true, -1
	m.letters[q.value] = true
}

// available reports whether a record is to be had.
func (m *queueModel) available(partition, offset int) bool {
	p := m.partitions[partition]
	q := p[offset]
	if q == nil || q.done || q.aborted || q.holder >= 0 || time.Now().Before(q.after) || partition == 0 && m.txn != nil && offset >= m.openFrom {
		return false
	}
	if m.opts.OrderByKey && q.key != "" {
		for _, before := range p[:offset] {
			if before != nil && !before.done && !before.aborted && before.key == q.key {
				return false
			}
		}
	}
	return true
}

// room is how many more records of a partition may be out.
func (m *queueModel) room(partition int) int {
	room := m.opts.MaxInFlight
	if room == 0 {
		room = 2000
	}
	for _, q := range m.partitions[partition] {
		if q != nil && q.holder >= 0 {
			room--
		}
	}
	return room
}

// blocked reports whether a record that is out comes after another one of its key.
func (m *queueModel) blocked(partition, offset int) bool {
	p := m.partitions[partition]
	for _, before := range p[:offset] {
		if before != nil && !before.done && !before.aborted && p[offset].key != "" && before.key == p[offset].key && !before.superable {
			return m.opts.OrderByKey
		}
	}
	return false
}

func (m *queueModel) receive(t *rapid.T) {
	worker := rapid.IntRange(0, queueWorkers-1).Draw(t, "worker")
	most := rapid.IntRange(1, 5).Draw(t, "most")
	m.take(t, worker, most)
}

// take receives, and compares with the model.
func (m *queueModel) take(t *rapid.T, worker, most int) int {
	align()
	m.expire()
	some := false
	for i, p := range m.partitions {
		for offset, q := range p {
			some = some || m.room(i) > 0 && m.available(i, offset) && !q.superable
		}
	}
	ctx, cancel := context.WithTimeout(m.ctx, time.Millisecond)
	defer cancel()
	began := time.Now()
	ds, err := m.queues[worker%2].Receive(ctx, most)
	switch {
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		t.Fatal(err)
	case err != nil && some:
		m.failf("there is something to be had, and nothing came: %s", m.tell())
	case err == nil && time.Since(began) > time.Millisecond, len(ds) > most:
		m.failf("%d records after %s", len(ds), time.Since(began))
	}
	m.expire() // a millisecond has passed perhaps
	for _, d := range ds {
		p, offset := m.partitions[d.Record.Partition], int(d.Record.Offset)
		if offset >= len(p) || p[offset] == nil || p[offset].value != string(d.Record.Value) {
			m.failf("%+v came, which is not there", d.Record)
		}
		q := p[offset]
		if q.done || q.aborted || q.holder >= 0 || time.Now().Before(q.after) || m.blocked(int(d.Record.Partition), offset) {
			m.failf("%d/%d came to worker %d: %+v", d.Record.Partition, offset, worker, q)
		}
		q.count++
		q.holder, q.until = worker, d.Until
		if d.Deliveries != q.count || time.Until(d.Until) != queueLock && time.Until(d.Until) != queueLock-time.Millisecond {
			m.failf("delivery %d of %+v, until %s from now", d.Deliveries, q, time.Until(d.Until))
		}
		m.held[worker] = append(m.held[worker], given{d, q, m.incarnation, q.count})
	}
	for i := range m.partitions {
		if m.room(i) < 0 {
			m.failf("more are out than may be")
		}
	}
	return len(ds)
}

func (m *queueModel) tell() (s string) {
	for i, p := range m.partitions {
		for offset, q := range p {
			if q != nil && !q.done && !q.aborted {
				s += fmt.Sprintf("\n%d/%d %+v", i, offset, *q)
			}
		}
	}
	return s
}

// settle acknowledges a delivery that a worker has, or had.
func (m *queueModel) settle(t *rapid.T) {
	align()
	worker := rapid.IntRange(0, queueWorkers-1).Draw(t, "worker")
	if len(m.held[worker]) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held[worker])-1).Draw(t, "delivery")
	g := m.held[worker][i]
	m.expire()
	valid := g.of == m.incarnation && !g.rec.done && g.rec.holder == worker && g.rec.count == g.count
	removed := g.of == m.incarnation && g.rec.done && g.rec.superable // what is not there any more is done already, or never
	now := time.Now()
	var err error
	after := now
	what := rapid.SampledFrom([]string{"ack", "ack", "retry", "release", "reject", "extend", "update"}).Draw(t, "what")
	switch what {
	case "ack":
		err = g.Ack()
	case "retry":
		after = now.Add(m.wait(g.count))
		err = g.Retry()
	case "release":
		after = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
		err = g.Release(after.Sub(now))
	case "reject":
		err = g.Reject("")
	case "extend":
		err = g.Extend()
	case "update":
		err = m.b.Update(m.ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte(g.rec.value), nil), tx.Ack(g.Delivery))
		})
	}
	synctest.Wait()
	if m.isGone(g) {
		return // by retention: it is acknowledged without an effect, or not
	}
	if valid != (err == nil) && !removed {
		m.failf("%s of %+v by %d, delivery %d: %v", what, *g.rec, worker, g.count, err)
	}
	if err != nil {
		return
	}
	switch what {
	case "ack", "update":
		g.rec.done, g.rec.holder = true, -1
	case "retry", "release":
		m.fail(g.rec, after)
	case "reject":
		m.kill(g.rec)
	case "extend":
		g.rec.until = now.Add(queueLock)
	}
}

// isGone reports whether the record of a delivery was deleted.
func (m *queueModel) isGone(g given) bool {
	return g.of == m.incarnation && m.partitions[g.Record.Partition][g.Record.Offset] != g.rec
}

func (m *queueModel) passTime(t *rapid.T) {
	m.endTxn(true)
	time.Sleep(time.Duration(rapid.IntRange(1, 20000).Draw(t, "ms")) * time.Millisecond)
	align()
	m.expire()
}

// crash has all be as a death of the process leaves it: nobody has anything.
func (m *queueModel) crash(t *rapid.T) {
	m.endTxn(false)
	align()
	m.expire()
	if rapid.Bool().Draw(t, "close") {
		m.closeQueue(t)
	}
	left, err := inside.Of(m.b).Kill(false)
	m.must(err)
	m.b = mustOpenIn(t, left)
	for _, p := range m.partitions {
		for _, q := range p {
			if q != nil && q.holder >= 0 {
				q.crashed = true
				m.fail(q, time.Now())
			}
		}
	}
	m.held = [queueWorkers][]given{}
	m.openQueues()
}

// closeQueue closes a queue and opens another one: what it had is given back.
func (m *queueModel) closeQueue(t *rapid.T) {
	align()
	m.expire()
	i := rapid.IntRange(0, 1).Draw(t, "queue")
	m.must(m.queues[i].Close())
	for w := i; w < queueWorkers; w += 2 {
		for _, g := range m.held[w] {
			if g.of == m.incarnation && !m.isGone(g) && g.rec.holder == w {
				m.fail(g.rec, time.Now())
			}
		}
		m.held[w] = nil
	}
	var err error
	m.queues[i], err = m.b.NewQueue(m.ctx, m.opts)
	m.must(err)
	synctest.Wait()
}

func (m *queueModel) grow(*rapid.T) {
	if len(m.partitions) < 4 {
		m.must(m.b.Topics().AddPartitions(m.ctx, "t", len(m.partitions)+1))
		m.partitions = append(m.partitions, nil)
		synctest.Wait()
	}
}

func (m *queueModel) deleteRecords(t *rapid.T) {
	if m.config.CleanupPolicy == samsa.CleanupCompact || rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		return
	}
	m.endTxn(true)
	synctest.Wait()
	p := rapid.IntRange(0, len(m.partitions)-1).Draw(t, "partition")
	to := rapid.IntRange(0, len(m.partitions[p])).Draw(t, "to")
	m.must(m.b.Topics().DeleteRecords(m.ctx, "t", map[int32]int64{int32(p): int64(to)}))
	for offset := range to {
		m.forget(m.partitions[p][offset])
		m.partitions[p][offset] = nil
	}
}

// forget is the end of a record. One that a crash has made a dead letter is none before somebody comes to it.
func (m *queueModel) forget(q *queued) {
	if q != nil && q.crashed && m.letters[q.value] {
		m.letters[q.value] = false
	}
}

func (m *queueModel) makeAnew(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
		return
	}
	m.endTxn(true)
	synctest.Wait()
	m.must(m.b.Topics().Delete(m.ctx, "t"))
	m.incarnation++
	m.config.Partitions = 2
	for _, p := range m.partitions {
		for _, q := range p {
			m.forget(q)
		}
	}
	m.partitions = make([][]*queued, 2)
	m.must(m.b.Topics().Create(m.ctx, "t", m.config))
	synctest.Wait()
	for _, q := range m.queues { // it may tell of the deletion, once for each partition
		for range 8 {
			ctx, cancel := context.WithTimeout(m.ctx, time.Millisecond)
			if _, err := q.Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, samsa.ErrUnknownTopic) {
				t.Fatal(err)
			}
			cancel()
		}
	}
}

func (m *queueModel) compact(*rapid.T) {
	_, err := m.b.Sweep(m.ctx)
	m.must(err)
}

// check looks at what the group tells of itself.
func (m *queueModel) check(t *rapid.T) {
	align()
	m.expire()
	s, err := m.queues[0].Stats(m.ctx)
	m.must(err)
	out := 0
	for i := range m.partitions {
		for _, q := range m.partitions[i] {
			if q != nil && q.holder >= 0 {
				out++
			}
		}
	}
	if int(s.InFlight) != out {
		m.failf("%d are out, %d are told: %s", out, s.InFlight, m.tell())
	}
}

// drain does all that is left: nothing may be lost, and the dead letters are those that must be.
func (m *queueModel) drain() {
	m.endTxn(true)
	for idle := 0; idle < 3; {
		n := m.take(m.t, 0, 5)
		for _, g := range m.held[0] {
			if g.of == m.incarnation && !m.isGone(g) && g.rec.holder == 0 && g.rec.count == g.count {
				m.must(g.Ack())
				g.rec.done, g.rec.holder = true, -1
			}
		}
		m.held[0] = nil
		if idle++; n > 0 {
			idle = 0
			continue
		}
		time.Sleep(6 * time.Minute)
	}
	synctest.Wait()
	for i, p := range m.partitions {
		for offset, q := range p {
			if q != nil && !q.done && !q.aborted && !q.superable {
				m.failf("%d/%d was lost: %+v", i, offset, q)
			}
		}
	}
	if s, err := m.queues[0].Stats(m.ctx); err != nil || s.Lag != 0 || s.InFlight != 0 || s.Waiting != 0 {
		m.failf("all is done, and the group tells %+v, %v", s, err)
	}
	m.checkLetters()
}

func (m *queueModel) checkLetters() {
	found := make(map[string]bool)
	for r, err := range m.b.Backward(m.ctx, samsa.TopicPartition{Topic: "dead"}, samsa.Latest()) {
		m.must(err)
		if len(r.Value) == 0 && m.config.CleanupPolicy == samsa.CleanupCompact {
			continue // the cleaner was there before
		}
		if found[string(r.Value)] {
			m.failf("%s is there twice", r.Value)
		}
		found[string(r.Value)] = true
	}
	for v, sure := range m.letters {
		if sure && !found[v] && m.config.CleanupPolicy != samsa.CleanupCompact {
			m.failf("%s is no dead letter", v)
		}
	}
	for v := range found {
		if _, ok := m.letters[v]; !ok {
			m.failf("%s is a dead letter", v)
		}
	}
}
