package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

// maxCursor bounds the partitions whose positions an event has for its id.
const maxCursor = 256

// followOf returns what a query asks for. A browser that comes back says where it was, in a header.
func (c *call) followOf() (FollowRequest, error) {
	q := c.query
	r := FollowRequest{
		Topic: c.r.PathValue("topic"), From: q.position("from", "", AtEarliest, AtLatest, AtOffset, AtTime, AtLast), Until: q.flag("until"),
		Limit: q.number("limit", 0, 0, math.MaxInt64), Filter: q.filter(), MaxValue: q.cut(), Uncommitted: q.flag("uncommitted"),
	}
	for _, text := range q.all("partition") {
		p, err := strconv.ParseInt(text, 10, 32)
		if err != nil || p < 0 || slices.Contains(r.Partitions, int32(p)) {
			q.refuse("partition is %.40q, want each once, from 0 on", text)
		}
		r.Partitions = append(r.Partitions, int32(p))
	}
	offsets := q.all("offset")
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		offsets = strings.Split(last, ",")
	}
	r.Offsets = make(map[int32]int64, len(offsets))
	for _, text := range offsets {
		left, right, _ := strings.Cut(text, ":")
		p, err := strconv.ParseInt(left, 10, 32)
		o, err2 := strconv.ParseInt(right, 10, 64)
		if err != nil || err2 != nil || p < 0 || o < 0 {
			q.refuse("offset is %.40q, want PARTITION:OFFSET", text)
			continue
		}
		r.Offsets[int32(p)] = o
	}
	return r, c.none()
}

// followRecords streams records as events: record has one, damaged says which cannot be read, error and end are the last one.
func followRecords(c *call) (any, error) {
	r, err := c.followOf()
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		reader, err := c.follower(r)
		if err != nil {
			return err
		}
		defer end(reader)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // for nginx
		h.Set("X-Content-Type-Options", "nosniff")
		f := follower{call: c, r: r, reader: reader, left: r.Limit, out: patient{w: w, ctl: http.NewResponseController(w)}}
		f.cursor(reader.Assigned())
		if f.flush() == nil { // who has asked knows that it has begun
			f.run()
		}
		return nil
	}), nil
}

// follower returns a consumer that stands where r begins.
func (c *call) follower(r FollowRequest) (*samsa.Consumer, error) {
	opts := samsa.ConsumerOptions{Start: samsa.Latest(), ClientID: clientReader, MaxPollBytes: readAhead}
	if !r.From.IsZero() {
		opts.Start = r.From.start()
	}
	if r.Uncommitted {
		opts.Isolation = samsa.ReadUncommitted
	}
	if len(r.Partitions) > 0 {
		opts.Partitions = map[string][]int32{r.Topic: r.Partitions}
	} else {
		if _, err := c.b.Topics().Describe(c.limited, r.Topic); err != nil { // which a consumer might create
			return nil, err
		}
		opts.Topics = []string{r.Topic}
	}
	reader, err := c.b.NewConsumer(c.limited, opts)
	if err != nil {
		return nil, err
	}
	switch r.From.Kind {
	case AtLast:
		err = reader.SeekLast(c.limited, r.From.N)
	case AtOffset:
		err = c.seekWithin(reader, r)
	}
	for p, offset := range r.Offsets {
		if err == nil {
			err = reader.Seek(c.limited, samsa.TopicPartition{Topic: r.Topic, Partition: p}, offset)
		}
	}
	if err != nil {
		end(reader)
		return nil, err
	}
	return reader, nil
}

// seekWithin has a reader begin at an offset, and where a partition does not go as far, at its end: the reader by itself would begin anew there.
func (c *call) seekWithin(reader *samsa.Consumer, r FollowRequest) error {
	start, err := c.b.ListOffsets(c.limited, r.Topic, samsa.Earliest())
	if err != nil {
		return err
	}
	end, err := c.b.ListOffsets(c.limited, r.Topic, samsa.Latest())
	if err != nil {
		return err
	}
	for i, p := range end {
		if i >= len(start) || len(r.Partitions) > 0 && !slices.Contains(r.Partitions, p.Partition) {
			continue
		}
		at := min(max(r.From.N, start[i].Offset), p.Offset)
		if err := reader.Seek(c.limited, samsa.TopicPartition{Topic: r.Topic, Partition: p.Partition}, at); err != nil {
			return err
		}
	}
	return nil
}

