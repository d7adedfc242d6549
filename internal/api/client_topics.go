package api

import (
	"context"
	"net/http"
	"net/url"
)

// Topics returns a page of topics.
func (c *Client) Topics(ctx context.Context, r TopicsRequest) (p TopicPage, err error) {
	q := query{}.text("after", r.After).text("prefix", r.Prefix).flag("internal", r.Internal).number("limit", r.Limit).flag("sizes", r.Sizes)
	return p, c.get(ctx, "topics", url.Values(q), &p)
}

// Topic describes a topic.
func (c *Client) Topic(ctx context.Context, name string) (t Topic, err error) {
	return t, c.get(ctx, "topics/"+segment(name), nil, &t)
}

// CreateTopic adds a topic. A name that is taken is ErrTopicExists.
func (c *Client) CreateTopic(ctx context.Context, t NewTopic) error {
	return c.post(ctx, "topics", t, nil)
}

// EnsureTopic has a topic be there, as samsa.Topics.Ensure does, and reports whether it has created it.
func (c *Client) EnsureTopic(ctx context.Context, t NewTopic) (created bool, err error) {
	var e Ensured
	err = c.call(ctx, request{http.MethodPut, "topics/" + segment(t.Name), nil, t}, &e)
	return e.Created, err
}

// AlterTopic changes configs of a topic; nil has one go back to its default.
func (c *Client) AlterTopic(ctx context.Context, name string, configs map[string]*string) error {
	return c.call(ctx, request{http.MethodPatch, "topics/" + segment(name), nil, AlterTopic{configs}}, nil)
}

// GrowTopic raises the number of partitions of a topic to total.
func (c *Client) GrowTopic(ctx context.Context, name string, total int) error {
	return c.post(ctx, "topics/"+segment(name)+"/grow", GrowTopic{total}, nil)
}

// DeleteTopic removes a topic with all its records.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	return c.call(ctx, request{http.MethodDelete, "topics/" + segment(name), nil, nil}, nil)
}

// DeleteRecords removes the records before these offsets; -1 stands for the high watermark.
func (c *Client) DeleteRecords(ctx context.Context, name string, before []PartitionOffset) error {
	return c.post(ctx, "topics/"+segment(name)+"/delete-records", Offsets{before}, nil)
}

// Offsets returns the offset that at stands for in each partition of a topic: earliest, latest, offset or time.
func (c *Client) Offsets(ctx context.Context, topic string, at Position) ([]PartitionOffset, error) {
	var o Offsets
	err := c.get(ctx, "topics/"+segment(topic)+"/offsets", url.Values(query{}.text("at", at.String())), &o)
	return o.Offsets, err
}
