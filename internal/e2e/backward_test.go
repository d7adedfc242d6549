package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/samsatest"
)

// backward reads backwards and renders records by their values, and errors as "!".
func (k *kit) backward(tp samsa.TopicPartition, from samsa.Start) string {
	k.t.Helper()
	var all []string
	for r, err := range k.Backward(k.ctx, tp, from) {
		switch {
		case err == nil:
			all = append(all, string(r.Value))
		case errors.Is(err, samsa.ErrCorruptRecord) && strings.HasPrefix(err.Error(), "backward: "+tp.String()):
			all = append(all, "!")
		default:
			k.t.Errorf("%s: %v", from, err)
		}
	}
	return strings.Join(all, " ")
}

// letters makes t/0 and t/1: a, b c, d e f and g in batches of t/0, of which each record is an hour younger than the
// one before, and z in t/1.
func letters(t *testing.T) (k *kit, first time.Time) {
	t.Helper()
	k = inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}})
	k.create("t", 2)
	first = time.Now().Add(-10 * time.Hour).Truncate(time.Millisecond)
	at := first
	for _, batch := range []string{"a", "bc", "def", "g"} {
		var records []samsa.Record
		for _, v := range batch {
			records = append(records, samsa.Record{Topic: "t", Value: []byte(string(v)), Timestamp: at})
			at = at.Add(time.Hour)
		}
		k.produce(records...)
	}
	k.put("t", 1, "z")
	return k, first
}

func TestBackward(t *testing.T) {
	k, first := letters(t)
	for _, tc := range []struct {
		from samsa.Start
		want string
	}{
		{samsa.Latest(), "g f e d c b a"},
		{samsa.AtOffset(7), "g f e d c b a"},
		{samsa.AtOffset(6), "f e d c b a"},
		{samsa.AtOffset(4), "d c b a"},
		{samsa.AtOffset(1), "a"},
		{samsa.AtOffset(0), ""},
		{samsa.Earliest(), ""},
		{samsa.AtTime(first.Add(2 * time.Hour)), "b a"},
		{samsa.AtTime(first.Add(2*time.Hour + time.Millisecond)), "c b a"},
		{samsa.AtTime(first), ""},
		{samsa.AtTime(time.Now()), "g f e d c b a"},
	} {
		if got := k.backward(t0, tc.from); got != tc.want {
			t.Errorf("before %s: %s, want %s", tc.from, got, tc.want)
		}
	}
	if got := k.backward(t1, samsa.Latest()); got != "z" {
		t.Error(got)
	}
	k.deleteRecords("t", 0, 2) // in the middle of a batch
	if got := k.backward(t0, samsa.Latest()); got != "g f e d c" {
		t.Error(got)
	}
	if got := k.backward(t0, samsa.AtOffset(1)); got != "" {
		t.Error(got)
	}
	k.deleteRecords("t", 0, -1)
	if got := k.backward(t0, samsa.Latest()); got != "" {
		t.Error(got)
	}
}

// Records come whole, and stay valid when the loop has gone on.
func TestBackwardGivesWholeRecords(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	var want []samsa.Record
	for i := range 10 {
		var call []samsa.Record
		for j := range 1 + i%3 {
			call = append(call, samsa.Record{
				Topic: "t", Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte{byte(i), byte(j)}, 500),
				Headers: []samsa.Header{{Key: "h", Value: fmt.Append(nil, j)}},
			})
		}
		want = append(want, k.produce(call...)...)
	}
	var got []samsa.Record
	for r, err := range k.Backward(k.ctx, t0, samsa.Latest()) {
		k.must(err)
		got = append(got, r)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		sameRecord(t, "backward", withMillis(want[i]), withMillis(got[len(got)-1-i]))
	}
}

// A damaged batch is one error, in its place, and what is older comes behind it.
func TestBackwardMeetsDamage(t *testing.T) {
	for damaged, want := range map[string]string{
		"a": "g f e d c b !", "b": "g f e d ! a", "e": "g ! c b a", "g": "! f e d c b a", "be": "g ! ! a", "abdg": "! ! ! !",
	} {
		k, _ := letters(t)
		for _, v := range damaged {
			samsatest.Corrupt(t, k.Broker, "t", 0, int64(v-'a'))
		}
		if got := k.backward(t0, samsa.Latest()); got != want {
			t.Errorf("damaged %s: %s, want %s", damaged, got, want)
		}
		for _, err := range k.Backward(k.ctx, t0, samsa.Latest()) {
			if err != nil && !errors.Is(err, samsa.ErrCorruptRecord) {
				t.Error(err)
			}
			break // also at an error
		}
	}
}