// follower is a stream of records.
type follower struct {
	call   *call
	r      FollowRequest
	reader *samsa.Consumer
	left   int64 // records that it may still tell; 0 for any number
	out    patient
	buf    []byte
}

// errEnough ends a stream that has told what was asked for.
var errEnough = errors.New("enough")

// run tells records until something ends it, and says what.
func (f *follower) run() {
	var err error
	if f.r.Until {
		err = f.until()
	} else {
		err = f.forever()
	}
	switch {
	case f.call.ctx.Err() != nil:
		return // nobody is there any more
	case err == nil || errors.Is(err, errEnough):
		f.event("end", []byte("{}"))
	default:
		text, _ := encode(asError(err))
		f.event("error", text)
	}
	_ = f.flush() // if nobody is there any more, nobody minds
}

// until tells records up to where the partitions ended when it began.
func (f *follower) until() error {
	for rec, err := range f.reader.RecordsUntil(f.call.ctx) {
		if err = f.tell(rec, err); err == nil && len(f.buf) >= readAhead/4 {
			err = f.flush()
		}
		if err != nil {
			return err
		}
	}
	return f.call.ctx.Err()
}

// forever tells records as they come, and every now and then that it is there.
func (f *follower) forever() error {
	for {
		records, err := f.poll()
		if errors.Is(err, context.DeadlineExceeded) && f.call.ctx.Err() == nil {
			f.buf = append(f.buf, ": still here\n\n"...)
			err = nil
		} else if err != nil {
			err = f.tell(samsa.Record{}, err)
		}
		for _, rec := range records {
			if err == nil {
				err = f.tell(rec, nil)
			}
			if err == nil && len(f.buf) >= readAhead/4 {
				err = f.flush()
			}
		}
		if len(records) > 0 {
			f.cursor(f.reader.Assigned())
		}
		if e := f.flush(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) poll() ([]samsa.Record, error) {
	ctx, cancel := context.WithTimeout(f.call.ctx, pulse)
	defer cancel()
	return f.reader.Poll(ctx)
}

// tell tells a record, or what came instead of one. An error ends the stream.
func (f *follower) tell(rec samsa.Record, err error) error {
	if errors.Is(err, samsa.ErrCorruptRecord) {
		text, err := encode(asError(err))
		f.event("damaged", text)
		return err
	}
	if err != nil || !f.r.Filter.passes(rec) {
		return err
	}
	text, err := encode(record(rec, f.r.MaxValue))
	if err != nil {
		return err
	}
	f.event("record", text)
	if f.left == 0 {
		return nil
	}
	if f.left--; f.left == 0 {
		return errEnough
	}
	return nil
}

// event adds an event. Its data is JSON, and so one line.
func (f *follower) event(name string, data []byte) {
	f.buf = append(append(append(append(f.buf, "event: "...), name...), "\ndata: "...), data...)
	f.buf = append(f.buf, "\n\n"...)
}

// cursor says where the reader is, for a browser that comes back (Last-Event-ID), if that is not too much to say.
func (f *follower) cursor(tps []samsa.TopicPartition) {
	if len(tps) > maxCursor {
		return
	}
	before := len(f.buf)
	f.buf = append(f.buf, "id: "...)
	for i, tp := range tps {
		at, err := f.reader.Position(tp)
		if err != nil {
			f.buf = f.buf[:before]
			return
		}
		if i > 0 {
			f.buf = append(f.buf, ',')
		}
		f.buf = fmt.Appendf(f.buf, "%d:%d", tp.Partition, at)
	}
	f.buf = append(f.buf, "\n\n"...)
}

// flush hands over what was told.
func (f *follower) flush() error {
	_, err := f.out.Write(f.buf)
	f.buf = f.buf[:0]
	if err == nil {
		err = f.out.ctl.Flush()
	}
	if cap(f.buf) > 4*readAhead {
		f.buf = nil // one large record should not keep its memory
	}
	return err
}
