package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// rates are what comes in a second.
type rates struct {
	RecordsPerS float64  `json:"records_per_s"`
	BytesPerS   *float64 `json:"bytes_per_s,omitempty"` // nil when it is not known
}

// counters are what rates are made of: offsets at the end, bytes that are there, and bytes that have come, -1 when not known.
type counters struct{ produced, bytes, appended int64 }

func countersOf(t api.TopicSummary) counters { return counters{t.Produced, t.Bytes, t.Appended} }

// none returns the counters of what was not there before: all of it has come.
func (c counters) none() counters { return counters{0, min(0, c.bytes), min(0, c.appended)} }

// ratesOf returns what has come between two looks. Of a cluster, which does not count what has come, the growth is the rate in bytes.
func ratesOf(before, after counters, took time.Duration) *rates {
	each := func(from, to int64) float64 { return max(0, float64(to-from)/max(took, time.Millisecond).Seconds()) }
	r := &rates{RecordsPerS: each(before.produced, after.produced)}
	bytes := 0.0
	switch {
	case before.appended >= 0 && after.appended >= 0:
		bytes = each(before.appended, after.appended)
	case before.bytes >= 0 && after.bytes >= 0:
		bytes = each(before.bytes, after.bytes)
	default:
		return r
	}
	r.BytesPerS = &bytes
	return r
}

// String returns rates in words.
func (r *rates) String() string {
	text := fmt.Sprintf("%.1f records/s", r.RecordsPerS)
	if bytes := r.bytesPerS(); bytes != "" {
		text += ", " + bytes + "/s"
	}
	return text
}

// bytesPerS returns the bytes in words, "" when they are not known.
func (r *rates) bytesPerS() string {
	if r.BytesPerS == nil {
		return ""
	}
	return size(int64(*r.BytesPerS))
}

// rateColumns are columns for rates, which are empty where none were measured.
func rateColumns[T any](of func(T) *rates) []column[T] {
	return []column[T]{
		{">RECORDS/S", func(t T) string {
			if r := of(t); r != nil {
				return fmt.Sprintf("%.1f", r.RecordsPerS)
			}
			return ""
		}},
		{">BYTES/S", func(t T) string {
			if r := of(t); r != nil {
				return r.bytesPerS()
			}
			return ""
		}},
	}
}

// rateFlag defines --rate.
func rateFlag(cmd *cobra.Command, rate *time.Duration) {
	cmd.Flags().Var((*notNegative)(rate), "rate", "watch for this `time`, and tell how many records and bytes come in a second")
}

// notNegative is a flag for a time from 0 on.
type notNegative time.Duration

// String returns it as it may be given; "" for 0, which is none.
func (d *notNegative) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Type names what it takes.
func (*notNegative) Type() string { return "time" }

// Set reads it.
func (d *notNegative) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err == nil && v < 0 {
		err = errors.New("want a time from 0 on")
	}
	*d = notNegative(v)
	return err
}

// wait waits for a time.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// topicsAfter looks again after a time, and returns what is there then, with what has come.
func topicsAfter(ctx context.Context, b backend.Backend, r api.TopicsRequest, after time.Duration, before []topicRow) ([]topicRow, error) {
	began := time.Now()
	if err := wait(ctx, after); err != nil {
		return nil, err
	}
	rows, err := listTopics(ctx, b, r)
	took := time.Since(began)
	old := make(map[string]counters)
	for _, t := range before {
		old[t.Name] = countersOf(t.TopicSummary)
	}
	for i, t := range rows {
		was, known := old[t.Name]
		now := countersOf(t.TopicSummary)
		if !known {
			was = now.none()
		}
		rows[i].rates = ratesOf(was, now, took)
	}
	return rows, err
}

// described is a topic with what comes in a second, where that was measured.
type described struct {
	api.Topic
	*rates
	Parts []partitionRow `json:"parts"`
}

type partitionRow struct {
	api.Partition
	*rates
}

// describeTopic describes a topic, and looks again after a time, unless that is 0.
func describeTopic(ctx context.Context, b backend.Backend, name string, after time.Duration) (described, error) {
	t, err := b.Topic(ctx, name)
	if err != nil || after <= 0 {
		return describedAs(t), err
	}
	began, before := time.Now(), t
	if err := wait(ctx, after); err != nil {
		return described{}, err
	}
	if t, err = b.Topic(ctx, name); err != nil {
		return described{}, err
	}
	took := time.Since(began)
	d := describedAs(t)
	d.rates = ratesOf(countersOf(before.TopicSummary), countersOf(t.TopicSummary), took)
	for i, p := range t.Parts {
		now := counters{p.HighWatermark, p.Bytes, p.Appended}
		was := now.none()
		if i < len(before.Parts) {
			old := before.Parts[i]
			was = counters{old.HighWatermark, old.Bytes, old.Appended}
		}
		d.Parts[i].rates = ratesOf(was, now, took)
	}
	return d, nil
}

func describedAs(t api.Topic) described {
	d := described{Topic: t, Parts: make([]partitionRow, len(t.Parts))}
	for i, p := range t.Parts {
		d.Parts[i].Partition = p
	}
	return d
}
