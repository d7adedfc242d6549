package batcher

import (
	"context"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBroker returns what a batcher has of a broker, in memory. It is closed with the test.
func newBroker(t *testing.T) Broker {
	t.Helper()
	st := store.OpenMemory()
	committer := writer.NewCommitter(st, zap.NewNop())
	catalogue, _, err := topic.Open(st, committer, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	registry, _, err := producers.Open(st, committer, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		catalogue.Close(log.ErrClosed)
		committer.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return Broker{
		Committer: committer, Catalogue: catalogue, Producers: registry, Clients: new(callback.Clients), Logger: zap.NewNop(),
		Topic: func(_ context.Context, name string) (*topic.Topic, error) { return catalogue.Get(name) },
	}
}

// Nothing is known any more of a topic that was deleted, nor of one that was never created.
func TestTopicsAreForgotten(t *testing.T) {
	ctx := context.Background()
	broker := newBroker(t)
	b := New(broker, engine.ProduceOptions{})
	made, err := b.NewProducer(ctx, engine.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := made.(*Producer)
	defer func() { _ = p.Close() }()
	if _, err := broker.Catalogue.Create(ctx, "deleted", topic.Config{}); err != nil {
		t.Fatal(err)
	}
	r := log.Record{Topic: "deleted"}
	if err := b.Produce(ctx, engine.ProduceOptions{}, []log.Record{r}); err != nil {
		t.Fatal(err)
	}
	if err := p.ProduceSync(ctx, []log.Record{r}); err != nil {
		t.Fatal(err)
	}
	draft, err := broker.Catalogue.Draft(ctx, "draft", topic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := b.Begin(func(context.Context, string) (*topic.Topic, error) { return draft, nil })
	if err := c.Add(ctx, engine.ProduceOptions{}, []log.Record{{Topic: "draft"}}); err != nil {
		t.Fatal(err)
	}
	c.End()
	if len(b.known) != 2 || len(p.known) != 1 {
		t.Fatalf("the calls know %d topics, the producer %d", len(b.known), len(p.known))
	}
	draft.Discard()
	if err := broker.Catalogue.Delete(ctx, "deleted"); err != nil {
		t.Fatal(err)
	}
	if len(b.known) != 0 || b.last != nil || len(p.known) != 0 || p.last != nil {
		t.Errorf("the calls know %d topics, the producer %d", len(b.known), len(p.known))
	}
}
