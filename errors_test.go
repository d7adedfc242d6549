package samsa_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// publicErrors are the sentinels that users know, by name.
var publicErrors = map[string]error{
	"ErrClosed": samsa.ErrClosed, "ErrFailed": samsa.ErrFailed, "ErrDiskFull": samsa.ErrDiskFull, "ErrStorage": samsa.ErrStorage,
	"ErrCorruptRecord": samsa.ErrCorruptRecord, "ErrCorruptValue": samsa.ErrCorruptValue, "ErrRecordTooLarge": samsa.ErrRecordTooLarge,
	"ErrTxTooLarge": samsa.ErrTxTooLarge, "ErrOffsetOutOfRange": samsa.ErrOffsetOutOfRange, "ErrOutOfOrderSequence": samsa.ErrOutOfOrderSequence,
	"ErrProducerFenced": samsa.ErrProducerFenced, "ErrConflict": samsa.ErrConflict, "ErrKeyNotFound": samsa.ErrKeyNotFound,
	"ErrInvalidKey": samsa.ErrInvalidKey, "ErrUnknownTopic": samsa.ErrUnknownTopic, "ErrUnknownPartition": samsa.ErrUnknownPartition,
	"ErrTopicExists": samsa.ErrTopicExists, "ErrInvalidTopic": samsa.ErrInvalidTopic, "ErrInvalidConfig": samsa.ErrInvalidConfig,
	"ErrInvalidPartitions": samsa.ErrInvalidPartitions, "ErrInvalidTimestamp": samsa.ErrInvalidTimestamp,
	"ErrInvalidRecord": samsa.ErrInvalidRecord, "ErrInvalidOption": samsa.ErrInvalidOption, "ErrLocked": samsa.ErrLocked,
	"ErrNotDirectory": samsa.ErrNotDirectory, "ErrReadOnly": samsa.ErrReadOnly, "ErrNewerFormat": samsa.ErrNewerFormat,
	"ErrInvalidSnapshot": samsa.ErrInvalidSnapshot, "ErrUnavailable": samsa.ErrUnavailable, "ErrUnsupportedCodec": samsa.ErrUnsupportedCodec,
	"ErrUnknownMember": samsa.ErrUnknownMember, "ErrIllegalGeneration": samsa.ErrIllegalGeneration,
	"ErrRebalanceInProgress": samsa.ErrRebalanceInProgress, "ErrFencedInstance": samsa.ErrFencedInstance,
	"ErrMemberIDRequired": samsa.ErrMemberIDRequired, "ErrInconsistentProtocol": samsa.ErrInconsistentProtocol,
	"ErrInvalidSessionTimeout": samsa.ErrInvalidSessionTimeout, "ErrGroupFull": samsa.ErrGroupFull, "ErrInvalidGroup": samsa.ErrInvalidGroup,
	"ErrUnknownGroup": samsa.ErrUnknownGroup, "ErrGroupNotEmpty": samsa.ErrGroupNotEmpty, "ErrMetadataTooLarge": samsa.ErrMetadataTooLarge,
	"ErrNoOffset": samsa.ErrNoOffset, "ErrGroupSubscribed": samsa.ErrGroupSubscribed,
}

func TestPublicErrorsAreAllThereAre(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "vocabulary.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") && publicErrors[spec.Names[0].Name] == nil {
			t.Errorf("%s is not in the test", spec.Names[0].Name)
		}
		return true
	})
}

// checkError wants err to be or to wrap one public error, or to be of the caller's context. One that
// lists several mistakes has one for each line. No line names an error twice.
func checkError(t *testing.T, what string, err error) {
	t.Helper()
	var names []string
	for name, public := range publicErrors {
		if errors.Is(err, public) {
			names = append(names, name)
		}
	}
	lines := strings.Split(err.Error(), "\n")
	theirs := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrExist)
	if len(names) == 0 && !theirs || len(names) > len(lines) || len(names) == 1 && theirs {
		t.Errorf("%s: is %v: %v", what, names, err)
	}
	for _, line := range lines {
		for name, public := range publicErrors {
			// What is a name for one of these may be said in other words: "record ... too large".
			if strings.Count(line, public.Error()+":") > 1 || name != "ErrClosed" && strings.Count(line, public.Error()) > 1 {
				t.Errorf("%s: says %q twice: %s", what, public, line)
			}
		}
	}
}

