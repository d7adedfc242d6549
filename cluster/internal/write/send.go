package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// isCode reports whether err is that code of the cluster.
func isCode(err error, code *kerr.Error) bool {
	var c kafka.Code
	return errors.As(err, &c) && int16(c) == code.Code
}

func isAnyCode(err error) bool {
	var c kafka.Code
	return errors.As(err, &c)
}

// produce sends batches to the leaders of their partitions, of each partition one after the other, until all are stored.
func (s *session) produce(ctx context.Context, batches []*batch) error {
	for _, b := range batches {
		b.stored = false // of an earlier try
		b.content.SetProducer(s.id, s.epoch, s.next[b.tp])
		s.next[b.tp] = behind(s.next[b.tp], b.records)
	}
	var last error
	for wait := firstPause; ; {
		byLeader, left, err := s.due(batches)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		type answer struct {
			passing error
			err     error
		}
		answers := make(chan answer, len(byLeader))
		for node, of := range byLeader {
			go func() { // it ends with ctx, and is waited for
				passing, err := s.send(ctx, node, of)
				answers <- answer{passing, err}
			}()
		}
		passed := len(byLeader) > 0
		for range byLeader {
			a := <-answers
			if a.err != nil {
				err = a.err
			}
			if a.passing != nil {
				passed, last = false, a.passing
			}
		}
		if err != nil {
			return err
		}
		if passed {
			wait = firstPause
			continue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if last == nil {
				last = fmt.Errorf("%w: nobody leads the partition", log.ErrUnavailable)
			}
			return fmt.Errorf("%w: %w", last, ctx.Err())
		}
		wait = min(2*wait, longestPause)
	}
}

// due returns the next batch of each partition by leader, and how many batches are not stored.
func (s *session) due(batches []*batch) (byLeader map[int32][]*batch, left int, err error) {
	byLeader = make(map[int32][]*batch)
	seen := make(map[log.TopicPartition]bool)
	for _, b := range batches {
		if b.stored {
			continue
		}
		left++
		if seen[b.tp] {
			continue
		}
		seen[b.tp] = true
		leader, err := s.w.topics.Leader(b.tp)
		switch {
		case err != nil:
			return nil, left, err
		case leader.Node < 0:
			s.w.topics.Soon(b.tp.Topic)
		default:
			byLeader[leader.Node] = append(byLeader[leader.Node], b)
		}
	}
	return byLeader, left, nil
}

// behind returns the sequence number behind n records that begin with one: after the last comes 0.
func behind(sequence int32, n int) int32 { return int32((int64(sequence) + int64(n)) & math.MaxInt32) }

// send sends batches to a leader. What may go well the next time is passing.
func (s *session) send(ctx context.Context, node int32, batches []*batch) (passing, err error) {
	req, find, err := produceRequest(s.w.topics, &s.name, batches)
	if err != nil {
		return nil, err
	}
	r, err := s.w.ask(ctx, s.client, node, req, batches)
	if err != nil {
		err = link.Explain("records", err)
		for _, b := range batches {
			s.w.topics.Soon(b.tp.Topic)
		}
		if link.Refused(err) || errors.Is(err, log.ErrClosed) || ctx.Err() != nil {
			return nil, err
		}
		return err, nil
	}
	for p, b := range find(r) {
		name := b.tp.Topic
		switch code := p.ErrorCode; {
		case code == 0, code == kerr.DuplicateSequenceNumber.Code:
			b.stored, b.base, b.time = true, p.BaseOffset, p.LogAppendTime
		case link.Passing(code) || code == kerr.ConcurrentTransactions.Code:
			s.w.topics.Soon(name)
			passing = link.Code(b.tp.String(), code, p.ErrorMessage)
		default:
			return nil, link.Code(b.tp.String(), code, p.ErrorMessage)
		}
	}
	return passing, nil
}

// patience is how long a leader is waited for before it is asked who leads now.
const patience = time.Second

// ask sends a request to the leader of batches. One that does not answer, and does not lead them any more, is not waited for: it may have gone
// without a word.
func (w *Writes) ask(ctx context.Context, cl *kgo.Client, node int32, req kmsg.Request, batches []*batch) (*kmsg.ProduceResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var late *time.Timer
	late = time.AfterFunc(time.Hour, func() { // not before it is known by its name
		if w.leads(node, batches) {
			late.Reset(patience)
		} else {
			cancel()
		}
	})
	late.Reset(patience)
	defer late.Stop()
	r, err := cl.Broker(int(node)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	return r.(*kmsg.ProduceResponse), nil
}

// leads reports whether nobody else is known to lead one of batches, of which it asks for more.
func (w *Writes) leads(node int32, batches []*batch) bool {
	for _, b := range batches {
		w.topics.Soon(b.tp.Topic)
		if l, err := w.topics.Leader(b.tp); err == nil && l.Node >= 0 && l.Node != node {
			return false
		}
	}
	return true
}

// answers are what a leader says of the batches of a request.
type answers = func(*kmsg.ProduceResponse) iter.Seq2[*kmsg.ProduceResponseTopicPartition, *batch]

// produceRequest returns the request that stores batches, at most one of a partition, and what finds them in its answer.
func produceRequest(topics *read.Topics, transaction *string, batches []*batch) (*kmsg.ProduceRequest, answers, error) {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = transaction, -1, produceTimeMs
	at := make(map[string]int)
	find := make(map[log.TopicPartition]*batch)
	names := make(map[[16]byte]string)
	for _, b := range batches {
		i, ok := at[b.tp.Topic]
		if !ok {
			known, err := topics.Get(b.tp.Topic)
			if err != nil {
				return nil, nil, err
			}
			i = len(req.Topics)
			at[b.tp.Topic] = i
			t := kmsg.NewProduceRequestTopic()
			t.Topic, t.TopicID = b.tp.Topic, known.ID()
			names[t.TopicID] = b.tp.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = b.tp.Partition, b.content
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
		find[b.tp] = b
	}
	return req, func(r *kmsg.ProduceResponse) iter.Seq2[*kmsg.ProduceResponseTopicPartition, *batch] {
		return func(yield func(*kmsg.ProduceResponseTopicPartition, *batch) bool) {
			for _, t := range r.Topics {
				name := cmp.Or(t.Topic, names[t.TopicID])
				for i := range t.Partitions {
					b := find[log.TopicPartition{Topic: name, Partition: t.Partitions[i].Partition}]
					if b != nil && !yield(&t.Partitions[i], b) {
						return
					}
				}
			}
		}
	}, nil
}
