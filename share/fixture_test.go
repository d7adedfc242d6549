package share

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a broker as far as a coordinator needs one.
type house struct {
	*Coordinator
	t         testing.TB
	st        store.Store
	committer *writer.Committer
	topics    *topic.Catalogue
	groups    *group.Coordinator
	settings  Settings
}

func newHouse(t testing.TB, s Settings) *house {
	h := &house{t: t, st: store.OpenMemory(), settings: s}
	h.open()
	return h
}

func (h *house) open() {
	h.t.Helper()
	var err error
	h.committer = writer.NewCommitter(h.st, zap.NewNop())
	if h.topics, _, err = topic.Open(h.st, h.committer, zap.NewNop()); err != nil {
		h.t.Fatal(err)
	}
	if h.groups, err = group.Open(h.st, h.committer, h.topics, group.Options{}); err != nil {
		h.t.Fatal(err)
	}
	h.Coordinator, err = Open(Parts{Store: h.st, Committer: h.committer, Topics: h.topics, Names: h.groups.Names()}, Options{Settings: func(string) Settings { return h.settings }})
	if err != nil {
		h.t.Fatal(err)
	}
}

// shut ends all but the store.
func (h *house) shut() {
	h.Close()
	h.groups.Close()
	h.topics.Close(log.ErrClosed)
	h.committer.Close()
}

func (h *house) end() {
	h.shut()
	if err := h.st.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *house) create(name string, config topic.Config) {
	h.t.Helper()
	if _, err := h.topics.Create(context.Background(), name, config); err != nil {
		h.t.Fatal(err)
	}
}

// produce appends a batch with these values to a partition 0; "k=v" has a key, "v@1s" a delay from now on.
func (h *house) produce(name string, values ...string) {
	h.t.Helper()
	t, err := h.topics.Get(name)
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := t.Partition(0)
	if err != nil {
		h.t.Fatal(err)
	}
	var b log.Builder
	for _, v := range values {
		var headers []log.Header
		if value, after, ok := strings.Cut(v, "@"); ok {
			d, err := time.ParseDuration(after)
			if err != nil {
				h.t.Fatal(err)
			}
			v, headers = value, []log.Header{{Key: NotBefore, Value: fmt.Append(nil, time.Now().Add(d).UnixMilli())}}
		}
		key, value, ok := strings.Cut(v, "=")
		if !ok {
			b.Append(nowMs(), nil, []byte(v), headers)
		} else {
			b.Append(nowMs(), []byte(key), []byte(value), headers)
		}
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: p, Batch: batch}}}); err != nil {
		h.t.Fatal(err)
	}
}

func key(topicName string) Key {
	return Key{Group: "g", TopicPartition: log.TopicPartition{Topic: topicName}}
}

// get acquires, and returns "offset:value x deliveries".
func (h *house) get(member string, most int) string {
	h.t.Helper()
	ds, err := h.AcquireRecords(context.Background(), AcquireRequest{Key: key("t"), Member: member, MaxRecords: most})
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, d := range ds {
		s := fmt.Sprintf("%d:%s", d.Record.Offset, d.Record.Value)
		if d.Deliveries > 1 {
			s += fmt.Sprintf("x%d", d.Deliveries)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func (h *house) ack(member string, t AckType, first, last int64) error {
	return h.Acknowledge(context.Background(), key("t"), member, false, Ack{First: first, Last: last, Types: []AckType{t}})
}

func (h *house) want(what, got, want string) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
