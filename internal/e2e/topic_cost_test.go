package e2e

import (
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/topic"
)

// Nobody remembers a deleted topic: not the producers that have written to it, idle as they
// are, nor the broker.
func TestDeletedTopicsAreForgotten(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	const topics = 50
	k.create("kept", 1)
	var producers []*samsa.Producer
	for _, id := range []string{"", "p"} {
		producers = append(producers, k.producer(samsa.ProducerOptions{ID: id}))
	}
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"kept"}})
	var gone []weak.Pointer[topic.Topic]
	for i := range topics {
		name := fmt.Sprint("gone-", i)
		k.create(name, 2)
		k.write(name, "v")
		for _, p := range producers {
			if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name}, samsa.Record{Topic: "kept"}); err != nil {
				t.Fatal(err)
			}
		}
		tp, err := k.inside().Catalogue.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, weak.Make(tp))
	}
	for i := range topics {
		if err := k.Topics().Delete(k.ctx, fmt.Sprint("gone-", i)); err != nil {
			t.Fatal(err)
		}
	}
	k.poll(c)
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // sync.Pool
	for i := range gone {
		if gone[i].Value() != nil {
			t.Errorf("topic %d is remembered", i)
		}
	}
	for _, p := range producers {
		if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "gone-0"}); err == nil {
			t.Error("produced to a deleted topic")
		}
	}
}

// BenchmarkCreateTopic creates a topic beside so many others, and deletes it.
func BenchmarkCreateTopic(b *testing.B) {
	for _, existing := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("existing=%d", existing), func(b *testing.B) {
			broker := openBench(b, "", samsa.Options{InMemory: true})
			defer closeBench(b, broker)
			for i := range existing {
				if err := broker.Topics().Create(b.Context(), fmt.Sprint("other-", i), samsa.TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := broker.Sweep(b.Context()); err != nil { // the first one counts what there is
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				name := fmt.Sprint("new-", i)
				if err := broker.Topics().Create(b.Context(), name, samsa.TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
				if err := broker.Topics().Delete(b.Context(), name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
