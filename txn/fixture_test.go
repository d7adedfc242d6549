package txn

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// house is a coordinator with all it stands on, over a store in memory that outlives it.
type house struct {
	t  fataler
	st *floor
	*Coordinator
	logger *zap.Logger
	opts   Options
	seqs   map[string]int32 // the next sequence, by producer and partition
}

// floor is the store, with what can be changed about it.
type floor struct {
	store.Store
	limits store.Limits // if not zero
	broken bool
	commit int // how many there were
}

func (f *floor) Limits() store.Limits {
	if f.limits != (store.Limits{}) {
		return f.limits
	}
	return f.Store.Limits()
}

func (f *floor) Commit(b *store.Batch) error {
	f.commit++
	if f.broken {
		return errors.New("the floor is broken")
	}
	return f.Store.Commit(b)
}

// inHouse runs fn in a bubble, with topics a, b and c of two partitions each.
func inHouse(t *testing.T, fn func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.shut()
		fn(t, h)
	})
}

func newHouse(t fataler) *house {
	h := &house{t: t, st: &floor{Store: store.OpenMemory()}, logger: zap.NewNop(), seqs: make(map[string]int32)}
	h.open()
	for _, name := range []string{"a", "b", "c"} {
		if _, err := h.topics.Create(ctx, name, topic.Config{Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *house) open() {
	h.t.Helper()
	c := writer.NewCommitter(h.st, zap.NewNop())
	topics, _, err := topic.Open(h.st, c, zap.NewNop())
	var groups *group.Coordinator
	if err == nil {
		groups, err = group.Open(h.st, c, topics, group.Options{})
	}
	var ids *producers.Registry
	if err == nil {
		ids, _, err = producers.Open(h.st, c, topics.Partitions(), 0)
	}
	if err == nil {
		h.opts.Logger = h.logger
		h.Coordinator, err = Open(Parts{Store: h.st, Committer: c, Topics: topics, Groups: groups, Producers: ids}, h.opts)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// shut ends everything but the store.
func (h *house) shut() {
	h.Close()
	h.groups.Close()
	h.topics.Close(log.ErrClosed)
	h.committer.Close()
}

func (h *house) reopen() {
	h.t.Helper()
	h.shut()
	h.open()
}

func tp(topic string, i int32) log.TopicPartition {
	return log.TopicPartition{Topic: topic, Partition: i}
}

func (h *house) part(tp log.TopicPartition) *partition.Partition {
	h.t.Helper()
	t, err := h.topics.Get(tp.Topic)
	var p *partition.Partition
	if err == nil {
		p, err = t.Partition(tp.Partition)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) init(id string) Producer {
	h.t.Helper()
	p, err := h.Init(ctx, id, time.Minute, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// batch returns a transactional batch of one record.
func (h *house) batch(p Producer, seq int32, value string) log.Batch {
	h.t.Helper()
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		h.t.Fatal(err)
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(p.ID, p.Epoch, seq)
	return batch
}

// produce stores one record of a transaction, with the producer's next sequence.
func (h *house) produce(id string, p Producer, to log.TopicPartition, value string, implicit bool) error {
	h.t.Helper()
	key := fmt.Sprint(p, to)
	tx := &writer.Tx{Appends: []writer.Append{{Partition: h.part(to), Batch: h.batch(p, h.seqs[key], value)}}}
	h.Guard(tx, id, implicit)
	err := h.committer.Do(tx)
	if err == nil {
		h.seqs[key]++
	}
	return err
}

// abort is Abort of whichever transaction the producer has open there.
func (h *house) abort(of log.TopicPartition, p Producer) error {
	_, err := h.Abort(ctx, of, p, -1)
	return err
}

// commits is a commit of one offset by nobody of the group.
func commits(of log.TopicPartition, n int64) group.CommitRequest {
	return group.CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]group.Offset{of: {Offset: n}}}
}

// committed returns what readers of committed records read of a partition.
func (h *house) committed(of log.TopicPartition) string {
	h.t.Helper()
	p := h.part(of)
	text := ""
	_, err := p.Log().ReadCommitted(p.LogStart(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			h.t.Fatal(sb.Err)
		}
		if sb.Batch.Control() || sb.Aborted {
			return true
		}
		records, _ := sb.Batch.EncodedRecords()
		r := log.NewRecordReader(sb.Batch, records)
		var err error
		for more := true; more && err == nil; {
			var rec log.Record
			if more, err = r.Next(&rec); err == nil && more {
				text += string(rec.Value) + " "
			}
		}
		if err != nil {
			h.t.Fatal(err)
		}
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// offset returns the committed offset of a group, -1 for none.
func (h *house) offset(name string, of log.TopicPartition) int64 {
	h.t.Helper()
	found, err := h.groups.Fetch(name, of)
	if err != nil {
		h.t.Fatal(err)
	}
	if o, ok := found[of]; ok {
		return o.Offset
	}
	return -1
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) wantErr(what string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		h.t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func (h *house) wantCommitted(of log.TopicPartition, want string) {
	h.t.Helper()
	if got := h.committed(of); got != want {
		h.t.Fatalf("%s has %q, want %q", of, got, want)
	}
}

func (h *house) wantOffset(name string, of log.TopicPartition, want int64) {
	h.t.Helper()
	if got := h.offset(name, of); got != want {
		h.t.Fatalf("group %s is at %d in %s, want %d", name, got, of, want)
	}
}
