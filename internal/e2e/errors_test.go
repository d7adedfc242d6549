package e2e

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
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
	"ErrProducerFenced": samsa.ErrProducerFenced, "ErrInvalidTxnState": samsa.ErrInvalidTxnState,
	"ErrInvalidTransactionalID": samsa.ErrInvalidTransactionalID, "ErrUnknownTransactionalID": samsa.ErrUnknownTransactionalID, "ErrConflict": samsa.ErrConflict, "ErrKeyNotFound": samsa.ErrKeyNotFound,
	"ErrInvalidKey": samsa.ErrInvalidKey, "ErrUnknownTopic": samsa.ErrUnknownTopic, "ErrUnknownPartition": samsa.ErrUnknownPartition,
	"ErrTopicExists": samsa.ErrTopicExists, "ErrInvalidTopic": samsa.ErrInvalidTopic, "ErrInvalidConfig": samsa.ErrInvalidConfig,
	"ErrInvalidPartitions": samsa.ErrInvalidPartitions, "ErrInvalidTimestamp": samsa.ErrInvalidTimestamp,
	"ErrInvalidRecord": samsa.ErrInvalidRecord, "ErrInvalidOption": samsa.ErrInvalidOption, "ErrLocked": samsa.ErrLocked,
	"ErrNotDirectory": samsa.ErrNotDirectory, "ErrNotExist": samsa.ErrNotExist, "ErrReadOnly": samsa.ErrReadOnly, "ErrOldFormat": samsa.ErrOldFormat, "ErrNewerFormat": samsa.ErrNewerFormat,
	"ErrInvalidSnapshot": samsa.ErrInvalidSnapshot,
	"ErrUnknownMember":   samsa.ErrUnknownMember, "ErrIllegalGeneration": samsa.ErrIllegalGeneration,
	"ErrRebalanceInProgress": samsa.ErrRebalanceInProgress, "ErrFencedInstance": samsa.ErrFencedInstance,
	"ErrInconsistentProtocol":  samsa.ErrInconsistentProtocol,
	"ErrInvalidSessionTimeout": samsa.ErrInvalidSessionTimeout, "ErrGroupFull": samsa.ErrGroupFull, "ErrInvalidGroup": samsa.ErrInvalidGroup,
	"ErrUnknownGroup": samsa.ErrUnknownGroup, "ErrGroupNotEmpty": samsa.ErrGroupNotEmpty, "ErrMetadataTooLarge": samsa.ErrMetadataTooLarge,
	"ErrInvalidRecordState": samsa.ErrInvalidRecordState, "ErrNotAcquired": samsa.ErrNotAcquired,
	"ErrNoOffset": samsa.ErrNoOffset, "ErrGroupSubscribed": samsa.ErrGroupSubscribed, "ErrGroupKind": samsa.ErrGroupKind,
	"ErrInCallback": samsa.ErrInCallback, "ErrCutOff": samsa.ErrCutOff,
}

// families are what several of them are. ErrUnavailable is returned alone, too.
var families = map[string]error{
	"ErrInvalid": samsa.ErrInvalid, "ErrUnknown": samsa.ErrUnknown, "ErrFenced": samsa.ErrFenced, "ErrTooLarge": samsa.ErrTooLarge,
	"ErrUnavailable": samsa.ErrUnavailable, "ErrUnsupported": samsa.ErrUnsupported, "ErrOutcomeUnknown": samsa.ErrOutcomeUnknown,
}

