package console

import (
	"context"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	linesMax   = 256 // topics whose growth is remembered: 4 MB in all
	spannedMax = 256 // partitions of a topic whose records are counted by time
)

// growth is what the topics have grown by. Nobody notes anything but who asks.
type growth struct {
	mu     sync.Mutex
	next   time.Time // mu guards these
	before ends
	last   ends
	per    map[string]*float64 // records per second between the two; nobody changes it
	lines  map[string]*line    // of linesMax topics: of those first that somebody has looked at
}

// ends is where the topics ended at a moment.
type ends struct {
	at  time.Time
	sum map[string]int64 // high watermarks, by topic
}

// line is the growth of one topic.
type line struct {
	looked time.Time // at its page, at last
	points []point   // oldest first
}

// point is how large a topic is at a moment.
type point struct{ ms, end, bytes int64 }

// note notes the ends of all topics, if the last ones are old enough, and returns records per second by topic; a topic
// of which nothing is known has none.
func (g *growth) note(ctx context.Context, b *samsa.Broker, bytes map[string]int64) (map[string]*float64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Before(g.next) {
		return g.per, nil
	}
	names, err := b.Topics().List(ctx)
	if err != nil {
		return nil, err
	}
	sum := make(map[string]int64, len(names))
	for _, name := range names {
		info, err := b.Topics().Describe(ctx, name)
		if err != nil {
			continue // deleted meanwhile, or damaged: there is nothing to say of it
		}
		for _, p := range info.Partitions {
			sum[name] += p.HighWatermark
		}
	}
	g.before, g.last = g.last, ends{now, sum}
	g.per = rateOf(g.before, g.last)
	g.draw(bytes)
	g.next = now.Add(max(historyEvery, costShare*time.Since(now)))
	return g.per, nil
}

// rateOf returns records per second by topic.
func rateOf(before, last ends) map[string]*float64 {
	s := last.at.Sub(before.at).Seconds()
	if before.sum == nil || s > historyGap.Seconds() {
		return nil
	}
	per := make(map[string]*float64, len(last.sum))
	for name, n := range last.sum {
		if old, ok := before.sum[name]; ok && n >= old {
			v := float64(n-old) / s
			per[name] = &v
		}
	}
	return per
}

// draw adds what was noted to the lines. Topics get one as long as there is room.
func (g *growth) draw(bytes map[string]int64) {
	if g.lines == nil {
		g.lines = make(map[string]*line)
	}
	for name := range g.lines {
		if _, ok := g.last.sum[name]; !ok {
			delete(g.lines, name)
		}
	}
	for name, end := range g.last.sum {
		l := g.lines[name]
		if l == nil {
			if len(g.lines) >= linesMax || internal(name) {
				continue
			}
			l = new(line)
			g.lines[name] = l
		}
		if len(l.points) >= historyMax { // readers keep the old slice
			l.points = append([]point(nil), l.points[len(l.points)-historyMax/2:]...)
		}
		l.points = append(l.points, point{g.last.at.UnixMilli(), end, bytes[name]})
	}
}

// of returns the growth of a topic that somebody looks at. It begins now if there was no room for it, in the place of the
// topic that nobody has looked at for the longest time.
func (g *growth) of(name string, bytes map[string]int64) []point {
	g.mu.Lock()
	defer g.mu.Unlock()
	end, ok := g.last.sum[name]
	if !ok {
		return nil
	}
	l := g.lines[name]
	if l == nil {
		if len(g.lines) >= linesMax {
			oldest := ""
			for other, o := range g.lines {
				if oldest == "" || o.looked.Before(g.lines[oldest].looked) {
					oldest = other
				}
			}
			delete(g.lines, oldest)
		}
		l = &line{points: []point{{g.last.at.UnixMilli(), end, bytes[name]}}}
		g.lines[name] = l
	}
	l.looked = time.Now()
	n := len(l.points)
	return l.points[:n:n]
}

// series returns what a chart of a topic is drawn of.
func seriesOf(points []point) series {
	s := series{Times: []float64{}, Records: []*float64{}, Size: []int64{}}
	for i, p := range points {
		s.Times, s.Size = append(s.Times, float64(p.ms)/1000), append(s.Size, p.bytes)
		var rate *float64
		if i > 0 {
			if before := points[i-1]; p.ms > before.ms && p.ms-before.ms <= historyGap.Milliseconds() && p.end >= before.end {
				v := float64(p.end-before.end) * 1000 / float64(p.ms-before.ms)
				rate = &v
			}
		}
		s.Records = append(s.Records, rate)
	}
	return s
}

// grown is by how much a topic has grown over a time.
type grown struct {
	Over    time.Duration
	Records int64
	Rate    *float64 // records per second
	Bytes   *int64   // that are stored more than then; nil if nobody noted it then
}

// spans are the times over which the page of a topic says how it has grown.
var spans = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// grownOf returns how a topic has grown, by the timestamps of its records, and by what was noted of its bytes. A topic of
// too many partitions is not counted.
func (c *console) grownOf(ctx context.Context, info samsa.TopicInfo, points []point) (all []grown, err error) {
	if len(info.Partitions) > spannedMax {
		return nil, nil
	}
	now := time.Now()
	for _, over := range spans {
		from, err := c.broker().ListOffsets(ctx, info.Name, samsa.AtTime(now.Add(-over)))
		if err != nil {
			return nil, err
		}
		g := grown{Over: over}
		for i, p := range info.Partitions[:min(len(from), len(info.Partitions))] {
			g.Records += max(0, p.HighWatermark-from[i].Offset)
		}
		rate := float64(g.Records) / over.Seconds()
		g.Rate = &rate
		if then := now.Add(-over).UnixMilli(); len(points) > 0 && points[0].ms <= then {
			last := points[len(points)-1].bytes
			for _, p := range points {
				if p.ms > then {
					break
				}
				more := last - p.bytes
				g.Bytes = &more
			}
		}
		all = append(all, g)
	}
	return all, nil
}
