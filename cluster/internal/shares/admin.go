package shares

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Admin is Shares as engine.ShareAdmin.
type Admin struct{ *Shares }

// standing is how far a group is in a partition, as the cluster says it; -1 is not known.
type standing struct {
	tp         log.TopicPartition
	start, lag int64
}

// offsets returns how far a group is, by topic and partition, or ErrUnknownGroup.
func (s *Shares) offsets(ctx context.Context, name string) ([]standing, error) {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	g.GroupID = name
	req.Groups = append(req.Groups, g)
	r, err := link.Ask[*kmsg.DescribeShareGroupOffsetsResponse](ctx, s.Link.Client, about(name), req)
	if err != nil {
		return nil, err
	}
	if len(r.Groups) != 1 {
		return nil, fmt.Errorf("group %s: %w: the cluster did not say", name, log.ErrUnavailable)
	}
	if err := link.Code(about(name), r.Groups[0].ErrorCode, r.Groups[0].ErrorMessage); err != nil {
		return nil, err
	}
	var all []standing
	for _, t := range r.Groups[0].Topics {
		for _, p := range t.Partitions {
			tp := log.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if err := link.Code(about(name)+": "+tp.String(), p.ErrorCode, p.ErrorMessage); err != nil {
				return nil, err
			}
			all = append(all, standing{tp, p.StartOffset, p.Lag})
		}
	}
	slices.SortFunc(all, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
	return all, nil
}

// Describe implements engine.Shares. What a cluster does not tell is that of this process: records that are out, and what has
// happened.
func (s *Shares) Describe(ctx context.Context, name string) ([]share.PartitionInfo, error) {
	offsets, err := s.offsets(ctx, name)
	if err != nil {
		return nil, err
	}
	var all []share.PartitionInfo
	found := make(map[string]engine.Topic)
	for _, o := range offsets {
		t := found[o.tp.Topic]
		if t == nil {
			if t, err = s.Topics.Find(ctx, o.tp.Topic, false); errors.Is(err, log.ErrUnknownTopic) {
				continue // it was deleted
			} else if err != nil {
				return nil, err
			}
			found[o.tp.Topic] = t
		}
		p, err := t.Partition(o.tp.Partition)
		if err != nil {
			continue
		}
		info := share.PartitionInfo{Key: engine.ShareKey(name, o.tp), Start: o.start, End: p.LastStable(), Lag: o.lag}
		if info.Start < 0 { // nobody has asked for a record
			info.Start = p.LogStart()
		}
		if info.Start = max(info.Start, p.LogStart()); info.Lag < 0 {
			info.Lag = max(0, info.End-info.Start)
		}
		if info.Lag > 0 {
			info.Oldest = timeOf(ctx, p, info.Start)
		}
		s.tally(&info)
		all = append(all, info)
	}
	return all, nil
}

// tally fills in what members of this process have and have done.
func (s *Shares) tally(info *share.PartitionInfo) {
	s.mu.Lock()
	g := s.groups[info.Group]
	var members []*member
	if g != nil {
		for m := range g.members {
			members = append(members, m)
		}
		if c := g.counts[info.TopicPartition]; c != nil {
			info.Deliveries, info.Acknowledged, info.Released, info.Rejected = c.deliveries, c.acknowledged, c.released, c.rejected
		}
	}
	s.mu.Unlock()
	for _, m := range members {
		info.InFlight += m.inFlight(info.TopicPartition)
	}
}

// timeOf returns the timestamp of the first record from an offset on, as far as it can be told.
func timeOf(ctx context.Context, p engine.Partition, offset int64) (at time.Time) {
	_, _ = p.Fetch(ctx, "", log.ReadUncommitted, offset, nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil || sb.Batch.Control() {
			return true
		}
		raw, err := sb.Batch.AppendRecords(nil)
		if err != nil {
			return true
		}
		reader := log.NewRecordReader(sb.Batch, raw)
		var rec log.Record
		for {
			more, err := reader.Next(&rec)
			if err != nil || !more {
				return true
			}
			if rec.Offset >= offset {
				at = rec.Timestamp
				return false
			}
		}
	})
	return at
}

// Describe implements engine.ShareAdmin.
func (a Admin) Describe(ctx context.Context, name string) ([]share.PartitionInfo, error) {
	all, err := a.Shares.Describe(ctx, name)
	if errors.Is(err, log.ErrUnknownGroup) {
		return nil, nil
	}
	return all, err
}

// DeadLetter implements engine.ShareAdmin.
func (a Admin) DeadLetter(ctx context.Context, name string) (string, error) {
	configs, err := a.Configs.Values(ctx, name)
	return configs[configDeadLetter], err
}

// Alter implements engine.ShareAdmin.
func (a Admin) Alter(ctx context.Context, name string, tp log.TopicPartition, offset int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.alter(ctx, name, map[log.TopicPartition]int64{tp: offset})
}

// Delete implements engine.ShareAdmin. A cluster forgets topics and no parts of them.
func (a Admin) Delete(ctx context.Context, name string, tps ...log.TopicPartition) error {
	all, err := a.offsets(ctx, name)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	req.GroupID = name
	for _, o := range all {
		in := func(tp log.TopicPartition) bool { return tp.Topic == o.tp.Topic }
		switch {
		case slices.Contains(tps, o.tp):
			if !slices.ContainsFunc(req.Topics, func(t kmsg.DeleteShareGroupOffsetsRequestTopic) bool { return t.Topic == o.tp.Topic }) {
				t := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
				t.Topic = o.tp.Topic
				req.Topics = append(req.Topics, t)
			}
		case slices.ContainsFunc(tps, in):
			return a.unsupported("to have a share group forget a part of a topic")
		}
	}
	if len(req.Topics) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	r, err := link.Ask[*kmsg.DeleteShareGroupOffsetsResponse](ctx, a.Link.Client, about(name), req)
	if err != nil {
		return link.Unknown(err)
	}
	if err := link.Code(about(name), r.ErrorCode, r.ErrorMessage); err != nil {
		return err
	}
	for _, t := range r.Topics {
		if err == nil {
			err = link.Code(about(name)+": topic "+t.Topic, t.ErrorCode, t.ErrorMessage)
		}
	}
	return err
}