// faulty is a store in memory that fails as one on a disk does.
type faulty struct {
	store.Store
	reads, writes, room atomic.Bool // what fails
}

var (
	errDisk  = errors.New("input/output error")
	errRead  = fmt.Errorf("store /data: read value: %w: %w", store.ErrIO, errDisk)
	errWrite = fmt.Errorf("store /data: commit: %w: %w", store.ErrFailed, errDisk)
	errFull  = fmt.Errorf("store /data: %w: 3 bytes free", store.ErrDiskFull)
)

func (f *faulty) Commit(b *store.Batch, done func(error)) {
	if f.writes.Load() {
		done(errWrite)
		return
	}
	f.Store.Commit(b, done)
}

func (f *faulty) Sync() error {
	if f.writes.Load() {
		return errWrite
	}
	return f.Store.Sync()
}

func (f *faulty) Room(n int, essential bool) error {
	if f.room.Load() {
		return errFull
	}
	return f.Store.Room(n, essential)
}

func (f *faulty) Get(key []byte) ([]byte, error) {
	if f.reads.Load() {
		return nil, errRead
	}
	return f.Store.Get(key)
}

func (f *faulty) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	if f.reads.Load() {
		return errRead
	}
	return f.Store.Scan(r, fn)
}

func (f *faulty) Size() (int64, error) {
	if f.reads.Load() {
		return 0, errRead
	}
	return f.Store.Size()
}

func (f *faulty) Snapshot() (store.Snapshot, error) {
	if f.reads.Load() {
		return nil, errRead
	}
	return f.Store.Snapshot()
}

func (f *faulty) Close() error {
	if err := f.Store.Close(); err != nil || !f.writes.Load() {
		return err
	}
	return errWrite
}

// world is a broker and its clients, and what the calls are about.
type world struct {
	b     *samsa.Broker
	st    *faulty
	p     *samsa.Producer // with an id
	c     *samsa.Consumer // of the topic
	g     *samsa.Consumer // of the group
	topic string
	group string
	key   string
	tp    samsa.TopicPartition
	own   samsa.TopicConfig
}

