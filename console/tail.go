package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// Limits of who follows. Somebody who reads sees no more than this.
const (
	tailEvery     = 500 * time.Millisecond // between two events
	tailRows      = 50                     // of an event
	tailRowsFlood = 20                     // of one behind which others are passed over
	tailBehindMax = 2000                   // records that are not passed over
	tailSilence   = 15 * time.Second       // until a sign of life
	tailBytesMax  = 256 << 10              // of one poll
)

var errStreams = fmt.Errorf("%w: %d browsers follow already", samsa.ErrUnavailable, streamsMax)

// tailed is what an event tells: rows of a table, newest first, and how many records were passed over.
type tailed struct {
	Rows   string `json:"rows"`
	N      int    `json:"n"`
	Passed int64  `json:"passed"`
	Note   string `json:"note,omitempty"` // what was not decoded
}

// tail sends the records of a topic as they come: server-sent events. With something to search for it sends those that
// have it.
func (c *console) tail(w http.ResponseWriter, r *http.Request) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		c.fail(w, r, errStreams)
		return
	}
	find, reader, err := c.follow(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	defer func() { _ = reader.Close() }()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx keeps nothing back
	if err := c.event(w, ": hello\n\n"); err != nil {
		return
	}
	for r.Context().Err() == nil {
		next, err := c.nextEvent(r.Context(), reader, find)
		if err != nil {
			text, _ := json.Marshal(visible(err.Error(), false))
			_ = c.event(w, fmt.Sprintf("event: end\ndata: %s\n\n", text))
			return
		}
		if c.event(w, next) != nil {
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(tailEvery):
		}
	}
}

// follow returns a consumer of what a request is about, at its end, and what finds what is searched for.
func (c *console) follow(r *http.Request) (find finder, reader *samsa.Consumer, err error) {
	s, err := parseSearch(r)
	if err != nil {
		return nil, nil, err
	}
	if find, err = s.finder(); err != nil {
		return nil, nil, err
	}
	partition, err := partitionOf(r)
	if err != nil {
		return nil, nil, err
	}
	opts := samsa.ConsumerOptions{ClientID: clientID, Start: samsa.Latest(), OutOfRange: samsa.ResetError, MaxPollRecords: 4 * tailRows, MaxPollBytes: tailBytesMax}
	if opts.Topics = []string{s.Topic}; partition >= 0 {
		opts.Topics, opts.Partitions = nil, map[string][]int32{s.Topic: {partition}}
	}
	if _, err := c.reaches(r.Context(), s.Topic, partition); err != nil { // no topic is created by looking at it
		return nil, nil, err
	}
	reader, err = c.broker().NewConsumer(r.Context(), opts)
	return find, reader, err
}

// nextEvent waits for records, and returns an event of them. When more come than anybody reads it goes to the end.
func (c *console) nextEvent(ctx context.Context, reader *samsa.Consumer, find finder) (string, error) {
	waiting, cancel := context.WithTimeout(ctx, tailSilence)
	defer cancel()
	records, err := reader.Poll(waiting)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return ": nothing new\n\n", nil
	case errors.Is(err, samsa.ErrOffsetOutOfRange):
		return ": removed meanwhile\n\n", reader.SeekTo(ctx, samsa.Latest())
	case errors.Is(err, samsa.ErrCorruptRecord):
		return ": damaged\n\n", nil
	case err != nil:
		return "", err
	}
	dec, end := c.decoding(ctx)
	defer end()
	var t tailed
	var rows []recordRow
	most := tailRows
	behind, err := reader.TotalLag(ctx)
	flood := err == nil && behind > tailBehindMax
	if flood {
		most = tailRowsFlood
	}
	for i := len(records) - 1; i >= 0; i-- {
		h, ok, tired := find(dec, records[i])
		if tired {
			t.Passed += int64(i) + 1
			break
		}
		switch {
		case !ok:
		case len(rows) == most:
			t.Passed++
		default:
			rows = append(rows, dec.row(records[i], &h))
		}
	}
	if flood {
		if err := reader.SeekTo(ctx, samsa.Latest()); err != nil {
			return "", err
		}
		t.Passed += behind
	}
	if t.N = len(rows); t.N+int(t.Passed) == 0 {
		return ": nothing of it\n\n", nil
	}
	var html bytes.Buffer
	if err := c.pages["records.html"].ExecuteTemplate(&html, "record-rows", rows); err != nil {
		return "", err
	}
	t.Rows, t.Note = html.String(), strings.Join(dec.notes(), "")
	data, err := json.Marshal(t)
	return fmt.Sprintf("data: %s\n\n", data), err
}

// event sends an event, or what keeps the connection alive.
func (c *console) event(w http.ResponseWriter, event string) error {
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Now().Add(2 * tailSilence)) // in the place of the server's, which is for pages
	if _, err := w.Write([]byte(event)); err != nil {
		return err
	}
	return conn.Flush()
}
