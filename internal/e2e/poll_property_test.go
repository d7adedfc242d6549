package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
)

// The poll property test reads a topic by all the ways there are, in any order, with seeks, pauses and writes
// in between and during them, and compares with a model that has one number for each partition. Time is virtual.

func TestPollProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() { runPolls(rt) })
	})
}

const pollPartitions = 3

// poller is a consumer and what it should do.
type poller struct {
	b      *samsa.Broker
	c      *samsa.Consumer
	opts   samsa.ConsumerOptions
	ends   [pollPartitions]int64 // of the partitions
	next   [pollPartitions]int64 // offsets to come
	done   [pollPartitions]int64 // processed up to there
	given  [pollPartitions]bool  // since the program came back
	paused [pollPartitions]bool
	writes sync.WaitGroup
	mu     sync.Mutex // guards ends while something is written
}

func runPolls(t *rapid.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	p := &poller{b: b, opts: samsa.ConsumerOptions{
		Topics:         []string{"t"},
		MaxPollRecords: rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "MaxPollRecords"),
		MaxPollBytes:   rapid.SampledFrom([]int{0, 0, 10, 100}).Draw(t, "MaxPollBytes"),
		Group:          rapid.SampledFrom([]string{"", "g"}).Draw(t, "group"),
	}}
	ctx := context.Background()
	err = b.Topics().Create(ctx, "t", samsa.TopicConfig{Partitions: pollPartitions})
	if err == nil {
		p.c, err = b.NewConsumer(ctx, p.opts)
	}
	if err == nil && p.opts.Group != "" { // it joins
		_, err = p.c.Collect(ctx, 1, time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Repeat(map[string]func(*rapid.T){
		"":             p.check,
		"write":        func(t *rapid.T) { p.write(drawWrite(t)) },
		"Poll":         p.poll,
		"PollRecords":  p.pollRecords,
		"Collect":      p.collect,
		"Collect more": p.collect,
		"Records":      p.loop,
		"Seek":         p.seek,
		"Pause":        p.pause,
		"wait":         func(*rapid.T) { synctest.Wait() }, // all is read ahead
	})
	mustClose(t, p.c)
	p.checkCommitted(t)
}

func partitionOf(i int32) samsa.TopicPartition {
	return samsa.TopicPartition{Topic: "t", Partition: i}
}

// drawWrite draws how many records come into which partition.
func drawWrite(t *rapid.T) (partition int32, n int) {
	return rapid.Int32Range(0, pollPartitions-1).Draw(t, "partition"), rapid.IntRange(1, 9).Draw(t, "records")
}

// write adds a batch. The value of a record is its offset.
func (p *poller) write(partition int32, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	records := make([]samsa.Record, n)
	for i := range records {
		records[i] = samsa.Record{Topic: "t", Partition: partition, Value: fmt.Append(nil, p.ends[partition]+int64(i))}
	}
	opts := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
	if _, err := p.b.ProduceWith(context.Background(), opts, records...); err != nil {
		panic(err)
	}
	p.ends[partition] += int64(n)
}

// unread is how many records are to come.
func (p *poller) unread() (n int) {
	for i, end := range p.ends {
		if !p.paused[i] {
			n += int(max(0, end-p.next[i]))
		}
	}
	return n
}

// back notes that the program comes back for more.
func (p *poller) back() { p.done, p.given = p.next, [pollPartitions]bool{} }

// got compares records.
func (p *poller) got(t *rapid.T, records ...samsa.Record) {
	for _, r := range records {
		i := r.Partition
		if p.paused[i] || r.Offset != p.next[i] || string(r.Value) != fmt.Sprint(r.Offset) {
			t.Fatalf("got %s, want offset %d, paused: %t", texts([]samsa.Record{r})[0], p.next[i], p.paused[i])
		}
		p.next[i]++
		p.given[i] = true
	}
}

func (p *poller) poll(t *rapid.T) { p.pollUpTo(t, max(p.opts.MaxPollRecords, 1)*4096, p.c.Poll) }

func (p *poller) pollRecords(t *rapid.T) {
	limit := rapid.IntRange(1, 20).Draw(t, "max")
	p.pollUpTo(t, limit, func(ctx context.Context) ([]samsa.Record, error) { return p.c.PollRecords(ctx, limit) })
}

func (p *poller) pollUpTo(t *rapid.T, limit int, poll func(context.Context) ([]samsa.Record, error)) {
	unread := p.unread()
	p.back()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	records, err := poll(ctx)
	p.got(t, records...)
	switch {
	case unread == 0 && !errors.Is(err, context.DeadlineExceeded):
		t.Fatalf("nothing to read, got %v", err)
	case unread > 0 && (err != nil || len(records) == 0 || len(records) > limit):
		t.Fatalf("got %d records of %d, %v, want %d at most", len(records), unread, err, limit)
	}
}

// collect has records written, and the context end, while Collect sleeps.
func (p *poller) collect(t *rapid.T) {
	const within = time.Minute
	n := rapid.IntRange(1, 30).Draw(t, "n")
	unread, want := p.unread(), within
	p.back()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if unread >= n {
		want = 0
	}
	ends := rapid.IntRange(0, 9).Draw(t, "the context ends") == 0
	for i := range rapid.IntRange(0, 2).Draw(t, "writes") {
		partition, more := drawWrite(t)
		at := time.Duration(i+1) * time.Second
		p.writes.Go(func() { time.Sleep(at); p.write(partition, more) })
		if !p.paused[partition] { // a position behind the end is reset before anything is written there
			if unread += more; unread >= n {
				want = min(want, at)
			}
		}
	}
	if ends {
		time.AfterFunc(30*time.Second, cancel)
	}
	began := time.Now()
	records, err := p.c.Collect(ctx, n, within)
	took := time.Since(began)
	p.got(t, records...)
	p.writes.Wait()
	switch full := p.opts.MaxPollBytes > 0; {
	case err != nil && (!ends || !errors.Is(err, context.Canceled) || took != 30*time.Second || len(records) > 0):
		t.Fatalf("got %d records, %v, after %s", len(records), err, took)
	case err != nil:
	case len(records) > n || took > want || len(records) < n && took < want && !full:
		t.Fatalf("got %d records after %s, want %d of %d after %s", len(records), took, n, unread, want)
	case len(records) == 0 && (unread > 0 || took < within):
		t.Fatalf("got nothing after %s, there are %d", took, unread)
	}
}

// loop reads some records and breaks.
func (p *poller) loop(t *rapid.T) {
	unread := p.unread()
	if unread == 0 {
		return
	}
	n := rapid.IntRange(1, unread).Draw(t, "records")
	p.back()
	for r, err := range p.c.Records(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		p.got(t, r)
		if n--; n == 0 {
			return
		}
		p.back()
	}
}

func (p *poller) seek(t *rapid.T) {
	i := rapid.Int32Range(0, pollPartitions-1).Draw(t, "partition")
	to := rapid.Int64Range(0, p.ends[i]).Draw(t, "to")
	if err := p.c.Seek(context.Background(), partitionOf(i), to); err != nil {
		t.Fatal(err)
	}
	if !p.given[i] || to < p.done[i] {
		p.done[i] = to
	}
	p.next[i] = to
}

func (p *poller) pause(t *rapid.T) {
	i := rapid.Int32Range(0, pollPartitions-1).Draw(t, "partition")
	set := p.c.Pause
	if p.paused[i] {
		set = p.c.Resume
	}
	if err := set(partitionOf(i)); err != nil {
		t.Fatal(err)
	}
	p.paused[i] = !p.paused[i]
}

func (p *poller) check(t *rapid.T) {
	total := int64(0)
	for i := range int32(pollPartitions) {
		if at, err := p.c.Position(partitionOf(i)); err != nil || at != p.next[i] {
			t.Fatalf("position in %d is %d, %v, want %d", i, at, err, p.next[i])
		}
		total += p.ends[i] - p.next[i]
	}
	if lag, err := p.c.TotalLag(context.Background()); err != nil || lag != total {
		t.Fatalf("total lag %d, %v, want %d", lag, err, total)
	}
}

// checkCommitted wants what auto-commit has left, at Close, to be what was processed.
func (p *poller) checkCommitted(t *rapid.T) {
	if p.opts.Group == "" {
		return
	}
	committed, err := p.b.Groups().Committed(context.Background(), p.opts.Group)
	if err != nil {
		t.Fatal(err)
	}
	for i, done := range p.done {
		if at := committed[partitionOf(int32(i))].Offset; at != done {
			t.Fatalf("committed in %d is %d, want %d", i, at, done)
		}
	}
}
