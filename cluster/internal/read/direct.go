package read

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/log"
)

// outOfRange is the error for an offset that is not there.
func outOfRange(p *part, offset int64) error {
	return fmt.Errorf("%s: %w: offset %d is not within [%d, %d]", p.tp, log.ErrOffsetOutOfRange, offset, p.start.Load(), p.high.Load())
}

// once asks the leader of a partition for records from an offset on, of so many bytes or one batch, and waits for it until
// ctx ends: a leader that has moved is looked for.
func (r *reader) once(ctx context.Context, iso log.Isolation, from int64, most int) ([]log.StoredBatch, error) {
	p := r.part
	for {
		if err := p.failure(); err != nil {
			return nil, err
		}
		answer, err := p.request(ctx, iso, from, most)
		switch {
		case err != nil && (ctx.Err() != nil || link.Refused(err) || errors.Is(err, log.ErrClosed)):
			return nil, link.Explain(p.tp.String(), err)
		case err != nil:
		case answer.ErrorCode == kerr.OffsetOutOfRange.Code:
			if err := askBounds(ctx, p.topic.set.link, true, p); err != nil {
				return nil, err
			}
			return nil, outOfRange(p, from)
		case answer.ErrorCode == 0:
			batches, err := batchesOf(p.tp, iso, from, answer)
			p.tell(bounds{answer.LogStartOffset, answer.HighWatermark, answer.LastStableOffset}, false)
			if len(batches) > 0 {
				err = nil
			}
			return batches, err
		case !link.Passing(answer.ErrorCode) && answer.ErrorCode != kerr.UnknownTopicOrPartition.Code:
			return nil, link.Code(p.tp.String(), answer.ErrorCode, nil)
		}
		p.topic.set.Soon(p.tp.Topic)
		if pause(ctx, refreshGap) != nil {
			return nil, fmt.Errorf("%s: %w: %w", p.tp, log.ErrUnavailable, ctx.Err())
		}
	}
}

// request asks the leader once.
func (p *part) request(ctx context.Context, iso log.Isolation, from int64, most int) (*kmsg.FetchResponseTopicPartition, error) {
	leader, epoch := p.at()
	if leader < 0 {
		return nil, fmt.Errorf("%w: nobody leads the partition", log.ErrUnavailable)
	}
	req := newFetchRequest(iso, shortWait)
	req.Topics = append(req.Topics, newFetchTopic(p.topic))
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, newFetchPartition(p, from, epoch, -1, most))
	asked, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	r, err := p.topic.set.link.Client.Broker(int(leader)).Request(asked, req)
	if err != nil {
		return nil, err
	}
	resp := r.(*kmsg.FetchResponse)
	if resp.ErrorCode != 0 {
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%w: the broker did not say", log.ErrUnavailable)
	}
	return &resp.Topics[0].Partitions[0], nil
}

// directTimeout is how long one broker is waited for, which may have gone.
const directTimeout = 5 * time.Second

// fetchNow is Fetch of a reader that does not watch.
func (r *reader) fetchNow(ctx context.Context, iso log.Isolation, from int64, fn func(log.StoredBatch) bool) error {
	for edge := r.part.edge(iso); from != edge; {
		batches, err := r.once(ctx, iso, from, partitionBytes)
		if err != nil {
			return err
		}
		for _, sb := range batches {
			if from = sb.LastOffset + 1; !fn(sb) {
				return nil
			}
		}
		if len(batches) > 0 {
			return nil
		}
		if pause(ctx, shortWait) != nil {
			return fmt.Errorf("%s: %w", r.part.tp, ctx.Err())
		}
	}
	return nil
}

// FetchBefore implements engine.Partition. A request says where batches begin that come, and not where the one before does:
// the one that holds the offset before the last is asked for, and if there is none, one from further and further back.
func (r *reader) FetchBefore(ctx context.Context, _ string, iso log.Isolation, before int64, _ []byte) (sb log.StoredBatch, base int64, err error) {
	start := r.part.start.Load()
	if before <= start || before > r.part.edge(iso) {
		if err := r.Ask(ctx); err != nil { // it may have moved
			return sb, 0, err
		}
	}
	if start = r.part.start.Load(); before <= start || before > r.part.edge(iso) {
		return sb, 0, fmt.Errorf("%w: %s: there is nothing before offset %d within [%d, %d)", log.ErrOffsetOutOfRange, r.part.tp, before, start, r.part.edge(iso))
	}
	for back := int64(1); ; back *= 2 {
		from := max(start, before-back)
		sb, found, err := r.lastBefore(ctx, iso, from, before, back == 1)
		if err != nil {
			return sb, 0, err
		}
		if found {
			return sb, sb.Batch.BaseOffset(), nil
		}
		if from <= start {
			return sb, 0, fmt.Errorf("%w: %s: there is nothing before offset %d", log.ErrOffsetOutOfRange, r.part.tp, before)
		}
	}
}

// lastBefore returns the last batch from an offset on that begins before another one. one says that the first one is enough.
func (r *reader) lastBefore(ctx context.Context, iso log.Isolation, from, before int64, one bool) (sb log.StoredBatch, found bool, err error) {
	most := partitionBytes
	if one {
		most = 1
	}
	for from < before {
		batches, err := r.once(ctx, iso, from, most)
		if err != nil {
			return sb, false, err
		}
		for _, b := range batches {
			if b.Batch.BaseOffset() >= before {
				return sb, found, nil
			}
			sb, found, from = b, true, b.LastOffset+1
		}
		if len(batches) == 0 {
			return sb, found, nil
		}
	}
	return sb, found, nil
}
