package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
)

// A drill is a broker that is used in all ways at once until it dies, again and again on one
// directory. What it does it tells in lines, "what topic partition offset word":
//
//	rec      the record with the head word was acknowledged there; syn: and synced
//	plan     the plan word was committed
//	done     all records up to the offset are about to be committed for the group word
//	ack      that was acknowledged
//	doomed   DeleteRecords is about to be called
//	start    it has returned
//	create   the topic was created
//	doom     it is about to be deleted
//	delete   it is gone
//	syncing  Sync number word is about to be called
//	synced   it has returned: all before syncing is durable

// The topics of a drill.
const (
	drillPlain  = "plain"  // nothing goes
	drillSize   = "size"   // keeps the newest
	drillLatest = "latest" // compacted
	drillQueue  = "queue"  // what the group has passed goes
	drillHand   = "hand"   // nothing goes but by DeleteRecords
	drillWork   = "work"   // what the producer with a name has to do, once
	drillGroup  = "crew"

	drillParts = 2
	drillKeys  = 8
	workLength = 3000
)

var drillTopics = map[string]samsa.TopicConfig{
	drillPlain:  {},
	drillSize:   {RetentionBytes: 40_000},
	drillLatest: {CleanupPolicy: samsa.CleanupCompact},
	drillQueue:  {CleanupPolicy: samsa.CleanupConsumed},
	drillHand:   {},
	drillWork:   {},
}

var drillOptions = samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner()}}

// drill does the work.
type drill struct {
	b    *samsa.Broker
	seed uint64 // of the plans
	name string // differs among all lives of a directory
	tell func(format string, args ...any) error
}

// prepareDrill creates the topics.
func prepareDrill(ctx context.Context, b *samsa.Broker) error {
	for name, config := range drillTopics {
		config.Partitions = drillParts
		if err := b.Topics().Create(ctx, name, config); err != nil && !errors.Is(err, samsa.ErrTopicExists) {
			return err
		}
	}
	for name, n := range map[string]int{planTopic: planParts, planInput.Topic: 1} {
		if err := b.Topics().Create(ctx, name, samsa.TopicConfig{Partitions: n}); err != nil && !errors.Is(err, samsa.ErrTopicExists) {
			return err
		}
	}
	return nil
}

