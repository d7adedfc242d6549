package backend

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// ResetGroup implements Backend.
func (k *Kafka) ResetGroup(ctx context.Context, name string, r api.ResetGroup) (api.GroupReset, error) {
	all, err := k.groupList(ctx)
	if err != nil {
		return api.GroupReset{}, err
	}
	g := all[name]
	if g.Name == "" && len(r.Topics)+len(r.Partitions)+len(r.Offsets) == 0 {
		return api.GroupReset{}, fmt.Errorf("group %s: %w", name, samsa.ErrUnknownGroup)
	}
	from := make(map[api.TopicPartition]int64)
	if g.Name != "" {
		d, err := k.Group(ctx, name)
		if err != nil {
			return api.GroupReset{}, err
		}
		if len(d.Members) > 0 {
			return api.GroupReset{}, fmt.Errorf("group %s: %w: it has %d members", name, samsa.ErrGroupNotEmpty, len(d.Members))
		}
		for _, p := range d.Partitions {
			from[p.TopicPartition] = p.Committed
		}
	}
	moves, err := k.moves(ctx, r, from)
	if err != nil || r.DryRun || len(moves) == 0 {
		return api.GroupReset{Moves: moves}, err
	}
	offsets := make(kadm.Offsets)
	for _, m := range moves {
		offsets.AddOffset(m.Topic, m.Partition, m.To, -1)
	}
	if g.Kind == kindShare {
		resp, err := k.adm.AlterShareGroupOffsets(ctx, name, offsets)
		if err == nil {
			err = resp.Error()
		}
		return api.GroupReset{Moves: moves}, explained("group "+name, err)
	}
	return api.GroupReset{Moves: moves}, explained("group "+name, k.adm.CommitAllOffsets(ctx, name, offsets))
}

// moves returns what a reset does to each partition. from are the offsets that the group has.
func (k *Kafka) moves(ctx context.Context, r api.ResetGroup, from map[api.TopicPartition]int64) ([]api.GroupMove, error) {
	moves := []api.GroupMove{}
	add := func(tp api.TopicPartition, to int64) {
		m := api.GroupMove{TopicPartition: tp, From: -1, To: to}
		if o, ok := from[tp]; ok {
			m.From = o
		}
		m.Ask(r)
		moves = append(moves, m)
	}
	wanted, byTopic, err := k.toMove(ctx, r, from)
	if err != nil {
		return nil, err
	}
	for topic, tps := range byTopic {
		start, err := k.list(ctx, topic, k.adm.ListStartOffsets)
		if err != nil {
			return nil, err
		}
		end, err := k.list(ctx, topic, k.adm.ListEndOffsets)
		if err != nil {
			return nil, err
		}
		var at map[int32]int64
		if len(r.Offsets) == 0 && r.To.Kind != api.ByShift {
			if at, err = k.resolve(ctx, topic, r.To); err != nil {
				return nil, err
			}
		}
		for _, tp := range tps {
			if _, ok := end[tp.Partition]; !ok {
				return nil, fmt.Errorf("topic %s: %w %d", topic, samsa.ErrUnknownPartition, tp.Partition)
			}
			to := at[tp.Partition]
			switch {
			case len(r.Offsets) > 0:
				to = wanted[tp]
			case r.To.Kind == api.ByShift:
				to = max(from[tp], 0) + r.To.N
			}
			add(tp, min(max(to, start[tp.Partition]), end[tp.Partition]))
		}
	}
	slices.SortFunc(moves, func(a, b api.GroupMove) int { return compare(a.TopicPartition, b.TopicPartition) })
	return moves, nil
}

// toMove returns what is to be moved, by topic, and with ResetGroup.Offsets where to.
func (k *Kafka) toMove(ctx context.Context, r api.ResetGroup, from map[api.TopicPartition]int64) (map[api.TopicPartition]int64, map[string][]api.TopicPartition, error) {
	byTopic := make(map[string][]api.TopicPartition)
	add := func(tp api.TopicPartition) {
		if !slices.Contains(byTopic[tp.Topic], tp) {
			byTopic[tp.Topic] = append(byTopic[tp.Topic], tp)
		}
	}
	wanted := make(map[api.TopicPartition]int64)
	for _, o := range r.Offsets {
		wanted[o.TopicPartition] = o.Offset
		add(o.TopicPartition)
	}
	for _, tp := range r.Partitions {
		add(tp)
	}
	for _, topic := range r.Topics {
		d, err := k.details(ctx, topic)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range d.Partitions.Sorted() {
			add(api.TopicPartition{Topic: topic, Partition: p.Partition})
		}
	}
	if len(byTopic) == 0 {
		for tp := range from {
			add(tp)
		}
	}
	return wanted, byTopic, nil
}
