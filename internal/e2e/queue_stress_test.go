package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

const (
	stressWorkers = 8
	stressRecords = 3000
	stressCrashes = 5
)

// stress is what eight workers do at once with two queues, in any order, while the broker is killed under them.
type stress struct {
	holders [stressRecords]atomic.Int32 // how many have a record
	gone    sync.Map                    // what was acknowledged or rejected, and must not come again
	left    atomic.Int64
}

// No record is with two at once, none comes again that was acknowledged, and each is done once: with its effect, or as
// a dead letter.
func TestQueueStress(t *testing.T) {
	t.Parallel()
	st := store.OpenMemory()
	var s stress
	s.left.Store(stressRecords)
	b := stressBroker(t, st)
	for i := range stressRecords {
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "jobs", Key: fmt.Append(nil, i%7), Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	for crash := range stressCrashes {
		ctx, cancel := context.WithCancel(t.Context())
		enough := int64(stressRecords * (stressCrashes - crash - 1) / stressCrashes)
		s.run(ctx, t, b, enough)
		left, err := inside.Of(b).Kill(false)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		for i := range s.holders {
			s.holders[i].Store(0)
		}
		b = stressBroker(t, left)
	}
	defer mustClose(t, b)
	done := make(map[string]int)
	for _, topic := range []string{"done", "dead"} {
		for r, err := range b.Backward(t.Context(), samsa.TopicPartition{Topic: topic}, samsa.Latest()) {
			if err != nil {
				t.Fatal(err)
			}
			done[string(r.Value)]++
		}
	}
	for i := range stressRecords {
		if n := done[fmt.Sprint(i)]; n != 1 {
			t.Errorf("%d is done %d times", i, n)
		}
	}
}

func stressBroker(t *testing.T, st store.Store) *samsa.Broker {
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"jobs": 3, "done": 1, "dead": 1} {
		if _, err := b.Topics().Ensure(t.Context(), name, samsa.TopicConfig{Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// run has the workers work until no more than enough are left, and leaves what they have.
func (s *stress) run(ctx context.Context, t *testing.T, b *samsa.Broker, enough int64) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range 2 {
		q, err := b.NewQueue(ctx, samsa.QueueOptions{
			Group: "g", Topics: []string{"jobs"}, DeadLetter: "dead", MaxDeliveries: samsa.Unlimited, Retry: samsa.Retry{Min: time.Millisecond}, OrderByKey: enough%2 == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range stressWorkers / 2 {
			workers.Go(func() {
				for s.left.Load() > enough {
					ds, err := q.Receive(ctx, 1+rand.IntN(5))
					if err != nil {
						break
					}
					for _, d := range ds {
						s.settle(t, b, d)
					}
				}
				stop()
			})
		}
	}
	workers.Wait()
}

func (s *stress) settle(t *testing.T, b *samsa.Broker, d samsa.Delivery) {
	var i int
	if _, err := fmt.Sscan(string(d.Record.Value), &i); err != nil {
		t.Error(err)
		return
	}
	if n := s.holders[i].Add(1); n != 1 {
		t.Errorf("%d is with %d at once", i, n)
	}
	if _, was := s.gone.Load(i); was {
		t.Errorf("%d comes again, and was done", i)
	}
	if rand.IntN(4) == 0 {
		s.holders[i].Add(-1)
		if err := d.Retry(); err != nil {
			t.Error(err)
		}
		return
	}
	var err error
	if rand.IntN(4) == 0 {
		err = d.Reject("nobody can do it")
	} else {
		err = b.Update(context.Background(), func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(samsa.Record{Topic: "done", Value: d.Record.Value}), tx.Ack(d))
		})
	}
	if err != nil {
		t.Error(err)
		return
	}
	s.gone.Store(i, true)
	s.left.Add(-1)
	s.holders[i].Add(-1)
}

// What a power cut leaves of a queue with AckSynced has all that was acknowledged.
func TestQueueLosesPower(t *testing.T) {
	t.Parallel()
	st := store.OpenMemory()
	st.(store.Forker).KeepSynced()
	for round := range 5 {
		b := stressBroker(t, st)
		for i := range 10 {
			if _, err := b.ProduceWith(t.Context(), samsa.ProduceOptions{Acks: samsa.AckSynced}, samsa.Record{Topic: "jobs", Value: fmt.Appendf(nil, "%d.%d", round, i)}); err != nil {
				t.Fatal(err)
			}
		}
		q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "g", Topics: []string{"jobs"}, Acks: samsa.AckSynced, DeadLetter: "dead"})
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 9; n++ { // one is left each time, and comes in the next round
			ds, err := q.Receive(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := ds[0].Ack(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := q.Stats(t.Context())
		if err != nil || s.Lag != int64(round+1) {
			t.Fatalf("round %d: %+v, %v", round, s, err)
		}
		if st, err = inside.Of(b).Kill(true); err != nil {
			t.Fatal(err)
		}
	}
}
