package console

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// Limits of a history.
const (
	historyMax   = 600             // samples
	historyEvery = time.Second     // at most
	historyGap   = time.Minute     // a rate over a longer time tells nothing of now
	sizesEvery   = 5 * time.Second // at most
	costShare    = 50              // what is noted takes this part of the time, at most
)

// sample is what a broker has done until a moment.
type sample struct {
	at    time.Time
	stats samsa.Stats
}

// history is what was noted of a broker. Nobody notes anything but who asks: a console that nobody looks at costs nothing.
type history struct {
	mu      sync.Mutex
	samples []sample // oldest first; mu guards it
}

// note returns the samples until now, with a new one if the last is old enough.
func (h *history) note(ctx context.Context, b *samsa.Broker) ([]sample, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if n := len(h.samples); n > 0 && now.Sub(h.samples[n-1].at) < historyEvery {
		return h.samples[:n:n], nil
	}
	s, err := b.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if len(h.samples) >= historyMax { // readers keep the old slice
		h.samples = append([]sample(nil), h.samples[len(h.samples)-historyMax/2:]...)
	}
	h.samples = append(h.samples, sample{now, s})
	n := len(h.samples)
	return h.samples[:n:n], nil
}

// rates are numbers per second between the last two samples; nil as long as there are none, or they are too far apart.
type rates struct{ Records, Bytes, Batches, Commits, Syncs, Failed *float64 }

func ratesOf(samples []sample) (r rates) {
	if len(samples) < 2 {
		return r
	}
	last, before := samples[len(samples)-1], samples[len(samples)-2]
	s := last.at.Sub(before.at).Seconds()
	if s > historyGap.Seconds() {
		return r
	}
	per := func(from, to int64) *float64 {
		if to < from { // a fake broker that was begun anew
			return nil
		}
		v := float64(to-from) / s
		return &v
	}
	a, b := before.stats, last.stats
	return rates{
		Records: per(a.Records, b.Records), Bytes: per(a.Bytes, b.Bytes), Batches: per(a.Batches, b.Batches),
		Commits: per(a.Commits, b.Commits), Syncs: per(a.Syncs, b.Syncs), Failed: per(a.Failed, b.Failed),
	}
}

// series is what a chart is drawn of: times in seconds since the epoch, and rates, null where none is known.
type series struct {
	Times   []float64  `json:"times"`
	Records []*float64 `json:"records"`
	Bytes   []*float64 `json:"bytes,omitempty"`
	Size    []int64    `json:"size,omitempty"` // bytes of live batches of a topic
}

// historyJSON answers with the series of the broker's rates, or of a topic.
func (c *console) historyJSON(w http.ResponseWriter, r *http.Request) {
	var s series
	var err error
	if name := r.FormValue("topic"); name != "" {
		s, err = c.topicSeries(r.Context(), name)
	} else {
		s, err = c.brokerSeries(r.Context())
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	body, err := json.Marshal(s)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	unlessSame(w, r, body)
}

// topicSeries returns the growth of a topic.
func (c *console) topicSeries(ctx context.Context, name string) (series, error) {
	if _, err := c.broker().Topics().Describe(ctx, name); err != nil {
		return series{}, err
	}
	sizes, err := c.sizes.now(ctx, c.broker())
	if err == nil {
		_, err = c.growth.note(ctx, c.broker(), sizes.topic)
	}
	return seriesOf(c.growth.of(name, sizes.topic)), err
}

// brokerSeries returns the rates of the broker.
func (c *console) brokerSeries(ctx context.Context) (series, error) {
	samples, err := c.history.note(ctx, c.broker())
	s := series{Times: []float64{}, Records: []*float64{}, Bytes: []*float64{}}
	for i := range samples {
		rate := ratesOf(samples[:i+1])
		s.Times = append(s.Times, float64(samples[i].at.UnixMilli())/1000)
		s.Records, s.Bytes = append(s.Records, rate.Records), append(s.Bytes, rate.Bytes)
	}
	return s, err
}

// sizes is what retention knows, as of a while ago: it asks for every partition.
type sizes struct {
	mu    sync.Mutex
	next  time.Time // mu guards these
	stats samsa.RetentionStats
	topic map[string]int64 // bytes of live batches
	part  map[samsa.TopicPartition]samsa.PartitionRetention
}

// known is what sizes has told. Nobody changes it.
type known struct {
	samsa.RetentionStats
	topic map[string]int64
	part  map[samsa.TopicPartition]samsa.PartitionRetention
}

// now returns what is known, not older than a few seconds, or fifty times as long as it takes to ask.
func (s *sizes) now(ctx context.Context, b *samsa.Broker) (known, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	if began.After(s.next) {
		stats, err := b.RetentionStats(ctx)
		if err != nil {
			return known{}, err
		}
		s.stats, s.topic, s.part = stats, make(map[string]int64), make(map[samsa.TopicPartition]samsa.PartitionRetention, len(stats.Partitions))
		for _, p := range stats.Partitions {
			s.topic[p.Topic] += p.BytesLive
			s.part[samsa.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p
		}
		took := time.Since(began)
		s.next = began.Add(max(sizesEvery, costShare*took))
	}
	return known{s.stats, s.topic, s.part}, nil
}
