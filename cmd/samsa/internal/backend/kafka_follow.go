package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// lookInterval is how often who follows all of a topic looks for new partitions.
const lookInterval = 30 * time.Second

// following is a Follow that is under way.
type following struct {
	k     *Kafka
	r     api.FollowRequest
	fn    func(api.Record) error
	cl    *kgo.Client
	begun map[int32]bool
	until map[int32]int64 // where partitions end that are not done yet; with Until
	left  int64           // records to come; 0 for no limit

	looked time.Time // for new partitions
}

// Follow implements Backend.
func (k *Kafka) Follow(ctx context.Context, r api.FollowRequest, fn func(api.Record) error) (err error) {
	f := &following{k: k, r: r, fn: fn, begun: make(map[int32]bool), left: r.Limit, looked: time.Now()}
	if r.From.IsZero() {
		f.r.From = api.Latest()
	}
	starts, err := f.starts(ctx, f.r.From)
	if err != nil {
		return err
	}
	if r.Until {
		if f.until, err = k.list(ctx, r.Topic, f.ends()); err != nil {
			return err
		}
		for p, end := range f.until {
			if start, ok := starts[p]; !ok || start >= end {
				delete(f.until, p)
				delete(starts, p)
			}
		}
		if len(starts) == 0 {
			return nil
		}
	}
	isolation := kgo.ReadCommitted()
	if r.Uncommitted {
		isolation = kgo.ReadUncommitted()
	}
	f.cl, err = k.client(kgo.ConsumePartitions(f.offsets(starts)), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return err
	}
	defer f.cl.Close()
	return f.run(ctx)
}

// starts returns where each partition that is wanted begins.
func (f *following) starts(ctx context.Context, from api.Position) (map[int32]int64, error) {
	d, err := f.k.details(ctx, f.r.Topic)
	if err != nil {
		return nil, err
	}
	starts, err := f.k.resolve(ctx, f.r.Topic, from)
	if err != nil {
		return nil, err
	}
	wanted := slices.Clone(f.r.Partitions)
	for p, o := range f.r.Offsets {
		wanted = append(wanted, p)
		starts[p] = o
	}
	for _, p := range wanted {
		if _, ok := d.Partitions[p]; !ok {
			return nil, fmt.Errorf("topic %s: %w %d", f.r.Topic, samsa.ErrUnknownPartition, p)
		}
	}
	for p := range starts {
		if len(f.r.Partitions) > 0 && !slices.Contains(f.r.Partitions, p) {
			delete(starts, p)
		}
	}
	return starts, nil
}

// ends returns the function that tells where partitions end for who reads: at the last stable offset, unless all is wanted.
func (f *following) ends() func(context.Context, ...string) (kadm.ListedOffsets, error) {
	if f.r.Uncommitted {
		return f.k.adm.ListEndOffsets
	}
	return f.k.adm.ListCommittedOffsets
}

// offsets notes that these partitions have begun, and returns them as kgo wants them.
func (f *following) offsets(starts map[int32]int64) map[string]map[int32]kgo.Offset {
	at := make(map[int32]kgo.Offset)
	for p, o := range starts {
		f.begun[p] = true
		at[p] = kgo.NewOffset().At(o)
	}
	return map[string]map[int32]kgo.Offset{f.r.Topic: at}
}

var errDone = errors.New("done")

// run reads until the end.
func (f *following) run(ctx context.Context) error {
	for {
		look, cancel := context.WithTimeout(ctx, lookInterval)
		fetches := f.cl.PollFetches(look)
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if err == nil {
				err = f.take(p)
			}
		})
		if errors.Is(err, errDone) {
			return nil
		}
		if err == nil {
			err = f.look(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// take takes what came of a partition.
func (f *following) take(p kgo.FetchTopicPartition) error {
	if p.Err != nil {
		if errors.Is(p.Err, context.DeadlineExceeded) { // nothing came
			return nil
		}
		return explained(fmt.Sprintf("topic %s, partition %d", f.r.Topic, p.Partition), p.Err)
	}
	end, ends := f.until[p.Partition]
	for _, rec := range p.Records {
		if f.r.Until && (!ends || rec.Offset >= end) {
			break
		}
		if a := record(rec); !rec.Attrs.IsControl() && wanted(a, f.r.Filter) {
			if err := f.fn(cut(a, f.r.MaxValue)); err != nil {
				return err
			}
			if f.left--; f.left == 0 {
				return errDone
			}
		}
	}
	n := len(p.Records)
	if ends && (n > 0 && p.Records[n-1].Offset >= end-1 || p.LogStartOffset >= end) {
		delete(f.until, p.Partition)
		f.cl.PauseFetchPartitions(map[string][]int32{f.r.Topic: {p.Partition}})
		if len(f.until) == 0 {
			return errDone
		}
	}
	return nil
}

// look has partitions be followed that are new.
func (f *following) look(ctx context.Context) error {
	if f.r.Until || len(f.r.Partitions) > 0 || time.Since(f.looked) < lookInterval {
		return nil
	}
	f.looked = time.Now()
	d, err := f.k.details(ctx, f.r.Topic)
	if err != nil || len(d.Partitions) <= len(f.begun) {
		return err
	}
	starts := make(map[int32]int64)
	for p := range d.Partitions {
		if !f.begun[p] {
			starts[p] = 0
		}
	}
	f.cl.AddConsumePartitions(f.offsets(starts))
	return nil
}

// record returns a record of kgo as one of the API.
func record(r *kgo.Record) api.Record {
	a := api.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: api.At(r.Timestamp), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		a.Headers = append(a.Headers, api.Header{Key: api.Text(h.Key), Value: h.Value})
	}
	return a
}

// wanted reports whether a filter has a record.
func wanted(r api.Record, f api.Filter) bool {
	if f.Key != nil && (r.Key == nil || !bytes.Equal(r.Key, f.Key)) {
		return false
	}
	if name, value, valued := strings.Cut(f.Header, "="); f.Header != "" && !slices.ContainsFunc(r.Headers, func(h api.Header) bool {
		return string(h.Key) == name && (!valued || string(h.Value) == value)
	}) {
		return false
	}
	has := func(b []byte) bool { return bytes.Contains(b, f.Contains) }
	return f.Contains == nil || has(r.Key) || has(r.Value) || slices.ContainsFunc(r.Headers, func(h api.Header) bool {
		return has([]byte(h.Key)) || has(h.Value)
	})
}

// cut cuts the key, the value and the headers of a record behind n bytes; 0 leaves them whole.
func cut(r api.Record, n int) api.Record {
	if n <= 0 {
		return r
	}
	if len(r.Key) > n {
		r.Key, r.KeySize = r.Key[:n], len(r.Key)
	}
	if len(r.Value) > n {
		r.Value, r.ValueSize = r.Value[:n], len(r.Value)
	}
	for i, h := range r.Headers {
		if len(h.Value) > n {
			r.Headers[i].Value, r.Headers[i].Size = h.Value[:n], len(h.Value)
		}
	}
	return r
}
