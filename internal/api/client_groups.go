package api

import (
	"context"
	"net/http"
	"net/url"
)

// Groups returns a page of groups.
func (c *Client) Groups(ctx context.Context, r GroupsRequest) (p GroupPage, err error) {
	q := query{}.text("after", r.After).text("prefix", r.Prefix).text("kind", r.Kind).number("limit", r.Limit)
	return p, c.get(ctx, "groups", url.Values(q), &p)
}

// Group describes a group.
func (c *Client) Group(ctx context.Context, name string) (g Group, err error) {
	return g, c.get(ctx, "groups/"+segment(name), nil, &g)
}

// DeleteGroup removes a group without members, and its offsets.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	return c.call(ctx, request{http.MethodDelete, "groups/" + segment(name), nil, nil}, nil)
}

// ResetGroup moves the committed offsets of a group without members, else it is ErrGroupNotEmpty, and returns what it has moved.
func (c *Client) ResetGroup(ctx context.Context, name string, r ResetGroup) (GroupReset, error) {
	var done GroupReset
	err := c.post(ctx, "groups/"+segment(name)+"/reset", r, &done)
	return done, err
}

// DeleteGroupOffsets removes committed offsets of a group.
func (c *Client) DeleteGroupOffsets(ctx context.Context, name string, tps []TopicPartition) error {
	return c.post(ctx, "groups/"+segment(name)+"/delete-offsets", DeleteGroupOffsets{tps}, nil)
}

// GroupConfigs returns the configs of a group that are in force.
func (c *Client) GroupConfigs(ctx context.Context, name string) (map[string]string, error) {
	var in Configs
	err := c.get(ctx, "groups/"+segment(name)+"/configs", nil, &in)
	return in.Configs, err
}

// SetGroupConfigs sets configs of a group; "" unsets one.
func (c *Client) SetGroupConfigs(ctx context.Context, name string, configs map[string]string) error {
	return c.call(ctx, request{http.MethodPatch, "groups/" + segment(name) + "/configs", nil, Configs{configs}}, nil)
}

// Transactions returns a page of transactional ids behind after, at most limit; 0 means 1,000.
func (c *Client) Transactions(ctx context.Context, after string, limit int) (p TransactionPage, err error) {
	return p, c.get(ctx, "transactions", url.Values(query{}.text("after", after).number("limit", limit)), &p)
}

// Transaction describes a transactional id.
func (c *Client) Transaction(ctx context.Context, id string) (t Transaction, err error) {
	return t, c.get(ctx, "transactions/"+segment(id), nil, &t)
}

// OpenTransactions returns the transactions that are open in these topics, or without any in all.
func (c *Client) OpenTransactions(ctx context.Context, topics ...string) ([]OpenTransaction, error) {
	var o OpenTransactions
	err := c.get(ctx, "open-transactions", url.Values{"topic": topics}, &o)
	return o.Transactions, err
}

// AbortTransaction aborts a transaction that OpenTransactions has told of.
func (c *Client) AbortTransaction(ctx context.Context, o OpenTransaction) error {
	return c.post(ctx, "open-transactions/abort", o, nil)
}

// FenceTransaction takes a transactional id from the producer that has it.
func (c *Client) FenceTransaction(ctx context.Context, id string) error {
	return c.post(ctx, "transactions/"+segment(id)+"/fence", nil, nil)
}
