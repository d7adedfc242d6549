package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	busiestMax = 10 // topics of the overview
	behindMax  = 10 // groups of the overview
)

// overview is what the first page shows.
type overview struct {
	Stats     samsa.Stats
	Rates     rates
	Retention samsa.RetentionStats
	NextDue   time.Time
	Groups    int
	Busiest   []topicRow
	Behind    []groupRow
	Looked    int // groups among which Behind was found
	Open      []samsa.OpenTransaction
}

func (c *console) overview(ctx context.Context, _ *http.Request) (view, error) {
	v := view{Page: "overview.html", Title: "Overview", Nav: "Overview"}
	var o overview
	samples, err := c.history.note(ctx, c.broker())
	if err != nil {
		return v, err
	}
	o.Stats, o.Rates = samples[len(samples)-1].stats, ratesOf(samples)
	sizes, err := c.sizes.now(ctx, c.broker())
	if err != nil { // a value that is damaged is no reason to show nothing
		v.Notes = append(v.Notes, err.Error())
	}
	o.Retention = sizes.RetentionStats
	for _, p := range o.Retention.Partitions {
		if !p.NextDue.IsZero() && (o.NextDue.IsZero() || p.NextDue.Before(o.NextDue)) {
			o.NextDue = p.NextDue
		}
	}
	if o.Busiest, err = c.busiest(ctx, sizes); err != nil {
		return v, err
	}
	names, err := c.broker().Groups().List(ctx)
	if err != nil {
		return v, err
	}
	o.Groups = len(names)
	o.Behind, o.Looked = c.groupRows(ctx, names)
	slices.SortStableFunc(o.Behind, func(a, b groupRow) int { return cmp.Compare(b.Lag, a.Lag) })
	o.Behind = o.Behind[:min(len(o.Behind), behindMax)]
	if o.Open, err = c.broker().Transactions().Open(ctx); err != nil {
		v.Notes = append(v.Notes, err.Error())
	}
	v.Data = o
	return v, nil
}

// busiest returns the topics that grow fastest, and among those that do not the largest ones.
func (c *console) busiest(ctx context.Context, sizes known) ([]topicRow, error) {
	per, err := c.growth.note(ctx, c.broker(), sizes.topic)
	if err != nil {
		return nil, err
	}
	names, err := c.broker().Topics().List(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, internal)
	value := func(name string) float64 {
		if v := per[name]; v != nil {
			return *v
		}
		return 0
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(sizes.topic[b], sizes.topic[a]))
	})
	return c.topicRows(ctx, names[:min(len(names), busiestMax)], sizes, per), nil
}
