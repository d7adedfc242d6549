package samsatest_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func queue(t *testing.T, b *samsa.Broker, opts samsa.QueueOptions) *samsa.Queue {
	t.Helper()
	if opts.Group == "" {
		opts.Group = "mailer"
	}
	if opts.Topics == nil {
		opts.Topics = []string{"mails"}
	}
	q, err := b.NewQueue(ctx, opts)
	wantErr(t, err, nil)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func receive(t *testing.T, q *samsa.Queue) samsa.Delivery {
	t.Helper()
	ds, err := q.Receive(ctx, 1)
	wantErr(t, err, nil)
	return ds[0]
}

func wantLag(t *testing.T, q *samsa.Queue, want int64) {
	t.Helper()
	s, err := q.Stats(ctx)
	wantErr(t, err, nil)
	if s.Lag != want {
		t.Errorf("%d records are not done, want %d", s.Lag, want)
	}
}

// A fault of acknowledgements hits those of a group, of a topic and of a client, each way to acknowledge: what fails is not
// done, and the delivery stays.
func TestAcksFail(t *testing.T) {
	for name, ack := range map[string]func(b *samsa.Broker, q *samsa.Queue, d samsa.Delivery) error{
		"Ack":       func(_ *samsa.Broker, _ *samsa.Queue, d samsa.Delivery) error { return d.Ack() },
		"Queue.Ack": func(_ *samsa.Broker, q *samsa.Queue, d samsa.Delivery) error { return q.Ack(ctx, d) },
		"Reject":    func(_ *samsa.Broker, _ *samsa.Queue, d samsa.Delivery) error { return d.Reject("no such host") },
		"Update": func(b *samsa.Broker, _ *samsa.Queue, d samsa.Delivery) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Ack(d) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("mails", 2), samsatest.Topic("orders", 1))
			samsatest.Produce(t, b, "mails", "1=a")
			q := queue(t, b, samsa.QueueOptions{ClientID: "one"})
			d := receive(t, q)
			for _, other := range []samsatest.Target{
				samsatest.Acks(b, "billing").Target, samsatest.Acks(b, "").Of("orders").Target,
				samsatest.Acks(b, "mailer").Of("mails", 1-d.Record.Partition).Target, samsatest.Acks(b, "mailer").By("two"),
			} {
				defer func(f *samsatest.Fault) {
					if f.Hits() > 0 {
						t.Errorf("%s has hit", f)
					}
				}(other.Fail())
			}
			fault := samsatest.Acks(b, "mailer").Of("mails", d.Record.Partition).By("one").Next(1).Fail()
			wantErr(t, ack(b, q, d), samsatest.ErrInjected, samsa.ErrUnavailable)
			wantLag(t, q, 1)
			wantErr(t, ack(b, q, d), nil)
			wantLag(t, q, 0)
			if fault.Hits() != 1 {
				t.Errorf("%s has hit %d times", fault, fault.Hits())
			}
		})
	}
}

// With Stored the record is done, and who has acknowledged does not know.
func TestAnswersToAcksAreLost(t *testing.T) {
	for name, ack := range map[string]func(b *samsa.Broker, d samsa.Delivery) error{
		"Ack": func(_ *samsa.Broker, d samsa.Delivery) error { return d.Ack() },
		"Update": func(b *samsa.Broker, d samsa.Delivery) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Ack(d) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("mails", 1))
			samsatest.Produce(t, b, "mails", "1=a")
			q := queue(t, b, samsa.QueueOptions{})
			d := receive(t, q)
			samsatest.Acks(b, "mailer").Stored().Next(1).Fail()
			wantErr(t, ack(b, d), samsatest.ErrInjected, samsa.ErrOutcomeUnknown)
			wantLag(t, q, 0)
			wantErr(t, d.Ack(), samsa.ErrInvalidRecordState)
		})
	}
}

