package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/share"
)

// A batch that is damaged is told once, by each way to receive, and its records are done; those around it are given. Work goes
// on without.
func TestQueueOfDamagedBatch(t *testing.T) {
	for name, receives := range map[string]func(k *kit, q *samsa.Queue) (got []string, errs []error){
		"Receive": func(k *kit, q *samsa.Queue) (got []string, errs []error) {
			for {
				ctx, cancel := context.WithTimeout(k.ctx, time.Second)
				ds, err := q.Receive(ctx, 1)
				cancel()
				switch {
				case errors.Is(err, context.DeadlineExceeded):
					return got, errs
				case err != nil:
					errs = append(errs, err)
				default:
					got = append(got, string(ds[0].Record.Value))
					k.wantError("ack", ds[0].Ack(), nil)
				}
			}
		},
		"Deliveries": func(k *kit, q *samsa.Queue) (got []string, errs []error) {
			ctx, cancel := context.WithTimeout(k.ctx, time.Second)
			defer cancel()
			for d, err := range q.Deliveries(ctx) {
				if err == nil {
					got = append(got, string(d.Record.Value))
					k.wantError("ack", d.Ack(), nil)
				} else if ctx.Err() == nil {
					errs = append(errs, err)
				}
			}
			return got, errs
		},
		"Work": func(k *kit, q *samsa.Queue) (got []string, errs []error) {
			ctx, cancel := context.WithTimeout(k.ctx, time.Second)
			defer cancel()
			err := q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error {
				got = append(got, string(d.Record.Value))
				return nil
			})
			k.wantError("work", err, context.DeadlineExceeded)
			return got, []error{samsa.ErrCorruptRecord} // which it logs
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kit{Broker: samsatest.New(t, samsatest.Topic("mails", 1)), t: t, ctx: context.Background()}
				for _, v := range []string{"a", "b", "c"} {
					k.write("mails", v)
				}
				samsatest.Corrupt(t, k.Broker, "mails", 0, 1)
				q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
				got, errs := receives(k, q)
				if fmt.Sprint(got) != "[a c]" || len(errs) != 1 || !errors.Is(errs[0], samsa.ErrCorruptRecord) {
					t.Errorf("got %s, %v", got, errs)
				}
				if s, err := q.Stats(k.ctx); err != nil || s.Lag != 0 {
					t.Errorf("got %+v, %v", s, err)
				}
				k.wantError("close", q.Close(), nil)
			})
		})
	}
}

// Of a compacted topic a queue gives what is there: a record that went before it was given is no record, and one that goes
// while somebody has it can be acknowledged.
func TestQueueOfCompactedTopic(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		if err := k.Topics().Create(k.ctx, "mails", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
			t.Fatal(err)
		}
		put := func(values ...string) {
			for _, v := range values {
				k.produce(samsa.Record{Topic: "mails", Key: []byte(v[:1]), Value: []byte(v)})
			}
		}
		put("a1", "b1", "a2")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
		ds, got := receive(t, q, 1)
		if got != "a1#1" {
			t.Errorf("got %s", got)
		}
		put("b2", "a3", "c1")
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
		k.wantError("what went", ds[0].Ack(), nil)
		var left []string
		for {
			ctx, cancel := context.WithTimeout(k.ctx, time.Second)
			more, err := q.Receive(ctx, 10)
			cancel()
			if err != nil {
				break
			}
			for _, d := range more {
				left = append(left, string(d.Record.Value))
				k.wantError("ack", d.Ack(), nil)
			}
		}
		for _, newest := range []string{"a3", "b2", "c1"} {
			if !slices.Contains(left, newest) {
				t.Errorf("%s was not given: %s", newest, left)
			}
		}
		if s, err := q.Stats(k.ctx); err != nil || s.Lag != 0 {
			t.Errorf("got %+v, %v, after %s", s, err, left)
		}
	})
}

// A queue waits at an open transaction, gives what is committed and passes over what is not; with ReadUncommitted it gives all,
// at once.
func TestQueueOfTransactions(t *testing.T) {
	for _, isolation := range []samsa.Isolation{samsa.ReadCommitted, samsa.ReadUncommitted} {
		queueBubble(t, func(t *testing.T, k *kit) {
			k.create("mails", 1)
			q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, Isolation: isolation})
			k.write("mails", "before")
			k.transact("mails", 7, "aborted")
			k.transact("mails", 8, "committed")
			k.write("mails", "behind")
			if isolation == samsa.ReadUncommitted {
				if _, got := receive(t, q, 4); got != "aborted#1 before#1 behind#1 committed#1" {
					t.Errorf("got %s", got)
				}
				return
			}
			ds, got := receive(t, q, 1)
			none(t, q)
			k.end("mails", 8, true)
			none(t, q)
			k.end("mails", 7, false)
			more, gotMore := receive(t, q, 2)
			if got != "before#1" || gotMore != "behind#1 committed#1" {
				t.Errorf("got %s, %s", got, gotMore)
			}
			none(t, q)
			k.wantError("ack", q.Ack(k.ctx, append(ds, more...)...), nil)
			if s, err := q.Stats(k.ctx); err != nil || s.Lag != 0 || s.Acknowledged != 3 {
				t.Errorf("markers and what was aborted are not done: %+v, %v", s, err)
			}
		})
	}
}

