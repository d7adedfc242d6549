package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// Follow calls fn for each record, those of a partition in their order, until ctx ends, fn returns an error, which is returned, or what
// was asked for has come to its end: then it is nil. Records that cannot be read go to r.Damaged, as ErrCorruptRecord, and without
// that the error is returned.
//
// When the connection breaks it goes on where it was, each record once, if it can connect again within half a minute; but not with Until, nor
// where the topic has more partitions than the broker tells the positions of (256).
func (c *Client) Follow(ctx context.Context, r FollowRequest, fn func(Record) error) error {
	f := following{c: c, r: r, fn: fn, at: make(map[int32]int64)}
	pause, broke := followPause, time.Time{}
	for {
		before := f.heard
		err := f.once(ctx)
		var own ownError
		switch {
		case errors.As(err, &own):
			return own.error
		case err == nil, r.Until, !f.known, ctx.Err() != nil, !errors.Is(err, samsa.ErrUnavailable), errors.Is(err, samsa.ErrClosed):
			return err
		}
		if f.heard > before || broke.IsZero() {
			pause, broke = followPause, time.Now()
		}
		if time.Since(broke)+pause > c.again {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, followPauseMost)
	}
}

// How long who follows waits until it connects again, at first and at most, and after what time it gives up.
const (
	followPause     = 100 * time.Millisecond
	followPauseMost = 5 * time.Second
	followAgain     = 30 * time.Second
)

// following is a Follow that is under way.
type following struct {
	c     *Client
	r     FollowRequest
	fn    func(Record) error
	at    map[int32]int64 // offsets of the next records
	known bool            // of all partitions
	heard int             // events
	told  int64           // records
}

// ownError is an error of who follows, and not of the connection.
type ownError struct{ error }

// Unwrap returns it.
func (e ownError) Unwrap() error { return e.error }

// request is what is asked for: at first what was wanted, and then what is left of that. What has no position then has come since.
func (f *following) request() FollowRequest {
	r := f.r
	if f.known {
		r.From, r.Offsets = Earliest(), maps.Clone(f.at)
	}
	if r.Limit > 0 {
		r.Limit -= f.told
	}
	return r
}

// once follows until the connection breaks, or it is done.
func (f *following) once(ctx context.Context) error {
	asked := request{http.MethodGet, recordsPath(f.r.Topic) + "/follow", f.request().query(), nil}
	resp, err := f.c.send(ctx, asked)
	if err != nil {
		return err
	}
	defer end(resp.Body)
	events, id := newEvents(resp.Body), ""
	for {
		e, err := events.next()
		if events.id != id {
			id = events.id
			f.cursor(id)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return connectionError(ctx, asked, err)
		}
		f.heard++
		done, err := f.event(e)
		if done || err != nil {
			return err
		}
	}
}

// event does what an event says.
func (f *following) event(e event) (done bool, err error) {
	switch e.name {
	case "record":
		var rec Record
		if err := json.Unmarshal(e.data, &rec); err != nil {
			return true, fmt.Errorf("%w: an event of the API: %w", samsa.ErrInvalid, err)
		}
		if err := f.fn(rec); err != nil {
			return true, ownError{err}
		}
		f.told++
		f.at[rec.Partition] = max(f.at[rec.Partition], rec.Offset+1)
		return f.r.Limit > 0 && f.told == f.r.Limit, nil
	case "damaged":
		err := trailerError(string(e.data))
		if f.r.Damaged == nil {
			return true, err
		}
		f.r.Damaged(err)
	case "error":
		return true, trailerError(string(e.data))
	case "end":
		return true, nil
	}
	return false, nil
}

// cursor takes over where the stream is, as an id says: PARTITION:OFFSET,...
func (f *following) cursor(id string) {
	for text := range strings.SplitSeq(id, ",") {
		left, right, _ := strings.Cut(text, ":")
		p, err := strconv.ParseInt(left, 10, 32)
		at, err2 := strconv.ParseInt(right, 10, 64)
		if err != nil || err2 != nil {
			return
		}
		f.at[int32(p)] = max(f.at[int32(p)], at)
	}
	f.known = true
}
