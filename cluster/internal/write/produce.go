package write

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
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
		b.content.SetProducer(s.id, s.epoch, s.next[b.tp])
		s.next[b.tp] += int32(len(b.at))
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

// send sends batches to a leader. What may go well the next time is passing.
func (s *session) send(ctx context.Context, node int32, batches []*batch) (passing, err error) {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = &s.w.opts.ID, -1, produceTimeMs
	at := make(map[string]int)
	find := make(map[log.TopicPartition]*batch)
	names := make(map[[16]byte]string)
	for _, b := range batches {
		leader, err := s.w.topics.Leader(b.tp)
		if err != nil {
			return nil, err
		}
		i, ok := at[b.tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[b.tp.Topic] = i
			t := kmsg.NewProduceRequestTopic()
			t.Topic, t.TopicID = b.tp.Topic, leader.Topic
			names[leader.Topic] = b.tp.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = b.tp.Partition, b.content
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
		find[b.tp] = b
	}
	r, err := s.client.Broker(int(node)).Request(ctx, req)
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
	for _, t := range r.(*kmsg.ProduceResponse).Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			b := find[log.TopicPartition{Topic: name, Partition: p.Partition}]
			if b == nil {
				continue
			}
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
	}
	return passing, nil
}