// run works until ctx ends, or something fails.
func (d *drill) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := prepareDrill(ctx, d.b); err != nil {
		return d.harmless(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, work := range []func(context.Context, *rand.Rand) error{d.produce, d.produceSynced, d.consume, d.administer, d.plan, d.replay} {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
		wg.Go(func() {
			defer cancel()
			if err := d.harmless(work(ctx, rng)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// harmless returns err, unless it is only that of an end.
func (d *drill) harmless(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, samsa.ErrClosed) && !errors.Is(err, samsa.ErrFailed) {
		return nil
	}
	return err
}

// drillValue is the value of the record with that head. Heads of tombstones end in "-tomb".
func drillValue(head string) []byte {
	if strings.HasSuffix(head, "-tomb") {
		return nil
	}
	value := crashValue(head)
	switch len(value) % 20 {
	case 0:
		return bytes.Repeat(value, 10)
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
		return value[:len(value)/20]
	}
	return value
}

// drillCall makes the records of one call to a topic: their heads are "worker/call/size/number", and in the compacted
// topic a kind. The record says its head in a header.
func drillCall(rng *rand.Rand, topic, worker string, call int) []samsa.Record {
	records := make([]samsa.Record, 1+rng.IntN(4))
	for i := range records {
		head := fmt.Sprintf("%s/%d/%d/%d", worker, call, len(records), i)
		r := samsa.Record{Topic: topic, Partition: rng.Int32N(drillParts)}
		if topic == drillLatest {
			r.Key = fmt.Append(nil, rng.IntN(drillKeys))
			if rng.IntN(4) == 0 {
				head += "-tomb"
			}
		}
		r.Value = drillValue(head)
		r.Headers = []samsa.Header{{Key: "head", Value: []byte(head)}}
		records[i] = r
	}
	return records
}

func drillHead(r samsa.Record) string {
	if len(r.Headers) == 0 {
		return ""
	}
	return string(r.Headers[0].Value)
}

func (d *drill) tellRecords(what string, records []samsa.Record) error {
	var lines strings.Builder
	for _, r := range records {
		fmt.Fprintf(&lines, "%s %s %d %d %s\n", what, r.Topic, r.Partition, r.Offset, drillHead(r))
	}
	return d.tell("%s", lines.String())
}

func (d *drill) produce(ctx context.Context, rng *rand.Rand) error {
	topics := []string{drillPlain, drillSize, drillSize, drillLatest, drillLatest, drillQueue, drillHand}
	for call := 0; ; call++ {
		got, err := d.b.Produce(ctx, drillCall(rng, topics[rng.IntN(len(topics))], d.name+"-p", call)...)
		if err == nil {
			err = d.tellRecords("rec", got)
		}
		if err != nil {
			return err
		}
	}
}

func (d *drill) produceSynced(ctx context.Context, rng *rand.Rand) error {
	p, err := d.b.NewProducer(ctx, samsa.ProducerOptions{Acks: samsa.AckSynced, Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	topics := []string{drillPlain, drillSize, drillLatest, drillQueue}
	for call := 0; ; call++ {
		records := drillCall(rng, topics[rng.IntN(len(topics))], d.name+"-s", call)[:1]
		head := fmt.Sprintf("%s-s/%d/1/0", d.name, call)
		records[0].Value, records[0].Headers[0].Value = drillValue(head), []byte(head)
		got, err := p.ProduceSync(ctx, records[0])
		if err == nil {
			err = d.tellRecords("syn", got)
		}
		if err != nil {
			return err
		}
	}
}

// consume works off the queue.
func (d *drill) consume(ctx context.Context, rng *rand.Rand) error {
	c, err := d.b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: drillGroup, Topics: []string{drillQueue}, MaxPollRecords: 1 + rng.IntN(30),
		Member: samsa.MemberOptions{InstanceID: "seat", ManualCommit: true},
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		next := make(map[samsa.TopicPartition]samsa.CommittedOffset)
		for _, r := range records {
			next[samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = samsa.CommittedOffset{Offset: r.Offset + 1}
		}
		for _, what := range []string{"done", "ack"} {
			if what == "ack" {
				err = c.CommitOffsets(ctx, next)
			}
			for tp, o := range next {
				if err == nil {
					err = d.tell("%s %s %d %d %s\n", what, tp.Topic, tp.Partition, o.Offset, drillGroup)
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

// administer creates and deletes, has things compacted, and syncs.
func (d *drill) administer(ctx context.Context, rng *rand.Rand) error {
	for i := 0; ; i++ {
		var err error
		switch rng.IntN(4) {
		case 0:
			if err = d.tell("syncing - 0 0 %s-%d\n", d.name, i); err == nil {
				err = d.b.Sync(ctx)
			}
			if err == nil {
				err = d.tell("synced - 0 0 %s-%d\n", d.name, i)
			}
		case 1:
			_, err = d.b.Sweep(ctx)
		case 2:
			err = d.deleteRecords(ctx, rng)
		case 3:
			err = d.churn(ctx, fmt.Sprintf("churn-%s-%d", d.name, i), rng)
		}
		if err != nil {
			return err
		}
	}
}

func (d *drill) deleteRecords(ctx context.Context, rng *rand.Rand) error {
	p := rng.Int32N(drillParts)
	got, err := d.b.Produce(ctx, samsa.Record{Topic: drillHand, Partition: p, Value: drillValue("x"), Headers: []samsa.Header{{Key: "head", Value: []byte("x")}}})
	if err != nil {
		return err
	}
	before := max(0, got[0].Offset-rng.Int64N(30))
	if err := d.tell("doomed %s %d %d -\n", drillHand, p, before); err != nil {
		return err
	}
	if err := d.b.Topics().DeleteRecords(ctx, drillHand, map[int32]int64{p: before}); err != nil {
		return err
	}
	return d.tell("start %s %d %d -\n", drillHand, p, before)
}

func (d *drill) churn(ctx context.Context, name string, rng *rand.Rand) error {
	if err := d.b.Topics().Create(ctx, name, samsa.TopicConfig{}); err != nil {
		return err
	}
	if err := d.tell("create %s 0 0 -\n", name); err != nil {
		return err
	}
	for range rng.IntN(10) {
		if _, err := d.b.Produce(ctx, samsa.Record{Topic: name, Value: crashValue(name)}); err != nil {
			return err
		}
	}
	if err := d.tell("doom %s 0 0 -\n", name); err != nil {
		return err
	}
	if err := d.b.Topics().Delete(ctx, name); err != nil {
		return err
	}
	return d.tell("delete %s 0 0 -\n", name)
}

// plan commits transactions.
func (d *drill) plan(ctx context.Context, _ *rand.Rand) error {
	return runPlans(ctx, d.b, d.seed, func(n int) error { return d.tell("plan - 0 0 %d\n", n) })
}

// replay does the work of the producer with a name from its beginning.
func (d *drill) replay(ctx context.Context, _ *rand.Rand) error {
	p, err := d.b.NewProducer(ctx, samsa.ProducerOptions{ID: "work", Replay: true, BatchBytes: 1 << 10, Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	failed := make(chan error, 1)
	for i := range workLength {
		head := fmt.Sprintf("work-%d", i)
		r := samsa.Record{Topic: drillWork, Partition: int32(i % drillParts), Value: drillValue(head), Headers: []samsa.Header{{Key: "head", Value: []byte(head)}}}
		done := make(chan struct{})
		p.Produce(ctx, r, func(r samsa.Record, err error) {
			defer close(done)
			if err == nil && r.Offset >= 0 {
				err = d.tellRecords("rec", []samsa.Record{r})
			}
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		if i%10 == 9 { // so that not all is on its way at once
			select {
			case <-done:
			case <-ctx.Done():
			}
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// drillLine is one that was told.
type drillLine struct {
	what string
	samsa.TopicPartition
	offset int64
	word   string
}

// promised returns the lines that were told, and those that must be true after a kill or, with power, after a loss of power.
func promised(t testing.TB, told []string, power bool) (all, kept []drillLine) {
	t.Helper()
	durable := 0 // lines
	begun := map[string]int{}
	for i, line := range told {
		var l drillLine
		if _, err := fmt.Sscan(line, &l.what, &l.Topic, &l.Partition, &l.offset, &l.word); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		switch l.what {
		case "syncing":
			begun[l.word] = i
		case "synced":
			durable = max(durable, begun[l.word])
		}
		all = append(all, l)
	}
	if !power {
		return all, all
	}
	kept = slices.Clone(all[:durable])
	for _, l := range all[durable:] {
		if l.what == "syn" {
			kept = append(kept, l)
		}
	}
	return all, kept
}

// drillLog is a partition as it was found.
type drillLog struct {
	start, end int64
	heads      map[int64]string
	latest     map[string]int64 // offsets by key
}

// drillFound is what was found in a broker.
type drillFound struct {
	topics    map[string]bool
	logs      map[samsa.TopicPartition]*drillLog
	committed map[samsa.TopicPartition]int64
	plans     int
}

// lookAt reads everything.
func lookAt(t testing.TB, b *samsa.Broker, seed uint64) *drillFound {
	t.Helper()
	ctx := patient(t)
	f := &drillFound{topics: map[string]bool{}, logs: map[samsa.TopicPartition]*drillLog{}, committed: map[samsa.TopicPartition]int64{}}
	names, err := b.Topics().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	from, to := starts(t, b, names), ends(t, b)
	for tp, end := range to {
		f.topics[tp.Topic] = true
		f.logs[tp] = &drillLog{end: end, heads: map[int64]string{}, latest: map[string]int64{}}
	}
	readRangeOf(t, b, samsa.ResetEarliest, from, to, func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		l, head := f.logs[samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}], drillHead(r)
		if _, ours := drillTopics[r.Topic]; ours && !bytes.Equal(r.Value, drillValue(head)) {
			t.Errorf("%s/%d offset %d: head %q has a value of %d bytes that is not its own", r.Topic, r.Partition, r.Offset, head, len(r.Value))
		}
		l.heads[r.Offset] = head
		l.latest[string(r.Key)] = r.Offset
	})
	for tp, start := range starts(t, b, names) { // a sweep may have moved it
		l := f.logs[tp]
		l.start = start
		maps.DeleteFunc(l.heads, func(offset int64, _ string) bool { return offset < start })
	}
	groups, err := b.Groups().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		offsets, err := b.Groups().Committed(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		for tp, o := range offsets {
			if tp != planInput && o.Offset > to[tp] { // plans commit what is not there
				t.Errorf("group %s is at offset %d of %s, which ends at %d", g, o.Offset, tp, to[tp])
			}
			if g == drillGroup {
				f.committed[tp] = o.Offset
			}
		}
	}
	if f.topics[planTopic] {
		f.plans = checkPlans(t, b, seed)
	}
	f.checkWhole(t)
	return f
}

// starts returns the log start offsets.
func starts(t testing.TB, b *samsa.Broker, topics []string) map[samsa.TopicPartition]int64 {
	t.Helper()
	all := make(map[samsa.TopicPartition]int64)
	for _, name := range topics {
		offsets, err := b.ListOffsets(patient(t), name, samsa.Earliest())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			all[samsa.TopicPartition{Topic: name, Partition: o.Partition}] = o.Offset
		}
	}
	return all
}

// checkWhole checks what must always be so.
func (f *drillFound) checkWhole(t testing.TB) {
	t.Helper()
	calls := map[string]int{}
	for tp, l := range f.logs {
		if tp.Topic != drillLatest && int64(len(l.heads)) != l.end-l.start {
			t.Errorf("%s: %d records from offset %d to %d", tp, len(l.heads), l.start, l.end)
		}
		if l.start > 0 && (tp.Topic == drillPlain || tp.Topic == drillWork || tp.Topic == planTopic) {
			t.Errorf("%s begins at offset %d", tp, l.start)
		}
		for offset, head := range l.heads {
			switch tp.Topic {
			case drillPlain:
				calls[head[:strings.LastIndexByte(head, '/')]]++
			case drillWork:
				if want := fmt.Sprintf("work-%d", offset*drillParts+int64(tp.Partition)); head != want {
					t.Errorf("%s: offset %d has %s, want %s", tp, offset, head, want)
				}
			}
		}
	}
	for call, n := range calls {
		var size int
		if _, err := fmt.Sscan(call[strings.LastIndexByte(call, '/')+1:], &size); err != nil || n != size {
			t.Errorf("of call %s there are %d records", call, n)
		}
	}
}

// check compares with what was found before, and what was told since.
func (f *drillFound) check(t testing.TB, before *drillFound, all, kept []drillLine) {
	t.Helper()
	if before == nil {
		before = &drillFound{}
	}
	doomed, did := map[samsa.TopicPartition]int64{}, map[samsa.TopicPartition]int64{}
	tried := map[string]bool{} // to delete
	for _, l := range all {
		switch l.what {
		case "doomed":
			doomed[l.TopicPartition] = max(doomed[l.TopicPartition], l.offset)
		case "doom":
			tried[l.Topic] = true
		case "done":
			did[l.TopicPartition] = max(did[l.TopicPartition], l.offset)
		}
	}
	for tp, was := range before.logs {
		l := f.logs[tp]
		switch {
		case l == nil && f.topics[tp.Topic]:
			t.Errorf("%s is missing", tp)
		case l == nil && drillTopics[tp.Topic].Partitions == 0 && !tried[tp.Topic]:
			if strings.HasPrefix(tp.Topic, "churn") {
				continue // deleted in a life before
			}
			t.Errorf("%s has gone", tp)
		case l == nil:
		case l.start < was.start || l.end < was.end:
			t.Errorf("%s goes from %d to %d, it went from %d to %d", tp, l.start, l.end, was.start, was.end)
		default:
			f.compare(t, tp, l, was)
		}
		if tp.Topic == drillHand && l != nil && l.start > max(was.start, doomed[tp]) {
			t.Errorf("%s begins at %d, records before %d were to be deleted", tp, l.start, doomed[tp])
		}
	}
	for tp, offset := range f.committed {
		if offset > max(before.committed[tp], did[tp]) {
			t.Errorf("%s: offset %d is committed, %d was to be", tp, offset, did[tp])
		}
	}
	for tp, offset := range before.committed {
		if f.committed[tp] < offset {
			t.Errorf("%s: offset %d is committed, it was %d", tp, f.committed[tp], offset)
		}
	}
	if f.plans < before.plans {
		t.Errorf("%d plans, there were %d", f.plans, before.plans)
	}
	for _, l := range kept {
		f.checkKept(t, l, tried)
	}
}

// compare compares a partition with what it was.
func (f *drillFound) compare(t testing.TB, tp samsa.TopicPartition, l, was *drillLog) {
	t.Helper()
	for offset, head := range was.heads {
		got, ok := l.heads[offset]
		if offset >= l.start && (got != head || !ok) && (ok || tp.Topic != drillLatest) {
			t.Errorf("%s: offset %d has head %q, it was %q", tp, offset, got, head)
		}
	}
}

// checkKept checks that a line is true.
func (f *drillFound) checkKept(t testing.TB, line drillLine, tried map[string]bool) {
	t.Helper()
	l := f.logs[line.TopicPartition]
	ok := true
	switch line.what {
	case "rec", "syn":
		if ok = l != nil && l.end > line.offset; ok && line.offset >= l.start {
			head, there := l.heads[line.offset]
			ok = head == line.word && there || !there && line.Topic == drillLatest
		}
	case "plan":
		var n int
		_, err := fmt.Sscan(line.word, &n)
		ok = err == nil && f.plans >= n
	case "ack":
		ok = f.committed[line.TopicPartition] >= line.offset
	case "start":
		ok = l != nil && l.start >= line.offset
	case "create":
		ok = f.topics[line.Topic] || tried[line.Topic]
	case "delete":
		ok = !f.topics[line.Topic]
	}
	if !ok {
		t.Errorf("told and not true: %+v; there is %+v", line, l != nil)
	}
}
