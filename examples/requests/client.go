package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// Headers of a request and of its reply.
const (
	replyTo  = "reply-to"       // the partition of the client, in the topic of replies
	id       = "correlation-id" // of the request: the client knows the reply by it
	deadline = "deadline"       // in Unix milliseconds: nobody waits any more then
	failure  = "error"          // why there is no value
)

func header(r samsa.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// client asks, and waits for replies in a partition of its own: no two clients that live at one time have the same one.
type client struct {
	b         *samsa.Broker
	partition int32
	c         *samsa.Consumer
	done      chan struct{} // closed when nothing is read any more
	life      string        // tells replies of this client from those of one that had the partition before

	mu      sync.Mutex // guards what follows
	asked   int
	waiting map[string]chan samsa.Record // each takes one
	err     error                        // why nothing is read any more
}

func newClient(ctx context.Context, b *samsa.Broker, partition int32) (*client, error) {
	ends, err := b.ListOffsets(ctx, replies, samsa.Latest())
	if err != nil {
		return nil, err
	}
	if int(partition) >= len(ends) {
		return nil, fmt.Errorf("topic %s has no partition %d", replies, partition)
	}
	end := ends[partition].Offset // of a partition: what comes behind is for this client
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{replies: {partition}}, Start: samsa.AtOffset(end)})
	if err != nil {
		return nil, err
	}
	cl := &client{
		b: b, partition: partition, c: c, done: make(chan struct{}), waiting: make(map[string]chan samsa.Record),
		life: strconv.FormatInt(time.Now().UnixNano(), 36),
	}
	go cl.read()
	return cl, nil
}

// read hands replies to those who wait for them. A reply that nobody waits for was too late, or is for a client of before.
func (cl *client) read() {
	defer close(cl.done)
	for {
		records, err := cl.c.Poll(context.Background())
		cl.mu.Lock()
		for _, r := range records {
			if to := cl.waiting[header(r, id)]; to != nil {
				delete(cl.waiting, header(r, id))
				to <- r
			}
		}
		if err != nil && !samsa.Retriable(err) {
			cl.err = err
		}
		ended := cl.err != nil
		cl.mu.Unlock()
		if ended {
			return
		}
	}
}

// ask returns the reply to a request, or the error of ctx. Then the request may have been carried out all the same.
func (cl *client) ask(ctx context.Context, key, request string) (string, error) {
	cl.mu.Lock()
	cl.asked++
	name := fmt.Sprint(cl.life, "-", cl.asked)
	reply := make(chan samsa.Record, 1)
	cl.waiting[name] = reply
	cl.mu.Unlock()
	defer func() {
		cl.mu.Lock()
		delete(cl.waiting, name)
		cl.mu.Unlock()
	}()
	r := samsa.Record{Topic: requests, Key: []byte(key), Value: []byte(request), Headers: []samsa.Header{
		{Key: replyTo, Value: strconv.AppendInt(nil, int64(cl.partition), 10)}, {Key: id, Value: []byte(name)},
	}}
	if until, ok := ctx.Deadline(); ok {
		r.Headers = append(r.Headers, samsa.Header{Key: deadline, Value: strconv.AppendInt(nil, until.UnixMilli(), 10)})
	}
	if _, err := cl.b.Produce(ctx, r); err != nil {
		return "", err
	}
	select {
	case r := <-reply:
		if text := header(r, failure); text != "" {
			return "", errors.New(text)
		}
		return string(r.Value), nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-cl.done:
		return "", cl.err
	}
}

// close ends the client: who still asks gets ErrClosed.
func (cl *client) close() error {
	err := cl.c.Close()
	<-cl.done
	return err
}
