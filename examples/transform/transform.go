package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	orders   = "orders"
	receipts = "receipts"
	group    = "billing"
	txnID    = "billing-1" // the transactional id: one for each that works at the same time
)

// transform works until ctx ends. When a session cannot go on another one takes its place: what was not committed is not
// there, and comes again.
func transform(ctx context.Context, opts ...kgo.Opt) error {
	for {
		err := session(ctx, opts...)
		var refused *kerr.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.As(err, &refused):
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// session writes receipts, in transactions with the offsets of the orders, until ctx ends or a transaction cannot end.
func session(ctx context.Context, opts ...kgo.Opt) error {
	s, err := kgo.NewGroupTransactSession(append([]kgo.Opt{
		kgo.TransactionalID(txnID), kgo.ConsumerGroup(group), kgo.ConsumeTopics(orders),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}, opts...)...)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		in := s.PollRecords(ctx, 100)
		if err := in.Err(); err != nil {
			return err
		}
		if err := s.Begin(); err != nil {
			return err
		}
		written := kgo.AbortingFirstErrPromise(s.Client())
		in.EachRecord(func(order *kgo.Record) {
			receipt := &kgo.Record{Topic: receipts, Key: order.Key, Value: fmt.Appendf(nil, "thanks for %s", order.Value)}
			s.Produce(ctx, receipt, written.Promise())
		})
		// What has failed is aborted, and its orders come with the next poll.
		if _, err := s.End(context.WithoutCancel(ctx), written.Err() == nil); err != nil {
			return err
		}
	}
}