// newWorld has the topic a with two records, the group g with an offset in it, and the key k. What is
// damaged is by the time it is opened.
func newWorld(t *testing.T, damaged map[string]string) *world {
	t.Helper()
	ctx := context.Background()
	first := store.OpenMemory()
	b, err := samsa.InsideOpen(first, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tp := samsa.TopicPartition{Topic: "a"}
	mustCreate(t, b, "a", 1)
	p, err := b.NewProducer(samsa.ProducerOptions{ID: "named"})
	if err == nil {
		_, err = p.ProduceSync(ctx, samsa.Record{Topic: "a", Value: []byte("1")}, samsa.Record{Topic: "a", Value: []byte("2")})
	}
	if err == nil {
		err = b.Groups().Reset(ctx, "g", samsa.To(samsa.Earliest), tp)
	}
	if err == nil {
		err = b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("k"), []byte("v")) })
	}
	if err != nil {
		t.Fatal(err)
	}
	fork, err := first.(store.Forker).Fork()
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	w := &world{st: &faulty{Store: fork}, topic: "a", group: "g", key: "k", tp: tp}
	var batch store.Batch
	for key, value := range damaged {
		batch.Set([]byte(key), []byte(value))
	}
	fork.Commit(&batch, func(e error) { err = e })
	if err == nil {
		w.b, err = samsa.InsideOpen(w.st, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// clients opens them; errors are for the table.
func (w *world) clients(t *testing.T, what string) {
	t.Helper()
	var err error
	if w.p, err = w.b.NewProducer(samsa.ProducerOptions{ID: "named"}); err != nil {
		checkError(t, what+": new producer", err)
	}
	if w.c, err = w.b.NewConsumer(samsa.ConsumerOptions{Topics: []string{"a"}, OutOfRange: samsa.ResetError}); err != nil {
		checkError(t, what+": new consumer", err)
	}
	if w.g, err = w.b.NewConsumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"a"}, Member: samsa.MemberOptions{ManualCommit: true}}); err != nil {
		checkError(t, what+": new group consumer", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := w.g.Poll(ctx); err != nil {
		checkError(t, what+": first poll", err)
	}
}

// step is one call; those behind the others end things.
type step struct {
	name string
	call call
}

func noCtx(f func() error) call { return func(context.Context) error { return f() } }

func lastOf[T any](all iter.Seq2[T, error]) (last error) {
	for _, err := range all {
		if last = err; err != nil {
			break
		}
	}
	return last
}

// steps are all methods that return an error, at least once.
func (w *world) steps() []step {
	steps := append(w.brokerSteps(), w.adminSteps()...)
	steps = append(steps, w.txSteps()...)
	if w.p != nil {
		steps = append(steps, w.producerSteps()...)
	}
	for name, c := range map[string]*samsa.Consumer{"": w.c, " of a group": w.g} {
		if c != nil {
			steps = append(steps, w.consumerSteps(name, c)...)
		}
	}
	topics, groups := w.b.Topics(), w.b.Groups()
	return append(steps,
		step{"Topics.DeleteRecords", func(ctx context.Context) error {
			return topics.DeleteRecords(ctx, w.topic, map[int32]int64{w.tp.Partition: -1})
		}},
		step{"Groups.DeleteOffsets", func(ctx context.Context) error { return groups.DeleteOffsets(ctx, w.group, w.tp) }},
		step{"Groups.Delete", func(ctx context.Context) error { return groups.Delete(ctx, w.group) }},
		step{"Topics.Delete", func(ctx context.Context) error { return topics.Delete(ctx, w.topic) }},
		step{"Broker.Close", noCtx(w.b.Close)},
	)
}

func (w *world) record() samsa.Record { return samsa.Record{Topic: w.topic, Value: []byte("x")} }

func (w *world) brokerSteps() []step {
	b := w.b
	return []step{
		{"Broker.Produce", func(ctx context.Context) error { _, err := b.Produce(ctx, w.record()); return err }},
		{"Broker.Sync", b.Sync},
		{"Broker.Stats", noCtx(func() error { _, err := b.Stats(); return err })},
		{"Broker.RetentionStats", func(ctx context.Context) error { _, err := b.RetentionStats(ctx); return err }},
		{"Broker.Compact", func(ctx context.Context) error { _, err := b.Compact(ctx); return err }},
		{"Broker.ListOffsets", func(ctx context.Context) error {
			_, err := b.ListOffsets(ctx, w.topic, samsa.AtTime(time.Unix(1, 0)))
			return err
		}},
		{"Broker.Snapshot", func(ctx context.Context) error { return b.Snapshot(ctx, io.Discard) }},
		{"Broker.View", func(ctx context.Context) error {
			return b.View(ctx, func(tx *samsa.ReadTx) error { _, err := tx.Get([]byte(w.key)); return err })
		}},
		{"Broker.Update", func(ctx context.Context) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("other"), nil) })
		}},
		{"Broker.NewProducer", noCtx(func() error {
			p, err := b.NewProducer(samsa.ProducerOptions{ID: "another"})
			if err == nil {
				err = p.Close()
			}
			return err
		})},
		{"Broker.NewConsumer", noCtx(func() error {
			c, err := b.NewConsumer(samsa.ConsumerOptions{Topics: []string{w.topic}})
			if err == nil {
				err = c.Close()
			}
			return err
		})},
	}
}

