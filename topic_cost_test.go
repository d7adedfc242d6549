package samsa

import (
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/samsa-go/samsa/topic"
)

// Nobody remembers a deleted topic: not the producers that have written to it, idle as they
// are, nor the broker.
func TestDeletedTopicsAreForgotten(t *testing.T) {
	k := inMemory(t, Options{})
	const topics = 50
	k.create("kept", 1)
	var producers []*Producer
	for _, id := range []string{"", "p"} {
		producers = append(producers, k.producer(ProducerOptions{ID: id}))
	}
	c := k.consumer(ConsumerOptions{Topics: []string{"kept"}})
	var gone []weak.Pointer[topic.Topic]
	for i := range topics {
		name := fmt.Sprint("gone-", i)
		k.create(name, 2)
		k.write(name, "v")
		for _, p := range producers {
			if _, err := p.ProduceSync(k.ctx, Record{Topic: name}, Record{Topic: "kept"}); err != nil {
				t.Fatal(err)
			}
		}
		tp, err := k.catalogue.Get(name)
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
	for _, p := range producers {
		if n := len(p.topics); n != 1 {
			t.Errorf("a producer knows %d topics, of which there is one", n)
		}
		if _, err := p.ProduceSync(k.ctx, Record{Topic: "gone-0"}); err == nil {
			t.Error("produced to a deleted topic")
		}
	}
	if n := len(k.sender.choosers); n != 0 {
		t.Errorf("Broker.Produce knows %d topics", n)
	}
	k.poll(c)
	if _, err := k.Compact(k.ctx); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // sync.Pool
	for i := range gone {
		if gone[i].Value() != nil {
			t.Errorf("topic %d is remembered", i)
		}
	}
}

// BenchmarkCreateTopic creates a topic beside so many others, and deletes it.
func BenchmarkCreateTopic(b *testing.B) {
	for _, existing := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("existing=%d", existing), func(b *testing.B) {
			broker := openBench(b, "", Options{InMemory: true})
			defer closeBench(b, broker)
			for i := range existing {
				if err := broker.Topics().Create(b.Context(), fmt.Sprint("other-", i), TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := broker.Compact(b.Context()); err != nil { // the first one counts what there is
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				name := fmt.Sprint("new-", i)
				if err := broker.Topics().Create(b.Context(), name, TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
				if err := broker.Topics().Delete(b.Context(), name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
