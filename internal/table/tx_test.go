package table_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
)

// update is an Update that puts.
func (k *kit) update(t *samsa.Table, key, value string, revision int64) error {
	return k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Put(t, []byte(key), []byte(value), revision) })
}

func TestPut(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 2})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		must(t, k.update(tb, "a", "1", samsa.NoRow))
		if err := k.update(tb, "a", "2", samsa.NoRow); !errors.Is(err, samsa.ErrConflict) {
			t.Errorf("it is there: %v", err)
		}
		must(t, tb.WaitFor(k.ctx))
		row, err := tb.Get([]byte("a"))
		must(t, err)
		must(t, k.update(tb, "a", "3", row.Offset))
		if err := k.update(tb, "a", "4", row.Offset); !errors.Is(err, samsa.ErrConflict) {
			t.Errorf("it is another: %v", err)
		}
		must(t, tb.WaitFor(k.ctx))
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"a=3"})
	})
}

// What is written between the reading and the commit is a conflict, if and only if it was read.
func TestConflictsOfTables(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 2})
		k.produce(rec("a", "1"), rec("b", "1"))
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		for _, c := range []struct {
			read   func(tx *samsa.TableTx)
			write  samsa.Record
			rounds int
		}{
			{func(tx *samsa.TableTx) { _, _ = tx.Get([]byte("a")) }, rec("a", "2"), 2},
			{func(tx *samsa.TableTx) { _, _ = tx.Get([]byte("a")) }, rec("b", "2"), 1},
			{func(tx *samsa.TableTx) { _, _ = tx.Get([]byte("none")) }, rec("none", "2"), 2},
			{func(tx *samsa.TableTx) {
				for _, err := range tx.Range(samsa.TableRange{Prefix: []byte("x")}) {
					must(t, err)
				}
			}, rec("x1", "2"), 2},
			{func(tx *samsa.TableTx) {
				for _, err := range tx.Range(samsa.TableRange{Prefix: []byte("x")}) {
					must(t, err)
				}
			}, rec("y", "2"), 1},
			{func(tx *samsa.TableTx) { _, _ = tx.Get([]byte("a")) }, samsa.Record{Topic: "accounts", Key: []byte("b"), Value: noise(65 << 10)}, 2},
		} {
			rounds := 0
			must(t, k.Update(k.ctx, func(tx *samsa.Tx) error {
				v, err := tx.Table(tb)
				if err != nil {
					return err
				}
				c.read(v)
				if rounds++; rounds == 1 {
					k.produce(c.write)
				}
				return tx.Set([]byte("key"), nil)
			}))
			expect(t, fmt.Sprintf("rounds, with %s written", c.write.Key), rounds, c.rounds)
		}
	})
}

// noise returns bytes that cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// Eight writers count in a few keys, each step by compare and set, while others write there: no step is lost.
func TestCompareAndSet(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		const writers, steps, keys = 8, 25, 3
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := 0; i < steps; {
					key := []byte(fmt.Sprint((w + i) % keys))
					err := k.Update(k.ctx, func(tx *samsa.Tx) error {
						v, err := tx.Table(tb)
						if err != nil {
							return err
						}
						n, revision := 0, samsa.NoRow
						if row, err := v.Get(key); err == nil {
							revision = row.Offset
							n, _ = strconv.Atoi(string(row.Value))
						}
						return tx.Put(tb, key, []byte(fmt.Sprint(n+1)), revision)
					})
					switch {
					case err == nil:
						i++
					case !errors.Is(err, samsa.ErrConflict):
						t.Error(err)
						return
					}
					if i%5 == 0 {
						if _, err := k.Produce(k.ctx, rec("other", "x")); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		must(t, tb.WaitFor(k.ctx))
		sum := 0
		for key := range keys {
			row, err := tb.Get([]byte(fmt.Sprint(key)))
			must(t, err)
			n, err := strconv.Atoi(string(row.Value))
			must(t, err)
			sum += n
		}
		expect(t, "steps", sum, writers*steps)
	})
}