// An acknowledgement that is held is not done before its release, and not at all when its context has ended.
func TestAcksAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("mails", 1))
		samsatest.Produce(t, b, "mails", "1=a", "2=b")
		q := queue(t, b, samsa.QueueOptions{})
		hold := samsatest.Acks(b, "mailer").Hold()
		short, cancel := contextWithTimeout(time.Second)
		defer cancel()
		wantErr(t, q.Ack(short, receive(t, q)), context.DeadlineExceeded)
		wantLag(t, q, 2)
		d := receive(t, q)
		done := make(chan error)
		go func() { done <- d.Ack() }()
		synctest.Wait()
		wantLag(t, q, 2)
		hold.Remove()
		wantErr(t, <-done, nil)
		wantLag(t, q, 1)
	})
}

// Work does not wait for an acknowledgement before the next record, but no more of them are under way than is said. When it
// returns all are told.
func TestWorkDoesNotWaitForAcks(t *testing.T) {
	const ahead = 32
	for name, stored := range map[string]bool{"before they are stored": false, "behind": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := samsatest.New(t, samsatest.Topic("mails", 1))
				for range 100 {
					samsatest.Produce(t, b, "mails", "1=a")
				}
				q := queue(t, b, samsa.QueueOptions{})
				target := samsatest.Acks(b, "mailer").Target
				if stored {
					target = samsatest.Acks(b, "mailer").Stored()
				}
				hold := target.Hold()
				ctx, cancel := context.WithCancel(ctx)
				var calls atomic.Int32
				done := make(chan error, 1)
				go func() {
					done <- q.Work(ctx, 2, func(context.Context, samsa.Delivery) error {
						calls.Add(1)
						return nil
					})
				}()
				synctest.Wait()
				if n := calls.Load(); n != 2*(ahead+1) {
					t.Errorf("%d calls, want %d: %d acknowledgements of each of two are under way", n, 2*(ahead+1), ahead)
				}
				cancel()
				synctest.Wait()
				select {
				case err := <-done:
					t.Errorf("Work has not waited for what it has acknowledged: %v", err)
				default:
				}
				hold.Remove()
				wantErr(t, <-done, context.Canceled)
				wantLag(t, q, 100-int64(calls.Load()))
			})
		})
	}
}

// What fails after the function has returned comes again when its lock ends.
func TestWorkWhoseAckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("mails", 1))
		samsatest.Produce(t, b, "mails", "1=a")
		q := queue(t, b, samsa.QueueOptions{Lock: time.Second, Retry: samsa.Retry{Min: samsa.NoWait}})
		samsatest.Acks(b, "mailer").Next(1).Fail()
		ctx, cancel := context.WithCancel(ctx)
		calls := 0
		wantErr(t, q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error {
			if calls++; d.Deliveries == 2 {
				cancel()
			}
			return nil
		}), context.Canceled)
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
		wantLag(t, q, 0)
	})
}

// Kafka clients meet the same faults.
func TestAcksOfKafkaClientsFail(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Produce(t, b, "orders", "7=tea")
	wantErr(t, b.Groups().SetConfigs(ctx, "billing", map[string]string{"share.auto.offset.reset": "earliest"}), nil)
	info, err := b.Topics().Describe(ctx, "orders")
	wantErr(t, err, nil)
	c := dial(t, samsatest.Kafka(t, b), "shop")
	group, member := "billing", "m"
	fetch := kmsg.NewPtrShareFetchRequest()
	fetch.GroupID, fetch.MemberID, fetch.MaxBytes, fetch.MaxRecords = &group, &member, 1<<20, 1
	fetch.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: info.ID, Partitions: []kmsg.ShareFetchRequestTopicPartition{{}}}}
	if resp := c.ask(2, fetch).(*kmsg.ShareFetchResponse); len(resp.Topics) != 1 || len(resp.Topics[0].Partitions[0].AcquiredRecords) != 1 {
		t.Fatalf("acquired nothing: %+v", resp)
	}
	ack := func(epoch int32) int16 {
		t.Helper()
		req := kmsg.NewPtrShareAcknowledgeRequest()
		req.GroupID, req.MemberID, req.ShareSessionEpoch = &group, &member, epoch
		req.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: info.ID, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{{
			AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{AcknowledgeTypes: []int8{1}}},
		}}}}
		resp := c.ask(2, req).(*kmsg.ShareAcknowledgeResponse)
		return resp.Topics[0].Partitions[0].ErrorCode
	}
	samsatest.Acks(b, "billing").Next(1).Fail()
	if code := ack(1); code != 56 { // KAFKA_STORAGE_ERROR
		t.Errorf("code %d", code)
	}
	samsatest.Acks(b, "billing").Of("orders").Next(1).FailWith(samsatest.Code(6))
	if code := ack(2); code != 6 {
		t.Errorf("code %d", code)
	}
	if code := ack(3); code != 0 {
		t.Errorf("code %d", code)
	}
}

