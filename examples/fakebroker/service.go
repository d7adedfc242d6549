package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	orders   = "orders"
	receipts = "receipts"
	group    = "billing"
)

// service bills orders: for each it writes one receipt, whatever happens in between. Several
// share the orders.
type service struct {
	b    *samsa.Broker
	c    *samsa.Consumer
	bill func(order samsa.Record) (receipt string, err error)
}

// newService returns a service that works for the group under that name.
func newService(ctx context.Context, b *samsa.Broker, name string, bill func(samsa.Record) (string, error)) (*service, error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: group, Topics: []string{orders},
		ClientID: name, Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return nil, err
	}
	return &service{b: b, c: c, bill: bill}, nil
}

// run works until ctx ends or the broker is closed, and leaves the group then.
func (s *service) run(ctx context.Context) error {
	defer s.c.Close()
	for {
		in, err := s.c.Poll(ctx)
		if err == nil {
			err = s.process(ctx, in)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !samsa.Retriable(err):
			return err
		case err != nil && !pause(ctx, time.Second):
			return nil
		}
	}
}

// process writes the receipts of orders. They and the offsets are stored together, so that an
// order has a receipt exactly when nobody will see it again.
func (s *service) process(ctx context.Context, in []samsa.Record) error {
	out := make([]samsa.Record, 0, len(in))
	for _, order := range in {
		text, err := s.bill(order)
		if err != nil {
			return fmt.Errorf("order %s: %w", order.Key, err)
		}
		out = append(out, samsa.Record{Topic: receipts, Key: order.Key, Value: []byte(text)})
	}
	for {
		err := s.b.Update(ctx, func(tx *samsa.Tx) error {
			if err := tx.Produce(out...); err != nil {
				return err
			}
			return tx.CommitRecords(s.c, in...)
		})
		switch {
		case errors.Is(err, samsa.ErrIllegalGeneration), errors.Is(err, samsa.ErrUnknownMember):
			return nil // the orders are another's now, who writes the receipts
		case !samsa.Retriable(err) || !pause(ctx, time.Second):
			return err
		}
	}
}

// pause returns false when ctx ends before d is over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
