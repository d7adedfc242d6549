package write_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// A leader that says nothing any more, with records on their way to it, is not waited for once another one leads: that one gets them, in order. Its
// connections are open, so that nobody but who asks who leads could know; franz-go would wait 40 seconds.
func TestSilentLeader(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	k := kit.At(t, c.ListenAddrs())
	topic := k.Create("silent", 1)
	k.Configure(topic, "max.message.bytes", "300") // so that there are many batches
	b := open(t, k, k.Name("id"))
	p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MoveTopicPartition(topic, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ProduceSync(k.Ctx, samsa.Record{Topic: topic, Value: value(0)}); err != nil {
		t.Fatal(err)
	}
	over, silent := make(chan struct{}), make(chan struct{})
	defer close(over)
	var once sync.Once
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() != 0 {
			return nil, nil, false
		}
		once.Do(func() { close(silent) })
		c.SleepControl(func() { <-over })
		return nil, errors.New("over"), true
	})
	const n = 30
	ctx, cancel := context.WithTimeout(k.Ctx, 30*time.Second)
	defer cancel()
	var got, want []string
	for i := range n {
		p.Produce(ctx, samsa.Record{Topic: topic, Value: value(i + 1)}, func(r samsa.Record, err error) {
			got = append(got, fmt.Sprint(r.Offset, err))
		})
		want = append(want, fmt.Sprint(i+1, " <nil>"))
	}
	<-silent
	if err := c.MoveTopicPartition(topic, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