// Heartbeats that name topics can be failed by topic. They have one code.
func TestHeartbeatsOfATopicFail(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("mails", 1))
	c := dial(t, samsatest.Kafka(t, b), "shop")
	fault := samsatest.Requests(b, kmsg.ShareGroupHeartbeat.Int16()).Of("orders").FailWith(samsatest.Code(16))
	for _, topic := range []string{"orders", "mails"} {
		req := kmsg.NewPtrShareGroupHeartbeatRequest()
		req.GroupID, req.MemberID, req.SubscribedTopicNames = "billing", "m", []string{topic}
		if code := c.ask(1, req).(*kmsg.ShareGroupHeartbeatResponse).ErrorCode; (code == 16) != (topic == "orders") {
			t.Errorf("a heartbeat of %s has code %d", topic, code)
		}
	}
	if fault.Hits() != 1 {
		t.Errorf("%d hits", fault.Hits())
	}
}

// The trace tells of acknowledgements.
func TestTraceOfAcks(t *testing.T) {
	ft := runFake(func(ft *fakeTest) {
		b := samsatest.New(ft, samsatest.Topic("mails", 1))
		samsatest.Trace(ft, b)
		samsatest.Produce(ft, b, "mails", "1=a", "2=b", "3=c")
		q := queue(t, b, samsa.QueueOptions{ClientID: "one"})
		ds, err := q.Receive(ctx, 2)
		wantErr(t, err, nil)
		wantErr(t, q.Ack(ctx, ds...), nil)
		d := receive(t, q)
		samsatest.Acks(b, "mailer").Next(1).FailWith(errors.New("no"))
		_ = d.Release(0)
		ft.Errorf("so that there is a trace")
	})
	log := strings.Join(ft.logged, "\n")
	for _, want := range []string{"mailer mails/0@0..1 accept by one", "mailer mails/0@2 release by one: no"} {
		if !strings.Contains(log, want) {
			t.Errorf("the trace does not tell %q:\n%s", want, log)
		}
	}
}

// WaitDone waits for what is done with a queue, in whatever way: also for what nobody acknowledges in the end.
func TestWaitDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("mails", 2), samsatest.Topic("mails.dead", 1), samsatest.Topic("orders", 1))
		samsatest.Produce(t, b, "orders", "1=other")
		samsatest.Produce(t, b, "mails", "1=acked", "2=rejected", "3=late", "4=retried", "5=held")
		q := queue(t, b, samsa.QueueOptions{DeadLetter: "mails.dead", MaxDeliveries: 2, Lock: time.Second, Topics: []string{"mails", "orders"}})
		go func() {
			for d, err := range q.Deliveries(ctx) {
				if err != nil {
					return
				}
				switch string(d.Record.Value) {
				case "rejected":
					_ = d.Reject("")
				case "retried":
					_ = d.Retry()
				case "late":
				case "held":
					_ = d.Release(time.Hour)
				default:
					_ = d.Ack()
				}
			}
		}()
		samsatest.WaitDone(t, b, "mailer", "mails", 4)
		wantLag(t, q, 1)
		ft := runFake(func(ft *fakeTest) { samsatest.WaitDone(ft, b, "mailer", "mails", 5) })
		ft.wantErrs(t, "has done 4 records of topic mails, want 5")
		ft = runFake(func(ft *fakeTest) { samsatest.WaitDone(ft, b, "nobody", "mails", 1) })
		ft.wantErrs(t, "unknown group")
		wantErr(t, q.Close(), nil)
	})
}