func (w *world) adminSteps() []step {
	topics, groups := w.b.Topics(), w.b.Groups()
	return []step{
		{"Topics.List", func(ctx context.Context) error { _, err := topics.List(ctx); return err }},
		{"Topics.Describe", func(ctx context.Context) error { _, err := topics.Describe(ctx, w.topic); return err }},
		{"Topics.Create", func(ctx context.Context) error { return topics.Create(ctx, "new", w.own) }},
		{"Topics.Create again", func(ctx context.Context) error { return topics.Create(ctx, "a", w.own) }},
		{"Topics.AddPartitions", func(ctx context.Context) error { return topics.AddPartitions(ctx, w.topic, 3) }},
		{"Topics.AddPartitions fewer", func(ctx context.Context) error { return topics.AddPartitions(ctx, w.topic, 0) }},
		{"Topics.Alter", func(ctx context.Context) error {
			return topics.Alter(ctx, w.topic, func(c *samsa.TopicConfig) error { c.RetentionBytes = 1 << 30; return nil })
		}},
		{"Topics.Alter badly", func(ctx context.Context) error {
			return topics.Alter(ctx, w.topic, func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "x") })
		}},
		{"Groups.List", func(ctx context.Context) error { _, err := groups.List(ctx); return err }},
		{"Groups.Describe", func(ctx context.Context) error { _, err := groups.Describe(ctx, w.group); return err }},
		{"Groups.Committed", func(ctx context.Context) error { _, err := groups.Committed(ctx, w.group, w.tp); return err }},
		{"Groups.Reset", func(ctx context.Context) error { return groups.Reset(ctx, w.group, samsa.Shift(1), w.tp) }},
	}
}

// txSteps do one thing in a transaction each.
func (w *world) txSteps() []step {
	view := func(name string, fn func(tx *samsa.ReadTx) error) step {
		return step{"ReadTx." + name, func(ctx context.Context) error { return w.b.View(ctx, fn) }}
	}
	update := func(name string, fn func(tx *samsa.Tx) error) step {
		return step{"Tx." + name, func(ctx context.Context) error { return w.b.Update(ctx, fn) }}
	}
	offsets := map[samsa.TopicPartition]samsa.CommittedOffset{w.tp: {Offset: 1}}
	steps := []step{
		view("Get", func(tx *samsa.ReadTx) error { _, err := tx.Get([]byte(w.key)); return err }),
		view("Scan", func(tx *samsa.ReadTx) error { return lastOf(tx.Scan(nil)) }),
		view("Committed", func(tx *samsa.ReadTx) error { _, err := tx.Committed(w.group, w.tp); return err }),
		update("Get", func(tx *samsa.Tx) error { _, err := tx.Get([]byte(w.key)); return err }),
		update("Scan", func(tx *samsa.Tx) error { return lastOf(tx.Scan(nil)) }),
		update("Committed", func(tx *samsa.Tx) error { _, err := tx.Committed(w.group); return err }),
		update("Set", func(tx *samsa.Tx) error { return tx.Set([]byte("s"), nil) }),
		update("Set nothing", func(tx *samsa.Tx) error { return tx.Set(nil, nil) }),
		update("Set much", func(tx *samsa.Tx) error { return tx.Set([]byte("s"), make([]byte, 33<<20)) }),
		update("Delete", func(tx *samsa.Tx) error { return tx.Delete([]byte("s")) }),
		update("Produce", func(tx *samsa.Tx) error { return tx.Produce(w.record()) }),
		{"Tx.Get over", func(ctx context.Context) error {
			var kept *samsa.Tx
			err := w.b.Update(ctx, func(tx *samsa.Tx) error { kept = tx; return nil })
			if err == nil {
				_, err = kept.Get([]byte(w.key))
			}
			return err
		}},
	}
	if w.g != nil {
		steps = append(steps,
			update("CommitOffsets", func(tx *samsa.Tx) error { return tx.CommitOffsets(w.g, offsets) }),
			update("CommitRecords", func(tx *samsa.Tx) error { return tx.CommitRecords(w.g, w.record()) }))
	}
	return steps
}

