package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// TestCrashRetention kills a process that produces, commits, deletes records and sweeps all
// the time, again and again on one directory. After each kill nothing that should stay is
// gone, nothing that was gone comes back, and the next sweep finishes the work.
func TestCrashRetention(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	led := newSweptLedger(t, dir)
	for round := range kills(t, 2) {
		sweeps, lines := rng.IntN(8), rng.IntN(400)
		if rng.IntN(10) == 0 {
			sweeps, lines = 0, 0 // before it has even opened the directory, or while it does
		}
		enough := afterSweeps(sweeps, lines)
		if round == 0 {
			enough = afterAll() // so that every policy has something to do: see sum
		}
		told := killWhen(t, "sweep", enough, dir, fmt.Sprint(round))
		if !t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			led.listen(t, told)
			led.inspect(t, dir)
		}) {
			t.Fatalf("seed %d, killed after %d sweeps and %d lines", seed, sweeps, lines)
		}
	}
	led.sum(t)
}

// What the child writes to, 2 partitions each.
const (
	sizeTopic   = "size"   // keeps sweptBytes of each partition
	latestTopic = "latest" // compacted; a few keys, and tombstones that go the second time
	queueTopic  = "queue"  // what both groups have passed goes
	handTopic   = "hand"   // nothing goes but by DeleteRecords

	sweptPartitions = 2
	sweptBytes      = 256 << 10
	sweptKeys       = 8

	crewGroup = "crew" // a consumer commits for it
	deskGroup = "desk" // AlterOffsets commits for it

	sweepWriters = 3                           // that produce in the child
	sweepRecords = 5                           // of a call, at most, all for one partition
	batchRecords = sweepWriters * sweepRecords // of a stored batch, at most: calls are folded

	recordOverhead  = 150
	sweptValueShare = 2 // values are so many times shorter than crashValue
	maxStoredRecord = maxCrashBytes/sweptValueShare + recordOverhead
)

var sweptTopics = map[string]samsa.TopicConfig{
	sizeTopic:   {RetentionBytes: sweptBytes},
	latestTopic: {CleanupPolicy: samsa.CleanupCompact, DeleteRetention: time.Millisecond},
	queueTopic:  {CleanupPolicy: samsa.CleanupConsumed},
	handTopic:   {Retention: samsa.Unlimited},
}

// sweptOptions make stored sizes those of keys and values, and a little.
var sweptOptions = samsa.Options{Produce: samsa.ProduceOptions{
	Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner(),
}}

// The kinds of records in the compacted topic: a head ends in its key and its kind.
const (
	valueKind = "value"
	tombKind  = "tomb" // a tombstone: a sweep that keeps it sets its time, a later one takes it
)

// keyAndKind are the last words of a head.
func keyAndKind(head string) (key, kind string) {
	words := strings.Split(head, "-")
	return words[len(words)-2], words[len(words)-1]
}

// headRecord is the record with that head.
func headRecord(topic string, partition int32, head string) samsa.Record {
	value := crashValue(head)
	r := samsa.Record{
		Topic: topic, Partition: partition, Value: value[:len(value)/sweptValueShare],
		Headers: []samsa.Header{{Key: "head", Value: []byte(head)}},
	}
	key, kind := keyAndKind(head)
	r.Key = []byte(key)
	if kind == tombKind {
		r.Value = nil
	}
	return r
}

// storedBytes is not less than what r takes in its batch.
func storedBytes(r samsa.Record) int64 {
	return int64(len(r.Key)+len(r.Value)) + recordOverhead
}

// childBodies gets the child of this test.
var _ = func() bool { childBodies["sweep"] = sweepUntilKilled; return true }()

// afterSweeps is enough when so many sweeps have ended, and so many lines came after that.
func afterSweeps(sweeps, lines int) func(string) bool {
	return func(line string) bool {
		switch {
		case sweeps <= 0 && line != "":
			lines--
		case strings.HasPrefix(line, "swept "):
			sweeps--
		}
		return sweeps <= 0 && lines <= 0
	}
}

