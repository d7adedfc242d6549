package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
)

// The model test does random things to a broker and to a model of it that is a few
// slices and maps, and compares what can be seen from outside.

func TestModelInMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { runModel(rt, "") })
}

func TestModelOnDisk(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "model")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // TempDir sees to it
		runModel(rt, dir)
	})
}

// TestModelSeekWhileReading seeks while the consumer reads ahead: what was on its way
// from before must not come.
func TestModelSeekWhileReading(t *testing.T) {
	const records = 3000
	b := mustOpen(t, "", samsa.Options{InMemory: true})
	mustCreate(t, b, "a", 1)
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{Compression: samsa.CompressionGzip})
	if err != nil {
		t.Fatal(err)
	}
	rng, ctx := seeded(t), patient(t)
	for i := range records {
		p.Produce(ctx, samsa.Record{Topic: "a", Value: bytes.Repeat([]byte{byte(i)}, 500)}, nil)
	}
	mustClose(t, p)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"a"}, MaxPollRecords: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	for range 500 {
		at := rng.Int64N(records - 20)
		if err := c.Seek(ctx, samsa.TopicPartition{Topic: "a"}, at); err != nil {
			t.Fatal(err)
		}
		for range rng.IntN(3) {
			got, err := c.Poll(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				if r.Offset != at {
					t.Fatalf("got offset %d, want %d", r.Offset, at)
				}
				at++
			}
		}
	}
}

func runModel(t *rapid.T, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m := &model{ctx: ctx, dir: dir, topics: make(map[string]*modelTopic)}
	m.open(t)
	defer func() { m.shut(t) }()
	actions := map[string]func(*rapid.T){
		"":              m.compare,
		"create":        m.create,
		"delete":        m.delete,
		"add partition": m.addPartitions,
		"produce":       m.produce,
		"produce more":  m.produce,
		"produce wrong": m.produceWrong,
		"async":         m.produceAsync,
		"read":          m.read,
		"list offsets":  m.listOffsets,
		"follow":        m.follow,
		"catch up":      m.catchUp,
		"move follower": m.moveFollower,
	}
	if dir != "" {
		actions["reopen"] = m.reopen
	}
	t.Repeat(actions)
	m.catchUpAll(t)
	m.readEverything(t)
}

// model is a broker and what should be in it.
type model struct {
	ctx       context.Context
	dir       string // "" for a broker in memory
	b         *samsa.Broker
	topics    map[string]*modelTopic
	followers []*follower
}

// modelTopic is a topic that exists or existed.
type modelTopic struct {
	name       string
	appendTime bool
	logs       [][]samsa.Record // by partition and offset
	deleted    bool
}

var (
	modelNames   = []string{"orders", "clicks", "audit.log"}
	compressions = []samsa.Compression{
		samsa.CompressionDefault, samsa.CompressionNone, samsa.CompressionGzip,
		samsa.CompressionSnappy, samsa.CompressionLz4, samsa.CompressionZstd,
	}
	partitioners = map[string]samsa.Partitioner{
		"key hash": samsa.HashPartitioner(), "murmur2": samsa.Murmur2Partitioner(), "manual": samsa.ManualPartitioner(),
		"round robin": samsa.RoundRobinPartitioner(),
		"by topic":    samsa.PartitionerByTopic(map[string]samsa.Partitioner{"orders": samsa.ManualPartitioner()}, nil),
	}
	modelStart = time.UnixMilli(1_000_000_000_000)
)

const maxModelPartitions = 4

