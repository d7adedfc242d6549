package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Delivery is a record that somebody has of a queue. Its methods are described in the root.
type Delivery struct {
	share.Delivery
	q     *Queue
	given *log.Record // what interceptors have made of the record; nil for the record itself
	work  *work       // of the Work that it was given by, nil for none
}

// work is what a Work knows of a delivery that it has given to the program.
type work struct {
	settled atomic.Bool
	timer   *time.Timer // ends the context of the function with the lock
}

// Queue returns the queue that the delivery is of, nil for the zero Delivery.
func (d *Delivery) Queue() *Queue { return d.q }

// Given returns the record as the program is given it.
func (d *Delivery) Given() log.Record {
	if d.given != nil {
		return *d.given
	}
	return d.Record
}

// ack returns what says t of the delivery.
func (d *Delivery) ack(t share.AckType) share.Ack {
	return share.Ack{First: d.Record.Offset, Last: d.Record.Offset, Types: []share.AckType{t}, Deliveries: d.Deliveries, Lease: d.Lease}
}

var errZero = fmt.Errorf("%w: a Delivery that is of no queue", log.ErrInvalidOption)

func (d *Delivery) settle(a share.Ack) error {
	if d.q == nil {
		return errZero
	}
	if err := d.q.over(); err != nil {
		return err
	}
	err := d.q.acknowledge(context.Background(), d.key(), d.q.opts.Synced, a)
	if err == nil {
		d.note()
	}
	return err
}

// note tells who works that nothing is left to do.
func (d *Delivery) note() {
	if d.work != nil {
		d.work.settled.Store(true)
	}
}

func (d *Delivery) key() share.Key {
	return share.Key{Group: d.q.opts.Group, TopicPartition: log.TopicPartition{Topic: d.Record.Topic, Partition: d.Record.Partition}}
}

// Ack says that the record is done.
func (d *Delivery) Ack() error { return d.settle(d.ack(share.Accept)) }

// Release gives the record back, to come again after a time, or at once.
func (d *Delivery) Release(after time.Duration) error { return d.settle(d.release(after)) }

func (d *Delivery) release(after time.Duration) share.Ack {
	a := d.ack(share.Release)
	a.AfterMs = afterMs(after)
	return a
}

// afterMs returns a time for share.Ack: 0 would be the group's.
func afterMs(after time.Duration) int64 {
	if after <= 0 {
		return -1
	}
	return (after - 1).Milliseconds() + 1
}

// Retry gives the record back, to come again as the group's settings say.
func (d *Delivery) Retry() error { return d.settle(d.ack(share.Release)) }

// Reject says that nobody can do the record.
func (d *Delivery) Reject(reason string) error { return d.settle(d.reject(reason)) }

func (d *Delivery) reject(reason string) share.Ack {
	a := d.ack(share.Reject)
	a.Reason = reason
	return a
}

// Extend has the lock begin anew.
func (d *Delivery) Extend() error {
	if d.q == nil {
		return errZero
	}
	if err := d.q.over(); err != nil {
		return err
	}
	err := d.q.acknowledge(context.Background(), d.key(), false, d.ack(share.Renew))
	if err == nil && d.work != nil {
		d.work.timer.Reset(d.q.opts.Settings.Lock)
	}
	return err
}

// Ack acknowledges several deliveries of the queue, those of each partition together.
func (q *Queue) Ack(ctx context.Context, ds []*Delivery) error {
	if err := q.over(); err != nil {
		return err
	}
	all, err := Settle(q, share.Accept, ds)
	if err != nil {
		return err
	}
	for i := range all {
		if err := q.acknowledge(ctx, all[i].Key, q.opts.Synced, all[i].Acks...); err != nil {
			return err
		}
	}
	for _, d := range ds {
		d.note()
	}
	return nil
}

// InTx is what a delivery can become with a transaction.
type InTx struct {
	Type   share.AckType
	After  time.Duration // of a Release
	Reason string        // of a Reject, whose dead letter is in the transaction
}

// Settlements returns what has deliveries become that with a transaction, those of each partition together, and whether
// it is to be synced.
func (t InTx) Settlements(ds []*Delivery) (all []share.Settlement, synced bool, err error) {
	if all, err = Settle(nil, t.Type, ds); err != nil {
		return nil, false, err
	}
	for _, d := range ds {
		synced = synced || d.q.opts.Synced
	}
	for i := range all {
		for n := range all[i].Acks {
			a := &all[i].Acks[n]
			a.Reason, a.Moved = t.Reason, t.Type == share.Reject
			if t.Type == share.Release {
				a.AfterMs = afterMs(t.After)
			}
		}
	}
	return all, synced, nil
}

// Letter returns the dead letter of a delivery, to be produced, if its group has any.
func (d *Delivery) Letter(reason string, partitions int32) (rec log.Record) {
	if reason == "" {
		reason = share.MessageRejected
	}
	rec = d.Record
	rec.Topic, rec.Partition, rec.Timestamp = d.DeadLetters(), d.Record.Partition%partitions, time.Time{}
	rec.Headers = append(rec.Headers[:len(rec.Headers):len(rec.Headers)], share.DeadLetterHeaders(d.key(), d.Record.Offset, d.Deliveries, reason, "")...)
	return rec
}

// DeadLetters returns the topic for dead letters, "" for none.
func (d *Delivery) DeadLetters() string {
	if d.q == nil {
		return ""
	}
	return d.q.opts.Settings.DeadLetter
}

// Settle returns what says t of deliveries, those of each partition together. With a queue they are of it.
func Settle(q *Queue, t share.AckType, ds []*Delivery) ([]share.Settlement, error) {
	var all []share.Settlement
	for _, d := range ds {
		switch {
		case d.q == nil:
			return nil, errZero
		case q != nil && d.q != q:
			return nil, q.wrap(fmt.Errorf("%w: a delivery of another queue", log.ErrInvalidOption))
		}
		k := d.key()
		i := 0
		for i < len(all) && (all[i].Key != k || all[i].Member != d.q.id) {
			i++
		}
		if i == len(all) {
			all = append(all, share.Settlement{Key: k, Member: d.q.id})
		}
		acks := all[i].Acks
		if n := len(acks); n > 0 && acks[n-1].Last == d.Record.Offset-1 && acks[n-1].Deliveries == d.Deliveries && acks[n-1].Lease == d.Lease {
			acks[n-1].Last++
			continue
		}
		all[i].Acks = append(acks, d.ack(t))
	}
	return all, nil
}
