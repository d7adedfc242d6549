package api

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

func faultPath(id int64) string { return "kit/faults/" + strconv.FormatInt(id, 10) }

// NewFault puts something in the way of a fake broker. ErrUnsupported says that the broker is none.
func (c *Client) NewFault(ctx context.Context, f NewFault) (made Fault, err error) {
	return made, c.post(ctx, "kit/faults", f, &made)
}

// Faults returns the faults that there are.
func (c *Client) Faults(ctx context.Context) ([]Fault, error) {
	var all Faults
	err := c.get(ctx, "kit/faults", nil, &all)
	return all.Faults, err
}

// Fault returns a fault as it is now.
func (c *Client) Fault(ctx context.Context, id int64) (f Fault, err error) {
	return f, c.get(ctx, faultPath(id), nil, &f)
}

// ReleaseFault lets go on what a fault holds now.
func (c *Client) ReleaseFault(ctx context.Context, id int64) error {
	return c.post(ctx, faultPath(id)+"/release", nil, nil)
}

// RemoveFault ends a fault.
func (c *Client) RemoveFault(ctx context.Context, id int64) error {
	return c.call(ctx, request{http.MethodDelete, faultPath(id), nil, nil}, nil)
}

// Wait waits for something. ErrTimeout, which is context.DeadlineExceeded, says that it has not come, and how far it is.
func (c *Client) Wait(ctx context.Context, w Wait) error {
	limit := time.Duration(w.Timeout)
	if limit <= 0 {
		limit = defaultWait
	}
	ctx, cancel := context.WithTimeout(ctx, limit+patience)
	defer cancel()
	return c.post(ctx, "kit/wait", w, nil)
}

// Expire has time run out for a member or a transaction.
func (c *Client) Expire(ctx context.Context, e Expire) error {
	return c.post(ctx, "kit/expire", e, nil)
}

// Corrupt damages a stored batch.
func (c *Client) Corrupt(ctx context.Context, d Corrupt) error {
	return c.post(ctx, "kit/corrupt", d, nil)
}

// Restart ends a fake broker and opens it again.
func (c *Client) Restart(ctx context.Context, r Restart) error {
	return c.post(ctx, "kit/restart", r, nil)
}

// Cluster describes the cluster as which a fake broker is served. ErrUnsupported says that it is none.
func (c *Client) Cluster(ctx context.Context) (all Cluster, err error) {
	return all, c.get(ctx, "kit/cluster", nil, &all)
}

// ChangeCluster has something happen to that cluster, and describes it then.
func (c *Client) ChangeCluster(ctx context.Context, e ClusterEvent) (all Cluster, err error) {
	return all, c.post(ctx, "kit/cluster", e, &all)
}

// ResetKit makes a fake broker empty, as it was when it began: without records, groups, keys, faults and forks.
func (c *Client) ResetKit(ctx context.Context) error { return c.post(ctx, "kit/reset", nil, nil) }

// NewFork copies a fake broker: see OfFork.
func (c *Client) NewFork(ctx context.Context, name string) (f Fork, err error) {
	return f, c.post(ctx, "kit/forks", NewFork{name}, &f)
}

// Forks returns the copies that there are.
func (c *Client) Forks(ctx context.Context) ([]Fork, error) {
	var all Forks
	err := c.get(ctx, "kit/forks", nil, &all)
	return all.Forks, err
}

// RemoveFork closes a copy.
func (c *Client) RemoveFork(ctx context.Context, name string) error {
	return c.call(ctx, request{http.MethodDelete, "kit/forks/" + segment(name), nil, nil}, nil)
}