func (m *model) open(t *rapid.T) {
	b, err := samsa.Open(m.dir, samsa.Options{
		InMemory: m.dir == "",
		Produce: samsa.ProduceOptions{
			Acks:        rapid.SampledFrom([]samsa.Acks{samsa.AckStored, samsa.AckSynced}).Draw(t, "broker acks"),
			Compression: rapid.SampledFrom(compressions).Draw(t, "broker compression"),
			Partitioner: samsa.ManualPartitioner(),
		},
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.b = b
}

// shut closes the broker under its followers, which see it.
func (m *model) shut(t *rapid.T) {
	mustClose(t, m.b)
	for _, f := range m.followers {
		if _, err := f.c.Poll(m.ctx); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("poll of a closed broker: %v", err)
		}
		mustClose(t, f.c)
	}
	m.followers = nil
}

func (m *model) reopen(t *rapid.T) {
	m.shut(t)
	m.open(t)
}

// compare looks at the catalogue and the ends of the logs.
func (m *model) compare(t *rapid.T) {
	names, err := m.b.Topics().List(m.ctx)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if want := slices.Sorted(maps.Keys(m.topics)); !slices.Equal(names, want) {
		t.Fatalf("topics are %q, want %q", names, want)
	}
	for _, name := range names {
		info, err := m.b.Topics().Describe(m.ctx, name)
		if err != nil {
			t.Fatalf("describe: %v", err)
		}
		logs := m.topics[name].logs
		if len(info.Partitions) != len(logs) {
			t.Fatalf("%s has %d partitions, want %d", name, len(info.Partitions), len(logs))
		}
		for i, p := range info.Partitions {
			if p.LogStart != 0 || p.HighWatermark != int64(len(logs[i])) {
				t.Fatalf("%s/%d holds [%d, %d), want [0, %d)", name, i, p.LogStart, p.HighWatermark, len(logs[i]))
			}
		}
	}
}

func (m *model) create(t *rapid.T) {
	name := rapid.SampledFrom(modelNames).Draw(t, "name")
	config := samsa.TopicConfig{
		Partitions:      rapid.IntRange(1, 3).Draw(t, "partitions"),
		MaxMessageBytes: rapid.SampledFrom([]int{0, 4000}).Draw(t, "max.message.bytes"),
		LogAppendTime:   rapid.Bool().Draw(t, "log append time"),
		Retention:       samsa.Unlimited, // modelStart is long ago
	}
	err := m.b.Topics().Create(m.ctx, name, config)
	if m.topics[name] != nil {
		if !errors.Is(err, samsa.ErrTopicExists) {
			t.Fatalf("create %s again: %v", name, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	m.topics[name] = &modelTopic{name: name, appendTime: config.LogAppendTime, logs: make([][]samsa.Record, config.Partitions)}
}

func (m *model) delete(t *rapid.T) {
	name := rapid.SampledFrom(modelNames).Draw(t, "name")
	err := m.b.Topics().Delete(m.ctx, name)
	if m.topics[name] == nil {
		if !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Fatalf("delete unknown %s: %v", name, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	m.topics[name].deleted = true
	delete(m.topics, name)
}

func (m *model) addPartitions(t *rapid.T) {
	topic := m.drawTopic(t)
	total := rapid.IntRange(0, maxModelPartitions).Draw(t, "total")
	err := m.b.Topics().AddPartitions(m.ctx, topic.name, total)
	if total < len(topic.logs) {
		if !errors.Is(err, samsa.ErrInvalidPartitions) {
			t.Fatalf("shrink %s to %d: %v", topic.name, total, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("add partitions: %v", err)
	}
	for len(topic.logs) < total {
		topic.logs = append(topic.logs, nil)
	}
}

// drawTopic picks a topic that exists, or skips the action.
func (m *model) drawTopic(t *rapid.T) *modelTopic {
	if len(m.topics) == 0 {
		t.Skip("no topic")
	}
	return m.topics[rapid.SampledFrom(slices.Sorted(maps.Keys(m.topics))).Draw(t, "topic")]
}

// drawRecord makes a record for a topic that exists.
func (m *model) drawRecord(t *rapid.T) samsa.Record {
	topic := m.drawTopic(t)
	r := samsa.Record{
		Topic:     topic.name,
		Partition: int32(rapid.IntRange(0, len(topic.logs)-1).Draw(t, "partition")),
		Timestamp: modelStart.Add(time.Duration(rapid.IntRange(0, 9_999_999).Draw(t, "µs")) * time.Microsecond),
		Key:       drawBytes(t, "key", 8),
		Value:     drawBytes(t, "value", 3000),
	}
	for i := range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "headers") {
		r.Headers = append(r.Headers, samsa.Header{Key: strings.Repeat("h", i), Value: drawBytes(t, "header", 4)})
	}
	return r
}

// drawBytes makes null, empty, or up to limit bytes, half of which compress well.
func drawBytes(t *rapid.T, label string, limit int) []byte {
	switch size := rapid.IntRange(-2, limit).Draw(t, label); size {
	case -2, -1:
		return nil
	case 0:
		return []byte{}
	default:
		b := bytes.Repeat([]byte{byte(size)}, size)
		rng := rand.New(rand.NewPCG(uint64(size), rapid.Uint64().Draw(t, "seed")))
		for i := range b[:(size+1)/2] {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
}

// produce stores records of one atomic call.
func (m *model) produce(t *rapid.T) {
	records := make([]samsa.Record, rapid.IntRange(1, 12).Draw(t, "records"))
	for i := range records {
		records[i] = m.drawRecord(t)
	}
	got, err := m.b.Produce(m.ctx, records...)
	if err != nil {
		t.Fatalf("produce: %v", err)
	}
	if len(got) != len(records) {
		t.Fatalf("produce returned %d records of %d", len(got), len(records))
	}
	for i, r := range got {
		if r.Partition != records[i].Partition {
			t.Fatalf("record %d was for partition %d, went to %d", i, records[i].Partition, r.Partition)
		}
		m.append(t, records[i], r)
	}
}

// append adds got, which is what became of sent, to the model.
func (m *model) append(t *rapid.T, sent, got samsa.Record) {
	t.Helper()
	topic := m.topics[sent.Topic]
	want := sent
	want.Partition, want.Timestamp = got.Partition, sent.Timestamp.Truncate(time.Millisecond)
	if topic.appendTime {
		want.Timestamp = got.Timestamp
	}
	want.Offset = int64(len(topic.logs[got.Partition]))
	sameRecord(t, "acknowledged", want, withMillis(got))
	topic.logs[got.Partition] = append(topic.logs[got.Partition], want)
}

// withMillis returns r with what is stored of its timestamp.
func withMillis(r samsa.Record) samsa.Record {
	r.Timestamp = r.Timestamp.Truncate(time.Millisecond)
	return r
}

func sameRecord(t rapid.TB, what string, want, got samsa.Record) {
	t.Helper()
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	ok := got.Topic == want.Topic && got.Partition == want.Partition && got.Offset == want.Offset &&
		got.Timestamp.Equal(want.Timestamp) && same(got.Key, want.Key) && same(got.Value, want.Value) &&
		slices.EqualFunc(got.Headers, want.Headers, func(a, b samsa.Header) bool { return a.Key == b.Key && same(a.Value, b.Value) })
	if !ok {
		t.Fatalf("%s record differs\n got %s\nwant %s", what, describe(got), describe(want))
	}
}

func describe(r samsa.Record) string {
	short := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return fmt.Sprintf("%d:%.20x", len(b), b)
	}
	s := fmt.Sprintf("%s/%d@%d %d ms key %s value %s", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), short(r.Key), short(r.Value))
	for _, h := range r.Headers {
		s += fmt.Sprintf(" %s=%s", h.Key, short(h.Value))
	}
	return s
}

// produceWrong produces records of which one is refused: none may be stored, which the
// comparison after the action sees.
func (m *model) produceWrong(t *rapid.T) {
	records := []samsa.Record{m.drawRecord(t), m.drawRecord(t), m.drawRecord(t)}
	bad := &records[rapid.IntRange(0, 2).Draw(t, "which")]
	var want error
	switch rapid.IntRange(0, 3).Draw(t, "why") {
	case 0:
		bad.Topic, want = "nowhere", samsa.ErrUnknownTopic
	case 1:
		bad.Partition, want = maxModelPartitions, samsa.ErrUnknownPartition
	case 2:
		bad.Value, want = make([]byte, 2<<20), samsa.ErrRecordTooLarge
	case 3:
		bad.Timestamp, want = time.UnixMilli(-1), samsa.ErrInvalidTimestamp
		if m.topics[bad.Topic].appendTime {
			bad.Topic, want = "nowhere", samsa.ErrUnknownTopic // there any time will do
		}
	}
	if _, err := m.b.Produce(m.ctx, records...); !errors.Is(err, want) {
		t.Fatalf("produce: %v, want %v", err, want)
	}
}

// produceAsync stores records through a producer of its own.
func (m *model) produceAsync(t *rapid.T) {
	if len(m.topics) == 0 {
		t.Skip("no topic")
	}
	chooser := rapid.SampledFrom(slices.Sorted(maps.Keys(partitioners))).Draw(t, "partitioner")
	p, err := m.b.NewProducer(m.ctx, samsa.ProducerOptions{
		Acks:          rapid.SampledFrom([]samsa.Acks{samsa.AckStored, samsa.AckSynced}).Draw(t, "acks"),
		Compression:   rapid.SampledFrom(compressions).Draw(t, "compression"),
		Partitioner:   partitioners[chooser],
		Linger:        rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, time.Minute}).Draw(t, "linger"),
		BatchBytes:    rapid.SampledFrom([]int{0, 1, 500, 5000}).Draw(t, "batch bytes"),
		BufferedBytes: rapid.SampledFrom([]int{0, 0, 1 << 20}).Draw(t, "buffered bytes"),
	})
	if err != nil {
		t.Fatalf("new producer: %v", err)
	}
	var kept promises
	sent := make([]samsa.Record, rapid.IntRange(1, 40).Draw(t, "records"))
	flushAt := rapid.IntRange(0, len(sent)).Draw(t, "flush at")
	for i := range sent {
		sent[i] = m.drawRecord(t)
		p.Produce(m.ctx, sent[i], kept.of(i))
		if i+1 == flushAt {
			if err := p.Flush(m.ctx); err != nil {
				t.Fatalf("flush: %v", err)
			}
			if got := kept.count(); got != flushAt {
				t.Fatalf("%d promises kept after Flush, want %d", got, flushAt)
			}
			if n := p.Buffered(); n != 0 {
				t.Fatalf("%d bytes buffered after Flush", n)
			}
		}
	}
	mustClose(t, p)
	if kept.count() != len(sent) {
		t.Fatalf("%d promises kept after Close, want %d", kept.count(), len(sent))
	}
	for _, k := range kept.inOrder(t) {
		if k.err != nil {
			t.Fatalf("async record %d: %v", k.i, k.err)
		}
		if chooser == "manual" && k.r.Partition != sent[k.i].Partition {
			t.Fatalf("async record %d was for partition %d, went to %d", k.i, sent[k.i].Partition, k.r.Partition)
		}
		m.append(t, sent[k.i], k.r)
	}
}

// promises are the fates of records that were produced through one producer.
type promises struct {
	mu   sync.Mutex
	kept []fate
}

type fate struct {
	i   int // of the record among those sent
	r   samsa.Record
	err error
}

func (p *promises) of(i int) samsa.Promise {
	return func(r samsa.Record, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.kept = append(p.kept, fate{i, r, err})
	}
}

func (p *promises) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.kept)
}

// inOrder returns the fates in the order of sending. The promises of a partition must
// have been kept in that order too.
func (p *promises) inOrder(t *rapid.T) []fate {
	last := make(map[samsa.TopicPartition]int)
	for _, k := range p.kept {
		tp := samsa.TopicPartition{Topic: k.r.Topic, Partition: k.r.Partition}
		if before, ok := last[tp]; ok && before > k.i {
			t.Fatalf("%s: the promise of record %d came before that of record %d", tp, before, k.i)
		}
		last[tp] = k.i
	}
	slices.SortFunc(p.kept, func(a, b fate) int { return cmp.Compare(a.i, b.i) })
	return p.kept
}

// listOffsets compares offsets by time, and those that are given.
func (m *model) listOffsets(t *rapid.T) {
	topic := m.drawTopic(t)
	start, resolve := m.drawStart(t)
	got, err := m.b.ListOffsets(m.ctx, topic.name, start)
	for i := range topic.logs {
		want := resolve(topic.logs[i])
		switch {
		case want > int64(len(topic.logs[i])):
			if !errors.Is(err, samsa.ErrOffsetOutOfRange) {
				t.Fatalf("list offsets at %s of %s/%d: %v", start, topic.name, i, err)
			}
			return
		case err != nil:
			continue // another partition is too short
		case got[i].Partition != int32(i) || got[i].Offset != want:
			t.Fatalf("list offsets at %s of %s/%d: %+v, want %d", start, topic.name, i, got[i], want)
		}
	}
	if err != nil {
		t.Fatalf("list offsets: %v", err)
	}
}

// drawStart picks a start, and returns it with what it means for a log.
func (m *model) drawStart(t *rapid.T) (samsa.Start, func(log []samsa.Record) int64) {
	switch rapid.IntRange(0, 3).Draw(t, "start") {
	case 0:
		return samsa.Earliest(), func([]samsa.Record) int64 { return 0 }
	case 1:
		return samsa.Latest(), func(log []samsa.Record) int64 { return int64(len(log)) }
	case 2:
		at := int64(rapid.IntRange(0, 40).Draw(t, "offset"))
		return samsa.AtOffset(at), func([]samsa.Record) int64 { return at }
	}
	at := modelStart.Add(time.Duration(rapid.IntRange(-1, 10_000_001).Draw(t, "µs")) * time.Microsecond)
	return samsa.AtTime(at), func(log []samsa.Record) int64 {
		i := slices.IndexFunc(log, func(r samsa.Record) bool { return !r.Timestamp.Before(at.Truncate(time.Millisecond)) })
		if i < 0 {
			i = len(log)
		}
		return int64(i)
	}
}

// follower is a consumer, and where the model thinks it is.
type follower struct {
	m      *model
	c      *samsa.Consumer
	topics map[string]*modelTopic // that it reads, those too that were deleted meanwhile
	whole  bool                   // it reads all partitions of the topics
	reset  samsa.ResetPolicy
	next   map[samsa.TopicPartition]int64
	paused map[samsa.TopicPartition]bool
}

func (m *model) newFollower(t *rapid.T) *follower {
	topic := m.drawTopic(t)
	start, resolve := m.drawStart(t)
	f := &follower{
		m: m, topics: make(map[string]*modelTopic), whole: rapid.Bool().Draw(t, "whole topics"),
		reset:  rapid.SampledFrom([]samsa.ResetPolicy{samsa.ResetEarliest, samsa.ResetLatest, samsa.ResetError}).Draw(t, "reset"),
		next:   make(map[samsa.TopicPartition]int64),
		paused: make(map[samsa.TopicPartition]bool),
	}
	opts := samsa.ConsumerOptions{
		Start: start, OutOfRange: f.reset,
		MaxPollRecords: rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "max poll records"),
		MaxPollBytes:   rapid.SampledFrom([]int{0, 1, 2000}).Draw(t, "max poll bytes"),
	}
	if f.whole {
		f.topics = maps.Clone(m.topics)
		opts.Topics = slices.Collect(maps.Keys(m.topics))
	} else {
		f.topics[topic.name] = topic
		opts.Partitions = map[string][]int32{topic.name: {int32(rapid.IntRange(0, len(topic.logs)-1).Draw(t, "partition"))}}
	}
	c, err := m.b.NewConsumer(m.ctx, opts)
	if err != nil {
		t.Fatalf("new consumer: %v", err)
	}
	f.c = c
	for _, tp := range c.Assigned() {
		f.next[tp] = resolve(f.log(tp))
	}
	return f
}

func (f *follower) log(tp samsa.TopicPartition) []samsa.Record {
	return f.topics[tp.Topic].logs[tp.Partition]
}

// follow makes a consumer that stays for a while.
func (m *model) follow(t *rapid.T) {
	if len(m.followers) == 3 {
		t.Skip("enough followers")
	}
	f := m.newFollower(t)
	m.followers = append(m.followers, f)
	f.settle(t)
}

// catchUp lets one follower read to the end.
func (m *model) catchUp(t *rapid.T) { m.drawFollower(t).drain(t) }

func (m *model) drawFollower(t *rapid.T) *follower {
	if len(m.followers) == 0 {
		t.Skip("no followers")
	}
	return rapid.SampledFrom(m.followers).Draw(t, "follower")
}

func (m *model) catchUpAll(t *rapid.T) {
	for len(m.followers) > 0 {
		f := m.followers[0]
		f.drain(t)
		if len(m.followers) > 0 && m.followers[0] == f {
			mustClose(t, f.c)
			m.followers = m.followers[1:]
		}
	}
}

// readEverything reads the whole broker from the start.
func (m *model) readEverything(t *rapid.T) {
	if len(m.topics) == 0 {
		return
	}
	c, err := m.b.NewConsumer(m.ctx, samsa.ConsumerOptions{Topics: slices.Collect(maps.Keys(m.topics))})
	if err != nil {
		t.Fatalf("new consumer: %v", err)
	}
	f := &follower{m: m, c: c, topics: maps.Clone(m.topics), whole: true, next: make(map[samsa.TopicPartition]int64)}
	f.drain(t)
	mustClose(t, c)
}

// read makes a consumer, which reads a part, seeks, pauses, and reads the rest.
func (m *model) read(t *rapid.T) {
	f := m.newFollower(t)
	defer mustClose(t, f.c)
	f.settle(t)
	for range rapid.IntRange(0, 3).Draw(t, "moves") {
		f.move(t)
	}
	f.resumeAll(t)
	f.drain(t)
}

// moveFollower moves a consumer that stays.
func (m *model) moveFollower(t *rapid.T) { m.drawFollower(t).move(t) }

func (f *follower) move(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "move") {
	case 0:
		f.readSome(t)
	case 1:
		f.seek(t)
	case 2:
		f.pause(t)
	case 3:
		f.resumeAll(t)
	}
}

// settle waits until the consumer has left offsets that do not exist, so that records
// that come later do not make them valid.
func (f *follower) settle(t *rapid.T) {
	for tp, at := range f.next {
		end := int64(len(f.log(tp)))
		if at <= end {
			continue
		}
		switch f.reset {
		case samsa.ResetEarliest, samsa.ResetLatest:
			// A seek to where the reset leads does the same, and at once.
			f.next[tp] = 0
			if f.reset == samsa.ResetLatest {
				f.next[tp] = end
			}
			if end > 0 && f.reset == samsa.ResetEarliest {
				continue // the records at the start tell that it happened
			}
		case samsa.ResetError:
			for { // others may be stuck too: the text tells which
				_, err := f.poll(t)
				if errors.Is(err, samsa.ErrOffsetOutOfRange) && strings.Contains(err.Error(), tp.String()) {
					break
				}
			}
			f.next[tp] = int64(rapid.IntRange(0, int(end)).Draw(t, "seek back to"))
		}
		if err := f.c.Seek(ctx, tp, f.next[tp]); err != nil {
			t.Fatalf("seek: %v", err)
		}
	}
	f.first(t)
}

// first reads until every partition that was reset has given a record.
func (f *follower) first(t *rapid.T) {
	for f.resetting() {
		_, _ = f.poll(t)
	}
}

func (f *follower) resetting() bool {
	for tp, next := range f.next {
		at, err := f.c.Position(tp)
		if err == nil && at > int64(len(f.log(tp))) && next < int64(len(f.log(tp))) {
			return true
		}
	}
	return false
}

// poll polls once and compares what comes. Of errors it returns those of offsets.
func (f *follower) poll(t *rapid.T) ([]samsa.Record, error) {
	records, err := f.c.Poll(f.m.ctx)
	if f.m.ctx.Err() != nil {
		t.Fatalf("poll got nothing more, %d records are missing, %d deletions not told", f.unread(), len(f.untold()))
	}
	if err != nil {
		if len(records) != 0 {
			t.Fatalf("poll returned records and %v", err)
		}
		f.failed(t, err)
	}
	for _, r := range records {
		f.got(t, r)
	}
	return records, err
}

// got compares one record.
func (f *follower) got(t *rapid.T, r samsa.Record) {
	tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	topic := f.topics[r.Topic]
	if topic == nil || int(r.Partition) >= len(topic.logs) || f.paused[tp] {
		t.Fatalf("unexpected record %s, paused: %t", describe(r), f.paused[tp])
	}
	at := f.next[tp]
	if at >= int64(len(f.log(tp))) {
		t.Fatalf("record behind the end: %s", describe(r))
	}
	sameRecord(t, "consumed", f.log(tp)[at], r)
	f.next[tp]++
}

// failed takes an error of Poll.
func (f *follower) failed(t *rapid.T, err error) {
	switch {
	case errors.Is(err, samsa.ErrOffsetOutOfRange) && f.reset == samsa.ResetError:
		return
	case !errors.Is(err, samsa.ErrUnknownTopic):
		t.Fatalf("poll: %v", err)
	}
	for _, topic := range f.topics {
		if topic.deleted && strings.Contains(err.Error(), topic.name+"/") {
			f.forget(t, topic)
			return
		}
	}
	t.Fatalf("poll: %v, but no such topic was deleted", err)
}

func (f *follower) forget(t *rapid.T, topic *modelTopic) {
	delete(f.topics, topic.name)
	for tp := range f.next {
		if tp.Topic == topic.name {
			if _, err := f.c.Position(tp); !errors.Is(err, samsa.ErrUnknownPartition) {
				t.Fatalf("position in a deleted topic: %v", err)
			}
			delete(f.next, tp)
			delete(f.paused, tp)
		}
	}
}

// untold are the deleted topics of which Poll has not told yet.
func (f *follower) untold() []*modelTopic {
	var topics []*modelTopic
	for _, topic := range f.topics {
		if topic.deleted && !f.allPaused(topic) {
			topics = append(topics, topic)
		}
	}
	return topics
}

// allPaused reports whether nothing of topic is read, so that its end is not noticed.
func (f *follower) allPaused(topic *modelTopic) bool {
	for tp := range f.next {
		if tp.Topic == topic.name && !f.paused[tp] {
			return false
		}
	}
	return true
}

// unread is how many records the consumer has yet to return.
func (f *follower) unread() int {
	n := 0
	for _, topic := range f.topics {
		for i, log := range topic.logs {
			tp := samsa.TopicPartition{Topic: topic.name, Partition: int32(i)}
			_, known := f.next[tp]
			if !topic.deleted && !f.paused[tp] && (known || f.whole) {
				n += len(log) - int(f.next[tp])
			}
		}
	}
	return n
}

// drain reads to the end, and all that Poll has to tell.
func (f *follower) drain(t *rapid.T) {
	for f.unread() > 0 || len(f.untold()) > 0 {
		_, _ = f.poll(t)
	}
	if len(f.topics) == 0 {
		if _, err := f.c.Poll(f.m.ctx); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Fatalf("poll with nothing left to read: %v", err)
		}
		f.m.followers = slices.DeleteFunc(f.m.followers, func(other *follower) bool { return other == f })
		mustClose(t, f.c)
		return
	}
	for tp, next := range f.next {
		if f.topics[tp.Topic].deleted {
			continue
		}
		if at, err := f.c.Position(tp); err != nil || at != next {
			t.Fatalf("position of %s is %d, %v, want %d", tp, at, err, next)
		}
		if lag, err := f.c.Lag(tp); err != nil || lag != int64(len(f.log(tp)))-next {
			t.Fatalf("lag of %s is %d, %v", tp, lag, err)
		}
	}
}

