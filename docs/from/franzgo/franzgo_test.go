package from

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func franzSend(ctx context.Context, cl *kgo.Client) (partition int32, offset int64, err error) {
	stored, err := cl.ProduceSync(ctx, &kgo.Record{
		Topic: "orders", Key: []byte("7"), Value: []byte("tea"),
		Headers: []kgo.RecordHeader{{Key: "shop", Value: []byte("Prague")}},
	}).First()
	if err != nil {
		return 0, 0, err
	}
	return stored.Partition, stored.Offset, nil
}

func franzBackground(ctx context.Context, cl *kgo.Client, orders []string) error {
	var failed kgo.FirstErrPromise
	for _, o := range orders {
		cl.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte(o)}, failed.Promise())
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	return failed.Err()
}

func franzGroup(ctx context.Context, seed string, do func(*kgo.Record)) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.AutoCommitMarks())
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return errors.Join(err, cl.CommitMarkedOffsets(context.WithoutCancel(ctx)))
		}
		for r := range fetches.RecordsAll() {
			do(r)
			cl.MarkCommitRecords(r)
		}
	}
}

func franzCommit(ctx context.Context, cl *kgo.Client, do func(*kgo.Record) error) error {
	for { // the client has DisableAutoCommit
		fetches := cl.PollRecords(ctx, 100)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if err := do(r); err != nil {
				return err
			}
			if err := cl.CommitRecords(ctx, r); err != nil {
				return err
			}
		}
	}
}

func franzSince(ctx context.Context, seed string, t time.Time) (first string, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics("orders"),
		kgo.ConsumeStartOffset(kgo.NewOffset().AfterMilli(t.UnixMilli())))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	fetches := cl.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return "", err
	}
	return string(fetches.Records()[0].Value), nil
}

// franzOnce wants a session with TransactionalID and ReadCommitted.
func franzOnce(ctx context.Context, s *kgo.GroupTransactSession) error {
	orders := s.PollRecords(ctx, 100)
	if err := orders.Err(); err != nil {
		return err
	}
	if err := s.Begin(); err != nil {
		return err
	}
	written := kgo.AbortingFirstErrPromise(s.Client())
	for o := range orders.RecordsAll() {
		s.Produce(ctx, &kgo.Record{Topic: "receipts", Key: o.Key, Value: []byte("thanks")}, written.Promise())
	}
	committed, err := s.End(ctx, written.Err() == nil)
	if err == nil && !committed {
		err = errors.New("aborted: the orders come again")
	}
	return errors.Join(written.Err(), err)
}

func franzQueue(ctx context.Context, seed string, do func(*kgo.Record) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ShareGroup("mailer"), kgo.ConsumeTopics("orders"))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollRecords(ctx, 10)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if do(r) != nil {
				r.Ack(kgo.AckRelease) // it comes again at once
			} else {
				r.Ack(kgo.AckAccept)
			}
		}
		if err := cl.FlushAcks(ctx); err != nil {
			return err
		}
	}
}

func franzCreate(ctx context.Context, cl *kgo.Client) error {
	_, err := kadm.NewClient(cl).CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": kadm.StringPtr("86400000")}, "clicks")
	return err
}

func franzLag(ctx context.Context, cl *kgo.Client) (int64, error) {
	lags, err := kadm.NewClient(cl).Lag(ctx, "billing")
	if err != nil {
		return 0, err
	}
	return lags["billing"].Lag.Total(), lags.Error()
}

func franzTest(t *testing.T, shop func(*kgo.Client) error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.ControlKey(kmsg.Produce.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req := kreq.(*kmsg.ProduceRequest) // the first one is refused
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.InvalidRecord.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := shop(cl); !errors.Is(err, kerr.InvalidRecord) {
		t.Error(err)
	}
	if err := shop(cl); err != nil {
		t.Error(err)
	}
	if rs := cl.PollRecords(t.Context(), 1).Records(); len(rs) != 1 || string(rs[0].Value) != "tea" {
		t.Error(rs)
	}
}