// No more records are out than MaxInFlight says, however many ask; those that wait for their time do not count.
func TestQueueInFlightIsBounded(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		for range 20 {
			k.produce(samsa.Record{Topic: "mails", Value: []byte("later"), Headers: []samsa.Header{samsa.NotBefore(time.Now().Add(time.Hour))}})
		}
		for range 20 {
			k.write("mails", "now")
		}
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, MaxInFlight: 3})
		ds, got := receive(t, q, 3)
		if got != "now#1 now#1 now#1" {
			t.Errorf("got %s", got)
		}
		none(t, q)
		k.wantError("release", ds[0].Release(time.Minute), nil)
		k.wantError("ack", ds[1].Ack(), nil)
		receive(t, q, 2)
		none(t, q)
		var now, most atomic.Int32
		ctx, cancel := context.WithTimeout(k.ctx, 2*time.Minute)
		defer cancel()
		k.wantError("work", q.Work(ctx, 8, func(context.Context, samsa.Delivery) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return nil
		}), context.DeadlineExceeded)
		if n := most.Load(); n > 3 {
			t.Errorf("%d records were worked on at once", n)
		}
		if s, err := q.Stats(k.ctx); err != nil || s.Lag != 20 || s.Waiting != 20 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}

// Who waits because too many are out gets the next record when locks run out, though nothing of what was out comes again.
func TestQueueGoesOnBehindWhatIsGivenUp(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "poison", "poison")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, MaxInFlight: 2, MaxDeliveries: 1})
		receive(t, q, 2)
		k.write("mails", "good")
		none(t, q)
		if _, got := receive(t, q, 1); got != "good#1" {
			t.Errorf("got %s", got)
		}
	})
}

// A group is moved to a place, so many records back, and to a time; what was done of the records there comes again. What was
// delivered before is of a group that there is no more.
func TestQueueIsMoved(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}}
		for _, v := range []string{"a", "b", "c", "d"} {
			k.write("mails", v)
			time.Sleep(time.Minute)
		}
		for _, step := range []struct {
			to   samsa.GroupOffset
			want string
		}{
			{samsa.Shift(-2), "c#1 d#1"}, {samsa.Ago(150 * time.Second), "c#1 d#1"}, {samsa.To(samsa.Earliest()), "a#1 b#1 c#1 d#1"}, {samsa.To(samsa.Latest()), ""},
		} {
			q := k.queue(opts)
			s, err := q.Stats(k.ctx)
			k.must(err)
			if s.Lag > 0 {
				ds, _ := receive(t, q, int(s.Lag))
				k.wantError("ack", q.Ack(k.ctx, ds...), nil)
			}
			k.wantError("close", q.Close(), nil)
			k.wantError("move", k.Groups().AlterOffsets(k.ctx, "mailer", step.to), nil)
			q = k.queue(opts)
			if step.want == "" {
				none(t, q)
			} else if ds, got := receive(t, q, len(step.want)/4+1); got != step.want {
				t.Errorf("%+v: got %s, want %s", step.to, got, step.want)
			} else {
				k.wantError("ack", q.Ack(k.ctx, ds...), nil)
				k.wantError("twice", ds[0].Ack(), samsa.ErrInvalidRecordState)
			}
			k.wantError("close", q.Close(), nil)
		}
		k.wantError("offsets", k.Groups().DeleteOffsets(k.ctx, "mailer", samsa.TopicPartition{Topic: "mails"}), nil)
		if _, got := receive(t, k.queue(opts), 4); got != "a#1 b#1 c#1 d#1" {
			t.Errorf("got %s", got)
		}
	})
}

// A group begins where its first queue says, in what there is then, and where its configs say for Kafka clients.
func TestQueueBegins(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "a")
		time.Sleep(time.Hour)
		noon := time.Now()
		k.write("mails", "b")
		time.Sleep(time.Hour)
		begins := func(group, want string) {
			t.Helper()
			key := engine.ShareKey(group, samsa.TopicPartition{Topic: "mails"})
			k.must(k.inside().Shares.Initialize(k.ctx, key))
			got, err := k.inside().Shares.AcquireRecords(k.ctx, share.AcquireRequest{Key: key, Member: "m", MaxRecords: 9})
			var values []string
			for _, d := range got {
				values = append(values, string(d.Record.Value))
			}
			if fmt.Sprint(values) != want || err != nil {
				t.Errorf("%s: got %s, %v, want %s", group, values, err, want)
			}
		}
		for name, start := range map[string]samsa.Start{
			"[a b c]": samsa.Earliest(), "[c]": samsa.Latest(), "[b c]": samsa.AtTime(noon), "[c d]": samsa.AtTime(time.Now().Add(time.Hour)),
		} {
			k.must(k.queue(samsa.QueueOptions{Group: "queue " + name, Topics: []string{"mails"}, Start: start}).Close())
		}
		for name, reset := range map[string]string{"[a b c]": "earliest", "[c]": "latest", "[b c]": "by_duration:PT1H"} {
			k.must(k.Groups().SetConfigs(k.ctx, "configs "+name, map[string]string{"share.auto.offset.reset": reset}))
			k.must(k.inside().Shares.Initialize(k.ctx, engine.ShareKey("configs "+name, samsa.TopicPartition{Topic: "mails"})))
		}
		k.write("mails", "c")
		for _, want := range []string{"[a b c]", "[c]", "[b c]"} {
			begins("queue "+want, want)
			begins("configs "+want, want)
		}
		begins("queue [c d]", "[c]") // there was nothing as late as that: it begins with what comes
	})
}

// Who waits for the next record of a key gets it when the one before is a dead letter, though nobody has decided that.
func TestQueueOrderBehindADeadLetter(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.create("dead", 1)
		for _, v := range []string{"a", "b"} {
			k.produce(samsa.Record{Topic: "mails", Key: []byte("k"), Value: []byte(v)})
		}
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, OrderByKey: true, MaxDeliveries: 1, DeadLetter: "dead", Lock: time.Second})
		receive(t, q, 1)
		began := time.Now()
		if _, got := receive(t, q, 1); got != "b#1" || time.Since(began) != time.Second {
			t.Errorf("got %s after %s", got, time.Since(began))
		}
	})
}
