package write

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

const (
	firstPause    = 2 * time.Millisecond   // before what did not go is tried again
	longestPause  = 200 * time.Millisecond // likewise
	produceTimeMs = 30_000                 // for which a leader waits for its followers
)

// session is a transactional id: who has it, and its transactions, one after the other. It is for one goroutine.
//
// With transaction.version 2 of the cluster (KIP-890) the epoch rises with each transaction, and what is written joins it by itself.
// Before, partitions and groups are added to it by requests of their own.
type session struct {
	w      *Writes
	name   string          // the transactional id
	life   context.Context // when it ends nothing is sent any more
	opts   []kgo.Opt       // of the client, besides
	client *kgo.Client     // of the versions that go together; nil before the first transaction
	joins  bool            // what is written joins the transaction by itself
	begun  bool            // the producer can go on; else it has to begin anew
	id     int64           // the producer, -1 before the first
	epoch  int16
	fenced error                        // another one has the transactional id
	next   map[log.TopicPartition]int32 // sequence numbers, in this epoch
}

func (s *session) init(w *Writes, name string, life context.Context) {
	s.w, s.name, s.life, s.id, s.epoch = w, name, life, -1, -1
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// groupOffsets are offsets of a group that a transaction commits.
type groupOffsets struct {
	group string
	req   group.CommitRequest
}

// commit stores batches and offsets in one transaction. Before it has asked for the end, which it does when last returns nil, nothing is stored
// when it fails; after that it is ErrOutcomeUnknown, unless the cluster has said no.
func (s *session) commit(batches []*batch, offsets []groupOffsets, last func() error) error {
	ctx, cancel := context.WithTimeout(s.life, s.w.opts.Timeout)
	defer cancel()
	if err := s.begin(ctx); err != nil {
		return s.ended(err)
	}
	err := s.write(ctx, batches, offsets)
	if err == nil {
		err = last()
	}
	if err == nil {
		err = s.end(ctx)
	}
	if err != nil {
		s.abort()
		return s.ended(err)
	}
	ends := make(map[log.TopicPartition]int64)
	for _, b := range batches {
		ends[b.tp] = b.base + int64(b.records)
	}
	s.w.topics.AwaitStable(ctx, ends)
	return nil
}

// ended returns err as others have to hear of it: who has lost the id meanwhile is told that, whatever it has failed with, and what has failed since the
// session has ended is ErrClosed, and not the error of a context that nobody else knows.
func (s *session) ended(err error) error {
	switch {
	case s.fenced != nil && !errors.Is(err, log.ErrOutcomeUnknown):
		return s.fenced
	case s.life.Err() == nil:
		return err
	case errors.Is(err, log.ErrOutcomeUnknown):
		return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%s: %w", s.about(), log.ErrClosed))
	}
	return fmt.Errorf("%s: %w", s.about(), log.ErrClosed)
}

// start is begin, which takes no longer than a transaction.
func (s *session) start() error {
	ctx, cancel := context.WithTimeout(s.life, s.w.opts.Timeout)
	defer cancel()
	return s.ended(s.begin(ctx))
}

// begin has the session be the producer of its id, if it is not.
func (s *session) begin(ctx context.Context) error {
	if s.begun || s.fenced != nil {
		return s.fenced
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &s.name, int32(s.w.opts.Timeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = s.id, s.epoch // who has gone on from these has fenced us (KIP-360)
	err := s.again(ctx, func() error {
		resp, err := link.Ask[*kmsg.InitProducerIDResponse](ctx, s.client, s.about(), req)
		if err == nil {
			err = link.Code(s.about(), resp.ErrorCode, nil)
		}
		if err == nil {
			s.rise(resp.ProducerID, resp.ProducerEpoch)
		}
		return err
	})
	if s.begun = err == nil; isCode(err, kerr.ProducerFenced) || isCode(err, kerr.InvalidProducerEpoch) {
		s.fenced = err
	}
	return err
}

func (s *session) about() string { return "transactional id " + s.name }

// rise takes the producer's id and epoch, with which numbers begin anew.
func (s *session) rise(id int64, epoch int16) {
	if id == s.id && epoch == s.epoch {
		return
	}
	s.id, s.epoch, s.next = id, epoch, make(map[log.TopicPartition]int32)
}

// connect makes the client, once the cluster has said of which version its transactions are.
func (s *session) connect(ctx context.Context) error {
	if s.client != nil {
		return nil
	}
	resp, err := link.Ask[*kmsg.ApiVersionsResponse](ctx, s.w.link.Client, "cluster", kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return err
	}
	for _, f := range resp.FinalizedFeatures {
		s.joins = s.joins || f.Name == "transaction.version" && f.MaxVersionLevel >= 2
	}
	opts := s.opts
	if !s.joins {
		v := kversion.Stable()
		v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
		v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
		v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		opts = append(slices.Clip(opts), kgo.MaxVersions(v))
	}
	s.client, err = s.w.link.New(opts...)
	return err
}

// again calls fn until it has succeeded, or failed for good, or ctx has ended.
func (s *session) again(ctx context.Context, fn func() error) error {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		err := fn()
		if err == nil || !passing(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// passing reports whether it may go well the next time: something is on its way to be well, or nobody answers.
func passing(err error) bool {
	for _, code := range []*kerr.Error{kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.UnstableOffsetCommit} {
		if isCode(err, code) {
			return true
		}
	}
	return errors.Is(err, log.ErrUnavailable) && !isAnyCode(err)
}

// write sends what the transaction has: records and offsets side by side.
func (s *session) write(ctx context.Context, batches []*batch, offsets []groupOffsets) error {
	if err := s.join(ctx, batches, offsets); err != nil {
		return err
	}
	errs := make(chan error, 1)
	go func() { errs <- s.produce(ctx, batches) }() // it ends with ctx, and is waited for
	err := s.offsets(ctx, offsets)
	if e := <-errs; e != nil {
		return e
	}
	return err
}

// join adds partitions and groups to the transaction, where they do not join by themselves.
func (s *session) join(ctx context.Context, batches []*batch, offsets []groupOffsets) error {
	if s.joins {
		return nil
	}
	if len(batches) > 0 {
		if err := s.joinPartitions(ctx, batches); err != nil {
			return err
		}
	}
	added := make(map[string]bool)
	for _, o := range offsets {
		if added[o.group] {
			continue
		}
		added[o.group] = true
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.name, s.id, s.epoch, o.group
		err := s.again(ctx, func() error {
			resp, err := link.Ask[*kmsg.AddOffsetsToTxnResponse](ctx, s.client, "group "+o.group, req)
			if err == nil {
				err = link.Code("group "+o.group, resp.ErrorCode, nil)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) joinPartitions(ctx context.Context, batches []*batch) error {
	topics := make(map[string]map[int32]bool)
	for _, b := range batches {
		if topics[b.tp.Topic] == nil {
			topics[b.tp.Topic] = make(map[int32]bool)
		}
		topics[b.tp.Topic][b.tp.Partition] = true
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = s.name, s.id, s.epoch
	for name, of := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: name, Partitions: slices.Collect(maps.Keys(of))})
	}
	return s.again(ctx, func() error {
		resp, err := link.Ask[*kmsg.AddPartitionsToTxnResponse](ctx, s.client, s.about(), req)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 && p.ErrorCode != kerr.OperationNotAttempted.Code {
					return link.Code(log.TopicPartition{Topic: t.Topic, Partition: p.Partition}.String(), p.ErrorCode, nil)
				}
			}
		}
		return nil
	})
}

// offsets commits offsets, one request after the other.
func (s *session) offsets(ctx context.Context, all []groupOffsets) error {
	for _, o := range all {
		if err := s.again(ctx, func() error { return s.commitOffsets(ctx, o.group, o.req) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) commitOffsets(ctx context.Context, name string, req group.CommitRequest) error {
	c := kmsg.NewPtrTxnOffsetCommitRequest()
	c.TransactionalID, c.Group, c.ProducerID, c.ProducerEpoch = s.name, name, s.id, s.epoch
	c.Generation = req.Generation
	if req.Generation >= 0 {
		c.MemberID = req.MemberID
		if req.InstanceID != "" {
			c.InstanceID = &req.InstanceID
		}
	}
	for topic, partitions := range link.ByTopic(maps.Keys(req.Offsets)) {
		known, err := s.w.topics.Get(topic)
		if err != nil {
			return err
		}
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic, t.TopicID = topic, known.ID()
		for _, i := range partitions {
			tp := log.TopicPartition{Topic: topic, Partition: i}
			o := req.Offsets[tp]
			if o.TopicID != [16]byte{} && o.TopicID != t.TopicID {
				return fmt.Errorf("topic %s: %w: it was created again", topic, log.ErrUnknownTopic)
			}
			p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = i, o.Offset, o.LeaderEpoch, &o.Metadata
			if o.LeaderEpoch < 0 {
				p.LeaderEpoch = s.w.topics.Epoch(tp, o.Offset)
			}
			t.Partitions = append(t.Partitions, p)
		}
		c.Topics = append(c.Topics, t)
	}
	resp, err := link.Ask[*kmsg.TxnOffsetCommitResponse](ctx, s.client, "group "+name, c)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				topic := t.Topic
				if topic == "" {
					topic, _ = s.w.topics.Name(t.TopicID)
				}
				return link.Code(fmt.Sprintf("group %s: %s/%d", name, topic, p.Partition), p.ErrorCode, nil)
			}
		}
	}
	return nil
}

// end commits the transaction.
func (s *session) end(ctx context.Context) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = s.name, s.id, s.epoch, true
	err := s.again(ctx, func() error {
		resp, err := link.Ask[*kmsg.EndTxnResponse](ctx, s.client, s.about(), req)
		if err == nil {
			err = link.Code(s.about(), resp.ErrorCode, nil)
		}
		if err == nil && resp.Version >= 5 && resp.ProducerID >= 0 {
			s.rise(resp.ProducerID, resp.ProducerEpoch)
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case isCode(err, kerr.InvalidTxnState): // what is committed stays that when it is asked for again
		return fmt.Errorf("%w: the cluster has aborted the transaction: %w", log.ErrUnavailable, err)
	}
	return family.Of(log.ErrOutcomeUnknown, err) // one who fences may have found it ended
}

// abort has a transaction that has failed be over: the session begins anew, which aborts it.
func (s *session) abort() {
	s.begun = false
	if s.client == nil || s.life.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, abortTimeout)
	defer cancel()
	if err := s.begin(ctx); err != nil && s.fenced == nil {
		s.w.opts.Host.Logger.Warn("a transaction was not aborted: the cluster does it after its time-out", zap.String("id", s.name), zap.Error(err))
	}
}

// abortTimeout is how long who waits for the error of a transaction waits for its end.
const abortTimeout = 5 * time.Second
