package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// partitionsOf are the partitions of t that produce has chosen for n records.
func partitionsOf(t *testing.T, n int, produce func(records ...samsa.Record) ([]samsa.Record, error)) string {
	t.Helper()
	records, err := produce(slices.Repeat([]samsa.Record{{Topic: "t", Partition: 3}}, n)...)
	if err != nil {
		t.Fatal(err)
	}
	var got []int32
	for _, r := range records {
		got = append(got, r.Partition)
	}
	return fmt.Sprint(got)
}

// A partitioner of a call is that of this call, with a memory of its own; what the call leaves open
// is as Options.Produce says.
func TestProduceWithAPartitioner(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}})
	k.create("t", 4)
	with := func(opts samsa.ProduceOptions) func(...samsa.Record) ([]samsa.Record, error) {
		return func(records ...samsa.Record) ([]samsa.Record, error) { return k.ProduceWith(k.ctx, opts, records...) }
	}
	turns := samsa.ProduceOptions{Partitioner: samsa.RoundRobinPartitioner()}
	for _, tt := range []struct {
		opts samsa.ProduceOptions
		n    int
		want string
	}{
		{turns, 3, "[0 1 2]"},
		{samsa.ProduceOptions{}, 1, "[3]"},
		{turns, 1, "[0]"},
		{samsa.ProduceOptions{Acks: samsa.AckSynced, Compression: samsa.CompressionGzip}, 2, "[3 3]"},
	} {
		if got := partitionsOf(t, tt.n, with(tt.opts)); got != tt.want {
			t.Errorf("%+v: partitions %s, want %s", tt.opts, got, tt.want)
		}
	}
	before := ends(t, k.Broker)
	err := k.Update(k.ctx, func(tx *samsa.Tx) error {
		r := samsa.Record{Topic: "t", Partition: 3}
		return errors.Join(tx.Produce(r), tx.ProduceWith(turns, r, r), tx.Produce(r), tx.ProduceWith(turns, r))
	})
	if err != nil {
		t.Fatal(err)
	}
	for tp, end := range ends(t, k.Broker) {
		if got, want := end-before[tp], []int64{2, 1, 0, 2}[tp.Partition]; got != want {
			t.Errorf("%s: the transaction has stored %d, want %d", tp, got, want)
		}
	}
	wrong := samsa.ProduceOptions{Acks: samsa.AckNone, Compression: 9, Partitioner: samsa.PartitionerByTopic(map[string]samsa.Partitioner{"t": nil}, nil)}
	_, err = with(wrong)(samsa.Record{Topic: "t"})
	names := []string{"ProduceOptions.Acks is none", "ProduceOptions.Compression is compression(9)", "ProduceOptions.Partitioner is one that cannot choose"}
	checkWrong(t, err, names)
	checkWrong(t, k.Update(k.ctx, func(tx *samsa.Tx) error { _ = tx.ProduceWith(wrong, samsa.Record{Topic: "t"}); return nil }), names)
}

// Batches of a call are compressed as it says, beside others of the same transaction and partition.
func TestProduceWithACompression(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	k.create("t", 1)
	large := samsa.Record{Topic: "t", Value: []byte(strings.Repeat("a", 10_000))}
	packed := samsa.ProduceOptions{Compression: samsa.CompressionZstd}
	stored := func(fn func() error) (batches, bytes int64) {
		t.Helper()
		before, err := k.Stats(k.ctx)
		if err == nil {
			err = fn()
		}
		after, failed := k.Stats(k.ctx)
		if err := errors.Join(err, failed); err != nil {
			t.Fatal(err)
		}
		return after.Batches - before.Batches, after.Bytes - before.Bytes
	}
	if n, bytes := stored(func() error { _, err := k.ProduceWith(k.ctx, packed, large); return err }); n != 1 || bytes > 1000 {
		t.Errorf("compressed: %d batches, %d bytes", n, bytes)
	}
	n, bytes := stored(func() error {
		return k.Update(k.ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(large), tx.Produce(large), tx.ProduceWith(packed, large), tx.ProduceWith(packed, large), tx.Produce(large))
		})
	})
	if n != 3 || bytes < 30_000 || bytes > 31_000 {
		t.Errorf("a transaction of both kinds: %d batches, %d bytes", n, bytes)
	}
	if got := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 6); slices.ContainsFunc(got, func(r samsa.Record) bool { return string(r.Value) != string(large.Value) }) {
		t.Error("a record is not what was produced")
	}
}

// A call can ask for fsync where Options.Produce does not, and one that does not say so has it where
// Options.Produce does.
func TestProduceWithAcks(t *testing.T) {
	synced := samsa.ProduceOptions{Acks: samsa.AckSynced}
	for name, tt := range map[string]struct {
		of, call samsa.ProduceOptions
	}{
		"of the call":   {samsa.ProduceOptions{}, synced},
		"of the broker": {synced, samsa.ProduceOptions{Compression: samsa.CompressionNone}},
	} {
		for door, produce := range map[string]func(b *samsa.Broker) error{
			"call": func(b *samsa.Broker) error {
				_, err := b.ProduceWith(t.Context(), tt.call, samsatest.Record("t", "kept"))
				return err
			},
			"transaction": func(b *samsa.Broker) error {
				return b.Update(t.Context(), func(tx *samsa.Tx) error {
					return errors.Join(tx.ProduceWith(tt.call, samsatest.Record("t", "kept")), tx.Produce())
				})
			},
		} {
			b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Produce: tt.of}))
			if err := produce(b); err != nil {
				t.Fatal(err)
			}
			samsatest.CutPower(t, b)
			b = samsatest.Restart(t, b)
			if got := samsatest.Texts(samsatest.Drain(t, b, "t")); !slices.Equal(got, []string{"kept"}) {
				t.Errorf("%s, %s: after the power cut there is %q", name, door, got)
			}
		}
	}
}
