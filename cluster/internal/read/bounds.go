package read

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/log"
)

// Timestamps that stand for offsets, in a ListOffsets request.
const (
	atEnd   = -1
	atStart = -2
)

// askBounds brings the bounds of partitions up to date: see part.tell. It fails for all when one cannot be asked, with
// ErrUnknownTopic if a topic is gone.
func askBounds(ctx context.Context, l *link.Link, exact bool, parts ...*part) error {
	if len(parts) == 0 {
		return nil
	}
	type answer struct {
		offsets map[log.TopicPartition]int64
		err     error
	}
	answers := make(map[int]chan answer)
	for i, q := range []struct {
		ts  int64
		iso log.Isolation
	}{{atStart, log.ReadUncommitted}, {atEnd, log.ReadUncommitted}, {atEnd, log.ReadCommitted}} {
		ch := make(chan answer, 1)
		answers[i] = ch
		go func() { // it ends with ctx, and is waited for
			offsets, err := listOffsets(ctx, l, q.iso, q.ts, parts)
			ch <- answer{offsets, err}
		}()
	}
	var got [3]answer
	var err error
	for i := range got {
		got[i] = <-answers[i]
		if err == nil {
			err = got[i].err
		}
	}
	if err != nil {
		return err
	}
	for _, p := range parts {
		p.tell(bounds{start: got[0].offsets[p.tp], high: got[1].offsets[p.tp], stable: got[2].offsets[p.tp]}, exact)
	}
	return nil
}

// AwaitStable returns when who reads what is committed gets all that is before these offsets, or ctx ends. A topic that has gone is not waited for.
func (s *Topics) AwaitStable(ctx context.Context, ends map[log.TopicPartition]int64) {
	var parts []*part
	for tp := range ends {
		if t := s.get(tp.Topic); t != nil {
			if all := *t.parts.Load(); int(tp.Partition) < len(all) {
				parts = append(parts, all[tp.Partition])
			}
		}
	}
	for wait := firstStableWait; len(parts) > 0; wait = min(2*wait, refreshGap) {
		offsets, err := listOffsets(ctx, s.link, log.ReadCommitted, atEnd, parts)
		parts = slices.DeleteFunc(parts, func(p *part) bool {
			if stable := offsets[p.tp]; err == nil {
				p.tell(bounds{start: -1, high: stable, stable: stable}, false)
			}
			return p.failure() != nil || p.stable.Load() >= ends[p.tp]
		})
		if len(parts) > 0 && pause(ctx, wait) != nil {
			return
		}
	}
}

// firstStableWait is about what a coordinator takes to tell one leader that a transaction has ended.
const firstStableWait = time.Millisecond

// listOffsets returns the offset of each partition for a timestamp, or for what stands for one; -1 for none. What is on its
// way to be well is waited for until ctx ends.
func listOffsets(ctx context.Context, l *link.Link, iso log.Isolation, ts int64, parts []*part) (map[log.TopicPartition]int64, error) {
	offsets := make(map[log.TopicPartition]int64, len(parts))
	for {
		var passing error
		resp, err := link.Ask[*kmsg.ListOffsetsResponse](ctx, l.Client, "offsets of "+parts[0].tp.String(), listRequest(iso, ts, parts, offsets))
		switch {
		case link.PassingError(err): // the broker that was asked who leads has not heard of it yet
			passing, resp = err, new(kmsg.ListOffsetsResponse)
		case err != nil:
			return nil, err
		}
		for _, t := range resp.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				tp := log.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				switch {
				case p.ErrorCode == 0:
					offsets[tp] = p.Offset
				case link.Passing(p.ErrorCode): // also a leader that has not heard of it yet
					passing = link.Code(tp.String(), p.ErrorCode, nil)
				default:
					return nil, link.Code(tp.String(), p.ErrorCode, nil)
				}
			}
		}
		if len(offsets) == len(parts) {
			return offsets, nil
		}
		for _, p := range parts {
			if err := p.failure(); err != nil {
				return nil, err
			}
			if _, ok := offsets[p.tp]; !ok {
				p.topic.set.Soon(p.tp.Topic)
			}
		}
		if pause(ctx, refreshGap) != nil {
			if passing == nil {
				passing = fmt.Errorf("offsets of %s: %w: the cluster did not say", parts[0].tp, log.ErrUnavailable)
			}
			return nil, fmt.Errorf("%w: %w", passing, ctx.Err())
		}
	}
}

// listRequest asks for partitions that are not known yet.
func listRequest(iso log.Isolation, ts int64, parts []*part, known map[log.TopicPartition]int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation(iso)
	at := make(map[string]int)
	for _, p := range parts {
		if _, ok := known[p.tp]; ok {
			continue
		}
		i, ok := at[p.tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[p.tp.Topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.tp.Topic
			req.Topics = append(req.Topics, t)
		}
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Partition, q.Timestamp = p.tp.Partition, ts
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, q)
	}
	return req
}

func isolation(iso log.Isolation) int8 {
	if iso == log.ReadCommitted {
		return 1
	}
	return 0
}

// OffsetForTime implements engine.Partition.
func (r *reader) OffsetForTime(ctx context.Context, iso log.Isolation, ts int64) (offset int64, ok bool, err error) {
	if err := r.part.failure(); err != nil {
		return 0, false, err
	}
	offsets, err := listOffsets(ctx, r.part.topic.set.link, iso, max(ts, 0), []*part{r.part})
	if err != nil {
		return 0, false, err
	}
	offset = offsets[r.part.tp]
	return offset, offset >= 0, nil
}
