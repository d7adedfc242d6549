package console

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa"
)

// Limits of reading.
const (
	pageBytesMax  = 8 << 20 // keys, values and headers of the records of a page
	pollBytesMax  = 1 << 20 // of one poll: a consumer holds about twice as much
	mergedMax     = 64      // partitions whose records are on one page
	clientID      = "samsa console"
	damagedOnPage = 20 // batches that a page tells of
)

// reach is a partition and the offsets between which it can be read.
type reach struct {
	samsa.TopicPartition
	Start, End int64
}

// clamp returns the offset within the reach that is nearest to the given one.
func (r reach) clamp(offset int64) int64 { return min(max(offset, r.Start), r.End) }

// reaches returns the partitions of a topic that a page is about: one, or with -1 all.
func (c *console) reaches(ctx context.Context, topic string, partition int32) ([]reach, error) {
	info, err := c.broker().Topics().Describe(ctx, topic)
	if err != nil {
		return nil, err
	}
	var all []reach
	for _, p := range info.Partitions {
		if partition < 0 || p.Partition == partition {
			all = append(all, reach{samsa.TopicPartition{Topic: topic, Partition: p.Partition}, p.LogStart, p.LastStable})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("topic %s: %w: it has no partition %d", topic, samsa.ErrUnknownPartition, partition)
	}
	return all, nil
}

// chunk is what was read of a partition, forwards.
type chunk struct {
	records []samsa.Record
	next    int64    // the offset behind all that was looked at
	ended   bool     // the end of the partition was come to
	damaged []string // batches that nobody can read
}

// quota is how much may be read.
type quota struct{ records, bytes int }

// weight is how much of a quota in bytes a record takes.
func weight(r samsa.Record) int {
	n := len(r.Key) + len(r.Value) + 64
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// forward reads a partition from an offset on, up to where it ends now, within the quota. It begins at the first record
// there is when the offset is before it. It is on behalf of no group, and no position of anybody moves.
func (c *console) forward(ctx context.Context, p reach, from int64, q quota, visit func(samsa.Record) (more bool)) (chunk, error) {
	return c.forwardFrom(ctx, p, place{}, max(from, 0), q, visit)
}

// forwardFrom is forward, from a place on if the offset is -1.
func (c *console) forwardFrom(ctx context.Context, p reach, at place, from int64, q quota, visit func(samsa.Record) (more bool)) (chunk, error) {
	if from < 0 {
		from = at.offset
	}
	k, start := chunk{next: p.clamp(from)}, at.start
	if from >= 0 {
		start = samsa.AtOffset(k.next)
	}
	if k.next >= p.End {
		k.ended = true
		return k, nil
	}
	reader, err := c.broker().NewConsumer(ctx, samsa.ConsumerOptions{
		ClientID: clientID, Partitions: map[string][]int32{p.Topic: {p.Partition}}, Start: start,
		OutOfRange: samsa.ResetError, MaxPollRecords: min(q.records, 1000), MaxPollBytes: min(q.bytes, pollBytesMax),
	})
	if err != nil {
		return k, err
	}
	defer func() { _ = reader.Close() }()
	for rec, err := range reader.RecordsUntil(ctx) {
		switch {
		case errors.Is(err, samsa.ErrCorruptRecord):
			if len(k.damaged) < damagedOnPage {
				k.damaged = append(k.damaged, err.Error())
			}
			continue
		case err != nil:
			return k, err
		}
		if q.records--; q.records < 0 {
			return k, nil
		}
		k.next = rec.Offset + 1
		if !visit(rec) {
			return k, nil
		}
		if q.bytes -= weight(rec); q.bytes <= 0 {
			return k, nil
		}
	}
	k.next, k.ended = max(k.next, p.End), true
	return k, nil
}

// leaf is a page of records of one or several partitions, in the order in which they were read: by their timestamps as
// far as the order of each partition lets it. For each partition it takes the records from lo on, before hi.
type leaf struct {
	records []samsa.Record
	lo, hi  []int64
	damaged []string
}

// newer reads the records from the offsets on, one for each partition.
func (c *console) newer(ctx context.Context, parts []reach, from []int64, n int) (leaf, error) {
	l := leaf{lo: make([]int64, len(parts)), hi: make([]int64, len(parts))}
	chunks := make([]chunk, len(parts))
	for i, p := range parts {
		var records []samsa.Record
		k, err := c.forward(ctx, p, from[i], quota{n, pageBytesMax / len(parts)}, func(r samsa.Record) bool {
			records = append(records, r)
			return len(records) < n
		})
		if err != nil {
			return l, err
		}
		k.records = records
		chunks[i] = k
		l.lo[i], l.hi[i] = p.clamp(from[i]), p.clamp(from[i])
		l.damaged = append(l.damaged, k.damaged...)
	}
	for len(l.records) < n {
		first := earliest(chunks)
		if first < 0 {
			break
		}
		k := &chunks[first]
		l.records, l.hi[first] = append(l.records, k.records[0]), k.records[0].Offset+1
		k.records = k.records[1:]
	}
	for i, k := range chunks {
		if len(k.records) == 0 {
			l.hi[i] = k.next
		}
	}
	return l, nil
}

// earliest returns which of the chunks has the record that comes next, and -1 if none has, or if what comes next in one
// of them is not known.
func earliest(chunks []chunk) int {
	first := -1
	for i, k := range chunks {
		switch {
		case len(k.records) == 0 && !k.ended:
			return -1
		case len(k.records) > 0 && (first < 0 || k.records[0].Timestamp.Before(chunks[first].records[0].Timestamp)):
			first = i
		}
	}
	return first
}

// older reads the records before the offsets, one for each partition, from the newest on.
func (c *console) older(ctx context.Context, parts []reach, before []int64, n int) (leaf, error) {
	l := leaf{lo: make([]int64, len(parts)), hi: make([]int64, len(parts))}
	heads := make([]*head, len(parts))
	for i, p := range parts {
		at := p.clamp(before[i])
		l.lo[i], l.hi[i] = at, at
		next, stop := iter.Pull2(c.broker().Backward(ctx, p.TopicPartition, samsa.AtOffset(at)))
		defer stop()
		heads[i] = &head{next: next}
		if err := heads[i].move(&l); err != nil {
			return l, err
		}
	}
	for bytes := 0; len(l.records) < n && bytes < pageBytesMax; {
		last := -1
		for i, h := range heads {
			if h.ok && (last < 0 || h.record.Timestamp.After(heads[last].record.Timestamp)) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		h := heads[last]
		l.records, l.lo[last] = append(l.records, h.record), h.record.Offset
		bytes += weight(h.record)
		if err := h.move(&l); err != nil {
			return l, err
		}
	}
	for i, h := range heads {
		if !h.ok {
			l.lo[i] = parts[i].Start
		}
	}
	return l, nil
}

// head is the next record of a partition that is read backwards.
type head struct {
	record samsa.Record
	ok     bool // there is one
	next   func() (samsa.Record, error, bool)
}

// move goes on to the next record that can be read.
func (h *head) move(l *leaf) (err error) {
	for {
		h.record, err, h.ok = h.next()
		if !h.ok {
			return nil
		}
		if !errors.Is(err, samsa.ErrCorruptRecord) {
			return err
		}
		if len(l.damaged) < damagedOnPage {
			l.damaged = append(l.damaged, err.Error())
		}
	}
}

// one returns a record, or ErrUnknown where there is none that a consumer would get.
func (c *console) one(ctx context.Context, tp samsa.TopicPartition, offset int64) (samsa.Record, error) {
	parts, err := c.reaches(ctx, tp.Topic, tp.Partition)
	if err != nil {
		return samsa.Record{}, err
	}
	if p := parts[0]; offset >= p.Start && offset < p.End {
		for rec, err := range c.broker().Backward(ctx, tp, samsa.AtOffset(offset+1)) {
			if err != nil {
				return rec, err
			}
			if rec.Offset == offset {
				return rec, nil
			}
			break
		}
	}
	return samsa.Record{}, fmt.Errorf("%s: %w: there is no record with the offset %d", tp, samsa.ErrUnknown, offset)
}
