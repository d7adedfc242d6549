package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// benching is a load and what it is measured by.
type benching struct {
	e          *env
	topic      string // "" for one of its own, which is deleted at the end
	records    int
	size       int
	batch      int
	workers    int
	partitions int
	acks       string
}

// benched is a part of a load, measured.
type benched struct {
	Part    string        `json:"part"` // produce or consume
	Records int           `json:"records"`
	Bytes   int64         `json:"bytes"` // of values
	Took    api.Duration  `json:"took_ms"`
	Rate    float64       `json:"records_per_s"`
	P50     time.Duration `json:"p50_ns"` // of a batch, from its call to its answer
	P95     time.Duration `json:"p95_ns"`
	P99     time.Duration `json:"p99_ns"`
	Max     time.Duration `json:"max_ns"`
}

// maxBenchBatch bounds the bytes of the values of a batch.
const maxBenchBatch = maxLine

func (e *env) bench() *cobra.Command {
	n := &benching{e: e}
	cmd := &cobra.Command{
		Use:     "bench",
		GroupID: groupSelf,
		Short:   "Put load on a broker, and measure it",
		Long: `bench produces records in batches, from several workers at once, each of which waits for the answer before it sends the next batch; then it
reads all of them once. It tells rates, and percentiles of how long a batch waited for its answer. The topic is one of its own, which
it deletes in the end, or the one of --topic, which stays. Random bytes do not compress.`,
		Example: `  samsa -b localhost:9092 bench --records 10000
  samsa -d ./data bench --records 1000 --batch 10 --size 1000 --acks synced`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, v := range map[string]int{"records": n.records, "size": n.size, "batch": n.batch, "workers": n.workers, "partitions": n.partitions} {
				if v < 1 {
					return usageError{fmt.Errorf("--%s is %d, want 1 or more", name, v)}
				}
			}
			if n.size > maxLine || n.batch > maxBenchBatch/n.size {
				return usageError{fmt.Errorf("--batch %d of --size %d: want at most %s at once", n.batch, n.size, size(maxBenchBatch))}
			}
			return e.with(cmd.Context(), true, n.run)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&n.topic, "topic", "", "use this `topic`, and leave the records there")
	fs.IntVar(&n.records, "records", 100_000, "produce this `number` of records")
	fs.IntVar(&n.size, "size", 100, "of this many `bytes` each")
	fs.IntVar(&n.batch, "batch", 100, "this `number` of them at once")
	fs.IntVar(&n.workers, "workers", 4, "from this `number` of workers")
	fs.IntVar(&n.partitions, "partitions", 4, "in this `number` of partitions, of a topic of its own")
	fs.StringVar(&n.acks, "acks", "", "wait until records are `stored` or synced; of a cluster all or leader")
	return cmd
}

func (n *benching) run(ctx context.Context, b backend.Backend) (err error) {
	if n.topic == "" {
		var id [6]byte
		_, _ = rand.Read(id[:])
		n.topic = "samsa_bench_" + hex.EncodeToString(id[:])
		if err := b.CreateTopic(ctx, api.NewTopic{Name: n.topic, Partitions: n.partitions}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.DeleteTopic(context.WithoutCancel(ctx), n.topic)) }()
	}
	begin, err := b.Offsets(ctx, n.topic, api.Latest())
	if err != nil {
		return err
	}
	produced, err := n.produce(ctx, b)
	if err != nil {
		return err
	}
	consumed, err := n.consume(ctx, b, begin)
	if err != nil {
		return err
	}
	return printRows(n.e, []column[benched]{
		{"PART", func(b benched) string { return b.Part }},
		{">RECORDS", func(b benched) string { return count(int64(b.Records)) }},
		{">BYTES", func(b benched) string { return size(b.Bytes) }},
		{">RECORDS/S", func(b benched) string { return fmt.Sprintf("%.0f", b.Rate) }},
		{">BYTES/S", func(b benched) string { return size(int64(float64(b.Bytes) / time.Duration(b.Took).Seconds())) }},
		{">P50", func(b benched) string { return short(b.P50) }},
		{">P95", func(b benched) string { return short(b.P95) }},
		{">P99", func(b benched) string { return short(b.P99) }},
		{">MAX", func(b benched) string { return short(b.Max) }},
	}, []benched{produced, consumed})
}

// short returns a time in few digits; "" for none.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// produce has workers produce batches until all are sent.
func (n *benching) produce(ctx context.Context, b backend.Backend) (benched, error) {
	value := make([]byte, n.size)
	_, _ = rand.Read(value)
	p := n.e.progress("produce", int64(n.records), false)
	defer p.end()
	var mu sync.Mutex
	var took []time.Duration
	var failure error
	left := n.records
	next := func() int { // how many a worker is to send now
		mu.Lock()
		defer mu.Unlock()
		if failure != nil {
			return 0
		}
		some := min(left, n.batch)
		left -= some
		return some
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	var workers sync.WaitGroup
	for w := range n.workers {
		workers.Go(func() {
			own, done, err := n.worker(ctx, b, w)
			defer done()
			for err == nil {
				some := next()
				if some == 0 {
					return
				}
				r := api.ProduceRequest{Acks: n.acks, Compression: "none", Records: make([]api.NewRecord, some)}
				for i := range r.Records {
					r.Records[i].Value = value
				}
				at := time.Now()
				_, err = own.Produce(ctx, n.topic, r)
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
				p.add(int64(some))
			}
			mu.Lock()
			defer mu.Unlock()
			if failure == nil {
				failure = err
			}
			cancel()
		})
	}
	workers.Wait()
	return measured("produce", n.records, int64(n.records)*int64(n.size), time.Since(began), took), failure
}

// worker returns the backend of a worker: a cluster's is for one caller.
func (n *benching) worker(ctx context.Context, b backend.Backend, w int) (own backend.Backend, done func(), err error) {
	if _, ok := b.(*backend.Kafka); !ok || w == 0 {
		return b, func() {}, nil
	}
	if own, err = n.e.open(ctx, true); err != nil {
		return nil, func() {}, err
	}
	return own, own.Close, nil
}

// consume reads once what was produced.
func (n *benching) consume(ctx context.Context, b backend.Backend, begin []api.PartitionOffset) (benched, error) {
	p := n.e.progress("consume", int64(n.records), false)
	defer p.end()
	r := api.FollowRequest{Topic: n.topic, From: api.Earliest(), Offsets: make(map[int32]int64), Until: true}
	for _, o := range begin {
		r.Offsets[o.Partition] = o.Offset
	}
	records, bytes := 0, int64(0)
	began := time.Now()
	err := b.Follow(ctx, r, func(rec api.Record) error {
		records++
		bytes += int64(len(rec.Value))
		p.add(1)
		return nil
	})
	return measured("consume", records, bytes, time.Since(began), nil), err
}

func measured(part string, records int, bytes int64, took time.Duration, each []time.Duration) benched {
	took = max(took, time.Microsecond)
	m := benched{Part: part, Records: records, Bytes: bytes, Took: api.Duration(took), Rate: float64(records) / took.Seconds()}
	if len(each) == 0 {
		return m
	}
	slices.Sort(each)
	at := func(percent int) time.Duration { return each[min(len(each)-1, len(each)*percent/100)] }
	m.P50, m.P95, m.P99, m.Max = at(50), at(95), at(99), each[len(each)-1]
	return m
}
