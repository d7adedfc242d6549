package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// Transactions is engine.Transactions.
type Transactions struct{ *Admin }

// List implements engine.Transactions.
func (a Transactions) List(ctx context.Context) ([]string, error) {
	listed, err := a.listed(ctx)
	if err != nil {
		return nil, err
	}
	return listed.TransactionalIDs(), nil
}

// Describe implements engine.Transactions.
func (a Transactions) Describe(ctx context.Context, id string) (d txn.Description, err error) {
	if err := txn.CheckID(id); err != nil {
		return d, err
	}
	k, err := a.described(ctx, id)
	if err != nil {
		return d, err
	}
	d = txn.Description{ID: id, Producer: txn.Producer{ID: k.ProducerID, Epoch: k.ProducerEpoch}, Timeout: time.Duration(k.TimeoutMillis) * time.Millisecond}
	if k.StartTimestamp > 0 {
		d.Started = time.UnixMilli(k.StartTimestamp)
	}
	switch k.State {
	case "Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence": // its markers are not all there
		d.State = txn.Ongoing
	case "CompleteCommit":
		d.State = txn.CompleteCommit
	case "CompleteAbort":
		d.State = txn.CompleteAbort
	default:
		d.State = txn.Empty
	}
	for _, t := range k.Topics.Sorted() {
		for _, p := range t.Partitions {
			d.Partitions = append(d.Partitions, log.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return d, nil
}

func (a Transactions) described(ctx context.Context, id string) (d kadm.DescribedTransaction, err error) {
	err = coordinated(ctx, func() error {
		all, err := kadm.NewClient(a.link.Client).DescribeTransactions(ctx, id)
		if d = all[id]; err == nil {
			err = d.Err
		}
		return err
	})
	return d, link.Explain("transaction "+id, err)
}

func (a Transactions) listed(ctx context.Context) (all kadm.ListedTransactions, err error) {
	err = coordinated(ctx, func() (err error) {
		all, err = kadm.NewClient(a.link.Client).ListTransactions(ctx, nil, nil)
		return err
	})
	return all, link.Explain("transactions", err)
}

// coordinated calls ask until a coordinator answers, or ctx ends: a cluster makes them when the first is asked for.
func coordinated(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !errors.Is(err, kerr.CoordinatorNotAvailable) && !errors.Is(err, kerr.CoordinatorLoadInProgress) && !errors.Is(err, kerr.NotCoordinator) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// Open implements engine.Transactions.
func (a Transactions) Open(ctx context.Context, topics ...string) ([]engine.OpenTransaction, error) {
	set, err := a.partitions(ctx, topics)
	if err != nil {
		return nil, err
	}
	adm := kadm.NewClient(a.link.Client)
	producers, err := adm.DescribeProducers(ctx, set)
	if err != nil {
		return nil, link.Explain("producers", err)
	}
	listed, err := a.listed(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[int64]string)
	for _, l := range listed.Sorted() {
		ids[l.ProducerID] = l.TxnID
	}
	var all []engine.OpenTransaction
	for _, t := range producers {
		for _, p := range t.Partitions {
			if p.Err != nil {
				return nil, link.Explain(log.TopicPartition{Topic: p.Topic, Partition: p.Partition}.String(), p.Err)
			}
			for _, o := range p.ActiveProducers {
				if o.CurrentTxnStartOffset >= 0 {
					all = append(all, engine.OpenTransaction{
						TopicPartition: log.TopicPartition{Topic: p.Topic, Partition: p.Partition}, ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch,
						Since: o.CurrentTxnStartOffset, Written: time.UnixMilli(o.LastTimestamp), ID: ids[o.ProducerID],
					})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b engine.OpenTransaction) int {
		return cmp.Or(cmp.Compare(a.TopicPartition.Topic, b.TopicPartition.Topic), cmp.Compare(a.TopicPartition.Partition, b.TopicPartition.Partition), cmp.Compare(a.Since, b.Since))
	})
	return all, nil
}

// partitions returns those of topics, or of all.
func (a Transactions) partitions(ctx context.Context, topics []string) (kadm.TopicsSet, error) {
	set := make(kadm.TopicsSet)
	add := func(t engine.Topic) {
		for i := range t.Partitions() {
			set.Add(t.Name(), i)
		}
	}
	if len(topics) == 0 {
		if err := a.topics.Refresh(ctx); err != nil {
			return nil, err
		}
		for _, t := range a.topics.List() {
			add(t)
		}
	}
	for _, name := range topics {
		t, err := a.topics.Find(ctx, name, false)
		if err != nil {
			return nil, err
		}
		add(t)
	}
	return set, nil
}

// Abort implements engine.Transactions. One that a transactional id has is ended by taking the id from its producer; one that hangs
// gets its marker in the one partition.
func (a Transactions) Abort(ctx context.Context, o engine.OpenTransaction) error {
	if o.ID == "" {
		return a.mark(ctx, o)
	}
	d, err := a.described(ctx, o.ID)
	if err != nil {
		return err
	}
	if d.ProducerID != o.ProducerID || d.State != "Ongoing" {
		return fmt.Errorf("transaction %s: %w: it has ended", o.ID, log.ErrInvalidTxnState)
	}
	if d.ProducerEpoch != o.ProducerEpoch {
		return fmt.Errorf("transaction %s: %w", o.ID, log.ErrProducerFenced)
	}
	return a.Fence(ctx, o.ID)
}

// mark aborts a transaction in one partition.
func (a Transactions) mark(ctx context.Context, o engine.OpenTransaction) error {
	open, err := a.Open(ctx, o.TopicPartition.Topic)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(open, func(now engine.OpenTransaction) bool {
		return now.TopicPartition == o.TopicPartition && now.ProducerID == o.ProducerID && now.Since == o.Since
	}) {
		return fmt.Errorf("%s: producer %d: %w: it has ended", o.TopicPartition, o.ProducerID, log.ErrInvalidTxnState)
	}
	set := make(kadm.TopicsSet)
	set.Add(o.TopicPartition.Topic, o.TopicPartition.Partition)
	done, err := kadm.NewClient(a.link.Client).WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, CoordinatorEpoch: -1, Topics: set,
	})
	if err != nil {
		return link.Unknown(link.Explain(o.TopicPartition.String(), err))
	}
	for _, r := range done.SortedPartitions() {
		if r.Err != nil {
			return link.Explain(o.TopicPartition.String(), r.Err)
		}
	}
	return nil
}

// Fence implements engine.Transactions.
func (a Transactions) Fence(ctx context.Context, id string) error {
	d, err := a.described(ctx, id)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &id, d.TimeoutMillis, -1, -1
	for {
		r, err := link.Ask[*kmsg.InitProducerIDResponse](ctx, a.link.Client, "transaction "+id, req)
		if err != nil {
			return link.Unknown(err)
		}
		if !link.Passing(r.ErrorCode) { // the end of what was open may be under way
			return link.Code("transaction "+id, r.ErrorCode, nil)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return link.Unknown(fmt.Errorf("transaction %s: %w", id, ctx.Err()))
		}
	}
}
