package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// What a producer with an ID has stored, and a transactional id, are remembered for 7 days after their last use, over restarts
// and in snapshots, and not longer: nothing is left in the store. A broker that is opened to read forgets nothing, and one that
// was closed while the time passed forgets only what nobody uses at once.
func TestIDsAreForgotten(t *testing.T) {
	const week = 7 * 24 * time.Hour
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		ids := func(b *samsa.Broker) string {
			t.Helper()
			ids, err := b.Transactions().List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(ids)
		}
		stored := func(b *samsa.Broker, id string) string {
			t.Helper()
			p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			var all [2]int64
			for i := range all {
				n, err := p.Stored(t.Context(), samsa.TopicPartition{Topic: "t", Partition: int32(i)})
				if err != nil {
					t.Fatal(err)
				}
				all[i] = n
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(all)
		}
		is := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		// sweep lets the sweep come that is due.
		sweep := func(b *samsa.Broker) {
			t.Helper()
			synctest.Wait()
			if _, err := b.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		k := &kit{Broker: mustOpen(t, dir, samsa.Options{}), t: t, ctx: t.Context()}
		if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{Partitions: 2, Retention: samsa.Unlimited}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"import", "claimed"} {
			p := k.producer(samsa.ProducerOptions{ID: id, Partitioner: samsa.ManualPartitioner()})
			if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t"}, samsa.Record{Topic: "t", Partition: 1}, samsa.Record{Topic: "t", Partition: 1}); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		payments := k.transactional("payments")
		payments.write(samsa.TopicPartition{Topic: "t"}, "x")
		payments.end(true)
		snapshot := snapshotOf(t, k.Broker)
		mustClose(t, k.Broker)

		time.Sleep(week - time.Hour)
		b := mustOpen(t, dir, samsa.Options{})
		sweep(b)
		is("before its time", ids(b), "[payments]")
		is("before its time", stored(b, "import"), "[1 2]") // which uses it
		mustClose(t, b)

		time.Sleep(2 * time.Hour)
		b = mustOpen(t, dir, samsa.Options{ReadOnly: true})
		time.Sleep(time.Hour)
		is("to read", ids(b), "[payments]")
		if _, err := b.Sweep(t.Context()); !errors.Is(err, samsa.ErrReadOnly) {
			t.Errorf("a sweep to read: %v", err)
		}
		mustClose(t, b)

		b = mustOpen(t, dir, samsa.Options{})
		is("claimed at once", stored(b, "claimed"), "[1 2]")
		sweep(b)
		is("unused for a week", ids(b), "[]")
		is("used in the week", stored(b, "import"), "[1 2]")
		is("claimed at once", stored(b, "claimed"), "[1 2]")
		mustClose(t, b)

		b = mustOpen(t, dir, samsa.Options{})
		is("opened again", ids(b), "[]")
		time.Sleep(week + time.Hour)
		sweep(b)
		is("unused for a week", stored(b, "import"), "[0 0]")
		part, err := (&kit{Broker: b, t: t}).inside().Catalogue.Get("t")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range part.Partitions() {
			if left := p.Log().Producers(); len(left) > 0 {
				t.Errorf("%s knows %+v", p.TopicPartition(), left)
			}
		}
		mustClose(t, b)

		restored := restore(t, "", snapshot)
		is("restored", stored(restored, "import"), "[1 2]")
		sweep(restored)
		is("restored", ids(restored), "[]")
		is("restored", stored(restored, "import")+stored(restored, "claimed"), "[1 2][0 0]")
	})
}
