package samsa

import (
	"context"
	"testing"
)

// kit is a broker under test and the steps that tests are made of. What goes wrong in a step ends the test.
type kit struct {
	*Broker
	t   *testing.T
	ctx context.Context
}

// inMemory opens a broker in memory that is closed with the test.
func inMemory(t *testing.T) *kit {
	t.Helper()
	b, err := Open("", Options{InMemory: true, AutoCreateTopics: true, Produce: ProducerOptions{Partitioner: ManualPartition()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &kit{Broker: b, t: t, ctx: context.Background()}
}

func (k *kit) drop(topic string) {
	k.t.Helper()
	if err := k.Topics().Delete(k.ctx, topic); err != nil {
		k.t.Fatal(err)
	}
}

// put produces each value to that partition, a batch each.
func (k *kit) put(topic string, partition int32, values ...string) {
	k.t.Helper()
	for _, v := range values {
		if _, err := k.Produce(k.ctx, Record{Topic: topic, Partition: partition, Value: []byte(v)}); err != nil {
			k.t.Fatal(err)
		}
	}
}
