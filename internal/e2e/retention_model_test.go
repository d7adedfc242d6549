package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// The retention model says of every record that was ever produced whether it must still
// be there, may have gone, or must have gone, by the rules that package retention
// documents. Two things leave room between may and must: when the broker sweeps by
// itself, and which batches compaction has joined. In memory the first is known, in logs
// that were never compacted the second; there the model is exact.

func TestRetentionModelInMemory(t *testing.T) {
	for _, kp := range keptPolicies {
		t.Run(kp.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				inBubble(t, func() { runKept(rt, "", kp) })
			})
		})
	}
}

// On disk the topics of all policies share a broker, and time stands as good as still:
// what is old was produced so.
func TestRetentionModelOnDisk(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "kept")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // TempDir sees to it
		runKept(rt, dir, keptPolicies...)
	})
}

// keptPolicy is a topic of the model, and what Alter may change of it.
type keptPolicy struct {
	name   string
	config samsa.TopicConfig
}

var keptPolicies = []keptPolicy{
	{"time", samsa.TopicConfig{Retention: time.Hour}},
	{"size", samsa.TopicConfig{Retention: samsa.Unlimited, RetentionBytes: 1000}},
	{"compact", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, DeleteRetention: time.Hour}},
	{"compact-delete", samsa.TopicConfig{
		CleanupPolicy: samsa.CleanupCompact | samsa.CleanupDelete, Retention: 2 * time.Hour, RetentionBytes: 3000, DeleteRetention: time.Hour,
	}},
	{"consumed", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed}},
	{"consumed-delete", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed | samsa.CleanupDelete, Retention: 2 * time.Hour}},
}

// What is drawn of. On disk no age comes near a limit while the test runs.
var (
	keptAges       = []int{0, 0, 0, 10, 45, 100, 300, -40} // minutes
	keptRetentions = []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, samsa.Unlimited}
	keptTombstones = []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour}
	keptLags       = []time.Duration{0, 0, 20 * time.Minute, 90 * time.Minute}
	keptBytes      = []int64{samsa.Unlimited, 1, 300, 1000, 3000}
	keptGroups     = []string{"a", "b"}
	keptCleanups   = []samsa.CleanupPolicy{
		samsa.CleanupDelete, samsa.CleanupCompact, samsa.CleanupCompact | samsa.CleanupDelete,
		samsa.CleanupConsumed, samsa.CleanupConsumed | samsa.CleanupDelete,
	}
)

func runKept(t *rapid.T, dir string, policies ...keptPolicy) {
	ctx := context.Background()
	if dir != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	m := &keptModel{ctx: ctx, dir: dir, committed: make(map[string]map[samsa.TopicPartition]int64)}
	m.open(t)
	defer func() { m.shut(t) }()
	for _, kp := range policies {
		m.create(t, kp)
	}
	actions := map[string]func(*rapid.T){
		"produce":        m.produce,
		"produce more":   m.produce,
		"produce much":   m.produce,
		"alter":          m.alter,
		"sweep":          m.sweep,
		"sweep more":     m.sweep,
		"commit":         m.commit,
		"commit more":    m.commit,
		"drop group":     m.dropGroup,
		"delete records": m.deleteRecords,
		"read":           m.read,
		"offset by time": m.offsetByTime,
		"follow":         m.follow,
	}
	if dir == "" {
		actions["wait"] = m.wait
		actions[""] = m.check
		t.Repeat(actions)
	} else {
		actions["reopen"] = m.reopen
		names := slices.Sorted(maps.Keys(actions))
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			actions[rapid.SampledFrom(names).Draw(t, "action")](t)
			m.check(t)
		}
		m.reopen(t)
		m.check(t)
	}
	m.sweep(t)
}

// keptModel is a broker and what should be in it.
type keptModel struct {
	ctx       context.Context
	dir       string // "" for a broker in memory
	b         *samsa.Broker
	topics    []*keptTopic
	committed map[string]map[samsa.TopicPartition]int64 // by group
	follower  *samsa.Consumer                           // of all topics, or nil
}

