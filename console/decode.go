package console

import (
	"context"
	"fmt"
	"time"

	"github.com/samsa-go/samsa"
)

// Decoder says what keys and values mean that producers have encoded, by the schemas of a registry say. It may be called
// by many at a time.
type Decoder interface {
	// Decode returns what the key and the value of r say. It changes nothing of r. When ctx ends it returns.
	//
	// An error is about the decoder and not about r, as when a registry does not answer. A page that meets one shows it once,
	// and its records as they are stored.
	Decode(ctx context.Context, r samsa.Record) (key, value Decoded, err error)
}

// Decoded is what a key or a value says. The zero value is that of one which is not encoded: its bytes are all there is.
type Decoded struct {
	// Text is in UTF-8. JSON is shown with a line for each of its parts, and its numbers digit by digit.
	Text []byte
	// By is what it was decoded by, in a few words: "Avro, schema 7".
	By string
	// Err says why it was not decoded.
	Err error
}

// Limits of what is decoded.
const (
	encodedMaxBytes = 1 << 20         // of a key or a value: a longer one is not decoded
	decodedMaxBytes = 1 << 20         // of its text are searched
	decodingTime    = 2 * time.Second // for all records of a page, or of a step of a search
)

// decoding decodes the records of one page. It is nobody else's.
type decoding struct {
	by     Decoder         // nil for none, and once it has failed
	ctx    context.Context // which ends after decodingTime
	why    error           // it has failed
	missed int             // records since

	known      bool // what the record at last says
	last       samsa.TopicPartition
	offset     int64
	key, value Decoded
}

// decoding returns what decodes the records of a page, until end is called.
func (c *console) decoding(ctx context.Context) (d *decoding, end func()) {
	if c.opts.Decoder == nil {
		return &decoding{}, func() {}
	}
	limited, cancel := context.WithTimeout(ctx, decodingTime)
	return &decoding{by: c.opts.Decoder, ctx: limited}, cancel
}

// of returns what a record says.
func (d *decoding) of(r samsa.Record) (key, value Decoded) {
	tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	switch {
	case d.known && d.last == tp && d.offset == r.Offset:
		return d.key, d.value
	case d.why != nil:
		d.missed++
		return Decoded{}, Decoded{}
	case d.by == nil:
		return Decoded{}, Decoded{}
	}
	in := r
	in.Key, key.Err = decodable(r.Key)
	in.Value, value.Err = decodable(r.Value)
	k, v, err := d.by.Decode(d.ctx, in)
	if err != nil {
		if d.ctx.Err() != nil {
			err = fmt.Errorf("it took longer than %v: %w", decodingTime, err)
		}
		d.why, d.missed = err, 1
		return Decoded{}, Decoded{}
	}
	if key.Err == nil {
		key = k
	}
	if value.Err == nil {
		value = v
	}
	d.known, d.last, d.offset, d.key, d.value = true, tp, r.Offset, key, value
	return key, value
}

// decodable returns b, or nothing and why if it is too long.
func decodable(b []byte) ([]byte, error) {
	if len(b) > encodedMaxBytes {
		return nil, fmt.Errorf("%w: it has %s, and at most %s are decoded", samsa.ErrTooLarge, size(len(b)), size(encodedMaxBytes))
	}
	return b, nil
}

// row returns a record as a list has it.
func (d *decoding) row(r samsa.Record, h *hit) recordRow {
	key, value := d.of(r)
	return recordRow{Record: r, KeyShown: key.preview(r.Key), ValueShown: value.preview(r.Value), Hit: h}
}

// preview returns the beginning of the text, or of b if there is none.
func (d Decoded) preview(b []byte) shown {
	if d.Text == nil {
		return preview(b)
	}
	s := preview(d.Text)
	s.By = d.By
	return s
}

// searched returns of the text what a search looks at.
func (d Decoded) searched() []byte { return d.Text[:min(len(d.Text), decodedMaxBytes)] }

// notes says what was not decoded, if it is not for the records themselves.
func (d *decoding) notes() []string {
	if d.why == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s as stored, and not decoded: %v", count(d.missed, "record"), d.why)}
}

// count returns so many of what, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return num(n) + " " + what + "s"
}

// decodedShown is what a key or a value says on the page of its record.
type decodedShown struct {
	shown
	Wrong string // why it says nothing
}

// whole returns what is shown of the text on a page of its own; nil for what is not encoded.
func (d Decoded) whole() *decodedShown {
	switch {
	case d.Err != nil:
		return &decodedShown{Wrong: d.Err.Error()}
	case d.Text == nil:
		return nil
	}
	s := show(d.Text, "")
	s.By = d.By
	return &decodedShown{shown: s}
}

// as returns how the bytes are shown beside the text, if nobody says how.
func (d Decoded) as(wanted string) string {
	if wanted == "" && d.Text != nil {
		return "hex"
	}
	return wanted
}
