package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/samsa-go/samsa"
)

// answer carries out a request in a transaction, and returns the reply. It may be called several times for a request, and should have
// no effects but those through tx. A refusal is a reply too; what was done in tx is not stored then.
type answer func(tx *samsa.Tx, r samsa.Record) (string, error)

// refusal is why a request is not carried out.
type refusal string

func (r refusal) Error() string { return string(r) }

// serve answers requests until ctx ends. Any number of servers share them. What is done, the reply, and that the request is done are
// stored in one transaction: so each request is carried out once, and has one reply, whoever is killed.
func serve(ctx context.Context, b *samsa.Broker, fn answer) error {
	ends, err := b.ListOffsets(ctx, replies, samsa.Latest())
	if err != nil {
		return err
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Topics: []string{requests}, Group: group, Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Work(ctx, 1, func(ctx context.Context, r samsa.Record) error {
		for {
			err := reply(ctx, b, c, len(ends), r, fn)
			var refused refusal
			if errors.As(err, &refused) {
				err = reply(ctx, b, c, len(ends), r, func(*samsa.Tx, samsa.Record) (string, error) { return "", nil }, samsa.Header{Key: failure, Value: []byte(refused)})
			}
			if err == nil || !samsa.Retriable(err) {
				return err
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// reply carries out one request. One that nobody waits for any more is done without it. A client whose partition is none of those that there
// are gets no reply.
func reply(ctx context.Context, b *samsa.Broker, c *samsa.Consumer, partitions int, r samsa.Record, fn answer, extra ...samsa.Header) error {
	to, err := strconv.ParseInt(header(r, replyTo), 10, 32)
	hears := err == nil && to >= 0 && to < int64(partitions)
	return b.Update(ctx, func(tx *samsa.Tx) error {
		if late(r) {
			return tx.CommitRecords(c, r)
		}
		text, err := fn(tx, r)
		if err != nil {
			return err
		}
		if hears {
			out := samsa.Record{Topic: replies, Partition: int32(to), Key: r.Key, Value: []byte(text)}
			out.Headers = append([]samsa.Header{{Key: id, Value: []byte(header(r, id))}}, extra...)
			if err := tx.ProduceWith(samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, out); err != nil {
				return err
			}
		}
		return tx.CommitRecords(c, r)
	})
}

// late reports whether nobody waits for the reply.
func late(r samsa.Record) bool {
	ms, err := strconv.ParseInt(header(r, deadline), 10, 64)
	return err == nil && time.Now().After(time.UnixMilli(ms))
}