type keptTopic struct {
	name       string
	config     samsa.TopicConfig
	partitions []*keptPartition
}

// keptPartition is a log. start <= mayStart.
type keptPartition struct {
	tp       samsa.TopicPartition
	records  []*keptRecord // by offset: all that were ever produced
	batches  []keptBatch   // as they were produced
	start    int64         // the log start offset when it was seen last
	mayStart int64         // where it may be by now
	joinedTo int64         // compaction may have joined the batches before
	cleanTo  int64         // the broker knows for sure that it has compacted up to here
}

type keptRecord struct {
	samsa.Record
	may  bool // compaction may have removed it
	gone bool // it was seen to be gone

	// Of a tombstone: from when on it may go, and by when it must, by the first sweep that can
	// have kept it and the last; no other moves these once it was kept for sure.
	ripe, overripe time.Time
	kept           bool
}

type keptBatch struct {
	base, end int64
	maxMs     int64
	bytes     int64 // as it was produced
	most      int64 // compacted, with a delete horizon
}

func (p *keptPartition) end() int64 { return int64(len(p.records)) }

// settle waits until the broker has nothing to do, which can be known in memory. A sweep
// paces itself, so that takes a moment.
func (m *keptModel) settle() {
	if m.dir == "" {
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
}

func (m *keptModel) open(t *rapid.T) {
	b, err := samsa.Open(m.dir, samsa.Options{
		InMemory: m.dir == "",
		Produce:  samsa.ProduceOptions{Compression: samsa.CompressionNone, Partitioner: samsa.ManualPartitioner()},
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.b = b
}

func (m *keptModel) shut(t *rapid.T) {
	if m.follower != nil {
		mustClose(t, m.follower)
		m.follower = nil
	}
	mustClose(t, m.b)
}

// reopen closes the broker with all that its sweep has begun, and opens it again.
func (m *keptModel) reopen(t *rapid.T) {
	m.shut(t)
	m.open(t)
	for _, topic := range m.topics {
		for _, p := range topic.partitions {
			p.cleanTo = 0
			m.observe(t, p)
		}
	}
}

func (m *keptModel) create(t *rapid.T, kp keptPolicy) {
	config := kp.config
	config.Partitions = rapid.IntRange(1, 3).Draw(t, "partitions")
	config.LogAppendTime = rapid.IntRange(0, 4).Draw(t, "log append time") == 0
	if err := m.b.Topics().Create(m.ctx, kp.name, config); err != nil {
		t.Fatalf("create: %v", err)
	}
	info, err := m.b.Topics().Describe(m.ctx, kp.name)
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	topic := &keptTopic{name: kp.name, config: info.Config}
	for i := range config.Partitions {
		topic.partitions = append(topic.partitions, &keptPartition{tp: samsa.TopicPartition{Topic: kp.name, Partition: int32(i)}})
	}
	m.topics = append(m.topics, topic)
}

func (m *keptModel) draw(t *rapid.T) (*keptTopic, *keptPartition) {
	topic := m.topics[rapid.IntRange(0, len(m.topics)-1).Draw(t, "topic")]
	return topic, topic.partitions[rapid.IntRange(0, len(topic.partitions)-1).Draw(t, "partition")]
}

// produce stores some records of one partition: one batch, for nobody else produces.
func (m *keptModel) produce(t *rapid.T) {
	topic, p := m.draw(t)
	keyed := topic.config.CleanupPolicy&samsa.CleanupCompact != 0
	records := make([]samsa.Record, rapid.IntRange(1, 6).Draw(t, "records"))
	for i := range records {
		age := time.Duration(rapid.SampledFrom(keptAges).Draw(t, "minutes old")) * time.Minute
		r := samsa.Record{
			Topic: topic.name, Partition: p.tp.Partition, Timestamp: time.Now().Add(-age),
			Value: fmt.Appendf(nil, "%s@%d ", p.tp, p.end()+int64(i)),
		}
		switch key := rapid.IntRange(-1, 4).Draw(t, "key"); {
		case key >= 0:
			r.Key = bytes.Repeat([]byte{'k'}, key*30) // longer than what the key map holds as they are, too
		case keyed:
			r.Key = []byte("k")
		}
		switch rapid.IntRange(0, 4).Draw(t, "value") {
		case 0:
			r.Value = nil
		case 1:
			r.Value = bytes.Repeat(r.Value, 20)
		}
		for h := range rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "headers") {
			r.Headers = append(r.Headers, samsa.Header{Key: fmt.Sprint("h", h), Value: r.Key})
		}
		records[i] = r
	}
	if keyed && rapid.IntRange(0, 9).Draw(t, "without key") == 0 {
		records[len(records)-1].Key = nil
		if _, err := m.b.Produce(m.ctx, records...); !errors.Is(err, samsa.ErrInvalidRecord) {
			t.Fatalf("a record without key: %v", err)
		}
		return
	}
	got, err := m.b.Produce(m.ctx, records...)
	if err != nil {
		t.Fatalf("produce: %v", err)
	}
	p.append(t, topic.config.LogAppendTime, records, got)
}

// append adds a batch to the model.
func (p *keptPartition) append(t *rapid.T, appendTime bool, sent, got []samsa.Record) {
	batch := keptBatch{base: p.end(), end: p.end() + int64(len(got)), maxMs: math.MinInt64}
	var builder log.Builder
	for i, r := range got {
		want := sent[i]
		want.Offset = p.end()
		if appendTime {
			want.Timestamp = r.Timestamp
		}
		want = withMillis(want)
		sameRecord(t, "acknowledged", want, withMillis(r))
		builder.Append(sent[i].Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
		batch.maxMs = max(batch.maxMs, want.Timestamp.UnixMilli())
		p.records = append(p.records, &keptRecord{Record: want})
	}
	env, err := builder.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	batch.bytes = int64(len(env))
	batch.most = batch.bytes + log.HorizonBytes*int64(len(got))
	p.batches = append(p.batches, batch)
}

// alter changes a part of a topic's config, which the broker sweeps for.
func (m *keptModel) alter(t *rapid.T) {
	topic, _ := m.draw(t)
	c := topic.config
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		c.Retention = rapid.SampledFrom(keptRetentions).Draw(t, "retention.ms")
	case 1:
		c.RetentionBytes = rapid.SampledFrom(keptBytes).Draw(t, "retention.bytes")
	case 2:
		c.DeleteRetention = rapid.SampledFrom(keptTombstones).Draw(t, "delete.retention.ms")
	case 3:
		c.MinCompactionLag = rapid.SampledFrom(keptLags).Draw(t, "min.compaction.lag.ms")
	case 4:
		c.CleanupPolicy = rapid.SampledFrom(keptCleanups).Draw(t, "cleanup.policy")
	case 5: // as it is
	}
	if err := m.b.Topics().Alter(m.ctx, topic.name, func(edited *samsa.TopicConfig) error { *edited = c; return nil }); err != nil {
		t.Fatalf("alter: %v", err)
	}
	if m.dir != "" {
		m.maySweep() // begun before the change
	}
	topic.config = c
	m.settle()
	m.maySweep()
}

// commit moves a group somewhere, perhaps back.
func (m *keptModel) commit(t *rapid.T) {
	_, p := m.draw(t)
	name := rapid.SampledFrom(keptGroups).Draw(t, "group")
	at := rapid.Int64Range(0, p.end()+1).Draw(t, "offset")
	if err := m.b.Groups().AlterOffsets(m.ctx, name, samsa.To(samsa.AtOffset(at)), p.tp); err != nil {
		t.Fatalf("reset: %v", err)
	}
	all, err := m.b.Groups().Committed(m.ctx, name)
	if err != nil {
		t.Fatalf("committed: %v", err)
	}
	got := all[p.tp].Offset
	if lo, hi := min(max(at, p.start), p.end()), min(max(at, p.mayStart), p.end()); got < lo || got > hi {
		t.Fatalf("%s: reset to %d came to %d, the log is [%d..%d, %d)", p.tp, at, got, p.start, p.mayStart, p.end())
	}
	if m.committed[name] == nil {
		m.committed[name] = make(map[samsa.TopicPartition]int64)
	}
	m.committed[name][p.tp] = got
}

func (m *keptModel) dropGroup(t *rapid.T) {
	name := rapid.SampledFrom(keptGroups).Draw(t, "group")
	if m.committed[name] == nil {
		return
	}
	if err := m.b.Groups().Delete(m.ctx, name); err != nil {
		t.Fatalf("delete group: %v", err)
	}
	delete(m.committed, name)
}

func (m *keptModel) deleteRecords(t *rapid.T) {
	_, p := m.draw(t)
	at := rapid.Int64Range(-1, p.end()+1).Draw(t, "before")
	if rapid.IntRange(0, 2).Draw(t, "few") > 0 {
		at = min(at, p.start+2)
	}
	err := m.b.Topics().DeleteRecords(m.ctx, p.tp.Topic, map[int32]int64{p.tp.Partition: at})
	if at > p.end() {
		if !errors.Is(err, samsa.ErrOffsetOutOfRange) {
			t.Fatalf("delete records before %d of %d: %v", at, p.end(), err)
		}
		return
	}
	if err != nil {
		t.Fatalf("delete records: %v", err)
	}
	if at == -1 {
		at = p.end()
	}
	p.mayStart = max(p.mayStart, at)
	m.settle()
	m.maySweep()
	m.observe(t, p)
	if p.start < at {
		t.Fatalf("%s: the log start is %d, records before %d were deleted", p.tp, p.start, at)
	}
}

// wait lets time pass, and the broker sweep by itself.
func (m *keptModel) wait(t *rapid.T) {
	for range rapid.IntRange(1, 60).Draw(t, "minutes") {
		time.Sleep(time.Minute)
		m.settle()
		m.maySweep()
	}
}

// sweep sweeps, after which there is what must be and nothing else.
func (m *keptModel) sweep(t *rapid.T) {
	if m.dir != "" {
		m.maySweep()
	}
	var checks []func()
	for _, topic := range m.topics {
		for _, p := range topic.partitions {
			start, gone := m.mustStart(topic, p), m.mustGo(topic, p)
			checks = append(checks, func() { m.compacted(t, topic, p, start, gone) })
		}
	}
	if _, err := m.b.Sweep(m.ctx); err != nil {
		t.Fatalf("sweep: %v", err)
	}
	m.maySweep()
	for _, check := range checks {
		check()
	}
}

// compacted looks at a partition after a sweep.
func (m *keptModel) compacted(t *rapid.T, topic *keptTopic, p *keptPartition, start int64, gone []*keptRecord) {
	m.observe(t, p)
	if p.start < start {
		t.Fatalf("%s: the log start is %d after a sweep, want at least %d; %+v", p.tp, p.start, start, topic.config)
	}
	m.readAll(t, p)
	if topic.config.CleanupPolicy&samsa.CleanupCompact != 0 {
		for _, r := range p.records[:p.cleanTo] {
			r.kept = true
		}
	}
	for _, r := range gone {
		if r.Offset >= p.start && !r.gone {
			t.Fatalf("after a sweep there is still %s; %+v", describe(r.Record), topic.config)
		}
	}
	if m.dir != "" || p.joinedTo > 0 {
		return
	}
	stats, err := m.b.RetentionStats(m.ctx)
	if err != nil {
		t.Fatalf("retention statistics: %v", err)
	}
	var want int64
	for _, b := range p.left(p.start) {
		want += b.bytes
	}
	for _, s := range stats.Partitions {
		if s.Topic == p.tp.Topic && s.Partition == p.tp.Partition && s.BytesLive != want {
			t.Fatalf("%s: %d bytes live, want %d", p.tp, s.BytesLive, want)
		}
	}
}

// observe looks at the log start, which never falls.
func (m *keptModel) observe(t *rapid.T, p *keptPartition) {
	info, err := m.b.Topics().Describe(m.ctx, p.tp.Topic)
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	m.maySweepOnDisk()
	got := info.Partitions[p.tp.Partition]
	if got.HighWatermark != p.end() || got.LogStart < p.start || got.LogStart > p.mayStart {
		t.Fatalf("%s holds [%d, %d), want [%d..%d, %d)", p.tp, got.LogStart, got.HighWatermark, p.start, p.mayStart, p.end())
	}
	p.start = got.LogStart
}

// check looks at what is told of the logs' ends, after every action.
func (m *keptModel) check(t *rapid.T) {
	m.maySweepOnDisk()
	for _, topic := range m.topics {
		offsets, err := m.b.ListOffsets(m.ctx, topic.name, samsa.Earliest())
		if err != nil {
			t.Fatalf("list offsets: %v", err)
		}
		for i, p := range topic.partitions {
			if at := offsets[i].Offset; at < p.start || at > p.mayStart {
				t.Fatalf("%s: the earliest offset is %d, want %d..%d", p.tp, at, p.start, p.mayStart)
			}
			p.start = offsets[i].Offset
		}
	}
	for name, committed := range m.committed {
		info, err := m.b.Groups().Describe(m.ctx, name)
		if err != nil {
			t.Fatalf("describe group: %v", err)
		}
		if len(info.Partitions) != len(committed) {
			t.Fatalf("group %s has committed in %d partitions, want %d", name, len(info.Partitions), len(committed))
		}
		for _, gp := range info.Partitions {
			p := m.partition(gp.Topic, gp.Partition)
			at := committed[p.tp]
			lo, hi := p.end()-max(at, p.mayStart), p.end()-max(at, p.start)
			if m.dir == "" {
				lo = hi
			}
			if gp.Committed != at || gp.Lag < lo || gp.Lag > hi {
				t.Fatalf("%s: group %s is at %d with lag %d, want %d with %d..%d", p.tp, name, gp.Committed, gp.Lag, at, lo, hi)
			}
		}
	}
}

func (m *keptModel) partition(name string, i int32) *keptPartition {
	j := slices.IndexFunc(m.topics, func(topic *keptTopic) bool { return topic.name == name })
	return m.topics[j].partitions[i]
}

// readAll reads all there is of a partition and compares. What is not there is gone.
func (m *keptModel) readAll(t *rapid.T, p *keptPartition) {
	m.readFrom(t, p, p.start)
}

// read reads a partition from anywhere in it.
func (m *keptModel) read(t *rapid.T) {
	_, p := m.draw(t)
	m.readFrom(t, p, rapid.Int64Range(p.start, p.end()).Draw(t, "from"))
}

func (m *keptModel) readFrom(t *rapid.T, p *keptPartition, from int64) {
	c, err := m.b.NewConsumer(m.ctx, samsa.ConsumerOptions{
		Partitions:     map[string][]int32{p.tp.Topic: {p.tp.Partition}},
		MaxPollRecords: rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "max poll records"),
	})
	if err != nil {
		t.Fatalf("new consumer: %v", err)
	}
	defer mustClose(t, c)
	if err := c.Seek(m.ctx, p.tp, from); err != nil {
		t.Fatalf("seek: %v", err)
	}
	found := make(map[int64]bool)
	last := from - 1
	for m.more(t, c, p) {
		for _, r := range m.poll(t, c) {
			if r.Offset <= last {
				t.Fatalf("offset %d after %d", r.Offset, last)
			}
			last = r.Offset
			m.got(t, r)
			found[r.Offset] = true
		}
	}
	m.observe(t, p)
	for at := max(from, p.start); at < p.end(); at++ {
		r := p.records[at]
		if !found[at] && !r.may {
			t.Fatalf("lost: %s; the log is [%d, %d), joined to %d, read from %d to %v; %+v; %+v", describe(r.Record), p.start, p.end(), p.joinedTo, from, found, p.batches, m.topics[0].config)
		}
		r.gone = r.gone || !found[at]
	}
}

// more reports whether c has anything left to read. The newest record is always there,
// unless the log start has passed it.
func (m *keptModel) more(t *rapid.T, c *samsa.Consumer, p *keptPartition) bool {
	at, err := c.Position(p.tp)
	if err != nil {
		t.Fatalf("position: %v", err)
	}
	if lag, err := c.Lag(p.tp); err != nil || lag != p.end()-at {
		t.Fatalf("%s: lag %d, %v, at %d of %d", p.tp, lag, err, at, p.end())
	}
	m.observe(t, p)
	return max(at, p.start) < p.end()
}

// poll polls for a moment.
func (m *keptModel) poll(t *rapid.T, c *samsa.Consumer) []samsa.Record {
	wait := 20 * time.Millisecond // on disk a sweep may remove what is waited for
	if m.dir == "" {
		wait = time.Millisecond // which passes only when nothing is left to do
	}
	ctx, cancel := context.WithTimeout(m.ctx, wait)
	defer cancel()
	records, err := c.Poll(ctx)
	if err != nil && (m.dir == "" || ctx.Err() == nil || m.ctx.Err() != nil) {
		t.Fatalf("poll: %v", err)
	}
	return records
}

// got compares a record that was read.
func (m *keptModel) got(t *rapid.T, r samsa.Record) {
	p := m.partition(r.Topic, r.Partition)
	if r.Offset >= p.end() {
		t.Fatalf("read beyond the end: %s", describe(r))
	}
	want := p.records[r.Offset]
	sameRecord(t, "consumed", want.Record, r)
	if want.gone {
		t.Fatalf("it was gone, and comes back: %s", describe(r))
	}
}

// follow lets a consumer that stays read a little. What it has read ahead may be gone by
// then; what must be there it must not pass over.
func (m *keptModel) follow(t *rapid.T) {
	if m.follower == nil {
		opts := samsa.ConsumerOptions{MaxPollRecords: 2, MaxPollBytes: 100}
		for _, topic := range m.topics {
			opts.Topics = append(opts.Topics, topic.name)
		}
		c, err := m.b.NewConsumer(m.ctx, opts)
		if err != nil {
			t.Fatalf("new consumer: %v", err)
		}
		m.follower = c
	}
	before := make(map[samsa.TopicPartition]int64)
	waiting := false
	for _, topic := range m.topics {
		for _, p := range topic.partitions {
			at, err := m.follower.Position(p.tp)
			if err != nil {
				t.Fatalf("position: %v", err)
			}
			before[p.tp] = at
			waiting = waiting || max(at, p.start) < p.end()
		}
	}
	if !waiting {
		return
	}
	for _, r := range m.poll(t, m.follower) {
		p := m.partition(r.Topic, r.Partition)
		if r.Offset < before[p.tp] {
			t.Fatalf("offset %d, the position was %d", r.Offset, before[p.tp])
		}
		sameRecord(t, "followed", p.records[r.Offset].Record, r)
		m.maySweepOnDisk()
		for at := max(before[p.tp], p.mayStart); at < r.Offset; at++ {
			if !p.records[at].may {
				t.Fatalf("the consumer that stays passed over %s", describe(p.records[at].Record))
			}
		}
		before[p.tp] = r.Offset + 1
	}
}

// offsetByTime compares the first record since a time.
func (m *keptModel) offsetByTime(t *rapid.T) {
	topic, _ := m.draw(t)
	if m.dir == "" {
		for _, p := range topic.partitions {
			m.readAll(t, p) // nothing has gone unseen
		}
	}
	age := time.Duration(rapid.SampledFrom(append(keptAges, 1000)).Draw(t, "minutes ago")) * time.Minute
	since := time.Now().Add(-age).Truncate(time.Millisecond)
	offsets, err := m.b.ListOffsets(m.ctx, topic.name, samsa.AtTime(since))
	if err != nil {
		t.Fatalf("list offsets: %v", err)
	}
	m.maySweepOnDisk()
	for i, p := range topic.partitions {
		got := offsets[i].Offset
		for _, r := range p.records[p.start:] {
			fits := !r.gone && !r.Timestamp.Before(since)
			if r.Offset == got {
				if !fits {
					t.Fatalf("the first record since %s is %s, gone: %t", since, describe(r.Record), r.gone)
				}
				break
			}
			if fits && (m.dir == "" || !r.may && r.Offset >= p.mayStart) {
				t.Fatalf("%s: the first record since %s is at %d, want %s", p.tp, since, got, describe(r.Record))
			}
		}
		if got < p.start || got > p.end() {
			t.Fatalf("%s: the first record since %s is at %d of [%d, %d)", p.tp, since, got, p.start, p.end())
		}
	}
}

// left are the batches that the log start has not passed.
func (p *keptPartition) left(start int64) []keptBatch {
	i := slices.IndexFunc(p.batches, func(b keptBatch) bool { return b.end > start })
	if i < 0 {
		return nil
	}
	return p.batches[i:]
}

// maySweepOnDisk is for the sweeps that the broker begins by itself.
func (m *keptModel) maySweepOnDisk() {
	if m.dir != "" {
		m.maySweep()
	}
}

// maySweep notes what a sweep that happens now, or several, may remove.
func (m *keptModel) maySweep() {
	for _, topic := range m.topics {
		for _, p := range topic.partitions {
			for { // what is compacted may then be trimmed, and the other way round
				start, joined := p.mayStart, p.joinedTo
				p.mayStart = m.trimmedTo(topic, p, start, true)
				m.mayCompact(topic, p)
				if p.mayStart == start && p.joinedTo == joined {
					break
				}
			}
		}
	}
}

// mustStart is where a sweep that begins now moves the log start, at least.
func (m *keptModel) mustStart(topic *keptTopic, p *keptPartition) int64 {
	return m.trimmedTo(topic, p, p.start, false)
}

// trimmedTo applies the policies that move the log start: how far they may, or must.
func (m *keptModel) trimmedTo(topic *keptTopic, p *keptPartition, start int64, may bool) int64 {
	from := start
	if topic.config.CleanupPolicy&samsa.CleanupConsumed != 0 {
		start = max(start, p.byConsumption(from, m.consumed(p.tp), may))
	}
	if topic.config.CleanupPolicy&samsa.CleanupDelete == 0 {
		return start
	}
	if topic.config.Retention > 0 {
		start = max(start, p.byTime(from, time.Now().Add(-topic.config.Retention).UnixMilli(), may))
	}
	if topic.config.RetentionBytes > 0 {
		start = max(start, p.bySize(from, topic.config.RetentionBytes, may))
	}
	return start
}

// consumed is the offset that all groups of the topic have passed, -1 if there are none.
func (m *keptModel) consumed(tp samsa.TopicPartition) int64 {
	least := int64(-1)
	for _, committed := range m.committed {
		member := false
		for other := range committed {
			member = member || other.Topic == tp.Topic
		}
		switch at := committed[tp]; { // 0 if it has none
		case !member:
		case least < 0 || at < least:
			least = at
		}
	}
	return least
}

func (p *keptPartition) byConsumption(from, consumed int64, may bool) int64 {
	start := from
	for _, b := range p.left(from) {
		if b.end > consumed {
			break
		}
		start = b.end
	}
	return p.exactly(from, start, may)
}

// exactly returns start, which must be the end of a batch as produced, if it is one of
// a stored batch for sure or need not be.
func (p *keptPartition) exactly(from, start int64, may bool) int64 {
	if may || start >= p.joinedTo {
		return start
	}
	return from
}

// byTime removes the batches whose newest record is from before cutoffMs. Where batches may
// have been joined, one that has a younger record for sure stays for sure.
func (p *keptPartition) byTime(from, cutoffMs int64, may bool) int64 {
	start := from
	if !may && from < p.joinedTo && slices.ContainsFunc(p.batches, func(b keptBatch) bool {
		return b.end <= from && b.maxMs >= cutoffMs
	}) {
		return from // the log start may be within a batch that was joined with a younger one before it
	}
	for _, b := range p.left(from) {
		young := b.maxMs >= cutoffMs
		if may && b.base < p.joinedTo {
			young = slices.ContainsFunc(p.records[b.base:b.end], func(r *keptRecord) bool {
				return !r.may && r.Timestamp.UnixMilli() >= cutoffMs
			})
		}
		if young {
			return p.exactly(from, max(from, b.base), may)
		}
		start = b.end
	}
	return start
}

// bySize removes the oldest batches while the rest has still so many bytes.
func (p *keptPartition) bySize(from, limit int64, may bool) int64 {
	left := p.left(from)
	var size int64
	for i := len(left) - 1; i >= 0; i-- {
		if size += left[i].bytes; may && left[i].base < p.joinedTo {
			size += left[i].most - left[i].bytes
		}
		if size >= limit {
			return p.exactly(from, max(from, left[i].base), may)
		}
	}
	return from
}

// mayCompact notes which records compaction may remove now.
func (m *keptModel) mayCompact(topic *keptTopic, p *keptPartition) {
	if topic.config.CleanupPolicy&samsa.CleanupCompact == 0 {
		return
	}
	to := p.section(m.youngMs(topic), p.joinedTo, p.mayStart)
	for _, r := range p.records[:to] {
		r.ripen(topic.config.DeleteRetention)
	}
	for _, r := range p.superseded(to, func(r *keptRecord) bool { return !time.Now().Before(r.ripe) }) {
		r.may = true
	}
	p.joinedTo = max(p.joinedTo, to)
}

// mustGo are the records that compaction removes in a sweep that begins and ends now.
func (m *keptModel) mustGo(topic *keptTopic, p *keptPartition) []*keptRecord {
	if topic.config.CleanupPolicy&samsa.CleanupCompact == 0 {
		return nil
	}
	p.cleanTo = p.section(m.youngMs(topic), p.cleanTo, p.start)
	return p.superseded(p.cleanTo, func(r *keptRecord) bool { return r.kept && !time.Now().Before(r.overripe) })
}

// keptSlack is more than a sweep of the model takes.
const keptSlack = time.Minute

// ripen notes that a sweep that has just ended may have kept r.
func (r *keptRecord) ripen(retention time.Duration) {
	if r.kept {
		return
	}
	if at := time.Now().Add(retention - keptSlack); r.ripe.IsZero() || at.Before(r.ripe) {
		r.ripe = at
	}
	if at := time.Now().Add(retention); at.After(r.overripe) {
		r.overripe = at
	}
}

// youngMs is the age below which records are not compacted.
func (m *keptModel) youngMs(topic *keptTopic) int64 {
	if topic.config.MinCompactionLag == 0 {
		return math.MaxInt64
	}
	return time.Now().Add(-topic.config.MinCompactionLag).UnixMilli()
}

// section is the end of what is compacted: not the newest batch, nor what is behind a young
// one, unless that is before cleanTo: it was compacted and the broker remembers it.
func (p *keptPartition) section(youngMs, cleanTo, start int64) (to int64) {
	for i, b := range p.batches {
		switch {
		case i == len(p.batches)-1:
			return to
		case b.end <= max(start, cleanTo):
		case b.maxMs > youngMs && b.base < p.joinedTo:
			return cleanTo // where the stored batch begins nobody knows
		case b.maxMs > youngMs:
			return to
		}
		to = b.end
	}
	return to
}

// superseded are the records before offset to that are not the latest of their key, or
// tombstones whose time has come.
func (p *keptPartition) superseded(to int64, due func(tombstone *keptRecord) bool) (records []*keptRecord) {
	latest := make(map[string]int64)
	for _, r := range p.records[:to] {
		if r.Key != nil {
			latest[string(r.Key)] = r.Offset
		}
	}
	for _, r := range p.records[:to] {
		if r.Key == nil {
			continue
		}
		if latest[string(r.Key)] > r.Offset || r.Value == nil && due(r) {
			records = append(records, r)
		}
	}
	return records
}