// afterAll is enough when each partition of size has had much more than it may keep, and four sweeps have ended after that.
func afterAll() func(string) bool {
	produced := make(map[string]int)
	full, swept := 0, afterSweeps(4, 0)
	return func(line string) bool {
		words := strings.Fields(line)
		if len(words) > 2 && words[0] == "produced" && words[1] == sizeTopic {
			if produced[words[2]]++; produced[words[2]] == 2*sweptBytes/(maxStoredRecord/2) { // they are of half the most, by and large
				full++
			}
		}
		return full == sweptPartitions && swept(line)
	}
}

// sweepUntilKilled is the child. Its arguments are the directory and the round. All its lines
// are "what topic partition offset word":
//
//	bury      a tombstone with the head word is about to be produced
//	produced  the record with the head word
//	doom      DeleteRecords is about to be called
//	start     the log start offset was seen there, or DeleteRecords has returned
//	take      the group word is about to commit the offset
//	took      it has done so
//	sweep     Broker.Sweep is about to be called
//	swept     it has returned
func sweepUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], sweptOptions)
	if err != nil {
		return err
	}
	desk, err := b.Groups().Committed(context.Background(), deskGroup)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range sweepWriters {
		w := &sweepWriter{b: b, name: fmt.Sprintf("%s-%d", args[1], i), rng: rand.New(rand.NewPCG(rand.Uint64(), 0)), desk: desk}
		go func() {
			for {
				step := w.anything
				if i == 0 {
					step = w.remove
				}
				if err := step(); err != nil {
					failed <- err
				}
			}
		}()
	}
	go func() { failed <- takeQueue(b) }()
	go func() { failed <- sweepAlways(b) }()
	return <-failed
}

// sweepAlways sweeps all the time.
func sweepAlways(b *samsa.Broker) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		nextMillisecond()
		if err := tell("sweep all 0 %d -\n", i); err != nil {
			return err
		}
		if _, err := b.Sweep(ctx); err != nil {
			return err
		}
		for name := range sweptTopics {
			offsets, err := b.ListOffsets(ctx, name, samsa.Earliest())
			if err != nil {
				return err
			}
			for _, o := range offsets {
				if err := tell("start %s %d %d -\n", name, o.Partition, o.Offset); err != nil {
					return err
				}
			}
		}
		if err := tell("swept all 0 %d -\n", i); err != nil {
			return err
		}
	}
}

// nextMillisecond returns when the clock shows another one, and tombstones that a sweep has marked
// may go.
func nextMillisecond() {
	for began := time.Now().UnixMilli(); time.Now().UnixMilli() == began; {
		runtime.Gosched()
	}
}

// takeQueue works off the queue as the member of a group.
func takeQueue(b *samsa.Broker) error {
	ctx := context.Background()
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: crewGroup, Topics: []string{queueTopic}, MaxPollRecords: 50, OutOfRange: samsa.ResetError,
		Member: samsa.MemberOptions{InstanceID: "seat", ManualCommit: true},
	})
	if err != nil {
		return err
	}
	next := make(map[samsa.TopicPartition]samsa.CommittedOffset)
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			if at, ok := next[tp]; ok && r.Offset != at.Offset {
				return fmt.Errorf("%s: offset %d comes where %d should", tp, r.Offset, at.Offset)
			}
			next[tp] = samsa.CommittedOffset{Offset: r.Offset + 1}
		}
		if err := tellTaken("take", next); err != nil {
			return err
		}
		if err := c.CommitOffsets(ctx, next); err != nil {
			return err
		}
		if err := tellTaken("took", next); err != nil {
			return err
		}
	}
}

func tellTaken(what string, offsets map[samsa.TopicPartition]samsa.CommittedOffset) error {
	var lines strings.Builder
	for tp, o := range offsets {
		fmt.Fprintf(&lines, "%s %s %d %d %s\n", what, tp.Topic, tp.Partition, o.Offset, crewGroup)
	}
	return tell("%s", lines.String())
}

