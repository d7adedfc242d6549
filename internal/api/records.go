package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
)

// Limits of reading.
const (
	defaultScan  = 10_000
	maxScan      = 1_000_000
	pageTime     = time.Second // after which a page is told as it is
	readAhead    = 1 << 20     // bytes
	maxCut       = 64 << 20
	maxFilter    = 4096
	clientReader = "samsa-api" // its client id
)

// cut returns behind how many bytes keys, values and headers are cut; 0 for never.
func (p *params) cut() int { return int(p.number("max_value", 0, 0, maxCut)) }

// cutTo returns how many bytes of n are left.
func cutTo(n, cut int) int {
	if cut == 0 {
		return n
	}
	return min(n, cut)
}

// shorten cuts b, not within a character if it is UTF-8. whole is its size if it was cut, else 0.
func shorten(b []byte, cut int) (short []byte, whole int) {
	if cut == 0 || len(b) <= cut {
		return b, 0
	}
	short = b[:cut]
	for i := 1; i < utf8.UTFMax && i < len(short); i++ {
		if r, n := utf8.DecodeRune(b[cut-i:]); utf8.RuneStart(b[cut-i]) && r != utf8.RuneError && n > i {
			short = b[:cut-i]
			break
		}
	}
	return short, len(b)
}

// filter returns what is asked for in a query.
func (p *params) filter() Filter {
	f := Filter{Key: p.bytes("key"), Contains: p.bytes("contains"), Header: p.text("header")}
	if max(len(f.Key), len(f.Contains), len(f.Header)) > maxFilter {
		p.refuse("key, contains and header have at most %d bytes", maxFilter)
	}
	return f
}

// passes reports whether a record is wanted.
func (f Filter) passes(r samsa.Record) bool {
	switch {
	case f.Key != nil && (r.Key == nil || !bytes.Equal(r.Key, f.Key)):
		return false
	case f.Header != "" && !f.hasHeader(r):
		return false
	case f.Contains == nil || bytes.Contains(r.Key, f.Contains) || bytes.Contains(r.Value, f.Contains):
		return true
	}
	for _, h := range r.Headers {
		if strings.Contains(h.Key, string(f.Contains)) || bytes.Contains(h.Value, f.Contains) {
			return true
		}
	}
	return false
}

func (f Filter) hasHeader(r samsa.Record) bool {
	key, value, both := strings.Cut(f.Header, "=")
	for _, h := range r.Headers {
		if h.Key == key && (!both || string(h.Value) == value) {
			return true
		}
	}
	return false
}

// record returns a record as the API has it.
func record(r samsa.Record, cut int) Record {
	out := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: At(r.Timestamp)}
	out.Key, out.KeySize = shorten(r.Key, cut)
	out.Value, out.ValueSize = shorten(r.Value, cut)
	for _, h := range r.Headers {
		value, whole := shorten(h.Value, cut)
		out.Headers = append(out.Headers, Header{Key: Text(h.Key), Value: value, Size: whole})
	}
	return out
}

// size returns the bytes of a record on a page.
func size(r samsa.Record, cut int) int {
	n := cutTo(len(r.Key), cut) + cutTo(len(r.Value), cut)
	for _, h := range r.Headers {
		n += len(h.Key) + cutTo(len(h.Value), cut)
	}
	return n
}

// readOf returns what a query asks for.
func (c *call) readOf() (ReadRequest, error) {
	q := c.query
	r := ReadRequest{
		Topic: c.r.PathValue("topic"), Partition: int32(q.number("partition", 0, 0, math.MaxInt32)), Backward: q.flag("backward"),
		Limit: q.limit(100), Filter: q.filter(), Scan: int(q.number("scan", defaultScan, 1, maxScan)), MaxValue: q.cut(), Uncommitted: q.flag("uncommitted"),
	}
	if r.Backward {
		r.From = q.position("from", "", AtEarliest, AtLatest, AtOffset, AtTime)
	} else {
		r.From = q.position("from", "", AtEarliest, AtLatest, AtOffset, AtTime, AtLast)
	}
	err := c.none()
	if err == nil && r.Backward && r.Uncommitted {
		err = fmt.Errorf("%w: backward and uncommitted together", samsa.ErrUnsupported)
	}
	return r, err
}

func readRecords(c *call) (any, error) {
	r, err := c.readOf()
	if err != nil {
		return nil, err
	}
	info, err := c.b.Topics().Describe(c.limited, r.Topic)
	if err != nil {
		return nil, err
	}
	if int(r.Partition) >= len(info.Partitions) {
		return nil, fmt.Errorf("topic %s: %w: %d of %d", r.Topic, samsa.ErrUnknownPartition, r.Partition, len(info.Partitions))
	}
	at := info.Partitions[r.Partition]
	p := RecordPage{Records: []Record{}, Start: at.LogStart, Stop: at.HighWatermark}
	if r.Backward {
		return p, p.readBackward(c, r)
	}
	return p, p.readForward(c, r)
}