func (w *world) producerSteps() []step {
	p := w.p
	return []step{
		{"Producer.ProduceSync", func(ctx context.Context) error { _, err := p.ProduceSync(ctx, w.record()); return err }},
		{"Producer.ProduceSync large", func(ctx context.Context) error {
			_, err := p.ProduceSync(ctx, samsa.Record{Topic: w.topic, Value: bytes.Repeat([]byte{1}, 2<<20)})
			return err
		}},
		{"Producer.Flush", p.Flush},
		{"Producer.Stored", noCtx(func() error { _, err := p.Stored(w.tp); return err })},
		{"Producer.Close", noCtx(p.Close)},
		{"Producer.ProduceSync closed", func(ctx context.Context) error { _, err := p.ProduceSync(ctx, w.record()); return err }},
	}
}

func (w *world) consumerSteps(of string, c *samsa.Consumer) []step {
	steps := []step{
		{"Consumer.Poll", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
		{"Consumer.Records", func(ctx context.Context) error { return lastOf(c.Records(ctx)) }},
		{"Consumer.Position", noCtx(func() error { _, err := c.Position(w.tp); return err })},
		{"Consumer.Lag", noCtx(func() error { _, err := c.Lag(w.tp); return err })},
		{"Consumer.SeekTo", noCtx(func() error { return c.SeekTo(samsa.Latest, w.tp) })},
		{"Consumer.SeekTime", noCtx(func() error { return c.SeekTime(time.Unix(1, 0), w.tp) })},
		{"Consumer.Seek", noCtx(func() error { return c.Seek(w.tp, 99) })},
		{"Consumer.Poll elsewhere", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
		{"Consumer.Pause", noCtx(func() error { return c.Pause(w.tp) })},
		{"Consumer.Resume", noCtx(func() error { return c.Resume(w.tp) })},
		{"Consumer.Commit", c.Commit},
		{"Consumer.CommitRecords", func(ctx context.Context) error { return c.CommitRecords(ctx, w.record()) }},
		{"Consumer.CommitOffsets", func(ctx context.Context) error {
			return c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{w.tp: {Offset: 1, Metadata: strings.Repeat("m", 5000)}})
		}},
		{"Consumer.Committed", func(ctx context.Context) error { _, err := c.Committed(ctx, w.tp); return err }},
		{"Consumer.Close", noCtx(c.Close)},
		{"Consumer.Poll closed", func(ctx context.Context) error { _, err := c.Poll(ctx); return err }},
	}
	for i := range steps {
		steps[i].name += of
	}
	return steps
}

// trouble is a way for things to be wrong, and what some calls must say then.
type trouble struct {
	name    string
	damaged map[string]string // keys of the store
	before  func(t *testing.T, w *world)
	after   func(t *testing.T, w *world) // with clients
	want    map[string]error
}

var troubles = []trouble{
	{name: "none", want: map[string]error{"Topics.Create again": samsa.ErrTopicExists, "Tx.Get over": samsa.ErrClosed,
		"Producer.ProduceSync large": samsa.ErrRecordTooLarge, "Tx.Set much": samsa.ErrTxTooLarge, "Consumer.Commit": samsa.ErrInvalidGroup}},
	{name: "closed", after: func(t *testing.T, w *world) { mustClose(t, w.b) }, want: map[string]error{
		"Broker.Compact": samsa.ErrClosed, "Broker.View": samsa.ErrClosed, "Groups.Describe": samsa.ErrClosed, "Producer.Stored": samsa.ErrClosed,
		"Consumer.Poll": samsa.ErrClosed, "Consumer.Commit of a group": samsa.ErrClosed}},
	{name: "names that there are not", after: func(_ *testing.T, w *world) {
		w.topic, w.group, w.key, w.tp = "nobody", "nobody", "nobody", samsa.TopicPartition{Topic: "nobody"}
	}, want: map[string]error{"Broker.Produce": samsa.ErrUnknownTopic, "Groups.Describe": samsa.ErrUnknownGroup, "Tx.Get": samsa.ErrKeyNotFound}},
	{name: "partitions that there are not", after: func(_ *testing.T, w *world) { w.tp.Partition = 9 },
		want: map[string]error{"Groups.Reset": samsa.ErrUnknownPartition, "Topics.DeleteRecords": samsa.ErrUnknownPartition}},
	{name: "names that cannot be", after: func(_ *testing.T, w *world) {
		w.topic, w.group, w.key, w.tp.Topic = "a/b", strings.Repeat("g", 600), strings.Repeat("k", 2000), "a/b"
	}, want: map[string]error{"Tx.Get": samsa.ErrInvalidKey, "Groups.Describe": samsa.ErrInvalidGroup}},
	{name: "a config that cannot be", after: func(_ *testing.T, w *world) {
		w.own = samsa.TopicConfig{Partitions: -1, Retention: -5, MaxMessageBytes: 1}
	}, want: map[string]error{"Topics.Create": samsa.ErrInvalidConfig}},
	{name: "a damaged topic", damaged: map[string]string{string(store.CatalogueKey("ta")): "{"}, want: map[string]error{
		"Broker.Produce": samsa.ErrCorruptValue, "Topics.Describe": samsa.ErrCorruptValue, "Topics.Create again": samsa.ErrCorruptValue,
		"Broker.ListOffsets": samsa.ErrCorruptValue, "Broker.NewConsumer": samsa.ErrCorruptValue, "Groups.Reset": samsa.ErrCorruptValue,
		"Topics.Delete": nil}},
	{name: "a damaged log start", damaged: map[string]string{string(store.LogStartKey(store.PartitionID{Topic: 1})): "soon"},
		want: map[string]error{"Broker.Produce": samsa.ErrCorruptValue, "Topics.Delete": nil}},
	{name: "a damaged group", damaged: map[string]string{string(store.GroupKey("g")): "x"}, want: map[string]error{
		"Groups.Describe": samsa.ErrCorruptValue, "Groups.Committed": samsa.ErrCorruptValue, "ReadTx.Committed": samsa.ErrCorruptValue,
		"Broker.Produce": nil, "Groups.Delete": nil}},
	{name: "a damaged offset", damaged: map[string]string{string(store.AppendOffsetKey(nil, store.OffsetKey{Group: "g", Topic: "a"})): "x"},
		want: map[string]error{"Groups.Committed": samsa.ErrCorruptValue, "ReadTx.Committed": samsa.ErrCorruptValue,
			"Groups.Reset": samsa.ErrCorruptValue, "Broker.Produce": nil}},
	{name: "a damaged producer", damaged: map[string]string{string(store.NamesKey("pnamed")): "x"}, want: map[string]error{"Broker.Produce": nil}},
	{name: "a damaged next id", damaged: map[string]string{string(store.NamesKey("n")): "x", string(store.CatalogueKey("n")): "x"},
		want: map[string]error{"Broker.NewProducer": nil, "Topics.Create": nil}},
	{name: "a damaged application value", damaged: map[string]string{string(store.AppendAppKey(nil, []byte("k"))): "x"}, want: map[string]error{
		"Broker.View": samsa.ErrCorruptValue, "ReadTx.Scan": samsa.ErrCorruptValue, "Tx.Get": samsa.ErrCorruptValue, "Tx.Scan": samsa.ErrCorruptValue,
		"Tx.Set": nil}},
	{name: "a damaged batch", before: func(t *testing.T, w *world) { samsatest.Corrupt(t, w.b, "a", 0, 0) },
		want: map[string]error{"Consumer.Poll": samsa.ErrCorruptRecord, "Broker.ListOffsets": samsa.ErrCorruptRecord}},
	{name: "a store that cannot be read", after: func(_ *testing.T, w *world) { w.st.reads.Store(true) }, want: map[string]error{
		"Broker.Stats": samsa.ErrStorage, "Broker.View": samsa.ErrStorage, "Broker.Snapshot": samsa.ErrStorage, "Broker.Compact": samsa.ErrStorage,
		"Broker.ListOffsets": samsa.ErrStorage}},
	{name: "a store that cannot be written", after: func(_ *testing.T, w *world) { w.st.writes.Store(true) }, want: map[string]error{
		"Broker.Produce": samsa.ErrFailed, "Broker.Sync": samsa.ErrFailed, "Tx.Set": samsa.ErrFailed, "Topics.Create": samsa.ErrFailed,
		"Consumer.CommitRecords of a group": samsa.ErrFailed, "Topics.Delete": samsa.ErrFailed, "Broker.Close": samsa.ErrFailed}},
	{name: "a disk that is full", after: func(_ *testing.T, w *world) { w.st.room.Store(true) }, want: map[string]error{
		"Broker.Produce": samsa.ErrDiskFull, "Tx.Set": samsa.ErrDiskFull, "Topics.Create": samsa.ErrDiskFull, "Producer.ProduceSync": samsa.ErrDiskFull}},
	{name: "a disk that the kit fills", after: func(_ *testing.T, w *world) { samsatest.FillDisk(w.b) },
		want: map[string]error{"Broker.Produce": samsa.ErrDiskFull}},
	{name: "faults", after: func(_ *testing.T, w *world) {
		samsatest.Appends(w.b, "").Fail()
		samsatest.Fetches(w.b, "").Fail()
		samsatest.Commits(w.b, "").Fail()
		samsatest.Joins(w.b, "").Fail()
	}, want: map[string]error{"Broker.Produce": samsa.ErrUnavailable, "Consumer.Poll of a group": samsa.ErrUnavailable}},
	{name: "a crash", after: func(t *testing.T, w *world) { samsatest.Crash(t, w.b) }, want: map[string]error{"Broker.Produce": samsa.ErrClosed}},
}

// TestEveryErrorHasOneName drives every method into every trouble.
func TestEveryErrorHasOneName(t *testing.T) {
	for _, trouble := range troubles {
		t.Run(trouble.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, trouble.damaged)
				if trouble.before != nil {
					trouble.before(t, w)
				}
				w.clients(t, trouble.name)
				if trouble.after != nil {
					trouble.after(t, w)
				}
				met := make(map[string]error)
				for _, s := range w.steps() {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					err := s.call(ctx)
					cancel()
					if met[s.name] = err; err != nil {
						checkError(t, s.name, err)
					}
				}
				for name, want := range trouble.want {
					got, ok := met[name]
					if !ok || !errors.Is(got, want) {
						t.Errorf("%s: %v, want %v", name, got, want)
					}
				}
			})
		})
	}
}