// sweepWriter is a goroutine of the child.
type sweepWriter struct {
	b    *samsa.Broker
	name string // differs among all writers of all rounds
	rng  *rand.Rand
	call int
	desk map[samsa.TopicPartition]samsa.CommittedOffset // where that group is; for remove
}

// anything produces to any topic.
func (w *sweepWriter) anything() error {
	names := []string{sizeTopic, latestTopic, latestTopic, queueTopic, handTopic}
	_, err := w.produce(names[w.rng.IntN(len(names))])
	return err
}

// remove produces to two topics and moves on behind that what has records removed there.
func (w *sweepWriter) remove() error {
	ctx := context.Background()
	r, err := w.produce(handTopic)
	if err != nil {
		return err
	}
	before := max(0, r.Offset+1-w.rng.Int64N(1+w.rng.Int64N(400)))
	if err := tell("doom %s %d %d -\n", handTopic, r.Partition, before); err != nil {
		return err
	}
	if err := w.b.Topics().DeleteRecords(ctx, handTopic, map[int32]int64{r.Partition: before}); err != nil {
		return err
	}
	if err := tell("start %s %d %d -\n", handTopic, r.Partition, before); err != nil {
		return err
	}
	if r, err = w.produce(queueTopic); err != nil {
		return err
	}
	tp := samsa.TopicPartition{Topic: queueTopic, Partition: r.Partition}
	to := max(w.desk[tp].Offset, r.Offset+1-w.rng.Int64N(50))
	w.desk[tp] = samsa.CommittedOffset{Offset: to}
	if err := tell("take %s %d %d %s\n", queueTopic, r.Partition, to, deskGroup); err != nil {
		return err
	}
	if err := w.b.Groups().AlterOffsets(ctx, deskGroup, samsa.To(samsa.AtOffset(to)), tp); err != nil {
		return err
	}
	return tell("took %s %d %d %s\n", queueTopic, r.Partition, to, deskGroup)
}

// produce produces some records to one partition and returns the last.
func (w *sweepWriter) produce(topic string) (samsa.Record, error) {
	w.call++
	partition := int32(w.rng.IntN(sweptPartitions))
	records := make([]samsa.Record, 1+w.rng.IntN(sweepRecords))
	heads := make([]string, len(records))
	for i := range records {
		kind := valueKind
		if topic == latestTopic {
			kind = []string{valueKind, valueKind, tombKind}[w.rng.IntN(3)]
		}
		heads[i] = fmt.Sprintf("%s-%d-%d-k%d-%s", w.name, w.call, i, w.rng.IntN(sweptKeys), kind)
		records[i] = headRecord(topic, partition, heads[i])
		if kind == tombKind {
			if err := tell("bury %s %d 0 %s\n", topic, partition, heads[i]); err != nil {
				return samsa.Record{}, err
			}
		}
	}
	stored, err := w.b.Produce(context.Background(), records...)
	if err != nil {
		return samsa.Record{}, err
	}
	for i, r := range stored {
		if err := tell("produced %s %d %d %s\n", topic, partition, r.Offset, heads[i]); err != nil {
			return samsa.Record{}, err
		}
	}
	return stored[len(stored)-1], nil
}

// sweptLedger is what the parent knows.
type sweptLedger struct {
	logs   map[samsa.TopicPartition]*sweptLog
	counts map[string]int // of lines, by their first word
	swept  bool           // the sweep of the parent's broker has ended
}

// sweptLog is what the parent knows of a partition.
type sweptLog struct {
	start, end   int64             // acknowledged or seen
	doom         int64             // what DeleteRecords was to remove, at most
	acked        map[int64]string  // heads by offset, since the last look
	left         map[int64]string  // heads by offset, of the last look
	leftEnd      int64             // up to which that went
	latest       map[string]int64  // last known offset of a key
	latestHead   map[string]string // the head there
	buried       map[string]string // keys by head, of tombstones that may be stored or not
	took, take   map[string]int64  // by group: committed at least, and at most
	sweepTo      int64             // while a sweep runs: what it has to do
	sweptTo      int64             // what was done: compacted or passed by all groups up to here
	againTo      int64             // while a sweep runs: what an earlier one has done
	twiceTo      int64             // what was done a second time
	removed      int64             // records, by the last look at the broker's figures
	bytes, least int64             // stored: at most and at least, of the last look
}