// Of a batch that is damaged in the middle of its records, which only who decodes it notices, the records before that
// come behind the error. Forward they come before it.
func TestBackwardMeetsDamagedRecord(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	k.create("t", 1)
	k.write("t", "a")
	k.write("t", "b", "c", "d")
	k.write("t", "e")
	spoilRecord(k, "d")
	if got := k.backward(t0, samsa.Latest()); got != "e ! c b a" {
		t.Error(got)
	}
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	if read, errs := k.until(c, nil); read != "t/0@0 t/0@1 t/0@2 t/0@4" || len(errs) != 1 || sentinel(errs[0]) != "ErrCorruptRecord" {
		t.Errorf("forward: %s, %v", read, errs)
	}
	k.wantPositions(c, "t/0@5")
}

// spoilRecord damages the record of t/0 with that value, of one byte, in an uncompressed batch.
func spoilRecord(k *kit, value string) {
	k.t.Helper()
	in := k.inside()
	known, err := in.Catalogue.Get("t")
	k.must(err)
	p, err := known.Partition(0)
	k.must(err)
	_, err = p.Read(0, nil, func(sb log.StoredBatch) bool {
		b := slices.Clone(sb.Batch)
		// What is before the value is its length, what is before that the length of the key, none.
		i := bytes.LastIndex(b, append([]byte{1, 2}, value...))
		if i < 0 {
			return true
		}
		b[i+1] = 100
		overwrite(k, p, sb, b)
		return false
	})
	k.must(err)
}

func TestBackwardErrors(t *testing.T) {
	k, _ := letters(t)
	ended, cancel := context.WithCancel(k.ctx)
	cancel()
	for _, tc := range []struct {
		ctx  context.Context
		tp   samsa.TopicPartition
		from samsa.Start
		want error
	}{
		{k.ctx, samsa.TopicPartition{Topic: "no"}, samsa.Latest(), samsa.ErrUnknownTopic},
		{k.ctx, samsa.TopicPartition{Topic: "t", Partition: 2}, samsa.Latest(), samsa.ErrUnknownPartition},
		{k.ctx, samsa.TopicPartition{Topic: "t", Partition: -1}, samsa.Latest(), samsa.ErrUnknownPartition},
		{k.ctx, t0, samsa.AtOffset(8), samsa.ErrOffsetOutOfRange},
		{k.ctx, t0, samsa.AtOffset(-1), samsa.ErrOffsetOutOfRange},
		{k.ctx, t0, samsa.Committed(), samsa.ErrInvalidOption},
		{ended, t0, samsa.Latest(), context.Canceled},
	} {
		n := 0
		for _, err := range k.Backward(tc.ctx, tc.tp, tc.from) {
			if n++; !errors.Is(err, tc.want) {
				t.Errorf("%s before %s: %v, want %v", tc.tp, tc.from, err, tc.want)
			}
		}
		if n != 1 {
			t.Errorf("%s before %s: %d times", tc.tp, tc.from, n)
		}
	}
	for name, tc := range map[string]struct {
		do   func(cancel func())
		read int
		want error
	}{
		"the end of ctx":  {func(cancel func()) { cancel() }, 1, context.Canceled},
		"a fault":         {func(func()) { samsatest.Fetches(k.Broker, "t").Next(1).FailWith(samsa.ErrDiskFull) }, 1, samsa.ErrDiskFull},
		"a deleted topic": {func(func()) { k.must(k.Topics().Delete(k.ctx, "t")) }, 1, samsa.ErrUnknownTopic},
		"a closed broker": {func(func()) { k.must(k.Close()) }, 0, samsa.ErrClosed},
	} {
		k, _ = letters(t)
		if tc.read == 0 {
			tc.do(nil)
		}
		ctx, cancel := context.WithCancel(k.ctx)
		n, last := 0, error(nil)
		for _, last = range k.Backward(ctx, t0, samsa.Latest()) {
			if n++; n == 1 && tc.read == 1 {
				tc.do(cancel)
			}
		}
		cancel()
		if n != tc.read+1 || !errors.Is(last, tc.want) {
			t.Errorf("%s: %d times, %v", name, n, last)
		}
	}
}

