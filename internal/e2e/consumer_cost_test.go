package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa"
)

// The room that the records of a revoked partition took is for those that stay.
func TestRevocationMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		k.create("b", 1)
		k.write("b", make([]string, 100)...)
		opts := samsa.ConsumerOptions{Topics: []string{"a", "b"}, MaxPollRecords: 1, MaxPollBytes: 1}
		w := k.worker("g", opts)
		k.read(w.Consumer, 1)
		k.write("a", "waits for room")
		synctest.Wait()
		k.started("g", opts)
		w.start()
		synctest.Wait()
		w.wantOwns("a/0")
		if got := w.took(); !strings.Contains(got, "waits for room") {
			t.Errorf("got %q", got)
		}
	})
}

// BenchmarkPollOneOf is a record produced to one of so many topics and polled.
func BenchmarkPollOneOf(b *testing.B) {
	for _, topics := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			broker := openBench(b, "", samsa.Options{InMemory: true})
			defer closeBench(b, broker)
			for i := range topics {
				if err := broker.Topics().Create(b.Context(), fmt.Sprint("t", i), samsa.TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
			}
			c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("^t")})
			if err != nil {
				b.Fatal(err)
			}
			defer closeBench(b, c)
			for i := 0; b.Loop(); i++ {
				_, err := broker.Produce(b.Context(), samsa.Record{Topic: fmt.Sprint("t", i%100), Value: []byte("v")})
				if err == nil {
					_, err = c.Poll(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConsumerTopics is a consumer without a group that is made for so many topics and
// reads the record that each has.
func BenchmarkConsumerTopics(b *testing.B) {
	for _, topics := range []int{2500, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			broker := openBench(b, "", samsa.Options{InMemory: true})
			defer closeBench(b, broker)
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprint("t", i)
				if err := broker.Topics().Create(b.Context(), names[i], samsa.TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
				if _, err := broker.Produce(b.Context(), samsa.Record{Topic: names[i], Value: []byte("v")}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{Topics: names, Start: samsa.Earliest()})
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < topics; {
					records, err := c.Poll(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					n += len(records)
				}
				closeBench(b, c)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*topics), "µs/topic")
		})
	}
}