// readSome leaves the loop over Records in the middle.
func (f *follower) readSome(t *rapid.T) {
	n := f.unread()
	if n == 0 || len(f.untold()) > 0 {
		return
	}
	n = rapid.IntRange(1, n).Draw(t, "read")
	for r, err := range f.c.Records(f.m.ctx) {
		if err != nil {
			f.failed(t, err)
			continue
		}
		f.got(t, r)
		if n--; n == 0 {
			break
		}
	}
}

// seek moves one partition, or all.
func (f *follower) seek(t *rapid.T) {
	tp, ok := f.drawPartition(t)
	if !ok {
		return
	}
	at := int64(rapid.IntRange(0, len(f.log(tp))).Draw(t, "seek to"))
	if err := f.c.Seek(ctx, tp, at); err != nil {
		t.Fatalf("seek %s: %v", tp, err)
	}
	f.next[tp] = at
}

// drawPartition picks one that surely is read.
func (f *follower) drawPartition(t *rapid.T) (samsa.TopicPartition, bool) {
	var tps []samsa.TopicPartition
	for tp := range f.next {
		if !f.topics[tp.Topic].deleted {
			tps = append(tps, tp)
		}
	}
	if len(tps) == 0 {
		return samsa.TopicPartition{}, false
	}
	slices.SortFunc(tps, func(a, b samsa.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return rapid.SampledFrom(tps).Draw(t, "topic-partition"), true
}

func (f *follower) pause(t *rapid.T) {
	tp, ok := f.drawPartition(t)
	if !ok {
		return
	}
	if err := f.c.Pause(tp); err != nil {
		t.Fatalf("pause: %v", err)
	}
	f.paused[tp] = true
}

func (f *follower) resumeAll(t *rapid.T) {
	if err := f.c.Resume(); err != nil {
		t.Fatalf("resume: %v", err)
	}
	clear(f.paused)
}