// What is appended while the loop goes on is not seen, what is removed is not there when the loop comes to it.
func TestBackwardMeanwhile(t *testing.T) {
	k, _ := letters(t)
	var got []string
	for r, err := range k.Backward(k.ctx, t0, samsa.Latest()) {
		k.must(err)
		got = append(got, string(r.Value))
		switch string(r.Value) {
		case "g":
			k.put("t", 0, "h", "i")
		case "e":
			k.deleteRecords("t", 0, 2) // c is the first
		}
	}
	if want := "g f e d c"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	got = got[:0]
	for r, err := range k.Backward(k.ctx, t0, samsa.Latest()) {
		k.must(err)
		got = append(got, string(r.Value))
		k.deleteRecords("t", 0, -1)
	}
	if fmt.Sprint(got) != "[i]" {
		t.Error(got)
	}
}

// However much there is, one batch is in memory.
func TestBackwardTakesTheMemoryOfABatch(t *testing.T) {
	const size = 1 << 20
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	for range 64 {
		k.produce(samsa.Record{Topic: "t", Value: make([]byte, size*9/10)}, samsa.Record{Topic: "t"})
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most, n := m.HeapAlloc, uint64(0), 0
	for _, err := range k.Backward(k.ctx, t0, samsa.Latest()) {
		k.must(err)
		if n++; n%16 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if n != 128 || most > before+8*size {
		t.Errorf("%d records, %d MiB more than before", n, (most-before)>>20)
	}
}

func TestConsumerSeekLast(t *testing.T) {
	k, _ := letters(t)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	for _, tc := range []struct {
		n    int64
		tps  []samsa.TopicPartition
		want string
	}{
		{0, nil, "t/0@7 t/1@1"},
		{1, nil, "t/0@6 t/1@0"},
		{2, nil, "t/0@5 t/1@0"}, // t/1 has not so many
		{4, nil, "t/0@3 t/1@0"},
		{5, nil, "t/0@2 t/1@0"},
		{7, nil, "t/0@0 t/1@0"},
		{1 << 62, nil, "t/0@0 t/1@0"},
		{0, []samsa.TopicPartition{t1}, "t/0@0 t/1@1"},
		{3, []samsa.TopicPartition{t0}, "t/0@4 t/1@1"},
	} {
		k.must(c.SeekLast(k.ctx, tc.n, tc.tps...))
		k.wantPositions(c, tc.want)
	}
	if got := values(k.read(c, 3)); !slices.Equal(got, []string{"e", "f", "g"}) {
		t.Errorf("then come %v", got)
	}
	k.deleteRecords("t", 0, 4) // in the middle of a batch
	for n, want := range map[int64]string{2: "t/0@5", 3: "t/0@4", 4: "t/0@4", 5: "t/0@4"} {
		k.must(c.SeekLast(k.ctx, n, t0))
		k.wantPositions(c, want+" t/1@1")
	}
}

// A damaged batch has no records that count.
func TestConsumerSeekLastMeetsDamage(t *testing.T) {
	k, _ := letters(t)
	samsatest.Corrupt(t, k.Broker, "t", 0, 4)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	for n, want := range map[int64]string{1: "t/0@6", 2: "t/0@2", 3: "t/0@1", 4: "t/0@0"} {
		k.must(c.SeekLast(k.ctx, n, t0))
		k.wantPositions(c, want+" t/1@0")
	}
}

// When it fails no position has moved, of any partition.
func TestConsumerSeekLastFails(t *testing.T) {
	k, _ := letters(t)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.AtOffset(1)})
	ended, cancel := context.WithCancel(k.ctx)
	cancel()
	for name, tc := range map[string]struct {
		do   func() error
		want error
	}{
		"negative":      {func() error { return c.SeekLast(k.ctx, -1) }, samsa.ErrInvalidOption},
		"foreign":       {func() error { return c.SeekLast(k.ctx, 1, t0, samsa.TopicPartition{Topic: "t", Partition: 2}) }, samsa.ErrUnknownPartition},
		"the end of it": {func() error { return c.SeekLast(ended, 1) }, context.Canceled},
		"a fault": {func() error {
			samsatest.Fetches(k.Broker, "t", 1).Next(1).Fail()
			return c.SeekLast(k.ctx, 1)
		}, nil},
	} {
		if err := tc.do(); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		k.wantPositions(c, "t/0@1 t/1@1")
	}
	k.must(c.Close())
	if err := c.SeekLast(k.ctx, 1); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// overwrite stores b in the place of sb.
func overwrite(k *kit, p *partition.Partition, sb log.StoredBatch, b log.Batch) {
	k.t.Helper()
	tx := &writer.Tx{Essential: true}
	key := store.BatchKey{PartitionID: p.ID(), LastOffset: sb.LastOffset, MaxTimestamp: sb.MaxTimestamp}
	tx.Writes.Set(store.AppendBatchKey(nil, key), b)
	k.must(k.inside().Committer.Do(tx))
}
