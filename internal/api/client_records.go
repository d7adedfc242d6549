package api

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
)

func recordsPath(topic string) string { return "topics/" + segment(topic) + "/records" }

// Read returns a page of records.
func (c *Client) Read(ctx context.Context, r ReadRequest) (p RecordPage, err error) {
	return p, c.get(ctx, recordsPath(r.Topic), r.query(), &p)
}

func (r ReadRequest) query() url.Values {
	q := query{}.number("partition", int(r.Partition)).text("from", r.From.String()).flag("backward", r.Backward).number("limit", r.Limit)
	r.Filter.add(q)
	return url.Values(q.number("scan", r.Scan).number("max_value", r.MaxValue).flag("uncommitted", r.Uncommitted))
}

func (f Filter) add(q query) {
	q.bytes("key", f.Key).bytes("contains", f.Contains).text("header", f.Header)
}

// Record returns one record, whole. Where there is none of that offset it is ErrOffsetOutOfRange.
func (c *Client) Record(ctx context.Context, topic string, partition int32, offset int64) (r Record, err error) {
	path := fmt.Sprintf("%s/%d/%d", recordsPath(topic), partition, offset)
	return r, c.get(ctx, path, nil, &r)
}

// Produce stores records, all or none of them, and returns where they are, in their order.
func (c *Client) Produce(ctx context.Context, topic string, r ProduceRequest) ([]Place, error) {
	var p Produced
	err := c.post(ctx, recordsPath(topic), r, &p)
	return p.Records, err
}

// Requeue sends dead letters that are in a topic back to where they came from, and returns where they are, in their order.
func (c *Client) Requeue(ctx context.Context, topic string, r RequeueRequest) ([]Place, error) {
	var p Produced
	err := c.post(ctx, "topics/"+segment(topic)+"/requeue", r, &p)
	return p.Records, err
}

func (r FollowRequest) query() url.Values {
	q := query{}.text("from", r.From.String()).flag("until", r.Until).number("limit", int(r.Limit))
	r.Filter.add(q)
	q.number("max_value", r.MaxValue).flag("uncommitted", r.Uncommitted)
	for _, p := range r.Partitions {
		q["partition"] = append(q["partition"], strconv.Itoa(int(p)))
	}
	for _, p := range slices.Sorted(maps.Keys(r.Offsets)) {
		q["offset"] = append(q["offset"], fmt.Sprintf("%d:%d", p, r.Offsets[p]))
	}
	return url.Values(q)
}
