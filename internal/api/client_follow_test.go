package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// frayed serves a broker over connections that break when a stream has written so many bytes; 0 for whole ones.
type frayed struct {
	h     http.Handler
	bytes atomic.Int64
	asked atomic.Int64 // streams
}

func (f *frayed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	f.h.ServeHTTP(&fraying{w, f.bytes.Load()}, r)
}

type fraying struct {
	http.ResponseWriter
	left int64
}

func (f *fraying) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func (f *fraying) Write(b []byte) (int, error) {
	if f.left == 0 {
		return f.ResponseWriter.Write(b)
	}
	if f.left -= int64(len(b)); f.left <= 0 {
		_, _ = f.ResponseWriter.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	}
	return f.ResponseWriter.Write(b)
}

func overFrayed(t *testing.T) (*samsa.Broker, *frayed, *Client) {
	t.Helper()
	b := samsatest.New(t)
	f := &frayed{h: Handler(b, Options{Write: true})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	c, err := NewClient(srv.URL)
	must(t, err)
	t.Cleanup(c.Close)
	must(t, c.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 2}))
	return b, f, c
}

// Who follows gets each record once, those that come while the connection is broken too.
func TestFollowGoesOn(t *testing.T) {
	b, f, c := overFrayed(t)
	f.bytes.Store(2000)
	const records = 40
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	produce := func(i int) {
		_, err := b.Produce(ctx, samsa.Record{Topic: "t", Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)})
		must(t, err)
	}
	produce(0)
	var got []string
	err := c.Follow(ctx, FollowRequest{Topic: "t", From: Earliest(), Limit: records}, func(r Record) error {
		got = append(got, string(r.Value))
		if len(got) < records {
			produce(len(got))
		}
		return nil
	})
	must(t, err)
	var want []string
	for i := range records {
		want = append(want, fmt.Sprint(i))
	}
	if !slices.Equal(got, want) || f.asked.Load() < 4 {
		t.Errorf("%d requests, got %q", f.asked.Load(), got)
	}
}

// It gives up when it cannot connect any more; what has an end, and an error of who follows, is not tried again.
func TestFollowGivesUp(t *testing.T) {
	b, f, c := overFrayed(t)
	c.again = 0
	for i := range 20 {
		_, err := b.Produce(t.Context(), samsa.Record{Topic: "t", Value: make([]byte, 100+i)})
		must(t, err)
	}
	f.bytes.Store(500)
	none := func(Record) error { return nil }
	wantError(t, c.Follow(t.Context(), FollowRequest{Topic: "t", From: Earliest()}, none), samsa.ErrUnavailable)
	c.again = time.Minute
	asked := f.asked.Load()
	wantError(t, c.Follow(t.Context(), FollowRequest{Topic: "t", From: Earliest(), Until: true}, none), samsa.ErrUnavailable)
	own := fmt.Errorf("%w: of mine", samsa.ErrUnavailable)
	f.bytes.Store(0)
	if err := c.Follow(t.Context(), FollowRequest{Topic: "t", From: Earliest()}, func(Record) error { return own }); !errors.Is(err, own) {
		t.Error(err)
	}
	if n := f.asked.Load() - asked; n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// The partitioner roundrobin goes on from request to request.
func TestRoundRobin(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, _ *samsa.Broker, c *Client) {
		must(t, c.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 3}))
		var got []int32
		for _, n := range []int{1, 1, 2, 1, 4} {
			r := ProduceRequest{Records: make([]NewRecord, n), Partitioner: "roundrobin"}
			places, err := c.Produce(t.Context(), "t", r)
			must(t, err)
			for _, p := range places {
				got = append(got, p.Partition)
			}
		}
		if want := []int32{0, 1, 2, 0, 1, 2, 0, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("partitions %v, want %v", got, want)
		}
	})
}
