package shares_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// While mails are produced and worked each broker of three is killed, and comes back: each mail that was acknowledged is done once or
// more, and those who work need not know.
func TestBrokersComeAndGo(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Nodes: 3, Configs: kit.ShareBounds})
	k := kit.At(t, c.Seeds())
	mails, b, group := k.Create("mails", 3), open(t, k), k.Name("mailer")
	must(t, b.Groups().SetConfigs(k.Ctx, group, map[string]string{"share.session.timeout.ms": "3000", "share.heartbeat.interval.ms": "1000"}))
	q := queue(t, k, b, samsa.QueueOptions{Group: group, Topics: []string{mails}, MaxDeliveries: 10, Retry: samsa.Retry{Min: samsa.NoWait}})

	var mu sync.Mutex
	done, times := make(map[string]bool), 0
	more := make(chan struct{}, 1)
	working, stop := context.WithCancel(k.Ctx)
	defer stop()
	worked := make(chan error, 1)
	go func() {
		worked <- q.Work(working, workersAtOnce, func(_ context.Context, d samsa.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			times++
			done[string(d.Record.Value)] = true
			select {
			case more <- struct{}{}:
			default:
			}
			return nil
		})
	}()

	producing, enough := context.WithCancel(k.Ctx)
	defer enough()
	acked := make(chan []string, 1)
	go func() {
		var all []string
		for i := 0; producing.Err() == nil; i++ {
			v := fmt.Sprint(i)
			if _, err := b.Produce(producing, samsa.Record{Topic: mails, Key: []byte(v), Value: []byte(v)}); err == nil {
				all = append(all, v)
			}
		}
		acked <- all
	}()
	for id := 1; id <= 3; id++ {
		c.Kill(id)
		awaitMore(t, k, more) // others have taken over
		must(t, c.Restart(id))
		must(t, c.Ready(k.Ctx))
		awaitMore(t, k, more)
	}
	enough()
	all := <-acked
	for left := len(all); left > 0; {
		mu.Lock()
		left = 0
		for _, v := range all {
			if !done[v] {
				left++
			}
		}
		mu.Unlock()
		if left > 0 {
			select {
			case <-more:
			case <-k.Ctx.Done():
				t.Fatalf("%d of %d mails are not done", left, len(all))
			}
		}
	}
	info, err := b.Groups().Describe(k.Ctx, group)
	must(t, err)
	k.Want(len(info.Members), 1) // it has found its coordinators
	stop()
	if err := <-worked; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	t.Logf("%d mails, done %d times", len(all), times)
}

// awaitMore waits until something more is done.
func awaitMore(t *testing.T, k *kit.Kit, more <-chan struct{}) {
	t.Helper()
	for range 2 { // the first may be from before
		select {
		case <-more:
		case <-k.Ctx.Done():
			t.Fatal("nothing more is done")
		}
	}
}
