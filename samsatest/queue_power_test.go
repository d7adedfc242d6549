package samsatest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A queue over many power cuts: what was acknowledged and synced does not come again, what was not is not lost, and each
// record has its effect, which is stored with its acknowledgement, or its dead letter, once.
func TestQueueOverPowerCuts(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) { queueOverPowerCuts(t, rand.New(rand.NewPCG(uint64(round), 1))) })
	}
}

func queueOverPowerCuts(t *testing.T, rnd *rand.Rand) {
	const records = 120
	b := samsatest.New(t, samsatest.Topic("mails", 2), samsatest.Topic("sent", 1), samsatest.Topic("dead", 1))
	for i := range records {
		samsatest.Produce(t, b, "mails", fmt.Sprintf("%d=v%d", i%7, i))
	}
	if err := b.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(map[string]bool) // acknowledged and synced
	for range 12 {
		q, err := b.NewQueue(ctx, samsa.QueueOptions{
			Group: "g", Topics: []string{"mails"}, Acks: samsa.AckSynced, DeadLetter: "dead", MaxDeliveries: samsa.Unlimited,
			Retry: samsa.Retry{Min: samsa.NoWait}, OrderByKey: rnd.IntN(2) == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 + rnd.IntN(30) {
			wait, cancel := context.WithTimeout(ctx, time.Second)
			ds, err := q.Receive(wait, 1+rnd.IntN(4))
			cancel()
			if err != nil {
				break
			}
			for _, d := range ds {
				v := string(d.Record.Value)
				if done[v] {
					t.Errorf("%s comes again", v)
				}
				switch rnd.IntN(5) {
				case 0:
					err = d.Release(0)
				case 1:
					if err = d.Reject("bad"); err == nil {
						done[v] = true
					}
				case 2: // it stays with the queue
				default:
					err = b.Update(ctx, func(tx *samsa.Tx) error {
						if err := tx.Produce(samsa.Record{Topic: "sent", Value: d.Record.Value}); err != nil {
							return err
						}
						return tx.Ack(d)
					})
					if err == nil {
						done[v] = true
					}
				}
				if err != nil && !errors.Is(err, samsa.ErrInvalidRecordState) {
					t.Error(err)
				}
			}
		}
		if rnd.IntN(2) == 0 {
			samsatest.CutPower(t, b)
		} else {
			samsatest.Crash(t, b)
		}
		b = samsatest.Restart(t, b)
	}
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "g", Topics: []string{"mails"}, MaxDeliveries: samsa.Unlimited})
	if err != nil {
		t.Fatal(err)
	}
	for {
		wait, cancel := context.WithTimeout(ctx, time.Hour)
		ds, err := q.Receive(wait, 100)
		cancel()
		if err != nil {
			break
		}
		for _, d := range ds {
			if v := string(d.Record.Value); done[v] {
				t.Errorf("%s comes again", v)
			}
			err := b.Update(ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.Produce(samsa.Record{Topic: "sent", Value: d.Record.Value}), tx.Ack(d))
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	times := make(map[string]int)
	for _, topic := range []string{"sent", "dead"} {
		for _, r := range samsatest.Drain(t, b, topic) {
			times[string(r.Value)]++
		}
	}
	for i := range records {
		if v := fmt.Sprintf("v%d", i); times[v] != 1 {
			t.Errorf("%s was done %d times", v, times[v])
		}
	}
}

// A full disk keeps dead letters waiting, and nothing else that a queue does.
func TestQueueOverAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("mails", 1), samsatest.Topic("dead", 1))
		samsatest.Produce(t, b, "mails", "a", "b", "c", "d")
		q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "g", Topics: []string{"mails"}, DeadLetter: "dead", Retry: samsa.Retry{Min: samsa.NoWait}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { wantErr(t, q.Close(), nil) }()
		full := samsatest.FillDisk(b)
		ds, err := q.Receive(ctx, 4)
		if err != nil || len(ds) != 4 {
			t.Fatalf("got %v, %v", ds, err)
		}
		wantErr(t, ds[0].Ack(), nil)
		wantErr(t, ds[1].Reject("bad"), samsa.ErrDiskFull)
		wantErr(t, ds[1].Ack(), samsa.ErrInvalidRecordState)
		wantErr(t, ds[2].Extend(), nil)
		wantErr(t, ds[2].Release(0), nil)
		err = b.Update(ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(samsatest.Record("dead", "x")), tx.Ack(ds[3]))
		})
		wantErr(t, err, samsa.ErrDiskFull)
		wantErr(t, b.Update(ctx, func(tx *samsa.Tx) error { return tx.Ack(ds[3]) }), nil)
		again, err := q.Receive(ctx, 4)
		if err != nil || len(again) != 1 || again[0].Deliveries != 2 {
			t.Fatalf("got %v, %v", again, err)
		}
		wantErr(t, again[0].Ack(), nil)
		time.Sleep(time.Minute)
		full.Remove()
		time.Sleep(2 * time.Second)
		samsatest.Equal(t, b, "dead", []string{"b"})
		if s, err := q.Stats(ctx); err != nil || s.Lag != 0 || s.DeadLetters != 1 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
