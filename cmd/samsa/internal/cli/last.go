package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// What --last holds in memory, at most: records of each partition, and bytes of them all.
const (
	maxLast      = 100_000
	maxLastBytes = 256 << 20
)

// held returns about how many bytes of memory a record takes.
func held(r api.Record) int64 {
	n := 200 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 100 + len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// dated is a record with the newest timestamp of its partition until then: in the order of these, partitions keep their order.
type dated struct {
	api.Record
	at time.Time
}

// runLast prints the last records of the topic by their timestamps, the oldest first, and then goes on if that is wanted.
func (c *consuming) runLast(ctx context.Context, b backend.Backend, r api.FollowRequest) error {
	start, err := offsets(ctx, b, r, api.Earliest())
	if err != nil {
		return err
	}
	end, err := offsets(ctx, b, r, api.Latest())
	if err != nil {
		return err
	}
	var all []dated
	for _, p := range slices.Sorted(maps.Keys(end)) {
		recs, err := c.lastOf(ctx, b, r, p, start[p], end[p])
		if err != nil {
			return err
		}
		for _, rec := range recs {
			c.held += held(rec)
		}
		var newest time.Time
		for _, rec := range recs {
			if rec.Timestamp.After(newest) {
				newest = rec.Timestamp.Time
			}
			all = append(all, dated{rec, newest})
		}
	}
	slices.SortStableFunc(all, func(a, b dated) int { return a.at.Compare(b.at) })
	for _, rec := range all[max(0, len(all)-int(c.last)):] {
		if err := c.printRecord(c.e.Stdout, rec.Record); err != nil {
			return err
		}
		if c.shown++; c.shown == c.number {
			return errEnough
		}
	}
	if !c.follow {
		return nil
	}
	r.From, r.Offsets, r.Until = api.Latest(), end, false
	return b.Follow(ctx, r, c.show)
}

// resolve returns the offset of a position in each partition of a topic, for positions too that only readers have.
func resolve(ctx context.Context, b backend.Backend, topic string, at api.Position) ([]api.PartitionOffset, error) {
	if at.Kind != api.AtLast {
		return b.Offsets(ctx, topic, at)
	}
	start, err := offsets(ctx, b, api.FollowRequest{Topic: topic}, api.Earliest())
	if err != nil {
		return nil, err
	}
	end, err := b.Offsets(ctx, topic, api.Latest())
	for i, o := range end {
		end[i].Offset = max(start[o.Partition], o.Offset-at.N)
	}
	return end, err
}

// offsets returns the offsets of the partitions that r is about.
func offsets(ctx context.Context, b backend.Backend, r api.FollowRequest, at api.Position) (map[int32]int64, error) {
	list, err := b.Offsets(ctx, r.Topic, at)
	m := make(map[int32]int64)
	for _, o := range list {
		if len(r.Partitions) == 0 || slices.Contains(r.Partitions, o.Partition) {
			m[o.Partition] = o.Offset
		}
	}
	return m, err
}

// lastOf returns the last records of a partition that are wanted. Where compaction, markers of transactions, or a filter leave fewer
// than that number in as many offsets, it begins further ahead.
func (c *consuming) lastOf(ctx context.Context, b backend.Backend, r api.FollowRequest, p int32, start, end int64) ([]api.Record, error) {
	for back := c.last; ; back *= 8 {
		at := max(start, end-back)
		recs, err := c.lastFrom(ctx, b, r, p, at, end)
		if err != nil || int64(len(recs)) == c.last || at == start {
			return recs, err
		}
	}
}

// lastFrom returns the last records that are wanted of those from an offset on.
func (c *consuming) lastFrom(ctx context.Context, b backend.Backend, r api.FollowRequest, p int32, at, end int64) (recs []api.Record, err error) {
	if at >= end {
		return nil, nil
	}
	r.Partitions, r.Offsets, r.Until = []int32{p}, map[int32]int64{p: at}, true
	size := int64(0)
	err = b.Follow(ctx, r, func(rec api.Record) error {
		wanted, err := c.wants(rec)
		if err != nil || !wanted {
			return err
		}
		size += held(rec)
		if recs = append(recs, rec); int64(len(recs)) > 2*c.last || int64(len(recs)) > c.last && c.held+size > maxLastBytes {
			recs = slices.Delete(recs, 0, len(recs)-int(c.last)) // and nothing refers to them
			size = 0
			for _, rec := range recs {
				size += held(rec)
			}
		}
		if c.held+size > maxLastBytes {
			return usageError{fmt.Errorf("--last %d: these records take more than %d MiB, and all are held until they are in the order of their times; --from last:%d --until-now prints them partition by partition, and holds none",
				c.last, maxLastBytes>>20, c.last)}
		}
		return nil
	})
	return recs[max(0, len(recs)-int(c.last)):], err
}