// Every method that returns an error is a step of the test above.
func TestEveryMethodIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.clients(t, "none")
		tried := make(map[string]bool)
		for _, s := range w.steps() {
			tried[strings.Fields(s.name)[0]] = true
		}
		mustClose(t, w.b)
		failing := reflect.TypeFor[error]()
		for _, of := range []any{w.b, w.p, w.c, w.b.Topics(), w.b.Groups(), &samsa.Tx{}, &samsa.ReadTx{}} {
			typ := reflect.TypeOf(of)
			for i := range typ.NumMethod() {
				m := typ.Method(i)
				name := strings.TrimPrefix(strings.TrimPrefix(typ.String(), "*"), "samsa.") + "." + m.Name
				out := m.Type.NumOut()
				if fails := out > 0 && m.Type.Out(out-1) == failing || m.Type.NumOut() == 1 && strings.HasPrefix(m.Type.Out(0).String(), "iter.Seq2"); fails && !tried[name] {
					t.Errorf("%s is not tried", name)
				}
			}
		}
	})
}

// The errors of what opens things.
func TestEveryErrorOfOpenHasOneName(t *testing.T) {
	parent := t.TempDir()
	at := func(name string) string { return filepath.Join(parent, name) }
	written(t, at("locked"))
	b := mustOpen(t, at("locked"), samsa.Options{})
	defer mustClose(t, b)
	mustWrite(t, at("file"), "something")
	written(t, at("newer"))
	mustWrite(t, at("newer/FORMAT"), "samsa 2\n")
	if err := os.Mkdir(at("foreign"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, at("foreign/letter"), "something")
	var snapshot bytes.Buffer
	if err := b.Snapshot(context.Background(), &snapshot); err != nil {
		t.Fatal(err)
	}
	restore := func(dir string, from []byte, opts samsa.Options) error {
		_, err := samsa.Restore(context.Background(), dir, bytes.NewReader(from), opts)
		return err
	}
	open := func(dir string, opts samsa.Options) error { _, err := samsa.Open(dir, opts); return err }
	listen := func(addr string, opts kafka.Options) error { _, err := kafka.Listen(b, addr, opts); return err }
	client := func(_ any, err error) error { return err }
	whole := snapshot.Bytes()
	for name, tt := range map[string]struct{ got, want error }{
		"locked":           {open(at("locked"), samsa.Options{}), samsa.ErrLocked},
		"a file":           {open(at("file"), samsa.Options{}), samsa.ErrNotDirectory},
		"below a file":     {open(at("file/data"), samsa.Options{}), samsa.ErrNotDirectory},
		"newer":            {open(at("newer"), samsa.Options{}), samsa.ErrNewerFormat},
		"foreign":          {open(at("foreign"), samsa.Options{}), samsa.ErrNotDirectory},
		"bad name":         {open(at("x\x00y"), samsa.Options{}), samsa.ErrStorage},
		"options":          {open("", samsa.Options{MinFreeBytes: -1, RetentionInterval: -1}), samsa.ErrInvalidOption},
		"topic defaults":   {open("", samsa.Options{InMemory: true, TopicDefaults: samsa.TopicConfig{Retention: -7, Partitions: -1}}), samsa.ErrInvalidOption},
		"restore nothing":  {restore("", nil, samsa.Options{InMemory: true}), samsa.ErrInvalidSnapshot},
		"restore a half":   {restore(at("half"), whole[:len(whole)/2], samsa.Options{}), samsa.ErrInvalidSnapshot},
		"restore on it":    {restore(at("locked"), whole, samsa.Options{}), fs.ErrExist},
		"restore on file":  {restore(at("file"), whole, samsa.Options{}), samsa.ErrNotDirectory},
		"restore too full": {restore(at("full"), whole, samsa.Options{MinFreeBytes: 1 << 62}), samsa.ErrDiskFull},
		"producer":         {client(b.NewProducer(samsa.ProducerOptions{Linger: -1, Acks: 9})), samsa.ErrInvalidOption},
		"consumer":         {client(b.NewConsumer(samsa.ConsumerOptions{MaxPollBytes: -1})), samsa.ErrInvalidOption},
		"consumer of none": {client(b.NewConsumer(samsa.ConsumerOptions{Topics: []string{"x", "y"}})), samsa.ErrUnknownTopic},
		"nil function":     {b.Update(context.Background(), nil), samsa.ErrInvalidOption},
		"listen":           {listen("0.0.0.0:0", kafka.Options{NodeID: -1}), samsa.ErrInvalidOption},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
		if tt.got != nil {
			checkError(t, name, tt.got)
		}
	}
}