// readForward fills the page from the older records to the newer ones.
func (p *RecordPage) readForward(c *call, r ReadRequest) error {
	tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	reader, err := c.reader(c.limited, r, tp)
	if err != nil {
		return err
	}
	defer end(reader)
	var next int64
	ended, err := p.fill(c.limited, r, reader.RecordsUntil(c.limited), func(rec samsa.Record, taken bool) {
		if next = rec.Offset; taken {
			next++
		}
	})
	if err != nil {
		return err
	}
	if ended {
		p.End = true
		if next, err = reader.Position(tp); err != nil {
			return err
		}
	}
	p.Next = Offset(next)
	return nil
}

// reader returns a consumer that stands where r begins.
func (c *call) reader(ctx context.Context, r ReadRequest, tp samsa.TopicPartition) (*samsa.Consumer, error) {
	opts := samsa.ConsumerOptions{
		Partitions: map[string][]int32{tp.Topic: {tp.Partition}}, Start: r.From.start(), ClientID: clientReader, MaxPollBytes: readAhead,
	}
	if r.Uncommitted {
		opts.Isolation = samsa.ReadUncommitted
	}
	reader, err := c.b.NewConsumer(ctx, opts)
	if err == nil && r.From.Kind == AtLast {
		if err = reader.SeekLast(ctx, r.From.N, tp); err != nil {
			end(reader)
		}
	}
	return reader, err
}

// readBackward fills the page from the newer records to the older ones.
func (p *RecordPage) readBackward(c *call, r ReadRequest) error {
	from := r.From
	if from.IsZero() {
		from = Latest()
	}
	tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	ended, err := p.fill(c.limited, r, c.b.Backward(c.limited, tp, from.start()), func(rec samsa.Record, taken bool) {
		next := rec.Offset
		if !taken {
			next++
		}
		p.Next = Offset(next)
	})
	if p.End = ended; ended {
		p.Next = Position{}
	}
	return err
}

// fill takes records until the page is full, enough was looked at, or there are no more: then it has ended. passed is told of each
// record, and whether it was taken or is the first of the next page.
func (p *RecordPage) fill(ctx context.Context, r ReadRequest, records iter.Seq2[samsa.Record, error], passed func(rec samsa.Record, taken bool)) (ended bool, err error) {
	began, bytes := time.Now(), 0
	for rec, err := range records {
		if errors.Is(err, samsa.ErrCorruptRecord) {
			if p.Damaged = append(p.Damaged, *asError(err)); len(p.Damaged) > r.Limit {
				return false, err
			}
			continue
		}
		if err != nil {
			return false, err
		}
		wanted := r.Filter.passes(rec)
		if wanted && len(p.Records) > 0 && bytes+size(rec, r.MaxValue) > maxPage {
			passed(rec, false)
			return false, nil
		}
		p.Scanned++
		if passed(rec, true); wanted {
			bytes += size(rec, r.MaxValue)
			p.Records = append(p.Records, record(rec, r.MaxValue))
		}
		if len(p.Records) == r.Limit || p.Scanned == int64(r.Scan) || time.Since(began) > pageTime {
			return false, nil
		}
	}
	return true, ctx.Err()
}

// readRecord returns one record, whole.
func readRecord(c *call) (any, error) {
	partition, err := strconv.ParseInt(c.r.PathValue("partition"), 10, 32)
	if err != nil || partition < 0 {
		c.query.refuse("the partition is %.40q", c.r.PathValue("partition"))
	}
	offset, err := strconv.ParseInt(c.r.PathValue("offset"), 10, 64)
	if err != nil || offset < 0 {
		c.query.refuse("the offset is %.40q", c.r.PathValue("offset"))
	}
	if err := c.none(); err != nil {
		return nil, err
	}
	rec, err := c.one(samsa.TopicPartition{Topic: c.r.PathValue("topic"), Partition: int32(partition)}, offset)
	if err != nil {
		return nil, err
	}
	return record(rec, 0), nil
}

// one returns the record at an offset, of a transaction that is open too.
func (c *call) one(tp samsa.TopicPartition, offset int64) (samsa.Record, error) {
	reader, err := c.reader(c.limited, ReadRequest{From: Offset(offset), Uncommitted: true}, tp)
	if err != nil {
		return samsa.Record{}, err
	}
	defer end(reader)
	for rec, err := range reader.RecordsUntil(c.limited) {
		if err != nil {
			return rec, err
		}
		if rec.Offset == offset {
			return rec, nil
		}
		break
	}
	return samsa.Record{}, fmt.Errorf("%s: %w: there is no record at offset %d", tp, samsa.ErrOffsetOutOfRange, offset)
}