func newSweptLedger(t *testing.T, dir string) *sweptLedger {
	led := &sweptLedger{logs: make(map[samsa.TopicPartition]*sweptLog), counts: make(map[string]int)}
	b := mustOpen(t, dir, sweptOptions)
	for name, config := range sweptTopics {
		config.Partitions = sweptPartitions
		if err := b.Topics().Create(patient(t), name, config); err != nil {
			t.Fatal(err)
		}
		for i := range sweptPartitions {
			tp := samsa.TopicPartition{Topic: name, Partition: int32(i)}
			led.logs[tp] = &sweptLog{
				acked: make(map[int64]string), latest: make(map[string]int64), latestHead: make(map[string]string),
				buried: make(map[string]string), took: make(map[string]int64), take: make(map[string]int64),
			}
			if name != queueTopic {
				continue
			}
			for _, group := range []string{crewGroup, deskGroup} { // so that both count from the first record on
				if err := b.Groups().AlterOffsets(patient(t), group, samsa.To(samsa.Earliest()), tp); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	mustClose(t, b)
	return led
}

// listen enters what the child had told.
func (led *sweptLedger) listen(t *testing.T, told []string) {
	for _, line := range told {
		var what, word string
		var tp samsa.TopicPartition
		var n int64
		if _, err := fmt.Sscan(line, &what, &tp.Topic, &tp.Partition, &n, &word); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		led.counts[what]++
		l := led.logs[tp]
		switch what {
		case "bury":
			l.buried[word], _ = keyAndKind(word)
		case "produced":
			delete(l.buried, word)
			l.acked[n], l.end = word, max(l.end, n+1)
			l.know(word, n)
		case "doom":
			l.doom = max(l.doom, n)
		case "start":
			l.start = max(l.start, n)
		case "take":
			l.take[word] = max(l.take[word], n)
		case "took":
			l.took[word] = max(l.took[word], n)
		case "sweep":
			for tp, l := range led.logs {
				l.sweepTo, l.againTo = l.due(tp.Topic), l.sweptTo
			}
		case "swept":
			for _, l := range led.logs {
				l.sweptTo, l.twiceTo = max(l.sweptTo, l.sweepTo), max(l.twiceTo, l.againTo)
			}
		default:
			t.Fatalf("line %q", line)
		}
	}
}

// know notes a record of a key.
func (l *sweptLog) know(head string, offset int64) {
	key, _ := keyAndKind(head)
	if _, ok := l.latestHead[key]; !ok || offset > l.latest[key] {
		l.latest[key], l.latestHead[key] = offset, head
	}
}

// due is up to where a sweep that begins now has to go. The newest batch is never compacted,
// and a batch of which a group has passed a part stays.
func (l *sweptLog) due(topic string) int64 {
	if topic == queueTopic {
		return l.passed() - batchRecords + 1
	}
	return l.end - batchRecords
}

// passed is what both groups have committed.
func (l *sweptLog) passed() int64 { return min(l.took[crewGroup], l.took[deskGroup]) }

// inspect opens the directory after a kill, compares, sweeps and compares again.
func (led *sweptLedger) inspect(t *testing.T, dir string) {
	ctx := patient(t)
	b := mustOpen(t, dir, sweptOptions) // and sweeps, as always after a crash
	first := make(map[samsa.TopicPartition]sweptLog)
	led.committed(t, b)
	starts := led.look(t, b)
	for tp, l := range led.logs {
		first[tp] = *l
	}
	for range 2 { // so that tombstones go
		if _, err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		nextMillisecond()
	}
	for tp, l := range led.logs {
		l.sweptTo = max(l.sweptTo, l.due(tp.Topic))
		l.twiceTo = l.sweptTo
	}
	led.swept = true
	led.look(t, b)
	led.swept = false
	again, err := b.Sweep(ctx)
	if err != nil || again.Removed != (samsa.Removed{}) {
		t.Errorf("a third sweep has removed %+v, %v", again.Removed, err)
	}
	stats := led.agree(t, b)
	for tp, l := range led.logs {
		// Before its first sweep the broker found the log somewhere between what was
		// acknowledged and what was seen.
		switch was := first[tp]; {
		case tp.Topic == latestTopic:
			if gone := int64(len(was.left) - len(l.left)); l.removed < gone {
				t.Errorf("%s: %d records were removed, and %d are gone", tp, l.removed, gone)
			}
		case l.start-l.removed > starts[tp].seen || l.start-l.removed < starts[tp].told:
			t.Errorf("%s: %d records were removed up to offset %d, the log began in [%d, %d]",
				tp, l.removed, l.start, starts[tp].told, starts[tp].seen)
		}
	}
	mustClose(t, b)
	b = mustOpen(t, dir, sweptOptions) // which counts the bytes anew
	led.look(t, b)
	fresh := led.agree(t, b)
	for i, pr := range fresh.Partitions {
		if was := stats.Partitions[i]; pr.BytesLive != was.BytesLive || pr.Removed != (samsa.Removed{}) {
			t.Errorf("opened again: %+v, it was %+v", pr, was)
		}
	}
	mustClose(t, b)
}

// committed compares what the groups have committed.
func (led *sweptLedger) committed(t *testing.T, b *samsa.Broker) {
	t.Helper()
	for _, group := range []string{crewGroup, deskGroup} {
		offsets, err := b.Groups().Committed(patient(t), group)
		if err != nil {
			t.Fatal(err)
		}
		for tp, l := range led.logs {
			if tp.Topic != queueTopic {
				continue
			}
			at := offsets[tp].Offset
			if at < l.took[group] || at > l.take[group] {
				t.Errorf("%s: %s has committed %d, not within [%d, %d]", tp, group, at, l.took[group], l.take[group])
			}
			l.took[group], l.take[group] = at, at
		}
	}
}

// sweptStart is where a log begins: at least, and at most.
type sweptStart struct{ told, seen int64 }

// look reads everything and compares it with what is known, which is what was found from then
// on. The broker may be sweeping. It returns where the logs began.
func (led *sweptLedger) look(t *testing.T, b *samsa.Broker) map[samsa.TopicPartition]sweptStart {
	t.Helper()
	found := make(map[samsa.TopicPartition][]samsa.Record)
	before := logStarts(t, b)
	end := ends(t, b)
	readLeft(t, b, end, func(r samsa.Record) {
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		found[tp] = append(found[tp], r)
	})
	after := logStarts(t, b)
	starts := make(map[samsa.TopicPartition]sweptStart)
	for tp, l := range led.logs {
		starts[tp] = sweptStart{told: l.start, seen: before[tp]}
		if before[tp] < l.start || after[tp] < before[tp] {
			t.Errorf("%s: the log starts at %d, and then %d, it was %d before", tp, before[tp], after[tp], l.start)
		}
		if end[tp] < l.end {
			t.Errorf("%s: the log ends at %d, %d was acknowledged", tp, end[tp], l.end)
		}
		l.check(t, tp, found[tp], before[tp], after[tp], end[tp])
		if led.swept && tp.Topic == sizeTopic && l.least > sweptBytes+batchRecords*maxStoredRecord {
			t.Errorf("%s: %d bytes are left after a sweep", tp, l.least)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	return starts
}

// check compares one log, which began at before and now begins at start.
func (l *sweptLog) check(t *testing.T, tp samsa.TopicPartition, records []samsa.Record, before, start, end int64) {
	t.Helper()
	left := make(map[int64]string)
	last := before - 1
	l.bytes, l.least = 0, 0
	for _, r := range records {
		if r.Offset <= last || r.Offset >= end {
			t.Fatalf("%s: offset %d is read behind %d, the log was [%d, %d)", tp, r.Offset, last, before, end)
		}
		last = r.Offset
		head := headOf(t, r)
		left[r.Offset] = head
		l.know(head, r.Offset)
		if was, ok := l.left[r.Offset]; r.Offset < l.leftEnd && (!ok || was != head) {
			t.Errorf("%s: offset %d was gone and is back, or is another: %s, it was %q", tp, r.Offset, head, was)
		}
		if was, ok := l.acked[r.Offset]; ok && was != head {
			t.Errorf("%s: offset %d is %s, acknowledged was %s", tp, r.Offset, head, was)
		}
		if r.Offset >= start {
			l.bytes += storedBytes(r)
			l.least += int64(len(r.Value))
		}
	}
	if tp.Topic == latestTopic {
		l.checkLatest(t, tp, left)
	} else {
		for offset := start; offset < end; offset++ {
			if _, ok := left[offset]; !ok {
				t.Fatalf("%s: offset %d is lost of [%d, %d), acknowledged %q", tp, offset, start, end, l.acked[offset])
			}
		}
	}
	l.checkStart(t, tp, start)
	maps.DeleteFunc(left, func(offset int64, _ string) bool { return offset < start })
	clear(l.acked)
	l.start, l.end, l.left, l.leftEnd = start, end, left, end
}

// checkStart compares the log start offset with what the policy allows and demands.
func (l *sweptLog) checkStart(t *testing.T, tp samsa.TopicPartition, start int64) {
	t.Helper()
	most := int64(0)
	switch tp.Topic {
	case sizeTopic:
		if start > 0 && l.bytes < sweptBytes {
			t.Errorf("%s: %d bytes are left behind offset %d", tp, l.bytes, start)
		}
		return
	case queueTopic:
		most = l.passed()
		if start < l.sweptTo {
			t.Errorf("%s: the log starts at %d, it was swept up to %d", tp, start, l.sweptTo)
		}
	case handTopic:
		most = l.doom
	}
	if start > most {
		t.Errorf("%s: the log starts at %d, only what is before %d may go", tp, start, most)
	}
}

// checkLatest compares a compacted log: of each key the last known record is there, or a
// later one, or its tombstone has gone; and what was superseded when a sweep began that has
// ended is gone, and so are tombstones that an earlier one had kept.
func (l *sweptLog) checkLatest(t *testing.T, tp samsa.TopicPartition, left map[int64]string) {
	t.Helper()
	last := make(map[string]int64)
	clean := make(map[string]int) // records in the swept part
	for offset, head := range left {
		key, kind := keyAndKind(head)
		if at, ok := last[key]; !ok || offset > at {
			last[key] = offset
		}
		if offset >= l.sweptTo {
			continue
		}
		if clean[key]++; clean[key] > 1 || kind == tombKind && offset < l.twiceTo {
			t.Errorf("%s: swept up to %d, and %s is still at %d", tp, l.sweptTo, head, offset)
		}
	}
	mayGo := make(map[string]bool)
	for _, key := range l.buried {
		mayGo[key] = true
	}
	for key, head := range l.latestHead {
		if _, kind := keyAndKind(head); kind == tombKind {
			mayGo[key] = true
		}
		if at, ok := last[key]; !ok && !mayGo[key] || ok && at < l.latest[key] {
			t.Errorf("%s: of %s there is %q at %d (%t), the last known is %s at %d", tp, key, left[at], at, ok, head, l.latest[key])
		}
	}
}

// headOf checks that r is the record with its head.
func headOf(t *testing.T, r samsa.Record) string {
	t.Helper()
	if len(r.Headers) != 1 {
		t.Fatalf("%s/%d: offset %d has headers %v", r.Topic, r.Partition, r.Offset, r.Headers)
	}
	head := string(r.Headers[0].Value)
	want := headRecord(r.Topic, r.Partition, head)
	if !bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) || (r.Value == nil) != (want.Value == nil) {
		t.Fatalf("%s/%d: offset %d, %s: key %q and a value of %d bytes, want %q and %d",
			r.Topic, r.Partition, r.Offset, head, r.Key, len(r.Value), want.Key, len(want.Value))
	}
	return head
}

// agree compares the broker's own figures with the last look.
func (led *sweptLedger) agree(t *testing.T, b *samsa.Broker) samsa.RetentionStats {
	t.Helper()
	stats, err := b.RetentionStats(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	var live int64
	var removed samsa.Removed
	for _, pr := range stats.Partitions {
		live += pr.BytesLive
		removed.Records += pr.Removed.Records
		removed.Batches += pr.Removed.Batches
		removed.Bytes += pr.Removed.Bytes
		tp := samsa.TopicPartition{Topic: pr.Topic, Partition: pr.Partition}
		l := led.logs[tp]
		l.removed = pr.Removed.Records
		slack := int64(batchRecords * maxStoredRecord) // the log may begin within a batch
		if tp.Topic == latestTopic {
			if pr.BytesLive > l.bytes+slack {
				t.Errorf("%s: %d bytes are said to be live, at most %d are", tp, pr.BytesLive, l.bytes)
			}
		} else if pr.BytesLive < l.least || pr.BytesLive > l.bytes+slack {
			t.Errorf("%s: %d bytes are said to be live, it is %d to %d", tp, pr.BytesLive, l.least, l.bytes)
		}
		if limit := int64(sweptBytes); tp.Topic == sizeTopic && l.start > 0 && pr.BytesLive < limit {
			t.Errorf("%s: %d bytes are live, less than the limit", tp, pr.BytesLive)
		}
	}
	if len(stats.Partitions) != len(led.logs) || stats.BytesLive != live || stats.Removed != removed {
		t.Errorf("the sums of the partitions are %d bytes live, removed %+v, not as in %+v", live, removed, stats)
	}
	if limit := live*3/2 + 128e6; stats.BytesDisk > limit {
		t.Errorf("the directory has %d bytes, more than %d", stats.BytesDisk, limit)
	}
	return stats
}

// sum says what was done, and fails when a policy had nothing to do.
func (led *sweptLedger) sum(t *testing.T) {
	t.Logf("lines: %v", led.counts)
	for tp, l := range led.logs {
		t.Logf("%s: [%d, %d), %d records, %d bytes", tp, l.start, l.end, len(l.left), l.bytes)
		if len(l.left) == 0 && tp.Topic == latestTopic || int64(len(l.left)) == l.end {
			t.Errorf("%s: nothing was removed, or everything", tp)
		}
	}
}

// logStarts returns the log start offset of every partition there is.
func logStarts(t *testing.T, b *samsa.Broker) map[samsa.TopicPartition]int64 {
	t.Helper()
	starts := make(map[samsa.TopicPartition]int64)
	for name := range sweptTopics {
		offsets, err := b.ListOffsets(patient(t), name, samsa.Earliest())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			starts[samsa.TopicPartition{Topic: name, Partition: o.Partition}] = o.Offset
		}
	}
	return starts
}

// readLeft reads what is left of every partition of to, up to its offset there. What is
// removed meanwhile is passed over.
func readLeft(t *testing.T, b *samsa.Broker, to map[samsa.TopicPartition]int64, fn func(samsa.Record)) {
	t.Helper()
	opts := samsa.ConsumerOptions{Partitions: make(map[string][]int32)}
	for tp := range to {
		opts.Partitions[tp.Topic] = append(opts.Partitions[tp.Topic], tp.Partition)
	}
	c, err := b.NewConsumer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	ctx := patient(t)
	for !reached(t, c, to) {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("before the end: %v", err)
		}
		for _, r := range records {
			fn(r)
		}
	}
}