func TestPublicErrorsAreAllThereAre(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../vocabulary.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			if name := spec.Names[0].Name; publicErrors[name] == nil && families[name] == nil {
				t.Errorf("%s is not in the test", name)
			}
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
	if len(names) == 0 && !theirs && !errors.Is(err, samsa.ErrUnavailable) || len(names) > len(lines) || len(names) == 1 && theirs {
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

// trouble is a way for things to be wrong, and what some calls must say then.
type trouble struct {
	name    string
	damaged map[string]string // keys of the store
	before  func(t *testing.T, w *world)
	after   func(t *testing.T, w *world) // with clients
	want    map[string]error
}

var troubles = []trouble{
	{name: "none", want: map[string]error{"Topics.Create again": samsa.ErrTopicExists, "Topics.Ensure again": samsa.ErrTopicExists, "Tx.Get over": samsa.ErrClosed,
		"Producer.ProduceSync large": samsa.ErrRecordTooLarge, "Tx.Set much": samsa.ErrTxTooLarge, "Consumer.Commit": samsa.ErrInvalidGroup}},
	{name: "closed", after: func(t *testing.T, w *world) { mustClose(t, w.b) }, want: map[string]error{
		"Broker.Sweep": samsa.ErrClosed, "Broker.View": samsa.ErrClosed, "Groups.Describe": samsa.ErrClosed, "Producer.Stored": samsa.ErrClosed,
		"Consumer.Poll": samsa.ErrClosed, "Consumer.Commit of a group": samsa.ErrClosed}},
	{name: "names that there are not", after: func(_ *testing.T, w *world) {
		w.topic, w.group, w.key, w.tp = "nobody", "nobody", "nobody", samsa.TopicPartition{Topic: "nobody"}
	}, want: map[string]error{"Broker.Produce": samsa.ErrUnknownTopic, "Groups.Describe": samsa.ErrUnknownGroup, "Tx.Get": samsa.ErrKeyNotFound}},
	{name: "partitions that there are not", after: func(_ *testing.T, w *world) { w.tp.Partition = 9 },
		want: map[string]error{"Groups.AlterOffsets": samsa.ErrUnknownPartition, "Topics.DeleteRecords": samsa.ErrUnknownPartition}},
	{name: "names that cannot be", after: func(_ *testing.T, w *world) {
		w.topic, w.group, w.key, w.tp.Topic = "a/b", strings.Repeat("g", 600), strings.Repeat("k", 2000), "a/b"
	}, want: map[string]error{"Tx.Get": samsa.ErrInvalidKey, "Groups.Describe": samsa.ErrInvalidGroup}},
	{name: "a config that cannot be", after: func(_ *testing.T, w *world) {
		w.own = samsa.TopicConfig{Partitions: -1, Retention: -5, MaxMessageBytes: 1}
	}, want: map[string]error{"Topics.Create": samsa.ErrInvalidConfig}},
	{name: "a damaged topic", damaged: map[string]string{string(store.CatalogueKey("ta")): "{"}, want: map[string]error{
		"Broker.Produce": samsa.ErrCorruptValue, "Topics.Describe": samsa.ErrCorruptValue, "Topics.Create again": samsa.ErrCorruptValue,
		"Broker.ListOffsets": samsa.ErrCorruptValue, "Broker.NewConsumer": samsa.ErrCorruptValue, "Groups.AlterOffsets": samsa.ErrCorruptValue,
		"Topics.Delete": nil}},
	{name: "a damaged log start", damaged: map[string]string{string(store.LogStartKey(store.PartitionID{Topic: 1})): "soon"},
		want: map[string]error{"Broker.Produce": samsa.ErrCorruptValue, "Topics.Delete": nil}},
	{name: "a damaged group", damaged: map[string]string{string(store.GroupKey("g")): "x"}, want: map[string]error{
		"Groups.Describe": samsa.ErrCorruptValue, "Groups.Committed": samsa.ErrCorruptValue, "ReadTx.Committed": samsa.ErrCorruptValue,
		"Broker.Produce": nil, "Groups.Delete": nil}},
	{name: "a damaged offset", damaged: map[string]string{string(store.AppendOffsetKey(nil, store.OffsetKey{Group: "g", Topic: "a"})): "x"},
		want: map[string]error{"Groups.Committed": samsa.ErrCorruptValue, "ReadTx.Committed": samsa.ErrCorruptValue,
			"Groups.AlterOffsets": samsa.ErrCorruptValue, "Broker.Produce": nil}},
	{name: "a damaged producer", damaged: map[string]string{string(store.NamesKey("pnamed")): "x"}, want: map[string]error{"Broker.Produce": nil}},
	{name: "a damaged producer in a partition", damaged: map[string]string{
		string(store.AppendProducerKey(nil, store.ProducerKey{PartitionID: store.PartitionID{Topic: 1}})): "x"},
		want: map[string]error{"Producer.Stored": samsa.ErrCorruptValue, "Producer.ProduceSync": samsa.ErrCorruptValue, "Broker.Produce": nil}},
	{name: "a damaged next id", damaged: map[string]string{string(store.NamesKey("n")): "x", string(store.CatalogueKey("n")): "x"},
		want: map[string]error{"Broker.NewProducer": nil, "Topics.Create": nil}},
	{name: "a damaged application value", damaged: map[string]string{string(store.AppendAppKey(nil, []byte("k"))): "x"}, want: map[string]error{
		"Broker.View": samsa.ErrCorruptValue, "ReadTx.Scan": samsa.ErrCorruptValue, "Tx.Get": samsa.ErrCorruptValue, "Tx.Scan": samsa.ErrCorruptValue,
		"Tx.Set": nil}},
	{name: "a damaged batch", before: func(t *testing.T, w *world) { samsatest.Corrupt(t, w.b, "a", 0, 0) },
		want: map[string]error{"Consumer.Poll": samsa.ErrCorruptRecord, "Broker.ListOffsets": samsa.ErrCorruptRecord}},
	{name: "a store that cannot be read", after: func(_ *testing.T, w *world) { w.st.reads.Store(true) }, want: map[string]error{
		"Broker.Stats": samsa.ErrStorage, "Broker.View": samsa.ErrStorage, "Broker.Snapshot": samsa.ErrStorage, "Broker.Sweep": samsa.ErrStorage,
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
		for _, of := range []any{w.b, w.p, w.c, w.t, w.b.Topics(), w.b.Groups(), &samsa.Tx{}, &samsa.ReadTx{}} {
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
	mustWrite(t, at("newer/FORMAT"), "samsa 3\n")
	written(t, at("old"))
	mustWrite(t, at("old/FORMAT"), "samsa 1\n")
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
		"old":              {open(at("old"), samsa.Options{}), samsa.ErrOldFormat},
		"newer":            {open(at("newer"), samsa.Options{}), samsa.ErrNewerFormat},
		"foreign":          {open(at("foreign"), samsa.Options{}), samsa.ErrNotDirectory},
		"missing":          {open(at("missing"), samsa.Options{MustExist: true}), samsa.ErrNotExist},
		"bad name":         {open(at("x\x00y"), samsa.Options{}), samsa.ErrStorage},
		"options":          {open("", samsa.Options{MinFreeBytes: -1, RetentionInterval: -1}), samsa.ErrInvalidOption},
		"topic defaults":   {open("", samsa.Options{InMemory: true, TopicDefaults: samsa.TopicConfig{Retention: -7, Partitions: -1}}), samsa.ErrInvalidOption},
		"restore nothing":  {restore("", nil, samsa.Options{InMemory: true}), samsa.ErrInvalidSnapshot},
		"restore a half":   {restore(at("half"), whole[:len(whole)/2], samsa.Options{}), samsa.ErrInvalidSnapshot},
		"restore on it":    {restore(at("locked"), whole, samsa.Options{}), fs.ErrExist},
		"restore on file":  {restore(at("file"), whole, samsa.Options{}), samsa.ErrNotDirectory},
		"restore too full": {restore(at("full"), whole, samsa.Options{MinFreeBytes: 1 << 62}), samsa.ErrDiskFull},
		"producer":         {client(b.NewProducer(t.Context(), samsa.ProducerOptions{Linger: -1, Acks: 9})), samsa.ErrInvalidOption},
		"consumer":         {client(b.NewConsumer(t.Context(), samsa.ConsumerOptions{MaxPollBytes: -1})), samsa.ErrInvalidOption},
		"consumer of none": {client(b.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"x", "y"}})), samsa.ErrUnknownTopic},
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

// A committed offset that is damaged costs its partition: the consumer is told and reads the others.
// It is replaced by name.
func TestDamagedOffsetCostsItsPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]string{string(store.AppendOffsetKey(nil, store.OffsetKey{Group: "g", Topic: "a"})): "x"})
		defer mustClose(t, w.b)
		ctx := t.Context()
		mustCreate(t, w.b, "b", 1)
		if _, err := w.b.Produce(ctx, samsa.Record{Topic: "b", Value: []byte("3")}); err != nil {
			t.Fatal(err)
		}
		read := func(n int) (values string, errs []error) {
			c, err := w.b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"a", "b"}, Member: samsa.MemberOptions{ManualCommit: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer mustClose(t, c)
			for r, err := range c.Records(ctx) {
				if err != nil {
					errs = append(errs, err)
				}
				values += string(r.Value)
				if len(values)+len(errs) == n {
					break
				}
			}
			return values, errs
		}
		values, errs := read(2)
		if values != "3" || len(errs) != 1 || !errors.Is(errs[0], samsa.ErrCorruptValue) || !strings.Contains(errs[0].Error(), "a/0") {
			t.Errorf("read %q, errors %v", values, errs)
		}
		if err := w.b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Earliest()), w.tp); err != nil {
			t.Fatal(err)
		}
		if values, errs := read(3); len(values) != 3 || errs != nil {
			t.Errorf("then: read %q, errors %v", values, errs)
		}
	})
}
