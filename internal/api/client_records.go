package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/samsa-go/samsa"
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

// Follow calls fn for each record, those of a partition in their order, until ctx ends, fn returns an error, which is returned, or what
// was asked for has come to its end: then it is nil. Records that cannot be read go to r.Damaged, as ErrCorruptRecord, and without
// that the error is returned.
func (c *Client) Follow(ctx context.Context, r FollowRequest, fn func(Record) error) error {
	asked := request{http.MethodGet, recordsPath(r.Topic) + "/follow", r.query(), nil}
	resp, err := c.send(ctx, asked)
	if err != nil {
		return err
	}
	defer end(resp.Body)
	events := newEvents(resp.Body)
	for {
		e, err := events.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return connectionError(ctx, asked, err)
		}
		switch e.name {
		case "record":
			var rec Record
			if err := json.Unmarshal(e.data, &rec); err != nil {
				return fmt.Errorf("%w: an event of the API: %w", samsa.ErrInvalid, err)
			}
			if err := fn(rec); err != nil {
				return err
			}
		case "damaged":
			err := trailerError(string(e.data))
			if r.Damaged == nil {
				return err
			}
			r.Damaged(err)
		case "error":
			return trailerError(string(e.data))
		case "end":
			return nil
		}
	}
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
