package cluster_test

import (
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// A program takes records of one topic to another, each once, as it does with a broker of its own.
func TestTakesOver(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		b, in, out := open(t, k), k.Create("in", 1), k.Create("out", 2)
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.ProduceSync(k.Ctx, samsa.Record{Topic: in, Value: []byte("a")}, samsa.Record{Topic: in, Value: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Produce(k.Ctx, samsa.Record{Topic: in, Value: []byte("c")}); err != nil {
			t.Fatal(err)
		}
		c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Group: k.Name("g"), Topics: []string{in}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		for n := 0; n < 3; {
			records, err := c.Poll(k.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			n += len(records)
			err = b.Update(k.Ctx, func(tx *samsa.Tx) error {
				for _, r := range records {
					if err := tx.Produce(samsa.Record{Topic: out, Value: r.Value}); err != nil {
						return err
					}
				}
				return tx.CommitRecords(c, records...)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		all, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{out}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = all.Close() })
		got := make(map[string]int)
		for r, err := range all.RecordsUntil(k.Ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got[string(r.Value)]++
		}
		k.Want(got, map[string]int{"a": 1, "b": 1, "c": 1})
	})
}
